/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;
static pid_t owner;

__attribute__((constructor(101))) static void preload_begin(void)
{
    const char *path = getenv("BITSQ_CALLS_FOLDER");

    if (!path)
        return;
    owner = getpid();
    folder_length = strlen(path);
    memcpy(folder, path, folder_length < sizeof(folder) ? folder_length + 1 : 0);
}

bool preload_is_ours(void)
{
    return owner != 0 && owner == (pid_t)syscall(SYS_getpid);
}

static bool is_inside(const char *path)
{
    return folder_length > 0 && strncmp(path, folder, folder_length) == 0 &&
           (path[folder_length] == '/' || path[folder_length] == '\0');
}

static bool path_of(int fd, char *ret, size_t size)
{
    char link[64];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, ret, size - 1);
    if (length < 0)
        return false;
    ret[length] = '\0';
    return true;
}

bool preload_is_inside(int fd)
{
    char path[PATH_MAX];

    return preload_is_ours() && path_of(fd, path, sizeof(path)) && is_inside(path);
}

bool preload_find(int dir_fd, const char *path, struct place *ret)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0, base = 0;

    if (!preload_is_ours())
        return false;
    if (path[0] != '/') {
        if (dir_fd == AT_FDCWD || !path_of(dir_fd, ret->folder, sizeof(ret->folder)))
            return false; /* the daemon's working folder is never its state folder */
        base = strlen(ret->folder);
        if (slash)
            ret->folder[base++] = '/';
    }
    if (base + length + 1 > sizeof(ret->folder))
        return false;
    memcpy(ret->folder + base, path, length);
    ret->folder[base + length] = '\0';
    ret->name = slash ? slash + 1 : path;
    return is_inside(ret->folder);
}
