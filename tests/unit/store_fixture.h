/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A store in a temporary folder, and the waiting for its answers. */
#pragma once

#include "support/unit.h"

#include "store/internal.h"

#define FIXTURE_OWNER 1000
#define FIXTURE_NOW   UINT64_C(1700000000000000) /* 2023-11-14T22:13:20Z */

struct fixture {
    char path[64];
    int fd;
    struct mailbox *mailbox;
    struct message_list taken;
    struct store_options options;
    struct store_sizes sizes;
    struct store *store;
    struct store_report report;
};

/* cmocka's set-up and tear-down: *state is a struct fixture with an empty folder; the store is not open yet. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
int fixture_setup_open(void **state); /* with an open store */

void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* A valid job of FIXTURE_OWNER, ready, queued NUMBER seconds after FIXTURE_NOW. */
struct job *fixture_job(unsigned number);
/* Replaces a string of a job. */
void fixture_set(char **string, const char *value);

/* An ADD of JOBS, which it owns from now on. */
struct command *fixture_add_command(struct job **jobs, size_t jobs_count, enum if_exists if_exists);
struct command *fixture_verb_command(enum job_verb verb, const uint64_t *ids, size_t ids_count);

/* The next answer, in order. */
struct command *fixture_take(struct fixture *fixture);
/* Submits, and waits for this one answer. Returns COMMAND. */
struct command *fixture_run(struct fixture *fixture, struct command *command);

/* Adds one job and returns its id. */
uint64_t fixture_add(struct fixture *fixture, struct job *job);
/* Adds one job and returns the result, which may be an error. */
int fixture_try_add(struct fixture *fixture, struct job *job, enum if_exists if_exists);
int fixture_verb(struct fixture *fixture, enum job_verb verb, uint64_t id);

enum job_state fixture_state(struct fixture *fixture, uint64_t id);
uint64_t fixture_count(struct fixture *fixture, enum job_state state);

/* Paths below the folder. */
char *fixture_path(const struct fixture *fixture, const char *name, char buffer[static 256]);
void fixture_write_file(const struct fixture *fixture, const char *name, const void *bytes, size_t size);

void assert_jobs_equal(const struct job *a, const struct job *b);
