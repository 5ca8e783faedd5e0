/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: a source that changes or cannot be read. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include "base/moment.h"

#include <errno.h>
#include <string.h>

static void row_41_a_changed_source_is_fatal_and_the_session_cancelled(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    const struct session_input in = {
        .event = SESSION_EVENT_SOURCE_CHANGED, .now = p.now, .source_change = "the size changed"};
    session_step(&p.session, &in, &p.out);
    assert_sends(&p, CANCEL);
    assert_true(p.out.abort_exchange);
    assert_int_equal(p.session.record.sent_bytes, 262144);
    player_ack(&p, 500, "");
    assert_failure(&p, FAIL, HR_LOCAL_FILE_CHANGED);
    assert_int_equal(p.out.failure.context, CONTEXT_LOCAL_FILE);
    assert_non_null(strstr(p.out.failure.text, "the size changed"));
}

static void row_41_a_change_before_the_close_means_no_close(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_reach_close(&p);
    player_event(&p, SESSION_EVENT_SOURCE_CHANGED);
    assert_sends(&p, CANCEL);
    assert_false(p.session.record.close_attempted);
    player_ack(&p, 200, "");
    assert_failure(&p, FAIL, HR_LOCAL_FILE_CHANGED);
}

static void row_41_a_change_before_a_session_needs_no_cancel(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    player_event(&p, SESSION_EVENT_START);
    player_event(&p, SESSION_EVENT_SOURCE_CHANGED);
    assert_failure(&p, FAIL, HR_LOCAL_FILE_CHANGED);
}

static void open_restartable(struct player *p, uint64_t size)
{
    player_open(p, size);
    p->session.parameters.source_restart = true;
}

static void row_41a_a_changed_source_is_begun_anew_where_that_was_chosen(void **state)
{
    struct player p;

    (void)state;
    open_restartable(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    player_event(&p, SESSION_EVENT_SOURCE_CHANGED);
    assert_sends(&p, CANCEL);
    assert_true(p.out.abort_exchange);
    player_ack(&p, 500, "");
    assert_failure(&p, RETAKE, HR_LOCAL_FILE_CHANGED);
    assert_string_equal(p.session.record.session_id, "");
    assert_int_equal(p.session.record.phase, SESSION_CREATE);
    assert_int_equal(p.session.record.offset, 0);
    assert_int_equal(p.session.record.high_offset, 0);
    assert_int_equal(p.session.record.sent_high_offset, 0);
    assert_int_equal(p.session.record.sent_bytes, 262144);
    assert_int_equal(p.session.record.source_restarts, 1);
    p.session.parameters.size_bytes = 2000;
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, CREATE);
    player_ack(&p, 200, "BITS-Session-Id: another");
    player_event(&p, SESSION_EVENT_PERSISTED);
    assert_fragment(&p, 0, 1999);
}

static void change_until_it_is_put_up_with(struct player *p)
{
    for (unsigned i = 1; i <= SOURCE_RESTARTS_MAX; i++) {
        player_event(p, SESSION_EVENT_SOURCE_CHANGED);
        player_ack(p, 200, "");
        assert_action(p, RETAKE);
        assert_int_equal(p->session.record.source_restarts, i);
        player_reload(p);
        player_event(p, SESSION_EVENT_START);
        player_ack(p, 200, "BITS-Session-Id: " PLAYER_ID);
        player_event(p, SESSION_EVENT_PERSISTED);
        player_ack(p, 200, NEXT(262144)); /* progress does not count it anew */
    }
}

static void row_41a_a_source_that_goes_on_changing_is_fatal_and_says_so(void **state)
{
    struct player p;

    (void)state;
    open_restartable(&p, 1000000);
    change_until_it_is_put_up_with(&p);
    const struct session_input in = {
        .event = SESSION_EVENT_SOURCE_CHANGED, .now = p.now, .source_change = "it was modified"};
    session_step(&p.session, &in, &p.out);
    assert_sends(&p, CANCEL);
    player_ack(&p, 200, "");
    assert_failure(&p, FAIL, HR_LOCAL_FILE_CHANGED);
    assert_non_null(strstr(p.out.failure.text, "it was modified, and it was begun anew 3 times before; bitsq retry"));
}

static void row_41a_without_a_session_nothing_has_to_be_cancelled(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.session.parameters.source_restart = true;
    player_event(&p, SESSION_EVENT_START);
    player_event(&p, SESSION_EVENT_SOURCE_CHANGED);
    assert_failure(&p, RETAKE, HR_LOCAL_FILE_CHANGED);
}

static void row_41a_a_pause_does_not_wait_for_the_cancellation(void **state)
{
    struct player p;

    (void)state;
    open_restartable(&p, 1000);
    player_event(&p, SESSION_EVENT_SOURCE_CHANGED);
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_failure(&p, RETAKE, HR_LOCAL_FILE_CHANGED);
    assert_true(p.out.abort_exchange);
}

static void row_41a_a_cancellation_goes_before_it(void **state)
{
    struct player p;

    (void)state;
    open_restartable(&p, 1000);
    player_event(&p, SESSION_EVENT_SOURCE_CHANGED);
    player_event(&p, SESSION_EVENT_CANCEL);
    player_ack(&p, 200, "");
    assert_action(&p, GONE);
}

static void fail_source(struct player *p, int error)
{
    const struct session_input in = {.event = SESSION_EVENT_SOURCE_FAILED, .now = p->now, .source_error = error};

    session_step(&p->session, &in, &p->out);
}

