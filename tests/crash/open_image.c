/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens state folders that a crash may have left, as the daemon would, and says what is wrong with them. It reads a
 * line for each from standard input, "FOLDER REQUIREMENTS", and answers each with one line: "ok", or "bad" and a
 * sentence. What the store's own invariants find ends the program instead, with the reason on standard error.
 *
 * REQUIREMENTS is a file of lines:
 *
 *   next N                    no id below N may be given out again
 *   job ID STATES PRIORITIES OFFSET
 *                             a job that was acknowledged: STATES is a sum of 1 << enum job_state that it may be in,
 * and 1 where it may be gone, PRIORITIES one of 1 << enum job_priority; OFFSET bounds what it takes the server to have
 */
#include "base/crc32c.h"
#include "base/parse.h"
#include "store_invariants.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JOBS_MAX    4096
#define MAY_BE_GONE 1U

struct requirement {
    uint64_t id;
    uint64_t states;
    uint64_t priorities;
    uint64_t offset_max;
};

struct requirements {
    uint64_t next_id;
    size_t count;
    struct requirement jobs[JOBS_MAX];
};

static char verdict[512];

/* Keeps the first thing that is wrong. */
__attribute__((format(printf, 2, 3))) static bool check(bool good, const char *format, ...)
{
    va_list arguments;

    if (good || verdict[0] != '\0')
        return good;
    va_start(arguments, format);
    (void)vsnprintf(verdict, sizeof(verdict), format, arguments);
    va_end(arguments);
    return false;
}

static bool read_requirements(const char *path, struct requirements *ret)
{
    FILE *file = fopen(path, "re");
    char line[256];

    if (!file)
        return false;
    ret->next_id = 1;
    ret->count = 0;
    while (fgets(line, sizeof(line), file)) {
        const char *word = strtok(line, " \n");
        uint64_t numbers[4] = {0};
        for (size_t i = 0; i < ELEMENTS(numbers); i++) {
            const char *text = strtok(NULL, " \n");
            if (text && parse_u64(text, &numbers[i]) < 0)
                word = NULL;
        }
        if (!word || ret->count == JOBS_MAX)
            break;
        if (strcmp(word, "next") == 0)
            ret->next_id = numbers[0];
        else
            ret->jobs[ret->count++] = (struct requirement){numbers[0], numbers[1], numbers[2], numbers[3]};
    }
    bool whole = feof(file) != 0;
    (void)fclose(file);
    return whole;
}

static void check_job(struct fixture *fixture, const struct requirement *wanted)
{
    _cleanup_(job_free_p) struct job *job = NULL;

    int r = store_get(fixture->store, wanted->id, &job);
    if (r < 0) {
        (void)check(r == -ENOENT && (wanted->states & MAY_BE_GONE), "job %" PRIu64 " was acknowledged and is lost: %s",
                    wanted->id, strerror(-r));
        return;
    }
    (void)check(wanted->states >> job->state & 1,
                "job %" PRIu64 " is %s, which is not what was acknowledged (%" PRIx64 ")", job->id,
                job_state_name(job->state), wanted->states);
    (void)check(wanted->priorities >> job->priority & 1,
                "job %" PRIu64 " has the priority %s, which is not what was set", job->id,
                job_priority_name(job->priority));
    (void)check(job->session.offset <= wanted->offset_max,
                "job %" PRIu64 " takes the server to have %" PRIu64 " bytes, but it has %" PRIu64, job->id,
                job->session.offset, wanted->offset_max);
}

/* One number for all that lies in all tables, without knowing them. */
static uint32_t digest(struct fixture *fixture)
{
    _cleanup_read_ struct store_read read;
    uint32_t sum = 0;

    assert_int_equal(store_read_begin(fixture->store, &read), 0);
    for (enum lmdb_table table = 0; table < LMDB_TABLES; table++) {
        _cleanup_cursor_ struct lmdb_cursor cursor;
        lmdb_cursor_open(&read.txn, table, &cursor);
        for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more; more = lmdb_next(&cursor))
            sum = sum * 31 + (crc32c(cursor.key.data, cursor.key.size) ^ crc32c(cursor.value.data, cursor.value.size));
    }
    assert_int_equal(read.txn.error, 0);
    return sum;
}

