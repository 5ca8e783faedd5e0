/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: errors, and what becomes of the attempt. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include <string.h>

static void row_24_a_lost_session_starts_anew_from_zero(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    player_ack(&p, 500, "BITS-Error: x8020001F");
    assert_sends(&p, CREATE);
    assert_true(p.out.checkpoint);
    player_ack(&p, 200, "BITS-Session-Id: second");
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, FRAGMENT);
    assert_int_equal(p.out.request.body_offset, 0);
    assert_string_equal(player_header(&p, "BITS-Session-Id"), "second");
}

static void row_24_the_code_wins_over_any_status(void **state)
{
    static const int statuses[] = {400, 401, 403, 404, 409, 413, 416, 501, 503};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 1000000);
        player_answer(&p, statuses[i], CODE(0X8020001f));
        assert_sends(&p, CREATE);
    }
}

static void lose_session(struct player *p)
{
    assert_sends(p, CREATE);
    player_ack(p, 200, "BITS-Session-Id: x");
    player_event(p, SESSION_EVENT_PERSISTED);
    player_ack(p, 500, CODE(0x8020001F));
}

static void restarts_without_progress_wait_after_two_and_end_after_ten(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000000);
    player_event(&p, SESSION_EVENT_START);
    for (int i = 1; i < SESSION_RESTARTS_MAX; i++) {
        lose_session(&p);
        if (i <= SESSION_RESTARTS_BEFORE_WAIT)
            continue;
        assert_failure(&p, WAIT, HR_SESSION_NOT_FOUND);
        player_event(&p, SESSION_EVENT_START);
    }
    lose_session(&p);
    assert_failure(&p, FAIL, HR_SESSION_NOT_FOUND);
}

static void progress_forgives_restarts(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000000);
    player_event(&p, SESSION_EVENT_START);
    lose_session(&p);
    lose_session(&p);
    player_ack(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_ack(&p, 200, NEXT(262144));
    assert_true(p.out.progress);
    assert_int_equal(p.session.record.restarts, 0);
}

static void row_25_a_file_over_the_servers_limit_is_fatal_and_the_session_cancelled(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 500, CODE(0x80200020));
    assert_sends(&p, CANCEL);
    player_lose(&p, TRANSPORT_RESPONSE_TIMEOUT, 1);
    assert_failure(&p, FAIL, HR_TOO_LARGE);
    assert_int_equal(p.out.failure.phase, PHASE_FRAGMENT);
    assert_string_equal(p.session.record.session_id, "");
}

static void row_27_missing_credentials_are_fatal_and_keep_the_session(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    player_answer(&p, 401, "WWW-Authenticate: Basic");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(401));
    assert_non_null(strstr(p.out.failure.text, "bitsq credential set"));
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
    assert_int_equal(p.session.record.offset, 262144);
}

static void row_27_a_proxy_that_asks_is_fatal_too(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    player_event(&p, SESSION_EVENT_START);
    player_answer(&p, 407, "Proxy-Authenticate: Basic");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(407));
}

static void row_28_a_refused_fragment_is_fatal(void **state)
{
    static const int statuses[] = {402, 403, 405, 410, 411, 417, 422};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 10000);
        player_ack(&p, statuses[i], "");
        assert_failure(&p, FAIL, HR_HTTP_STATUS(statuses[i]));
    }
}

static void row_28_a_refusal_of_the_application_names_it(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 400, CODE(0x80190190) "\n" CONTEXT(0x7));
    assert_failure(&p, FAIL, HR_HTTP_STATUS(400));
    assert_int_equal(p.out.failure.context, CONTEXT_REMOTE_APPLICATION);
}

static void row_28a_a_404_for_the_longest_fragment_yet_is_taken_for_a_limit(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    player_answer(&p, 404, "");
    assert_fragment(&p, 0, 128 * KIB - 1);
    player_ack(&p, 200, NEXT(131072));
    assert_fragment(&p, 128 * KIB, 256 * KIB - 1); /* doubling would reach the refused length */
    player_answer(&p, 404, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(404)); /* as long as one that was acknowledged: no limit */
}

