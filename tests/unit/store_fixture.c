/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store_fixture.h"

#include "store/codec.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    strcpy(fixture->path, "/tmp/bitsq-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    fixture->fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fixture->fd >= 0);
    assert_int_equal(mailbox_new(&fixture->mailbox), 0);
    TAILQ_INIT(&fixture->taken);
    fixture->options = (struct store_options){
        .directory_fd = fixture->fd,
        .directory = fixture->path,
        .jobs_max = STORE_JOBS_MAX,
        .jobs_max_per_user = STORE_JOBS_MAX,
        .mailbox = fixture->mailbox,
        .now = {.realtime_usec = FIXTURE_NOW},
    };
    fixture->sizes = (struct store_sizes){.map_bytes = STORE_MAP_BYTES, .reserve_bytes = STORE_RESERVE_BYTES};
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    struct message *message;

    fixture_close(fixture);
    mailbox_take_all(fixture->mailbox, &fixture->taken);
    while ((message = TAILQ_FIRST(&fixture->taken))) {
        TAILQ_REMOVE(&fixture->taken, message, entry);
        command_free((struct command *)message);
    }
    mailbox_free(fixture->mailbox);
    (void)close(fixture->fd);
    (void)nftw(fixture->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

int fixture_setup_open(void **state)
{
    int r = fixture_setup(state);

    if (r == 0)
        fixture_open(*state);
    return r;
}

void fixture_open(struct fixture *fixture)
{
    int r = store_open_sized(&fixture->options, &fixture->sizes, &fixture->store, &fixture->report);

    if (r < 0)
        fail_msg("store_open: %s: %s", strerror(-r), fixture->report.reason);
}

void fixture_close(struct fixture *fixture)
{
    fixture->store = store_close(fixture->store);
}

void fixture_set(char **string, const char *value)
{
    free(*string);
    *string = value ? strdup(value) : NULL;
}

struct job *fixture_job(unsigned number)
{
    struct job *job = job_new();
    char text[64];

    assert_non_null(job);
    job->owner = FIXTURE_OWNER;
    job->priority = PRIORITY_NORMAL;
    job->state = JOB_READY;
    job->queued_usec = job->created_usec = FIXTURE_NOW + number * USEC_PER_SEC;
    (void)snprintf(text, sizeof(text), "/data/file-%u", number);
    fixture_set(&job->source, text);
    fixture_set(&job->name, text + 6);
    (void)snprintf(text, sizeof(text), "https://up.example/in/file-%u", number);
    fixture_set(&job->url, text);
    fixture_set(&job->group, "default");
    fixture_set(&job->host, "up.example:443");
    return job;
}

struct command *fixture_add_command(struct job **jobs, size_t jobs_count, enum if_exists if_exists)
{
    struct command *command = command_new(COMMAND_ADD, jobs_count);

    assert_non_null(command);
    command->jobs = calloc(jobs_count, sizeof(*jobs));
    assert_non_null(command->jobs);
    memcpy(command->jobs, jobs, jobs_count * sizeof(*jobs));
    command->jobs_count = jobs_count;
    command->if_exists = if_exists;
    command->caller = FIXTURE_OWNER;
    command->at.realtime_usec = FIXTURE_NOW;
    return command;
}

struct command *fixture_verb_command(enum job_verb verb, const uint64_t *ids, size_t ids_count)
{
    struct command *command = command_new(COMMAND_VERB, ids_count);

    assert_non_null(command);
    command->verb = verb;
    command->caller = FIXTURE_OWNER;
    command->at.realtime_usec = FIXTURE_NOW;
    for (size_t i = 0; i < ids_count; i++)
        command->items[i].id = ids[i];
    return command;
}

struct command *fixture_take(struct fixture *fixture)
{
    struct pollfd poll_fd = {.fd = mailbox_fd(fixture->mailbox), .events = POLLIN};

    while (TAILQ_EMPTY(&fixture->taken)) {
        assert_int_equal(poll(&poll_fd, 1, 60000), 1);
        mailbox_take_all(fixture->mailbox, &fixture->taken);
    }
    struct message *message = TAILQ_FIRST(&fixture->taken);
    TAILQ_REMOVE(&fixture->taken, message, entry);
    return (struct command *)message;
}

struct command *fixture_run(struct fixture *fixture, struct command *command)
{
    store_submit(fixture->store, command);
    struct command *answer = fixture_take(fixture);
    assert_ptr_equal(answer, command);
    return answer;
}

uint64_t fixture_add(struct fixture *fixture, struct job *job)
{
    _cleanup_(command_free_p) struct command *command = fixture_add_command(&job, 1, IF_EXISTS_FAIL);

    fixture_run(fixture, command);
    assert_int_equal(command->result, 0);
    assert_non_null(command->items[0].after);
    assert_int_equal(command->items[0].after->id, command->items[0].id);
    return command->items[0].id;
}

int fixture_try_add(struct fixture *fixture, struct job *job, enum if_exists if_exists)
{
    _cleanup_(command_free_p) struct command *command = fixture_add_command(&job, 1, if_exists);

    return fixture_run(fixture, command)->result;
}

int fixture_verb(struct fixture *fixture, enum job_verb verb, uint64_t id)
{
    _cleanup_(command_free_p) struct command *command = fixture_verb_command(verb, &id, 1);

    fixture_run(fixture, command);
    return command->result < 0 ? command->result : command->items[0].result;
}

enum job_state fixture_state(struct fixture *fixture, uint64_t id)
{
    _cleanup_(job_free_p) struct job *job = NULL;

    assert_int_equal(store_get(fixture->store, id, &job), 0);
    return job->state;
}

uint64_t fixture_count(struct fixture *fixture, enum job_state state)
{
    uint64_t counts[JOB_STATES];

    assert_int_equal(store_count(fixture->store, false, FIXTURE_OWNER, counts), 0);
    return counts[state];
}

char *fixture_path(const struct fixture *fixture, const char *name, char buffer[static 256])
{
    (void)snprintf(buffer, 256, "%s/%s", fixture->path, name);
    return buffer;
}

void fixture_write_file(const struct fixture *fixture, const char *name, const void *bytes, size_t size)
{
    int fd = openat(fixture->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    (void)close(fd);
}

void assert_jobs_equal(const struct job *a, const struct job *b)
{
    _cleanup_free_ void *left = NULL, *right = NULL;
    size_t left_size = 0, right_size = 0;

    assert_int_equal(codec_encode_job(a, &left, &left_size), 0);
    assert_int_equal(codec_encode_job(b, &right, &right_size), 0);
    assert_int_equal(left_size, right_size);
    assert_memory_equal(left, right, left_size);
}
