/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: the reply of an upload-reply job. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB_LAST (MIB - 1)

static void row_15_the_reply_is_fetched_from_the_url_of_the_last_ack(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    assert_int_equal(p.out.request.target, TARGET_REPLY);
    assert_string_equal(p.out.request.host, "");
    assert_string_equal(p.out.request.reply_url, "replies\\7.bin");
    assert_string_equal(p.out.request.method, "GET");
    assert_string_equal(player_header(&p, "Range"), "bytes=0-1048575");
    assert_int_equal(p.out.request.range_first, 0);
    assert_int_equal(p.out.request.range_bytes, MIB);
    assert_false(p.out.request.check_source);
}

static void row_43_a_reply_that_is_complete_is_stored_before_the_session_is_closed(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_part(&p, 0, 499, 500, "ETag: \"1\"");
    assert_action(&p, STORE_REPLY);
    assert_int_equal(p.session.record.reply_total, 500);
    player_event(&p, SESSION_EVENT_REPLY_STORED);
    assert_action(&p, PERSIST);
    assert_true(p.session.record.reply_stored);
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_sends(&p, CLOSE);
    player_ack(&p, 200, "");
    assert_action(&p, DONE);
    assert_true(p.out.confirmed);
    assert_string_equal(p.out.failure.text, "");
}

static void row_43_a_long_reply_is_fetched_range_by_range(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_part(&p, 0, MIB_LAST, 2 * MIB + 1, "ETag: \"1\"");
    assert_sends(&p, REPLY);
    assert_true(p.out.progress && p.out.checkpoint);
    assert_string_equal(player_header(&p, "Range"), "bytes=1048576-2097151");
    player_part(&p, MIB, MIB + 999, 2 * MIB + 1, "ETag: \"1\""); /* less than was asked for is fine */
    assert_string_equal(player_header(&p, "Range"), "bytes=1049576-2097152");
    player_part(&p, MIB + 1000, 2 * MIB, 2 * MIB + 1, "ETag: \"1\"");
    assert_action(&p, STORE_REPLY);
}

static void row_43_a_reply_that_comes_whole_is_taken_where_it_fits_one_range(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_whole(&p, MIB, "");
    assert_action(&p, STORE_REPLY);
    assert_int_equal(p.session.record.reply_total, MIB);
    player_open_reply(&p);
    p.outcome.received_bytes = 77;
    player_answer(&p, 200, "Transfer-Encoding: chunked");
    assert_action(&p, STORE_REPLY);
    assert_int_equal(p.session.record.reply_total, 77);
    player_open_reply(&p);
    player_whole(&p, MIB + 1, "");
    assert_failure(&p, FAIL, 0x80200013);
    assert_string_equal(p.out.failure.name, "BG_E_INSUFFICIENT_RANGE_SUPPORT");
    assert_non_null(strstr(p.out.failure.text, "all bytes were acknowledged"));
}

static void a_reply_whose_length_nobody_tells_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    p.outcome.received_bytes = 10;
    player_answer(&p, 200, "");
    assert_failure(&p, FAIL, 0x80200011);
    player_open_reply(&p);
    p.outcome.received_bytes = 10;
    player_answer(&p, 206, "Content-Range: bytes 0-9/*");
    assert_failure(&p, FAIL, 0x80200011);
}

static void row_43_an_empty_reply_is_stored_too(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_answer(&p, 416, "Content-Range: bytes */0");
    assert_action(&p, STORE_REPLY);
    assert_true(p.session.record.has_reply_total);
    assert_int_equal(p.session.record.reply_total, 0);
    player_open_reply(&p);
    player_whole(&p, 0, "");
    assert_action(&p, STORE_REPLY);
}

static void a_plain_upload_does_not_look_at_the_reply_url(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_ack(&p, 200, NEXT(1000) "\nBITS-Reply-URL: /foo");
    assert_action(&p, PERSIST);
    assert_int_equal(p.session.record.phase, SESSION_COMPLETE);
    assert_string_equal(p.session.record.reply_url, "");
}

static void row_18_a_416_at_the_end_may_bring_the_url_too(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.session.parameters.wants_reply = true;
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_ack(&p, 416, NEXT(1000) "\nBITS-Reply-URL: http://up.example/r");
    assert_sends(&p, REPLY);
    assert_string_equal(p.out.request.reply_url, "http://up.example/r");
}

