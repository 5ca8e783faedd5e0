/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: sessions that live on a host of their own. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include <string.h>

static void open_at(struct player *p, const char *headers)
{
    player_init(p, 1000000);
    player_event(p, SESSION_EVENT_START);
    assert_int_equal(p->out.request.target, TARGET_ORIGIN);
    player_ack(p, 200, headers);
    assert_action(p, PERSIST);
    player_event(p, SESSION_EVENT_PERSISTED);
    assert_sends(p, PING);
}

#define AT_NODE "BITS-Session-Id: " PLAYER_ID "\nBITS-Host-Id: node7"

static void row_6_the_session_goes_on_at_its_host_behind_a_ping(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 110");
    assert_int_equal(p.out.request.target, TARGET_HOST);
    assert_string_equal(p.out.request.host, "node7");
    assert_int_equal(p.session.record.host_fallback_usec, 110 * USEC_PER_SEC);
    player_ack(&p, 200, "");
    assert_fragment(&p, 0, 262143);
    assert_int_equal(p.out.request.target, TARGET_HOST);
    assert_string_equal(p.out.request.host, "node7");
    player_reach_close(&p);
    assert_string_equal(p.out.request.host, "node7");
}

static void row_6_a_host_that_is_none_is_an_invalid_answer(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x\nBITS-Host-Id: user@evil.example/x");
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    assert_non_null(strstr(p.out.failure.text, "\"user@evil.example/x\""));
    assert_string_equal(p.session.record.session_id, "");
    assert_string_equal(p.session.record.host_id, "");
}

static void row_6_a_host_that_the_transport_refuses_ends_the_session(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE);
    player_lose(&p, TRANSPORT_URL, 0);
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    assert_string_equal(p.session.record.host_id, "");
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
}

static void row_28b_the_connection_to_the_new_host_is_no_sign_of_a_lost_session(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE);
    p.outcome.connection = 2;
    player_ack(&p, 200, "");
    player_ack(&p, 403, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(403));
}

/* The attempt ends, and the next one begins SECONDS later. */
static void wait_and_start(struct player *p, uint64_t seconds)
{
    const struct session_input in = {
        .event = SESSION_EVENT_START, .now = p->now, .waited_usec = seconds * USEC_PER_SEC};

    assert_action(p, WAIT);
    session_step(&p->session, &in, &p->out);
}

static void row_40_a_host_that_stays_away_is_given_up_for_that_of_the_url(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 30");
    player_lose(&p, TRANSPORT_CONNECT, 0);
    assert_true(p.session.record.host_down);
    wait_and_start(&p, 10);
    assert_string_equal(p.out.request.host, "node7");
    player_pass(&p, 19 * USEC_PER_SEC); /* while the connection is tried */
    player_lose(&p, TRANSPORT_CONNECT_TIMEOUT, 0);
    assert_int_equal(p.session.record.host_down_usec, 29 * USEC_PER_SEC);
    wait_and_start(&p, 1);
    assert_sends(&p, PING);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
    assert_string_equal(p.session.record.host_id, "");
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
    player_ack(&p, 200, "");
    assert_fragment(&p, 0, 262143);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
    player_ack(&p, 500, CODE(0x8020001F));
    assert_sends(&p, CREATE);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
}

static void row_40_the_sum_survives_a_restart_and_does_not_count_a_pause(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 30");
    player_lose(&p, TRANSPORT_CONNECT, 0);
    wait_and_start(&p, 20);
    player_event(&p, SESSION_EVENT_SUSPEND);
    player_pass(&p, USEC_PER_DAY);
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    assert_string_equal(p.out.request.host, "node7");
    assert_int_equal(p.session.record.host_down_usec, 20 * USEC_PER_SEC);
    player_lose(&p, TRANSPORT_CONNECT, 0);
    wait_and_start(&p, 10);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
}

static void row_12_errors_of_the_host_count_but_its_answers_to_ping_and_fragment_clear_them(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 30");
    player_ack(&p, 503, "");
    assert_true(p.session.record.host_down);
    wait_and_start(&p, 20);
    player_ack(&p, 200, "");
    assert_false(p.session.record.host_down);
    assert_int_equal(p.session.record.host_down_usec, 0);
    player_lose(&p, TRANSPORT_RESPONSE_TIMEOUT, 1);
    assert_true(p.session.record.host_down);
    wait_and_start(&p, 20);
    player_ack(&p, 404, ""); /* it knows no Ping: that says nothing */
    assert_true(p.session.record.host_down);
    player_ack(&p, 200, NEXT(262144));
    assert_false(p.session.record.host_down);
}