static void row_28a_at_the_floor_the_refusal_counts(void **state)
{
    struct player p;
    int requests = 0;

    (void)state;
    player_open(&p, 100 * MIB);
    while (p.out.action == SESSION_ACTION_SEND && requests++ < 100)
        player_answer(&p, 400, "");
    assert_int_equal(requests, 7);
    assert_failure(&p, FAIL, HR_HTTP_STATUS(400));
    assert_int_equal(p.out.failure.phase, PHASE_FRAGMENT);
}

static void row_28b_a_refusal_on_another_connection_is_taken_for_a_lost_session_once(void **state)
{
    static const int statuses[] = {400, 403, 404, 500};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 10000);
        player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
        p.outcome.connection++;
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, 200, ""); /* the Ping between does not count as use */
        player_answer(&p, statuses[i], "");
        assert_sends(&p, CREATE);
        assert_true(p.session.record.lost_session_tried);
        player_ack(&p, 200, "BITS-Session-Id: x");
        player_event(&p, SESSION_EVENT_PERSISTED);
        p.outcome.connection++;
        player_ack(&p, statuses[i], CONTEXT(0x5));
        assert_true(p.out.action != SESSION_ACTION_SEND || p.out.request.kind != EXCHANGE_CREATE);
    }
}

static void row_28b_on_the_same_connection_the_refusal_counts(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 403, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(403));
}

static void row_28b_a_refusal_with_a_code_counts(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    p.outcome.connection++;
    player_ack(&p, 403, CODE(0x80070005));
    assert_failure(&p, FAIL, HR_ACCESS_DENIED);
}

static void row_28c_413_and_416_to_create_session_are_fatal(void **state)
{
    struct player p;

    (void)state;
    for (int status = 413; status <= 416; status += 3) {
        player_init(&p, 10000);
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, status, "");
        assert_failure(&p, FAIL, HR_HTTP_STATUS(status));
    }
}

static void row_28d_a_conflict_in_a_session_is_transient(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 409, "");
    assert_failure(&p, WAIT, HR_HTTP_STATUS(409));
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 409, ""); /* to the Ping */
    assert_failure(&p, WAIT, HR_HTTP_STATUS(409));
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
}

static void row_29_a_server_that_is_busy_is_waited_for_with_the_session_kept(void **state)
{
    static const int statuses[] = {408, 429, 500, 502, 503, 504, 507, 599};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 1000000);
        player_ack(&p, 200, NEXT(262144));
        player_ack(&p, statuses[i], "");
        assert_failure(&p, WAIT, HR_HTTP_STATUS(statuses[i]));
        player_event(&p, SESSION_EVENT_START);
        assert_sends(&p, PING);
        player_ack(&p, 200, "");
        assert_int_equal(p.out.request.body_offset, 262144);
    }
}

static void the_servers_wish_when_to_come_back_is_handed_on(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 503, "Retry-After: 120");
    assert_action(&p, WAIT);
    assert_int_equal(p.out.retry_after_usec, 120 * USEC_PER_SEC);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 503, "Retry-After: 86401");
    assert_int_equal(p.out.retry_after_usec, RETRY_AFTER_MAX_USEC);
}

static void a_wish_given_as_a_date_becomes_a_delay(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000); /* it is Tue, 14 Nov 2023 22:13:20 GMT */
    player_ack(&p, 503, "Retry-After: Tue, 14 Nov 2023 22:15:00 GMT");
    assert_int_equal(p.out.retry_after_usec, 100 * USEC_PER_SEC);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 503, "Retry-After: Tue, 14 Nov 2023 22:00:00 GMT");
    assert_int_equal(p.out.retry_after_usec, 0);
}

static void row_30_501_and_505_are_fatal(void **state)
{
    struct player p;

    (void)state;
    for (int status = 501; status <= 505; status += 4) {
        player_open(&p, 10000);
        player_ack(&p, status, "");
        assert_failure(&p, FAIL, HR_HTTP_STATUS(status));
    }
}

static void row_31_redirects_are_never_followed(void **state)
{
    static const int statuses[] = {300, 301, 302, 303, 304, 305, 307, 308};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 10000);
        player_answer(&p, statuses[i], "Location: http://other.example/login?token=secret");
        assert_failure(&p, FAIL, HR_HTTP_STATUS(statuses[i]));
        assert_non_null(strstr(p.out.failure.text, "http://other.example/login"));
        assert_null(strstr(p.out.failure.text, "secret"));
    }
}

