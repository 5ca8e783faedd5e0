/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ends the program that it is preloaded into where it forks while it has other threads: a lock that one of them holds
 * is never released in the child, which then waits for it for ever, seldom and on busy machines only.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

pid_t __fork(void);
pid_t fork(void);

static unsigned count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;

    if (!tasks)
        abort();
    for (struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks))
        count += entry->d_name[0] != '.';
    (void)closedir(tasks);
    return count;
}

pid_t fork(void)
{
    if (count_threads() > 1) {
        static const char text[] = "forkwatch: a fork beside other threads\n";
        ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
        (void)n;
        abort();
    }
    return __fork();
}
