/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: from the first request to the last byte. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include <stdio.h>
#include <string.h>

static void row_1_suspending_aborts_the_request_and_keeps_session_and_offset(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_action(&p, IDLE);
    assert_true(p.out.abort_exchange);
    assert_true(p.out.checkpoint);
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
    assert_int_equal(p.session.record.offset, 262144);
    player_ack(&p, 200, NEXT(786432)); /* what comes late changes nothing */
    assert_action(&p, NONE);
    assert_int_equal(p.session.record.offset, 262144);
}

static void row_2_resuming_pings_and_goes_on_where_it_stopped(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    player_event(&p, SESSION_EVENT_SUSPEND);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    assert_null(player_header(&p, "BITS-Session-Id"));
    player_ack(&p, 200, "");
    assert_fragment(&p, 262144, 999999);
}

static void row_2_resuming_before_the_close_pings_and_closes(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_ack(&p, 200, NEXT(1000));
    assert_action(&p, PERSIST);
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_action(&p, IDLE);
    assert_false(p.session.record.close_attempted);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 200, "");
    assert_action(&p, PERSIST);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, CLOSE);
}

static void row_3_resuming_without_a_session_creates_one(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    player_event(&p, SESSION_EVENT_START);
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_action(&p, IDLE);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
}

static void row_4_a_new_job_begins_with_create_session(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
    assert_string_equal(p.out.request.method, "BITS_POST");
    assert_string_equal(player_header(&p, "BITS-Packet-Type"), "Create-Session");
    assert_string_equal(player_header(&p, "BITS-Supported-Protocols"), "{7df0354d-249b-430f-820d-3d2a9bef4931}");
    assert_int_equal(p.out.request.body_bytes, 0);
    assert_true(p.out.request.check_source);
}

static void row_5_the_session_id_is_durable_before_the_first_fragment(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: {AbC-x}");
    assert_action(&p, PERSIST);
    assert_string_equal(p.session.record.session_id, "{AbC-x}");
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_fragment(&p, 0, 9999);
    assert_string_equal(player_header(&p, "BITS-Session-Id"), "{AbC-x}");
    assert_string_equal(player_header(&p, "Content-Range"), "bytes 0-9999/10000");
    assert_string_equal(player_header(&p, "Content-Name"), "a.bin");
}

static void row_5_a_201_opens_a_session_as_a_200_does(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 201, "BITS-Session-Id: -1234567890");
    assert_action(&p, PERSIST);
}

static void row_5_an_id_that_was_not_yet_durable_at_a_pause_is_made_so_before_going_on(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_action(&p, IDLE);
    assert_true(p.out.checkpoint);
    player_event(&p, SESSION_EVENT_PERSISTED); /* of the PERSIST before: late */
    assert_action(&p, NONE);
    player_event(&p, SESSION_EVENT_START);
    assert_action(&p, PERSIST);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, PING);
}

static void row_7_an_ack_without_a_session_id_waits(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    assert_int_equal(p.session.record.invalid_responses, 1);
}

static void row_7_a_session_id_over_the_bound_waits(void **state)
{
    struct player p;
    char header[SESSION_ID_MAX + 32] = "BITS-Session-Id: ";

    (void)state;
    memset(header + strlen(header), 'x', SESSION_ID_MAX);
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, header);
    assert_action(&p, PERSIST);

    header[strlen(header)] = 'x';
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, header);
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
    assert_non_null(strstr(p.out.failure.text, "255"));
}

static void row_8_another_protocol_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x\nBITS-Protocol: {00000000-0000-0000-0000-000000000001}");
    assert_failure(&p, FAIL, HR_PROTOCOL_MISMATCH);
}

static void row_9_a_refused_create_session_is_fatal(void **state)
{
    static const int statuses[] = {400, 403, 404, 501};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_init(&p, 10000);
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, statuses[i], "");
        assert_failure(&p, FAIL, HR_HTTP_STATUS(statuses[i]));
        assert_int_equal(p.out.failure.context, CONTEXT_REMOTE_FILE);
        assert_int_equal(p.out.failure.phase, PHASE_CREATE);
        assert_int_equal(p.out.failure.http_status, statuses[i]);
    }
}

static void row_9_the_servers_code_wins_over_the_status(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 501, CODE(0x80070005) "\n" CONTEXT(0x5));
    assert_failure(&p, FAIL, HR_ACCESS_DENIED);
    assert_non_null(strstr(p.out.failure.text, "uploads are not enabled"));
}

static void row_10_a_conflict_is_waited_out_three_times(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    for (int i = 0; i < SESSION_CREATE_CONFLICTS_MAX; i++) {
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, 409, "BITS-Session-Id: not-to-be-used");
        assert_failure(&p, WAIT, HR_HTTP_STATUS(409));
        assert_string_equal(p.session.record.session_id, "");
    }
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 409, "");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(409));
}

