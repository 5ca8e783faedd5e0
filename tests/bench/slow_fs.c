/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder seen through a slow disk: slow-fs FOLDER MSEC MOUNTPOINT [FUSE OPTION]...
 * Only for reading. Each open and each read waits for MSEC first. With SLOW_FS_STOP_AT in the environment it stops
 * itself (SIGSTOP) at the first read at or behind that byte, so that a test can meet a reader who waits for it.
 */
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct slow {
    int folder;
    struct timespec delay;
    const char *stop_at; /* NULL = nowhere */
};

static const struct slow *slow(void)
{
    return fuse_get_context()->private_data;
}

/* Paths begin with "/". */
static const char *relative(const char *path)
{
    return path[1] == '\0' ? "." : path + 1;
}

static int slow_getattr(const char *path, struct stat *ret, struct fuse_file_info *info)
{
    (void)info;
    return fstatat(slow()->folder, relative(path), ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int slow_open(const char *path, struct fuse_file_info *info)
{
    (void)nanosleep(&slow()->delay, NULL);
    int fd = openat(slow()->folder, relative(path), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    info->fh = (uint64_t)fd;
    info->direct_io = slow()->stop_at != NULL; /* the reader itself waits, not a read-ahead */
    return 0;
}

static int slow_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
    const char *stop_at = slow()->stop_at;

    (void)path;
    if (stop_at && offset >= atoll(stop_at))
        (void)raise(SIGSTOP);
    (void)nanosleep(&slow()->delay, NULL);
    ssize_t n = pread((int)info->fh, buffer, size, offset);
    return n < 0 ? -errno : (int)n;
}

static int slow_release(const char *path, struct fuse_file_info *info)
{
    (void)path;
    (void)close((int)info->fh);
    return 0;
}

int main(int argc, char *argv[])
{
    static const struct fuse_operations operations = {
        .getattr = slow_getattr,
        .open = slow_open,
        .read = slow_read,
        .release = slow_release,
    };
    struct slow state;

    if (argc < 4) {
        (void)fprintf(stderr, "Usage: slow-fs FOLDER MSEC MOUNTPOINT [FUSE OPTION]...\n");
        return 2;
    }
    long msec = atol(argv[2]);
    state.delay = (struct timespec){.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000};
    state.stop_at = getenv("SLOW_FS_STOP_AT");
    state.folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state.folder < 0) {
        perror(argv[1]);
        return 1;
    }
    argv[2] = argv[0];
    return fuse_main(argc - 2, argv + 2, &operations, &state);
}