static uint64_t next_id(struct fixture *fixture)
{
    _cleanup_read_ struct store_read read;

    assert_int_equal(store_read_begin(fixture->store, &read), 0);
    return schema_next_id(&read.txn);
}

static void open_and_look(struct fixture *fixture)
{
    fixture_open(fixture);
    (void)check(fixture->report.reason[0] == '\0', "the queue needed repair: %s", fixture->report.reason);
    (void)check(fixture->report.quarantined == 0, "%" PRIu64 " records are in quarantine", fixture->report.quarantined);
    assert_indexes_match(fixture);
}

/* What was found must be good for work: another job goes in, and is there afterwards beside the others. */
static void use(struct fixture *fixture, const struct requirements *wanted)
{
    uint64_t jobs = fixture->report.jobs, id = fixture_add(fixture, fixture_job(1));

    (void)check(id >= wanted->next_id, "id %" PRIu64 " was given out again", id);
    fixture_close(fixture);
    open_and_look(fixture);
    (void)check(fixture->report.jobs == jobs + 1, "%" PRIu64 " jobs and another one are %" PRIu64, jobs,
                fixture->report.jobs);
    assert_int_equal(fixture_state(fixture, id), JOB_READY);
}

static void judge(struct fixture *fixture, const struct requirements *wanted)
{
    struct marker marker = {0};

    open_and_look(fixture);
    for (size_t i = 0; i < wanted->count; i++)
        check_job(fixture, &wanted->jobs[i]);
    uint64_t next = next_id(fixture);
    (void)check(next >= wanted->next_id, "id %" PRIu64 " would be given out again", next);
    int r = marker_read(fixture->fd, &marker);
    (void)check(r == 0 && next <= marker.reserved + 1,
                "the next id is %" PRIu64 ", but the marker covers %" PRIu64 " (%s)", next, marker.reserved,
                strerror(-r));
    uint32_t sum = digest(fixture);
    fixture_close(fixture);
    open_and_look(fixture);
    (void)check(digest(fixture) == sum, "a second start found something else than the first");
    use(fixture, wanted);
    fixture_close(fixture);
}

static void answer(const char *folder, const char *requirements_path)
{
    static struct requirements wanted;
    struct fixture fixture = {.sizes = {.map_bytes = STORE_MAP_BYTES, .reserve_bytes = STORE_RESERVE_BYTES}};

    verdict[0] = '\0';
    (void)snprintf(fixture.path, sizeof(fixture.path), "%s", folder);
    fixture.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!check(fixture.fd >= 0, "cannot open %s", folder) ||
        !check(read_requirements(requirements_path, &wanted), "cannot read %s", requirements_path))
        return;
    assert_int_equal(mailbox_new(&fixture.mailbox), 0);
    TAILQ_INIT(&fixture.taken);
    fixture.options = (struct store_options){
        .directory_fd = fixture.fd,
        .directory = fixture.path,
        .jobs_max = STORE_JOBS_MAX,
        .jobs_max_per_user = STORE_JOBS_MAX,
        .mailbox = fixture.mailbox,
        .now = {.realtime_usec = FIXTURE_NOW},
    };
    judge(&fixture, &wanted);
    mailbox_free(fixture.mailbox);
    (void)close(fixture.fd);
}

int main(void)
{
    char line[8192];

    while (fgets(line, sizeof(line), stdin)) {
        const char *folder = strtok(line, " \n"), *requirements = strtok(NULL, " \n");
        if (!folder || !requirements)
            return 2;
        answer(folder, requirements);
        (void)printf(verdict[0] == '\0' ? "ok\n" : "bad %s\n", verdict);
        (void)fflush(stdout);
    }
    return 0;
}
