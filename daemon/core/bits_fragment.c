/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fragments: how long the next one is, what an answer says of the offset, and when an upload goes round in circles.
 *
 * The length starts at 256 KiB and grows as long as Acks come quickly, so that a fast line is not spent on round trips:
 * fourfold after an Ack within a second, else twofold. A fragment that took more than half a time slice is cut to what
 * the line carries in a quarter of one. One that was lost is halved, and what comes after it grows slowly until it has
 * passed the length that was lost: on a line that breaks often, long fragments are sent for nothing. A length that a
 * server refused is never reached again in that session. tests/unit/test_core_fragment_rule.c shows what comes of it.
 */
#include "core/bits.h"

#include "base/moment.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t floor_bytes(const struct session *session)
{
    uint64_t bytes = session->parameters.fragment_floor_bytes;

    return bytes > 0 ? bytes : FRAGMENT_FLOOR_BYTES;
}

static uint64_t longest(const struct session *session)
{
    uint64_t bytes = session->parameters.fragment_max_bytes;

    return max_u64(bytes > 0 ? bytes : FRAGMENT_MAX_BYTES, floor_bytes(session));
}

static uint64_t shortest(const struct session *session)
{
    return min_u64(max_u64(session->parameters.fragment_min_bytes, floor_bytes(session)), longest(session));
}

/* The length in force. A refused length may have brought it below the configured minimum, never below the floor. */
static uint64_t length_in_force(const struct session *session)
{
    uint64_t bytes = session->record.fragment_bytes;

    if (bytes == 0)
        bytes = max_u64(FRAGMENT_START_BYTES, shortest(session));
    return min_u64(max_u64(bytes, floor_bytes(session)), longest(session));
}

uint64_t bits_fragment_length(const struct session *session)
{
    uint64_t bytes = length_in_force(session);

    if (session->after_restart)
        bytes = min_u64(bytes, shortest(session));
    return min_u64(bytes, session->parameters.size_bytes - session->record.offset);
}

void bits_count_sent(struct session *session, uint64_t bytes)
{
    struct session_record *record = &session->record;
    uint64_t end = record->offset + bytes;

    session->fragment_sent_bytes = bytes;
    session->sent_high_before = record->sent_high_offset;
    session->fragment_resent_bytes =
        record->sent_high_offset > record->offset ? min_u64(record->sent_high_offset, end) - record->offset : 0;
    record->sent_bytes += bytes;
    record->resent_bytes += session->fragment_resent_bytes;
    record->sent_high_offset = max_u64(record->sent_high_offset, end);
}

void bits_uncount_sent(struct session *session)
{
    struct session_record *record = &session->record;

    record->sent_bytes -= session->fragment_sent_bytes;
    record->resent_bytes -= session->fragment_resent_bytes;
    record->sent_high_offset = session->sent_high_before;
    session->fragment_sent_bytes = session->fragment_resent_bytes = 0;
}

static void shrink(struct session *session, uint64_t bytes, uint64_t least)
{
    session->record.fragment_bytes = max_u64(bytes / 2, least);
    session->record_changed = true;
}

void bits_fragment_lost(struct session *session)
{
    uint64_t bytes = length_in_force(session);

    session->fragment_lost_bytes = max_u64(bytes, session->fragment_lost_bytes);
    session->acks_before_growth = FRAGMENT_ACKS_AFTER_LOSS;
    if (bytes > shortest(session))
        shrink(session, bytes, shortest(session));
}

void bits_fragment_too_long(struct step *step)
{
    struct session *session = step->session;
    struct session_record *record = &session->record;
    uint64_t sent = session->fragment_sent_bytes;

    if (sent <= floor_bytes(session)) {
        struct failure failure;
        bits_describe_outcome(step, &failure);
        bits_fail(step, &failure,
                  "the server takes not even the smallest fragment: ask its administrator to raise the "
                  "limit for one request, then: bitsq retry");
        return;
    }
    if (record->fragment_ceiling_bytes == 0 || sent < record->fragment_ceiling_bytes)
        record->fragment_ceiling_bytes = sent;
    shrink(session, sent, floor_bytes(session));
    bits_go_on(step);
}

/* A fragment that outlasts its slice keeps others waiting: the line's own rate says how long it may be. */
static void cut_length(struct session *session, uint64_t bytes, uint64_t elapsed_usec, uint64_t target_usec)
{
    uint64_t fitting = (uint64_t)((double)bytes * (double)target_usec / (double)elapsed_usec);

    session->record.fragment_bytes = max_u64(min_u64(fitting, bytes / 2), shortest(session));
    session->record_changed = true;
}

/* After a loss, a longer fragment is tried only when several of this length have come through. */
static bool may_grow(struct session *session, uint64_t bytes)
{
    if (session->fragment_lost_bytes == 0)
        return true;
    if (session->acks_before_growth > 0)
        session->acks_before_growth--;
    if (session->acks_before_growth > 0)
        return false;
    session->acks_before_growth = FRAGMENT_ACKS_AFTER_LOSS;
    if (bytes >= session->fragment_lost_bytes)
        session->fragment_lost_bytes = 0;
    return true;
}

