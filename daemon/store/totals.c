/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/totals.h"

#include "store/internal.h"
#include "store/record.h"

#define TOTALS_BYTES_MAX 128

#define MEMBER(tag, kind, member) RECORD_MEMBER(totals, tag, kind, member)

/* since_usec is the queue's, and stands in meta. */
static const struct record_field fields[] = {
    MEMBER(1, NUMBER, done),           MEMBER(2, NUMBER, failed),       MEMBER(3, NUMBER, cancelled),
    MEMBER(4, NUMBER, uploaded_bytes), MEMBER(5, NUMBER, resent_bytes),
};

static const struct record_type totals_record = {
    .magic = {'B', 'T'},
    .format = 1,
    .bytes_max = TOTALS_BYTES_MAX,
    .fields = fields,
    .fields_count = ELEMENTS(fields),
};

void totals_begin(struct lmdb_txn *txn, uint64_t now_usec)
{
    schema_set_totals_since(txn, now_usec);
}

static void get(struct lmdb_txn *txn, uid_t owner, struct totals *ret)
{
    struct totals totals = {0};
    struct schema_key key;
    struct lmdb_bytes record;

    schema_key_owner(&key, owner);
    if (lmdb_get(txn, TABLE_TOTALS, schema_key_bytes(&key), &record) &&
        record_decode(&totals_record, record.data, record.size, &totals) < 0)
        totals = (struct totals){0};
    *ret = totals;
}

static int put(struct lmdb_txn *txn, uid_t owner, const struct totals *totals)
{
    _cleanup_free_ void *record = NULL;
    struct schema_key key;
    size_t size = 0;

    int r = record_encode(&totals_record, totals, &record, &size);
    if (r < 0)
        return r;
    schema_key_owner(&key, owner);
    lmdb_put(txn, TABLE_TOTALS, schema_key_bytes(&key), (struct lmdb_bytes){record, size});
    return 0;
}

int totals_put_job(struct lmdb_txn *txn, const struct job *before, struct job *after)
{
    struct totals totals;

    if (!job_state_is_final(after->state) || job_state_is_final(before->state))
        return schema_put_job(txn, before, after);
    get(txn, after->owner, &totals);
    (void)totals_count_end(&totals, before->state, after);
    /* The job first: one that is refused has written nothing, and must not count. */
    int r = schema_put_job(txn, before, after);
    return r < 0 ? r : put(txn, after->owner, &totals);
}

int store_totals(struct store *store, uid_t owner, struct totals *ret)
{
    _cleanup_read_ struct store_read read;
    struct totals totals;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    get(&read.txn, owner, &totals);
    totals.since_usec = schema_totals_since(&read.txn);
    if (read.txn.error < 0)
        return read.txn.error;
    *ret = totals;
    return 0;
}
