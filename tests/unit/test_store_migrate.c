/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues that older versions left: nothing of them is lost, and every index is as if it had always been there. */
#include "store_fixture.h"
#include "store_invariants.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void copy_file(const struct fixture *fixture, const char *from, const char *to)
{
    static char bytes[1 << 20];
    FILE *file = fopen(from, "rbe");

    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    assert_true(size > 0 && feof(file));
    assert_int_equal(fclose(file), 0);
    fixture_write_file(fixture, to, bytes, size);
}

static void leave_old_queue(struct fixture *fixture, unsigned schema)
{
    char path[512];

    assert_int_equal(mkdirat(fixture->fd, "queue", 0700), 0);
    (void)snprintf(path, sizeof(path), TEST_DATA "/queue-of-schema-%u/data.mdb", schema);
    copy_file(fixture, path, "queue/data.mdb");
    (void)snprintf(path, sizeof(path), TEST_DATA "/queue-of-schema-%u/marker", schema);
    copy_file(fixture, path, "marker");
}

struct rows {
    size_t count;
    uint64_t ids[16];
};

static int take_row(const struct job *job, void *userdata)
{
    struct rows *rows = userdata;

    rows->ids[rows->count++] = job->id;
    return 0;
}

static struct rows rows_of_group(struct fixture *fixture, const char *group)
{
    struct store_filter filter = {.owner = 0, .group = group};
    struct rows rows = {.count = 0};
    uint64_t next;

    assert_true(store_query(fixture->store, &filter, 0, 16, take_row, &rows, &next) >= 0);
    assert_int_equal(next, 0);
    return rows;
}

static void assert_photos(struct fixture *fixture)
{
    struct rows photos = rows_of_group(fixture, "photos");

    assert_int_equal(photos.count, 2);
    assert_int_equal(photos.ids[0], 2);
    assert_int_equal(photos.ids[1], 3);
}

static void assert_every_job_is_there(struct fixture *fixture)
{
    static const enum job_state states[] = {
        [1] = JOB_PAUSED, [2] = JOB_PAUSED, [3] = JOB_PAUSED, [4] = JOB_RETRYING, [5] = JOB_CANCELLED, [6] = JOB_DONE};
    uint64_t id;

    fixture_open(fixture);
    assert_false(fixture->report.created);
    assert_string_equal(fixture->report.set_aside, "");
    assert_int_equal(fixture->report.jobs, 6);
    for (id = 1; id < ELEMENTS(states); id++)
        assert_int_equal(fixture_state(fixture, id), states[id]);
    assert_int_equal(store_find_key(fixture->store, 0, "nightly", &id), 0);
    assert_int_equal(id, 3);
    assert_photos(fixture);
    assert_indexes_match(fixture);
    assert_true(fixture_add(fixture, fixture_job(1)) > 6);
    fixture_close(fixture);
    fixture_open(fixture); /* it is a queue like any other now */
    assert_int_equal(fixture->report.jobs, 7);
    assert_photos(fixture);
}

static void every_job_of_a_queue_of_schema_1_is_there(void **state)
{
    struct fixture *fixture = *state;

    leave_old_queue(fixture, 1);
    assert_every_job_is_there(fixture);
}

static int count_event(const struct event *event, void *userdata)
{
    (void)event;
    ++*(size_t *)userdata;
    return 0;
}

static int count_group(uid_t owner, const struct group *group, bool is_known, void *userdata)
{
    assert_true(is_known && owner == FIXTURE_OWNER && group->paused);
    ++*(size_t *)userdata;
    return 0;
}

static size_t count_groups(struct fixture *fixture)
{
    size_t count = 0;

    assert_int_equal(store_groups(fixture->store, count_group, &count), 0);
    return count;
}

static void pause_group(struct fixture *fixture, const char *name)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_GROUP_SET, 0);

    command->caller = FIXTURE_OWNER;
    group_init(&command->group.to, name);
    command->group.given = GROUP_PAUSED;
    command->group.to.paused = true;
    assert_int_equal(fixture_run(fixture, command)->result, 0);
}

