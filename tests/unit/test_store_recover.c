/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found at the start: a good queue, a damaged one, none, one from the future. */
#include "store_fixture.h"

#include "store/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DATA      "queue/data.mdb"
#define SET_ASIDE "queue.damaged-20231114T221320Z"

/* A queue with COUNT jobs that was closed. */
static void leave_jobs(struct fixture *fixture, unsigned count)
{
    struct job *jobs[STORE_BATCH_MAX];

    for (unsigned i = 0; i < count; i++)
        jobs[i] = fixture_job(i + 1);
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, count, IF_EXISTS_FAIL);
    fixture_open(fixture);
    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    fixture_close(fixture);
}

static uint64_t file_size(const struct fixture *fixture, const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(fixture->fd, name, &st, 0), 0);
    return (uint64_t)st.st_size;
}

static bool exists(const struct fixture *fixture, const char *name)
{
    return faccessat(fixture->fd, name, F_OK, 0) == 0;
}

/* Opens after the damage: the old queue lies aside, and the ids go on above every one that was given out. */
static void assert_set_aside(struct fixture *fixture, const char *reason)
{
    fixture_open(fixture);
    assert_true(fixture->report.created);
    assert_string_equal(fixture->report.set_aside, SET_ASIDE);
    assert_non_null(strstr(fixture->report.reason, reason));
    assert_true(exists(fixture, SET_ASIDE));
    assert_int_equal(fixture->report.jobs, 0);
    assert_true(fixture_add(fixture, fixture_job(1)) > 10);
    fixture_close(fixture);
    /* Reported again as long as it lies there, and no second one is made. */
    fixture_open(fixture);
    assert_false(fixture->report.created);
    assert_string_equal(fixture->report.set_aside, SET_ASIDE);
    assert_non_null(strstr(fixture->report.reason, "earlier"));
    assert_int_equal(fixture->report.jobs, 1);
}

static void an_emptied_queue_is_set_aside(void **state)
{
    struct fixture *fixture = *state;

    leave_jobs(fixture, 10);
    fixture_write_file(fixture, DATA, "", 0);
    assert_set_aside(fixture, "was empty");
}

static void garbage_is_set_aside_byte_for_byte(void **state)
{
    struct fixture *fixture = *state;
    char garbage[10000], kept[sizeof(garbage) + 1];

    memset(garbage, 0xa5, sizeof(garbage));
    leave_jobs(fixture, 10);
    fixture_write_file(fixture, DATA, garbage, sizeof(garbage));
    assert_set_aside(fixture, "damaged");
    _cleanup_close_ int fd = openat(fixture->fd, SET_ASIDE "/data.mdb", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, kept, sizeof(kept)), sizeof(garbage));
    assert_memory_equal(kept, garbage, sizeof(garbage));
}

static void a_stub_of_a_file_is_set_aside(void **state)
{
    struct fixture *fixture = *state;

    leave_jobs(fixture, 10);
    fixture_write_file(fixture, DATA, "BQ", 2);
    assert_set_aside(fixture, "damaged");
}

static void a_missing_file_is_noticed(void **state)
{
    struct fixture *fixture = *state;

    leave_jobs(fixture, 10);
    assert_int_equal(unlinkat(fixture->fd, DATA, 0), 0);
    assert_set_aside(fixture, "missing");
}

static void a_missing_folder_is_reported(void **state)
{
    struct fixture *fixture = *state;
    char from[256], to[256];

    leave_jobs(fixture, 10);
    assert_int_equal(rename(fixture_path(fixture, "queue", from), fixture_path(fixture, "elsewhere", to)), 0);
    fixture_open(fixture);
    assert_true(fixture->report.created);
    assert_string_equal(fixture->report.set_aside, "");
    assert_non_null(strstr(fixture->report.reason, "missing"));
    assert_true(fixture_add(fixture, fixture_job(1)) > 10);
}

/* Puts what was set aside back, so that the next round starts from the same file. */
static void undo_set_aside(struct fixture *fixture, const char *set_aside)
{
    char aside[256], queue[256];

    assert_int_equal(unlinkat(fixture->fd, DATA, 0), 0);
    assert_int_equal(unlinkat(fixture->fd, "queue/lock.mdb", 0), 0);
    assert_int_equal(rmdir(fixture_path(fixture, "queue", queue)), 0);
    assert_int_equal(rename(fixture_path(fixture, set_aside, aside), queue), 0);
    assert_int_equal(unlinkat(fixture->fd, "marker", 0), 0);
}

