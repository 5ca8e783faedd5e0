/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs over many jobs: the intent, its steps, kills in between, and commands that come meanwhile. */
#include "store_fixture.h"
#include "store_invariants.h"

#include "core/bulk.h"

#include <errno.h>
#include <string.h>

#define JOBS 2500 /* three steps */

static void fill(struct fixture *fixture, unsigned count)
{
    struct job *jobs[STORE_BATCH_MAX];
    unsigned added = 0;

    while (added < count) {
        unsigned chunk = 0;
        for (; chunk < STORE_BATCH_MAX && added < count; chunk++, added++) {
            jobs[chunk] = fixture_job(added + 1);
            fixture_set(&jobs[chunk]->group, added % 10 == 0 ? "tenth" : "default");
        }
        _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, chunk, IF_EXISTS_FAIL);
        fixture_run(fixture, command);
        assert_int_equal(command->result, 0);
    }
}

static struct bulk *new_bulk(enum job_verb verb)
{
    struct bulk *bulk = calloc(1, sizeof(*bulk));

    assert_non_null(bulk);
    bulk->caller = FIXTURE_OWNER;
    bulk->verb = verb;
    return bulk;
}

static int begin(struct fixture *fixture, struct bulk *bulk)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_BULK_BEGIN, 0);

    assert_non_null(command);
    command->bulk = bulk;
    command->at.realtime_usec = FIXTURE_NOW;
    fixture_run(fixture, command);
    return command->result;
}

/* Returns how many jobs it changed. */
static size_t step(struct fixture *fixture)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_BULK_STEP, STORE_BATCH_MAX);
    size_t changed = 0;

    assert_non_null(command);
    command->at.realtime_usec = FIXTURE_NOW;
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    for (size_t i = 0; i < command->items_count; i++)
        changed += command->items[i].result == 0;
    return changed;
}

static size_t pending(struct fixture *fixture)
{
    uint32_t verbs;
    size_t count;

    assert_int_equal(store_bulks(fixture->store, &count, &verbs), 0);
    return count;
}

static void finish(struct fixture *fixture)
{
    for (unsigned steps = 0; pending(fixture) > 0; steps++) {
        assert_true(steps < 20);
        (void)step(fixture);
    }
}

static int ignore_row(const struct job *job, void *userdata)
{
    (void)job, (void)userdata;
    return 0;
}

static void reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

static void all_jobs_are_reached_whatever_breaks_in_between(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, JOBS);
    assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), 0);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), 0);
    reopen(fixture);
    assert_int_equal(step(fixture), STORE_BATCH_MAX);
    reopen(fixture);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), STORE_BATCH_MAX);
    assert_int_equal(pending(fixture), 1);
    finish(fixture);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), JOBS);
    assert_indexes_match(fixture);
    assert_int_equal(step(fixture), 0); /* of nothing */
}

static void jobs_that_come_later_are_not_meant(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, JOBS);
    assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), 0);
    uint64_t later = fixture_add(fixture, fixture_job(9999));
    finish(fixture);
    assert_int_equal(fixture_state(fixture, later), JOB_READY);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), JOBS);
}

static void a_group_and_ranges_select(void **state)
{
    static const struct id_range ranges[] = {{100, 199}, {2400, 2500}};
    struct fixture *fixture = *state;
    struct bulk *bulk = new_bulk(VERB_PAUSE);

    fill(fixture, JOBS);
    bulk->group = strdup("tenth");
    assert_int_equal(begin(fixture, bulk), 0);
    finish(fixture);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), JOBS / 10);
    bulk = new_bulk(VERB_CANCEL);
    bulk->ranges = malloc(sizeof(ranges));
    assert_non_null(bulk->ranges);
    memcpy(bulk->ranges, ranges, sizeof(ranges));
    bulk->ranges_count = ELEMENTS(ranges);
    assert_int_equal(begin(fixture, bulk), 0);
    reopen(fixture);
    finish(fixture);
    assert_int_equal(fixture_count(fixture, JOB_CANCELLED), 201);
    assert_indexes_match(fixture);
}

/* To everybody the verb counts from its reply on. */
static void a_command_that_comes_meanwhile_finds_the_jobs_as_they_will_be(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, JOBS);
    assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), 0);
    assert_int_equal(fixture_verb(fixture, VERB_RESUME, 2000), 0);
    assert_int_equal(fixture_state(fixture, 2000), JOB_READY);
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, 2001), 0);
    reopen(fixture);
    finish(fixture);
    assert_int_equal(fixture_state(fixture, 2000), JOB_READY);
    assert_int_equal(fixture_state(fixture, 2001), JOB_CANCELLING);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), JOBS - 2);
    assert_indexes_match(fixture);
}