static void row_41_a_file_that_is_gone_is_a_changed_one(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    fail_source(&p, -ENOENT);
    assert_sends(&p, CANCEL);
    player_ack(&p, 200, "");
    assert_failure(&p, FAIL, HR_LOCAL_FILE_CHANGED);
    assert_non_null(strstr(p.out.failure.text, "gone"));
}

static void row_41_a_file_that_is_gone_cannot_be_begun_anew(void **state)
{
    struct player p;

    (void)state;
    open_restartable(&p, 1000);
    fail_source(&p, -ENOENT);
    player_ack(&p, 200, "");
    assert_failure(&p, FAIL, HR_LOCAL_FILE_CHANGED);
}

static void row_42_an_unreadable_file_is_fatal(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    fail_source(&p, -EACCES);
    assert_failure(&p, FAIL, HR_READ_FAULT);
    assert_int_equal(p.out.failure.context, CONTEXT_LOCAL_FILE);
    assert_int_equal(p.out.failure.phase, PHASE_SOURCE);
}

static void row_42_a_disk_error_is_waited_out_once(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    fail_source(&p, -EIO);
    assert_failure(&p, WAIT, HR_READ_FAULT);
    player_reload(&p);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    p.outcome.source_error = -ESTALE;
    player_lose(&p, TRANSPORT_SOURCE, 1);
    assert_failure(&p, FAIL, HR_READ_FAULT);
}

static void row_42_a_file_system_that_hangs_is_waited_out_as_often_as_it_takes(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    for (int i = 0; i < 5; i++) {
        p.outcome.source_error = -ETIMEDOUT;
        player_lose(&p, TRANSPORT_SOURCE, 1);
        assert_failure(&p, WAIT, HR_READ_FAULT);
        assert_non_null(strstr(p.out.failure.text, "does not answer"));
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, 200, "");
        assert_sends(&p, FRAGMENT);
    }
}

static void row_42_before_the_close_it_is_no_attempt_to_close(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    player_reach_close(&p);
    fail_source(&p, -EIO);
    assert_action(&p, WAIT);
    assert_false(p.session.record.close_attempted);
}

static void row_42a_a_file_system_that_is_not_mounted_is_waited_for_and_no_error(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    p.session.parameters.no_progress_timeout_usec = 0; /* every error is final */
    player_ack(&p, 200, NEXT(262144));
    for (int i = 0; i < 5; i++) {
        const struct session_input in = {.event = SESSION_EVENT_SOURCE_FAILED,
                                         .now = p.now,
                                         .source_error = -ENOMEDIUM,
                                         .source_mount = "/media/stick"};
        session_step(&p.session, &in, &p.out);
        assert_failure(&p, AWAY, HR_NOT_READY);
        assert_true(p.out.abort_exchange);
        assert_int_equal(p.out.failure.phase, PHASE_SOURCE);
        assert_int_equal(p.out.failure.context, CONTEXT_LOCAL_FILE);
        assert_non_null(strstr(p.out.failure.text, "the file system /media/stick is not mounted; mount it, and it "
                                                   "goes on by itself"));
        assert_string_equal(p.session.record.session_id, PLAYER_ID);
        assert_int_equal(p.session.record.sent_bytes, 262144);
        player_pass(&p, 30 * USEC_PER_DAY);
        player_reload(&p);
        player_event(&p, SESSION_EVENT_START);
        player_ack(&p, 200, "");
        assert_fragment(&p, 262144, 262144 + p.out.request.body_bytes - 1);
    }
}

static void row_42a_it_may_vanish_in_the_middle_of_a_fragment(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    p.outcome.source_error = -ENOMEDIUM;
    player_lose(&p, TRANSPORT_SOURCE, 1);
    assert_failure(&p, AWAY, HR_NOT_READY);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_41_a_changed_source_is_fatal_and_the_session_cancelled),
    cmocka_unit_test(row_41_a_change_before_the_close_means_no_close),
    cmocka_unit_test(row_41_a_change_before_a_session_needs_no_cancel),
    cmocka_unit_test(row_41_a_file_that_is_gone_is_a_changed_one),
    cmocka_unit_test(row_41_a_file_that_is_gone_cannot_be_begun_anew),
    cmocka_unit_test(row_41a_a_changed_source_is_begun_anew_where_that_was_chosen),
    cmocka_unit_test(row_41a_a_source_that_goes_on_changing_is_fatal_and_says_so),
    cmocka_unit_test(row_41a_without_a_session_nothing_has_to_be_cancelled),
    cmocka_unit_test(row_41a_a_pause_does_not_wait_for_the_cancellation),
    cmocka_unit_test(row_41a_a_cancellation_goes_before_it),
    cmocka_unit_test(row_42_an_unreadable_file_is_fatal),
    cmocka_unit_test(row_42_a_disk_error_is_waited_out_once),
    cmocka_unit_test(row_42_a_file_system_that_hangs_is_waited_out_as_often_as_it_takes),
    cmocka_unit_test(row_42_before_the_close_it_is_no_attempt_to_close),
    cmocka_unit_test(row_42a_a_file_system_that_is_not_mounted_is_waited_for_and_no_error),
    cmocka_unit_test(row_42a_it_may_vanish_in_the_middle_of_a_fragment),
};
UNIT_MAIN(tests);
