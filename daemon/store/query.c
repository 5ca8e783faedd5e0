/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/batch.h"
#include "store/bulk.h"
#include "store/internal.h"

#include <errno.h>
#include <string.h>

struct query {
    struct store *store;
    struct lmdb_txn *txn;
    const struct bulks *through; /* NULL = none is under way, or the records are wanted as they are */
    const struct store_filter *filter;
    size_t limit;
    int (*each)(const struct job *job, void *userdata);
    void *userdata;
    struct hidden hidden;

    size_t looked_at; /* records */
    size_t rows;
    uint64_t next; /* the cursor, once the page is over */
    bool over;
};

static bool matches(const struct store_filter *filter, const struct job *job)
{
    if (!filter->any_owner && job->owner != filter->owner)
        return false;
    if (filter->states != 0 && (filter->states >> job->state & 1) == 0)
        return false;
    if (filter->group && strcmp(filter->group, job->group) != 0)
        return false;
    return !filter->key || (job->key && strcmp(filter->key, job->key) == 0);
}

/* Looks at the record of ID. A page that is full, or has looked at enough, ends here with its cursor. */
static int visit(struct query *query, uint64_t id, struct lmdb_bytes record)
{
    _cleanup_(job_free_p) struct job *job = NULL;
    uint64_t covering;
    int r = schema_decode(record, id, &job);

    query->looked_at++;
    if (r == 0 && query->through)
        r = bulks_catch_up(query->through, job, &covering);
    if (r == -EBADMSG)
        store_suspect(query->store, id);
    else if (r < 0 && r != -ENOENT)
        return r;
    bool is_there = r == 0;
    r = 0;
    if (is_there && matches(query->filter, job)) {
        r = query->each(job, query->userdata);
        if (r < 0)
            return r;
        query->rows++;
    }
    if (r > 0 || query->rows >= query->limit || query->looked_at >= STORE_SCAN_ROWS_MAX) {
        query->over = true;
        query->next = id;
    }
    return 0;
}

static int visit_id(struct query *query, uint64_t id)
{
    struct schema_key key;
    struct lmdb_bytes record;

    if (hidden_until(&query->hidden, id) != 0)
        return 0;
    schema_key_u64(&key, id);
    if (!lmdb_get(query->txn, TABLE_JOBS, schema_key_bytes(&key), &record))
        return query->txn->error;
    return visit(query, id, record);
}

static int query_by_key(struct query *query, uint64_t after)
{
    const struct store_filter *filter = query->filter;
    uint64_t id;

    if (filter->key[0] == '\0' || strnlen(filter->key, JOB_KEY_MAX + 1) > JOB_KEY_MAX)
        return 0;
    int r = schema_find_key(query->txn, filter->owner, filter->key, &id);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    for (size_t i = 0; filter->ids_count + filter->ranges_count > 0; i++) {
        if (i == filter->ids_count + filter->ranges_count)
            return 0;
        if (i < filter->ids_count && filter->ids[i] == id)
            break;
        if (i >= filter->ids_count && filter->ranges[i - filter->ids_count].first <= id &&
            id <= filter->ranges[i - filter->ids_count].last)
            break;
    }
    r = id > after ? visit_id(query, id) : 0;
    query->next = 0;
    return r;
}

static int query_range(struct query *query, struct lmdb_cursor *cursor, struct id_range range)
{
    struct schema_key key;

    schema_key_u64(&key, range.first);
    bool more = lmdb_seek(cursor, schema_key_bytes(&key));
    while (more && !query->over) {
        uint64_t id = schema_is_u64(cursor->key) ? schema_get_u64(cursor->key.data) : 0;
        uint64_t hidden = hidden_until(&query->hidden, id);
        if (id > range.last)
            break;
        if (hidden != 0) {
            schema_key_u64(&key, hidden + 1);
            more = lmdb_seek(cursor, schema_key_bytes(&key));
            continue;
        }
        int r = visit(query, id, cursor->value);
        if (r < 0)
            return r;
        more = lmdb_next(cursor);
    }
    return query->txn->error;
}

/* Ids are ranges of one. Joined, so that a job that is named twice comes once. */
static int query_by_ranges(struct query *query, uint64_t after)
{
    const struct store_filter *filter = query->filter;
    size_t count = filter->ids_count + filter->ranges_count;
    _cleanup_free_ struct id_range *ranges = calloc(count, sizeof(*ranges));
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};

    if (!ranges)
        return -ENOMEM;
    for (size_t i = 0; i < filter->ids_count; i++)
        ranges[i] = (struct id_range){filter->ids[i], filter->ids[i]};
    for (size_t i = 0; i < filter->ranges_count; i++)
        ranges[filter->ids_count + i] = filter->ranges[i];
    count = id_ranges_join(ranges, count);
    lmdb_cursor_open(query->txn, TABLE_JOBS, &cursor);
    for (size_t i = 0; i < count && !query->over && after < UINT64_MAX; i++) {
        struct id_range range = ranges[i];
        if (range.first <= after)
            range.first = after + 1;
        int r = range.first <= range.last ? query_range(query, &cursor, range) : 0;
        if (r < 0)
            return r;
    }
    return query->txn->error;
}

/* One cursor a state of the owner, and always the smallest id of them. */
struct merge {
    struct lmdb_cursor cursors[JOB_STATES];
    uint64_t ids[JOB_STATES]; /* 0 = at its end */
};

static void merge_done(struct merge *merge)
{
    for (size_t i = 0; i < JOB_STATES; i++)
        lmdb_cursor_close(&merge->cursors[i]);
}

