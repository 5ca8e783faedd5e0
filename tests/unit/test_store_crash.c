/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process that is killed while it writes, and a disk that is full. */
#include "store_invariants.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define KILLS         12
#define IDS_PER_ROUND 4096
#define CHILD_WINDOW  8 /* commands on their way at a time, so that commits are groups */
#define SMALL_MAP     (UINT64_C(8) << 20)
#define SMALL_RESERVE (UINT64_C(7) << 20) /* the journal of what these tests do has its place in it */

static void submit(struct fixture *fixture, unsigned number)
{
    struct job *job = fixture_job(number);

    store_submit(fixture->store, fixture_add_command(&job, 1, IF_EXISTS_FAIL));
}

/* Adds jobs until it is killed, and says each id once it was acknowledged; pauses and removes some in between. */
static _Noreturn void child_add(struct fixture *fixture, int fd)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    fixture_open(fixture);
    for (unsigned i = 0; i < CHILD_WINDOW; i++)
        submit(fixture, i);
    for (unsigned i = 0;; i++) {
        struct command *command = fixture_take(fixture);
        if (command->result != 0)
            _exit(1);
        uint64_t id = command->type == COMMAND_ADD ? command->items[0].id : 0;
        command_free(command);
        if (id == 0)
            continue;
        if (write(fd, &id, sizeof(id)) != sizeof(id))
            _exit(1);
        if (i % 3 == 0)
            store_submit(fixture->store, fixture_verb_command(VERB_PAUSE, &id, 1));
        submit(fixture, i);
    }
}

/* Kills the child after it has acknowledged COUNT ids. Returns how many it acknowledged in all. */
static size_t run_and_kill(struct fixture *fixture, size_t count, uint64_t ids[static IDS_PER_ROUND])
{
    int ends[2], status;
    size_t seen = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_add(fixture, ends[1]);
    (void)close(ends[1]);
    while (seen < IDS_PER_ROUND) {
        ssize_t n = read(ends[0], &ids[seen], sizeof(ids[0]));
        if (n != sizeof(ids[0]))
            break;
        if (++seen == count)
            assert_int_equal(kill(pid, SIGKILL), 0);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return seen;
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct fixture *fixture = *state;
    static uint64_t ids[KILLS * IDS_PER_ROUND];
    size_t count = 0;

    for (unsigned i = 0; i < KILLS; i++) {
        size_t more = run_and_kill(fixture, 1 + 7 * (size_t)i, ids + count);
        /* Ids go on where the last life ended, and never come twice. */
        for (size_t j = count; j < count + more; j++)
            assert_true(j == 0 || ids[j] > ids[j - 1]);
        count += more;
        fixture_open(fixture);
        assert_string_equal(fixture->report.reason, "");
        assert_int_equal(fixture->report.quarantined, 0);
        for (size_t j = 0; j < count; j++) {
            _cleanup_(job_free_p) struct job *job = NULL;
            assert_int_equal(store_get(fixture->store, ids[j], &job), 0);
        }
        assert_indexes_match(fixture);
        fixture_close(fixture);
    }
}

/* Runs CHECK in a process of its own, whose limits may be lowered. */
static void run_apart(struct fixture *fixture, void (*check)(struct fixture *fixture))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        check(fixture);
        fixture_close(fixture);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* cmocka's assertions belong to the parent. */
#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                             \
        }                                                                         \
    } while (0)

