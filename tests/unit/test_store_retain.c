/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which finished jobs go, and which stay. */
#include "store_invariants.h"

#include <stdio.h>

#define DAY       (24 * 3600 * USEC_PER_SEC)
#define UNLIMITED UINT64_MAX

/* Ends COUNT jobs, AT microseconds behind FIXTURE_NOW. */
static void finish_many(struct fixture *fixture, enum command_type type, const uint64_t *ids, size_t count, uint64_t at,
                        const char *session_id)
{
    _cleanup_(command_free_p) struct command *command = command_new(type, count);

    assert_non_null(command);
    for (size_t i = 0; i < count; i++)
        command->items[i].id = ids[i];
    command->at.realtime_usec = FIXTURE_NOW + at;
    (void)snprintf(command->update.session.session_id, sizeof(command->update.session.session_id), "%s", session_id);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
}

static uint64_t add_finished(struct fixture *fixture, enum command_type type, uint64_t at, const char *session_id)
{
    uint64_t id = fixture_add(fixture, fixture_job(1));

    if (type == COMMAND_GONE)
        assert_int_equal(fixture_verb(fixture, VERB_CANCEL, id), 0);
    finish_many(fixture, type, &id, 1, at, session_id);
    return id;
}

static struct command *retain(struct fixture *fixture, uint64_t cutoff, uint64_t keep_jobs, struct retain_place after)
{
    struct command *command = command_new(COMMAND_RETAIN, 0);

    assert_non_null(command);
    command->at.realtime_usec = FIXTURE_NOW + 100 * DAY;
    command->retain = (struct retain_step){
        .cutoff_usec = cutoff == 0 ? 0 : FIXTURE_NOW + cutoff, .keep_jobs = keep_jobs, .after = after};
    return fixture_run(fixture, command);
}

/* Steps until there is no more. Returns how many jobs were touched. */
static size_t retain_all(struct fixture *fixture, uint64_t cutoff, uint64_t keep_jobs)
{
    struct retain_place after = {0};
    size_t touched = 0;
    bool more = true;

    while (more) {
        _cleanup_(command_free_p) struct command *step = retain(fixture, cutoff, keep_jobs, after);
        assert_int_equal(step->result, 0);
        assert_in_range(step->items_count, 0, STORE_BATCH_MAX);
        for (size_t i = 0; i < step->items_count; i++)
            assert_int_equal(step->items[i].result, 0);
        touched += step->items_count;
        after = step->retain.reached;
        more = step->retain.more;
    }
    assert_indexes_match(fixture);
    return touched;
}

static bool is_listed(struct fixture *fixture, uint64_t id)
{
    _cleanup_(job_free_p) struct job *job = NULL;

    return store_get(fixture->store, id, &job) == 0;
}

static void the_oldest_that_ended_well_make_room_for_the_newest(void **state)
{
    struct fixture *fixture = *state;
    uint64_t first = add_finished(fixture, COMMAND_DONE, 1, ""), failed = add_finished(fixture, COMMAND_FAIL, 2, ""),
             second = add_finished(fixture, COMMAND_GONE, 3, ""), third = add_finished(fixture, COMMAND_DONE, 4, ""),
             last = add_finished(fixture, COMMAND_DONE, 5, "");

    assert_int_equal(retain_all(fixture, 0, 4), 0);
    assert_int_equal(retain_all(fixture, 0, 3), 1);
    assert_false(is_listed(fixture, first));
    assert_int_equal(retain_all(fixture, 0, 2), 1);
    assert_false(is_listed(fixture, second));
    assert_true(is_listed(fixture, failed) && is_listed(fixture, third) && is_listed(fixture, last));
}

static void failed_jobs_count_for_nothing_but_their_age(void **state)
{
    struct fixture *fixture = *state;
    uint64_t failed = add_finished(fixture, COMMAND_FAIL, 0, "");

    for (unsigned i = 1; i <= 5; i++)
        (void)add_finished(fixture, COMMAND_FAIL, i, "");
    uint64_t done = add_finished(fixture, COMMAND_DONE, 9, "");
    assert_int_equal(retain_all(fixture, 0, 1), 0);
    assert_int_equal(retain_all(fixture, 1, 1), 1);
    assert_false(is_listed(fixture, failed));
    assert_true(is_listed(fixture, done));
    assert_int_equal(fixture_count(fixture, JOB_FAILED), 5);
}

static void what_finished_before_the_cutoff_goes_however_it_ended(void **state)
{
    struct fixture *fixture = *state;
    uint64_t at_cutoff;

    (void)add_finished(fixture, COMMAND_DONE, DAY - 3, "");
    (void)add_finished(fixture, COMMAND_FAIL, DAY - 2, "");
    (void)add_finished(fixture, COMMAND_GONE, DAY - 1, "");
    at_cutoff = add_finished(fixture, COMMAND_DONE, DAY, "");
    assert_int_equal(retain_all(fixture, DAY, UNLIMITED), 3);
    assert_true(is_listed(fixture, at_cutoff));
    assert_int_equal(retain_all(fixture, DAY + 1, UNLIMITED), 1);
    _cleanup_(command_free_p) struct command *none = retain(fixture, DAY + 1, 0, (struct retain_place){0});
    assert_int_equal(none->retain.oldest_usec, 0);
}