static void row_10_a_conflict_of_the_application_is_always_transient(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    for (int i = 0; i < 2 * SESSION_CREATE_CONFLICTS_MAX; i++) {
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, 409, CODE(0x80190199) "\n" CONTEXT(0x7));
        assert_failure(&p, WAIT, 0x80190199);
        assert_int_equal(p.out.failure.context, CONTEXT_REMOTE_APPLICATION);
    }
}

static void row_11_a_ping_that_is_acknowledged_leads_back(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 10000);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 200, CODE(1) "\nBITS-Error-Context: "); /* one family of servers sends this */
    assert_fragment(&p, 0, 9999);
}

static void a_ping_that_the_server_does_not_know_changes_nothing(void **state)
{
    static const int statuses[] = {400, 404, 405, 413, 416, 500, 501};
    struct player p;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        player_open(&p, 10000);
        player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
        player_event(&p, SESSION_EVENT_START);
        player_answer(&p, statuses[i], "");
        assert_fragment(&p, 0, 9999);
    }
}

static void row_13_fragments_follow_each_other_without_gap_or_overlap(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 10000);
    p.session.parameters.fragment_min_bytes = p.session.parameters.fragment_max_bytes =
        p.session.parameters.fragment_floor_bytes = 4096;
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_fragment(&p, 0, 4095);
    player_ack(&p, 200, NEXT(4096));
    assert_fragment(&p, 4096, 8191);
    assert_true(p.out.checkpoint);
    assert_true(p.out.progress);
    player_ack(&p, 200, NEXT(8192));
    assert_fragment(&p, 8192, 9999);
    assert_string_equal(player_header(&p, "Content-Range"), "bytes 8192-9999/10000");
    player_ack(&p, 200, NEXT(10000));
    assert_action(&p, PERSIST);
}

static void row_13_a_size_that_is_a_multiple_of_the_fragment_has_no_empty_tail(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 2 * 262144);
    assert_fragment(&p, 0, 262143);
    player_ack(&p, 200, NEXT(262144));
    assert_fragment(&p, 262144, 524287);
    player_ack(&p, 200, NEXT(524288));
    assert_action(&p, PERSIST);
}

static void row_13_a_file_of_one_byte_is_one_fragment(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1);
    assert_string_equal(player_header(&p, "Content-Range"), "bytes 0-0/1");
}

static void row_13a_an_empty_file_is_created_and_closed(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 0);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x");
    assert_action(&p, PERSIST);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_action(&p, PERSIST);
    assert_true(p.session.record.close_attempted);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, CLOSE);
    player_ack(&p, 200, "");
    assert_action(&p, DONE);
    assert_true(p.out.confirmed);
}

static void row_13a_a_crash_after_the_last_ack_leads_to_the_close(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_ack(&p, 200, NEXT(1000));
    p.session.record.close_attempted = false;
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 200, "");
    assert_action(&p, PERSIST);
}

static void row_14_fragments_grow_while_acks_are_quick(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    assert_int_equal(p.out.request.body_bytes, 256 * KIB);
    player_ack(&p, 200, NEXT(262144));
    assert_int_equal(p.out.request.body_bytes, 1 * MIB); /* an Ack within a second: fourfold */
    p.outcome.elapsed_usec = FRAGMENT_VERY_QUICK_USEC;
    player_ack(&p, 200, NEXT(1310720));
    assert_int_equal(p.out.request.body_bytes, 2 * MIB);
    p.outcome.elapsed_usec = FRAGMENT_QUICK_USEC; /* not quick any more */
    player_ack(&p, 200, NEXT(3407872));
    assert_int_equal(p.out.request.body_bytes, 2 * MIB);
}

static void row_14_fragments_never_exceed_the_maximum(void **state)
{
    struct player p;
    char next[80];

    (void)state;
    player_open(&p, 1024 * MIB);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(next, sizeof(next), "BITS-Received-Content-Range: %llu",
                       (unsigned long long)(p.out.request.body_offset + p.out.request.body_bytes));
        player_ack(&p, 200, next);
    }
    assert_int_equal(p.out.request.body_bytes, FRAGMENT_MAX_BYTES);
}