static void row_32_other_3xx_are_transient(void **state)
{
    static const int statuses[] = {306, 309, 399};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 10000);
        player_answer(&p, statuses[i], "");
        assert_failure(&p, WAIT, HR_HTTP_STATUS(statuses[i]));
    }
}

static void row_34_a_2xx_that_is_no_ack_waits_and_keeps_the_session(void **state)
{
    static const int statuses[] = {200, 201, 204, 226};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 10000);
        player_answer(&p, statuses[i], NEXT(10000) "\n" CODE(0x8020001F));
        assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
        assert_false(p.out.progress);
        assert_string_equal(p.session.record.session_id, PLAYER_ID);
        assert_non_null(strstr(p.out.failure.text, "not from a BITS server"));
    }
}

static void row_35_a_broken_transport_waits_and_keeps_the_session(void **state)
{
    static const struct {
        enum transport_result transport;
        uint32_t code;
    } table[] = {
        {TRANSPORT_RESOLVE, HR_NAME_NOT_RESOLVED},
        {TRANSPORT_CONNECT, HR_CANNOT_CONNECT},
        {TRANSPORT_CONNECT_TIMEOUT, HR_TIMEOUT},
        {TRANSPORT_TLS, HR_SECURE_FAILURE},
        {TRANSPORT_CONNECTION_LOST, HR_CONNECTION_ERROR},
        {TRANSPORT_SEND_TIMEOUT, HR_TIMEOUT},
        {TRANSPORT_RESPONSE_TIMEOUT, HR_TIMEOUT},
        {TRANSPORT_MALFORMED, HR_INVALID_SERVER_RESPONSE},
        {TRANSPORT_LOCAL, HR_OUT_OF_MEMORY},
    };
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        player_open(&p, 10000);
        player_lose(&p, table[i].transport, 1);
        assert_failure(&p, WAIT, table[i].code);
        assert_int_equal(p.out.failure.http_status, 0);
        assert_string_equal(p.session.record.session_id, PLAYER_ID);
    }
}

static void row_35_the_transports_own_words_stand_in_the_text(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    (void)strcpy(p.outcome.text, "Connection refused");
    player_lose(&p, TRANSPORT_CONNECT, 0);
    assert_string_equal(p.out.failure.text, "Create-Session failed: no connection to the server (Connection refused); "
                                            "it is tried again by itself");
}

static void row_35_an_answer_over_a_bound_counts_as_invalid(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    ack_begin(&p.outcome.ack, 200);
    for (int i = 0; i <= HEADER_COUNT_MAX; i++)
        ack_add_line(&p.outcome.ack, "X: y", 4);
    player_event(&p, SESSION_EVENT_OUTCOME);
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    assert_int_equal(p.session.record.invalid_responses, 1);
}

static void only_the_first_lost_connection_after_progress_is_retried_in_haste(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    assert_false(p.out.at_once); /* no progress yet */
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    player_ack(&p, 200, NEXT(131072));
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    assert_true(p.out.at_once);
    player_event(&p, SESSION_EVENT_START);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    assert_false(p.out.at_once);
}

static void row_36_a_certificate_that_is_not_accepted_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_lose(&p, TRANSPORT_CERTIFICATE, 0);
    assert_failure(&p, FAIL, HR_SECURE_FAILURE);
    assert_non_null(strstr(p.out.failure.text, "certificate"));
}