static void what_is_not_allowed_meanwhile_changes_nothing(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, JOBS);
    assert_int_equal(begin(fixture, new_bulk(VERB_CANCEL)), 0);
    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, 2000), -EBUSY);
    finish(fixture);
    assert_int_equal(fixture_count(fixture, JOB_CANCELLED), JOBS);
}

static uint64_t count_rows(struct fixture *fixture, enum job_state state)
{
    struct store_filter filter = {.owner = FIXTURE_OWNER, .states = 1U << state};
    uint64_t rows = 0, next = 0;

    do {
        int r = store_query(fixture->store, &filter, next, 1000, ignore_row, NULL, &next);
        assert_true(r >= 0);
        rows += (uint64_t)r;
    } while (next != 0);
    return rows;
}

static void readers_find_the_jobs_as_they_will_be(void **state)
{
    struct fixture *fixture = *state;
    struct bulk *bulk = new_bulk(VERB_REMOVE);
    _cleanup_(job_free_p) struct job *job = NULL;

    fill(fixture, JOBS);
    assert_int_equal(begin(fixture, new_bulk(VERB_CANCEL)), 0);
    assert_int_equal(fixture_state(fixture, 2000), JOB_CANCELLED);
    assert_int_equal(count_rows(fixture, JOB_CANCELLED), JOBS);
    assert_int_equal(count_rows(fixture, JOB_READY), 0);
    (void)step(fixture);
    assert_int_equal(count_rows(fixture, JOB_CANCELLED), JOBS);
    bulk->states = 1U << JOB_CANCELLED;
    assert_int_equal(begin(fixture, bulk), 0);
    assert_int_equal(count_rows(fixture, JOB_CANCELLED), 0);
    assert_int_equal(store_get(fixture->store, 2000, &job), -ENOENT);
    finish(fixture);
    assert_int_equal(fixture_count(fixture, JOB_CANCELLED), 0);
    assert_indexes_match(fixture);
}

static struct job *job_with_key(void)
{
    struct job *job = fixture_job(1);

    fixture_set(&job->key, "mine");
    return job;
}

static uint64_t find_mine(struct fixture *fixture)
{
    uint64_t id;

    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "mine", &id), 0);
    return id;
}

/* The old job, which its turn has not come to, must not be the answer, nor take the new one's key with it. */
static void a_key_of_a_job_that_is_being_removed_is_free(void **state)
{
    struct fixture *fixture = *state;
    uint64_t old;

    fill(fixture, JOBS);
    old = fixture_add(fixture, job_with_key());
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, old), 0);
    _cleanup_(command_free_p) struct command *gone = command_new(COMMAND_GONE, 1);
    gone->items[0].id = old;
    fixture_run(fixture, gone);
    assert_int_equal(begin(fixture, new_bulk(VERB_REMOVE)), 0);
    assert_int_equal(fixture_try_add(fixture, job_with_key(), IF_EXISTS_KEEP), 0);
    assert_true(find_mine(fixture) > old);
    finish(fixture);
    assert_true(find_mine(fixture) > old);
    assert_int_equal(fixture_state(fixture, find_mine(fixture)), JOB_READY);
    assert_indexes_match(fixture);
}

static void a_job_that_lost_its_key_meanwhile_is_not_brought_back(void **state)
{
    struct fixture *fixture = *state;
    uint64_t old;

    fill(fixture, JOBS);
    old = fixture_add(fixture, job_with_key());
    _cleanup_(command_free_p) struct command *failed = command_new(COMMAND_FAIL, 1);
    failed->items[0].id = old;
    fixture_run(fixture, failed);
    assert_int_equal(begin(fixture, new_bulk(VERB_RETRY)), 0);
    assert_int_equal(fixture_try_add(fixture, job_with_key(), IF_EXISTS_REPLACE), 0);
    _cleanup_(command_free_p) struct command *gone = command_new(COMMAND_GONE, 1);
    gone->items[0].id = old;
    fixture_run(fixture, gone);
    finish(fixture);
    assert_int_equal(fixture_state(fixture, old), JOB_CANCELLED);
    assert_indexes_match(fixture);
}

static void commands_over_many_jobs_keep_their_order(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, JOBS);
    assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), 0);
    assert_int_equal(begin(fixture, new_bulk(VERB_RESUME)), 0);
    assert_int_equal(pending(fixture), 2);
    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, 1500), 0); /* after both */
    finish(fixture);
    assert_int_equal(fixture_count(fixture, JOB_READY), JOBS - 1);
    assert_int_equal(fixture_state(fixture, 1500), JOB_PAUSED);
    assert_indexes_match(fixture);
}