static void row_40_without_a_timeout_the_host_is_waited_for_until_nothing_has_moved_for_too_long(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE);
    assert_true(p.session.record.host_fallback_usec == USEC_INFINITY);
    player_lose(&p, TRANSPORT_CONNECT, 0);
    for (int day = 0; day < 14; day++) {
        wait_and_start(&p, 86400);
        assert_string_equal(p.out.request.host, "node7");
        player_lose(&p, TRANSPORT_CONNECT, 0);
    }
    assert_failure(&p, FAIL, HR_NO_PROGRESS);
}

static void the_timeout_that_documents_call_infinite_is(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 4294967295");
    assert_true(p.session.record.host_fallback_usec == USEC_INFINITY);
    open_at(&p, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 4294967294");
    assert_int_equal(p.session.record.host_fallback_usec, UINT64_C(4294967294) * USEC_PER_SEC);
}

static void row_24_a_new_session_is_created_at_the_host_of_the_url(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE);
    player_ack(&p, 200, "");
    player_ack(&p, 500, CODE(0x8020001F));
    assert_sends(&p, CREATE);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
    assert_string_equal(p.session.record.host_id, "");
    player_ack(&p, 200, "BITS-Session-Id: y");
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_fragment(&p, 0, 262143);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
}

static void a_close_that_the_lost_host_may_have_carried_out_counts_for_nothing_elsewhere(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 5");
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_ack(&p, 200, "");
    player_reach_close(&p);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    wait_and_start(&p, 5);
    assert_sends(&p, PING);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
    player_ack(&p, 200, "");
    assert_action(&p, PERSIST);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, CLOSE);
    player_ack(&p, 500, CODE(0x8020001F));
    assert_sends(&p, CREATE);
}

static void a_cancellation_goes_to_the_host_and_falls_back_too(void **state)
{
    struct player p;

    (void)state;
    open_at(&p, AT_NODE "\nBITS-Host-Id-Fallback-Timeout: 5");
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_sends(&p, CANCEL);
    assert_string_equal(p.out.request.host, "node7");
    player_lose(&p, TRANSPORT_CONNECT, 0);
    wait_and_start(&p, 5);
    assert_sends(&p, CANCEL);
    assert_int_equal(p.out.request.target, TARGET_ORIGIN);
}

static void row_45_a_reply_that_the_host_does_not_have_is_asked_of_the_host_of_the_url(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.session.parameters.wants_reply = true;
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, AT_NODE);
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_ack(&p, 200, "");
    player_ack(&p, 200, NEXT(1000) "\nBITS-Reply-URL: r");
    assert_sends(&p, REPLY);
    assert_int_equal(p.out.request.target, TARGET_REPLY);
    assert_string_equal(p.out.request.host, "node7");
    player_answer(&p, 404, "");
    assert_sends(&p, REPLY);
    assert_int_equal(p.out.request.target, TARGET_REPLY);
    assert_string_equal(p.out.request.host, "");
    player_part(&p, 0, 9, 10, "");
    assert_action(&p, STORE_REPLY);
    player_event(&p, SESSION_EVENT_REPLY_STORED);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, CLOSE);
    assert_string_equal(p.out.request.host, "node7");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_6_the_session_goes_on_at_its_host_behind_a_ping),
    cmocka_unit_test(row_6_a_host_that_is_none_is_an_invalid_answer),
    cmocka_unit_test(row_6_a_host_that_the_transport_refuses_ends_the_session),
    cmocka_unit_test(row_28b_the_connection_to_the_new_host_is_no_sign_of_a_lost_session),
    cmocka_unit_test(row_40_a_host_that_stays_away_is_given_up_for_that_of_the_url),
    cmocka_unit_test(row_40_the_sum_survives_a_restart_and_does_not_count_a_pause),
    cmocka_unit_test(row_12_errors_of_the_host_count_but_its_answers_to_ping_and_fragment_clear_them),
    cmocka_unit_test(row_40_without_a_timeout_the_host_is_waited_for_until_nothing_has_moved_for_too_long),
    cmocka_unit_test(the_timeout_that_documents_call_infinite_is),
    cmocka_unit_test(row_24_a_new_session_is_created_at_the_host_of_the_url),
    cmocka_unit_test(a_close_that_the_lost_host_may_have_carried_out_counts_for_nothing_elsewhere),
    cmocka_unit_test(a_cancellation_goes_to_the_host_and_falls_back_too),
    cmocka_unit_test(row_45_a_reply_that_the_host_does_not_have_is_asked_of_the_host_of_the_url),
};
UNIT_MAIN(tests);
