/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From what lies in the state folder to an open queue. A queue that cannot be used is moved aside and reported, never
 * taken for an empty one and never deleted.
 *
 *   queue/     marker      what is done
 *   ------     ------      ------------
 *   none       none        a new queue, ids from 1
 *   good       its own     opened
 *   good       none, bad   opened; the marker is written anew
 *   good       another's   set aside; a new queue, ids above the marker's
 *   bad        good        set aside; a new queue, ids above the marker's
 *   none       good        reported; a new queue, ids above the marker's
 *   bad, none  bad; none   set aside; a new queue, ids above the seconds since 1970, which no count of jobs reaches
 *
 * A new queue is made in queue.new/ and renamed, so that queue/ is complete whenever it exists.
 */
#include "store/batch.h"
#include "store/check.h"
#include "store/internal.h"
#include "store/totals.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define NAMES_TRIED_MAX 100 /* queues set aside within one second */

struct recovery {
    const struct store_options *options;
    const struct store_sizes *sizes;
    const char *folder;
    struct store_report *report;
    bool has_marker, marker_damaged;
    struct marker marker;
};

static int fail(struct recovery *recovery, int error, const char *what)
{
    (void)snprintf(recovery->report->reason, sizeof(recovery->report->reason), "%s: %s", what, strerror(-error));
    return error;
}

static void say(struct recovery *recovery, const char *reason)
{
    (void)snprintf(recovery->report->reason, sizeof(recovery->report->reason), "%s", reason);
}

