/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: a source that changes or cannot be read. Numbers are rows of tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(row_41_a_changed_source_is_fatal_and_the_session_cancelled),
    cmocka_unit_test(row_41_a_change_before_the_close_means_no_close),
    cmocka_unit_test(row_41_a_change_before_a_session_needs_no_cancel),
    cmocka_unit_test(row_41_a_file_that_is_gone_is_a_changed_one),
    cmocka_unit_test(row_42_an_unreadable_file_is_fatal),
    cmocka_unit_test(row_42_a_disk_error_is_waited_out_once),
    cmocka_unit_test(row_42_a_file_system_that_hangs_is_waited_out_as_often_as_it_takes),
    cmocka_unit_test(row_42_before_the_close_it_is_no_attempt_to_close),
};
UNIT_MAIN(tests);
