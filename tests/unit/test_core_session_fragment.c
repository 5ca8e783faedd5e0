/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: what answers to Fragments lead to. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include <stdio.h>
#include <string.h>

static void row_17_the_servers_offset_wins_in_both_directions(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 200, NEXT(2048));
    assert_fragment(&p, 2048, 9999);
    player_ack(&p, 200, NEXT(6000));
    assert_fragment(&p, 6000, 9999);
    player_ack(&p, 200, NEXT(100)); /* even backwards */
    assert_fragment(&p, 100, 9999);
    assert_int_equal(p.session.record.high_offset, 6000);
    assert_false(p.out.progress);
}

static void row_17_bytes_that_go_out_again_are_counted(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 200, NEXT(2048));
    assert_int_equal(p.session.record.sent_bytes, 10000 + 7952);
    assert_int_equal(p.session.record.resent_bytes, 7952);
    player_lose(&p, TRANSPORT_CONNECT, 0); /* never left: never counted */
    assert_int_equal(p.session.record.sent_bytes, 10000);
    assert_int_equal(p.session.record.resent_bytes, 0);
    assert_int_equal(p.session.record.sent_high_offset, 10000);
}

static void row_18_a_416_with_an_offset_is_no_error(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    player_ack(&p, 416, NEXT(1000));
    assert_sends(&p, FRAGMENT);
    assert_int_equal(p.out.request.body_offset, 1000);
    player_ack(&p, 416, "BITS-Recieved-Content-Range: 2000\n" CODE(0x0) "\n" CONTEXT(0x7));
    assert_int_equal(p.out.request.body_offset, 2000);
}

static void row_18_a_416_at_the_end_leads_to_the_close(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 416, NEXT(10000));
    assert_action(&p, PERSIST);
    assert_int_equal(p.session.record.phase, SESSION_COMPLETE);
}

static void row_19_a_416_without_an_offset_drops_the_session_and_creates_another(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 416, "");
    assert_sends(&p, CANCEL);
    assert_string_equal(player_header(&p, "BITS-Session-Id"), PLAYER_ID);
    player_lose(&p, TRANSPORT_CONNECT, 0); /* one try, whatever comes of it */
    assert_sends(&p, CREATE);
    assert_string_equal(p.session.record.session_id, "");
    assert_int_equal(p.session.record.offset, 0);
}

static void row_19_a_416_of_the_application_without_an_offset_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 416, CODE(0x801901A0) "\n" CONTEXT(0x7));
    assert_failure(&p, FAIL, HR_HTTP_STATUS(416));
}

static void row_19_pausing_while_the_session_is_dropped_forgets_it(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 416, "");
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_action(&p, IDLE);
    assert_true(p.out.abort_exchange);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
}

static void row_20_an_offset_beyond_the_file_waits_and_starts_anew(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_ack(&p, 200, NEXT(10001));
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
}

static void row_20_an_ack_without_a_readable_offset_waits_and_starts_anew(void **state)
{
    static const char *const headers[] = {"", "BITS-Received-Content-Range: abc", CODE(0x80004005)};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        player_open(&p, 10000);
        player_ack(&p, 200, headers[i]);
        assert_action(&p, WAIT);
        assert_int_equal(p.session.record.invalid_responses, 1);
        player_event(&p, SESSION_EVENT_START);
        assert_sends(&p, CREATE);
    }
}

static void row_20_twenty_invalid_answers_are_fatal(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    for (int i = 1; i < SESSION_INVALID_MAX; i++) {
        player_event(&p, SESSION_EVENT_START);
        player_answer(&p, 200, "");
        assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    }
    player_event(&p, SESSION_EVENT_START);
    player_answer(&p, 200, "");
    assert_failure(&p, FAIL, HR_INVALID_SERVER_RESPONSE);
}

static void row_21_five_acks_without_advance_end_the_session(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(4096));
    for (int i = 1; i < SESSION_STALLED_ACKS_MAX; i++) {
        player_ack(&p, 416, NEXT(4096));
        assert_sends(&p, FRAGMENT);
    }
    player_ack(&p, 416, NEXT(4096));
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
}

