/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooks in the queue: pending from the end of the job on, until they are said to be delivered. */
#include "store_fixture.h"
#include "store_invariants.h"

#include "store/hook.h"
#include "store/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t add(struct fixture *fixture, unsigned number)
{
    struct job *job = fixture_job(number);

    fixture_set(&job->hooks[HOOK_DONE], "done@.service");
    fixture_set(&job->hooks[HOOK_FAILED], "failed.service");
    return fixture_add(fixture, job);
}

/* Ends job ID; returns what became of its hook. */
static int end(struct fixture *fixture, enum command_type type, uint64_t id)
{
    _cleanup_(command_free_p) struct command *command = command_new(type, 1);

    command->items[0].id = id;
    command->at.realtime_usec = FIXTURE_NOW;
    assert_int_equal(fixture_run(fixture, command)->result, 0);
    return command->items[0].hook;
}

static void deliver(struct fixture *fixture, uint64_t sequence)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_HOOK_DONE, 0);

    command->hook_sequence = sequence;
    assert_int_equal(fixture_run(fixture, command)->result, 0);
}

struct listing {
    char text[512];
    size_t count, unknown;
    uint64_t last;
};

static int take_hook(const struct hook *hook, bool is_known, void *userdata)
{
    struct listing *listing = userdata;
    size_t length = strlen(listing->text);

    listing->count++;
    listing->unknown += !is_known;
    listing->last = hook->sequence;
    if (listing->count <= 8)
        (void)snprintf(listing->text + length, sizeof(listing->text) - length, "%u:%u %s %s\n",
                       (unsigned)hook->sequence, (unsigned)hook->job_id, hook_outcome_name(hook->outcome), hook->unit);
    return 0;
}

static struct listing list(struct fixture *fixture, uint64_t after, size_t limit)
{
    struct listing listing = {.count = 0};

    assert_true(store_hooks(fixture->store, after, limit, take_hook, &listing) >= 0);
    return listing;
}

static void assert_pending(struct fixture *fixture, const char *expected)
{
    struct listing listing = list(fixture, 0, 100);

    assert_string_equal(listing.text, expected);
}

static void the_end_of_a_job_and_its_hook_are_durable_together(void **state)
{
    struct fixture *fixture = *state;

    uint64_t a = add(fixture, 1), b = add(fixture, 2);
    assert_pending(fixture, "");
    assert_int_equal(end(fixture, COMMAND_DONE, a), 1);
    assert_int_equal(end(fixture, COMMAND_FAIL, b), 1);
    assert_pending(fixture, "3:1 done done@.service\n4:2 failed failed.service\n");
    fixture_close(fixture);
    fixture_open(fixture);
    assert_pending(fixture, "3:1 done done@.service\n4:2 failed failed.service\n");
    deliver(fixture, 3);
    assert_pending(fixture, "4:2 failed failed.service\n");
    assert_indexes_match(fixture);
}

static void an_end_that_comes_twice_has_one_hook(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add(fixture, 1);

    assert_int_equal(end(fixture, COMMAND_DONE, id), 1);
    assert_int_equal(end(fixture, COMMAND_DONE, id), 0);
    assert_int_equal(end(fixture, COMMAND_FAIL, id), 0);
    assert_int_equal(list(fixture, 0, 100).count, 1);
}

static void each_end_of_a_job_that_is_retried_is_one(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add(fixture, 1);

    assert_int_equal(end(fixture, COMMAND_FAIL, id), 1);
    assert_int_equal(fixture_verb(fixture, VERB_RETRY, id), 0);
    assert_int_equal(end(fixture, COMMAND_DONE, id), 1);
    assert_pending(fixture, "2:1 failed failed.service\n4:1 done done@.service\n");
}

static void a_job_without_a_hook_and_a_cancelled_one_have_none(void **state)
{
    struct fixture *fixture = *state;
    uint64_t plain = fixture_add(fixture, fixture_job(1)), cancelled = add(fixture, 2), gone = add(fixture, 3);

    assert_int_equal(end(fixture, COMMAND_DONE, plain), 0);
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, cancelled), 0);
    assert_int_equal(end(fixture, COMMAND_FAIL, cancelled), 0);
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, gone), 0);
    assert_int_equal(end(fixture, COMMAND_GONE, gone), 0);
    assert_pending(fixture, "");
}

