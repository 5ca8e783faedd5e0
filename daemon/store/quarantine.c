/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/schema.h"

#include <errno.h>
#include <string.h>

static bool is_listed(const uint64_t *ids, size_t ids_count, uint64_t id)
{
    return bsearch(&id, ids, ids_count, sizeof(*ids), id_compare) != NULL;
}

/* The id that an index entry is about; 0 for one that makes no sense, which stays where it is. */
static uint64_t id_of_entry(enum lmdb_table table, const struct lmdb_cursor *cursor)
{
    const uint8_t *key = cursor->key.data;

    if (table == TABLE_KEYS)
        return schema_is_u64(cursor->value) ? schema_get_u64(cursor->value.data) : 0;
    return cursor->key.size > 8 ? schema_get_u64(key + cursor->key.size - 8) : 0;
}

struct found {
    struct schema_key *keys;
    size_t count;
};

static void found_done(struct found *found)
{
    free(found->keys);
}

/* The keys are collected before the first is deleted: a cursor does not survive a change of its table by others. */
static void find_entries(struct lmdb_txn *txn, enum lmdb_table table, const uint64_t *ids, size_t ids_count,
                         struct found *found)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;

    lmdb_cursor_open(txn, table, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more; more = lmdb_next(&cursor)) {
        if (!is_listed(ids, ids_count, id_of_entry(table, &cursor)))
            continue;
        if (cursor.key.size > sizeof(found->keys->bytes))
            continue;
        struct schema_key *keys = reallocarray(found->keys, found->count + 1, sizeof(*keys));
        if (!keys) {
            txn->error = -ENOMEM;
            return;
        }
        found->keys = keys;
        keys[found->count].size = cursor.key.size;
        memcpy(keys[found->count++].bytes, cursor.key.data, cursor.key.size);
    }
}

static void drop_entries(struct lmdb_txn *txn, enum lmdb_table table, const uint64_t *ids, size_t ids_count)
{
    _cleanup_(found_done) struct found found = {0};

    find_entries(txn, table, ids, ids_count, &found);
    for (size_t i = 0; i < found.count; i++) {
        const struct schema_key *key = &found.keys[i];
        (void)lmdb_delete(txn, table, schema_key_bytes(key));
        if (table == TABLE_STATE)
            schema_uncount(txn, key->bytes);
        else if (table == TABLE_SCHED)
            schema_drop_empty_lane(txn, schema_get_u64(key->bytes));
    }
}

static void move_record(struct lmdb_txn *txn, uint64_t id)
{
    _cleanup_free_ void *copy = NULL;
    struct schema_key key;
    struct lmdb_bytes record;

    schema_key_u64(&key, id);
    if (!lmdb_get(txn, TABLE_JOBS, schema_key_bytes(&key), &record))
        return;
    copy = malloc(record.size + 1);
    if (!copy) {
        txn->error = -ENOMEM;
        return;
    }
    memcpy(copy, record.data, record.size);
    lmdb_put(txn, TABLE_QUARANTINE, schema_key_bytes(&key), (struct lmdb_bytes){copy, record.size});
    (void)lmdb_delete(txn, TABLE_JOBS, schema_key_bytes(&key));
}

void schema_quarantine(struct lmdb_txn *txn, uint64_t *ids, size_t ids_count)
{
    if (ids_count == 0)
        return;
    qsort(ids, ids_count, sizeof(*ids), id_compare);
    drop_entries(txn, TABLE_STATE, ids, ids_count);
    drop_entries(txn, TABLE_SCHED, ids, ids_count);
    drop_entries(txn, TABLE_KEYS, ids, ids_count);
    drop_entries(txn, TABLE_FINISHED, ids, ids_count);
    drop_entries(txn, TABLE_GROUPS, ids, ids_count);
    drop_entries(txn, TABLE_DEADLINES, ids, ids_count);
    for (size_t i = 0; i < ids_count; i++)
        move_record(txn, ids[i]);
}
