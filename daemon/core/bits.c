/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/bits.h"

#include "core/proto.h"

#include "base/moment.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The server may ask its application about the whole file before it acknowledges the last byte. */
#define LAST_FRAGMENT_EXTRA_USEC USEC_PER_MIN

static bool has_session(const struct session *session)
{
    return session->record.session_id[0] != '\0';
}

static void mend_reply(struct session *session)
{
    struct session_record *record = &session->record;
    bool is_complete = record->offset == session->parameters.size_bytes;

    if (record->reply_offset > record->reply_total || (record->reply_offset > 0 && !record->has_reply_total))
        bits_forget_reply_bytes(record);
    if (record->phase == SESSION_REPLY && (!session->parameters.wants_reply || !is_complete))
        record->phase = SESSION_FRAGMENT;
    if (record->phase == SESSION_COMPLETE && session->parameters.wants_reply && !record->reply_stored &&
        !record->close_attempted)
        record->phase = SESSION_FRAGMENT;
}

/* A record that contradicts itself or its file begins anew rather than sending nonsense. */
static void mend_record(struct session *session)
{
    struct session_record *record = &session->record;

    if (record->cancel_requested_usec != 0)
        record->phase = SESSION_CANCEL;
    else if (record->phase == SESSION_CANCEL)
        record->phase = has_session(session) ? SESSION_FRAGMENT : SESSION_CREATE;
    if (record->phase == SESSION_CANCEL)
        return;
    if (record->offset > session->parameters.size_bytes || (record->phase != SESSION_CREATE && !has_session(session)) ||
        (record->phase == SESSION_CREATE && has_session(session)))
        bits_forget_session(session);
    else if (record->phase == SESSION_COMPLETE && record->offset < session->parameters.size_bytes)
        record->phase = SESSION_FRAGMENT;
    mend_reply(session);
}

void session_init(struct session *session, const struct session_parameters *parameters,
                  const struct session_record *record)
{
    memset(session, 0, sizeof(*session));
    session->parameters = *parameters;
    if (record)
        session->record = *record;
    mend_record(session);
}

static int build(struct session *session, enum exchange_kind kind, struct exchange_request *request)
{
    bool is_fragment = kind == EXCHANGE_FRAGMENT, is_reply = kind == EXCHANGE_REPLY;
    const char *name = session->parameters.content_name;
    struct proto_packet packet = {
        .kind = kind,
        .method = session->parameters.method,
        .protocol_guid = session->parameters.protocol_guid,
        .session_id = kind == EXCHANGE_PING || kind == EXCHANGE_CREATE ? NULL : session->record.session_id,
        .content_name = is_fragment && name[0] != '\0' ? name : NULL,
        .first = session->record.offset,
        .bytes = is_fragment ? bits_fragment_length(session) : 0,
        .total = session->parameters.size_bytes,
    };
    if (is_reply)
        bits_reply_range(session, &packet.first, &packet.bytes);
    int r = proto_build(&packet, request);
    if (r >= 0)
        bits_aim(session, request);
    return r;
}

void bits_send(struct step *step, enum exchange_kind kind)
{
    struct session *session = step->session;
    struct exchange_request *request = &step->out->request;
    const struct session_parameters *parameters = &session->parameters;

    step->kind = kind;
    if (build(session, kind, request) < 0) {
        struct failure failure;
        bits_describe(step, HR_INVALID_ARGUMENT, CONTEXT_QUEUE_MANAGER,
                      "the stored session does not fit into a request", &failure);
        bits_forget_session(session);
        session->drop_then_create = session->drop_then_fail = session->drop_then_retake = false;
        bits_fail(step, &failure, "start it again with: bitsq retry");
        return;
    }
    request->connect_timeout_usec = parameters->connect_timeout_usec;
    request->send_timeout_usec = parameters->send_timeout_usec;
    request->response_timeout_usec = parameters->response_timeout_usec;
    if (kind == EXCHANGE_FRAGMENT) {
        bits_count_sent(session, request->body_bytes);
        bool is_last = request->body_offset + request->body_bytes == parameters->size_bytes;
        if (is_last && request->response_timeout_usec != 0)
            request->response_timeout_usec = usec_add(request->response_timeout_usec, LAST_FRAGMENT_EXTRA_USEC);
    }
    /* A Close-Session that is repeated concerns bytes which are at the server: the file here may have moved on. */
    request->check_source =
        kind == EXCHANGE_CREATE || kind == EXCHANGE_FRAGMENT || (kind == EXCHANGE_CLOSE && session->first_close);
    session->awaiting = kind;
    step->out->action = SESSION_ACTION_SEND;
}

