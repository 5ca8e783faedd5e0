/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an answer means. Rules overlap, and are asked in this order: a 2xx that is no Ack; session not found; 401 and
 * 407; 413; the rules of the packet; the rules that hold for any packet. Cancel-Session has rules of its own before all
 * of them. The numbers are those of the table in tests/model/README.md.
 */
#include "core/bits.h"

#include "core/proto.h"

#include <stdio.h>
#include <string.h>

static void fail_outcome(struct step *step)
{
    struct failure failure;

    bits_describe_outcome(step, &failure);
    bits_fail(step, &failure, bits_advice_for(step));
}

static void wait_outcome(struct step *step)
{
    struct failure failure;

    bits_describe_outcome(step, &failure);
    bits_wait(step, &failure);
}

static void invalid_outcome(struct step *step)
{
    struct failure failure;

    bits_describe_outcome(step, &failure);
    bits_invalid(step, &failure);
}

static void restart_outcome(struct step *step)
{
    struct failure failure;

    bits_describe_outcome(step, &failure);
    bits_restart(step, &failure);
}

static bool is_offered(const struct session *session, const struct ack *ack)
{
    const char *offered = session->parameters.protocol_guid;

    return proto_is_offered(offered[0] != '\0' ? offered : BITS_PROTOCOL_GUID, ack->protocol);
}

static void describe_host_id(const struct step *step, struct failure *ret)
{
    char why[200];

    (void)snprintf(why, sizeof(why), "the server named a host for the session that is no plain host name: \"%.80s\"",
                   step->in->outcome->ack.host_id);
    bits_describe(step, HR_INVALID_SERVER_RESPONSE, CONTEXT_REMOTE_FILE, why, ret);
}

/* Rows 5 to 8: the server opened a session. */
static void take_session(struct step *step)
{
    struct session *session = step->session;
    struct session_record *record = &session->record;
    const struct ack *ack = &step->in->outcome->ack;
    struct failure failure;

    if (ack->has_protocol && !is_offered(session, ack)) {
        bits_describe(step, HR_PROTOCOL_MISMATCH, CONTEXT_REMOTE_FILE,
                      "the server chose a protocol that was not offered", &failure);
        bits_fail(step, &failure, "only BITS 1.5 uploads are spoken here: upload to another server");
        return;
    }
    if (ack->has_host_id && !ack->host_id_is_valid) {
        describe_host_id(step, &failure);
        bits_invalid(step, &failure);
        return;
    }
    bits_forget_session(session);
    record->phase = SESSION_FRAGMENT;
    memcpy(record->session_id, ack->session_id, sizeof(record->session_id));
    bits_take_host(session, ack);
    session->after_restart = false;
    session->must_persist = true;
    bits_go_on(step);
}

/* Row 10: perhaps another session holds the name for a while, perhaps the target exists and never goes away. */
static void create_conflict(struct step *step)
{
    struct session_record *record = &step->session->record;

    if (bits_from_application(&step->in->outcome->ack)) {
        wait_outcome(step);
    } else if (record->create_conflicts >= SESSION_CREATE_CONFLICTS_MAX) {
        fail_outcome(step);
    } else {
        record->create_conflicts++;
        wait_outcome(step);
    }
}

/* Rows 9, 10 and 28c. Each of these returns whether the packet has a rule of its own for this answer. */
static bool create_refused(struct step *step)
{
    int status = step->in->outcome->ack.status;

    if (status == 409)
        create_conflict(step);
    else if (status == 400 || status == 403 || status == 404 || status == 413 || status == 416 || status == 501)
        fail_outcome(step);
    else
        return false;
    return true;
}

/* Some servers never implemented Ping: the real request tells more. */
static bool ping_refused(struct step *step)
{
    const struct ack *ack = &step->in->outcome->ack;
    bool is_said_of_ping_alone = ack->status == 400 || ack->status == 404 || ack->status == 405 || ack->status == 413 ||
                                 ack->status == 416 || ack->status == 500 || ack->status == 501;

    if (ack->status == 409) {
        wait_outcome(step);
        return true;
    }
    if (!is_said_of_ping_alone || ack->has_authenticate || (bits_has_code(ack) && ack->error_code == HR_TOO_LARGE))
        return false;
    step->session->needs_ping = false;
    bits_go_on(step);
    return true;
}