/* After an Ack to a Fragment that was as long as the length in force. */
static void adapt_length(struct session *session, uint64_t elapsed_usec)
{
    struct session_record *record = &session->record;
    uint64_t bytes = length_in_force(session);
    uint64_t slice = session->parameters.time_slice_usec > 0 ? session->parameters.time_slice_usec : USEC_INFINITY;
    bool is_careful = session->fragment_lost_bytes > 0;

    if (elapsed_usec > slice / 2) {
        cut_length(session, bytes, elapsed_usec, slice / 4);
        return;
    }
    if (elapsed_usec >= FRAGMENT_QUICK_USEC || elapsed_usec >= slice / 4 || !may_grow(session, bytes))
        return;
    bool is_very_quick = !is_careful && elapsed_usec < FRAGMENT_VERY_QUICK_USEC && elapsed_usec < slice / 8;
    uint64_t factor = is_very_quick ? 4 : 2;
    uint64_t longer = min_u64(bytes > UINT64_MAX / factor ? UINT64_MAX : factor * bytes, longest(session));
    /* Below a refused length as far as possible. */
    if (record->fragment_ceiling_bytes != 0 && longer >= record->fragment_ceiling_bytes)
        longer = 2 * bytes;
    if (record->fragment_ceiling_bytes == 0 || longer < record->fragment_ceiling_bytes)
        record->fragment_bytes = longer;
}

/* Some servers append a whole Fragment that they have a part of already: for them, a new session is the only way. */
void bits_note_ambiguous(struct session *session)
{
    if (!session->parameters.restart_on_ambiguous)
        return;
    session->record.fragment_is_ambiguous = true;
    session->record_changed = true;
}

void bits_drop_ambiguous(struct step *step)
{
    struct failure failure;

    step->kind = EXCHANGE_FRAGMENT;
    bits_describe(step, HR_CONNECTION_ERROR, CONTEXT_TRANSPORT,
                  "nobody knows whether the server has the last one, and this job sends nothing twice in a session",
                  &failure);
    bits_drop_then_create(step, &failure);
}

static void note_progress(struct step *step)
{
    struct session_record *record = &step->session->record;

    record->high_offset = record->offset;
    record->no_progress_usec = 0;
    record->restarts = 0;
    record->looping_sessions = 0;
    record->invalid_responses = 0;
    record->create_conflicts = 0;
    record->source_error_tried = false;
    step->session->progressed = true;
    step->out->progress = true;
}

static void take_offset(struct step *step, uint64_t next)
{
    struct session_record *record = &step->session->record;

    if (next > record->session_high_offset)
        bits_note_host_up(step->session);
    record->offset = next;
    step->session->after_restart = false;
    step->session->record_changed = true;
    if (next > record->session_high_offset) {
        record->session_high_offset = next;
        record->stalled_acks = 0;
    } else {
        record->stalled_acks++;
    }
    if (next > record->high_offset)
        note_progress(step);
}

/* The server answers every Fragment, and yet never wants more than before. */
static void end_loop(struct step *step)
{
    struct session_record *record = &step->session->record;
    struct failure failure;
    char why[160];

    (void)snprintf(why, sizeof(why), "the server wanted byte %" PRIu64 " again, for the %uth time without advance",
                   record->offset, record->stalled_acks);
    bits_describe(step, HR_INVALID_SERVER_RESPONSE, CONTEXT_REMOTE_FILE, why, &failure);
    record->looping_sessions++;
    bits_forget_session(step->session);
    if (record->looping_sessions >= SESSION_LOOPS_MAX)
        bits_fail(step, &failure, "the server does not keep what it is sent: ask its administrator, then: bitsq retry");
    else
        bits_wait(step, &failure);
}

static void refuse_offset(struct step *step, uint64_t next)
{
    struct failure failure;
    char why[160];

    (void)snprintf(why, sizeof(why), "the server wants byte %" PRIu64 " of a file that has %" PRIu64, next,
                   step->session->parameters.size_bytes);
    bits_describe(step, HR_INVALID_SERVER_RESPONSE, CONTEXT_REMOTE_FILE, why, &failure);
    bits_forget_session(step->session);
    bits_invalid(step, &failure);
}

/* A server that counts in 32 bits: without this check the upload would rewind for ever. */
static void end_wrapped(struct step *step, uint64_t next, uint64_t expected)
{
    struct failure failure;
    char why[200];

    (void)snprintf(why, sizeof(why),
                   "the server counts in 32 bits: it wants byte %" PRIu64 " where %" PRIu64 " was due", next, expected);
    bits_describe(step, HR_INVALID_SERVER_RESPONSE, CONTEXT_REMOTE_FILE, why, &failure);
    bits_fail(step, &failure, "it cannot take files of 4 GiB or more: send this one to another server, or in parts");
}

void bits_fragment_answered(struct step *step)
{
    struct session *session = step->session;
    struct session_record *record = &session->record;
    const struct exchange_outcome *outcome = step->in->outcome;
    uint64_t next = outcome->ack.next_offset;
    uint64_t expected = record->offset + session->fragment_sent_bytes;

    if (next > session->parameters.size_bytes) {
        refuse_offset(step, next);
        return;
    }
    if (next != expected && expected > UINT32_MAX && next == (expected & UINT32_MAX)) {
        end_wrapped(step, next, expected);
        return;
    }
    if (outcome->ack.status != 416 && next >= expected) {
        record->fragment_acked_bytes = max_u64(record->fragment_acked_bytes, session->fragment_sent_bytes);
        if (session->fragment_sent_bytes == length_in_force(session))
            adapt_length(session, outcome->elapsed_usec);
    }
    take_offset(step, next);
    bits_note_reply_url(session, &outcome->ack);
    if (record->stalled_acks >= SESSION_STALLED_ACKS_MAX)
        end_loop(step);
    else
        bits_go_on(step);
}
