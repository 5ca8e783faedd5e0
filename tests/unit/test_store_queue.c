/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void a_new_queue_is_empty_and_says_that_it_is_new(void **state)
{
    struct fixture *fixture = *state;

    assert_true(fixture->report.created);
    assert_string_equal(fixture->report.set_aside, "");
    assert_int_equal(fixture->report.jobs, 0);
    assert_int_equal(fixture_count(fixture, JOB_READY), 0);
}

static void an_added_job_can_be_read_back(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(job_free_p) struct job *expected = fixture_job(1), *read = NULL;
    uint64_t id = fixture_add(fixture, fixture_job(1));

    expected->id = id;
    assert_int_equal(id, 1);
    assert_int_equal(store_get(fixture->store, id, &read), 0);
    assert_jobs_equal(expected, read);
    assert_int_equal(store_get(fixture->store, id + 1, &read), -ENOENT);
}

static void everything_is_there_after_reopening(void **state)
{
    struct fixture *fixture = *state;
    uint64_t counts[JOB_STATES], first = fixture_add(fixture, fixture_job(1)), second;

    second = fixture_add(fixture, fixture_job(2));
    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, second), 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_false(fixture->report.created);
    assert_string_equal(fixture->report.set_aside, "");
    assert_string_equal(fixture->report.reason, "");
    assert_int_equal(fixture->report.jobs, 2);
    assert_int_equal(fixture_state(fixture, first), JOB_READY);
    assert_int_equal(fixture_state(fixture, second), JOB_PAUSED);
    assert_int_equal(store_count(fixture->store, true, 0, counts), 0);
    assert_int_equal(counts[JOB_READY], 1);
    assert_int_equal(counts[JOB_PAUSED], 1);
    assert_int_equal(fixture_add(fixture, fixture_job(3)), second + 1);
}

static void answers_come_in_the_order_of_the_commands(void **state)
{
    struct fixture *fixture = *state;
    struct command *commands[50];

    for (unsigned i = 0; i < ELEMENTS(commands); i++) {
        struct job *job = fixture_job(i);
        commands[i] = fixture_add_command(&job, 1, IF_EXISTS_FAIL);
        store_submit(fixture->store, commands[i]);
    }
    for (unsigned i = 0; i < ELEMENTS(commands); i++) {
        _cleanup_(command_free_p) struct command *answer = fixture_take(fixture);
        assert_ptr_equal(answer, commands[i]);
        assert_int_equal(answer->items[0].id, i + 1);
    }
}

/* Keeps the writer busy: it needs the environment's write lock, which this transaction holds. */
static void what_waits_is_committed_together(void **state)
{
    struct fixture *fixture = *state;
    struct lmdb_txn busy;
    uint64_t before = atomic_load(&fixture->store->commits);

    lmdb_begin_write(fixture->store->env, &busy);
    assert_int_equal(busy.error, 0);
    for (unsigned i = 0; i < 200; i++) {
        struct job *job = fixture_job(i);
        store_submit(fixture->store, fixture_add_command(&job, 1, IF_EXISTS_FAIL));
    }
    lmdb_abort(&busy);
    for (unsigned i = 0; i < 200; i++) {
        _cleanup_(command_free_p) struct command *answer = fixture_take(fixture);
        assert_int_equal(answer->result, 0);
    }
    assert_in_range(atomic_load(&fixture->store->commits) - before, 1, 2);
    assert_int_equal(fixture_count(fixture, JOB_READY), 200);
}

static void what_is_submitted_together_is_committed_together(void **state)
{
    struct fixture *fixture = *state;
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    uint64_t before = atomic_load(&fixture->store->commits);

    for (unsigned i = 0; i < 50; i++) {
        struct job *job = fixture_job(i);
        struct command *command = fixture_add_command(&job, 1, IF_EXISTS_FAIL);
        TAILQ_INSERT_TAIL(&list, &command->message, entry);
    }
    store_submit_all(fixture->store, &list);
    assert_true(TAILQ_EMPTY(&list));
    for (unsigned i = 0; i < 50; i++) {
        _cleanup_(command_free_p) struct command *answer = fixture_take(fixture);
        assert_int_equal(answer->result, 0);
        assert_int_equal(answer->items[0].id, i + 1);
    }
    assert_int_equal(atomic_load(&fixture->store->commits) - before, 1);
    store_submit_all(fixture->store, &list); /* nothing */
}

static void a_transaction_has_a_bound(void **state)
{
    struct fixture *fixture = *state;
    struct lmdb_txn busy;
    struct job *first = fixture_job(0), *jobs[400];
    uint64_t before = atomic_load(&fixture->store->commits);

    lmdb_begin_write(fixture->store->env, &busy);
    store_submit(fixture->store, fixture_add_command(&first, 1, IF_EXISTS_FAIL));
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < ELEMENTS(jobs); j++)
            jobs[j] = fixture_job(j);
        store_submit(fixture->store, fixture_add_command(jobs, ELEMENTS(jobs), IF_EXISTS_FAIL));
    }
    lmdb_abort(&busy);
    for (unsigned i = 0; i < 6; i++) {
        _cleanup_(command_free_p) struct command *answer = fixture_take(fixture);
        assert_int_equal(answer->result, 0);
    }
    /* 2,001 records: two of the large commands fit into one transaction, a third does not. */
    assert_in_range(atomic_load(&fixture->store->commits) - before, 3, 4);
}

