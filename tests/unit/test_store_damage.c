/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single records that cannot be decoded: they go to quarantine, and stop nothing else. */
#include "store_invariants.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static int no_row(const struct job *job, void *userdata)
{
    (void)userdata;
    assert_non_null(job);
    return 0;
}

/* Overwrites the record of ID with BYTES, behind the back of the store that is open or not. */
static void damage(struct lmdb *env, uint64_t id, const void *bytes, size_t size)
{
    struct lmdb_txn txn;
    struct schema_key key;

    schema_key_u64(&key, id);
    lmdb_begin_write(env, &txn);
    lmdb_put(&txn, TABLE_JOBS, schema_key_bytes(&key), (struct lmdb_bytes){bytes, size});
    assert_int_equal(lmdb_commit(&txn), 0);
}

static uint64_t entries(struct fixture *fixture, enum lmdb_table table)
{
    struct lmdb_txn txn;

    lmdb_begin_read(fixture->store->env, &txn);
    uint64_t count = lmdb_entries(&txn, table);
    lmdb_abort(&txn);
    return count;
}

static void assert_in_quarantine(struct fixture *fixture, uint64_t id, const void *bytes, size_t size)
{
    struct lmdb_txn txn;
    struct schema_key key;
    struct lmdb_bytes kept;

    schema_key_u64(&key, id);
    lmdb_begin_read(fixture->store->env, &txn);
    assert_true(lmdb_get(&txn, TABLE_QUARANTINE, schema_key_bytes(&key), &kept));
    assert_int_equal(kept.size, size);
    assert_memory_equal(kept.data, bytes, size);
    lmdb_abort(&txn);
}

/* The writer moves what a reader met when it comes round: polled, since nobody is told. */
static void wait_for_quarantine(struct fixture *fixture, uint64_t count)
{
    for (int i = 0; i < 6000; i++) {
        uint64_t now = 0;
        assert_int_equal(store_quarantined(fixture->store, &now), 0);
        if (now == count)
            return;
        (void)poll(NULL, 0, 10);
    }
    fail_msg("the record was not moved to quarantine");
}

static uint64_t add_keyed(struct fixture *fixture, unsigned number, const char *key)
{
    struct job *job = fixture_job(number);

    fixture_set(&job->key, key);
    return fixture_add(fixture, job);
}

static void damaged_records_are_moved_away_at_the_start(void **state)
{
    struct fixture *fixture = *state;
    uint64_t good = add_keyed(fixture, 1, "good"), bad = add_keyed(fixture, 2, "bad"), empty, counts[JOB_STATES], found;

    empty = fixture_add(fixture, fixture_job(3));
    damage(fixture->store->env, bad, "BQ\1\0not a record", 16);
    damage(fixture->store->env, empty, "", 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->report.quarantined, 2);
    assert_int_equal(fixture->report.jobs, 1);
    assert_string_equal(fixture->report.set_aside, "");
    assert_in_quarantine(fixture, bad, "BQ\1\0not a record", 16);
    assert_in_quarantine(fixture, empty, "", 0);
    assert_int_equal(fixture_state(fixture, good), JOB_READY);
    assert_int_equal(store_count(fixture->store, true, 0, counts), 0);
    assert_int_equal(counts[JOB_READY], 1);
    assert_int_equal(entries(fixture, TABLE_STATE), 1);
    assert_int_equal(entries(fixture, TABLE_SCHED), 1);
    assert_int_equal(entries(fixture, TABLE_LANES), 1);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "bad", &found), -ENOENT);
    assert_indexes_match(fixture);
    assert_int_equal(fixture_add(fixture, fixture_job(4)), empty + 1);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->report.quarantined, 2);
}

static void a_record_of_another_job_is_damaged(void **state)
{
    struct fixture *fixture = *state;
    uint64_t one = fixture_add(fixture, fixture_job(1)), two = fixture_add(fixture, fixture_job(2));
    struct schema_key key;
    struct lmdb_bytes record;
    struct lmdb_txn txn;
    char copy[STORE_RECORD_MAX];

    schema_key_u64(&key, one);
    lmdb_begin_read(fixture->store->env, &txn);
    assert_true(lmdb_get(&txn, TABLE_JOBS, schema_key_bytes(&key), &record));
    size_t size = record.size;
    memcpy(copy, record.data, size);
    lmdb_abort(&txn);
    damage(fixture->store->env, two, copy, size);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->report.quarantined, 1);
    assert_int_equal(fixture->report.jobs, 1);
}

static void a_reader_that_meets_a_damaged_record_has_it_moved(void **state)
{
    struct fixture *fixture = *state;
    uint64_t good = fixture_add(fixture, fixture_job(1)), bad = fixture_add(fixture, fixture_job(2)), next;
    struct store_filter all = {.any_owner = true};
    _cleanup_(job_free_p) struct job *job = NULL;

    damage(fixture->store->env, bad, "x", 1);
    assert_int_equal(store_get(fixture->store, bad, &job), -ENOENT);
    wait_for_quarantine(fixture, 1);
    assert_in_quarantine(fixture, bad, "x", 1);
    damage(fixture->store->env, good, "y", 1);
    assert_int_equal(store_query(fixture->store, &all, 0, 10, no_row, NULL, &next), 0);
    wait_for_quarantine(fixture, 2);
    assert_int_equal(entries(fixture, TABLE_LANES), 0);
}

static void a_verb_on_a_damaged_record_does_not_hurt_the_others(void **state)
{
    struct fixture *fixture = *state;
    uint64_t ids[2] = {fixture_add(fixture, fixture_job(1)), fixture_add(fixture, fixture_job(2))};
    _cleanup_(command_free_p) struct command *command = fixture_verb_command(VERB_PAUSE, ids, 2);

    damage(fixture->store->env, ids[0], "x", 1);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    assert_int_equal(command->items[0].result, -ENOENT);
    assert_int_equal(command->items[1].result, 0);
    wait_for_quarantine(fixture, 1);
    assert_indexes_match(fixture);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), 1);
    assert_int_equal(fixture_count(fixture, JOB_READY), 0);
}

static void a_key_of_a_damaged_record_is_free_again(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bad = add_keyed(fixture, 1, "k"), found;

    damage(fixture->store->env, bad, "x", 1);
    assert_int_equal(add_keyed(fixture, 2, "k"), bad + 1);
    assert_in_quarantine(fixture, bad, "x", 1);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "k", &found), 0);
    assert_int_equal(found, bad + 1);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(damaged_records_are_moved_away_at_the_start),       OPEN(a_record_of_another_job_is_damaged),
    OPEN(a_reader_that_meets_a_damaged_record_has_it_moved), OPEN(a_verb_on_a_damaged_record_does_not_hurt_the_others),
    OPEN(a_key_of_a_damaged_record_is_free_again),
};

UNIT_MAIN(tests);