static void persist(struct step *step)
{
    step->session->awaiting_commit = true;
    step->session->record_changed = false;
    step->out->action = SESSION_ACTION_PERSIST;
}

static void go_on_closing(struct step *step)
{
    struct session *session = step->session;

    if (session->needs_ping) {
        bits_send(step, EXCHANGE_PING);
    } else if (!session->record.close_attempted) {
        session->record.close_attempted = true;
        session->first_close = true;
        session->must_persist = true;
        persist(step);
    } else {
        bits_send(step, EXCHANGE_CLOSE);
    }
}

static void leave_fragments(struct session *session)
{
    if (session->record.phase != SESSION_FRAGMENT || session->record.offset != session->parameters.size_bytes)
        return;
    session->record_changed = true;
    if (session->parameters.wants_reply && !session->record.reply_stored)
        bits_begin_reply(session);
    else
        session->record.phase = SESSION_COMPLETE;
}

void bits_go_on(struct step *step)
{
    struct session *session = step->session;
    struct session_record *record = &session->record;

    bits_fall_back_if_due(session);
    if (record->fragment_is_ambiguous && record->phase == SESSION_FRAGMENT) {
        bits_drop_ambiguous(step);
        return;
    }
    leave_fragments(session);
    /* Close-Session is one small request: whoever yields before it would only have to come back for it. */
    if (session->yield_wanted && record->phase != SESSION_COMPLETE && record->phase != SESSION_CANCEL) {
        bits_idle(step);
        return;
    }
    if (session->must_persist && record->phase != SESSION_CANCEL) {
        persist(step);
        return;
    }
    switch (record->phase) {
    case SESSION_CREATE:
        bits_send(step, session->needs_ping ? EXCHANGE_PING : EXCHANGE_CREATE);
        return;
    case SESSION_FRAGMENT:
        bits_send(step, session->needs_ping ? EXCHANGE_PING : EXCHANGE_FRAGMENT);
        return;
    case SESSION_REPLY:
        bits_go_on_reply(step);
        return;
    case SESSION_COMPLETE:
        go_on_closing(step);
        return;
    case SESSION_CANCEL:
        if (has_session(session))
            bits_send(step, EXCHANGE_CANCEL);
        else
            bits_gone(step);
        return;
    }
}

static void take_start(struct step *step)
{
    struct session *session = step->session;

    if (session->running)
        return;
    session->running = true;
    session->started_usec = step->in->now.monotonic_usec;
    session->record.no_progress_usec = usec_add(session->record.no_progress_usec, step->in->waited_usec);
    bits_count_host_down(session, step->in->waited_usec);
    mend_record(session);
    if (session->after_restart && session->record.phase == SESSION_FRAGMENT)
        bits_note_ambiguous(session);
    session->needs_ping = has_session(session) || session->parameters.ping_first;
    bits_go_on(step);
}

static void take_persisted(struct step *step)
{
    if (!step->session->awaiting_commit)
        return;
    step->session->awaiting_commit = false;
    step->session->must_persist = false;
    bits_go_on(step);
}

void bits_abort_exchange(struct step *step)
{
    step->out->abort_exchange = step->out->abort_exchange || step->session->awaiting != EXCHANGE_NONE;
    step->session->awaiting = EXCHANGE_NONE;
    step->session->awaiting_store = false;
}

