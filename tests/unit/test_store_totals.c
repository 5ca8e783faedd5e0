/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What jobs came to: counted with their end, once for each byte, and not lowered by anything that happens later. */
#include "store_fixture.h"

#include "store/schema.h"

#include <string.h>

static struct totals totals_of(struct fixture *fixture, uid_t owner)
{
    struct totals totals;

    assert_int_equal(store_totals(fixture->store, owner, &totals), 0);
    return totals;
}

static void assert_totals(struct fixture *fixture, uint64_t done, uint64_t failed, uint64_t cancelled)
{
    struct totals totals = totals_of(fixture, FIXTURE_OWNER);

    assert_int_equal(totals.done, done);
    assert_int_equal(totals.failed, failed);
    assert_int_equal(totals.cancelled, cancelled);
}

static void assert_bytes(struct fixture *fixture, uint64_t uploaded, uint64_t resent)
{
    struct totals totals = totals_of(fixture, FIXTURE_OWNER);

    assert_int_equal(totals.uploaded_bytes, uploaded);
    assert_int_equal(totals.resent_bytes, resent);
}

static uint64_t add_sized(struct fixture *fixture, unsigned number, uint64_t size)
{
    struct job *job = fixture_job(number);

    job->identity.size_bytes = size;
    return fixture_add(fixture, job);
}

/* An attempt ends the job, with so many bytes acknowledged and so many sent again. */
static void end(struct fixture *fixture, enum command_type type, uint64_t id, uint64_t acknowledged, uint64_t resent)
{
    _cleanup_(command_free_p) struct command *command = command_new(type, 1);

    command->items[0].id = id;
    command->at.realtime_usec = FIXTURE_NOW;
    command->any_owner = true;
    command->update.session.offset = command->update.session.high_offset = acknowledged;
    command->update.session.resent_bytes = resent;
    strcpy(command->update.failure.text, "it went wrong");
    assert_int_equal(fixture_run(fixture, command)->items[0].result, 0);
}

static void a_new_queue_counts_from_nothing_and_says_since_when(void **state)
{
    struct fixture *fixture = *state;

    assert_totals(fixture, 0, 0, 0);
    assert_bytes(fixture, 0, 0);
    assert_int_equal(totals_of(fixture, FIXTURE_OWNER).since_usec, FIXTURE_NOW);
}

static void every_end_counts_and_its_bytes(void **state)
{
    struct fixture *fixture = *state;
    uint64_t done = add_sized(fixture, 1, 1000), failed = add_sized(fixture, 2, 2000),
             gone = add_sized(fixture, 3, 300);

    end(fixture, COMMAND_DONE, done, 1000, 7);
    end(fixture, COMMAND_FAIL, failed, 400, 30);
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, gone), 0);
    assert_totals(fixture, 1, 1, 0); /* its attempt has not ended yet */
    end(fixture, COMMAND_GONE, gone, 0, 0);
    assert_totals(fixture, 1, 1, 1);
    assert_bytes(fixture, 1400, 37);
}

static void removing_jobs_and_a_restart_lower_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add_sized(fixture, 1, 1000);

    end(fixture, COMMAND_DONE, id, 1000, 7);
    assert_int_equal(fixture_verb(fixture, VERB_REMOVE, id), 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_totals(fixture, 1, 0, 0);
    assert_bytes(fixture, 1000, 7);
    assert_int_equal(totals_of(fixture, FIXTURE_OWNER).since_usec, FIXTURE_NOW);
}

static void a_byte_counts_once_though_its_job_ends_twice(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add_sized(fixture, 1, 1000);

    end(fixture, COMMAND_FAIL, id, 400, 30);
    assert_int_equal(fixture_verb(fixture, VERB_RETRY, id), 0);
    end(fixture, COMMAND_DONE, id, 1000, 50);
    assert_totals(fixture, 1, 1, 0);
    assert_bytes(fixture, 1000, 50);
}

static void a_late_word_about_a_job_that_is_over_counts_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add_sized(fixture, 1, 1000);

    end(fixture, COMMAND_DONE, id, 1000, 0);
    end(fixture, COMMAND_FAIL, id, 400, 9);
    assert_totals(fixture, 1, 0, 0);
    assert_bytes(fixture, 1000, 0);
}

static void a_job_that_another_one_replaces_counts_as_cancelled_once_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct job *first = fixture_job(1), *second = fixture_job(2);

    fixture_set(&first->key, "nightly");
    fixture_set(&second->key, "nightly");
    uint64_t id = fixture_add(fixture, first);
    assert_int_equal(fixture_try_add(fixture, second, IF_EXISTS_REPLACE), 0);
    end(fixture, COMMAND_GONE, id, 0, 0);
    assert_totals(fixture, 0, 0, 1);
}

static void each_owner_has_figures_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct job *job = fixture_job(1);

    job->owner = FIXTURE_OWNER + 1;
    job->identity.size_bytes = 5;
    end(fixture, COMMAND_DONE, fixture_add(fixture, job), 5, 0);
    assert_totals(fixture, 0, 0, 0);
    assert_int_equal(totals_of(fixture, FIXTURE_OWNER + 1).done, 1);
}

static void a_record_that_cannot_be_read_begins_anew(void **state)
{
    struct fixture *fixture = *state;
    struct schema_key key;
    struct lmdb_txn txn;

    end(fixture, COMMAND_DONE, add_sized(fixture, 1, 1000), 1000, 0);
    schema_key_owner(&key, FIXTURE_OWNER);
    lmdb_begin_write(fixture->store->env, &txn);
    lmdb_put(&txn, TABLE_TOTALS, schema_key_bytes(&key), (struct lmdb_bytes){"rubbish", 7});
    assert_int_equal(lmdb_commit(&txn), 0);
    assert_totals(fixture, 0, 0, 0);
    end(fixture, COMMAND_DONE, add_sized(fixture, 2, 20), 20, 0);
    assert_totals(fixture, 1, 0, 0);
    assert_bytes(fixture, 20, 0);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(a_new_queue_counts_from_nothing_and_says_since_when),
    OPEN(every_end_counts_and_its_bytes),
    OPEN(removing_jobs_and_a_restart_lower_nothing),
    OPEN(a_byte_counts_once_though_its_job_ends_twice),
    OPEN(a_late_word_about_a_job_that_is_over_counts_nothing),
    OPEN(a_job_that_another_one_replaces_counts_as_cancelled_once_it_is),
    OPEN(each_owner_has_figures_of_its_own),
    OPEN(a_record_that_cannot_be_read_begins_anew),
};

UNIT_MAIN(tests);
