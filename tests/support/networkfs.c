/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the program that it is preloaded into believe that every file system is NFS. */
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NFS_TYPE 0x6969

int fstatfs64(int fd, struct statfs64 *ret)
{
    int r = (int)syscall(SYS_fstatfs, fd, ret);

    if (r == 0)
        ret->f_type = NFS_TYPE;
    return r;
}

int statfs64(const char *path, struct statfs64 *ret)
{
    int r = (int)syscall(SYS_statfs, path, ret);

    if (r == 0)
        ret->f_type = NFS_TYPE;
    return r;
}
