/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: closing, cancelling, late events. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include <string.h>

static void open_close(struct player *p)
{
    player_open(p, 1000);
    player_reach_close(p);
}

/* A Close-Session whose answer never came; the next one is under way. */
static void open_second_close(struct player *p)
{
    open_close(p);
    player_lose(p, TRANSPORT_CONNECTION_LOST, 1);
    player_event(p, SESSION_EVENT_START);
    player_ack(p, 200, "");
    assert_sends(p, CLOSE);
}

static void row_46_an_acknowledged_close_is_done(void **state)
{
    struct player p;

    (void)state;
    for (int status = 200; status <= 201; status++) {
        open_close(&p);
        player_ack(&p, status, "");
        assert_action(&p, DONE);
        assert_true(p.out.confirmed);
        assert_string_equal(p.out.failure.name, "");
    }
}

static void row_46_after_the_end_nothing_happens_any_more(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_ack(&p, 200, "");
    for (int event = SESSION_EVENT_START; event <= SESSION_EVENT_SOURCE_FAILED; event++) {
        player_event(&p, (enum session_event)event);
        assert_action(&p, NONE);
    }
}

static void row_47_a_close_that_the_server_cannot_answer_now_is_sent_again_behind_a_ping(void **state)
{
    static const int statuses[] = {500, 501, 503, 505};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        open_close(&p);
        player_ack(&p, statuses[i], "");
        assert_failure(&p, WAIT, HR_HTTP_STATUS(statuses[i]));
        assert_non_null(strstr(p.out.failure.text, "all bytes were acknowledged"));
        player_event(&p, SESSION_EVENT_START);
        assert_sends(&p, PING);
        player_ack(&p, 200, "");
        assert_sends(&p, CLOSE); /* that it was attempted is durable already */
        assert_false(p.out.request.check_source);
        player_ack(&p, 200, "");
        assert_action(&p, DONE);
        assert_true(p.out.confirmed);
    }
}

static void row_47_a_close_that_never_went_out_was_no_attempt(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_lose(&p, TRANSPORT_CONNECT, 0);
    assert_action(&p, WAIT);
    assert_false(p.session.record.close_attempted);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_action(&p, PERSIST);
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_ack(&p, 404, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(404));
}

static void row_47_one_that_never_went_out_does_not_undo_one_that_did(void **state)
{
    struct player p;

    (void)state;
    open_second_close(&p);
    player_lose(&p, TRANSPORT_CONNECT, 0);
    assert_true(p.session.record.close_attempted);
}

static void row_48_refused_at_the_first_attempt_it_is_fatal(void **state)
{
    static const int statuses[] = {400, 403, 409, 413, 416, 422};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        open_close(&p);
        player_ack(&p, statuses[i], "");
        assert_failure(&p, FAIL, HR_HTTP_STATUS(statuses[i]));
        assert_non_null(strstr(p.out.failure.text, "all bytes were acknowledged"));
        assert_false(p.session.record.close_attempted); /* its fate is known */
        assert_string_equal(p.session.record.session_id, PLAYER_ID);
    }
}

static void row_48_a_file_that_the_server_lost_is_fatal_and_retried_from_zero(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_ack(&p, 404, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(404));
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
}

static void row_48_a_session_not_found_at_the_first_attempt_starts_anew(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_ack(&p, 500, CODE(0x8020001F));
    assert_sends(&p, CREATE);
    assert_false(p.session.record.close_attempted);
}

static void row_48_refused_after_an_attempt_of_unknown_fate_it_is_done_unconfirmed(void **state)
{
    static const int statuses[] = {400, 403, 404, 409, 500};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        open_second_close(&p);
        player_ack(&p, statuses[i], statuses[i] == 500 ? CODE(0x8020001F) : "");
        assert_action(&p, DONE);
        assert_false(p.out.confirmed);
        assert_non_null(strstr(p.out.failure.text, "check the file at the server"));
    }
}

static void row_48_a_crash_during_the_close_counts_as_an_attempt(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_sends(&p, CLOSE);
    player_ack(&p, 500, CODE(0x8020001F));
    assert_action(&p, DONE);
    assert_false(p.out.confirmed);
}

static void row_48_a_pause_during_the_close_counts_as_an_attempt(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_action(&p, IDLE);
    assert_true(p.session.record.close_attempted);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_sends(&p, CLOSE);
    player_ack(&p, 404, "");
    assert_action(&p, DONE);
    assert_false(p.out.confirmed);
}

static void row_48_a_close_that_the_transport_sent_twice_has_a_predecessor(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    p.outcome.heads_sent = 2;
    player_ack(&p, 404, "");
    assert_action(&p, DONE);
    assert_false(p.out.confirmed);
}

static void row_48_an_answer_that_is_no_ack_leaves_the_fate_unknown(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_answer(&p, 200, "");
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    assert_true(p.session.record.close_attempted);
}

