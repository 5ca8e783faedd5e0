/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs bitsqd apart from the caller: a session of its own, no descriptors, no signal mask, no working folder and only
 * the environment that it needs, so that a daemon which lives for weeks inherits nothing from the shell of one command.
 */
#include "internal.h"

#include "base/moment.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

#define KEPT_VARIABLES_MAX 256 /* of the environment; the rest is dropped */

extern char **environ;

/* A name that ends in * stands for all that begin so. */
static const char *const kept_variables[] = {
    "HOME",         "PATH",         "USER",
    "LOGNAME",      "LANG",         "LC_*",
    "TZ",           "XDG_*",        "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_*",   "ASAN_OPTIONS", "UBSAN_OPTIONS",
    "LSAN_OPTIONS", "TMPDIR",
};

static bool is_kept(const char *variable)
{
    size_t name = strcspn(variable, "=");

    for (size_t i = 0; i < ELEMENTS(kept_variables); i++) {
        size_t length = strlen(kept_variables[i]);
        bool prefix = kept_variables[i][length - 1] == '*';
        if (prefix ? name >= length - 1 && strncmp(variable, kept_variables[i], length - 1) == 0
                   : name == length && strncmp(variable, kept_variables[i], length) == 0)
            return true;
    }
    return false;
}

static void clean_environment(char *kept[static KEPT_VARIABLES_MAX])
{
    size_t count = 0;

    for (size_t i = 0; environ && environ[i] && count + 1 < KEPT_VARIABLES_MAX; i++)
        if (is_kept(environ[i]))
            kept[count++] = environ[i];
    kept[count] = NULL;
}

const char *launch_program(void)
{
    const char *named = secure_getenv("BITSQ_DAEMON");

    return named && *named != '\0' ? named : BITSQ_DAEMON_PATH;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;

    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (r == 0)
        r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    return -r;
}

static int set_files(posix_spawn_file_actions_t *actions, int output, int errors)
{
    int r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    if (r == 0)
        r = posix_spawn_file_actions_addchdir_np(actions, "/");
    return -r;
}

static int spawn(const char *option, int output, int errors, pid_t *ret)
{
    char *kept[KEPT_VARIABLES_MAX];
    char *arguments[] = {(char *)"bitsqd", (char *)option, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    int r = -posix_spawn_file_actions_init(&actions);
    if (r < 0)
        return r;
    r = -posix_spawnattr_init(&attributes);
    if (r < 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return r;
    }
    clean_environment(kept);
    r = set_attributes(&attributes);
    if (r >= 0)
        r = set_files(&actions, output, errors);
    if (r >= 0)
        r = -posix_spawn(ret, launch_program(), &actions, &attributes, arguments, kept);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return r;
}

/* A pipe whose ends are above the standard descriptors, which a caller may have closed: dup2() onto itself would leave
 * the child with a descriptor that closes at exec. */
static int open_pipe(int ret[static 2])
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        ret[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        (void)close(ends[i]);
    }
    /* the child's end blocks, as programs expect of their standard output */
    if (ret[0] < 0 || ret[1] < 0 || fcntl(ret[1], F_SETFL, 0) < 0)
        return -errno;
    return 0;
}

/* Reads what is there into the end of TEXT; 0 at the end of the pipe or on an error, 1 when more may come. */
static int drain(int fd, char text[static LAUNCH_OUTPUT_MAX])
{
    for (;;) {
        char surplus[512];
        size_t used = strlen(text), space = LAUNCH_OUTPUT_MAX - 1 - used;
        ssize_t n = space > 0 ? read(fd, text + used, space) : read(fd, surplus, sizeof(surplus));
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0)
            return 0;
        if (space > 0)
            text[used + (size_t)n] = '\0';
    }
}

static int msec_until(uint64_t deadline_usec)
{
    uint64_t left = usec_sub(deadline_usec, moment_now().monotonic_usec);

    return left / USEC_PER_MSEC >= INT_MAX ? INT_MAX : (int)((left + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

/* Until a line was printed or both pipes have ended: the program may go on in the background and keep them open. */
static void follow(int output, int errors, uint64_t deadline_usec, struct launch_result *result)
{
    struct pollfd fds[] = {{.fd = output, .events = POLLIN}, {.fd = errors, .events = POLLIN}};

    while ((fds[0].fd >= 0 || fds[1].fd >= 0) && !strchr(result->output, '\n')) {
        int left = msec_until(deadline_usec);
        if (left == 0) {
            result->timed_out = true;
            return;
        }
        if (poll(fds, ELEMENTS(fds), left) < 0 && errno != EINTR)
            return;
        if (fds[0].revents && drain(output, result->output) == 0)
            fds[0].fd = -1;
        if (fds[1].revents && drain(errors, result->errors) == 0)
            fds[1].fd = -1;
    }
}

/*
 * The status of the child, -1 where there is none: a caller that ignores SIGCHLD or reaps all its children may have
 * taken it from us. A child that has not ended by the deadline is killed.
 */
static int reap(pid_t pid, uint64_t deadline_usec)
{
    siginfo_t info = {0};
    _cleanup_close_ int pidfd = pidfd_open(pid, 0);
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    int r;

    if (pidfd < 0)
        return -1;
    do
        r = poll(&gone, 1, msec_until(deadline_usec));
    while (r < 0 && errno == EINTR);
    if (r == 0)
        (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    do
        r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
    while (r < 0 && errno == EINTR);
    return r == 0 && info.si_code == CLD_EXITED ? info.si_status : -1;
}

int launch_daemon(const char *option, uint64_t timeout_usec, struct launch_result *ret)
{
    _cleanup_close_ int output_read = -1, output_write = -1, errors_read = -1, errors_write = -1;
    int ends[2] = {-1, -1};
    pid_t pid;

    uint64_t deadline = usec_add(moment_now().monotonic_usec, timeout_usec);
    int r = open_pipe(ends);
    output_read = ends[0];
    output_write = ends[1];
    if (r < 0)
        return r;
    ends[0] = ends[1] = -1;
    r = open_pipe(ends);
    errors_read = ends[0];
    errors_write = ends[1];
    if (r < 0)
        return r;

    r = spawn(option, output_write, errors_write, &pid);
    if (r < 0)
        return r;
    (void)close(TAKE_FD(output_write));
    (void)close(TAKE_FD(errors_write));
    memset(ret, 0, sizeof(*ret));
    follow(output_read, errors_read, deadline, ret);
    ret->status = reap(pid, deadline);
    ret->output[strcspn(ret->output, "\r\n")] = '\0';
    return 0;
}