static void merge_note(const struct query *query, struct merge *merge, size_t state, bool more)
{
    struct lmdb_cursor *cursor = &merge->cursors[state];
    struct schema_key key;
    uint64_t hidden;

    do {
        merge->ids[state] = 0;
        schema_key_state(&key, query->filter->owner, (enum job_state)state, 0);
        if (!more || cursor->key.size != key.size || memcmp(cursor->key.data, key.bytes, key.size - 8) != 0)
            return;
        merge->ids[state] = schema_get_u64((const uint8_t *)cursor->key.data + key.size - 8);
        hidden = hidden_until(&query->hidden, merge->ids[state]);
        if (hidden != 0) {
            schema_key_state(&key, query->filter->owner, (enum job_state)state, hidden + 1);
            more = lmdb_seek(cursor, schema_key_bytes(&key));
        }
    } while (hidden != 0);
}

static size_t merge_smallest(const struct merge *merge)
{
    size_t smallest = 0;

    for (size_t i = 1; i < JOB_STATES; i++) {
        if (merge->ids[i] != 0 && (smallest == 0 || merge->ids[i] < merge->ids[smallest]))
            smallest = i;
    }
    return smallest;
}

static int query_by_state(struct query *query, uint64_t after)
{
    const struct store_filter *filter = query->filter;
    _cleanup_(merge_done) struct merge merge = {0};
    size_t state;

    if (after == UINT64_MAX)
        return 0;
    for (state = JOB_READY; state < JOB_STATES; state++) {
        struct schema_key key;
        if (filter->states != 0 && (filter->states >> state & 1) == 0)
            continue;
        schema_key_state(&key, filter->owner, (enum job_state)state, after + 1);
        lmdb_cursor_open(query->txn, TABLE_STATE, &merge.cursors[state]);
        merge_note(query, &merge, state, lmdb_seek(&merge.cursors[state], schema_key_bytes(&key)));
    }
    while (!query->over && (state = merge_smallest(&merge)) != 0) {
        int r = visit_id(query, merge.ids[state]);
        if (r < 0)
            return r;
        merge_note(query, &merge, state, lmdb_next(&merge.cursors[state]));
    }
    return query->txn->error;
}

/* A group that is not everybody's has an index of its own. */
static int query_by_group(struct query *query, uint64_t after)
{
    const struct store_filter *filter = query->filter;
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    struct schema_key key;

    if (after == UINT64_MAX || strnlen(filter->group, JOB_GROUP_MAX + 1) > JOB_GROUP_MAX)
        return 0;
    schema_key_group(&key, filter->owner, filter->group, after + 1);
    lmdb_cursor_open(query->txn, TABLE_GROUPS, &cursor);
    bool more = lmdb_seek(&cursor, schema_key_bytes(&key));
    while (more && !query->over) {
        size_t prefix = key.size - 8;
        if (cursor.key.size != key.size || memcmp(cursor.key.data, key.bytes, prefix) != 0)
            break;
        uint64_t id = schema_get_u64((const uint8_t *)cursor.key.data + prefix);
        uint64_t hidden = hidden_until(&query->hidden, id);
        if (hidden != 0) {
            schema_key_group(&key, filter->owner, filter->group, hidden + 1);
            more = lmdb_seek(&cursor, schema_key_bytes(&key));
            continue;
        }
        int r = visit_id(query, id);
        if (r < 0)
            return r;
        more = lmdb_next(&cursor);
    }
    return query->txn->error;
}

static int query_all(struct query *query, uint64_t after)
{
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};

    if (after == UINT64_MAX)
        return 0;
    lmdb_cursor_open(query->txn, TABLE_JOBS, &cursor);
    return query_range(query, &cursor, (struct id_range){after + 1, UINT64_MAX});
}

int query_run(struct store *store, struct lmdb_txn *txn, const struct bulks *through, const struct store_filter *filter,
              uint64_t after, size_t limit, int (*each)(const struct job *job, void *userdata), void *userdata,
              uint64_t *ret_next)
{
    struct query query = {.store = store,
                          .txn = txn,
                          .through = through,
                          .filter = filter,
                          .limit = limit,
                          .each = each,
                          .userdata = userdata};
    int r = hidden_load(txn, &query.hidden);

    if (r < 0)
        return r;
    if (limit == 0)
        query.next = after;
    else if (filter->key && !filter->any_owner)
        r = query_by_key(&query, after);
    else if (filter->ids_count + filter->ranges_count > 0)
        r = query_by_ranges(&query, after);
    else if (through)
        r = query_all(&query, after); /* the indexes do not know yet what becomes of the jobs */
    else if (filter->group && strcmp(filter->group, "default") != 0 && !filter->any_owner)
        r = query_by_group(&query, after);
    else if (!filter->any_owner)
        r = query_by_state(&query, after);
    else
        r = query_all(&query, after);
    hidden_done(&query.hidden);
    if (r < 0)
        return r;
    *ret_next = query.next;
    return (int)query.rows;
}

int store_query(struct store *store, const struct store_filter *filter, uint64_t after, size_t limit,
                int (*each)(const struct job *job, void *userdata), void *userdata, uint64_t *ret_next)
{
    _cleanup_read_ struct store_read read;
    _cleanup_(bulks_done) struct bulks bulks = {.count = 0};

    int r = store_read_begin(store, &read);
    if (r == 0)
        r = bulks_load(&read.txn, &bulks);
    return r < 0 ? r
                 : query_run(store, &read.txn, bulks.count > 0 ? &bulks : NULL, filter, after, limit, each, userdata,
                             ret_next);
}