/* Whatever is cut off is noticed before LMDB reads behind the file's end; what was not in use may be missing. */
static void a_truncated_file_never_crashes_the_daemon(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    unsigned noticed = 0;

    leave_jobs(fixture, 300);
    uint64_t size = file_size(fixture, DATA);
    assert_true(size > 30 * 4096);
    for (uint64_t cut = 0; cut < 40; cut++) {
        uint64_t left = size - 4096 * (cut / 2 + 1) + (cut % 2 == 0 ? 4095 : 0);
        assert_int_equal(truncate(fixture_path(fixture, DATA, path), (off_t)left), 0);
        fixture_open(fixture);
        bool is_aside = fixture->report.set_aside[0] != '\0';
        assert_int_equal(fixture->report.created, is_aside);
        assert_int_equal(fixture_count(fixture, JOB_READY), is_aside ? 0 : 300);
        assert_true(is_aside || cut % 2 == 1);
        fixture_close(fixture);
        if (is_aside)
            undo_set_aside(fixture, fixture->report.set_aside);
        noticed += is_aside;
    }
    assert_true(noticed >= 30);
}

static void a_damaged_page_in_the_middle_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    char page[4096];

    memset(page, 0xff, sizeof(page));
    leave_jobs(fixture, 200);
    uint64_t size = file_size(fixture, DATA);
    _cleanup_close_ int fd = openat(fixture->fd, DATA, O_WRONLY | O_CLOEXEC);
    for (uint64_t at = 2 * sizeof(page); at < size; at += sizeof(page))
        assert_int_equal(pwrite(fd, page, sizeof(page), (off_t)at), sizeof(page));
    assert_set_aside(fixture, "damaged");
}

static void the_queue_of_another_folder_is_set_aside(void **state)
{
    struct fixture *fixture = *state;
    void *other_state = NULL;
    char from[256], to[256];

    leave_jobs(fixture, 10);
    assert_int_equal(fixture_setup(&other_state), 0);
    leave_jobs(other_state, 3);
    assert_int_equal(rename(fixture_path(other_state, DATA, from), fixture_path(fixture, DATA, to)), 0);
    assert_set_aside(fixture, "not the one that belongs");
    fixture_teardown(&other_state);
}

static void an_empty_lmdb_file_is_no_queue(void **state)
{
    struct fixture *fixture = *state;
    struct lmdb *env = NULL;
    char folder[256];

    leave_jobs(fixture, 10);
    assert_int_equal(unlinkat(fixture->fd, DATA, 0), 0);
    assert_int_equal(lmdb_open(fixture_path(fixture, "queue", folder), LMDB_CREATE, STORE_MAP_BYTES, &env), 0);
    lmdb_close(env);
    assert_set_aside(fixture, "");
}

static void a_lost_marker_is_written_anew(void **state)
{
    struct fixture *fixture = *state;
    struct marker before, after;

    leave_jobs(fixture, 10);
    assert_int_equal(marker_read(fixture->fd, &before), 0);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            assert_int_equal(unlinkat(fixture->fd, "marker", 0), 0);
        else
            fixture_write_file(fixture, "marker", "bitsq-marker 1\nqueue 00", 23);
        fixture_open(fixture);
        assert_false(fixture->report.created);
        assert_string_equal(fixture->report.set_aside, "");
        assert_int_equal(fixture->report.jobs, 10);
        assert_int_equal(marker_read(fixture->fd, &after), 0);
        assert_memory_equal(after.uuid, before.uuid, sizeof(after.uuid));
        assert_int_equal(after.reserved, 10);
        fixture_close(fixture);
    }
    fixture_open(fixture);
    assert_int_equal(fixture_add(fixture, fixture_job(11)), 11);
}

static void without_marker_and_queue_ids_begin_where_none_can_have_been(void **state)
{
    struct fixture *fixture = *state;

    leave_jobs(fixture, 10);
    fixture_write_file(fixture, DATA, "", 0);
    fixture_write_file(fixture, "marker", "", 0);
    fixture_open(fixture);
    assert_string_equal(fixture->report.set_aside, SET_ASIDE);
    assert_int_equal(fixture_add(fixture, fixture_job(1)), FIXTURE_NOW / USEC_PER_SEC + 1);
}

static void a_crash_while_the_queue_was_made_leaves_no_trace(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkdirat(fixture->fd, "queue.new", 0700), 0);
    fixture_write_file(fixture, "queue.new/data.mdb", "half", 4);
    fixture_write_file(fixture, "queue.new/lock.mdb", "", 0);
    fixture_write_file(fixture, "marker.new", "half", 4);
    fixture_open(fixture);
    assert_true(fixture->report.created);
    assert_string_equal(fixture->report.reason, "");
    assert_false(exists(fixture, "queue.new"));
    assert_int_equal(fixture_add(fixture, fixture_job(1)), 1);
}