static int sync_folder(int directory_fd, const char *name)
{
    _cleanup_close_ int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

static int remove_unfinished(int directory_fd)
{
    static const char *const names[] = {QUEUE_NEW_NAME "/" LMDB_FILE, QUEUE_NEW_NAME "/lock.mdb"};

    for (size_t i = 0; i < ELEMENTS(names); i++) {
        if (unlinkat(directory_fd, names[i], 0) < 0 && errno != ENOENT)
            return -errno;
    }
    return unlinkat(directory_fd, QUEUE_NEW_NAME, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int fill_new(struct recovery *recovery, uint64_t first_id, uint64_t first_event)
{
    _cleanup_free_ char *folder = NULL;
    _cleanup_(lmdb_close_p) struct lmdb *env = NULL;
    _cleanup_txn_ struct lmdb_txn txn = {.handle = NULL};

    if (asprintf(&folder, "%s/" QUEUE_NEW_NAME, recovery->options->directory) < 0)
        return -ENOMEM;
    int r = lmdb_open(folder, LMDB_CREATE, recovery->sizes->map_bytes, &env);
    if (r < 0)
        return r;
    lmdb_begin_write(env, &txn);
    schema_create(&txn, recovery->marker.uuid, first_id, first_event);
    totals_begin(&txn, recovery->options->now.realtime_usec);
    return lmdb_commit(&txn);
}

static int create_queue(struct recovery *recovery, uint64_t first_id, uint64_t first_event)
{
    int fd = recovery->options->directory_fd;

    int r = remove_unfinished(fd);
    if (r == 0 && mkdirat(fd, QUEUE_NEW_NAME, 0700) < 0)
        r = -errno;
    if (r == 0)
        r = fill_new(recovery, first_id, first_event);
    if (r == 0)
        r = sync_folder(fd, QUEUE_NEW_NAME);
    if (r == 0 && renameat(fd, QUEUE_NEW_NAME, fd, QUEUE_NAME) < 0)
        r = -errno;
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r < 0) {
        (void)remove_unfinished(fd);
        return fail(recovery, r, "a new queue could not be created in the state folder");
    }
    recovery->report->created = true;
    return 0;
}

static int new_uuid(struct marker *marker)
{
    return getrandom(marker->uuid, sizeof(marker->uuid), 0) == sizeof(marker->uuid) ? 0 : -EIO;
}

static int open_fresh(struct recovery *recovery)
{
    recovery->marker.reserved = 0;
    int r = new_uuid(&recovery->marker);
    if (r == 0)
        r = create_queue(recovery, 1, 1);
    if (r < 0)
        return r;
    r = marker_write(recovery->options->directory_fd, &recovery->marker);
    return r < 0 ? fail(recovery, r, "the marker could not be written to the state folder") : 0;
}

static int move_aside(struct recovery *recovery)
{
    char *name = recovery->report->set_aside;
    size_t size = sizeof(recovery->report->set_aside);
    time_t seconds = (time_t)(recovery->options->now.realtime_usec / USEC_PER_SEC);
    int fd = recovery->options->directory_fd;
    struct tm utc = {0};

    (void)gmtime_r(&seconds, &utc);
    size_t length = strftime(name, size, QUEUE_DAMAGED_NAME "%Y%m%dT%H%M%SZ", &utc);
    for (int i = 2; i <= NAMES_TRIED_MAX; i++) {
        if (renameat2(fd, QUEUE_NAME, fd, name, RENAME_NOREPLACE) == 0)
            return fsync(fd) < 0 ? -errno : 0;
        if (errno == ENOENT) { /* there is nothing to keep */
            name[0] = '\0';
            return 0;
        }
        if (errno != EEXIST)
            return -errno;
        (void)snprintf(name + length, size - length, "-%d", i);
    }
    return -EEXIST;
}

/* The marker names the new queue before that exists: the other way round a crash in between would lose it again. */
static int replace_queue(struct recovery *recovery)
{
    bool knows_ids = recovery->has_marker && !recovery->marker_damaged;

    int r = move_aside(recovery);
    if (r < 0)
        return fail(recovery, r, "the damaged queue could not be set aside");
    if (!knows_ids)
        recovery->marker.reserved = recovery->options->now.realtime_usec / USEC_PER_SEC;
    r = new_uuid(&recovery->marker);
    if (r == 0)
        r = marker_write(recovery->options->directory_fd, &recovery->marker);
    if (r < 0)
        return fail(recovery, r, "the marker could not be written to the state folder");
    return create_queue(recovery, recovery->marker.reserved + 1, recovery->options->now.realtime_usec);
}

/* What can be told without opening it. -ENOENT: there is no queue; -EUCLEAN: it is damaged. */
static int look(struct recovery *recovery)
{
    int fd = recovery->options->directory_fd;
    struct stat st;

    if (fstatat(fd, QUEUE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? -ENOENT : fail(recovery, -errno, "the queue could not be looked at");
    if (!S_ISDIR(st.st_mode)) {
        say(recovery, "the queue is not a folder");
        return -EUCLEAN;
    }
    if (fstatat(fd, QUEUE_NAME "/" LMDB_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return fail(recovery, -errno, "the queue could not be looked at");
        say(recovery, "the queue's file " LMDB_FILE " was missing");
        return -EUCLEAN;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        say(recovery, "the queue's file " LMDB_FILE " was empty");
        return -EUCLEAN;
    }
    int r = check_file(recovery->folder, recovery->sizes->map_bytes);
    if (r == -EUCLEAN)
        say(recovery, "the queue's file " LMDB_FILE " was damaged or cut off");
    /* Any other error will meet the real opening too, which can tell what it means. */
    return r == -EUCLEAN ? r : 0;
}

static int check_opened(struct recovery *recovery, struct lmdb *env, uint64_t *ret_version)
{
    _cleanup_txn_ struct lmdb_txn txn;
    uint8_t uuid[SCHEMA_UUID_BYTES];

    lmdb_begin_read(env, &txn);
    int r = txn.error < 0 ? txn.error : schema_check(&txn, uuid, ret_version);
    if (r == -EUCLEAN)
        say(recovery, "the queue's head was missing");
    else if (r == -EPROTO)
        say(recovery, "the queue was written by a newer version of bitsq; install that version or a newer one");
    else if (r < 0)
        return fail(recovery, r, "the queue could not be read");
    if (r < 0)
        return r;
    bool has_marker = recovery->has_marker && !recovery->marker_damaged;
    if (has_marker && memcmp(uuid, recovery->marker.uuid, sizeof(uuid)) != 0) {
        say(recovery, "the queue is not the one that belongs to this state folder");
        return -EUCLEAN;
    }
    if (!has_marker) {
        memcpy(recovery->marker.uuid, uuid, sizeof(uuid));
        recovery->marker.reserved = schema_next_id(&txn) - 1;
        /* Where this fails, the first new job tries again. */
        (void)marker_write(recovery->options->directory_fd, &recovery->marker);
    }
    return 0;
}

static int open_env(struct recovery *recovery, struct lmdb **ret)
{
    _cleanup_(lmdb_close_p) struct lmdb *env = NULL;
    uint64_t version = SCHEMA_VERSION;

    int r = lmdb_open(recovery->folder, LMDB_WRITE, recovery->sizes->map_bytes, &env);
    if (r == 0)
        r = check_opened(recovery, env, &version);
    else if (r == -EUCLEAN)
        say(recovery, "the queue's file " LMDB_FILE " was damaged");
    else if (r == -EPROTO)
        say(recovery, "the queue's file " LMDB_FILE " was written by another version of LMDB; install that version");
    else if (r == -ENOMEM)
        return fail(recovery, r, "the queue needs 64 GiB of address space, which a limit (ulimit -v) refuses");
    else
        return fail(recovery, r, "the queue could not be opened");
    if (r < 0)
        return r;
    r = lmdb_open_tables(env, schema_tables(version));
    if (r < 0) {
        say(recovery, "a table of the queue was missing");
        return r;
    }
    r = migrate_queue(env, version, recovery->options->now.realtime_usec);
    if (r < 0)
        return fail(recovery, r, "the queue of an older version could not be brought up to date");
    *ret = TAKE_PTR(env);
    return 0;
}

static int find_queue(struct recovery *recovery, struct lmdb **ret)
{
    int r = marker_read(recovery->options->directory_fd, &recovery->marker);

    recovery->has_marker = r == 0 || r == -EBADMSG;
    recovery->marker_damaged = r == -EBADMSG;
    if (r < 0 && r != -ENOENT && r != -EBADMSG)
        return fail(recovery, r, "the marker in the state folder could not be read");
    r = look(recovery);
    if (r == 0) {
        bool is_known = recovery->has_marker && !recovery->marker_damaged;
        compact_queue(recovery->options, recovery->sizes, recovery->folder, is_known ? &recovery->marker : NULL,
                      recovery->report);
        r = open_env(recovery, ret);
    }
    if (r == -ENOENT && !recovery->has_marker) {
        r = open_fresh(recovery);
    } else if (r == -ENOENT || r == -EUCLEAN) {
        if (r == -ENOENT)
            say(recovery, "the queue was missing");
        r = replace_queue(recovery);
    } else {
        return r;
    }
    return r < 0 ? r : open_env(recovery, ret);
}

/* A queue that was set aside earlier stays reported until somebody has looked after it. */
static void find_set_aside(struct recovery *recovery)
{
    struct store_report *report = recovery->report;
    int fd = openat(recovery->options->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!directory) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    while ((entry = readdir(directory))) {
        if (strncmp(entry->d_name, QUEUE_DAMAGED_NAME, strlen(QUEUE_DAMAGED_NAME)) != 0)
            continue;
        if (strcmp(entry->d_name, report->set_aside) > 0)
            (void)snprintf(report->set_aside, sizeof(report->set_aside), "%.255s", entry->d_name);
    }
    (void)closedir(directory);
    if (report->set_aside[0] != '\0' && report->reason[0] == '\0')
        say(recovery, "an earlier queue was damaged, and still lies there");
}

/* The first records only: with a million of them the rest are judged when they are looked at. */
static size_t find_undecodable(struct lmdb *env, uint64_t ids[static STORE_SCAN_ROWS_MAX])
{
    _cleanup_txn_ struct lmdb_txn txn;
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    _cleanup_(hidden_done) struct hidden hidden = {.count = 0};
    size_t count = 0, rows = 0;

    lmdb_begin_read(env, &txn);
    if (hidden_load(&txn, &hidden) < 0)
        return 0;
    lmdb_cursor_open(&txn, TABLE_JOBS, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more && rows < STORE_SCAN_ROWS_MAX;
         more = lmdb_next(&cursor), rows++) {
        _cleanup_(job_free_p) struct job *job = NULL;
        uint64_t id = schema_is_u64(cursor.key) ? schema_get_u64(cursor.key.data) : 0;
        /* A batch that is not whole is dropped, whatever it holds. */
        if (hidden_until(&hidden, id) == 0 && schema_decode(cursor.value, id, &job) == -EBADMSG)
            ids[count++] = id;
    }
    return count;
}

static int quarantine_undecodable(struct lmdb *env, struct store_report *report)
{
    _cleanup_free_ uint64_t *ids = calloc(STORE_SCAN_ROWS_MAX, sizeof(*ids));
    _cleanup_txn_ struct lmdb_txn txn = {.handle = NULL};
    _cleanup_(hidden_done) struct hidden hidden = {.count = 0};

    if (!ids)
        return -ENOMEM;
    size_t count = find_undecodable(env, ids);
    if (count > 0) {
        lmdb_begin_write(env, &txn);
        schema_quarantine(&txn, ids, count);
        /* Where this fails, for want of space, they are met again and skipped again. */
        (void)lmdb_commit(&txn);
    }
    lmdb_begin_read(env, &txn);
    report->quarantined = lmdb_entries(&txn, TABLE_QUARANTINE);
    report->jobs = lmdb_entries(&txn, TABLE_JOBS);
    int r = hidden_load(&txn, &hidden);
    report->jobs -= hidden.jobs;
    return r;
}

int recover_queue(const struct store_options *options, const struct store_sizes *sizes, const char *folder,
                  struct lmdb **ret_env, struct marker *ret_marker, struct store_report *report)
{
    struct recovery recovery = {.options = options, .sizes = sizes, .folder = folder, .report = report};
    _cleanup_(lmdb_close_p) struct lmdb *env = NULL;

    int r = find_queue(&recovery, &env);
    if (r < 0)
        return r;
    if (report->set_aside[0] == '\0')
        find_set_aside(&recovery);
    r = quarantine_undecodable(env, report);
    if (r < 0)
        return fail(&recovery, r, "the queue could not be read");
    *ret_env = TAKE_PTR(env);
    *ret_marker = recovery.marker;
    return 0;
}