/* All bytes are acknowledged, but no URL came: the last one goes out again. */
static void open_without_url(struct player *p)
{
    player_init(p, 1000);
    p->session.parameters.wants_reply = true;
    player_event(p, SESSION_EVENT_START);
    player_ack(p, 200, "BITS-Session-Id: " PLAYER_ID);
    player_event(p, SESSION_EVENT_PERSISTED);
    player_ack(p, 416, NEXT(1000));
    assert_fragment(p, 999, 999);
    assert_string_equal(player_header(p, "Content-Range"), "bytes 999-999/1000");
}

static void without_a_url_the_last_byte_is_sent_once_more(void **state)
{
    struct player p;

    (void)state;
    open_without_url(&p);
    player_ack(&p, 200, NEXT(1000) "\nBITS-Reply-URL: r");
    assert_sends(&p, REPLY);
    assert_int_equal(p.session.record.resent_bytes, 1);
}

static void a_reply_that_nobody_names_is_empty_and_warned_of(void **state)
{
    struct player p;

    (void)state;
    open_without_url(&p);
    player_ack(&p, 200, NEXT(1000));
    assert_action(&p, STORE_REPLY);
    assert_true(p.session.record.has_reply_total);
    assert_int_equal(p.session.record.reply_total, 0);
    player_event(&p, SESSION_EVENT_REPLY_STORED);
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_ack(&p, 200, "");
    assert_action(&p, DONE);
    assert_true(p.out.confirmed);
    assert_non_null(strstr(p.out.failure.text, "named no reply"));
}

static void a_job_that_insists_on_its_reply_fails_without_one_and_asks_again_at_retry(void **state)
{
    struct player p;

    (void)state;
    open_without_url(&p);
    p.session.parameters.reply_strict = true;
    player_ack(&p, 200, NEXT(1000));
    assert_failure(&p, FAIL, HR_INVALID_SERVER_RESPONSE);
    assert_non_null(strstr(p.out.failure.text, "bitsq set ID reply_strict=no"));
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 200, "");
    assert_fragment(&p, 999, 999);
}

static void an_empty_file_has_an_empty_reply(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 0);
    p.session.parameters.wants_reply = true;
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_action(&p, STORE_REPLY);
}

static void row_44_a_broken_line_goes_on_at_the_stored_offset(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_part(&p, 0, MIB_LAST, 3 * MIB, "ETag: \"1\"");
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    assert_action(&p, WAIT);
    assert_int_equal(p.out.failure.phase, PHASE_REPLY);
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, REPLY); /* a GET needs no Ping before it */
    assert_string_equal(player_header(&p, "Range"), "bytes=1048576-2097151");
    player_answer(&p, 503, "");
    assert_action(&p, WAIT);
    player_event(&p, SESSION_EVENT_START);
    assert_string_equal(player_header(&p, "Range"), "bytes=1048576-2097151");
}

static void row_44_a_line_that_breaks_within_a_part_gets_shorter_ones(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    for (int i = 0; i < 10; i++) {
        p.outcome.transport = TRANSPORT_CONNECTION_LOST;
        ack_begin(&p.outcome.ack, 206);
        player_event(&p, SESSION_EVENT_OUTCOME);
        assert_action(&p, WAIT);
        player_event(&p, SESSION_EVENT_START);
    }
    assert_string_equal(player_header(&p, "Range"), "bytes=0-16383");
    player_part(&p, 0, 16383, 100000, "");
    assert_string_equal(player_header(&p, "Range"), "bytes=16384-49151");
}

static void a_reply_that_changes_begins_anew(void **state)
{
    static const char *const before[] = {"ETag: \"1\"", "Last-Modified: Mon", "ETag: \"1\"", ""};
    static const char *const after[] = {"ETag: \"2\"", "Last-Modified: Tue", "", "ETag: \"1\""};
    struct player p;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(before); i++) {
        player_open_reply(&p);
        player_part(&p, 0, MIB_LAST, 2 * MIB, before[i]);
        player_part(&p, MIB, 2 * MIB - 1, 2 * MIB, after[i]);
        assert_sends(&p, REPLY);
        assert_string_equal(player_header(&p, "Range"), "bytes=0-1048575");
        assert_int_equal(p.session.record.reply_offset, 0);
    }
    player_open_reply(&p);
    player_part(&p, 0, MIB_LAST, 2 * MIB, "ETag: \"1\"");
    player_part(&p, MIB, 2 * MIB - 1, 2 * MIB + 5, "ETag: \"1\"");
    assert_string_equal(player_header(&p, "Range"), "bytes=0-1048575");
    player_part(&p, 0, MIB_LAST, 2 * MIB, "ETag: \"1\"");
    player_answer(&p, 416, "Content-Range: bytes */7");
    assert_string_equal(player_header(&p, "Range"), "bytes=0-1048575");
}

