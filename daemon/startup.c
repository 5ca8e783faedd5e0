/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "startup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define ROLE_POLL_MSEC 20
#define ROLE_TURNS_MAX 1000 /* 20 s */

int startup_take_role(struct statedir *dir, enum startup_role *ret_role, char **ret_address)
{
    for (unsigned turn = 0; turn < ROLE_TURNS_MAX; turn++) {
        int r = statedir_lock(dir);
        if (r != -EWOULDBLOCK) {
            *ret_role = STARTUP_HOLDER;
            return r;
        }
        r = statedir_read_address(dir, ret_address);
        if (r >= 0) {
            *ret_role = STARTUP_SECOND;
            return 0;
        }
        /* The holder is starting (no address yet) or ending (no lock by the next turn). */
        if (r != -EAGAIN && r != -ENOENT)
            return r;
        (void)poll(NULL, 0, ROLE_POLL_MSEC);
    }
    return -ETIMEDOUT;
}

const char *startup_origin(int background)
{
    if (background)
        return "client";
    if (getenv("INVOCATION_ID") && getenv("NOTIFY_SOCKET"))
        return "systemd";
    if (getenv("DBUS_STARTER_ADDRESS"))
        return "bus";
    return "command";
}

void startup_raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int startup_detach(void)
{
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0)
        _exit(0);
    if (setsid() < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}

void startup_report_address(const char *address)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    /* A client that went away meanwhile does not want it any more. */
    (void)dprintf(STDOUT_FILENO, "%s\n", address);
    if (null >= 0) {
        (void)dup2(null, STDOUT_FILENO);
        (void)close(null);
    }
}