static void limit_file_size(uint64_t bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* A file that may not grow stands for a disk that is full. */
static void check_full_disk(struct fixture *fixture)
{
    unsigned added = 0;
    int r;

    fixture_open(fixture);
    uint64_t first = fixture_add(fixture, fixture_job(0));
    limit_file_size(UINT64_C(128) << 10);
    while ((r = fixture_try_add(fixture, fixture_job(added + 1), IF_EXISTS_FAIL)) == 0)
        CHECK(++added < 10000);
    CHECK(r == -ENOSPC || r == -EIO);
    CHECK(added > 0);
    CHECK(fixture_count(fixture, JOB_READY) == added + 1);
    CHECK(fixture_state(fixture, first) == JOB_READY);
    /* Several at once: they fail one by one, and each gets its answer. */
    for (unsigned i = 0; i < 20; i++)
        submit(fixture, i);
    for (unsigned i = 0; i < 20; i++) {
        struct command *command = fixture_take(fixture);
        CHECK(command->result == 0 || command->result == -ENOSPC || command->result == -EIO);
        added += command->result == 0;
        command_free(command);
    }
    CHECK(fixture_count(fixture, JOB_READY) == added + 1);
    limit_file_size(RLIM_INFINITY);
    CHECK(fixture_try_add(fixture, fixture_job(1), IF_EXISTS_FAIL) == 0);
    CHECK(fixture_count(fixture, JOB_READY) == added + 2);
    fixture_close(fixture);
    fixture_open(fixture);
    CHECK(fixture->report.jobs == added + 2);
}

static void a_full_disk_is_an_error_and_loses_nothing(void **state)
{
    run_apart(*state, check_full_disk);
}

static void check_marker_not_written(struct fixture *fixture)
{
    fixture_open(fixture);
    limit_file_size(16);
    CHECK(fixture_try_add(fixture, fixture_job(1), IF_EXISTS_FAIL) == -ENOSPC);
    limit_file_size(RLIM_INFINITY);
    CHECK(fixture_add(fixture, fixture_job(1)) == 1);
}

static void no_id_is_given_out_that_the_marker_does_not_cover(void **state)
{
    run_apart(*state, check_marker_not_written);
}

static int prove(struct fixture *fixture)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_PROVE, 0);

    CHECK(command != NULL);
    return fixture_run(fixture, command)->result;
}

static void check_proof(struct fixture *fixture)
{
    fixture_open(fixture);
    CHECK(prove(fixture) == 0);
    limit_file_size(16); /* not even the marker */
    CHECK(prove(fixture) == -ENOSPC);
    limit_file_size(4096); /* but no page of the queue */
    CHECK(prove(fixture) < 0);
    limit_file_size(RLIM_INFINITY);
    CHECK(prove(fixture) == 0);
    CHECK(fixture_add(fixture, fixture_job(1)) == 1);
}

static void a_queue_proves_that_it_can_be_written(void **state)
{
    run_apart(*state, check_proof);
}

/* Adds jobs until there is no room for more. Returns the last id. */
static uint64_t fill_map(struct fixture *fixture)
{
    uint64_t last = 0;
    int r;

    fixture->sizes = (struct store_sizes){.map_bytes = SMALL_MAP, .reserve_bytes = SMALL_RESERVE};
    fixture_open(fixture);
    while ((r = fixture_try_add(fixture, fixture_job((unsigned)last), IF_EXISTS_FAIL)) == 0)
        assert_true(++last < 100000);
    /* Not the disk is full, and a caller must not be told so. */
    assert_int_equal(r, -EFBIG);
    assert_true(last > 100);
    return last;
}

static void a_full_map_takes_no_jobs_but_lets_them_end(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = fill_map(fixture);

    for (uint64_t id = 1; id <= last; id++) {
        _cleanup_(command_free_p) struct command *done = command_new(COMMAND_DONE, 1);
        done->items[0].id = id;
        done->at.realtime_usec = FIXTURE_NOW;
        fixture_run(fixture, done);
        assert_int_equal(done->result, 0);
    }
    for (uint64_t id = 1; id <= last; id++)
        assert_int_equal(fixture_verb(fixture, VERB_REMOVE, id), 0);
    /* And what was freed can be used again. */
    assert_int_equal(fixture_try_add(fixture, fixture_job(1), IF_EXISTS_FAIL), 0);
}