static void ids_are_reserved_in_blocks(void **state)
{
    struct fixture *fixture = *state;
    struct marker first, marker;
    struct job *jobs[STORE_ID_BLOCK];

    fixture_open(fixture);
    fixture_add(fixture, fixture_job(1));
    assert_int_equal(marker_read(fixture->fd, &first), 0);
    assert_int_equal(first.reserved, 1 + STORE_ID_BLOCK);
    for (unsigned i = 0; i < STORE_ID_BLOCK; i++)
        jobs[i] = fixture_job(i);
    _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, STORE_ID_BLOCK, IF_EXISTS_FAIL);
    fixture_run(fixture, command);
    assert_int_equal(marker_read(fixture->fd, &marker), 0);
    assert_int_equal(marker.reserved, first.reserved);
    assert_int_equal(fixture_add(fixture, fixture_job(2)), first.reserved + 1);
    assert_int_equal(marker_read(fixture->fd, &marker), 0);
    assert_int_equal(marker.reserved, first.reserved + 1 + STORE_ID_BLOCK);
}

static void two_queues_set_aside_in_one_second_are_both_kept(void **state)
{
    struct fixture *fixture = *state;

    leave_jobs(fixture, 1);
    fixture_write_file(fixture, DATA, "", 0);
    leave_jobs(fixture, 1);
    fixture_write_file(fixture, DATA, "", 0);
    fixture_open(fixture);
    assert_true(exists(fixture, SET_ASIDE));
    assert_true(exists(fixture, SET_ASIDE "-2"));
    assert_string_equal(fixture->report.set_aside, SET_ASIDE "-2");
}

static void *read_file(const struct fixture *fixture, const char *name, size_t *ret_size)
{
    size_t size = file_size(fixture, name);
    void *bytes = malloc(size);
    _cleanup_close_ int fd = openat(fixture->fd, name, O_RDONLY | O_CLOEXEC);

    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, size), size);
    *ret_size = size;
    return bytes;
}

static void a_queue_from_a_newer_version_is_left_untouched(void **state)
{
    struct fixture *fixture = *state;
    struct lmdb_txn txn;
    struct lmdb *env = NULL;
    struct schema_key version;
    char folder[256];
    size_t before_size, after_size;

    leave_jobs(fixture, 10);
    assert_int_equal(lmdb_open(fixture_path(fixture, "queue", folder), LMDB_WRITE, STORE_MAP_BYTES, &env), 0);
    lmdb_begin_write(env, &txn);
    schema_key_u64(&version, SCHEMA_VERSION + 1);
    lmdb_put(&txn, TABLE_META, (struct lmdb_bytes){"schema", 6}, schema_key_bytes(&version));
    assert_int_equal(lmdb_commit(&txn), 0);
    lmdb_close(env);
    _cleanup_free_ void *before = read_file(fixture, DATA, &before_size);
    assert_int_equal(store_open(&fixture->options, &fixture->store, &fixture->report), -EPROTO);
    assert_null(fixture->store);
    assert_non_null(strstr(fixture->report.reason, "newer version"));
    assert_string_equal(fixture->report.set_aside, "");
    _cleanup_free_ void *after = read_file(fixture, DATA, &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
}

static void too_little_address_space_is_an_error_with_a_reason(void **state)
{
    struct fixture *fixture = *state;

    leave_jobs(fixture, 3);
    fixture->sizes.map_bytes = UINT64_C(1) << 50;
    int r = store_open_sized(&fixture->options, &fixture->sizes, &fixture->store, &fixture->report);
    assert_int_equal(r, -ENOMEM);
    assert_non_null(strstr(fixture->report.reason, "address space"));
    assert_string_equal(fixture->report.set_aside, "");
    fixture->sizes.map_bytes = STORE_MAP_BYTES;
    fixture_open(fixture);
    assert_int_equal(fixture->report.jobs, 3);
}

#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static const struct CMUnitTest tests[] = {
    CLOSED(an_emptied_queue_is_set_aside),
    CLOSED(garbage_is_set_aside_byte_for_byte),
    CLOSED(a_stub_of_a_file_is_set_aside),
    CLOSED(a_missing_file_is_noticed),
    CLOSED(a_missing_folder_is_reported),
    CLOSED(a_truncated_file_never_crashes_the_daemon),
    CLOSED(a_damaged_page_in_the_middle_is_noticed),
    CLOSED(the_queue_of_another_folder_is_set_aside),
    CLOSED(an_empty_lmdb_file_is_no_queue),
    CLOSED(a_lost_marker_is_written_anew),
    CLOSED(without_marker_and_queue_ids_begin_where_none_can_have_been),
    CLOSED(a_crash_while_the_queue_was_made_leaves_no_trace),
    CLOSED(ids_are_reserved_in_blocks),
    CLOSED(two_queues_set_aside_in_one_second_are_both_kept),
    CLOSED(a_queue_from_a_newer_version_is_left_untouched),
    CLOSED(too_little_address_space_is_an_error_with_a_reason),
};

UNIT_MAIN(tests);