static void a_job_that_is_not_final_never_goes(void **state)
{
    struct fixture *fixture = *state;
    uint64_t ready = fixture_add(fixture, fixture_job(1)), paused = fixture_add(fixture, fixture_job(2)),
             retried = add_finished(fixture, COMMAND_FAIL, 0, "S"), cancelling = fixture_add(fixture, fixture_job(3));

    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, paused), 0);
    assert_int_equal(fixture_verb(fixture, VERB_RETRY, retried), 0);
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, cancelling), 0);
    assert_int_equal(retain_all(fixture, 1000 * DAY, 0), 0);
    assert_int_equal(fixture_state(fixture, ready), JOB_READY);
    assert_int_equal(fixture_state(fixture, paused), JOB_PAUSED);
    assert_int_equal(fixture_state(fixture, retried), JOB_READY);
    assert_int_equal(fixture_state(fixture, cancelling), JOB_CANCELLING);
}

static void a_failed_job_tells_its_server_before_it_goes(void **state)
{
    struct fixture *fixture = *state;
    uint64_t failed = add_finished(fixture, COMMAND_FAIL, 0, "S");
    _cleanup_(command_free_p) struct command *step = retain(fixture, 1, UNLIMITED, (struct retain_place){0});

    assert_int_equal(step->items_count, 1);
    assert_int_equal(step->items[0].before, JOB_FAILED);
    assert_int_equal(step->items[0].after->state, JOB_CANCELLING);
    assert_string_equal(step->items[0].after->session.session_id, "S");
    assert_int_equal(fixture_state(fixture, failed), JOB_CANCELLING);
    assert_int_equal(retain_all(fixture, 1, 0), 0);
    finish_many(fixture, COMMAND_GONE, &failed, 1, 5, "");
    assert_false(is_listed(fixture, failed));
}

static void a_step_says_when_the_oldest_that_is_left_finished(void **state)
{
    struct fixture *fixture = *state;

    (void)add_finished(fixture, COMMAND_DONE, DAY, "");
    (void)add_finished(fixture, COMMAND_FAIL, 2 * DAY, "");
    _cleanup_(command_free_p) struct command *before = retain(fixture, DAY, UNLIMITED, (struct retain_place){0});
    assert_int_equal(before->items_count, 0);
    assert_int_equal(before->retain.oldest_usec, FIXTURE_NOW + DAY);
    _cleanup_(command_free_p) struct command *after = retain(fixture, DAY + 1, UNLIMITED, (struct retain_place){0});
    assert_int_equal(after->items_count, 1);
    assert_null(after->items[0].after);
    assert_int_equal(after->retain.oldest_usec, FIXTURE_NOW + 2 * DAY);
    assert_false(after->retain.more || after->retain.too_many);
}

/* COUNT jobs in one add, all finished by TYPE at AT. */
static void add_many(struct fixture *fixture, size_t count, enum command_type type, uint64_t at)
{
    _cleanup_free_ struct job **jobs = calloc(count, sizeof(*jobs));
    _cleanup_free_ uint64_t *ids = calloc(count, sizeof(*ids));

    assert_true(jobs && ids);
    for (size_t i = 0; i < count; i++)
        jobs[i] = fixture_job((unsigned)i);
    _cleanup_(command_free_p) struct command *add = fixture_add_command(jobs, count, IF_EXISTS_FAIL);
    fixture_run(fixture, add);
    assert_int_equal(add->result, 0);
    for (size_t i = 0; i < count; i++)
        ids[i] = add->items[i].id;
    finish_many(fixture, type, ids, count, at, "");
}

static void a_step_is_bounded_and_the_next_one_goes_on_where_it_ended(void **state)
{
    struct fixture *fixture = *state;

    /* Those that stay count as well: a step that looks at them all is no step. */
    add_many(fixture, STORE_BATCH_MAX, COMMAND_FAIL, 1);
    add_many(fixture, STORE_BATCH_MAX + 1, COMMAND_DONE, 2);
    _cleanup_(command_free_p) struct command *one = retain(fixture, 0, 0, (struct retain_place){0});
    assert_int_equal(one->items_count, 0);
    assert_true(one->retain.more && one->retain.too_many);
    assert_int_equal(one->retain.reached.finished_usec, FIXTURE_NOW + 1);
    _cleanup_(command_free_p) struct command *two = retain(fixture, 0, 0, one->retain.reached);
    assert_int_equal(two->items_count, STORE_BATCH_MAX);
    assert_true(two->retain.more && two->retain.too_many);
    _cleanup_(command_free_p) struct command *three = retain(fixture, 0, 0, two->retain.reached);
    assert_int_equal(three->items_count, 1);
    assert_false(three->retain.more || three->retain.too_many);
    assert_int_equal(fixture_count(fixture, JOB_DONE), 0);
    assert_int_equal(fixture_count(fixture, JOB_FAILED), STORE_BATCH_MAX);
    assert_indexes_match(fixture);
}