static void loop_once(struct player *p)
{
    player_event(p, SESSION_EVENT_START);
    player_ack(p, 200, "BITS-Session-Id: x");
    player_event(p, SESSION_EVENT_PERSISTED);
    for (int i = 0; i < SESSION_STALLED_ACKS_MAX; i++)
        player_ack(p, 416, NEXT(0));
}

static void row_21_three_looping_sessions_are_fatal(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000000);
    for (int i = 1; i < SESSION_LOOPS_MAX; i++) {
        loop_once(&p);
        assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    }
    loop_once(&p);
    assert_failure(&p, FAIL, HR_INVALID_SERVER_RESPONSE);
}

static void row_21_an_upload_that_rightly_starts_over_is_no_loop(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10 * MIB);
    player_ack(&p, 200, NEXT(8000000));
    player_ack(&p, 500, CODE(0x8020001F));
    player_ack(&p, 200, "BITS-Session-Id: y");
    player_event(&p, SESSION_EVENT_PERSISTED);
    for (int i = 1; i < 10; i++) {
        char next[64];
        (void)snprintf(next, sizeof(next), "BITS-Received-Content-Range: %d", i * 1000);
        player_ack(&p, 200, next);
        assert_sends(&p, FRAGMENT);
        assert_false(p.out.progress); /* that begins beyond what was acknowledged before */
    }
}

static void row_22_a_413_halves_and_resends_the_same_start(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100000);
    p.session.parameters.fragment_min_bytes = p.session.parameters.fragment_max_bytes = 16384;
    player_ack(&p, 200, NEXT(1));
    assert_fragment(&p, 1, 16384);
    player_ack(&p, 413, "");
    assert_fragment(&p, 1, 8192);
    player_ack(&p, 413, "");
    assert_fragment(&p, 1, 5120); /* the floor, not 4096 */
    player_ack(&p, 200, NEXT(5121));
    assert_fragment(&p, 5121, 10240); /* 8192 was refused: never again in this session */
}

static void row_22_fragments_grow_again_below_the_refused_length(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    player_ack(&p, 413, "");
    assert_int_equal(p.out.request.body_bytes, 128 * KIB);
    p.outcome.elapsed_usec = 10 * USEC_PER_MIN;
    player_ack(&p, 200, NEXT(131072));
    assert_int_equal(p.out.request.body_bytes, 64 * KIB);
    p.outcome.elapsed_usec = 1;
    player_ack(&p, 200, NEXT(196608));
    assert_int_equal(p.out.request.body_bytes, 128 * KIB);
    player_ack(&p, 200, NEXT(327680));
    assert_int_equal(p.out.request.body_bytes, 128 * KIB);
}

static void row_22_a_413_of_the_application_is_fatal_at_once(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    player_ack(&p, 413, CODE(0x8019019D) "\n" CONTEXT(0x7));
    assert_failure(&p, FAIL, HR_HTTP_STATUS(413));
}

static void row_23_a_413_at_the_floor_is_fatal(void **state)
{
    struct player p;
    int requests = 0;

    (void)state;
    player_open(&p, 100 * MIB);
    while (p.out.action == SESSION_ACTION_SEND && requests++ < 100)
        player_ack(&p, 413, "");
    assert_int_equal(requests, 7); /* 256, 128, 64, 32, 16, 8, 5 KiB */
    assert_failure(&p, FAIL, HR_HTTP_STATUS(413));
}

static void row_23_a_413_for_a_small_remainder_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 5000);
    player_ack(&p, 413, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(413));
}

static void offsets_beyond_4_gib_are_exact(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, UINT64_C(5368709121));
    player_ack(&p, 200, NEXT(4294967295));
    assert_int_equal(p.out.request.body_offset, UINT64_C(4294967295));
    player_ack(&p, 200, NEXT(4294967296));
    assert_int_equal(p.out.request.body_offset, UINT64_C(4294967296));
    player_ack(&p, 200, NEXT(5368709120));
    assert_string_equal(player_header(&p, "Content-Range"), "bytes 5368709120-5368709120/5368709121");
}

