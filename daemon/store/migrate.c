/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues of older versions. Whatever is added is filled in steps of one transaction each, and only the last one says
 * so: after a kill in between the old version, or this one, begins again from what it knows.
 */
#include "store/internal.h"
#include "store/totals.h"

#include <errno.h>
#include <string.h>

/* Puts the group entries of the next records behind *after; *ret_more says whether others follow. */
static void fill_groups(struct lmdb_txn *txn, uint64_t *after, bool *ret_more)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct schema_key key;
    bool more;

    schema_key_u64(&key, *after + 1);
    lmdb_cursor_open(txn, TABLE_JOBS, &cursor);
    more = lmdb_seek(&cursor, schema_key_bytes(&key));
    for (size_t i = 0; more && i < STORE_BATCH_MAX; i++) {
        _cleanup_(job_free_p) struct job *job = NULL;
        *after = schema_is_u64(cursor.key) ? schema_get_u64(cursor.key.data) : *after;
        /* What cannot be decoded is the quarantine's business. */
        int r = schema_decode(cursor.value, *after, &job);
        if (r == 0 && schema_has_group_entry(job)) {
            schema_key_group(&key, job->owner, job->group, job->id);
            lmdb_put(txn, TABLE_GROUPS, schema_key_bytes(&key), (struct lmdb_bytes){"", 0});
        } else if (r < 0 && r != -EBADMSG) {
            txn->error = r;
        }
        more = lmdb_next(&cursor);
    }
    *ret_more = more;
}

static int from_1(struct lmdb *env)
{
    uint64_t after = 0;
    bool more = true, begun = false;
    int r = 0;

    while (r == 0 && more) {
        struct lmdb_txn txn;
        lmdb_begin_write(env, &txn);
        /* An earlier go may have been broken off, and the older version have changed the jobs since. */
        if (!begun)
            lmdb_clear(&txn, TABLE_GROUPS);
        begun = true;
        fill_groups(&txn, &after, &more);
        if (!more)
            schema_set_version(&txn, 2);
        r = lmdb_commit(&txn);
    }
    return r;
}

/* The new tables are empty: nobody has set anything, no job has a deadline or a hook, and what ended before is not
 * known. */
static int from_2(struct lmdb *env, uint64_t now_usec)
{
    struct lmdb_txn txn;

    lmdb_begin_write(env, &txn);
    totals_begin(&txn, now_usec);
    schema_set_version(&txn, 3);
    return lmdb_commit(&txn);
}

int migrate_queue(struct lmdb *env, uint64_t version, uint64_t now_usec)
{
    int r = version < SCHEMA_VERSION ? lmdb_create_tables(env) : 0;

    if (r == 0 && version < 2)
        r = from_1(env);
    if (r == 0 && version < 3)
        r = from_2(env, now_usec);
    return r;
}
