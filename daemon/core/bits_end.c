/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How things end: the attempt (wait, idle), the job (done, failed, gone), or the session at the server alone (start
 * anew, drop). The guards that keep a broken server from being asked for ever are here.
 */
#include "core/bits.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static void end_attempt(struct step *step, enum session_action action)
{
    struct session *session = step->session;

    session->running = false;
    session->yield_wanted = false;
    session->awaiting = EXCHANGE_NONE;
    session->awaiting_commit = false;
    session->awaiting_store = false;
    session->asked_again = false;
    session->drop_then_fail = session->drop_then_create = session->drop_then_retake = false;
    step->out->action = action;
}

void bits_idle(struct step *step)
{
    end_attempt(step, SESSION_ACTION_IDLE);
    step->session->record_changed = true; /* the time without progress has been counted on */
}

/* However long it takes: what is not there has not failed, and the server has its own idea of when a session is old. */
void bits_away(struct step *step)
{
    const char *mount = step->in->source_mount;
    char why[FAILURE_TEXT_MAX / 2], shown[FAILURE_TEXT_MAX / 4];

    (void)text_copy(shown, sizeof(shown), mount ? mount : "that it was on");
    (void)snprintf(why, sizeof(why), "the file system %s is not mounted", shown);
    bits_describe_local(step, HR_NOT_READY, PHASE_SOURCE, why, &step->out->failure);
    bits_advise(&step->out->failure, "mount it, and it goes on by itself");
    end_attempt(step, SESSION_ACTION_AWAY);
}

void bits_fail(struct step *step, const struct failure *failure, const char *advice)
{
    /* A person's wish to cancel ends as a cancellation, whatever the server thinks of it. */
    if (step->session->record.phase == SESSION_CANCEL) {
        bits_gone(step);
        return;
    }
    step->out->failure = *failure;
    bits_advise(&step->out->failure, advice);
    end_attempt(step, SESSION_ACTION_FAIL);
}

void bits_gone(struct step *step)
{
    bits_forget_session(step->session);
    step->session->ended = true;
    end_attempt(step, SESSION_ACTION_GONE);
}

void bits_done(struct step *step)
{
    step->out->confirmed = true;
    bits_warn_of_no_reply(step);
    step->session->ended = true;
    end_attempt(step, SESSION_ACTION_DONE);
}

/*
 * A repeated Close-Session was refused: the one before has most likely been carried out, and its session is gone with
 * it. Or the first was, for a job that must not arrive twice. The job is done, and says that nobody confirmed it.
 */
void bits_done_unconfirmed(struct step *step, bool has_predecessor)
{
    bits_describe_outcome(step, &step->out->failure);
    bits_advise(&step->out->failure,
                has_predecessor ? "an earlier Close-Session without an answer was most likely carried out: check the "
                                  "file at the server"
                                : "it is not uploaded again, since this job is to arrive once at most: check the file "
                                  "at the server");
    step->session->ended = true;
    end_attempt(step, SESSION_ACTION_DONE);
}