/* A first Close-Session that has not gone out, since the disk or a look at the source came before it, is none. */
static void take_back_close(struct session *session, bool went_out)
{
    if (session->first_close && !went_out) {
        session->record.close_attempted = false;
        session->must_persist = false;
    }
    session->first_close = false;
    session->awaiting_commit = false;
    session->record_changed = true;
}

static void take_suspend(struct step *step)
{
    struct session *session = step->session;

    if (!session->running)
        return;
    bool closing = session->awaiting == EXCHANGE_CLOSE;
    if (session->awaiting == EXCHANGE_FRAGMENT)
        bits_note_ambiguous(session);
    bits_abort_exchange(step);
    if (session->drop_then_fail || session->drop_then_retake) {
        bits_dropped(step); /* that is decided already; only the farewell to the server is cut short */
        return;
    }
    if (session->drop_then_create)
        bits_forget_session(session);
    take_back_close(session, closing);
    bits_idle(step);
}

static void take_cancel(struct step *step)
{
    struct session *session = step->session;
    struct session_record *record = &session->record;

    if (record->phase == SESSION_CANCEL && session->running)
        return;
    if (record->cancel_requested_usec == 0)
        record->cancel_requested_usec = step->in->now.realtime_usec > 0 ? step->in->now.realtime_usec : 1;
    if (!session->running) {
        session->running = true;
        session->started_usec = step->in->now.monotonic_usec;
    }
    record->phase = SESSION_CANCEL;
    record->no_progress_usec = 0;
    session->record_changed = true;
    if (session->awaiting == EXCHANGE_CANCEL) {
        /* What is under way does it. */
        session->drop_then_create = session->drop_then_fail = session->drop_then_retake = false;
        return;
    }
    bits_abort_exchange(step);
    session->awaiting_commit = session->must_persist = false;
    session->asked_again = false;
    bits_go_on(step);
}

/*
 * Rows 41 and 41a. What is at the server is a part of another file: it must never be closed, and need not be kept. A
 * file that goes on changing would be uploaded for ever, so that is done a few times only.
 */
static void take_source_changed(struct step *step, const char *change, bool is_there)
{
    struct session *session = step->session;
    bool may_restart = session->parameters.source_restart && is_there;
    uint32_t restarts = session->record.source_restarts;
    struct failure failure;
    char why[200];

    if (!session->running || session->record.phase == SESSION_CANCEL || session->awaiting == EXCHANGE_CANCEL)
        return;
    if (session->awaiting == EXCHANGE_FRAGMENT)
        bits_uncount_sent(session);
    bits_abort_exchange(step);
    take_back_close(session, false);
    (void)text_copy(why, sizeof(why), change ? change : "it changed");
    if (may_restart && restarts >= SOURCE_RESTARTS_MAX)
        (void)snprintf(why, sizeof(why), "%s, and it was begun anew %" PRIu32 " times before",
                       change ? change : "it changed", restarts);
    bits_describe_local(step, HR_LOCAL_FILE_CHANGED, PHASE_SOURCE, why, &failure);
    if (may_restart && restarts < SOURCE_RESTARTS_MAX)
        bits_drop_then_retake(step, &failure);
    else
        bits_drop_then_fail(step, &failure, "bitsq retry uploads it as it is now");
}

void bits_take_source_error(struct step *step, int error)
{
    struct session *session = step->session;
    struct failure failure;

    if (error == -ENOMEDIUM) {
        bits_away(step);
        return;
    }
    if (error == -ENOENT || error == -ENOTDIR) {
        take_source_changed(step, "the file is gone", false);
        return;
    }
    bool may_heal = failure_errno_may_heal(error);
    bits_describe_local(step, HR_READ_FAULT, PHASE_SOURCE, failure_errno_text(error), &failure);
    if (failure_errno_is_shortage(error) || (may_heal && !session->record.source_error_tried)) {
        session->record.source_error_tried = session->record.source_error_tried || may_heal;
        bits_wait(step, &failure);
        return;
    }
    bits_fail(step, &failure, "make the file readable for this user, then: bitsq retry");
}