static void a_full_map_lets_jobs_be_paused_cancelled_and_forgotten(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = fill_map(fixture);
    uint64_t forgotten = 0;
    bool more = true;

    for (uint64_t id = 1; id <= last; id++) {
        _cleanup_(command_free_p) struct command *gone = command_new(COMMAND_GONE, 1);
        gone->items[0].id = id;
        gone->at.realtime_usec = FIXTURE_NOW;
        if (id % 10 == 0) { /* the journal keeps each of them, and what it takes is no room for jobs */
            assert_int_equal(fixture_verb(fixture, VERB_PAUSE, id), 0);
            assert_int_equal(fixture_verb(fixture, VERB_RESUME, id), 0);
        }
        assert_int_equal(fixture_verb(fixture, VERB_CANCEL, id), 0);
        fixture_run(fixture, gone);
        assert_int_equal(gone->result, 0);
    }
    assert_int_equal(fixture_try_add(fixture, fixture_job(1), IF_EXISTS_FAIL), -EFBIG);
    while (more) {
        _cleanup_(command_free_p) struct command *retain = command_new(COMMAND_RETAIN, 0);
        retain->retain = (struct retain_step){.cutoff_usec = FIXTURE_NOW + 1, .keep_jobs = UINT64_MAX};
        fixture_run(fixture, retain);
        assert_int_equal(retain->result, 0);
        forgotten += retain->items_count;
        more = retain->retain.more;
    }
    assert_int_equal(forgotten, last);
    assert_int_equal(fixture_try_add(fixture, fixture_job(1), IF_EXISTS_FAIL), 0);
}

static bool has_room(struct fixture *fixture, uint64_t bytes)
{
    _cleanup_txn_ struct lmdb_txn txn;

    lmdb_begin_write(fixture->store->env, &txn);
    bool room = lmdb_has_room(&txn, bytes);
    assert_int_equal(txn.error, 0);
    return room;
}

static void a_job_needs_the_whole_reserve_and_not_one_byte_more(void **state)
{
    struct fixture *fixture = *state;
    uint64_t room = 0;

    fixture->sizes = (struct store_sizes){.map_bytes = SMALL_MAP, .reserve_bytes = 0};
    fixture_open(fixture);
    fixture_add(fixture, fixture_job(1));
    for (uint64_t bit = SMALL_MAP; bit > 0; bit /= 2)
        room += has_room(fixture, room + bit) ? bit : 0;
    assert_in_range(room, 1, SMALL_MAP - 1);
    fixture->store->sizes.reserve_bytes = room + 1;
    assert_int_equal(fixture_try_add(fixture, fixture_job(2), IF_EXISTS_FAIL), -EFBIG);
    fixture->store->sizes.reserve_bytes = room;
    assert_int_equal(fixture_try_add(fixture, fixture_job(2), IF_EXISTS_FAIL), 0);
}

#define REUSE_WARM   20 /* rounds after which the file has its size */
#define REUSE_ROUNDS 200
#define REUSE_JOBS   101 /* one event a command: the journal grows up to a bound of its own */

static void come_and_go(struct fixture *fixture)
{
    struct job *jobs[REUSE_JOBS];
    uint64_t ids[REUSE_JOBS];
    _cleanup_(command_free_p) struct command *done = command_new(COMMAND_DONE, REUSE_JOBS);

    for (unsigned i = 0; i < REUSE_JOBS; i++)
        jobs[i] = fixture_job(i);
    _cleanup_(command_free_p) struct command *add = fixture_add_command(jobs, REUSE_JOBS, IF_EXISTS_FAIL);
    fixture_run(fixture, add);
    assert_int_equal(add->result, 0);
    for (unsigned i = 0; i < REUSE_JOBS; i++)
        done->items[i].id = ids[i] = add->items[i].id;
    done->at.realtime_usec = FIXTURE_NOW;
    fixture_run(fixture, done);
    assert_int_equal(done->result, 0);
    assert_int_equal(fixture_count(fixture, JOB_DONE), REUSE_JOBS);
    _cleanup_(command_free_p) struct command *gone = fixture_verb_command(VERB_REMOVE, ids, REUSE_JOBS);
    fixture_run(fixture, gone);
    assert_int_equal(gone->result, 0);
    assert_int_equal(fixture_count(fixture, JOB_DONE), 0);
}

static void jobs_that_come_and_go_do_not_let_the_file_grow(void **state)
{
    struct fixture *fixture = *state;
    uint64_t warm = 0;

    for (unsigned round = 1; round <= REUSE_ROUNDS; round++) {
        come_and_go(fixture);
        if (round == REUSE_WARM)
            warm = lmdb_needed_bytes(fixture->store->env);
    }
    assert_true(warm > 0);
    assert_in_range(lmdb_needed_bytes(fixture->store->env), 1, warm + warm / 4);
}

