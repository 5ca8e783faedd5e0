/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that is mostly free pages is made smaller at the start, and nothing is lost on the way. */
#include "store_invariants.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILE_NAME  "queue/data.mdb"
#define DRAFT_NAME "queue/data.mdb.new"
#define MANY       2000
#define LEFT       10
#define MIN_BYTES  (128 * KIB)
#define LIVE_MAX   (64 * MIB)
#define KILLS      12

/* 0 = it is not there. */
static uint64_t size_of(const struct fixture *fixture, const char *name)
{
    struct stat st;

    if (fstatat(fixture->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        assert_int_equal(errno, ENOENT);
        return 0;
    }
    return (uint64_t)st.st_size;
}

static void add_many(struct fixture *fixture, uint64_t *ids)
{
    struct job *jobs[STORE_BATCH_MAX];

    for (size_t start = 0; start < MANY; start += ELEMENTS(jobs)) {
        for (size_t i = 0; i < ELEMENTS(jobs); i++)
            jobs[i] = fixture_job((unsigned)(start + i));
        _cleanup_(command_free_p) struct command *add = fixture_add_command(jobs, ELEMENTS(jobs), IF_EXISTS_FAIL);
        fixture_run(fixture, add);
        assert_int_equal(add->result, 0);
        for (size_t i = 0; i < ELEMENTS(jobs); i++)
            ids[start + i] = add->items[i].id;
    }
}

/* A closed queue of LEFT jobs in a file that once held MANY. */
static uint64_t make_hollow(struct fixture *fixture)
{
    static uint64_t ids[MANY];

    fixture->sizes.compact_min_bytes = 0;
    fixture_open(fixture);
    add_many(fixture, ids);
    for (size_t start = LEFT; start < MANY; start += STORE_BATCH_MAX) {
        size_t count = MANY - start < STORE_BATCH_MAX ? MANY - start : STORE_BATCH_MAX;
        _cleanup_(command_free_p) struct command *cancel = fixture_verb_command(VERB_CANCEL, &ids[start], count);
        _cleanup_(command_free_p) struct command *gone = command_new(COMMAND_GONE, count);
        _cleanup_(command_free_p) struct command *remove = fixture_verb_command(VERB_REMOVE, &ids[start], count);
        for (size_t i = 0; i < count; i++)
            gone->items[i].id = ids[start + i];
        gone->at.realtime_usec = FIXTURE_NOW;
        fixture_run(fixture, cancel);
        fixture_run(fixture, gone);
        fixture_run(fixture, remove);
        assert_int_equal(remove->items[count - 1].result, 0);
    }
    fixture_close(fixture);
    fixture->sizes.compact_min_bytes = MIN_BYTES;
    fixture->sizes.compact_live_max_bytes = LIVE_MAX;
    return size_of(fixture, FILE_NAME);
}

static void a_hollow_file_gives_its_space_back_and_keeps_its_jobs(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = make_hollow(fixture);

    fixture_open(fixture);
    assert_int_equal(fixture->report.compacted_from_bytes, before);
    assert_in_range(fixture->report.compacted_to_bytes, 1, before / 4);
    assert_int_equal(fixture->report.compact_error, 0);
    assert_int_equal(size_of(fixture, FILE_NAME), fixture->report.compacted_to_bytes);
    assert_int_equal(size_of(fixture, DRAFT_NAME), 0);
    assert_string_equal(fixture->report.reason, "");
    assert_int_equal(fixture->report.jobs, LEFT);
    for (uint64_t id = 1; id <= LEFT; id++)
        assert_int_equal(fixture_state(fixture, id), JOB_READY);
    assert_indexes_match(fixture);
    assert_int_equal(fixture_add(fixture, fixture_job(1)), MANY + 1);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->report.compacted_to_bytes, 0);
    assert_int_equal(fixture->report.jobs, LEFT + 1);
    assert_indexes_match(fixture);
}

static void a_file_below_the_least_size_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = make_hollow(fixture);

    fixture->sizes.compact_min_bytes = before + 1;
    fixture_open(fixture);
    assert_int_equal(fixture->report.compacted_to_bytes, 0);
    assert_int_equal(size_of(fixture, FILE_NAME), before);
    fixture_close(fixture);
    fixture->sizes.compact_min_bytes = before;
    fixture_open(fixture);
    assert_true(fixture->report.compacted_to_bytes > 0);
}

static void a_file_with_too_much_to_copy_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = make_hollow(fixture);

    fixture->sizes.compact_live_max_bytes = 8192;
    fixture_open(fixture);
    assert_int_equal(fixture->report.compacted_to_bytes, 0);
    assert_int_equal(fixture->report.compact_error, 0);
    assert_int_equal(size_of(fixture, FILE_NAME), before);
}

