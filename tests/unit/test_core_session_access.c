/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: credentials, as the session sees them. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static void row_26_a_message_that_was_refused_goes_out_once_more_with_a_new_token(void **state)
{
    static const char *const challenges[] = {"WWW-Authenticate: Bearer", "WWW-Authenticate: Bearer",
                                             "Proxy-Authenticate: Basic"};
    static const int statuses[] = {401, 500, 407};
    struct player p;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(statuses); i++) {
        player_open(&p, 1000000);
        player_ack(&p, 200, NEXT(262144));
        p.refreshed = true;
        player_answer(&p, statuses[i], challenges[i]);
        assert_sends(&p, FRAGMENT);
        assert_int_equal(p.out.request.body_offset, 262144);
        assert_true(p.session.record.resent_bytes > 0);
        player_answer(&p, statuses[i], challenges[i]);
        assert_true(p.out.action == SESSION_ACTION_FAIL || statuses[i] == 500);
        assert_int_equal(p.out.failure.code, HR_HTTP_STATUS(statuses[i]));
        assert_string_equal(p.session.record.session_id, PLAYER_ID);
    }
}

static void row_26_success_allows_another_renewal(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000000);
    p.refreshed = true;
    for (int i = 1; i <= 3; i++) {
        char next[80];
        player_answer(&p, 401, "WWW-Authenticate: Bearer");
        assert_sends(&p, FRAGMENT);
        (void)snprintf(next, sizeof(next), "BITS-Received-Content-Range: %d", i * 1000);
        player_ack(&p, 200, next);
    }
}

static void row_26_each_kind_of_message_is_repeated(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.refreshed = true;
    player_event(&p, SESSION_EVENT_START);
    player_answer(&p, 401, "");
    assert_sends(&p, CREATE);
    player_ack(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_reach_close(&p);
    player_answer(&p, 401, "");
    assert_action(&p, PERSIST); /* a refused one was no attempt: the next is noted again */
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, CLOSE);
    player_event(&p, SESSION_EVENT_CANCEL);
    player_answer(&p, 401, "");
    assert_sends(&p, CANCEL);
    player_answer(&p, 401, "");
    assert_action(&p, GONE);
    player_open_reply(&p);
    p.refreshed = true;
    player_answer(&p, 401, "");
    assert_sends(&p, REPLY);
}

static void row_27_a_refusal_names_the_schemes_and_the_next_step(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_answer(&p, 401, "WWW-Authenticate: Negotiate, NTLM\nWWW-Authenticate: Basic realm=\"x\"");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(401));
    assert_non_null(strstr(p.out.failure.text, "negotiate ntlm basic"));
    assert_non_null(strstr(p.out.failure.text, "bitsq credential set NAME"));
    assert_non_null(strstr(p.out.failure.text, "bitsq set ID credential=NAME"));
    assert_non_null(strstr(p.out.failure.text, "bitsq retry ID"));
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
}

static void row_27_a_proxy_that_refuses_is_named(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    p.outcome.proxy_answered = true;
    player_answer(&p, 407, "Proxy-Authenticate: Basic realm=\"x\"");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(407));
    assert_int_equal(p.out.failure.context, CONTEXT_TRANSPORT);
    assert_non_null(strstr(p.out.failure.text, "the proxy answered 407"));
    assert_non_null(strstr(p.out.failure.text, "bitsq set ID proxy_credential=NAME"));
}

static void a_connection_that_is_not_authenticated_gets_a_ping_before_the_body(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_lose(&p, TRANSPORT_UNAUTHENTICATED, 0);
    assert_sends(&p, PING);
    assert_int_equal(p.session.record.sent_bytes, 0);
    player_ack(&p, 200, "");
    assert_fragment(&p, 0, 999);
    assert_int_equal(p.session.record.resent_bytes, 0);
}

static void a_server_that_keeps_no_connection_is_fatal_with_its_reason(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    for (int i = 0; i < 2; i++) {
        player_lose(&p, TRANSPORT_UNAUTHENTICATED, 0);
        assert_sends(&p, PING);
        player_ack(&p, 200, "");
        assert_sends(&p, FRAGMENT);
    }
    player_lose(&p, TRANSPORT_UNAUTHENTICATED, 0);
    assert_failure(&p, FAIL, HR_CONNECTION_ERROR);
    assert_non_null(strstr(p.out.failure.text, "keep a connection open"));
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
}

static void where_the_scheme_binds_to_the_connection_a_ping_comes_first(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.session.parameters.ping_first = true;
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 200, "");
    assert_sends(&p, CREATE);
    player_ack(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, FRAGMENT);
}

static void a_server_without_ping_is_asked_for_a_session_all_the_same(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.session.parameters.ping_first = true;
    player_event(&p, SESSION_EVENT_START);
    player_answer(&p, 405, "");
    assert_sends(&p, CREATE);
}

static void credentials_that_cannot_be_had_fail_the_job_and_keep_its_session(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    p.access_fault = "the credential \"backup\" may be read by others";
    player_event(&p, SESSION_EVENT_ACCESS_FAILED);
    assert_failure(&p, FAIL, HR_INVALID_CREDENTIALS);
    assert_string_equal(p.out.failure.name, "BG_E_INVALID_CREDENTIALS");
    assert_int_equal(p.out.failure.phase, PHASE_CREDENTIAL);
    assert_non_null(strstr(p.out.failure.text, "the credential \"backup\" may be read by others; "));
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
    assert_int_equal(p.session.record.sent_bytes, 0); /* the Fragment never left */
}

static void credentials_that_may_come_are_waited_for(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    p.access_fault = "the helper did not answer";
    p.access_may_heal = true;
    player_event(&p, SESSION_EVENT_ACCESS_FAILED);
    assert_failure(&p, WAIT, HR_INVALID_CREDENTIALS);
}

static void credentials_that_fail_before_the_close_make_it_no_attempt(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_reach_close(&p);
    player_event(&p, SESSION_EVENT_ACCESS_FAILED);
    assert_action(&p, FAIL);
    assert_false(p.session.record.close_attempted);
}

static void a_cancellation_without_credentials_is_gone(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_event(&p, SESSION_EVENT_CANCEL);
    player_event(&p, SESSION_EVENT_ACCESS_FAILED);
    assert_action(&p, GONE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_26_a_message_that_was_refused_goes_out_once_more_with_a_new_token),
    cmocka_unit_test(row_26_success_allows_another_renewal),
    cmocka_unit_test(row_26_each_kind_of_message_is_repeated),
    cmocka_unit_test(row_27_a_refusal_names_the_schemes_and_the_next_step),
    cmocka_unit_test(row_27_a_proxy_that_refuses_is_named),
    cmocka_unit_test(a_connection_that_is_not_authenticated_gets_a_ping_before_the_body),
    cmocka_unit_test(a_server_that_keeps_no_connection_is_fatal_with_its_reason),
    cmocka_unit_test(where_the_scheme_binds_to_the_connection_a_ping_comes_first),
    cmocka_unit_test(a_server_without_ping_is_asked_for_a_session_all_the_same),
    cmocka_unit_test(credentials_that_cannot_be_had_fail_the_job_and_keep_its_session),
    cmocka_unit_test(credentials_that_may_come_are_waited_for),
    cmocka_unit_test(credentials_that_fail_before_the_close_make_it_no_attempt),
    cmocka_unit_test(a_cancellation_without_credentials_is_gone),
};
UNIT_MAIN(tests);