/* Row 28b: servers that keep their sessions with the TCP connection say so in their own ways. */
static bool may_be_a_lost_session(const struct step *step, uint64_t connection_before)
{
    const struct exchange_outcome *outcome = step->in->outcome;
    int status = outcome->ack.status;

    return !step->session->record.lost_session_tried && !outcome->ack.has_authenticate &&
           !bits_has_code(&outcome->ack) && (status == 400 || status == 403 || status == 404 || status == 500) &&
           outcome->connection != 0 && outcome->connection != connection_before;
}

/* Row 28a: filters for large requests hide the limit behind 404 or 400. Never at the floor: row 28 holds there. */
static bool may_be_too_long(const struct step *step)
{
    const struct session *session = step->session;
    const struct ack *ack = &step->in->outcome->ack;
    uint64_t floor =
        session->parameters.fragment_floor_bytes > 0 ? session->parameters.fragment_floor_bytes : FRAGMENT_FLOOR_BYTES;

    return (ack->status == 400 || ack->status == 404) && !bits_has_code(ack) && !bits_from_application(ack) &&
           session->fragment_sent_bytes > session->record.fragment_acked_bytes && session->fragment_sent_bytes > floor;
}

/* Rows 18 and 19. */
static void out_of_sync(struct step *step)
{
    const struct ack *ack = &step->in->outcome->ack;
    struct failure failure;

    if (ack->has_next) {
        bits_fragment_answered(step);
    } else if (bits_from_application(ack)) {
        fail_outcome(step);
    } else {
        bits_describe_outcome(step, &failure);
        bits_drop_then_create(step, &failure);
    }
}

/* Rows 18, 19 and 28a to 28d. */
static bool fragment_refused(struct step *step, uint64_t connection_before)
{
    int status = step->in->outcome->ack.status;

    if (status == 416) {
        out_of_sync(step);
    } else if (status == 409) {
        wait_outcome(step);
    } else if (may_be_a_lost_session(step, connection_before)) {
        step->session->record.lost_session_tried = true;
        restart_outcome(step);
    } else if (may_be_too_long(step)) {
        bits_fragment_too_long(step);
    } else {
        return false;
    }
    return true;
}

/*
 * Row 48: whether a refused Close-Session is bad news depends on whether an earlier one may have been carried out.
 * 408 and 429 tell nothing about the session, so that they are left to row 29.
 */
static bool close_refused(struct step *step, bool has_predecessor)
{
    const struct ack *ack = &step->in->outcome->ack;
    struct failure failure;

    if (ack->status >= 500 && ack->status <= 599) {
        wait_outcome(step);
        return true;
    }
    if (ack->status < 400 || ack->status > 499 || ack->status == 408 || ack->status == 429)
        return false;
    if (has_predecessor) {
        bits_done_unconfirmed(step, true);
        return true;
    }
    bits_describe_outcome(step, &failure);
    const char *advice = bits_advice_for(step);
    if (ack->status == 404) {
        bits_forget_session(step->session);
        advice = "the server has lost the file: bitsq retry uploads it again";
    }
    bits_fail(step, &failure, advice);
    return true;
}

/* 2.4 of the table: the session that was to be closed is not there. */
static void close_not_found(struct step *step, bool has_predecessor)
{
    if (has_predecessor || step->session->parameters.at_most_once)
        bits_done_unconfirmed(step, has_predecessor);
    else
        restart_outcome(step); /* it may have been lost before it was published */
}

/*
 * Keeps close_attempted to what it means, a Close-Session of unknown fate: not one whose head never went out, and not
 * one that was answered by a refusal. Returns whether there was another before this one, which includes a first one
 * that the transport sent twice on its own.
 */
static bool settle_close(struct step *step)
{
    struct session *session = step->session;
    const struct exchange_outcome *outcome = step->in->outcome;
    bool answered = outcome->transport == TRANSPORT_OK;
    bool refused = answered && outcome->ack.status >= 300 && outcome->ack.status <= 499;
    bool has_predecessor = !session->first_close || outcome->heads_sent >= 2;

    if (!has_predecessor && (refused || (!answered && outcome->heads_sent == 0))) {
        session->record.close_attempted = false;
        session->record_changed = true;
    }
    session->first_close = false;
    return has_predecessor;
}