static void removing_the_job_leaves_its_hook(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add(fixture, 1);

    assert_int_equal(end(fixture, COMMAND_DONE, id), 1);
    assert_int_equal(fixture_verb(fixture, VERB_REMOVE, id), 0);
    assert_pending(fixture, "2:1 done done@.service\n");
}

static void a_deadline_that_is_missed_is_a_failure_with_its_hook(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(command_free_p) struct command *expire = command_new(COMMAND_EXPIRE, 0);
    struct job *job = fixture_job(1);

    job->options.deadline_usec = FIXTURE_NOW + 1;
    fixture_set(&job->hooks[HOOK_FAILED], "failed.service");
    (void)fixture_add(fixture, job);
    expire->at.realtime_usec = FIXTURE_NOW + 2;
    assert_int_equal(fixture_run(fixture, expire)->result, 0);
    assert_int_equal(expire->items_count, 1);
    assert_int_equal(expire->items[0].hook, 1);
    assert_pending(fixture, "2:1 failed failed.service\n");
}

/* As if so many ends of jobs had come before. */
static void fill(struct fixture *fixture, uint64_t count)
{
    _cleanup_(job_free_p) struct job *job = fixture_job(1);
    struct lmdb_txn txn;

    job->id = 7;
    job->state = JOB_DONE;
    fixture_set(&job->hooks[HOOK_DONE], "done@.service");
    lmdb_begin_write(fixture->store->env, &txn);
    for (uint64_t i = 1; i <= count; i++)
        assert_int_equal(hook_note(&txn, i * 1000000, job), 1);
    assert_int_equal(lmdb_commit(&txn), 0);
}

static void beyond_the_bound_a_job_ends_without_its_hook(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = add(fixture, 1), beyond = add(fixture, 2), after = add(fixture, 3);

    fill(fixture, HOOKS_PENDING_MAX - 1);
    assert_int_equal(end(fixture, COMMAND_DONE, last), 1);
    assert_int_equal(end(fixture, COMMAND_DONE, beyond), -EDQUOT);
    assert_int_equal(fixture_state(fixture, beyond), JOB_DONE);
    assert_int_equal(list(fixture, 0, HOOKS_PENDING_MAX + 1).count, HOOKS_PENDING_MAX);
    deliver(fixture, 1000000);
    assert_int_equal(end(fixture, COMMAND_DONE, after), 1);
}

static void pages_go_on_behind_the_last_one(void **state)
{
    struct fixture *fixture = *state;
    struct listing page;

    fill(fixture, 5);
    page = list(fixture, 0, 3);
    assert_int_equal(page.count, 3);
    page = list(fixture, page.last, 3);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.last, 5000000);
    assert_int_equal(list(fixture, page.last, 3).count, 0);
}

static void one_that_cannot_be_read_stops_no_other(void **state)
{
    struct fixture *fixture = *state;
    struct schema_key key;
    struct lmdb_txn txn;

    fill(fixture, 3);
    lmdb_begin_write(fixture->store->env, &txn);
    schema_key_u64(&key, 2000000);
    lmdb_put(&txn, TABLE_HOOKS, schema_key_bytes(&key), (struct lmdb_bytes){"garbage", 7});
    assert_int_equal(lmdb_commit(&txn), 0);
    struct listing all = list(fixture, 0, 100);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.unknown, 1);
    assert_non_null(strstr(all.text, "2000000:0"));
    deliver(fixture, 2000000);
    assert_int_equal(list(fixture, 0, 100).unknown, 0);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(the_end_of_a_job_and_its_hook_are_durable_together),
    OPEN(an_end_that_comes_twice_has_one_hook),
    OPEN(each_end_of_a_job_that_is_retried_is_one),
    OPEN(a_job_without_a_hook_and_a_cancelled_one_have_none),
    OPEN(removing_the_job_leaves_its_hook),
    OPEN(a_deadline_that_is_missed_is_a_failure_with_its_hook),
    OPEN(beyond_the_bound_a_job_ends_without_its_hook),
    OPEN(pages_go_on_behind_the_last_one),
    OPEN(one_that_cannot_be_read_stops_no_other),
};

UNIT_MAIN(tests);
