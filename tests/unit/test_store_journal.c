/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal: one event for each change, numbered without a gap, bounded, and never without its change. */
#include "store_fixture.h"

#include "core/bulk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct story {
    char text[4096];
    size_t count;
    uint64_t last;
};

static int tell(const struct event *event, void *userdata)
{
    struct story *story = userdata;
    size_t length = strlen(story->text);

    if (story->last != 0)
        assert_int_equal(event->sequence, story->last + 1);
    story->last = event->sequence;
    story->count++;
    if (story->count <= 40 && event->job_id != 0)
        (void)snprintf(story->text + length, sizeof(story->text) - length, "%" PRIu64 " %s%s%s\n", event->job_id,
                       event_type_name(event->type), event->error_text ? ": " : "",
                       event->error_text ? event->error_text : "");
    else if (story->count <= 40)
        (void)snprintf(story->text + length, sizeof(story->text) - length, "%" PRIu64 " jobs %s\n", event->count,
                       event_type_name(event->type));
    return 0;
}

/* Everything behind AFTER; says whether something is missing. */
static struct story read_story(struct fixture *fixture, uint64_t after, bool *ret_gap)
{
    struct story story = {.count = 0};
    uint64_t next = after, before;
    bool gap;

    *ret_gap = false;
    do {
        before = next;
        assert_true(store_events(fixture->store, false, FIXTURE_OWNER, before, 1000, tell, &story, &next, &gap) >= 0);
        *ret_gap |= gap;
    } while (next != before);
    return story;
}

static void assert_story(struct fixture *fixture, uint64_t after, const char *expected)
{
    bool gap;
    struct story story = read_story(fixture, after, &gap);

    assert_false(gap);
    assert_string_equal(story.text, expected);
}

static void run(struct fixture *fixture, enum command_type type, uint64_t id, const char *error)
{
    _cleanup_(command_free_p) struct command *command = command_new(type, 1);

    command->items[0].id = id;
    command->at.realtime_usec = FIXTURE_NOW;
    command->update.started_usec = FIXTURE_NOW;
    command->update.next_attempt_usec = FIXTURE_NOW + 1;
    if (error)
        (void)snprintf(command->update.failure.text, sizeof(command->update.failure.text), "%s", error);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
}

static void the_life_of_a_job_is_told(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1));

    run(fixture, COMMAND_CHECKPOINT, id, NULL);
    run(fixture, COMMAND_CHECKPOINT, id, NULL); /* bytes that flow are no event */
    run(fixture, COMMAND_RETRY_AT, id, "503");
    run(fixture, COMMAND_RETRY_AT, id, "504");
    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, id), 0);
    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, id), 0); /* nor is what changes nothing */
    assert_int_equal(fixture_verb(fixture, VERB_RESUME, id), 0);
    run(fixture, COMMAND_FAIL, id, "403");
    assert_int_equal(fixture_verb(fixture, VERB_RETRY, id), 0);
    run(fixture, COMMAND_DONE, id, NULL);
    assert_int_equal(fixture_verb(fixture, VERB_REMOVE, id), 0);
    assert_story(fixture, 0,
                 "1 added\n1 started\n1 retrying: 503\n1 retrying: 504\n1 paused\n1 resumed\n1 failed: 403\n"
                 "1 retried\n1 done\n1 removed\n");
    assert_story(fixture, 7, "1 retried\n1 done\n1 removed\n");
    assert_story(fixture, 10, "");
}

static void numbers_go_on_after_a_crash(void **state)
{
    struct fixture *fixture = *state;

    fixture_add(fixture, fixture_job(1));
    fixture_close(fixture);
    fixture_open(fixture);
    fixture_add(fixture, fixture_job(2));
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, 1), 0);
    run(fixture, COMMAND_GONE, 1, NULL);
    assert_story(fixture, 1, "2 added\n1 cancelling\n1 cancelled\n");
}

static void add_many(struct fixture *fixture, unsigned count)
{
    struct job *jobs[STORE_BATCH_MAX];

    for (unsigned i = 0; i < count; i++)
        jobs[i] = fixture_job(i + 1);
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, count, IF_EXISTS_FAIL);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
}

static void a_command_over_many_jobs_is_one_event(void **state)
{
    struct fixture *fixture = *state;
    uint64_t ids[EVENTS_OF_COMMAND_MAX + 1];
    _cleanup_(command_free_p) struct command *begin = command_new(COMMAND_BULK_BEGIN, 0),
                                             *step = command_new(COMMAND_BULK_STEP, STORE_BATCH_MAX);

    for (size_t i = 0; i < ELEMENTS(ids); i++)
        ids[i] = i + 1;
    add_many(fixture, EVENTS_OF_COMMAND_MAX);
    add_many(fixture, EVENTS_OF_COMMAND_MAX + 1);
    assert_story(fixture, EVENTS_OF_COMMAND_MAX, "101 jobs added\n");
    for (size_t count = EVENTS_OF_COMMAND_MAX; count <= ELEMENTS(ids); count++) {
        _cleanup_(command_free_p) struct command *verb =
            fixture_verb_command(count == ELEMENTS(ids) ? VERB_RESUME : VERB_PAUSE, ids, count);
        fixture_run(fixture, verb);
    }
    assert_story(fixture, 200, "100 paused\n100 jobs resumed\n");
    begin->bulk = calloc(1, sizeof(*begin->bulk));
    begin->bulk->caller = FIXTURE_OWNER;
    begin->bulk->verb = VERB_CANCEL;
    begin->bulk_jobs = 201;
    fixture_run(fixture, begin);
    fixture_run(fixture, step);
    assert_int_equal(fixture_count(fixture, JOB_CANCELLED), 201);
    assert_story(fixture, 202, "201 jobs cancelling\n");
}

