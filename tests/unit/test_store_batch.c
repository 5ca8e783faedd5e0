/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches in parts: nobody sees a job of one before all of them are there. */
#include "store_fixture.h"
#include "store_invariants.h"

#include "core/bulk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH 77 /* a number as the manager would choose it */

struct part {
    uint64_t batch, offset;
    bool is_last;
    size_t jobs;
    const char *key; /* of the first job */
    const char *group;
    enum job_state state;
    enum if_exists if_exists;
};

static struct command *new_part(const struct part *part)
{
    struct job *jobs[STORE_BATCH_MAX];

    for (size_t i = 0; i < part->jobs; i++) {
        jobs[i] = fixture_job(5); /* all queued in the same moment, as those of one call are */
        if (part->state != 0)
            jobs[i]->state = part->state;
        if (part->group)
            fixture_set(&jobs[i]->group, part->group);
        if (i == 0 && part->key)
            fixture_set(&jobs[i]->key, part->key);
    }
    struct command *command = fixture_add_command(jobs, part->jobs, part->if_exists);
    command->batch_id = part->batch;
    command->batch_offset = part->offset;
    command->batch_is_last = part->is_last;
    return command;
}

/* Returns the result, and the id of the first job. */
static int add_part(struct fixture *fixture, struct part part, uint64_t *ret_id)
{
    _cleanup_(command_free_p) struct command *command = new_part(&part);

    fixture_run(fixture, command);
    if (ret_id && command->result == 0)
        *ret_id = command->items[0].id;
    return command->result;
}

static int count_row(const struct job *job, void *userdata)
{
    (void)job;
    ++*(size_t *)userdata;
    return 0;
}

static size_t rows(struct fixture *fixture, const struct store_filter *filter)
{
    size_t count = 0;
    uint64_t next = 0;

    do {
        assert_true(store_query(fixture->store, filter, next, 1000, count_row, &count, &next) >= 0);
    } while (next != 0);
    return count;
}

static int count_heads(const struct store_lane *lane, const struct store_candidate *heads, size_t count, void *userdata)
{
    (void)lane, (void)heads;
    assert_true(count > 0);
    *(size_t *)userdata += count;
    return 0;
}

/* By every way that there is. */
static void assert_seen(struct fixture *fixture, size_t jobs)
{
    static const struct id_range range = {1, UINT64_MAX};
    size_t heads = 0;
    uint64_t counts[JOB_STATES], total = 0;

    assert_int_equal(rows(fixture, &(struct store_filter){.any_owner = true}), jobs);
    assert_int_equal(rows(fixture, &(struct store_filter){.owner = FIXTURE_OWNER}), jobs);
    assert_int_equal(rows(fixture, &(struct store_filter){.owner = FIXTURE_OWNER, .group = "night"}), jobs);
    assert_int_equal(rows(fixture, &(struct store_filter){.owner = FIXTURE_OWNER, .ranges = &range, .ranges_count = 1}),
                     jobs);
    assert_int_equal(store_lanes(fixture->store, 10000, count_heads, &heads), 0);
    assert_int_equal(heads, jobs);
    assert_int_equal(store_count(fixture->store, false, FIXTURE_OWNER, counts), 0);
    for (size_t i = 0; i < JOB_STATES; i++)
        total += counts[i];
    assert_int_equal(total, jobs);
}

static void a_batch_is_seen_when_its_last_part_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct part part = {.batch = BATCH, .jobs = 1000, .group = "night", .key = "first"};
    _cleanup_(job_free_p) struct job *job = NULL;
    uint64_t id = 0, found;

    assert_int_equal(add_part(fixture, part, &id), 0);
    part.key = NULL;
    part.offset = 1000;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    assert_seen(fixture, 0);
    assert_int_equal(store_get(fixture->store, id, &job), -ENOENT);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "first", &found), -ENOENT);
    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, id), -ENOENT);
    part.offset = 2000;
    part.jobs = 500;
    part.is_last = true;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    assert_seen(fixture, 2500);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "first", &found), 0);
    assert_int_equal(found, id);
    assert_indexes_match(fixture);
}

static void others_are_seen_beside_it(void **state)
{
    struct fixture *fixture = *state;
    struct part part = {.batch = BATCH, .jobs = 10, .group = "night"};

    for (unsigned i = 0; i < 5; i++) {
        part.offset = 10 * i;
        assert_int_equal(add_part(fixture, part, NULL), 0);
        assert_int_equal(add_part(fixture, (struct part){.jobs = 1, .group = "night"}, NULL), 0);
    }
    assert_seen(fixture, 5);
    part.offset = 50;
    part.is_last = true;
    part.state = JOB_PAUSED;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    assert_int_equal(fixture_count(fixture, JOB_READY), 55);
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), 10);
    assert_indexes_match(fixture);
}

static bool drop(struct fixture *fixture, uint64_t batch)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_BATCH_DROP, 0);

    command->batch_id = batch;
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    return command->batch_is_left;
}

