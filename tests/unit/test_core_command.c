/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/command.h"
#include "support/unit.h"

#include <errno.h>
#include <string.h>

#define NOW_USEC UINT64_C(1700000000000000)

/* A job in STATE with a history, and with a session where HAS_SESSION. */
static struct job *new_job(enum job_state job_state, bool has_session)
{
    struct job *job = job_new();

    assert_non_null(job);
    job->state = job_state;
    job->failure.code = HR_HTTP_STATUS(503);
    job->attempts = 3;
    job->attempts_total = 5;
    job->retry_delay_usec = 77;
    job->next_attempt_usec = 88;
    job->session.no_progress_usec = 99;
    job->session.restarts = 1;
    job->session.offset = 4096;
    job->session.sent_bytes = 5000;
    job->session.resent_bytes = 10;
    job->session.sent_high_offset = 4990;
    if (has_session) {
        job->session.phase = SESSION_FRAGMENT;
        (void)strcpy(job->session.session_id, "x");
    }
    return job;
}

static int apply_verb(struct job *job, enum job_verb verb, enum job_effect *ret_effect)
{
    const struct command command = {.type = COMMAND_VERB, .verb = verb, .at.realtime_usec = NOW_USEC};
    const char *reason = NULL;

    return job_apply(job, &command, ret_effect, &reason);
}

static enum job_effect apply(struct job *job, enum command_type type, const struct job_update *update)
{
    struct command command = {.type = type, .at.realtime_usec = NOW_USEC, .update = *update};
    enum job_effect effect = JOB_REMOVED;
    const char *reason = NULL;

    assert_int_equal(job_apply(job, &command, &effect, &reason), 0);
    return effect;
}

static void verbs_are_allowed_exactly_in_their_states(void **state)
{
    /* The state that follows; 0 = not allowed, REMOVED = the job is no more. The jobs have a session. */
    enum { NO = 0, REMOVED = JOB_STATES };
    static const int next[][5] = {
        /*                 pause        resume     cancel          retry      remove */
        [JOB_READY] = {JOB_PAUSED, NO, JOB_CANCELLING, NO, NO},
        [JOB_PAUSED] = {JOB_PAUSED, JOB_READY, JOB_CANCELLING, NO, NO},
        [JOB_RETRYING] = {JOB_PAUSED, NO, JOB_CANCELLING, JOB_READY, NO},
        [JOB_CANCELLING] = {NO, NO, JOB_CANCELLING, NO, NO},
        [JOB_DONE] = {NO, NO, NO, NO, REMOVED},
        [JOB_FAILED] = {NO, NO, JOB_CANCELLING, JOB_READY, JOB_CANCELLING},
        [JOB_CANCELLED] = {NO, NO, NO, JOB_READY, REMOVED},
    };

    (void)state;
    for (int job_state = JOB_READY; job_state < JOB_STATES; job_state++) {
        for (int verb = VERB_PAUSE; verb <= VERB_REMOVE; verb++) {
            _cleanup_(job_free_p) struct job *job = new_job((enum job_state)job_state, true);
            const struct job before = *job;
            enum job_effect effect = JOB_UNCHANGED;
            int r = apply_verb(job, (enum job_verb)verb, &effect);
            int wanted = next[job_state][verb];
            assert_int_equal(r, wanted == NO ? -EBUSY : 0);
            if (wanted == NO) {
                assert_memory_equal(job, &before, sizeof(before));
                assert_int_equal(effect, JOB_UNCHANGED);
            } else if (wanted == REMOVED) {
                assert_int_equal(effect, JOB_REMOVED);
            } else {
                assert_int_equal(job->state, wanted);
                assert_int_equal(effect, JOB_UPDATED);
                assert_int_equal(job->revision, before.revision + 1);
            }
        }
    }
}

static void resuming_makes_a_job_due_at_once(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_PAUSED, true);
    enum job_effect effect;

    (void)state;
    assert_int_equal(apply_verb(job, VERB_RESUME, &effect), 0);
    assert_int_equal(job->next_attempt_usec, 0);
    assert_int_equal(job->attempts, 3); /* but its errors are not forgotten */
}

