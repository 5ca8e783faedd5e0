/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/batch.h"

#include "store/journal.h"
#include "store/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* At worst each part of the largest queue has a range of its own. */
#define BATCH_BYTES_MAX (STORE_JOBS_MAX / STORE_BATCH_MAX * 2 * RECORD_ROW_BYTES(2) + STORE_RECORD_MAX)

#define MEMBER(tag, kind, member) RECORD_MEMBER(batch, tag, kind, member)

static const struct record_field fields[] = {
    MEMBER(1, NUMBER, owner),
    MEMBER(2, NUMBER, count),
    MEMBER(3, NUMBER, ready),
    MEMBER(4, NUMBER, paused),
};

static size_t ranges_size(const void *object)
{
    const struct batch *batch = object;

    return batch->ranges_count * RECORD_ROW_BYTES(2);
}

static void pack_ranges(const void *object, uint8_t *to)
{
    const struct batch *batch = object;

    record_pack_rows(to, batch->ranges, 2, batch->ranges_count);
}

static int unpack_ranges(void *object, const uint8_t *from, size_t size)
{
    struct batch *batch = object;
    void *ranges;

    int r = record_unpack_rows(from, size, 2, &ranges, &batch->ranges_count);
    if (r == 0)
        batch->ranges = ranges;
    return r;
}

static const struct record_type batch_record = {
    .magic = {'B', 'A'},
    .format = 1,
    .bytes_max = BATCH_BYTES_MAX,
    .fields = fields,
    .fields_count = ELEMENTS(fields),
    .packed_tag = 5,
    .packed_size = ranges_size,
    .pack = pack_ranges,
    .unpack = unpack_ranges,
};

struct batch *batch_free(struct batch *batch)
{
    if (!batch)
        return NULL;
    free(batch->ranges);
    free(batch);
    return NULL;
}

static int decode(struct lmdb_bytes record, uint64_t id, struct batch **ret)
{
    _cleanup_(batch_free_p) struct batch *batch = calloc(1, sizeof(*batch));

    if (!batch)
        return -ENOMEM;
    int r = record_decode(&batch_record, record.data, record.size, batch);
    if (r < 0)
        return r;
    batch->id = id;
    *ret = TAKE_PTR(batch);
    return 0;
}

static int get_batch(struct lmdb_txn *txn, uint64_t id, struct batch **ret)
{
    struct schema_key key;
    struct lmdb_bytes record;

    schema_key_u64(&key, id);
    if (!lmdb_get(txn, TABLE_BATCHES, schema_key_bytes(&key), &record))
        return txn->error < 0 ? txn->error : -ENOENT;
    return decode(record, id, ret);
}

static void store_batch(struct lmdb_txn *txn, const struct batch *batch)
{
    _cleanup_free_ void *record = NULL;
    struct schema_key key;
    size_t size = 0;

    int r = record_encode(&batch_record, batch, &record, &size);
    if (r < 0) {
        txn->error = r;
        return;
    }
    schema_key_u64(&key, batch->id);
    lmdb_put(txn, TABLE_BATCHES, schema_key_bytes(&key), (struct lmdb_bytes){record, size});
}

static void remove_batch(struct lmdb_txn *txn, uint64_t id)
{
    struct schema_key key;

    schema_key_u64(&key, id);
    (void)lmdb_delete(txn, TABLE_BATCHES, schema_key_bytes(&key));
}

int batch_take(struct lmdb_txn *txn, const struct command *command, struct batch **ret)
{
    _cleanup_(batch_free_p) struct batch *batch = NULL;

    int r = get_batch(txn, command->batch_id, &batch);
    if (r == -ENOENT && command->batch_offset == 0) {
        batch = calloc(1, sizeof(*batch));
        if (!batch)
            return -ENOMEM;
        batch->id = command->batch_id;
        batch->owner = command->jobs[0]->owner;
    } else if (r == -ENOENT || r == -EBADMSG || (r == 0 && batch->count != command->batch_offset)) {
        return -ESTALE;
    } else if (r < 0) {
        return r;
    }
    *ret = TAKE_PTR(batch);
    return 0;
}

int batch_note(struct batch *batch, const struct job *job)
{
    struct id_range *last = batch->ranges_count > 0 ? &batch->ranges[batch->ranges_count - 1] : NULL;

    if (job->state == JOB_PAUSED)
        batch->paused++;
    else
        batch->ready++;
    if (last && last->last + 1 == job->id) {
        last->last = job->id;
        return 0;
    }
    struct id_range *ranges = reallocarray(batch->ranges, batch->ranges_count + 1, sizeof(*ranges));
    if (!ranges)
        return -ENOMEM;
    batch->ranges = ranges;
    ranges[batch->ranges_count++] = (struct id_range){job->id, job->id};
    return 0;
}

void batch_put(struct lmdb_txn *txn, const struct command *command, struct batch *batch)
{
    batch->count += command->jobs_count;
    if (!command->batch_is_last) {
        store_batch(txn, batch);
        return;
    }
    remove_batch(txn, batch->id);
    schema_add_counts(txn, batch->owner, JOB_READY, batch->ready);
    schema_add_counts(txn, batch->owner, JOB_PAUSED, batch->paused);
    journal_put_count(txn, batch->owner, EVENT_ADDED, batch->ready + batch->paused, command->at);
}