static void what_never_became_whole_is_taken_back_after_a_crash(void **state)
{
    struct fixture *fixture = *state;
    struct part part = {.batch = BATCH, .jobs = 1000, .group = "night", .key = "first"};
    uint64_t batches[4], id = 0, next = 0;

    assert_int_equal(add_part(fixture, part, &id), 0);
    part.offset = 1000;
    part.key = NULL;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 3, .group = "night"}, NULL), 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->report.jobs, 3);
    assert_seen(fixture, 3);
    assert_int_equal(store_batches(fixture->store, batches, 4), 1);
    assert_int_equal(batches[0], BATCH);
    assert_true(drop(fixture, BATCH));
    fixture_close(fixture); /* and another one in between */
    fixture_open(fixture);
    assert_seen(fixture, 3);
    while (drop(fixture, BATCH))
        assert_seen(fixture, 3);
    assert_int_equal(store_batches(fixture->store, batches, 4), 0);
    assert_indexes_match(fixture);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 1, .key = "first"}, &next), 0);
    assert_true(next > id + 2000); /* ids are not used again */
    assert_false(drop(fixture, 1234));
}

static void a_missing_part_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct part part = {.batch = BATCH, .jobs = 10, .offset = 10};

    assert_int_equal(add_part(fixture, part, NULL), -ESTALE);
    part.offset = 0;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    part.offset = 20;
    part.is_last = true;
    assert_int_equal(add_part(fixture, part, NULL), -ESTALE);
    part.offset = 0;
    assert_int_equal(add_part(fixture, part, NULL), -ESTALE);
    part.offset = 10;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    assert_int_equal(fixture_count(fixture, JOB_READY), 20);
}

static void a_key_within_a_batch_belongs_to_it(void **state)
{
    struct fixture *fixture = *state;
    struct part part = {.batch = BATCH, .jobs = 2, .key = "mine"};
    uint64_t old = fixture_add(fixture, fixture_job(5)), kept = 0;

    (void)old;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    part.offset = 2;
    assert_int_equal(add_part(fixture, part, NULL), -EEXIST);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 1, .key = "mine"}, NULL), -EEXIST);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 1, .key = "other"}, &kept), 0);
    part.key = "other"; /* the same file for the same URL: it is there already */
    part.is_last = true;
    uint64_t again = 0;
    assert_int_equal(add_part(fixture, part, &again), 0);
    assert_int_equal(again, kept);
    assert_int_equal(fixture_count(fixture, JOB_READY), 1 + 2 + 1 + 1);
    assert_indexes_match(fixture);
}

static void jobs_that_nobody_sees_count_for_the_bound(void **state)
{
    struct fixture *fixture = *state;
    struct part part = {.batch = BATCH, .jobs = 10};

    fixture->options.jobs_max = 1000;
    fixture->options.jobs_max_per_user = 15;
    fixture_open(fixture);
    assert_int_equal(add_part(fixture, part, NULL), 0);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 6}, NULL), -EUSERS);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 5}, NULL), 0);
    part.offset = 10;
    part.jobs = 1;
    part.is_last = true;
    assert_int_equal(add_part(fixture, part, NULL), -EUSERS);
    (void)drop(fixture, BATCH);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 10}, NULL), 0);
}

static void a_verb_over_many_passes_by_what_is_not_whole_yet(void **state)
{
    struct fixture *fixture = *state;
    struct part part = {.batch = BATCH, .jobs = 1000};
    _cleanup_(command_free_p) struct command *begin = command_new(COMMAND_BULK_BEGIN, 0);
    uint32_t verbs;
    size_t count = 1;

    assert_int_equal(add_part(fixture, part, NULL), 0);
    assert_int_equal(add_part(fixture, (struct part){.jobs = 3}, NULL), 0);
    begin->bulk = calloc(1, sizeof(*begin->bulk));
    assert_non_null(begin->bulk);
    begin->bulk->caller = FIXTURE_OWNER;
    begin->bulk->verb = VERB_PAUSE;
    fixture_run(fixture, begin);
    assert_int_equal(begin->result, 0);
    part.offset = 1000;
    part.jobs = 1;
    part.is_last = true;
    assert_int_equal(add_part(fixture, part, NULL), 0);
    while (count > 0) {
        _cleanup_(command_free_p) struct command *step = command_new(COMMAND_BULK_STEP, STORE_BATCH_MAX);
        fixture_run(fixture, step);
        assert_int_equal(store_bulks(fixture->store, &count, &verbs), 0);
    }
    assert_int_equal(fixture_count(fixture, JOB_PAUSED), 3);
    assert_int_equal(fixture_count(fixture, JOB_READY), 1001);
}

#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define OPEN(test)   cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(a_batch_is_seen_when_its_last_part_is_there),
    OPEN(others_are_seen_beside_it),
    OPEN(what_never_became_whole_is_taken_back_after_a_crash),
    OPEN(a_missing_part_is_noticed),
    OPEN(a_key_within_a_batch_belongs_to_it),
    CLOSED(jobs_that_nobody_sees_count_for_the_bound),
    OPEN(a_verb_over_many_passes_by_what_is_not_whole_yet),
};

UNIT_MAIN(tests);
