/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session machine: servers that understood the documents in their own way. Numbers are rows of
 * tests/model/README.md. */
#include "support/unit.h"

#include "support/player.h"

#include <stdio.h>
#include <string.h>

static void a_lenient_job_takes_a_2xx_for_an_ack(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.session.parameters.lenient_ack = true;
    player_event(&p, SESSION_EVENT_START);
    player_answer(&p, 200, "BITS-Session-Id: x");
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_answer(&p, 200, NEXT(1000));
    player_event(&p, SESSION_EVENT_PERSISTED);
    player_answer(&p, 201, "");
    assert_action(&p, DONE);
}

static void a_lenient_job_still_wants_to_know_the_next_offset(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    p.session.parameters.lenient_ack = true;
    player_answer(&p, 200, "");
    assert_failure(&p, WAIT, HR_INVALID_SERVER_RESPONSE);
}

static void the_verb_and_the_guid_are_those_of_the_job(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    p.session.parameters.method = METHOD_POST_OVERRIDE;
    (void)snprintf(p.session.parameters.protocol_guid, sizeof(p.session.parameters.protocol_guid), "{A} {B}");
    player_event(&p, SESSION_EVENT_START);
    assert_string_equal(p.out.request.method, "POST");
    assert_string_equal(player_header(&p, "X-HTTP-Method-Override"), "BITS_POST");
    assert_string_equal(player_header(&p, "BITS-Supported-Protocols"), "{A} {B}");
    player_ack(&p, 200, "BITS-Session-Id: x\nBITS-Protocol: b");
    assert_action(&p, PERSIST);
}

static void open_restarting(struct player *p)
{
    player_open(p, 1000000);
    p->session.parameters.restart_on_ambiguous = true;
    player_ack(p, 200, NEXT(262144));
    assert_sends(p, FRAGMENT);
}

static void assert_starts_anew(struct player *p)
{
    player_event(p, SESSION_EVENT_START);
    assert_sends(p, CANCEL);
    player_ack(p, 200, "");
    assert_sends(p, CREATE);
    assert_int_equal(p->session.record.offset, 0);
    assert_int_equal(p->session.record.restarts, 1);
}

static void a_fragment_of_unknown_fate_starts_a_new_session_where_overlap_corrupts(void **state)
{
    struct player p;

    (void)state;
    open_restarting(&p);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    assert_action(&p, WAIT);
    player_reload(&p);
    p.session.after_restart = false;
    assert_starts_anew(&p);
}

static void a_pause_or_a_crash_in_a_fragment_leaves_its_fate_unknown_too(void **state)
{
    struct player p;

    (void)state;
    open_restarting(&p);
    player_event(&p, SESSION_EVENT_SUSPEND);
    assert_starts_anew(&p);
    open_restarting(&p);
    player_reload(&p);
    assert_starts_anew(&p);
}

static void a_fragment_that_never_left_or_was_answered_is_not_ambiguous(void **state)
{
    struct player p;

    (void)state;
    open_restarting(&p);
    player_lose(&p, TRANSPORT_CONNECT, 0);
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 200, "");
    player_ack(&p, 503, "");
    player_event(&p, SESSION_EVENT_START);
    assert_sends(&p, PING);
    player_ack(&p, 200, "");
    assert_sends(&p, FRAGMENT);
    assert_int_equal(p.out.request.body_offset, 262144);
}

static void without_that_choice_the_same_fragment_is_sent_again(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000000);
    player_ack(&p, 200, NEXT(262144));
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    assert_sends(&p, FRAGMENT);
    assert_int_equal(p.out.request.body_offset, 262144);
}

static void what_must_arrive_once_at_most_is_not_uploaded_again_when_the_session_is_lost_at_its_end(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1000);
    p.session.parameters.at_most_once = true;
    player_reach_close(&p);
    player_ack(&p, 500, CODE(0x8020001F));
    assert_action(&p, DONE);
    assert_false(p.out.confirmed);
    assert_non_null(strstr(p.out.failure.text, "once at most"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_lenient_job_takes_a_2xx_for_an_ack),
    cmocka_unit_test(a_lenient_job_still_wants_to_know_the_next_offset),
    cmocka_unit_test(the_verb_and_the_guid_are_those_of_the_job),
    cmocka_unit_test(a_fragment_of_unknown_fate_starts_a_new_session_where_overlap_corrupts),
    cmocka_unit_test(a_pause_or_a_crash_in_a_fragment_leaves_its_fate_unknown_too),
    cmocka_unit_test(a_fragment_that_never_left_or_was_answered_is_not_ambiguous),
    cmocka_unit_test(without_that_choice_the_same_fragment_is_sent_again),
    cmocka_unit_test(what_must_arrive_once_at_most_is_not_uploaded_again_when_the_session_is_lost_at_its_end),
};
UNIT_MAIN(tests);