static void row_48_408_and_429_say_nothing_of_the_session(void **state)
{
    struct player p;

    (void)state;
    for (int status = 408; status <= 429; status += 21) {
        open_close(&p);
        player_ack(&p, status, "");
        assert_failure(&p, WAIT, HR_HTTP_STATUS(status));
        open_second_close(&p);
        player_ack(&p, status, "");
        assert_failure(&p, WAIT, HR_HTTP_STATUS(status));
    }
}

static void missing_credentials_at_the_close_keep_the_session(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_answer(&p, 401, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(401));
    assert_false(p.session.record.close_attempted);
    assert_int_equal(p.session.record.phase, SESSION_COMPLETE);
}

static void a_ping_cannot_tell_that_a_complete_session_is_lost(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 500, CODE(0x8020001F));
    assert_sends(&p, CLOSE);
}

static void closing_without_progress_says_that_all_bytes_were_acknowledged(void **state)
{
    struct player p;

    (void)state;
    open_close(&p);
    player_pass(&p, 14 * USEC_PER_DAY);
    player_ack(&p, 503, "");
    assert_failure(&p, FAIL, HR_NO_PROGRESS);
    assert_non_null(strstr(p.out.failure.text, "all bytes were acknowledged"));
}

static void row_49_cancelling_aborts_the_request_and_tells_the_server(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_sends(&p, CANCEL);
    assert_true(p.out.abort_exchange);
    assert_true(p.out.checkpoint);
    assert_string_equal(player_header(&p, "BITS-Session-Id"), PLAYER_ID);
    assert_int_equal(p.session.record.cancel_requested_usec, p.now.realtime_usec);
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_action(&p, NONE);
    player_ack(&p, 200, "");
    assert_action(&p, GONE);
}

static void row_49_a_cancelled_job_goes_on_cancelling_after_a_crash(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    p.session.record.cancel_requested_usec = 1; /* as the queue notes it */
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CANCEL);
}

static void row_50_without_a_session_a_cancelled_job_is_gone_at_once(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_action(&p, GONE);
    assert_true(p.out.abort_exchange);

    player_init(&p, 10000);
    p.session.record.cancel_requested_usec = 1;
    player_event(&p, SESSION_EVENT_START);
    assert_action(&p, GONE);
}

static void row_50_a_session_that_does_not_run_can_be_cancelled(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_event(&p, SESSION_EVENT_SUSPEND);
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_sends(&p, CANCEL);
    assert_false(p.out.abort_exchange);
}

static void row_51_any_definite_answer_ends_a_cancellation(void **state)
{
    static const int statuses[] = {200, 201, 204, 302, 400, 403, 404, 409, 416, 429};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 10000);
        player_event(&p, SESSION_EVENT_CANCEL);
        player_answer(&p, statuses[i], "");
        assert_action(&p, GONE);
    }
    player_open(&p, 10000);
    player_event(&p, SESSION_EVENT_CANCEL);
    player_ack(&p, 500, CODE(0x8020001F));
    assert_action(&p, GONE);
}

static void row_52_a_cancellation_is_retried_without_a_new_session(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_event(&p, SESSION_EVENT_CANCEL);
    player_ack(&p, 500, "");
    assert_failure(&p, WAIT, HR_HTTP_STATUS(500));
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CANCEL);
    player_lose(&p, TRANSPORT_CERTIFICATE, 0);
    assert_action(&p, WAIT);
}

static void row_52_after_a_day_the_server_is_left_to_itself(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_pass(&p, 3 * USEC_PER_DAY); /* what went before the wish to cancel does not count */
    player_event(&p, SESSION_EVENT_CANCEL);
    player_pass(&p, CANCEL_RETRY_MAX_USEC - 1);
    player_ack(&p, 500, "");
    assert_action(&p, WAIT);
    player_event(&p, SESSION_EVENT_START);
    player_pass(&p, 1);
    player_ack(&p, 500, "");
    assert_action(&p, GONE);
}

static void row_52_time_behind_closed_gates_counts_too(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_event(&p, SESSION_EVENT_CANCEL);
    player_ack(&p, 500, "");
    assert_action(&p, WAIT);
    player_pass(&p, CANCEL_RETRY_MAX_USEC);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CANCEL); /* one more try */
    player_ack(&p, 500, "");
    assert_action(&p, GONE);
}

static void row_52_a_shorter_no_progress_limit_ends_it_sooner(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    p.session.parameters.no_progress_timeout_usec = USEC_PER_HOUR;
    player_event(&p, SESSION_EVENT_CANCEL);
    player_pass(&p, USEC_PER_HOUR);
    player_lose(&p, TRANSPORT_CONNECT, 0);
    assert_action(&p, GONE);
}

static void row_53_a_challenge_ends_a_cancellation(void **state)
{
    struct player p;

    (void)state;
    for (int status = 401; status <= 407; status += 6) {
        player_open(&p, 10000);
        player_event(&p, SESSION_EVENT_CANCEL);
        player_answer(&p, status, "WWW-Authenticate: Basic");
        assert_action(&p, GONE);
    }
}

