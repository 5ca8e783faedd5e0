/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/lmdb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

#define LOCK_FILE_BYTES 8192 /* what LMDB gives a lock file with its 126 readers */
#define FREE_PAGES      0    /* LMDB's own table of free pages has this handle */

struct lmdb {
    MDB_env *handle;
    MDB_dbi tables[LMDB_TABLES];
};

static const char *const table_names[] = {
    [TABLE_META] = "meta",
    [TABLE_COUNTS] = "counts",
    [TABLE_JOBS] = "jobs",
    [TABLE_LANES] = "lanes",
    [TABLE_LANE_IDS] = "lane-ids",
    [TABLE_SCHED] = "sched",
    [TABLE_STATE] = "state",
    [TABLE_KEYS] = "keys",
    [TABLE_FINISHED] = "finished",
    [TABLE_QUARANTINE] = "quarantine",
    [TABLE_GROUPS] = "groups",
    [TABLE_EVENTS] = "events",
    [TABLE_BATCHES] = "batches",
    [TABLE_BULKS] = "bulks",
    [TABLE_GROUPS_SETTINGS] = "groups-settings",
    [TABLE_DEADLINES] = "deadlines",
    [TABLE_TOTALS] = "totals",
    [TABLE_HOOKS] = "hooks",
};
static_assert(ELEMENTS(table_names) == LMDB_TABLES, "every table has a name");

static int error_of(int r)
{
    switch (r) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_PANIC:
        return -ENOTRECOVERABLE;
    case MDB_VERSION_MISMATCH:
        return -EPROTO;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INCOMPATIBLE:
        return -EUCLEAN;
    case MDB_READERS_FULL:
    case MDB_DBS_FULL:
        return -EMFILE;
    default:
        return r > 0 ? -r : -EIO;
    }
}

static MDB_val val_of(struct lmdb_bytes bytes)
{
    return (MDB_val){.mv_size = bytes.size, .mv_data = (void *)(uintptr_t)bytes.data};
}

static struct lmdb_bytes bytes_of(MDB_val val)
{
    return (struct lmdb_bytes){.data = val.mv_data, .size = val.mv_size};
}

static int open_tables(struct lmdb *env, unsigned txn_flags, unsigned table_flags, size_t count)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(env->handle, NULL, txn_flags, &txn);

    if (r != MDB_SUCCESS)
        return error_of(r);
    for (size_t i = 0; i < count; i++) {
        r = mdb_dbi_open(txn, table_names[i], table_flags, &env->tables[i]);
        if (r != MDB_SUCCESS) {
            mdb_txn_abort(txn);
            return r == MDB_NOTFOUND ? -EUCLEAN : error_of(r);
        }
    }
    return error_of(mdb_txn_commit(txn));
}

int lmdb_open_tables(struct lmdb *env, size_t count)
{
    return open_tables(env, MDB_RDONLY, 0, count);
}

int lmdb_create_tables(struct lmdb *env)
{
    return open_tables(env, 0, MDB_CREATE, LMDB_TABLES);
}