static void one_command_too_large_does_not_sink_the_others(void **state)
{
    struct fixture *fixture = *state;
    struct job *jobs[1000], *before = fixture_job(0), *after = fixture_job(1);
    struct lmdb_txn busy;

    /* Without a reserve the map itself is the limit. */
    fixture->sizes = (struct store_sizes){.map_bytes = UINT64_C(256) << 10, .reserve_bytes = 0};
    fixture_open(fixture);
    for (unsigned i = 0; i < ELEMENTS(jobs); i++)
        jobs[i] = fixture_job(i);
    lmdb_begin_write(fixture->store->env, &busy);
    store_submit(fixture->store, fixture_add_command(&before, 1, IF_EXISTS_FAIL));
    store_submit(fixture->store, fixture_add_command(jobs, 998, IF_EXISTS_FAIL));
    store_submit(fixture->store, fixture_add_command(&after, 1, IF_EXISTS_FAIL));
    job_free(jobs[998]);
    job_free(jobs[999]);
    lmdb_abort(&busy);
    _cleanup_(command_free_p) struct command *one = fixture_take(fixture), *two = fixture_take(fixture),
                                             *three = fixture_take(fixture);
    assert_int_equal(one->result, 0);
    assert_int_equal(two->result, -ENOSPC);
    assert_int_equal(three->result, 0);
    assert_int_equal(three->items[0].id, one->items[0].id + 1);
    assert_int_equal(fixture_count(fixture, JOB_READY), 2);
}

/* LMDB's descriptor for its head, which it opens for writing only. */
static int find_head_descriptor(const struct fixture *fixture)
{
    for (int fd = 3; fd < 64; fd++) {
        char link[64], target[256];
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof(target) - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (strncmp(target, fixture->path, strlen(fixture->path)) == 0 && strstr(target, "/queue/data.mdb") &&
            (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
            return fd;
    }
    return -1;
}

static void a_head_that_cannot_be_written_is_opened_anew(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1));
    int head = find_head_descriptor(fixture), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    assert_true(head >= 0 && full >= 0);
    assert_true(dup3(full, head, O_CLOEXEC) == head);
    (void)close(full);
    assert_int_equal(fixture_try_add(fixture, fixture_job(2), IF_EXISTS_FAIL), -EIO);
    assert_int_equal(fixture_state(fixture, id), JOB_READY);
    assert_int_equal(fixture_add(fixture, fixture_job(3)), id + 1);
    assert_indexes_match(fixture);
}

static void a_queue_that_cannot_be_opened_anew_heals_later(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1)), counts[JOB_STATES];
    int head = find_head_descriptor(fixture), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    char from[256], to[256];

    assert_true(head >= 0 && full >= 0);
    assert_true(dup3(full, head, O_CLOEXEC) == head);
    (void)close(full);
    assert_int_equal(rename(fixture_path(fixture, "queue", from), fixture_path(fixture, "away", to)), 0);
    assert_int_equal(fixture_try_add(fixture, fixture_job(2), IF_EXISTS_FAIL), -EIO);
    assert_int_equal(fixture_try_add(fixture, fixture_job(2), IF_EXISTS_FAIL), -EIO);
    assert_int_equal(store_count(fixture->store, true, 0, counts), -EIO);
    assert_int_equal(rename(to, from), 0);
    assert_int_equal(fixture_add(fixture, fixture_job(3)), id + 1);
    assert_int_equal(fixture_state(fixture, id), JOB_READY);
}

#define OPEN(test)   cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static const struct CMUnitTest tests[] = {
    CLOSED(what_was_acknowledged_survives_a_kill),
    CLOSED(a_full_disk_is_an_error_and_loses_nothing),
    CLOSED(no_id_is_given_out_that_the_marker_does_not_cover),
    CLOSED(a_queue_proves_that_it_can_be_written),
    CLOSED(a_full_map_takes_no_jobs_but_lets_them_end),
    CLOSED(a_full_map_lets_jobs_be_paused_cancelled_and_forgotten),
    CLOSED(a_job_needs_the_whole_reserve_and_not_one_byte_more),
    OPEN(jobs_that_come_and_go_do_not_let_the_file_grow),
    CLOSED(one_command_too_large_does_not_sink_the_others),
    OPEN(a_head_that_cannot_be_written_is_opened_anew),
    OPEN(a_queue_that_cannot_be_opened_anew_heals_later),
};

UNIT_MAIN(tests);