static void row_39_the_no_progress_limit_ends_the_job_at_an_error_and_keeps_the_last_one(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    p.session.parameters.no_progress_timeout_usec = USEC_PER_HOUR;
    player_pass(&p, 30 * USEC_PER_MIN);
    player_ack(&p, 503, "");
    assert_action(&p, WAIT);
    player_pass(&p, 365 * USEC_PER_DAY); /* asleep, or another gate was closed: the runner knows what counts */
    const struct session_input start = {.event = SESSION_EVENT_START, .now = p.now, .waited_usec = 20 * USEC_PER_MIN};
    session_step(&p.session, &start, &p.out);
    player_pass(&p, 9 * USEC_PER_MIN);
    player_ack(&p, 503, "");
    assert_action(&p, WAIT);
    player_event(&p, SESSION_EVENT_START);
    player_pass(&p, USEC_PER_MIN);
    player_ack(&p, 503, "");
    assert_failure(&p, FAIL, HR_NO_PROGRESS);
    assert_int_equal(p.out.failure.http_status, 503);
    assert_non_null(strstr(p.out.failure.text, "BG_E_HTTP_ERROR_503"));
    assert_non_null(strstr(p.out.failure.text, "1h without progress"));
}

static void row_39_progress_resets_the_limit(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    p.session.parameters.no_progress_timeout_usec = USEC_PER_HOUR;
    player_pass(&p, 2 * USEC_PER_HOUR);
    player_ack(&p, 200, NEXT(262144)); /* no error, no end */
    assert_sends(&p, FRAGMENT);
    assert_int_equal(p.session.record.no_progress_usec, 0);
    player_pass(&p, 59 * USEC_PER_MIN);
    player_ack(&p, 503, "");
    assert_action(&p, WAIT);
}

static void row_39_with_a_limit_of_zero_every_error_is_final(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    p.session.parameters.no_progress_timeout_usec = 0;
    player_ack(&p, 503, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(503));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_24_a_lost_session_starts_anew_from_zero),
    cmocka_unit_test(row_24_the_code_wins_over_any_status),
    cmocka_unit_test(restarts_without_progress_wait_after_two_and_end_after_ten),
    cmocka_unit_test(progress_forgives_restarts),
    cmocka_unit_test(row_25_a_file_over_the_servers_limit_is_fatal_and_the_session_cancelled),
    cmocka_unit_test(row_27_missing_credentials_are_fatal_and_keep_the_session),
    cmocka_unit_test(row_27_a_proxy_that_asks_is_fatal_too),
    cmocka_unit_test(row_28_a_refused_fragment_is_fatal),
    cmocka_unit_test(row_28_a_refusal_of_the_application_names_it),
    cmocka_unit_test(row_28a_a_404_for_the_longest_fragment_yet_is_taken_for_a_limit),
    cmocka_unit_test(row_28a_at_the_floor_the_refusal_counts),
    cmocka_unit_test(row_28b_a_refusal_on_another_connection_is_taken_for_a_lost_session_once),
    cmocka_unit_test(row_28b_on_the_same_connection_the_refusal_counts),
    cmocka_unit_test(row_28b_a_refusal_with_a_code_counts),
    cmocka_unit_test(row_28c_413_and_416_to_create_session_are_fatal),
    cmocka_unit_test(row_28d_a_conflict_in_a_session_is_transient),
    cmocka_unit_test(row_29_a_server_that_is_busy_is_waited_for_with_the_session_kept),
    cmocka_unit_test(the_servers_wish_when_to_come_back_is_handed_on),
    cmocka_unit_test(a_wish_given_as_a_date_becomes_a_delay),
    cmocka_unit_test(row_30_501_and_505_are_fatal),
    cmocka_unit_test(row_31_redirects_are_never_followed),
    cmocka_unit_test(row_32_other_3xx_are_transient),
    cmocka_unit_test(row_34_a_2xx_that_is_no_ack_waits_and_keeps_the_session),
    cmocka_unit_test(row_35_a_broken_transport_waits_and_keeps_the_session),
    cmocka_unit_test(row_35_the_transports_own_words_stand_in_the_text),
    cmocka_unit_test(row_35_an_answer_over_a_bound_counts_as_invalid),
    cmocka_unit_test(only_the_first_lost_connection_after_progress_is_retried_in_haste),
    cmocka_unit_test(row_36_a_certificate_that_is_not_accepted_is_fatal),
    cmocka_unit_test(row_39_the_no_progress_limit_ends_the_job_at_an_error_and_keeps_the_last_one),
    cmocka_unit_test(row_39_progress_resets_the_limit),
    cmocka_unit_test(row_39_with_a_limit_of_zero_every_error_is_final),
};
UNIT_MAIN(tests);