static void a_server_that_counts_in_32_bits_is_named_not_followed(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, UINT64_C(5368709121));
    player_ack(&p, 200, NEXT(4294901760));
    assert_fragment(&p, UINT64_C(4294901760), UINT64_C(4294901760) + 1048575);
    player_ack(&p, 200, NEXT(983040)); /* 4295950336 modulo 2^32 */
    assert_failure(&p, FAIL, HR_INVALID_SERVER_RESPONSE);
    assert_non_null(strstr(p.out.failure.text, "32 bits"));
}

static void the_last_fragment_may_be_answered_a_minute_later(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 300000);
    assert_int_equal(p.out.request.response_timeout_usec, 5 * USEC_PER_MIN);
    player_ack(&p, 200, NEXT(262144));
    assert_int_equal(p.out.request.response_timeout_usec, 6 * USEC_PER_MIN);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    p.session.parameters.response_timeout_usec = 0; /* none stays none */
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_sends(&p, FRAGMENT);
    assert_int_equal(p.out.request.response_timeout_usec, 0);
}

static void yielding_stops_at_the_fragments_edge(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_event(&p, SESSION_EVENT_YIELD);
    assert_action(&p, NONE);
    assert_false(p.out.abort_exchange);
    player_ack(&p, 200, NEXT(262144));
    assert_action(&p, IDLE);
    assert_true(p.out.checkpoint);
    assert_true(p.out.progress);
    assert_int_equal(p.session.record.offset, 262144);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
}

static void yielding_during_the_last_fragment_lets_the_close_go_out(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_event(&p, SESSION_EVENT_YIELD);
    player_ack(&p, 200, NEXT(1000));
    assert_action(&p, PERSIST);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_17_the_servers_offset_wins_in_both_directions),
    cmocka_unit_test(row_17_bytes_that_go_out_again_are_counted),
    cmocka_unit_test(row_18_a_416_with_an_offset_is_no_error),
    cmocka_unit_test(row_18_a_416_at_the_end_leads_to_the_close),
    cmocka_unit_test(row_19_a_416_without_an_offset_drops_the_session_and_creates_another),
    cmocka_unit_test(row_19_a_416_of_the_application_without_an_offset_is_fatal),
    cmocka_unit_test(row_19_pausing_while_the_session_is_dropped_forgets_it),
    cmocka_unit_test(row_20_an_offset_beyond_the_file_waits_and_starts_anew),
    cmocka_unit_test(row_20_an_ack_without_a_readable_offset_waits_and_starts_anew),
    cmocka_unit_test(row_20_twenty_invalid_answers_are_fatal),
    cmocka_unit_test(row_21_five_acks_without_advance_end_the_session),
    cmocka_unit_test(row_21_three_looping_sessions_are_fatal),
    cmocka_unit_test(row_21_an_upload_that_rightly_starts_over_is_no_loop),
    cmocka_unit_test(row_22_a_413_halves_and_resends_the_same_start),
    cmocka_unit_test(row_22_fragments_grow_again_below_the_refused_length),
    cmocka_unit_test(row_22_a_413_of_the_application_is_fatal_at_once),
    cmocka_unit_test(row_23_a_413_at_the_floor_is_fatal),
    cmocka_unit_test(row_23_a_413_for_a_small_remainder_is_fatal),
    cmocka_unit_test(offsets_beyond_4_gib_are_exact),
    cmocka_unit_test(a_server_that_counts_in_32_bits_is_named_not_followed),
    cmocka_unit_test(the_last_fragment_may_be_answered_a_minute_later),
    cmocka_unit_test(yielding_stops_at_the_fragments_edge),
    cmocka_unit_test(yielding_during_the_last_fragment_lets_the_close_go_out),
};
UNIT_MAIN(tests);