static int each_batch(struct lmdb_txn *txn, int (*each)(const struct batch *batch, void *userdata), void *userdata)
{
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    int r = 0;

    if (lmdb_entries(txn, TABLE_BATCHES) == 0)
        return txn->error;
    lmdb_cursor_open(txn, TABLE_BATCHES, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more && r == 0; more = lmdb_next(&cursor)) {
        _cleanup_(batch_free_p) struct batch *batch = NULL;
        if (!schema_is_u64(cursor.key))
            continue;
        r = decode(cursor.value, schema_get_u64(cursor.key.data), &batch);
        if (r == 0)
            r = each(batch, userdata);
        else if (r == -EBADMSG) /* nobody knows its ids any more: its jobs are seen rather than lost */
            r = 0;
    }
    return r < 0 ? r : txn->error;
}

static int add_ranges(const struct batch *batch, void *userdata)
{
    struct hidden *hidden = userdata;
    size_t count = hidden->count + batch->ranges_count;
    struct id_range *ranges = reallocarray(hidden->ranges, count + 1, sizeof(*ranges));

    if (!ranges)
        return -ENOMEM;
    if (batch->ranges_count > 0)
        memcpy(ranges + hidden->count, batch->ranges, batch->ranges_count * sizeof(*ranges));
    hidden->ranges = ranges;
    hidden->count = count;
    hidden->jobs += batch->ready + batch->paused;
    return 0;
}

int hidden_load(struct lmdb_txn *txn, struct hidden *ret)
{
    struct hidden hidden = {.count = 0};

    int r = each_batch(txn, add_ranges, &hidden);
    if (r < 0) {
        hidden_done(&hidden);
        return r;
    }
    hidden.count = id_ranges_join(hidden.ranges, hidden.count);
    *ret = hidden;
    return 0;
}

void hidden_done(struct hidden *hidden)
{
    free(hidden->ranges);
    *hidden = (struct hidden){0};
}

uint64_t hidden_until(const struct hidden *hidden, uint64_t id)
{
    const struct id_range *range = id_ranges_find(hidden->ranges, hidden->count, id);

    return range ? range->last : 0;
}

int batch_check_visible(struct lmdb_txn *txn, uint64_t id)
{
    _cleanup_(hidden_done) struct hidden hidden = {.count = 0};

    int r = hidden_load(txn, &hidden);
    return r == 0 && hidden_until(&hidden, id) != 0 ? -ENOENT : r;
}

struct owned {
    uid_t owner;
    uint64_t jobs;
};

static int add_owned(const struct batch *batch, void *userdata)
{
    struct owned *owned = userdata;

    if (batch->owner == owned->owner)
        owned->jobs += batch->ready + batch->paused;
    return 0;
}

int batch_count_owned(struct lmdb_txn *txn, uid_t owner, uint64_t *ret)
{
    struct owned owned = {.owner = owner};

    int r = each_batch(txn, add_owned, &owned);
    if (r < 0)
        return r;
    *ret = owned.jobs;
    return 0;
}

/* From the end, so that the ranges that are left are those that are still there. */
static int drop_one(struct lmdb_txn *txn, struct batch *batch)
{
    struct id_range *last = &batch->ranges[batch->ranges_count - 1];
    _cleanup_(job_free_p) struct job *job = NULL;

    int r = schema_get_job(txn, last->last, &job);
    if (r == -EBADMSG) {
        schema_quarantine(txn, &last->last, 1);
        r = 0;
    } else if (r == 0) {
        schema_remove_staged(txn, job);
    }
    if (r < 0 && r != -ENOENT)
        return r;
    if (last->first == last->last)
        batch->ranges_count--;
    else
        last->last--;
    return txn->error;
}

int batch_apply_drop(struct lmdb_txn *txn, struct command *command)
{
    _cleanup_(batch_free_p) struct batch *batch = NULL;

    int r = get_batch(txn, command->batch_id, &batch);
    if (r == -ENOENT)
        return 0;
    if (r == -EBADMSG) {
        remove_batch(txn, command->batch_id);
        return txn->error;
    }
    for (size_t i = 0; i < STORE_BATCH_MAX && r == 0 && batch->ranges_count > 0; i++)
        r = drop_one(txn, batch);
    if (r < 0)
        return txn->error = r;
    command->batch_is_left = batch->ranges_count > 0;
    if (command->batch_is_left)
        store_batch(txn, batch);
    else
        remove_batch(txn, batch->id);
    return txn->error;
}

int store_batches(struct store *store, uint64_t *ids, size_t ids_max)
{
    _cleanup_read_ struct store_read read;
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    size_t count = 0;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    lmdb_cursor_open(&read.txn, TABLE_BATCHES, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more && count < ids_max; more = lmdb_next(&cursor)) {
        if (schema_is_u64(cursor.key))
            ids[count++] = schema_get_u64(cursor.key.data);
    }
    return read.txn.error < 0 ? read.txn.error : (int)count;
}
