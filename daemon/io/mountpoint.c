/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/mountpoint.h"

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With SYNC the file system itself has to answer; else what the kernel remembers is enough. */
static int look(const char *path, bool sync, struct statx *ret)
{
    int flags = sync ? AT_STATX_FORCE_SYNC : AT_STATX_DONT_SYNC;

    return statx(AT_FDCWD, path, flags, STATX_TYPE | STATX_INO | STATX_MTIME, ret) < 0 ? -errno : 0;
}

/* PATH has no symbolic links in it, so that its parent is the one that its text names. */
static int is_mounted_at(const char *path, bool sync, bool *ret)
{
    char parent[SOURCE_MOUNT_MAX + 4];
    struct statx here, above;

    int r = look(path, sync, &here);
    if (r < 0)
        return r;
    /* Before Linux 5.8 nobody says so; then another device than the parent's does, but for a bind mount. */
    if (here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) {
        *ret = (here.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
        return 0;
    }
    (void)snprintf(parent, sizeof(parent), "%s/..", path);
    r = look(parent, false, &above);
    if (r < 0)
        return r;
    *ret = here.stx_dev_major != above.stx_dev_major || here.stx_dev_minor != above.stx_dev_minor;
    return 0;
}

static bool real_path(int fd, char *path, size_t size)
{
    char link[64];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size);
    if (n <= 0 || (size_t)n >= size || path[0] != '/')
        return false;
    path[n] = '\0';
    return true;
}

void mountpoint_of(int fd, char path[static SOURCE_MOUNT_MAX + 1])
{
    char at[JOB_SOURCE_MAX + 1];
    bool is_mounted;

    path[0] = '\0';
    if (file_is_on_root(fd) || !real_path(fd, at, sizeof(at)))
        return;
    for (char *slash = strrchr(at, '/'); slash && slash != at; slash = strrchr(at, '/')) {
        *slash = '\0';
        if (strlen(at) > SOURCE_MOUNT_MAX)
            continue;
        if (is_mounted_at(at, false, &is_mounted) < 0)
            return;
        if (is_mounted) {
            (void)memcpy(path, at, strlen(at) + 1);
            return;
        }
    }
}

bool mountpoint_may_explain(int error)
{
    switch (-error) {
    case ENOENT: /* the folder below it shows, or none */
    case ENOTDIR:
    case EIO: /* the device is gone, and nobody has unmounted it yet */
    case ENODEV:
    case ENXIO:
    case ESTALE: /* as a server of files says it, or what speaks with one */
    case ENOTCONN:
    case ECONNABORTED: /* ENOTCONN of what was asked before: so FUSE ends what its server will not answer any more */
    case EHOSTDOWN:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

bool mountpoint_is_gone(const char *path)
{
    bool is_mounted;
    int r = is_mounted_at(path, true, &is_mounted);

    return r < 0 ? mountpoint_may_explain(r) : !is_mounted;
}
