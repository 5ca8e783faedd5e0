/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of the quarantine: what lay there is in a file first, and only then gone. */
#include "store_fixture.h"

#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DUMP "quarantine-20231114T221320Z" /* FIXTURE_NOW */

static void quarantine(struct fixture *fixture, uint64_t id, const void *bytes, size_t size)
{
    struct schema_key key;
    struct lmdb_txn txn;

    schema_key_u64(&key, id);
    lmdb_begin_write(fixture->store->env, &txn);
    lmdb_put(&txn, TABLE_QUARANTINE, schema_key_bytes(&key), (struct lmdb_bytes){bytes, size});
    assert_int_equal(lmdb_commit(&txn), 0);
}

static uint64_t quarantined(struct fixture *fixture)
{
    uint64_t count = 0;

    assert_int_equal(store_quarantined(fixture->store, &count), 0);
    return count;
}

static struct command *drop(struct fixture *fixture)
{
    struct command *command = command_new(COMMAND_QUARANTINE_DROP, 0);

    assert_non_null(command);
    command->at.realtime_usec = FIXTURE_NOW;
    return fixture_run(fixture, command);
}

static void assert_file(const struct fixture *fixture, const char *name, const char *expected)
{
    _cleanup_close_ int fd = openat(fixture->fd, name, O_RDONLY | O_CLOEXEC);
    char text[1024] = "";
    struct stat st;

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(read(fd, text, sizeof(text) - 1) >= 0);
    assert_string_equal(text, expected);
}

static void records_are_in_a_file_before_they_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    uint64_t job = fixture_add(fixture, fixture_job(1));

    quarantine(fixture, 7, "BQ\1\0x", 5);
    quarantine(fixture, 300, "", 0);
    _cleanup_(command_free_p) struct command *command = drop(fixture);
    assert_int_equal(command->result, 0);
    assert_int_equal(command->dropped, 2);
    assert_string_equal(command->saved, DUMP ".dump");
    assert_file(fixture, DUMP ".dump",
                "VERSION=3\nformat=bytevalue\ndatabase=quarantine\ntype=btree\nHEADER=END\n"
                " 0000000000000007\n 4251010078\n 000000000000012c\n \nDATA=END\n");
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->report.quarantined, 0);
    assert_int_equal(fixture_state(fixture, job), JOB_READY);
}

static void where_nothing_lies_there_no_file_is_made(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(command_free_p) struct command *command = drop(fixture);

    assert_int_equal(command->result, 0);
    assert_int_equal(command->dropped, 0);
    assert_string_equal(command->saved, "");
    assert_int_equal(faccessat(fixture->fd, DUMP ".dump", F_OK, 0), -1);
}

static void a_second_one_within_a_second_overwrites_nothing(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t id = 1; id <= 2; id++) {
        quarantine(fixture, id, "x", 1);
        _cleanup_(command_free_p) struct command *command = drop(fixture);
        assert_int_equal(command->dropped, 1);
        assert_string_equal(command->saved, id == 1 ? DUMP ".dump" : DUMP "-2.dump");
    }
    assert_file(fixture, DUMP ".dump",
                "VERSION=3\nformat=bytevalue\ndatabase=quarantine\ntype=btree\nHEADER=END\n"
                " 0000000000000001\n 78\nDATA=END\n");
}

/* A link in the place of the file would have the daemon write elsewhere. */
static void where_no_copy_can_be_made_nothing_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    char name[64];

    quarantine(fixture, 7, "x", 1);
    assert_int_equal(symlinkat("elsewhere", fixture->fd, DUMP ".dump"), 0);
    for (int i = 2; i <= 100; i++) {
        (void)snprintf(name, sizeof(name), DUMP "-%d.dump", i);
        assert_int_equal(symlinkat("elsewhere", fixture->fd, name), 0);
    }
    _cleanup_(command_free_p) struct command *command = drop(fixture);
    assert_int_equal(command->result, -EIO);
    assert_int_equal(command->dropped, 0);
    assert_string_equal(command->saved, "");
    assert_int_equal(quarantined(fixture), 1);
    assert_int_equal(faccessat(fixture->fd, "elsewhere", F_OK, 0), -1);
}

/* A transaction that fails as a whole is tried again with each of its commands alone. */
static void another_try_writes_the_same_file_anew(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_QUARANTINE_DROP, 0);
    struct lmdb_txn txn;

    quarantine(fixture, 1, "x", 1);
    command->at.realtime_usec = FIXTURE_NOW;
    for (int i = 0; i < 2; i++) {
        apply_reset(command);
        lmdb_begin_write(fixture->store->env, &txn);
        apply_command(fixture->store, &txn, command);
        assert_int_equal(command->result, 0);
        assert_string_equal(command->saved, DUMP ".dump");
        lmdb_abort(&txn);
    }
    assert_int_equal(quarantined(fixture), 1);
    assert_file(fixture, DUMP ".dump",
                "VERSION=3\nformat=bytevalue\ndatabase=quarantine\ntype=btree\nHEADER=END\n"
                " 0000000000000001\n 78\nDATA=END\n");
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(records_are_in_a_file_before_they_are_dropped),   OPEN(where_nothing_lies_there_no_file_is_made),
    OPEN(a_second_one_within_a_second_overwrites_nothing), OPEN(where_no_copy_can_be_made_nothing_is_dropped),
    OPEN(another_try_writes_the_same_file_anew),
};

UNIT_MAIN(tests);
