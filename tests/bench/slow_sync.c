/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes each fdatasync() of the program that it is preloaded into take SLOW_SYNC_MSEC milliseconds longer. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd)
{
    const char *text = getenv("SLOW_SYNC_MSEC");
    long msec = text ? atol(text) : 0;
    struct timespec delay = {.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000};

    (void)nanosleep(&delay, NULL);
    return (int)syscall(SYS_fdatasync, fd);
}