static void cancelling_while_a_session_is_dropped_takes_over_its_request(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 416, "");
    assert_sends(&p, CANCEL);
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_action(&p, NONE);
    player_ack(&p, 200, "");
    assert_action(&p, GONE);
}

static void pausing_while_a_failed_session_is_dropped_fails_at_once(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 500, CODE(0x80200020));
    assert_sends(&p, CANCEL);
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_failure(&p, FAIL, HR_TOO_LARGE);
    assert_true(p.out.abort_exchange);
}

static void starting_twice_is_harmless(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    assert_action(&p, NONE);
    assert_int_equal(p.session.awaiting, EXCHANGE_FRAGMENT);
}

static void before_the_start_only_a_cancellation_does_anything(void **state)
{
    static const enum session_event events[] = {SESSION_EVENT_OUTCOME,        SESSION_EVENT_PERSISTED,
                                                SESSION_EVENT_SUSPEND,        SESSION_EVENT_YIELD,
                                                SESSION_EVENT_SOURCE_CHANGED, SESSION_EVENT_SOURCE_FAILED};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        player_init(&p, 10000);
        player_event(&p, events[i]);
        assert_action(&p, NONE);
        player_event(&p, SESSION_EVENT_START);
        assert_sends(&p, CREATE);
    }
}

static void a_record_that_contradicts_itself_begins_anew(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    p.session.record.offset = 10001;
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);

    player_open(&p, 10000);
    p.session.record.phase = SESSION_COMPLETE; /* with bytes missing */
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_fragment(&p, 0, 9999);

    player_open(&p, 10000);
    p.session.record.phase = SESSION_CREATE; /* with a session */
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);

    player_open(&p, 10000);
    p.session.record.phase = SESSION_CANCEL; /* which nobody wished */
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_fragment(&p, 0, 9999);

    player_open(&p, 10000);
    p.session.record.session_id[0] = '\n'; /* would end its header */
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_action(&p, FAIL);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_46_an_acknowledged_close_is_done),
    cmocka_unit_test(row_46_after_the_end_nothing_happens_any_more),
    cmocka_unit_test(row_47_a_close_that_the_server_cannot_answer_now_is_sent_again_behind_a_ping),
    cmocka_unit_test(row_47_a_close_that_never_went_out_was_no_attempt),
    cmocka_unit_test(row_47_one_that_never_went_out_does_not_undo_one_that_did),
    cmocka_unit_test(row_48_refused_at_the_first_attempt_it_is_fatal),
    cmocka_unit_test(row_48_a_file_that_the_server_lost_is_fatal_and_retried_from_zero),
    cmocka_unit_test(row_48_a_session_not_found_at_the_first_attempt_starts_anew),
    cmocka_unit_test(row_48_refused_after_an_attempt_of_unknown_fate_it_is_done_unconfirmed),
    cmocka_unit_test(row_48_a_crash_during_the_close_counts_as_an_attempt),
    cmocka_unit_test(row_48_a_pause_during_the_close_counts_as_an_attempt),
    cmocka_unit_test(row_48_a_close_that_the_transport_sent_twice_has_a_predecessor),
    cmocka_unit_test(row_48_an_answer_that_is_no_ack_leaves_the_fate_unknown),
    cmocka_unit_test(row_48_408_and_429_say_nothing_of_the_session),
    cmocka_unit_test(missing_credentials_at_the_close_keep_the_session),
    cmocka_unit_test(a_ping_cannot_tell_that_a_complete_session_is_lost),
    cmocka_unit_test(closing_without_progress_says_that_all_bytes_were_acknowledged),
    cmocka_unit_test(row_49_cancelling_aborts_the_request_and_tells_the_server),
    cmocka_unit_test(row_49_a_cancelled_job_goes_on_cancelling_after_a_crash),
    cmocka_unit_test(row_50_without_a_session_a_cancelled_job_is_gone_at_once),
    cmocka_unit_test(row_50_a_session_that_does_not_run_can_be_cancelled),
    cmocka_unit_test(row_51_any_definite_answer_ends_a_cancellation),
    cmocka_unit_test(row_52_a_cancellation_is_retried_without_a_new_session),
    cmocka_unit_test(row_52_after_a_day_the_server_is_left_to_itself),
    cmocka_unit_test(row_52_time_behind_closed_gates_counts_too),
    cmocka_unit_test(row_52_a_shorter_no_progress_limit_ends_it_sooner),
    cmocka_unit_test(row_53_a_challenge_ends_a_cancellation),
    cmocka_unit_test(cancelling_while_a_session_is_dropped_takes_over_its_request),
    cmocka_unit_test(pausing_while_a_failed_session_is_dropped_fails_at_once),
    cmocka_unit_test(starting_twice_is_harmless),
    cmocka_unit_test(before_the_start_only_a_cancellation_does_anything),
    cmocka_unit_test(a_record_that_contradicts_itself_begins_anew),
};
UNIT_MAIN(tests);
