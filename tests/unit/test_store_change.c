/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys, verbs, and what attempts report. */
#include "store_fixture.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static struct job *keyed_job(unsigned number, const char *key)
{
    struct job *job = fixture_job(number);

    fixture_set(&job->key, key);
    return job;
}

static void a_key_finds_its_job_per_owner(void **state)
{
    struct fixture *fixture = *state;
    struct job *other = keyed_job(2, "nightly");
    uint64_t mine = fixture_add(fixture, keyed_job(1, "nightly")), theirs, found;

    other->owner = FIXTURE_OWNER + 1;
    theirs = fixture_add(fixture, other);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "nightly", &found), 0);
    assert_int_equal(found, mine);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER + 1, "nightly", &found), 0);
    assert_int_equal(found, theirs);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "night", &found), -ENOENT);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "", &found), -ENOENT);
}

static void adding_the_same_twice_answers_with_the_first(void **state)
{
    struct fixture *fixture = *state;
    uint64_t first = fixture_add(fixture, keyed_job(1, "k"));
    struct job *jobs[2] = {fixture_job(7), keyed_job(1, "k")};
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, 2, IF_EXISTS_KEEP);

    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, first), 0);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    assert_int_equal(command->items_count, 2);
    assert_int_equal(command->items[0].id, first + 1);
    assert_int_equal(command->items[1].id, first);
    assert_int_equal(command->items[1].before, JOB_PAUSED);
    assert_null(command->items[1].after);
    assert_int_equal(fixture_count(fixture, JOB_READY) + fixture_count(fixture, JOB_PAUSED), 2);
}

static void a_key_that_is_taken_by_another_upload_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct job *other_url = keyed_job(1, "k"), *other_file = keyed_job(1, "k");
    struct job *jobs[2] = {fixture_job(5), keyed_job(6, "k")};

    fixture_add(fixture, keyed_job(1, "k"));
    fixture_set(&other_url->url, "https://up.example/in/other");
    fixture_set(&other_file->source, "/data/other");
    assert_int_equal(fixture_try_add(fixture, other_url, IF_EXISTS_KEEP), -EEXIST);
    assert_int_equal(fixture_try_add(fixture, other_file, IF_EXISTS_KEEP), -EEXIST);
    assert_int_equal(fixture_try_add(fixture, keyed_job(1, "k"), IF_EXISTS_FAIL), -EEXIST);
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, 2, IF_EXISTS_FAIL);
    fixture_run(fixture, command);
    assert_int_equal(command->result, -EEXIST);
    assert_int_equal(command->failed_job, 1);
    assert_int_equal(fixture_count(fixture, JOB_READY), 1);
}

static void replacing_cancels_the_job_that_holds_the_key(void **state)
{
    struct fixture *fixture = *state;
    uint64_t old = fixture_add(fixture, keyed_job(1, "k")), found;
    struct job *new_job = keyed_job(2, "k");
    _cleanup_(job_free_p) struct job *stored = NULL;
    _cleanup_(command_free_p) struct command *command = fixture_add_command(&new_job, 1, IF_EXISTS_REPLACE);

    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    assert_int_equal(command->items_count, 2);
    assert_int_equal(command->items[0].id, old + 1);
    assert_int_equal(command->items[1].id, old);
    assert_int_equal(command->items[1].before, JOB_READY);
    assert_int_equal(command->items[1].after->state, JOB_CANCELLING);
    assert_null(command->items[1].after->key);
    assert_int_equal(store_get(fixture->store, old, &stored), 0);
    assert_jobs_equal(stored, command->items[1].after);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "k", &found), 0);
    assert_int_equal(found, old + 1);
}