static void what_failed_is_not_told(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1));

    assert_int_equal(fixture_verb(fixture, VERB_RESUME, id), -EBUSY);
    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, 99), -ENOENT);
    fixture->store->jobs_max = 1;
    assert_int_equal(fixture_try_add(fixture, fixture_job(2), IF_EXISTS_FAIL), -EDQUOT);
    assert_story(fixture, 0, "1 added\n");
}

static void others_see_nothing_of_it(void **state)
{
    struct fixture *fixture = *state;
    struct story story = {.count = 0};
    uint64_t next = 0;
    bool gap;

    fixture_add(fixture, fixture_job(1));
    assert_int_equal(store_events(fixture->store, false, FIXTURE_OWNER + 1, 0, 10, tell, &story, &next, &gap), 0);
    assert_int_equal(next, 1);
    assert_int_equal(store_events(fixture->store, true, 0, 0, 10, tell, &story, &next, &gap), 1);
}

static size_t copy_event(struct lmdb_txn *txn, uint64_t sequence, char record[static 256])
{
    struct schema_key key;
    struct lmdb_bytes value;

    schema_key_u64(&key, sequence);
    assert_true(lmdb_get(txn, TABLE_EVENTS, schema_key_bytes(&key), &value) && value.size <= 256);
    memcpy(record, value.data, value.size);
    return value.size;
}

static void the_oldest_go_and_that_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct lmdb_txn txn;
    struct schema_key key;
    char record[256];
    bool gap;

    /* As if the same had happened so many times. */
    fixture_add(fixture, fixture_job(1));
    lmdb_begin_write(fixture->store->env, &txn);
    size_t size = copy_event(&txn, 1, record);
    for (uint64_t sequence = 2; sequence <= EVENTS_MAX; sequence++) {
        schema_key_u64(&key, sequence);
        lmdb_put(&txn, TABLE_EVENTS, schema_key_bytes(&key), (struct lmdb_bytes){record, size});
    }
    assert_int_equal(lmdb_commit(&txn), 0);
    (void)read_story(fixture, 0, &gap);
    assert_false(gap);
    fixture_add(fixture, fixture_job(2));
    lmdb_begin_read(fixture->store->env, &txn);
    assert_int_equal(lmdb_entries(&txn, TABLE_EVENTS), EVENTS_MAX);
    lmdb_abort(&txn);
    struct story story = read_story(fixture, 0, &gap);
    assert_true(gap);
    assert_int_equal(story.count, EVENTS_MAX);
    assert_int_equal(story.last, EVENTS_MAX + 1);
    (void)read_story(fixture, 1, &gap);
    assert_false(gap);
}

static void an_event_that_cannot_be_read_stops_no_other_and_is_a_gap(void **state)
{
    struct fixture *fixture = *state;
    struct story story = {.count = 0};
    struct schema_key key;
    struct lmdb_txn txn;
    uint64_t next;
    bool gap;

    for (unsigned i = 1; i <= 3; i++)
        fixture_add(fixture, fixture_job(i));
    lmdb_begin_write(fixture->store->env, &txn);
    schema_key_u64(&key, 2);
    lmdb_put(&txn, TABLE_EVENTS, schema_key_bytes(&key), (struct lmdb_bytes){"garbage", 7});
    assert_int_equal(lmdb_commit(&txn), 0);
    assert_int_equal(store_events(fixture->store, false, FIXTURE_OWNER, 1, 1, tell, &story, &next, &gap), 1);
    assert_string_equal(story.text, "3 added\n");
    assert_true(gap && next == 3);
    assert_int_equal(store_events(fixture->store, false, FIXTURE_OWNER, 3, 1, tell, &story, &next, &gap), 0);
    assert_false(gap);
}

static void a_number_from_a_lost_queue_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    bool gap;

    fixture_add(fixture, fixture_job(1));
    fixture_close(fixture);
    fixture_write_file(fixture, "queue/data.mdb", "", 0);
    fixture_open(fixture);
    assert_true(fixture->report.created);
    (void)read_story(fixture, 1, &gap);
    assert_true(gap);
    fixture_add(fixture, fixture_job(1));
    struct story story = read_story(fixture, 1, &gap);
    assert_true(gap && story.count == 1 && story.last >= FIXTURE_NOW);
    (void)read_story(fixture, story.last, &gap);
    assert_false(gap);
    (void)read_story(fixture, story.last + 1, &gap);
    assert_true(gap);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(the_life_of_a_job_is_told),
    OPEN(numbers_go_on_after_a_crash),
    OPEN(a_command_over_many_jobs_is_one_event),
    OPEN(what_failed_is_not_told),
    OPEN(others_see_nothing_of_it),
    OPEN(the_oldest_go_and_that_is_said),
    OPEN(an_event_that_cannot_be_read_stops_no_other_and_is_a_gap),
    OPEN(a_number_from_a_lost_queue_is_noticed),
};

UNIT_MAIN(tests);