static void a_file_that_is_in_use_for_the_most_part_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    static uint64_t ids[MANY];

    fixture_open(fixture);
    add_many(fixture, ids);
    fixture_close(fixture);
    fixture->sizes.compact_min_bytes = MIN_BYTES;
    fixture->sizes.compact_live_max_bytes = LIVE_MAX;
    assert_true(size_of(fixture, FILE_NAME) >= MIN_BYTES);
    fixture_open(fixture);
    assert_int_equal(fixture->report.compacted_to_bytes, 0);
    assert_int_equal(fixture->report.compact_error, 0);
    assert_int_equal(fixture->report.jobs, MANY);
}

static void what_an_earlier_try_left_is_removed(void **state)
{
    struct fixture *fixture = *state;

    fixture_open(fixture);
    uint64_t id = fixture_add(fixture, fixture_job(1));
    fixture_close(fixture);
    fixture_write_file(fixture, DRAFT_NAME, "half of a queue", 15);
    fixture_open(fixture);
    assert_int_equal(size_of(fixture, DRAFT_NAME), 0);
    assert_int_equal(fixture_state(fixture, id), JOB_READY);
    assert_string_equal(fixture->report.reason, "");
}

static void what_an_earlier_try_left_is_in_nobodys_way(void **state)
{
    struct fixture *fixture = *state;

    (void)make_hollow(fixture);
    fixture_write_file(fixture, DRAFT_NAME, "half of a queue", 15);
    fixture_open(fixture);
    assert_true(fixture->report.compacted_to_bytes > 0);
    assert_int_equal(fixture->report.jobs, LEFT);
    assert_indexes_match(fixture);
}

/* The exit status says which line was not as it should be. */
#define CHECK(condition)               \
    do {                               \
        if (!(condition))              \
            _exit(__LINE__ % 255 + 1); \
    } while (0)

static _Noreturn void open_on_a_full_disk(struct fixture *fixture, uint64_t before)
{
    struct rlimit limit = {.rlim_cur = 16 * KIB, .rlim_max = RLIM_INFINITY};

    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(store_open_sized(&fixture->options, &fixture->sizes, &fixture->store, &fixture->report) == 0);
    CHECK(fixture->report.compact_error == -EFBIG);
    CHECK(fixture->report.compacted_to_bytes == 0);
    CHECK(fixture->report.jobs == LEFT);
    CHECK(size_of(fixture, FILE_NAME) == before);
    CHECK(size_of(fixture, DRAFT_NAME) == 0);
    fixture_close(fixture);
    _exit(0);
}

static void a_copy_that_cannot_be_written_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = make_hollow(fixture);
    int status;

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        open_on_a_full_disk(fixture, before);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    fixture_open(fixture);
    assert_int_equal(fixture->report.jobs, LEFT);
    assert_true(fixture->report.compacted_to_bytes > 0);
}

/* Opens the queue in a process that is killed the moment that the copy is begun, or renamed, as it comes. */
static void open_and_kill(struct fixture *fixture, uint64_t before, bool at_rename)
{
    int status;

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)store_open_sized(&fixture->options, &fixture->sizes, &fixture->store, &fixture->report);
        for (;;)
            (void)pause();
    }
    while (at_rename ? size_of(fixture, FILE_NAME) == before
                     : size_of(fixture, DRAFT_NAME) == 0 && size_of(fixture, FILE_NAME) == before)
        continue;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void a_kill_leaves_the_old_file_or_the_new_one(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < KILLS; i++) {
        uint64_t before = make_hollow(fixture);
        uint64_t jobs = fixture->report.jobs + LEFT;
        open_and_kill(fixture, before, i % 2 == 1);
        fixture_open(fixture);
        assert_string_equal(fixture->report.reason, "");
        assert_string_equal(fixture->report.set_aside, "");
        assert_int_equal(fixture->report.jobs, jobs);
        assert_indexes_match(fixture);
        fixture_close(fixture);
    }
}

#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static const struct CMUnitTest tests[] = {
    CLOSED(a_hollow_file_gives_its_space_back_and_keeps_its_jobs),
    CLOSED(a_file_below_the_least_size_is_left_alone),
    CLOSED(a_file_with_too_much_to_copy_is_left_alone),
    CLOSED(a_file_that_is_in_use_for_the_most_part_is_left_alone),
    CLOSED(what_an_earlier_try_left_is_removed),
    CLOSED(what_an_earlier_try_left_is_in_nobodys_way),
    CLOSED(a_copy_that_cannot_be_written_changes_nothing),
    CLOSED(a_kill_leaves_the_old_file_or_the_new_one),
};

UNIT_MAIN(tests);