static void replacing_a_job_that_is_over_only_takes_its_key(void **state)
{
    struct fixture *fixture = *state;
    uint64_t old = fixture_add(fixture, keyed_job(1, "k"));
    _cleanup_(command_free_p) struct command *done = command_new(COMMAND_DONE, 1);
    _cleanup_(job_free_p) struct job *stored = NULL;

    done->items[0].id = old;
    done->at.realtime_usec = FIXTURE_NOW;
    fixture_run(fixture, done);
    assert_int_equal(fixture_try_add(fixture, keyed_job(2, "k"), IF_EXISTS_REPLACE), 0);
    assert_int_equal(store_get(fixture->store, old, &stored), 0);
    assert_int_equal(stored->state, JOB_DONE);
    assert_null(stored->key);
}

static void two_jobs_of_one_command_cannot_share_a_key(void **state)
{
    struct fixture *fixture = *state;
    struct job *jobs[4] = {keyed_job(1, "a"), keyed_job(2, "b"), fixture_job(3), keyed_job(4, "a")};
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, 4, IF_EXISTS_REPLACE);

    fixture_run(fixture, command);
    assert_int_equal(command->result, -EEXIST);
    assert_int_equal(command->failed_job, 3);
    assert_int_equal(fixture_count(fixture, JOB_READY), 0);
}

static void a_key_is_free_once_its_job_is_removed(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, keyed_job(1, "k")), found;
    _cleanup_(command_free_p) struct command *done = command_new(COMMAND_DONE, 1);

    done->items[0].id = id;
    done->at.realtime_usec = FIXTURE_NOW;
    fixture_run(fixture, done);
    assert_int_equal(fixture_verb(fixture, VERB_REMOVE, id), 0);
    assert_int_equal(store_find_key(fixture->store, FIXTURE_OWNER, "k", &found), -ENOENT);
    assert_int_equal(fixture_try_add(fixture, keyed_job(2, "k"), IF_EXISTS_FAIL), 0);
}

static void a_verb_answers_for_each_job(void **state)
{
    struct fixture *fixture = *state;
    struct job *other = fixture_job(3);
    uint64_t ids[5] = {fixture_add(fixture, fixture_job(1)), fixture_add(fixture, fixture_job(2)), 0, 4711, 0};

    other->owner = FIXTURE_OWNER + 1;
    ids[2] = fixture_add(fixture, other);
    ids[4] = ids[0];
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, ids[1]), 0);
    _cleanup_(command_free_p) struct command *command = fixture_verb_command(VERB_PAUSE, ids, 5);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    assert_int_equal(command->items[0].result, 0);
    assert_int_equal(command->items[0].before, JOB_READY);
    assert_int_equal(command->items[0].after->state, JOB_PAUSED);
    assert_int_equal(command->items[1].result, -EBUSY);
    assert_null(command->items[1].after);
    assert_int_equal(command->items[2].result, -EKEYREJECTED);
    assert_int_equal(command->items[3].result, -ENOENT);
    /* Named twice: the second time it sees what the first has done. */
    assert_int_equal(command->items[4].result, 0);
    assert_int_equal(command->items[4].before, JOB_PAUSED);
    assert_int_equal(fixture_state(fixture, ids[0]), JOB_PAUSED);
    assert_int_equal(fixture_state(fixture, ids[2]), JOB_READY);
}

/* Its old server is to hear that nobody comes back to it. */
static void another_url_hands_back_the_record_whose_session_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct job *begun = fixture_job(1);
    struct job_change url = {.url = (char *)"http://other.example.org/a", .host = (char *)"other.example.org:80"};
    struct job_change name = {.name = (char *)"other"};
    const struct job_change *changes[] = {&name, &url, &url};

    (void)text_copy(begun->session.session_id, sizeof(begun->session.session_id), "{s}");
    uint64_t ids[2] = {fixture_add(fixture, begun), fixture_add(fixture, fixture_job(2))};
    for (size_t i = 0; i < ELEMENTS(changes); i++) {
        _cleanup_(command_free_p) struct command *command = fixture_verb_command(VERB_SET, ids, 2);
        command->change = changes[i];
        fixture_run(fixture, command);
        assert_int_equal(command->items[0].result, 0);
        assert_int_equal(command->items[1].result, 0);
        assert_null(command->items[1].left);
        if (i != 1) {
            assert_null(command->items[0].left); /* kept, or left before */
            continue;
        }
        assert_non_null(command->items[0].left);
        assert_string_equal(command->items[0].left->session.session_id, "{s}");
        assert_string_not_equal(command->items[0].left->url, url.url);
        assert_string_equal(command->items[0].after->session.session_id, "");
        assert_string_equal(command->items[0].after->url, url.url);
    }
}