static void an_add_is_all_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct job *jobs[3] = {fixture_job(1), fixture_job(2), fixture_job(3)};

    fixture_set(&jobs[2]->source, "relative");
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, 3, IF_EXISTS_FAIL);
    fixture_run(fixture, command);
    assert_int_equal(command->result, -EINVAL);
    assert_int_equal(command->failed_job, 2);
    assert_int_equal(fixture_count(fixture, JOB_READY), 0);
    assert_int_equal(fixture_add(fixture, fixture_job(4)), 1);
}

static void a_command_that_fails_leaves_its_neighbours_alone(void **state)
{
    struct fixture *fixture = *state;
    struct lmdb_txn busy;
    struct job *good = fixture_job(1), *bad = fixture_job(2), *last = fixture_job(3);

    bad->priority = 9;
    lmdb_begin_write(fixture->store->env, &busy);
    store_submit(fixture->store, fixture_add_command(&good, 1, IF_EXISTS_FAIL));
    store_submit(fixture->store, fixture_add_command(&bad, 1, IF_EXISTS_FAIL));
    store_submit(fixture->store, fixture_add_command(&last, 1, IF_EXISTS_FAIL));
    lmdb_abort(&busy);
    _cleanup_(command_free_p) struct command *one = fixture_take(fixture), *two = fixture_take(fixture),
                                             *three = fixture_take(fixture);
    assert_int_equal(one->result, 0);
    assert_int_equal(two->result, -EINVAL);
    assert_int_equal(three->result, 0);
    assert_int_equal(three->items[0].id, 2);
    assert_int_equal(fixture_count(fixture, JOB_READY), 2);
}

static void the_queue_takes_as_many_jobs_as_allowed_and_not_one_more(void **state)
{
    struct fixture *fixture = *state;
    struct job *jobs[3] = {fixture_job(1), fixture_job(2), fixture_job(3)};

    fixture->options.jobs_max = 3;
    fixture_open(fixture);
    fixture_add(fixture, fixture_job(0));
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, 3, IF_EXISTS_FAIL);
    fixture_run(fixture, command);
    assert_int_equal(command->result, -EDQUOT);
    assert_int_equal(command->failed_job, 2);
    assert_int_equal(fixture_count(fixture, JOB_READY), 1);
    fixture_add(fixture, fixture_job(1));
    uint64_t last = fixture_add(fixture, fixture_job(2));
    assert_int_equal(fixture_try_add(fixture, fixture_job(3), IF_EXISTS_FAIL), -EDQUOT);
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, last), 0);
    assert_int_equal(fixture_try_add(fixture, fixture_job(3), IF_EXISTS_FAIL), -EDQUOT);
}

static void one_user_cannot_take_more_than_his_share(void **state)
{
    struct fixture *fixture = *state;
    struct job *other = fixture_job(9);

    fixture->options.jobs_max_per_user = 2;
    fixture_open(fixture);
    fixture_add(fixture, fixture_job(1));
    fixture_add(fixture, fixture_job(2));
    assert_int_equal(fixture_try_add(fixture, fixture_job(3), IF_EXISTS_FAIL), -EUSERS);
    other->owner = FIXTURE_OWNER + 1;
    assert_int_equal(fixture_try_add(fixture, other, IF_EXISTS_FAIL), 0);
}

static void no_descriptor_is_left_to_programs_that_are_started(void **state)
{
    struct fixture *fixture = *state;
    int seen = 0;

    for (int fd = 3; fd < 64; fd++) {
        char link[64], target[256];
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof(target) - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (strncmp(target, fixture->path, strlen(fixture->path)) != 0)
            continue;
        seen++;
        if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
            fail_msg("%s is inherited", target);
    }
    assert_true(seen >= 3);
}

#define OPEN(test)   cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(a_new_queue_is_empty_and_says_that_it_is_new),
    OPEN(an_added_job_can_be_read_back),
    OPEN(everything_is_there_after_reopening),
    OPEN(answers_come_in_the_order_of_the_commands),
    OPEN(what_waits_is_committed_together),
    OPEN(what_is_submitted_together_is_committed_together),
    OPEN(a_transaction_has_a_bound),
    OPEN(an_add_is_all_or_nothing),
    OPEN(a_command_that_fails_leaves_its_neighbours_alone),
    CLOSED(the_queue_takes_as_many_jobs_as_allowed_and_not_one_more),
    CLOSED(one_user_cannot_take_more_than_his_share),
    OPEN(no_descriptor_is_left_to_programs_that_are_started),
};

UNIT_MAIN(tests);
