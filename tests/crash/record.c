/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LOG_FD_MIN 500 /* out of the way of descriptors that a test counts */

static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor(102))) static void record_begin(void)
{
    const char *path = getenv("BITSQ_CALLS_LOG");

    if (!path || !preload_is_ours())
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOG_FD_MIN);
    (void)syscall(SYS_close, fd);
    if (log_fd < 0)
        abort();
}

bool record_is_on(void)
{
    return log_fd >= 0 && preload_is_ours();
}

void record_lock(void)
{
    if (record_is_on())
        (void)pthread_mutex_lock(&lock);
}

void record_unlock(void)
{
    if (record_is_on())
        (void)pthread_mutex_unlock(&lock);
}

static void append(struct record *record, const char *name, const char *other_name, const void *data)
{
    int error = errno;
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    record->time_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    record->name_size = name ? (uint32_t)strlen(name) : 0;
    record->other_name_size = other_name ? (uint32_t)strlen(other_name) : 0;
    struct iovec parts[] = {
        {record, sizeof(*record)},
        {(void *)(uintptr_t)name, record->name_size},
        {(void *)(uintptr_t)other_name, record->other_name_size},
        {(void *)(uintptr_t)data, record->data_size},
    };
    size_t size = sizeof(*record) + record->name_size + record->other_name_size + record->data_size;
    /* One call, so that a daemon that is killed leaves whole records. A log with a hole would prove nothing. */
    if (syscall(SYS_writev, log_fd, parts, 4) != (long)size)
        abort();
    errno = error;
}

static uint64_t inode_at(int dir_fd, const char *path, int flags)
{
    struct stat st;

    return fstatat(dir_fd, path, &st, flags) < 0 ? 0 : st.st_ino;
}

void record_write(int fd, uint64_t offset, const void *data, size_t size)
{
    int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
    struct record record = {.kind = RECORD_WRITE,
                            .flags = (flags & O_DSYNC) ? RECORD_DURABLE : 0, /* O_SYNC has the bit of O_DSYNC */
                            .inode = inode_at(fd, "", AT_EMPTY_PATH),
                            .offset = offset,
                            .data_size = size};

    append(&record, NULL, NULL, data);
}

void record_inode(enum record_kind kind, int fd, uint64_t offset)
{
    struct record record = {.kind = kind, .inode = inode_at(fd, "", AT_EMPTY_PATH), .offset = offset};

    append(&record, NULL, NULL, NULL);
}

void record_name(enum record_kind kind, const struct place *place)
{
    struct record record = {.kind = kind, .folder = inode_at(AT_FDCWD, place->folder, 0)};
    char path[sizeof(place->folder) + 256];

    if (kind != RECORD_UNLINK) {
        (void)snprintf(path, sizeof(path), "%s/%s", place->folder, place->name);
        record.inode = inode_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    }
    append(&record, place->name, NULL, NULL);
}

void record_rename(const struct place *from, const struct place *to)
{
    struct record record = {.kind = RECORD_RENAME,
                            .folder = inode_at(AT_FDCWD, from->folder, 0),
                            .other_folder = inode_at(AT_FDCWD, to->folder, 0)};

    append(&record, from->name, to->name, NULL);
}

void record_event(enum record_kind kind)
{
    struct record record = {.kind = kind};

    append(&record, NULL, NULL, NULL);
}
