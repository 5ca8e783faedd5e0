/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store_invariants.h"

#include <string.h>

/* What the records ask for, entry by entry. */
struct expected {
    struct lmdb_txn *txn;
    uint64_t state, sched, keys, finished, groups, deadlines;
    uint64_t counts[JOB_STATES];
};

static bool is_there(struct lmdb_txn *txn, enum lmdb_table table, const struct schema_key *key)
{
    struct lmdb_bytes value;

    return lmdb_get(txn, table, schema_key_bytes(key), &value);
}

/* The lane of an entry of the scheduler must be the job's own. */
static void find_in_lanes(struct expected *expected, const struct job *job)
{
    uint64_t due = job->state != JOB_READY && job->next_attempt_usec != 0 ? job->next_attempt_usec : job->queued_usec;
    if (job->state != JOB_CANCELLING && job->options.not_before_usec > due)
        due = job->options.not_before_usec;
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct store_lane lane;
    struct schema_key key;
    unsigned found = 0;

    lmdb_cursor_open(expected->txn, TABLE_LANES, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more; more = lmdb_next(&cursor)) {
        uint64_t number = schema_get_u64(cursor.key.data);
        schema_key_sched(&key, number, due, job->id);
        if (!is_there(expected->txn, TABLE_SCHED, &key))
            continue;
        assert_int_equal(schema_get_lane(expected->txn, number, &lane), 0);
        assert_int_equal(lane.owner, job->owner);
        assert_int_equal(lane.priority, job->priority);
        assert_string_equal(lane.group, job->group);
        assert_string_equal(lane.host, job->host);
        assert_int_equal(lane.policy.network, job->options.policy.network);
        assert_int_equal(lane.policy.power, job->options.policy.power);
        assert_string_equal(lane.policy.window, job->options.policy.window);
        found++;
    }
    assert_int_equal(found, 1);
}

static void expect(struct expected *expected, const struct job *job)
{
    struct schema_key key;
    uint64_t id;

    schema_key_state(&key, job->owner, job->state, job->id);
    assert_true(is_there(expected->txn, TABLE_STATE, &key));
    expected->state++;
    expected->counts[job->state]++;
    if (job_state_is_runnable(job->state)) {
        find_in_lanes(expected, job);
        expected->sched++;
    }
    if (job->key) {
        assert_int_equal(schema_find_key(expected->txn, job->owner, job->key, &id), 0);
        assert_int_equal(id, job->id);
        expected->keys++;
    }
    if (schema_has_group_entry(job)) {
        schema_key_group(&key, job->owner, job->group, job->id);
        assert_true(is_there(expected->txn, TABLE_GROUPS, &key));
        expected->groups++;
    }
    expected->finished += job->finished_usec != 0;
    if (job_has_deadline(job)) {
        schema_key_deadline(&key, job->options.deadline_usec, job->id);
        assert_true(is_there(expected->txn, TABLE_DEADLINES, &key));
        expected->deadlines++;
    }
}

/* No lane without a job, and each found by its name. */
static void check_lanes(struct lmdb_txn *txn)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    uint64_t in_use = 0, last = 0;

    assert_int_equal(lmdb_entries(txn, TABLE_LANES), lmdb_entries(txn, TABLE_LANE_IDS));
    lmdb_cursor_open(txn, TABLE_SCHED, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more; more = lmdb_next(&cursor)) {
        uint64_t lane = schema_get_u64(cursor.key.data);
        in_use += lane != last;
        last = lane;
    }
    assert_int_equal(lmdb_entries(txn, TABLE_LANES), in_use);
}

static void walk_records(struct expected *expected)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;

    lmdb_cursor_open(expected->txn, TABLE_JOBS, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more; more = lmdb_next(&cursor)) {
        _cleanup_(job_free_p) struct job *job = NULL;
        assert_int_equal(schema_decode(cursor.value, schema_get_u64(cursor.key.data), &job), 0);
        assert_true(job->id < schema_next_id(expected->txn));
        expect(expected, job);
    }
}

/* Each hook is of an event that the journal has had, and there are no more than there may be. */
static void check_hooks(struct lmdb_txn *txn)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    uint64_t last_event = 0;

    lmdb_cursor_open(txn, TABLE_EVENTS, &cursor);
    if (lmdb_last(&cursor))
        last_event = schema_get_u64(cursor.key.data);
    lmdb_cursor_close(&cursor);
    lmdb_cursor_open(txn, TABLE_HOOKS, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more; more = lmdb_next(&cursor)) {
        assert_true(schema_is_u64(cursor.key));
        assert_in_range(schema_get_u64(cursor.key.data), 1, last_event);
    }
    assert_in_range(lmdb_entries(txn, TABLE_HOOKS), 0, HOOKS_PENDING_MAX);
}

void assert_indexes_match(struct fixture *fixture)
{
    _cleanup_read_ struct store_read read;
    struct expected expected = {.txn = &read.txn};
    uint64_t counts[JOB_STATES];

    assert_int_equal(store_read_begin(fixture->store, &read), 0);
    walk_records(&expected);
    assert_int_equal(lmdb_entries(&read.txn, TABLE_STATE), expected.state);
    assert_int_equal(lmdb_entries(&read.txn, TABLE_SCHED), expected.sched);
    assert_int_equal(lmdb_entries(&read.txn, TABLE_KEYS), expected.keys);
    assert_int_equal(lmdb_entries(&read.txn, TABLE_FINISHED), expected.finished);
    assert_int_equal(lmdb_entries(&read.txn, TABLE_GROUPS), expected.groups);
    assert_int_equal(lmdb_entries(&read.txn, TABLE_DEADLINES), expected.deadlines);
    check_lanes(&read.txn);
    check_hooks(&read.txn);
    schema_count(&read.txn, true, 0, counts);
    assert_memory_equal(counts, expected.counts, sizeof(counts));
    assert_int_equal(read.txn.error, 0);
}