static void an_administrator_may_steer_the_jobs_of_others(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1));
    _cleanup_(command_free_p) struct command *command = fixture_verb_command(VERB_PAUSE, &id, 1);

    command->caller = 0;
    command->any_owner = true;
    fixture_run(fixture, command);
    assert_int_equal(command->items[0].result, 0);
    assert_int_equal(fixture_state(fixture, id), JOB_PAUSED);
}

static void removing_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, keyed_job(1, "k")), counts[JOB_STATES];
    _cleanup_(command_free_p) struct command *done = command_new(COMMAND_DONE, 1);
    struct lmdb_txn txn;
    _cleanup_(job_free_p) struct job *job = NULL;

    done->items[0].id = id;
    done->at.realtime_usec = FIXTURE_NOW;
    fixture_run(fixture, done);
    assert_int_equal(fixture_count(fixture, JOB_DONE), 1);
    assert_int_equal(fixture_verb(fixture, VERB_REMOVE, id), 0);
    assert_int_equal(store_get(fixture->store, id, &job), -ENOENT);
    assert_int_equal(store_count(fixture->store, true, 0, counts), 0);
    for (size_t i = 0; i < JOB_STATES; i++)
        assert_int_equal(counts[i], 0);
    lmdb_begin_read(fixture->store->env, &txn);
    /* The journal tells of it still, and it counts in what was ever done. */
    for (enum lmdb_table table = TABLE_COUNTS; table < LMDB_TABLES; table++)
        assert_true(table == TABLE_EVENTS || table == TABLE_TOTALS || lmdb_entries(&txn, table) == 0);
    lmdb_abort(&txn);
}

static void what_an_attempt_learnt_is_durable(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1));
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_CHECKPOINT, 1);
    _cleanup_(job_free_p) struct job *job = NULL;

    command->items[0].id = id;
    strcpy(command->update.session.session_id, "{11111111-2222-3333-4444-555555555555}");
    command->update.session.phase = SESSION_FRAGMENT;
    command->update.session.offset = UINT64_C(5) << 32;
    strcpy(command->update.address, "192.0.2.1:443");
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_get(fixture->store, id, &job), 0);
    assert_string_equal(job->session.session_id, "{11111111-2222-3333-4444-555555555555}");
    assert_int_equal(job->session.offset, UINT64_C(5) << 32);
    assert_string_equal(job->address, "192.0.2.1:443");
    assert_jobs_equal(job, command->items[0].after);
}

static void a_report_on_a_job_that_is_gone_is_answered(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_FAIL, 1);

    command->items[0].id = 99;
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    assert_int_equal(command->items[0].result, -ENOENT);
    assert_null(command->items[0].after);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(a_key_finds_its_job_per_owner),
    OPEN(adding_the_same_twice_answers_with_the_first),
    OPEN(a_key_that_is_taken_by_another_upload_is_refused),
    OPEN(replacing_cancels_the_job_that_holds_the_key),
    OPEN(replacing_a_job_that_is_over_only_takes_its_key),
    OPEN(two_jobs_of_one_command_cannot_share_a_key),
    OPEN(a_key_is_free_once_its_job_is_removed),
    OPEN(a_verb_answers_for_each_job),
    OPEN(another_url_hands_back_the_record_whose_session_is_left),
    OPEN(an_administrator_may_steer_the_jobs_of_others),
    OPEN(removing_leaves_nothing_behind),
    OPEN(what_an_attempt_learnt_is_durable),
    OPEN(a_report_on_a_job_that_is_gone_is_answered),
};

UNIT_MAIN(tests);
