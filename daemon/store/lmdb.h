/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The only door to LMDB: one environment with a fixed set of tables.
 *
 * The first error of a transaction sticks in txn->error, every later call on it does nothing, and lmdb_commit() reports
 * it; so a chain of puts needs one check. Errors are negative errnos:
 *
 *   -ENOSPC          the map, the transaction or the disk is full (also -EDQUOT, -EFBIG, and -EIO for a short write)
 *   -EUCLEAN         the file is damaged
 *   -EPROTO          the file belongs to another version of LMDB
 *   -ENOTRECOVERABLE the environment is unusable after a failed write of its head: close and reopen it
 *
 * Pointers that lmdb_get() and cursors hand out end with the transaction, in a write transaction with the next put.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lmdb_table {
    TABLE_META,
    TABLE_COUNTS,
    TABLE_JOBS,
    TABLE_LANES,
    TABLE_LANE_IDS,
    TABLE_SCHED,
    TABLE_STATE,
    TABLE_KEYS,
    TABLE_FINISHED,
    TABLE_QUARANTINE,
    TABLE_GROUPS,
    TABLE_EVENTS,
    TABLE_BATCHES,
    TABLE_BULKS,
    TABLE_GROUPS_SETTINGS,
    TABLE_DEADLINES,
    TABLE_TOTALS,
    TABLE_HOOKS,
};
#define LMDB_TABLES 18

#define LMDB_FILE "data.mdb"

struct lmdb;
struct MDB_txn;
struct MDB_cursor;

struct lmdb_bytes {
    const void *data;
    size_t size;
};

struct lmdb_txn {
    struct lmdb *env;
    struct MDB_txn *handle; /* NULL = not begun, or over */
    int error;
};

struct lmdb_cursor {
    struct lmdb_txn *txn;
    struct MDB_cursor *handle;
    struct lmdb_bytes key, value; /* where it stands */
};

enum lmdb_mode {
    LMDB_CREATE, /* a new file in an empty folder, with all tables */
    LMDB_WRITE,
    LMDB_CHECK, /* read only and without locks: nobody else may have it open */
};

/*
 * Opens FOLDER/data.mdb, of an existing file only TABLE_META: whose format the other tables have is known behind that.
 * Once a process: a second environment of the same file would drop the locks of the first.
 */
int lmdb_open(const char *folder, enum lmdb_mode mode, uint64_t map_bytes, struct lmdb **ret);
struct lmdb *lmdb_close(struct lmdb *env);
DEFINE_CLEANUP(struct lmdb *, lmdb_close);

/* Bytes that the file must have for every page that the last commit may refer to. */
uint64_t lmdb_needed_bytes(struct lmdb *env);
uint64_t lmdb_page_bytes(struct lmdb *env);
/* Bytes of the pages that the last commit does not refer to, and that later ones will take. Walks their list. */
int lmdb_free_bytes(struct lmdb *env, uint64_t *ret);
/* Writes what the last commit refers to, and nothing else, to FD: an empty file, which is a whole one then. */
int lmdb_copy(struct lmdb *env, int fd);
/* The first COUNT tables of an existing file. -EUCLEAN where one is missing. */
int lmdb_open_tables(struct lmdb *env, size_t count);
/* All of them, of a file that an older version wrote without some. */
int lmdb_create_tables(struct lmdb *env);

void lmdb_begin_read(struct lmdb *env, struct lmdb_txn *txn);
void lmdb_begin_write(struct lmdb *env, struct lmdb_txn *txn);
int lmdb_commit(struct lmdb_txn *txn);
void lmdb_abort(struct lmdb_txn *txn); /* fine on one that is over */

/* False where the key is not there, or on an error. */
bool lmdb_get(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key, struct lmdb_bytes *ret);
void lmdb_put(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key, struct lmdb_bytes value);
bool lmdb_delete(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key);
/* Leaves TABLE empty. */
void lmdb_clear(struct lmdb_txn *txn, enum lmdb_table table);
uint64_t lmdb_entries(struct lmdb_txn *txn, enum lmdb_table table);

/* Whether BYTES of the map are still unused. Exact, and slow only where the map has once been nearly full. */
bool lmdb_has_room(struct lmdb_txn *txn, uint64_t bytes);

void lmdb_cursor_open(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_cursor *cursor);
void lmdb_cursor_close(struct lmdb_cursor *cursor);
/* The first entry at or behind KEY; an empty KEY means the very first. False at the end, or on an error. */
bool lmdb_seek(struct lmdb_cursor *cursor, struct lmdb_bytes key);
bool lmdb_next(struct lmdb_cursor *cursor);
bool lmdb_last(struct lmdb_cursor *cursor);

#define _cleanup_txn_    _cleanup_(lmdb_abort)
#define _cleanup_cursor_ _cleanup_(lmdb_cursor_close)