static void a_reply_that_is_never_the_same_twice_is_fatal(void **state)
{
    struct player p;
    char etag[40];

    (void)state;
    player_open_reply(&p);
    for (int i = 0; i <= REPLY_RESTARTS_MAX; i++) {
        assert_sends(&p, REPLY);
        (void)snprintf(etag, sizeof(etag), "ETag: \"%d\"", i);
        player_part(&p, 0, MIB_LAST, 2 * MIB, etag);
        player_part(&p, MIB, 2 * MIB - 1, 2 * MIB, "ETag: \"other\"");
    }
    assert_failure(&p, FAIL, HR_INVALID_SERVER_RESPONSE);
    assert_non_null(strstr(p.out.failure.text, "changed"));
}

static void another_part_than_the_one_that_was_asked_for_is_invalid(void **state)
{
    static const char *const ranges[] = {"Content-Range: bytes 1-499/500", "Content-Range: bytes 0-1048576/2000000",
                                         "Content-Range: bytes */500", "", "Content-Range: bytes 0-10/500"};
    struct player p;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(ranges); i++) {
        player_open_reply(&p);
        p.outcome.received_bytes = 10;
        player_answer(&p, 206, ranges[i]);
        assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
        assert_int_equal(p.session.record.reply_offset, 0);
    }
}

static void an_ack_to_a_get_is_no_reply(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_ack(&p, 201, "");
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
}

static void a_reply_over_the_bound_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_part(&p, 0, MIB_LAST, REPLY_MAX_BYTES, "");
    assert_sends(&p, REPLY);
    player_open_reply(&p);
    player_part(&p, 0, MIB_LAST, REPLY_MAX_BYTES + 1, "");
    assert_failure(&p, FAIL, HR_TOO_LARGE);
    assert_non_null(strstr(p.out.failure.text, "1073741825"));
}

static void row_45_a_reply_that_is_gone_is_fatal_and_asked_for_anew_at_retry(void **state)
{
    static const int statuses[] = {403, 404, 410};
    struct player p;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(statuses); i++) {
        player_open_reply(&p);
        player_answer(&p, statuses[i], "");
        assert_failure(&p, FAIL, HR_HTTP_STATUS(statuses[i]));
        assert_int_equal(p.out.failure.context, CONTEXT_REMOTE_FILE);
        assert_int_equal(p.out.failure.phase, PHASE_REPLY);
        player_reload(&p);
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, 200, "");
        assert_fragment(&p, 999, 999);
    }
}

static void a_redirected_reply_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_answer(&p, 302, "Location: http://elsewhere.example/");
    assert_failure(&p, FAIL, HR_HTTP_STATUS(302));
}

static void a_reply_on_a_host_that_may_not_be_asked_names_the_choice(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_lose(&p, TRANSPORT_URL, 0);
    assert_failure(&p, FAIL, HR_INVALID_SERVER_RESPONSE);
    assert_non_null(strstr(p.out.failure.text, "reply_other_host=yes"));
    assert_string_equal(p.session.record.session_id, PLAYER_ID);
}

static void a_full_disk_is_waited_out_and_what_is_forbidden_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    p.source_error = -ENOSPC;
    player_event(&p, SESSION_EVENT_REPLY_FAILED);
    assert_failure(&p, WAIT, HR_DISK_FULL);
    assert_int_equal(p.out.failure.phase, PHASE_STORE_REPLY);
    assert_int_equal(p.out.failure.context, CONTEXT_LOCAL_FILE);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, REPLY);
    player_part(&p, 0, 9, 10, "");
    assert_action(&p, STORE_REPLY);
    p.source_error = -EACCES;
    player_event(&p, SESSION_EVENT_REPLY_FAILED);
    assert_failure(&p, FAIL, HR_ACCESS_DENIED);
    player_event(&p, SESSION_EVENT_START); /* retry, when its folder may be written to */
    assert_action(&p, STORE_REPLY);
}