static void take_source_failed(struct step *step)
{
    struct session *session = step->session;

    if (!session->running || session->record.phase == SESSION_CANCEL || session->awaiting == EXCHANGE_CANCEL)
        return;
    if (session->awaiting == EXCHANGE_FRAGMENT)
        bits_uncount_sent(session);
    bits_abort_exchange(step);
    take_back_close(session, false);
    bits_take_source_error(step, step->in->source_error);
}

static void take_access_failed(struct step *step)
{
    struct session *session = step->session;
    struct failure failure;

    if (!session->running)
        return;
    if (session->awaiting == EXCHANGE_FRAGMENT)
        bits_uncount_sent(session);
    bits_abort_exchange(step);
    if (bits_is_dropping(session)) {
        bits_dropped(step); /* the server need not be told */
        return;
    }
    take_back_close(session, false);
    bits_describe_access(step->in->access_fault, &failure);
    if (step->in->access_may_heal)
        bits_wait(step, &failure);
    else
        bits_fail(step, &failure, "set that right, then: bitsq retry");
}

static void dispatch(struct step *step)
{
    struct session *session = step->session;

    switch (step->in->event) {
    case SESSION_EVENT_START:
        take_start(step);
        return;
    case SESSION_EVENT_OUTCOME:
        assert(step->in->outcome);
        if (session->running && session->awaiting != EXCHANGE_NONE)
            bits_take_outcome(step);
        return;
    case SESSION_EVENT_PERSISTED:
        take_persisted(step);
        return;
    case SESSION_EVENT_SUSPEND:
        take_suspend(step);
        return;
    case SESSION_EVENT_YIELD:
        session->yield_wanted = session->running;
        return;
    case SESSION_EVENT_CANCEL:
        take_cancel(step);
        return;
    case SESSION_EVENT_SOURCE_CHANGED:
        take_source_changed(step, step->in->source_change, true);
        return;
    case SESSION_EVENT_SOURCE_FAILED:
        take_source_failed(step);
        return;
    case SESSION_EVENT_ACCESS_FAILED:
        take_access_failed(step);
        return;
    case SESSION_EVENT_REPLY_STORED:
        bits_take_reply_stored(step);
        return;
    case SESSION_EVENT_REPLY_FAILED:
        bits_take_reply_failed(step);
        return;
    }
}

/* Time counts from START to the end of the attempt; what went before it comes with START as waited_usec. */
static void count_time(struct session *session, const struct moment *now)
{
    uint64_t passed = usec_sub(now->monotonic_usec, session->started_usec);

    if (session->running) {
        session->record.no_progress_usec = usec_add(session->record.no_progress_usec, passed);
        bits_count_host_down(session, passed);
    }
    session->started_usec = now->monotonic_usec;
}

static bool saves_the_record(enum session_action action)
{
    switch (action) {
    case SESSION_ACTION_PERSIST:
    case SESSION_ACTION_WAIT:
    case SESSION_ACTION_DONE:
    case SESSION_ACTION_FAIL:
    case SESSION_ACTION_GONE:
    case SESSION_ACTION_RETAKE:
    case SESSION_ACTION_AWAY:
        return true;
    case SESSION_ACTION_NONE:
    case SESSION_ACTION_SEND:
    case SESSION_ACTION_IDLE:
    case SESSION_ACTION_STORE_REPLY:
        return false;
    }
    return false;
}

void session_step(struct session *session, const struct session_input *in, struct session_output *out)
{
    struct step step = {.session = session, .in = in, .out = out};

    memset(out, 0, sizeof(*out));
    if (session->ended)
        return;
    count_time(session, &in->now);
    dispatch(&step);
    out->checkpoint = session->record_changed && !saves_the_record(out->action);
    session->record_changed = false;
}