/* What has ended before is not known, and the figures say since when they count. */
static void assert_totals_begin(struct fixture *fixture)
{
    struct totals totals;

    assert_int_equal(store_totals(fixture->store, FIXTURE_OWNER, &totals), 0);
    assert_int_equal(totals.since_usec, FIXTURE_NOW);
    assert_int_equal(totals.done + totals.failed + totals.cancelled + totals.uploaded_bytes, 0);
}

static void a_queue_of_schema_2_keeps_its_jobs_and_events_and_takes_settings_of_groups(void **state)
{
    struct fixture *fixture = *state;
    size_t events = 0;
    uint64_t next;
    bool gap;

    leave_old_queue(fixture, 2);
    assert_every_job_is_there(fixture);
    assert_true(store_events(fixture->store, false, 0, 0, 100, count_event, &events, &next, &gap) >= 0);
    assert_true(events >= 6 && !gap);
    assert_int_equal(count_groups(fixture), 0);
    assert_totals_begin(fixture);
    pause_group(fixture, "photos");
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(count_groups(fixture), 1);
}

/* Killed behind the new table, before the version said so: the next start does both again. */
static void a_migration_from_schema_2_that_was_broken_off_begins_again(void **state)
{
    struct fixture *fixture = *state;
    struct lmdb *env = NULL;
    char folder[256];

    leave_old_queue(fixture, 2);
    assert_int_equal(lmdb_open(fixture_path(fixture, "queue", folder), LMDB_WRITE, STORE_MAP_BYTES, &env), 0);
    assert_int_equal(lmdb_create_tables(env), 0);
    lmdb_close(env);
    assert_every_job_is_there(fixture);
    pause_group(fixture, "photos");
    assert_int_equal(count_groups(fixture), 1);
}

/* The version says 1 again, and the index of groups has what was broken off, and what became wrong since. */
static void break_migration_off(struct fixture *fixture)
{
    struct lmdb *env = NULL;
    struct lmdb_txn txn;
    struct schema_key key;
    char folder[256];

    assert_int_equal(lmdb_open(fixture_path(fixture, "queue", folder), LMDB_WRITE, STORE_MAP_BYTES, &env), 0);
    assert_int_equal(lmdb_open_tables(env, LMDB_TABLES), 0);
    lmdb_begin_write(env, &txn);
    schema_set_version(&txn, 1);
    schema_key_group(&key, 0, "photos", 2);
    assert_true(lmdb_delete(&txn, TABLE_GROUPS, schema_key_bytes(&key)));
    schema_key_group(&key, 0, "photos", 6);
    lmdb_put(&txn, TABLE_GROUPS, schema_key_bytes(&key), (struct lmdb_bytes){"", 0});
    assert_int_equal(lmdb_commit(&txn), 0);
    lmdb_close(env);
}

static void a_migration_that_was_broken_off_begins_again(void **state)
{
    struct fixture *fixture = *state;

    leave_old_queue(fixture, 1);
    fixture_open(fixture);
    fixture_close(fixture);
    break_migration_off(fixture);
    fixture_open(fixture);
    assert_photos(fixture);
    assert_indexes_match(fixture);
}

static void a_migration_of_many_jobs_takes_many_steps(void **state)
{
    struct fixture *fixture = *state;
    struct job *jobs[STORE_BATCH_MAX];

    leave_old_queue(fixture, 1);
    fixture_open(fixture);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < STORE_BATCH_MAX; i++) {
            jobs[i] = fixture_job(i + 1);
            fixture_set(&jobs[i]->group, i % 2 == 0 ? "even" : "default");
        }
        _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, STORE_BATCH_MAX, IF_EXISTS_FAIL);
        fixture_run(fixture, command);
        assert_int_equal(command->result, 0);
    }
    fixture_close(fixture);
    break_migration_off(fixture);
    fixture_open(fixture);
    assert_indexes_match(fixture);
}

#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static const struct CMUnitTest tests[] = {
    CLOSED(every_job_of_a_queue_of_schema_1_is_there),
    CLOSED(a_queue_of_schema_2_keeps_its_jobs_and_events_and_takes_settings_of_groups),
    CLOSED(a_migration_from_schema_2_that_was_broken_off_begins_again),
    CLOSED(a_migration_that_was_broken_off_begins_again),
    CLOSED(a_migration_of_many_jobs_takes_many_steps),
};

UNIT_MAIN(tests);