static void a_temporary_file_that_vanished_begins_the_reply_anew(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_part(&p, 0, 9, 10, "");
    assert_action(&p, STORE_REPLY);
    p.source_error = -ENODATA;
    player_event(&p, SESSION_EVENT_REPLY_FAILED);
    assert_sends(&p, REPLY);
    assert_string_equal(player_header(&p, "Range"), "bytes=0-1048575");
}

static void a_pause_while_the_reply_is_stored_stores_it_again(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_part(&p, 0, 9, 10, "");
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_action(&p, IDLE);
    player_event(&p, SESSION_EVENT_REPLY_STORED); /* late */
    assert_action(&p, NONE);
    player_event(&p, SESSION_EVENT_START);
    assert_action(&p, STORE_REPLY);
}

static void cancelling_while_the_reply_is_fetched_or_stored_tells_the_server(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_sends(&p, CANCEL);
    assert_true(p.out.abort_exchange);
    player_open_reply(&p);
    player_part(&p, 0, 9, 10, "");
    player_event(&p, SESSION_EVENT_CANCEL);
    assert_sends(&p, CANCEL);
    player_event(&p, SESSION_EVENT_REPLY_STORED); /* late */
    assert_action(&p, NONE);
    player_ack(&p, 200, "");
    assert_action(&p, GONE);
}

static void yielding_stops_between_two_parts(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_event(&p, SESSION_EVENT_YIELD);
    player_part(&p, 0, MIB_LAST, 2 * MIB, "");
    assert_action(&p, IDLE);
    player_event(&p, SESSION_EVENT_START);
    assert_string_equal(player_header(&p, "Range"), "bytes=1048576-2097151");
}

static void a_session_that_is_lost_while_the_reply_is_fetched_starts_anew(void **state)
{
    struct player p;

    (void)state;
    player_open_reply(&p);
    player_answer(&p, 500, CODE(0x8020001F));
    assert_sends(&p, CREATE);
    assert_string_equal(p.session.record.reply_url, "");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_15_the_reply_is_fetched_from_the_url_of_the_last_ack),
    cmocka_unit_test(row_43_a_reply_that_is_complete_is_stored_before_the_session_is_closed),
    cmocka_unit_test(row_43_a_long_reply_is_fetched_range_by_range),
    cmocka_unit_test(row_43_a_reply_that_comes_whole_is_taken_where_it_fits_one_range),
    cmocka_unit_test(a_reply_whose_length_nobody_tells_is_fatal),
    cmocka_unit_test(row_43_an_empty_reply_is_stored_too),
    cmocka_unit_test(a_plain_upload_does_not_look_at_the_reply_url),
    cmocka_unit_test(row_18_a_416_at_the_end_may_bring_the_url_too),
    cmocka_unit_test(without_a_url_the_last_byte_is_sent_once_more),
    cmocka_unit_test(a_reply_that_nobody_names_is_empty_and_warned_of),
    cmocka_unit_test(a_job_that_insists_on_its_reply_fails_without_one_and_asks_again_at_retry),
    cmocka_unit_test(an_empty_file_has_an_empty_reply),
    cmocka_unit_test(row_44_a_broken_line_goes_on_at_the_stored_offset),
    cmocka_unit_test(row_44_a_line_that_breaks_within_a_part_gets_shorter_ones),
    cmocka_unit_test(a_reply_that_changes_begins_anew),
    cmocka_unit_test(a_reply_that_is_never_the_same_twice_is_fatal),
    cmocka_unit_test(another_part_than_the_one_that_was_asked_for_is_invalid),
    cmocka_unit_test(an_ack_to_a_get_is_no_reply),
    cmocka_unit_test(a_reply_over_the_bound_is_fatal),
    cmocka_unit_test(row_45_a_reply_that_is_gone_is_fatal_and_asked_for_anew_at_retry),
    cmocka_unit_test(a_redirected_reply_is_fatal),
    cmocka_unit_test(a_reply_on_a_host_that_may_not_be_asked_names_the_choice),
    cmocka_unit_test(a_full_disk_is_waited_out_and_what_is_forbidden_is_fatal),
    cmocka_unit_test(a_temporary_file_that_vanished_begins_the_reply_anew),
    cmocka_unit_test(a_pause_while_the_reply_is_stored_stores_it_again),
    cmocka_unit_test(cancelling_while_the_reply_is_fetched_or_stored_tells_the_server),
    cmocka_unit_test(yielding_stops_between_two_parts),
    cmocka_unit_test(a_session_that_is_lost_while_the_reply_is_fetched_starts_anew),
};
UNIT_MAIN(tests);