/* LMDB opens its data file without O_CLOEXEC. */
static int close_on_exec(struct lmdb *env)
{
    int fd = -1;
    int r = mdb_env_get_fd(env->handle, &fd);

    if (r != MDB_SUCCESS)
        return error_of(r);
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/*
 * LMDB writes to its lock file through a map. On a full file system a page of it that has no room yet would be SIGBUS:
 * so the room is taken before, where a lack of it is an error. No other descriptor of this process may be open on the
 * file, since closing this one gives up its locks.
 */
static int reserve_lock_file(const char *folder)
{
    char path[PATH_MAX];

    int n = snprintf(path, sizeof(path), "%s/lock.mdb", folder);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = posix_fallocate(fd, 0, LOCK_FILE_BYTES);
    return r == ENOSPC || r == EDQUOT || r == EFBIG || r == EIO ? -r : 0;
}

int lmdb_open(const char *folder, enum lmdb_mode mode, uint64_t map_bytes, struct lmdb **ret)
{
    _cleanup_(lmdb_close_p) struct lmdb *env = calloc(1, sizeof(*env));
    unsigned flags = MDB_NOTLS | (mode == LMDB_CHECK ? MDB_RDONLY | MDB_NOLOCK : 0);
    int dead_readers;

    if (!env)
        return -ENOMEM;
    int r = mode == LMDB_CHECK ? 0 : reserve_lock_file(folder);
    if (r < 0)
        return r;
    r = mdb_env_create(&env->handle);
    if (r == MDB_SUCCESS)
        r = mdb_env_set_mapsize(env->handle, map_bytes);
    if (r == MDB_SUCCESS)
        r = mdb_env_set_maxdbs(env->handle, LMDB_TABLES);
    if (r == MDB_SUCCESS)
        r = mdb_env_open(env->handle, folder, flags, 0600);
    if (r != MDB_SUCCESS)
        return error_of(r);
    r = close_on_exec(env);
    if (r == 0 && mode != LMDB_CHECK)
        r = error_of(mdb_reader_check(env->handle, &dead_readers));
    if (r == 0 && mode == LMDB_CREATE)
        r = lmdb_create_tables(env);
    else if (r == 0)
        r = open_tables(env, MDB_RDONLY, 0, TABLE_META + 1);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(env);
    return 0;
}

struct lmdb *lmdb_close(struct lmdb *env)
{
    if (!env)
        return NULL;
    if (env->handle)
        mdb_env_close(env->handle);
    free(env);
    return NULL;
}

uint64_t lmdb_page_bytes(struct lmdb *env)
{
    MDB_stat stat = {0};

    (void)mdb_env_stat(env->handle, &stat);
    return stat.ms_psize;
}

uint64_t lmdb_needed_bytes(struct lmdb *env)
{
    MDB_envinfo info = {0};

    (void)mdb_env_info(env->handle, &info);
    return (info.me_last_pgno + 1) * lmdb_page_bytes(env);
}

static void begin(struct lmdb *env, struct lmdb_txn *txn, unsigned flags)
{
    *txn = (struct lmdb_txn){.env = env};
    txn->error = error_of(mdb_txn_begin(env->handle, NULL, flags, &txn->handle));
}

void lmdb_begin_read(struct lmdb *env, struct lmdb_txn *txn)
{
    begin(env, txn, MDB_RDONLY);
}

void lmdb_begin_write(struct lmdb *env, struct lmdb_txn *txn)
{
    begin(env, txn, 0);
}

int lmdb_commit(struct lmdb_txn *txn)
{
    if (txn->error < 0) {
        lmdb_abort(txn);
        return txn->error;
    }
    assert(txn->handle);
    txn->error = error_of(mdb_txn_commit(TAKE_PTR(txn->handle)));
    return txn->error;
}

void lmdb_abort(struct lmdb_txn *txn)
{
    if (txn->handle)
        mdb_txn_abort(TAKE_PTR(txn->handle));
}

bool lmdb_get(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key, struct lmdb_bytes *ret)
{
    MDB_val k = val_of(key), v;

    if (txn->error < 0)
        return false;
    int r = mdb_get(txn->handle, txn->env->tables[table], &k, &v);
    if (r != MDB_SUCCESS) {
        if (r != MDB_NOTFOUND)
            txn->error = error_of(r);
        return false;
    }
    *ret = bytes_of(v);
    return true;
}

void lmdb_put(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key, struct lmdb_bytes value)
{
    MDB_val k = val_of(key), v = val_of(value);

    if (txn->error == 0)
        txn->error = error_of(mdb_put(txn->handle, txn->env->tables[table], &k, &v, 0));
}

bool lmdb_delete(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key)
{
    MDB_val k = val_of(key);

    if (txn->error < 0)
        return false;
    int r = mdb_del(txn->handle, txn->env->tables[table], &k, NULL);
    if (r != MDB_SUCCESS && r != MDB_NOTFOUND)
        txn->error = error_of(r);
    return r == MDB_SUCCESS;
}

void lmdb_clear(struct lmdb_txn *txn, enum lmdb_table table)
{
    if (txn->error == 0)
        txn->error = error_of(mdb_drop(txn->handle, txn->env->tables[table], 0));
}

uint64_t lmdb_entries(struct lmdb_txn *txn, enum lmdb_table table)
{
    MDB_stat stat = {0};

    if (txn->error == 0)
        txn->error = error_of(mdb_stat(txn->handle, txn->env->tables[table], &stat));
    return stat.ms_entries;
}

/*
 * A value of the table of free pages is a list: its length, then the page numbers. A write transaction may not look at
 * that table, so this is what was free when the last one had ended.
 */
int lmdb_free_bytes(struct lmdb *env, uint64_t *ret)
{
    _cleanup_txn_ struct lmdb_txn txn;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    uint64_t pages = 0;

    lmdb_begin_read(env, &txn);
    if (txn.error < 0)
        return txn.error;
    int r = mdb_cursor_open(txn.handle, FREE_PAGES, &cursor);
    if (r != MDB_SUCCESS)
        return error_of(r);
    while ((r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        size_t length;
        memcpy(&length, value.mv_data, sizeof(length));
        pages += length;
    }
    mdb_cursor_close(cursor);
    if (r != MDB_NOTFOUND)
        return error_of(r);
    *ret = pages * lmdb_page_bytes(env);
    return 0;
}

int lmdb_copy(struct lmdb *env, int fd)
{
    return error_of(mdb_env_copyfd2(env->handle, fd, MDB_CP_COMPACT));
}

bool lmdb_has_room(struct lmdb_txn *txn, uint64_t bytes)
{
    MDB_envinfo info = {0};

    if (txn->error < 0)
        return false;
    (void)mdb_env_info(txn->env->handle, &info);
    uint64_t used = lmdb_needed_bytes(txn->env);
    uint64_t left = info.me_mapsize > used ? info.me_mapsize - used : 0;
    if (left >= bytes)
        return true;
    uint64_t free_bytes = 0;
    txn->error = lmdb_free_bytes(txn->env, &free_bytes);
    return txn->error == 0 && left + free_bytes >= bytes;
}

void lmdb_cursor_open(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_cursor *cursor)
{
    *cursor = (struct lmdb_cursor){.txn = txn};
    if (txn->error == 0)
        txn->error = error_of(mdb_cursor_open(txn->handle, txn->env->tables[table], &cursor->handle));
}

void lmdb_cursor_close(struct lmdb_cursor *cursor)
{
    if (cursor->handle)
        mdb_cursor_close(TAKE_PTR(cursor->handle));
}

static bool move(struct lmdb_cursor *cursor, MDB_val key, MDB_cursor_op operation)
{
    MDB_val value;

    if (cursor->txn->error < 0)
        return false;
    int r = mdb_cursor_get(cursor->handle, &key, &value, operation);
    if (r != MDB_SUCCESS) {
        if (r != MDB_NOTFOUND)
            cursor->txn->error = error_of(r);
        return false;
    }
    cursor->key = bytes_of(key);
    cursor->value = bytes_of(value);
    return true;
}

bool lmdb_seek(struct lmdb_cursor *cursor, struct lmdb_bytes key)
{
    return move(cursor, val_of(key), key.size > 0 ? MDB_SET_RANGE : MDB_FIRST);
}

bool lmdb_next(struct lmdb_cursor *cursor)
{
    return move(cursor, (MDB_val){0}, MDB_NEXT);
}

bool lmdb_last(struct lmdb_cursor *cursor)
{
    return move(cursor, (MDB_val){0}, MDB_LAST);
}