static void the_next_look_for_room_begins_with_the_oldest_that_could_make_it(void **state)
{
    struct fixture *fixture = *state;
    uint64_t next, last;

    (void)add_finished(fixture, COMMAND_FAIL, 1, "");
    (void)add_finished(fixture, COMMAND_DONE, 2, "");
    next = add_finished(fixture, COMMAND_DONE, 3, "");
    last = add_finished(fixture, COMMAND_DONE, 4, "");
    _cleanup_(command_free_p) struct command *one = retain(fixture, 0, 2, (struct retain_place){0});
    assert_int_equal(one->items_count, 1);
    assert_int_equal(one->retain.reached.finished_usec, FIXTURE_NOW + 2);
    _cleanup_(command_free_p) struct command *two = retain(fixture, 0, 1, one->retain.reached);
    assert_int_equal(two->items_count, 1);
    assert_int_equal(two->items[0].id, next);
    assert_true(is_listed(fixture, last));
}

static void a_step_of_exactly_so_many_is_the_last(void **state)
{
    struct fixture *fixture = *state;

    add_many(fixture, STORE_BATCH_MAX, COMMAND_DONE, 1);
    _cleanup_(command_free_p) struct command *step = retain(fixture, 2, UNLIMITED, (struct retain_place){0});
    assert_int_equal(step->items_count, STORE_BATCH_MAX);
    assert_false(step->retain.more);
    assert_int_equal(step->retain.oldest_usec, 0);
}

static void a_record_that_cannot_be_read_stops_no_other(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bad = add_finished(fixture, COMMAND_DONE, 1, ""), good = add_finished(fixture, COMMAND_DONE, 2, "");
    struct lmdb_txn txn;
    struct schema_key key;

    schema_key_u64(&key, bad);
    lmdb_begin_write(fixture->store->env, &txn);
    lmdb_put(&txn, TABLE_JOBS, schema_key_bytes(&key), (struct lmdb_bytes){"x", 1});
    assert_int_equal(lmdb_commit(&txn), 0);
    _cleanup_(command_free_p) struct command *step = retain(fixture, DAY, UNLIMITED, (struct retain_place){0});
    assert_int_equal(step->result, 0);
    assert_int_equal(step->items_count, 1);
    assert_int_equal(step->items[0].id, good);
    /* The bytes are kept: nobody knows what the record said. */
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->report.quarantined, 1);
    assert_indexes_match(fixture);
}

static void a_step_that_was_not_written_can_be_taken_again(void **state)
{
    struct fixture *fixture = *state;
    struct command command = {.type = COMMAND_RETAIN, .at.realtime_usec = FIXTURE_NOW + 9};
    struct lmdb_txn txn;

    (void)add_finished(fixture, COMMAND_DONE, 1, "");
    command.retain = (struct retain_step){.cutoff_usec = FIXTURE_NOW + 2, .keep_jobs = UNLIMITED};
    for (unsigned i = 0; i < 2; i++) {
        lmdb_begin_write(fixture->store->env, &txn);
        apply_command(fixture->store, &txn, &command);
        assert_int_equal(command.result, 0);
        assert_int_equal(command.items_count, 1);
        lmdb_abort(&txn);
        apply_reset(&command);
        assert_int_equal(command.items_count, 0);
        assert_null(command.items);
        assert_int_equal(command.retain.reached.id, 0);
        assert_int_equal(command.retain.cutoff_usec, FIXTURE_NOW + 2);
    }
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(the_oldest_that_ended_well_make_room_for_the_newest),
    OPEN(failed_jobs_count_for_nothing_but_their_age),
    OPEN(what_finished_before_the_cutoff_goes_however_it_ended),
    OPEN(a_job_that_is_not_final_never_goes),
    OPEN(a_failed_job_tells_its_server_before_it_goes),
    OPEN(a_step_says_when_the_oldest_that_is_left_finished),
    OPEN(a_step_is_bounded_and_the_next_one_goes_on_where_it_ended),
    OPEN(the_next_look_for_room_begins_with_the_oldest_that_could_make_it),
    OPEN(a_step_of_exactly_so_many_is_the_last),
    OPEN(a_record_that_cannot_be_read_stops_no_other),
    OPEN(a_step_that_was_not_written_can_be_taken_again),
};

UNIT_MAIN(tests);