static uint64_t retry_after(const struct session_input *in)
{
    const struct ack *ack = in->outcome ? &in->outcome->ack : NULL;

    if (in->event != SESSION_EVENT_OUTCOME || !ack || in->outcome->transport != TRANSPORT_OK || !ack->has_retry_after)
        return 0;
    uint64_t delay = ack->retry_after_realtime_usec > 0
                         ? usec_sub(ack->retry_after_realtime_usec, in->now.realtime_usec)
                         : ack->retry_after_usec;
    return delay < RETRY_AFTER_MAX_USEC ? delay : RETRY_AFTER_MAX_USEC;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/*
 * How long errors have been put up with, and how long they may be. A cancellation counts from the wish on, whatever
 * gates were closed meanwhile: nobody waits for it, and the server has a timeout of its own.
 */
static uint64_t patience_used_usec(const struct session *session, const struct moment *now)
{
    const struct session_record *record = &session->record;

    if (record->phase != SESSION_CANCEL)
        return record->no_progress_usec;
    return max_u64(record->no_progress_usec, usec_sub(now->realtime_usec, record->cancel_requested_usec));
}

static uint64_t patience_usec(const struct session *session)
{
    uint64_t limit = session->parameters.no_progress_timeout_usec;

    if (session->record.phase == SESSION_CANCEL && limit > CANCEL_RETRY_MAX_USEC)
        return CANCEL_RETRY_MAX_USEC;
    return limit;
}

void bits_wait(struct step *step, const struct failure *failure)
{
    struct session *session = step->session;
    struct session_output *out = step->out;
    uint64_t patience = patience_usec(session);
    bool lost = step->in->event == SESSION_EVENT_OUTCOME && step->in->outcome->transport == TRANSPORT_CONNECTION_LOST;

    if (patience_used_usec(session, &step->in->now) >= patience) {
        struct failure last = *failure;
        if (patience > 0)
            bits_describe_no_progress(step, failure, &last);
        bits_fail(step, &last, "start it again with: bitsq retry");
        return;
    }
    out->failure = *failure;
    bits_advise(&out->failure, "it is tried again by itself");
    out->retry_after_usec = retry_after(step->in);
    /* A connection that dies between two fragments is everyday: the first time, nobody has to wait. */
    out->at_once = lost && session->progressed && out->retry_after_usec == 0;
    session->progressed = false;
    end_attempt(step, SESSION_ACTION_WAIT);
}

void bits_invalid(struct step *step, const struct failure *failure)
{
    struct session_record *record = &step->session->record;

    record->invalid_responses++;
    if (record->invalid_responses >= SESSION_INVALID_MAX)
        bits_fail(step, failure, "its answers are never those of a BITS server: check the URL, then: bitsq retry");
    else
        bits_wait(step, failure);
}

void bits_forget_session(struct session *session)
{
    struct session_record *record = &session->record;

    if (record->phase != SESSION_CANCEL)
        record->phase = SESSION_CREATE;
    memset(record->session_id, 0, sizeof(record->session_id));
    record->offset = 0;
    record->session_high_offset = 0;
    record->fragment_ceiling_bytes = 0;
    record->fragment_acked_bytes = 0;
    record->stalled_acks = 0;
    record->close_attempted = false;
    record->fragment_is_ambiguous = false;
    bits_forget_host(record);
    bits_forget_reply(record);
    session->first_close = false;
    session->must_persist = false;
    session->needs_ping = false;
    session->record_changed = true;
}

void bits_restart(struct step *step, const struct failure *failure)
{
    struct session_record *record = &step->session->record;

    bits_forget_session(step->session);
    record->restarts++;
    if (record->restarts >= SESSION_RESTARTS_MAX)
        bits_fail(step, failure, "the server loses every session: ask its administrator, then: bitsq retry");
    else if (record->restarts > SESSION_RESTARTS_BEFORE_WAIT)
        bits_wait(step, failure);
    else
        bits_go_on(step);
}

/*
 * Tells the server, once, that the session may go: without that it keeps what it stored for up to a fortnight. What
 * comes back changes nothing.
 */
void bits_drop_then_create(struct step *step, const struct failure *failure)
{
    step->session->failure = *failure;
    step->session->drop_then_create = true;
    bits_send(step, EXCHANGE_CANCEL);
}

void bits_drop_then_fail(struct step *step, const struct failure *failure, const char *advice)
{
    if (step->session->record.session_id[0] == '\0') {
        bits_fail(step, failure, advice);
        return;
    }
    step->session->failure = *failure;
    bits_advise(&step->session->failure, advice);
    step->session->drop_then_fail = true;
    bits_send(step, EXCHANGE_CANCEL);
}

/*
 * The upload begins anew, with what the file is when its next attempt looks at it. What was sent and acknowledged, and
 * what went wrong, concerns the file as it was.
 */
static void retake(struct step *step, const struct failure *failure)
{
    struct session *session = step->session;
    const struct session_record before = session->record;

    bits_forget_session(session);
    session->record = (struct session_record){.resent_bytes = before.resent_bytes,
                                              .sent_bytes = before.sent_bytes,
                                              .cancel_requested_usec = before.cancel_requested_usec,
                                              .source_restarts = before.source_restarts + 1};
    step->out->failure = *failure;
    end_attempt(step, SESSION_ACTION_RETAKE);
}

void bits_drop_then_retake(struct step *step, const struct failure *failure)
{
    if (step->session->record.session_id[0] == '\0') {
        retake(step, failure);
        return;
    }
    step->session->failure = *failure;
    step->session->drop_then_retake = true;
    bits_send(step, EXCHANGE_CANCEL);
}

bool bits_is_dropping(const struct session *session)
{
    return session->drop_then_create || session->drop_then_fail || session->drop_then_retake;
}

void bits_dropped(struct step *step)
{
    struct session *session = step->session;
    const struct failure failure = session->failure;

    if (session->drop_then_create) {
        session->drop_then_create = false;
        bits_restart(step, &failure);
        return;
    }
    if (session->drop_then_retake) {
        retake(step, &failure);
        return;
    }
    bits_forget_session(session);
    bits_fail(step, &failure, NULL);
}
