/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random commands, the same every time: whatever they are, records and indexes stay of one mind. */
#include "store_invariants.h"

#include <stdio.h>

#define STEPS         3000
#define CHECK_EVERY   100
#define REOPEN_EVERY  1000
#define KEYS          12
#define HOSTS         4
#define COMMANDS_OPEN 5 /* submitted together, so that they meet in one transaction */

static uint32_t draw(uint32_t *seed, uint32_t bound)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed % bound;
}

static struct job *draw_job(uint32_t *seed)
{
    struct job *job = fixture_job(draw(seed, 5));
    char text[32];

    job->owner = FIXTURE_OWNER + draw(seed, 2);
    job->priority = (enum job_priority)draw(seed, PRIORITY_LOW + 1);
    job->state = draw(seed, 4) == 0 ? JOB_PAUSED : JOB_READY;
    (void)snprintf(text, sizeof(text), "h%u:80", draw(seed, HOSTS));
    fixture_set(&job->host, text);
    (void)snprintf(text, sizeof(text), "k%u", draw(seed, KEYS));
    fixture_set(&job->key, draw(seed, 3) == 0 ? text : NULL);
    return job;
}

static struct command *draw_add(uint32_t *seed)
{
    struct job *jobs[3];
    size_t count = 1 + draw(seed, ELEMENTS(jobs));

    for (size_t i = 0; i < count; i++) {
        jobs[i] = draw_job(seed);
        jobs[i]->owner = jobs[0]->owner;
    }
    return fixture_add_command(jobs, count, (enum if_exists)draw(seed, IF_EXISTS_FAIL + 1));
}

static struct command *draw_command(uint32_t *seed, uint64_t last_id)
{
    static const enum command_type attempts[] = {COMMAND_CHECKPOINT, COMMAND_RETRY_AT, COMMAND_DONE, COMMAND_FAIL,
                                                 COMMAND_GONE};
    uint64_t ids[4];
    uint32_t kind = draw(seed, 10);

    if (kind < 3)
        return draw_add(seed);
    if (kind == 9 && draw(seed, 2) == 0) {
        struct command *retain = command_new(COMMAND_RETAIN, 0);
        assert_non_null(retain);
        retain->at.realtime_usec = FIXTURE_NOW + draw(seed, 1000);
        retain->retain.cutoff_usec = FIXTURE_NOW + draw(seed, 300);
        retain->retain.keep_jobs = draw(seed, 20);
        return retain;
    }
    for (size_t i = 0; i < ELEMENTS(ids); i++)
        ids[i] = 1 + draw(seed, (uint32_t)last_id + 2);
    if (kind < 7) {
        struct command *verb = fixture_verb_command((enum job_verb)draw(seed, VERB_REMOVE + 1), ids, ELEMENTS(ids));
        verb->any_owner = draw(seed, 2) == 0;
        return verb;
    }
    struct command *attempt = command_new(attempts[draw(seed, ELEMENTS(attempts))], 1);
    assert_non_null(attempt);
    attempt->items[0].id = ids[0];
    attempt->at.realtime_usec = FIXTURE_NOW + draw(seed, 1000);
    attempt->update.next_attempt_usec = FIXTURE_NOW + draw(seed, 1000);
    attempt->update.progress = draw(seed, 3) == 0;
    attempt->update.session.session_id[0] = draw(seed, 2) == 0 ? 'S' : '\0';
    attempt->update.session.phase = (enum session_phase)draw(seed, SESSION_REPLY + 1);
    return attempt;
}

static uint64_t take_answers(struct fixture *fixture, size_t count, uint64_t last_id)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(command_free_p) struct command *answer = fixture_take(fixture);
        for (size_t j = 0; j < answer->items_count; j++) {
            if (answer->type == COMMAND_ADD && answer->result == 0 && answer->items[j].id > last_id)
                last_id = answer->items[j].id;
        }
    }
    return last_id;
}

static void indexes_follow_whatever_is_done_to_jobs(void **state)
{
    struct fixture *fixture = *state;
    uint32_t seed = 20240229;
    uint64_t last_id = 0;

    for (unsigned step = 0; step < STEPS; step += COMMANDS_OPEN) {
        for (unsigned i = 0; i < COMMANDS_OPEN; i++)
            store_submit(fixture->store, draw_command(&seed, last_id));
        last_id = take_answers(fixture, COMMANDS_OPEN, last_id);
        if (step % CHECK_EVERY == 0)
            assert_indexes_match(fixture);
        if (step % REOPEN_EVERY == 0) {
            fixture_close(fixture);
            fixture_open(fixture);
        }
    }
    assert_indexes_match(fixture);
    assert_true(last_id > STEPS / 4);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(indexes_follow_whatever_is_done_to_jobs, fixture_setup_open, fixture_teardown),
};

UNIT_MAIN(tests);
