/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs whose time is over: what is not done by its deadline has failed. The index says who is next, so that nobody
 * looks for them; its entries are of jobs that are neither finished nor being cancelled.
 */
#include "store/bulk.h"
#include "store/internal.h"

#include <assert.h>
#include <errno.h>

/* The ids of those whose time is over, the earliest first. */
static size_t collect(struct lmdb_txn *txn, uint64_t now_usec, uint64_t ids[static DEADLINE_STEP_MAX])
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct schema_key first;
    size_t count = 0;

    schema_key_deadline(&first, 0, 0);
    lmdb_cursor_open(txn, TABLE_DEADLINES, &cursor);
    for (bool more = lmdb_seek(&cursor, schema_key_bytes(&first)); more; more = lmdb_next(&cursor)) {
        if (cursor.key.size != 16 || schema_get_u64(cursor.key.data) > now_usec || count == DEADLINE_STEP_MAX)
            break;
        ids[count++] = schema_get_u64((const uint8_t *)cursor.key.data + 8);
    }
    return count;
}

/* A record that makes trouble must not be found again and again. */
static void forget(struct lmdb_txn *txn, uint64_t now_usec, uint64_t id)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct schema_key first;

    schema_key_deadline(&first, 0, 0);
    lmdb_cursor_open(txn, TABLE_DEADLINES, &cursor);
    for (bool more = lmdb_seek(&cursor, schema_key_bytes(&first)); more; more = lmdb_next(&cursor)) {
        struct schema_key key = {.size = 0};
        if (cursor.key.size != 16 || schema_get_u64(cursor.key.data) > now_usec)
            return;
        if (schema_get_u64((const uint8_t *)cursor.key.data + 8) != id)
            continue;
        schema_key_deadline(&key, schema_get_u64(cursor.key.data), id);
        (void)lmdb_delete(txn, TABLE_DEADLINES, schema_key_bytes(&key));
        return;
    }
}

int deadline_apply(struct store *store, struct lmdb_txn *txn, struct command *command)
{
    _cleanup_(bulks_done) struct bulks bulks = {.count = 0};
    uint64_t ids[DEADLINE_STEP_MAX];

    assert(command->items_count == 0 && !command->items);
    size_t count = collect(txn, command->at.realtime_usec, ids);
    int r = bulks_load(txn, &bulks);
    if (r < 0 || count == 0)
        return r;
    command->items = calloc(count, sizeof(*command->items));
    if (!command->items)
        return -ENOMEM;
    command->items_count = count;
    for (size_t i = 0; i < count && txn->error == 0; i++) {
        command->items[i].id = ids[i];
        command->items[i].result = apply_item(store, txn, command, &bulks, &command->items[i]);
        if (command->items[i].result == -ENOMEM)
            return -ENOMEM;
        if (command->items[i].result < 0)
            forget(txn, command->at.realtime_usec, ids[i]);
    }
    bulks_save(txn, &bulks);
    return txn->error;
}

uint64_t store_next_deadline(struct store *store)
{
    _cleanup_read_ struct store_read read = {0};
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    struct schema_key first;

    if (store_read_begin(store, &read) < 0)
        return USEC_INFINITY;
    schema_key_deadline(&first, 0, 0);
    lmdb_cursor_open(&read.txn, TABLE_DEADLINES, &cursor);
    return lmdb_seek(&cursor, schema_key_bytes(&first)) && cursor.key.size == 16 ? schema_get_u64(cursor.key.data)
                                                                                 : USEC_INFINITY;
}