static void retrying_forgives_and_keeps_the_session(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_FAILED, true);
    enum job_effect effect;

    (void)state;
    job->session.source_error_tried = job->session.lost_session_tried = true;
    job->session.source_restarts = 3;
    job->finished_usec = 5;
    assert_int_equal(apply_verb(job, VERB_RETRY, &effect), 0);
    assert_string_equal(job->session.session_id, "x");
    assert_int_equal(job->session.offset, 4096);
    assert_int_equal(job->attempts, 0);
    assert_int_equal(job->attempts_total, 5);
    assert_int_equal(job->failure.code, 0);
    assert_int_equal(job->next_attempt_usec, 0);
    assert_int_equal(job->finished_usec, 0);
    assert_int_equal(job->session.no_progress_usec, 0);
    assert_int_equal(job->session.restarts, 0);
    assert_false(job->session.source_error_tried);
    assert_int_equal(job->session.source_restarts, 0);
    assert_false(job->session.lost_session_tried);
    assert_false(job->identity_wanted);
}

static void retrying_a_changed_source_takes_it_as_it_is_now(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_FAILED, true);
    enum job_effect effect;

    (void)state;
    job->failure.code = HR_LOCAL_FILE_CHANGED;
    assert_int_equal(apply_verb(job, VERB_RETRY, &effect), 0);
    assert_string_equal(job->session.session_id, "");
    assert_int_equal(job->session.phase, SESSION_CREATE);
    assert_int_equal(job->session.offset, 0);
    assert_int_equal(job->session.sent_bytes, 5000);
    assert_int_equal(job->session.sent_high_offset, 0);
    assert_true(job->identity_wanted);
}

static void retrying_what_was_too_large_or_cancelled_begins_a_new_session(void **state)
{
    _cleanup_(job_free_p) struct job *large = new_job(JOB_FAILED, true);
    _cleanup_(job_free_p) struct job *cancelled = new_job(JOB_CANCELLED, true);
    enum job_effect effect;

    (void)state;
    large->failure.code = HR_TOO_LARGE;
    cancelled->session.cancel_requested_usec = 1;
    assert_int_equal(apply_verb(large, VERB_RETRY, &effect), 0);
    assert_string_equal(large->session.session_id, "");
    assert_int_equal(apply_verb(cancelled, VERB_RETRY, &effect), 0);
    assert_string_equal(cancelled->session.session_id, "");
    assert_int_equal(cancelled->session.cancel_requested_usec, 0);
    assert_int_equal(cancelled->session.sent_high_offset, 4990); /* the same bytes: they would be re-sent */
}

static void a_source_that_is_begun_anew_is_looked_at_first(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_RETRYING, true);
    const struct job_update update = {.retakes_identity = true, .session.source_restarts = 1};

    (void)state;
    job->counted_uploaded_bytes = 100;
    assert_int_equal(apply(job, COMMAND_CHECKPOINT, &update), JOB_UPDATED);
    assert_true(job->identity_wanted);
    assert_int_equal(job->state, JOB_RETRYING); /* due since this attempt began */
    assert_int_equal(job->attempts, 3);
    assert_int_equal(job->session.source_restarts, 1);
    assert_int_equal(job->counted_uploaded_bytes, 0);
}

static void a_file_system_that_is_away_is_no_error(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_READY, true);
    const struct job_update update = {
        .is_away = true,
        .failure = {.code = HR_NOT_READY, .phase = PHASE_SOURCE},
        .retry_delay_usec = 5,
        .next_attempt_usec = NOW_USEC + 5,
    };

    (void)state;
    assert_false(job_is_away(job));
    assert_int_equal(apply(job, COMMAND_RETRY_AT, &update), JOB_UPDATED);
    assert_int_equal(job->state, JOB_RETRYING);
    assert_true(job_is_away(job));
    assert_int_equal(job->attempts, 3);
    assert_int_equal(job->attempts_total, 5);
    assert_int_equal(job->attempt_count, 0);
    assert_int_equal(job->next_attempt_usec, NOW_USEC + 5);
}

static void cancelling_notes_when_it_was_wished(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_RETRYING, true);
    enum job_effect effect;

    (void)state;
    assert_int_equal(apply_verb(job, VERB_CANCEL, &effect), 0);
    assert_int_equal(job->session.cancel_requested_usec, NOW_USEC);
    assert_int_equal(job->session.no_progress_usec, 0);
    assert_int_equal(job->next_attempt_usec, 0);
}

static void cancelling_a_failed_job_without_a_session_ends_it_at_once(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_FAILED, false);
    enum job_effect effect;

    (void)state;
    assert_int_equal(apply_verb(job, VERB_CANCEL, &effect), 0);
    assert_int_equal(job->state, JOB_CANCELLED);
    assert_int_equal(job->finished_usec, NOW_USEC);
}

