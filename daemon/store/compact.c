/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gives back what a queue that was once large has taken of the disk: LMDB's file never becomes smaller by itself. What
 * is in use is written to a file beside it, synced and renamed over it, so that a crash leaves the one or the other
 * whole; what lies about of an earlier try is removed first.
 */
#include "store/child.h"
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define QUEUE_FILE QUEUE_NAME "/" LMDB_FILE
#define DRAFT_FILE QUEUE_FILE ".new"

struct compaction {
    int directory_fd;
    const char *folder;
    const struct store_sizes *sizes;
    const struct marker *marker;
    uint64_t file_bytes;
};

static bool has_space(const struct compaction *compaction, uint64_t bytes)
{
    struct statvfs st;

    return fstatvfs(compaction->directory_fd, &st) == 0 &&
           (uint64_t)st.f_bavail * st.f_frsize >= bytes + STORE_COMPACT_SPARE_BYTES;
}

/* Not the queue of a newer version, nor one that belongs to another folder: those are left as they are. */
static bool is_ours(const struct compaction *compaction, struct lmdb *env)
{
    _cleanup_txn_ struct lmdb_txn txn;
    uint8_t uuid[SCHEMA_UUID_BYTES];
    uint64_t version;

    lmdb_begin_read(env, &txn);
    return txn.error == 0 && schema_check(&txn, uuid, &version) == 0 &&
           memcmp(uuid, compaction->marker->uuid, sizeof(uuid)) == 0;
}

/* In a child process. -ECANCELED where it is not worth while. */
static int write_draft(void *userdata)
{
    const struct compaction *compaction = userdata;
    _cleanup_(lmdb_close_p) struct lmdb *env = NULL;
    uint64_t free_bytes = 0;

    int r = lmdb_open(compaction->folder, LMDB_CHECK, compaction->sizes->map_bytes, &env);
    if (r == 0 && !is_ours(compaction, env))
        return -ECANCELED;
    if (r == 0)
        r = lmdb_free_bytes(env, &free_bytes);
    if (r < 0)
        return r;
    uint64_t live = lmdb_needed_bytes(env) - free_bytes;
    if (live > compaction->file_bytes / 2 || live > compaction->sizes->compact_live_max_bytes)
        return -ECANCELED;
    if (!has_space(compaction, live))
        return -ENOSPC;
    _cleanup_close_ int fd =
        openat(compaction->directory_fd, DRAFT_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = lmdb_copy(env, fd);
    return r == 0 && fsync(fd) < 0 ? -errno : r;
}

static int put_in_place(const struct compaction *compaction, uint64_t *ret_bytes)
{
    struct stat st;

    if (fstatat(compaction->directory_fd, DRAFT_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (renameat(compaction->directory_fd, DRAFT_FILE, compaction->directory_fd, QUEUE_FILE) < 0)
        return -errno;
    *ret_bytes = (uint64_t)st.st_size;
    _cleanup_close_ int fd = openat(compaction->directory_fd, QUEUE_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

void compact_queue(const struct store_options *options, const struct store_sizes *sizes, const char *folder,
                   const struct marker *marker, struct store_report *report)
{
    struct compaction compaction = {
        .directory_fd = options->directory_fd, .folder = folder, .sizes = sizes, .marker = marker};
    struct stat st;
    uint64_t bytes = 0;

    (void)unlinkat(options->directory_fd, DRAFT_FILE, 0);
    if (!marker || sizes->compact_min_bytes == 0 ||
        fstatat(options->directory_fd, QUEUE_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        (uint64_t)st.st_size < sizes->compact_min_bytes)
        return;
    compaction.file_bytes = (uint64_t)st.st_size;
    int r = child_run(write_draft, &compaction);
    if (r == -ECANCELED)
        return;
    if (r == 0)
        r = put_in_place(&compaction, &bytes);
    if (r < 0) {
        (void)unlinkat(options->directory_fd, DRAFT_FILE, 0);
        report->compact_error = r;
    }
    if (bytes == 0)
        return;
    report->compacted_from_bytes = compaction.file_bytes;
    report->compacted_to_bytes = bytes;
}
