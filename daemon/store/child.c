/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/child.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The child's life: dies quietly and without a core where LMDB trips over the file. */
static _Noreturn void child(int (*work)(void *userdata), void *userdata, int verdict_fd)
{
    static const int deadly[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 0);
    for (size_t i = 0; i < ELEMENTS(deadly); i++)
        (void)signal(deadly[i], SIG_DFL);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write beyond a limit is an error, not a death */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (null >= 0)
        (void)dup2(null, STDERR_FILENO);
    int r = work(userdata);
    ssize_t n = write(verdict_fd, &r, sizeof(r));
    _exit(n == sizeof(r) ? 0 : 1);
}

static int read_verdict(int fd, int *ret)
{
    ssize_t n;

    do
        n = read(fd, ret, sizeof(*ret));
    while (n < 0 && errno == EINTR);
    return n == sizeof(*ret) ? 0 : -EUCLEAN;
}

/* True where the child was ended from outside, which says nothing about the file. */
static bool was_killed(pid_t pid)
{
    int status = 0;
    pid_t r;

    do
        r = waitpid(pid, &status, 0);
    while (r < 0 && errno == EINTR);
    return r == pid && WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
}

int child_run(int (*work)(void *userdata), void *userdata)
{
    int ends[2], verdict = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int read_end = ends[0], write_end = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        child(work, userdata, write_end);
    (void)close(TAKE_FD(write_end));
    int r = read_verdict(read_end, &verdict);
    bool killed = was_killed(pid);
    if (r < 0)
        return killed ? -EINTR : r;
    return verdict;
}