/* The rules for any packet: rows 25, 28 to 32. */
static void any_refused(struct step *step)
{
    const struct ack *ack = &step->in->outcome->ack;
    int status = ack->status;
    struct failure failure;

    if (bits_has_code(ack) && ack->error_code == HR_TOO_LARGE) {
        bits_describe_outcome(step, &failure);
        bits_drop_then_fail(step, &failure, bits_advice_for(step));
    } else if (status < 300 || status > 599) {
        invalid_outcome(step);
    } else if (status < 400) {
        if (status == 306 || status > 308)
            wait_outcome(step);
        else
            fail_outcome(step);
    } else if (status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505)) {
        wait_outcome(step);
    } else {
        fail_outcome(step);
    }
}

static bool is_ack(const struct step *step)
{
    return step->in->outcome->ack.is_ack || step->session->parameters.lenient_ack;
}

/* Whether a 200 or 201 brings what its packet needs; error headers beside it are ignored then. */
static bool is_success(const struct step *step)
{
    const struct ack *ack = &step->in->outcome->ack;

    if ((ack->status != 200 && ack->status != 201) || !is_ack(step) || step->kind == EXCHANGE_REPLY)
        return false;
    if (step->kind == EXCHANGE_CREATE)
        return ack->has_session_id;
    return step->kind != EXCHANGE_FRAGMENT || ack->has_next;
}

static void take_success(struct step *step)
{
    step->session->asked_again = false;
    switch (step->kind) {
    case EXCHANGE_CREATE:
        take_session(step);
        return;
    case EXCHANGE_PING:
        bits_note_host_up(step->session);
        step->session->needs_ping = false;
        bits_go_on(step);
        return;
    case EXCHANGE_FRAGMENT:
        bits_fragment_answered(step);
        return;
    case EXCHANGE_CLOSE:
        bits_done(step);
        return;
    case EXCHANGE_CANCEL:
    case EXCHANGE_REPLY:
    case EXCHANGE_NONE:
        return; /* answered elsewhere, and never sent */
    }
}

/* Row 20: an Ack that does not say what it acknowledges. The session cannot be trusted any more. */
static bool is_unclear(const struct step *step)
{
    const struct ack *ack = &step->in->outcome->ack;

    return step->kind == EXCHANGE_FRAGMENT && (ack->status == 200 || ack->status == 201) &&
           ack->error_code != HR_TOO_LARGE;
}

static void fragment_unclear(struct step *step)
{
    struct failure failure;

    bits_describe_outcome(step, &failure);
    bits_forget_session(step->session);
    bits_invalid(step, &failure);
}

/* Rows 22, 23 and 28c; a Close-Session's 413 is one more 4xx. */
static bool too_large(struct step *step)
{
    if (step->kind != EXCHANGE_FRAGMENT)
        return false;
    if (bits_from_application(&step->in->outcome->ack))
        fail_outcome(step);
    else
        bits_fragment_too_long(step);
    return true;
}

static bool refused_by_packet(struct step *step, bool has_predecessor, uint64_t connection_before)
{
    switch (step->kind) {
    case EXCHANGE_CREATE:
        return create_refused(step);
    case EXCHANGE_PING:
        return ping_refused(step);
    case EXCHANGE_FRAGMENT:
        return fragment_refused(step, connection_before);
    case EXCHANGE_CLOSE:
        return close_refused(step, has_predecessor);
    case EXCHANGE_CANCEL:
    case EXCHANGE_REPLY:
    case EXCHANGE_NONE:
        return false;
    }
    return false;
}

/* Row 24. With all bytes acknowledged, only Close-Session itself may say so: 2.4 decides then. */
static void session_not_found(struct step *step, bool has_predecessor)
{
    struct session *session = step->session;

    if (step->kind == EXCHANGE_CLOSE) {
        close_not_found(step, has_predecessor);
    } else if (step->kind == EXCHANGE_PING && session->record.phase == SESSION_COMPLETE) {
        session->needs_ping = false;
        bits_go_on(step);
    } else {
        restart_outcome(step);
    }
}

static void take_answer(struct step *step, bool has_predecessor, uint64_t connection_before)
{
    const struct ack *ack = &step->in->outcome->ack;
    bool is_2xx = ack->status >= 200 && ack->status < 300;

    if (bits_may_ask_again(step)) {
        bits_go_on(step);
    } else if (step->kind == EXCHANGE_REPLY && bits_take_reply(step)) {
        return;
    } else if (is_success(step)) {
        take_success(step);
    } else if (is_2xx && !is_ack(step)) {
        invalid_outcome(step);
    } else if (bits_is_not_found(ack)) {
        session_not_found(step, has_predecessor);
    } else if (ack->status == 401 || ack->status == 407) {
        fail_outcome(step);
    } else if (ack->status == 413 && too_large(step)) {
        return;
    } else if (is_unclear(step)) {
        fragment_unclear(step);
    } else if (!refused_by_packet(step, has_predecessor, connection_before)) {
        any_refused(step);
    }
}

