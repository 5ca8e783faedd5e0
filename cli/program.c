/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/program.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static int spawn(const char *const *arguments, int output, pid_t *ret)
{
    posix_spawn_file_actions_t actions;

    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return -r;
    r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawnp(ret, arguments[0], &actions, NULL, (char **)(uintptr_t)arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* Until the end of the pipe; what does not fit is read and dropped. */
static int read_all(int fd, uint64_t deadline_usec, char text[static PROGRAM_LINE_MAX])
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    char block[512];
    size_t used = 0;

    text[0] = '\0';
    for (;;) {
        uint64_t left = usec_sub(deadline_usec, moment_now().monotonic_usec);
        int r = poll(&readable, 1, (int)((left + USEC_PER_MSEC - 1) / USEC_PER_MSEC));
        if (r == 0)
            return -ETIMEDOUT;
        ssize_t n = r < 0 ? -1 : read(fd, block, sizeof(block));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        size_t taken = n > 0 ? (size_t)n : 0;
        if (taken > PROGRAM_LINE_MAX - 1 - used)
            taken = PROGRAM_LINE_MAX - 1 - used;
        memcpy(text + used, block, taken);
        used += taken;
        text[used] = '\0';
    }
}

int program_first_line(const char *const *arguments, uint64_t timeout_usec, char line[static PROGRAM_LINE_MAX])
{
    _cleanup_close_ int output = -1;
    uint64_t deadline = usec_add(moment_now().monotonic_usec, timeout_usec);
    int ends[2];
    pid_t pid = -1;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    output = ends[0];
    int r = spawn(arguments, ends[1], &pid);
    (void)close(ends[1]);
    if (r < 0)
        return r;
    r = read_all(output, deadline, line);
    if (r < 0 && pid > 0)
        (void)kill(pid, SIGKILL); /* not reaped yet: the number is still its own */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    line[strcspn(line, "\r\n")] = '\0';
    return r;
}