static void settings_change_for_all(void **state)
{
    struct fixture *fixture = *state;
    struct bulk *bulk = new_bulk(VERB_SET);
    _cleanup_(job_free_p) struct job *job = NULL;

    fill(fixture, JOBS);
    bulk->change = (struct job_change){.has_priority = true, .priority = PRIORITY_LOW, .group = strdup("night")};
    bulk->change.access.texts[ACCESS_PROXY] = strdup("http://proxy.example:3128");
    bulk->change.hooks[HOOK_FAILED] = strdup("failed@.service");
    bulk->change.options_given = CHANGE_RATE | CHANGE_NOT_BEFORE | CHANGE_DEADLINE | CHANGE_SOURCE_CHANGED |
                                 CHANGE_NETWORK | CHANGE_POWER | CHANGE_WINDOW;
    bulk->change.options = (struct job_options){
        .rate_bytes = 1000,
        .not_before_usec = FIXTURE_NOW + 1,
        .deadline_usec = FIXTURE_NOW + 2,
        .source_restart = true,
        .policy = {.network = NETWORK_UNMETERED, .power = POWER_AC, .window = "22:00-06:00"},
    };
    assert_int_equal(begin(fixture, bulk), 0);
    reopen(fixture);
    finish(fixture);
    assert_int_equal(store_get(fixture->store, JOBS, &job), 0);
    assert_int_equal(job->priority, PRIORITY_LOW);
    assert_string_equal(job->group, "night");
    assert_string_equal(job->access.texts[ACCESS_PROXY], "http://proxy.example:3128");
    assert_null(job->hooks[HOOK_DONE]);
    assert_string_equal(job->hooks[HOOK_FAILED], "failed@.service");
    assert_int_equal(job->options.rate_bytes, 1000);
    assert_int_equal(job->options.not_before_usec, FIXTURE_NOW + 1);
    assert_int_equal(job->options.deadline_usec, FIXTURE_NOW + 2);
    assert_true(job->options.source_restart);
    assert_int_equal(job->options.policy.network, NETWORK_UNMETERED);
    assert_int_equal(job->options.policy.power, POWER_AC);
    assert_string_equal(job->options.policy.window, "22:00-06:00");
    assert_indexes_match(fixture);
}

static void what_is_removed_is_gone_with_every_trace(void **state)
{
    struct fixture *fixture = *state;
    struct bulk *bulk = new_bulk(VERB_REMOVE);

    fill(fixture, JOBS);
    for (uint64_t id = 1; id <= JOBS; id++) {
        _cleanup_(command_free_p) struct command *done = command_new(COMMAND_DONE, 1);
        done->items[0].id = id;
        done->at.realtime_usec = FIXTURE_NOW + id;
        fixture_run(fixture, done);
    }
    bulk->states = 1U << JOB_DONE;
    assert_int_equal(begin(fixture, bulk), 0);
    assert_int_equal(fixture_verb(fixture, VERB_REMOVE, 2000), -ENOENT); /* as good as gone */
    finish(fixture);
    assert_int_equal(fixture_count(fixture, JOB_DONE), 0);
    assert_indexes_match(fixture);
}

static void there_is_a_bound_to_what_is_under_way(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, 1);
    for (unsigned i = 0; i < BULKS_MAX; i++)
        assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), 0);
    assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), -EAGAIN);
    (void)step(fixture);
    assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), 0);
}

static void an_intent_that_cannot_be_read_is_dropped_and_said(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_BULK_STEP, STORE_BATCH_MAX);
    struct schema_key key;
    struct lmdb_txn txn;

    fill(fixture, 3);
    assert_int_equal(begin(fixture, new_bulk(VERB_PAUSE)), 0);
    schema_key_u64(&key, 1);
    key.bytes[key.size++] = 0;
    lmdb_begin_write(fixture->store->env, &txn);
    lmdb_put(&txn, TABLE_BULKS, schema_key_bytes(&key), (struct lmdb_bytes){"garbage", 7});
    assert_int_equal(lmdb_commit(&txn), 0);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    assert_true(command->bulk_was_lost);
    assert_int_equal(command->items_count, 0);
    assert_int_equal(pending(fixture), 0);
    assert_int_equal(fixture_count(fixture, JOB_READY), 3);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(all_jobs_are_reached_whatever_breaks_in_between),
    OPEN(jobs_that_come_later_are_not_meant),
    OPEN(a_group_and_ranges_select),
    OPEN(a_command_that_comes_meanwhile_finds_the_jobs_as_they_will_be),
    OPEN(what_is_not_allowed_meanwhile_changes_nothing),
    OPEN(readers_find_the_jobs_as_they_will_be),
    OPEN(a_key_of_a_job_that_is_being_removed_is_free),
    OPEN(a_job_that_lost_its_key_meanwhile_is_not_brought_back),
    OPEN(commands_over_many_jobs_keep_their_order),
    OPEN(settings_change_for_all),
    OPEN(what_is_removed_is_gone_with_every_trace),
    OPEN(there_is_a_bound_to_what_is_under_way),
    OPEN(an_intent_that_cannot_be_read_is_dropped_and_said),
};

UNIT_MAIN(tests);