/* Rows 51 to 53. */
static void take_cancel_answer(struct step *step)
{
    const struct exchange_outcome *outcome = step->in->outcome;
    const struct ack *ack = &outcome->ack;
    bool answered = outcome->transport == TRANSPORT_OK && !ack->too_large;

    if (answered && bits_may_ask_again(step))
        bits_send(step, EXCHANGE_CANCEL);
    else if (answered && ((ack->status >= 100 && ack->status <= 499) || bits_is_not_found(ack)))
        bits_gone(step);
    else
        wait_outcome(step);
}

/* A host id or reply URL that may not be asked. Another session may bring another host; a reply stays where it is. */
static void take_refused_url(struct step *step)
{
    struct failure failure;

    bits_describe_outcome(step, &failure);
    if (step->kind == EXCHANGE_REPLY) {
        bits_fail(step, &failure,
                  "where it may be fetched from another host: bitsq set ID reply_other_host=yes, then: bitsq retry ID");
        return;
    }
    bits_forget_session(step->session);
    bits_invalid(step, &failure);
}

static void take_transport_error(struct step *step)
{
    const struct exchange_outcome *outcome = step->in->outcome;

    if (step->kind == EXCHANGE_REPLY && bits_take_lost_reply(step))
        return;
    switch (outcome->transport) {
    case TRANSPORT_OK: /* a complete answer, but over a bound */
    case TRANSPORT_MALFORMED:
        invalid_outcome(step);
        return;
    case TRANSPORT_URL:
        take_refused_url(step);
        return;
    case TRANSPORT_UNAUTHENTICATED:
        bits_take_unauthenticated(step);
        return;
    case TRANSPORT_CERTIFICATE:
        fail_outcome(step);
        return;
    case TRANSPORT_CONNECTION_LOST:
    case TRANSPORT_SEND_TIMEOUT:
    case TRANSPORT_RESPONSE_TIMEOUT:
        if (step->kind == EXCHANGE_FRAGMENT && outcome->heads_sent > 0)
            bits_fragment_lost(step->session);
        wait_outcome(step);
        return;
    case TRANSPORT_SOURCE:
        bits_take_source_error(step, outcome->source_error);
        return;
    case TRANSPORT_RESOLVE:
    case TRANSPORT_CONNECT:
    case TRANSPORT_CONNECT_TIMEOUT:
    case TRANSPORT_TLS:
    case TRANSPORT_LOCAL:
    case TRANSPORT_PROXY:
        wait_outcome(step);
        return;
    }
}

void bits_take_outcome(struct step *step)
{
    struct session *session = step->session;
    const struct exchange_outcome *outcome = step->in->outcome;
    uint64_t connection_before = session->connection;
    bool answered = outcome->transport == TRANSPORT_OK;

    step->kind = session->awaiting;
    session->awaiting = EXCHANGE_NONE;
    if (bits_is_dropping(session)) {
        bits_dropped(step);
        return;
    }
    bits_note_host_down(step);
    if (step->kind == EXCHANGE_CANCEL) {
        take_cancel_answer(step);
        return;
    }
    if (step->kind == EXCHANGE_FRAGMENT && !answered && outcome->heads_sent == 0)
        bits_uncount_sent(session);
    if (!answered && outcome->heads_sent > 0 && step->kind == EXCHANGE_FRAGMENT)
        bits_note_ambiguous(session);
    if (answered && step->kind == EXCHANGE_FRAGMENT)
        session->unauthenticated = 0;
    /* A Ping does not count as use: a lost session shows only at the next real request. */
    if ((step->kind != EXCHANGE_PING || session->connection_moves) && outcome->connection != 0) {
        session->connection = outcome->connection;
        session->connection_moves = false;
    }
    bool has_predecessor = step->kind == EXCHANGE_CLOSE && settle_close(step);
    if (answered && !outcome->ack.too_large)
        take_answer(step, has_predecessor, connection_before);
    else
        take_transport_error(step);
}