static void removing_a_failed_job_cancels_its_session_first(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_FAILED, true);
    _cleanup_(job_free_p) struct job *without = new_job(JOB_FAILED, false);
    const struct job_update update = {0};
    enum job_effect effect;

    (void)state;
    assert_int_equal(apply_verb(job, VERB_REMOVE, &effect), 0);
    assert_int_equal(job->state, JOB_CANCELLING);
    assert_int_equal(apply(job, COMMAND_GONE, &update), JOB_REMOVED);
    assert_int_equal(apply_verb(without, VERB_REMOVE, &effect), 0);
    assert_int_equal(effect, JOB_REMOVED);
}

static void results_of_an_attempt_lead_exactly_where_they_should(void **state)
{
    /* The state after a late or timely result; the job's own where nothing moves it. */
    static const struct {
        enum command_type type;
        enum job_state next[JOB_STATES];
    } table[] = {
        {COMMAND_CHECKPOINT,
         {[JOB_READY] = JOB_READY,
          [JOB_PAUSED] = JOB_PAUSED,
          [JOB_RETRYING] = JOB_RETRYING,
          [JOB_CANCELLING] = JOB_CANCELLING}},
        {COMMAND_RETRY_AT,
         {[JOB_READY] = JOB_RETRYING,
          [JOB_PAUSED] = JOB_PAUSED,
          [JOB_RETRYING] = JOB_RETRYING,
          [JOB_CANCELLING] = JOB_CANCELLING}},
        {COMMAND_DONE,
         {[JOB_READY] = JOB_DONE, [JOB_PAUSED] = JOB_DONE, [JOB_RETRYING] = JOB_DONE, [JOB_CANCELLING] = JOB_DONE}},
        {COMMAND_FAIL,
         {[JOB_READY] = JOB_FAILED,
          [JOB_PAUSED] = JOB_FAILED,
          [JOB_RETRYING] = JOB_FAILED,
          [JOB_CANCELLING] = JOB_CANCELLING}},
        {COMMAND_GONE,
         {[JOB_READY] = JOB_READY,
          [JOB_PAUSED] = JOB_PAUSED,
          [JOB_RETRYING] = JOB_RETRYING,
          [JOB_CANCELLING] = JOB_CANCELLED}},
    };
    const struct job_update update = {.session.offset = 8192};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        for (int job_state = JOB_READY; job_state < JOB_STATES; job_state++) {
            _cleanup_(job_free_p) struct job *job = new_job((enum job_state)job_state, true);
            enum job_effect effect = apply(job, table[i].type, &update);
            bool final = job_state_is_final((enum job_state)job_state);
            assert_int_equal(effect, final ? JOB_UNCHANGED : JOB_UPDATED);
            assert_int_equal(job->state, final ? (enum job_state)job_state : table[i].next[job_state]);
            assert_int_equal(job->session.offset, final ? 4096 : 8192);
        }
    }
}

static void a_result_never_takes_back_the_wish_to_cancel(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_CANCELLING, true);
    const struct job_update update = {.session.session_id = "y"};

    (void)state;
    job->session.cancel_requested_usec = 123;
    (void)apply(job, COMMAND_CHECKPOINT, &update);
    assert_int_equal(job->session.cancel_requested_usec, 123);
    assert_string_equal(job->session.session_id, "y");
}

static void progress_clears_the_error_and_makes_a_retrying_job_ready(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_RETRYING, true);
    const struct job_update update = {.progress = true, .server = "IIS", .address = "[::1]:80", .started_usec = 5};

    (void)state;
    (void)apply(job, COMMAND_CHECKPOINT, &update);
    assert_int_equal(job->state, JOB_READY);
    assert_int_equal(job->failure.code, 0);
    assert_int_equal(job->attempts, 0);
    assert_int_equal(job->retry_delay_usec, 0);
    assert_int_equal(job->next_attempt_usec, 0);
    assert_string_equal(job->server, "IIS");
    assert_string_equal(job->address, "[::1]:80");
    assert_int_equal(job->started_usec, 5);
}