static void row_14_fragments_are_cut_to_the_line_when_one_takes_over_half_a_slice(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    p.session.parameters.fragment_min_bytes = FRAGMENT_FLOOR_BYTES;
    p.session.parameters.time_slice_usec = 20 * USEC_PER_SEC;
    p.outcome.elapsed_usec = 10 * USEC_PER_SEC + 1; /* a little over: half of it */
    player_ack(&p, 200, NEXT(262144));
    assert_int_equal(p.out.request.body_bytes, 128 * KIB - 1);
    p.outcome.elapsed_usec = 40 * USEC_PER_SEC; /* an eighth of this rate is what fits into a quarter of the slice */
    player_ack(&p, 200, NEXT(393215));
    assert_int_equal(p.out.request.body_bytes, 16 * KIB - 1);
    p.outcome.elapsed_usec = 5 * USEC_PER_SEC; /* quick enough in itself, but not for this slice */
    player_ack(&p, 200, NEXT(409598));
    assert_int_equal(p.out.request.body_bytes, 16 * KIB - 1);
}

static void row_14_fragments_halve_when_one_is_lost_but_not_below_the_minimum(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    for (int i = 0; i < 4; i++) {
        player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
        assert_action(&p, WAIT);
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, 200, "");
    }
    assert_fragment(&p, 0, 64 * KIB - 1);
}

static void row_14_a_connection_that_never_stood_halves_nothing(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    player_lose(&p, TRANSPORT_CONNECT, 0);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_fragment(&p, 0, 256 * KIB - 1);
}

static void the_first_fragment_after_a_restart_of_the_daemon_is_a_small_one(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 100 * MIB);
    player_ack(&p, 200, NEXT(262144));
    player_ack(&p, 200, NEXT(786432));
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_fragment(&p, 786432, 786432 + 64 * KIB - 1);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1); /* the server's offset is still not known */
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_int_equal(p.out.request.body_bytes, 64 * KIB);
    player_ack(&p, 200, NEXT(851968));
    assert_true(p.out.request.body_bytes > 64 * KIB);
}

static void row_16_the_last_ack_leads_to_a_durable_close(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_ack(&p, 200, NEXT(1000) "\nBITS-Reply-URL: /foo"); /* plain uploads ignore it */
    assert_action(&p, PERSIST);
    assert_true(p.session.record.close_attempted);
    assert_int_equal(p.session.record.phase, SESSION_COMPLETE);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, CLOSE);
    assert_string_equal(player_header(&p, "BITS-Session-Id"), PLAYER_ID);
    assert_true(p.out.request.check_source);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_1_suspending_aborts_the_request_and_keeps_session_and_offset),
    cmocka_unit_test(row_2_resuming_pings_and_goes_on_where_it_stopped),
    cmocka_unit_test(row_2_resuming_before_the_close_pings_and_closes),
    cmocka_unit_test(row_3_resuming_without_a_session_creates_one),
    cmocka_unit_test(row_4_a_new_job_begins_with_create_session),
    cmocka_unit_test(row_5_the_session_id_is_durable_before_the_first_fragment),
    cmocka_unit_test(row_5_a_201_opens_a_session_as_a_200_does),
    cmocka_unit_test(row_5_an_id_that_was_not_yet_durable_at_a_pause_is_made_so_before_going_on),
    cmocka_unit_test(row_7_an_ack_without_a_session_id_waits),
    cmocka_unit_test(row_7_a_session_id_over_the_bound_waits),
    cmocka_unit_test(row_8_another_protocol_is_fatal),
    cmocka_unit_test(row_9_a_refused_create_session_is_fatal),
    cmocka_unit_test(row_9_the_servers_code_wins_over_the_status),
    cmocka_unit_test(row_10_a_conflict_is_waited_out_three_times),
    cmocka_unit_test(row_10_a_conflict_of_the_application_is_always_transient),
    cmocka_unit_test(row_11_a_ping_that_is_acknowledged_leads_back),
    cmocka_unit_test(a_ping_that_the_server_does_not_know_changes_nothing),
    cmocka_unit_test(row_13_fragments_follow_each_other_without_gap_or_overlap),
    cmocka_unit_test(row_13_a_size_that_is_a_multiple_of_the_fragment_has_no_empty_tail),
    cmocka_unit_test(row_13_a_file_of_one_byte_is_one_fragment),
    cmocka_unit_test(row_13a_an_empty_file_is_created_and_closed),
    cmocka_unit_test(row_13a_a_crash_after_the_last_ack_leads_to_the_close),
    cmocka_unit_test(row_14_fragments_grow_while_acks_are_quick),
    cmocka_unit_test(row_14_fragments_never_exceed_the_maximum),
    cmocka_unit_test(row_14_fragments_are_cut_to_the_line_when_one_takes_over_half_a_slice),
    cmocka_unit_test(row_14_fragments_halve_when_one_is_lost_but_not_below_the_minimum),
    cmocka_unit_test(row_14_a_connection_that_never_stood_halves_nothing),
    cmocka_unit_test(the_first_fragment_after_a_restart_of_the_daemon_is_a_small_one),
    cmocka_unit_test(row_16_the_last_ack_leads_to_a_durable_close),
};
UNIT_MAIN(tests);