static void an_error_is_counted_and_scheduled(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_READY, true);
    const struct job_update update = {.failure = {.code = HR_TIMEOUT, .http_status = 0, .phase = PHASE_PING},
                                      .retry_delay_usec = 1000,
                                      .next_attempt_usec = NOW_USEC + 1000,
                                      .session.offset = 4096};

    (void)state;
    (void)apply(job, COMMAND_RETRY_AT, &update);
    assert_int_equal(job->state, JOB_RETRYING);
    assert_int_equal(job->attempts, 4);
    assert_int_equal(job->attempts_total, 6);
    assert_int_equal(job->retry_delay_usec, 1000);
    assert_int_equal(job->next_attempt_usec, NOW_USEC + 1000);
    assert_int_equal(job->failure.code, HR_TIMEOUT);
    assert_int_equal(job->attempt_count, 1);
    assert_int_equal(job->attempt_log[0].code, HR_TIMEOUT);
    assert_int_equal(job->attempt_log[0].at_usec, NOW_USEC);
    assert_int_equal(job->attempt_log[0].phase, PHASE_PING);
    assert_int_equal(job->attempt_log[0].offset, 4096);
}

static void the_log_keeps_the_newest_attempts(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_READY, true);

    (void)state;
    for (uint32_t i = 1; i <= JOB_ATTEMPTS_KEPT + 1; i++) {
        const struct job_update update = {.failure.code = i};
        (void)apply(job, COMMAND_RETRY_AT, &update);
    }
    assert_int_equal(job->attempt_count, JOB_ATTEMPTS_KEPT);
    assert_int_equal(job->attempt_log[0].code, 2);
    assert_int_equal(job->attempt_log[JOB_ATTEMPTS_KEPT - 1].code, JOB_ATTEMPTS_KEPT + 1);
}

static void a_done_job_keeps_whether_it_was_confirmed(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_READY, true);
    const struct job_update update = {.confirmed = false, .failure.code = HR_SESSION_NOT_FOUND};

    (void)state;
    (void)apply(job, COMMAND_DONE, &update);
    assert_false(job->confirmed);
    assert_int_equal(job->failure.code, HR_SESSION_NOT_FOUND);
    assert_int_equal(job->finished_usec, NOW_USEC);
    assert_int_equal(job->next_attempt_usec, 0);
}

static void a_new_identity_is_taken_once_it_comes(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job(JOB_READY, true);
    struct job_update update = {.identity.size_bytes = 9};

    (void)state;
    (void)apply(job, COMMAND_CHECKPOINT, &update);
    assert_int_equal(job->identity.size_bytes, 0);
    update.has_identity = true;
    (void)apply(job, COMMAND_CHECKPOINT, &update);
    assert_int_equal(job->identity.size_bytes, 9);
}

static void commands_own_their_items_and_jobs(void **state)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_ADD, 2);

    (void)state;
    assert_non_null(command);
    assert_int_equal(command->items_count, 2);
    command->jobs = calloc(1, sizeof(*command->jobs));
    command->jobs[0] = job_new();
    command->jobs_count = 1;
    command->items[1].after = job_new();
    assert_null(command_free(NULL));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(verbs_are_allowed_exactly_in_their_states),
    cmocka_unit_test(resuming_makes_a_job_due_at_once),
    cmocka_unit_test(retrying_forgives_and_keeps_the_session),
    cmocka_unit_test(retrying_a_changed_source_takes_it_as_it_is_now),
    cmocka_unit_test(retrying_what_was_too_large_or_cancelled_begins_a_new_session),
    cmocka_unit_test(a_source_that_is_begun_anew_is_looked_at_first),
    cmocka_unit_test(a_file_system_that_is_away_is_no_error),
    cmocka_unit_test(cancelling_notes_when_it_was_wished),
    cmocka_unit_test(cancelling_a_failed_job_without_a_session_ends_it_at_once),
    cmocka_unit_test(removing_a_failed_job_cancels_its_session_first),
    cmocka_unit_test(results_of_an_attempt_lead_exactly_where_they_should),
    cmocka_unit_test(a_result_never_takes_back_the_wish_to_cancel),
    cmocka_unit_test(progress_clears_the_error_and_makes_a_retrying_job_ready),
    cmocka_unit_test(an_error_is_counted_and_scheduled),
    cmocka_unit_test(the_log_keeps_the_newest_attempts),
    cmocka_unit_test(a_done_job_keeps_whether_it_was_confirmed),
    cmocka_unit_test(a_new_identity_is_taken_once_it_comes),
    cmocka_unit_test(commands_own_their_items_and_jobs),
};
UNIT_MAIN(tests);
