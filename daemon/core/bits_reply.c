/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reply of an upload-reply job: what the server's application answers to the whole file. It lies at a URL of its
 * own, which comes with the Ack to the last byte, and is fetched by ranges until all is there; Close-Session, which
 * lets the server throw it away, goes out only when it is durable here.
 *
 *   Fragment ─▶ 200, BITS-Reply-URL      GET 0-1048575 ─▶ 206 bytes 0-1048575/1500000, ETag "47"
 *                                        GET 1048576-1499999 ─▶ 206 …, the same ETag and total
 *                                        STORE_REPLY ─▶ REPLY_STORED ─▶ Close-Session
 *
 * A reply that changes on the way begins anew; one that came whole in a 200 is taken where it fits one range.
 */
#include "core/bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RANGE_LEAST_BYTES (16 * KIB) /* of a GET, on lines that break often */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void bits_forget_reply(struct session_record *record)
{
    memset(record->reply_url, 0, sizeof(record->reply_url));
    record->reply_from_origin = false;
    record->reply_tail_sent = false;
    record->reply_stored = false;
    bits_forget_reply_bytes(record);
    record->reply_restarts = 0;
}

void bits_forget_reply_bytes(struct session_record *record)
{
    record->has_reply_total = false;
    record->reply_total = 0;
    record->reply_offset = 0;
    memset(record->reply_validator, 0, sizeof(record->reply_validator));
}

void bits_note_reply_url(struct session *session, const struct ack *ack)
{
    struct session_record *record = &session->record;

    if (!session->parameters.wants_reply || !ack->has_reply_url || record->offset != session->parameters.size_bytes)
        return;
    memcpy(record->reply_url, ack->reply_url, sizeof(record->reply_url));
    session->record_changed = true;
}

/*
 * All bytes are acknowledged. Where no URL came, the Ack that had it was lost, or there is no reply: the last byte is
 * sent once more, which the server answers as it did, and after that a reply that nobody named is an empty one. Not to
 * servers that append what they have already.
 */
void bits_begin_reply(struct session *session)
{
    struct session_record *record = &session->record;

    session->record_changed = true;
    bool may_ask = !record->reply_tail_sent && !session->parameters.restart_on_ambiguous && record->offset > 0;
    if (record->reply_url[0] == '\0' && may_ask) {
        record->reply_tail_sent = true;
        record->offset--;
    } else {
        record->phase = SESSION_REPLY;
    }
}

void bits_reply_range(const struct session *session, uint64_t *ret_first, uint64_t *ret_bytes)
{
    const struct session_record *record = &session->record;
    uint64_t bytes = session->reply_range_bytes > 0 ? session->reply_range_bytes : REPLY_RANGE_BYTES;

    if (record->has_reply_total)
        bytes = min_u64(bytes, record->reply_total - record->reply_offset);
    *ret_first = record->reply_offset;
    *ret_bytes = bytes;
}

static void store(struct step *step)
{
    step->session->awaiting_store = true;
    step->out->action = SESSION_ACTION_STORE_REPLY;
}

static void take_no_reply(struct step *step)
{
    struct session_record *record = &step->session->record;
    struct failure failure;

    if (!step->session->parameters.reply_strict) {
        record->has_reply_total = true;
        step->session->record_changed = true;
        store(step);
        return;
    }
    step->kind = EXCHANGE_REPLY;
    bits_describe(step, HR_INVALID_SERVER_RESPONSE, CONTEXT_REMOTE_FILE,
                  "the server named no reply (BITS-Reply-URL), and this job insists on one", &failure);
    record->reply_tail_sent = false; /* retry asks once more */
    record->phase = SESSION_FRAGMENT;
    bits_note_ambiguous(step->session);
    bits_fail(step, &failure,
              "ask its administrator whether its application answers, or take an empty reply with: bitsq set ID "
              "reply_strict=no, then: bitsq retry ID");
}

void bits_go_on_reply(struct step *step)
{
    struct session_record *record = &step->session->record;

    if (record->has_reply_total && record->reply_offset == record->reply_total)
        store(step);
    else if (record->reply_url[0] == '\0')
        take_no_reply(step);
    else
        bits_send(step, EXCHANGE_REPLY);
}

void bits_warn_of_no_reply(struct step *step)
{
    const struct session *session = step->session;

    if (!session->parameters.wants_reply || session->record.reply_url[0] != '\0')
        return;
    bits_describe(step, HR_INVALID_SERVER_RESPONSE, CONTEXT_REMOTE_FILE, "", &step->out->failure);
    (void)snprintf(step->out->failure.text, sizeof(step->out->failure.text),
                   "the upload is done, but the server named no reply (BITS-Reply-URL): an empty one was stored; ask "
                   "its administrator whether its application answers");
    step->out->failure.phase = PHASE_REPLY;
}

static void fail_reply(struct step *step, uint32_t code, const char *why, const char *advice)
{
    struct failure failure;

    bits_describe(step, code, CONTEXT_REMOTE_FILE, why, &failure);
    bits_fail(step, &failure, advice);
}

static void invalid_reply(struct step *step, const char *why)
{
    struct failure failure;

    bits_describe(step, HR_INVALID_SERVER_RESPONSE, CONTEXT_REMOTE_FILE, why, &failure);
    bits_invalid(step, &failure);
}

static void begin_anew(struct step *step, const char *why)
{
    struct session_record *record = &step->session->record;

    bits_forget_reply_bytes(record);
    step->session->record_changed = true;
    record->reply_restarts++;
    if (record->reply_restarts <= REPLY_RESTARTS_MAX) {
        bits_go_on(step);
        return;
    }
    record->reply_restarts = 0;
    fail_reply(step, HR_INVALID_SERVER_RESPONSE, why,
               "it is never the same twice: ask the server's administrator, then: bitsq retry");
}

static const char *validator(const struct ack *ack)
{
    return ack->etag[0] != '\0' ? ack->etag : ack->last_modified;
}

/* Whether what came is a part of the same reply as what is there already. */
static bool is_the_same(const struct session_record *record, const struct ack *ack, uint64_t total)
{
    if (record->reply_offset == 0)
        return true;
    if (total != record->reply_total)
        return false;
    return record->reply_validator[0] == '\0' ? validator(ack)[0] == '\0'
                                              : strcmp(record->reply_validator, ack->etag) == 0 ||
                                                    strcmp(record->reply_validator, ack->last_modified) == 0;
}

static void advance(struct step *step, uint64_t bytes, uint64_t total)
{
    struct session *session = step->session;
    struct session_record *record = &session->record;
    const char *from = validator(&step->in->outcome->ack);

    if (record->reply_offset == 0)
        memcpy(record->reply_validator, from, strlen(from) + 1);
    record->has_reply_total = true;
    record->reply_total = total;
    record->reply_offset += bytes;
    if (session->reply_range_bytes > 0)
        session->reply_range_bytes = min_u64(2 * session->reply_range_bytes, REPLY_RANGE_BYTES);
    /* The guards against servers that lose their sessions stay: only bytes of the source clear them. */
    record->no_progress_usec = 0;
    record->invalid_responses = 0;
    session->needs_ping = false;
    session->asked_again = false;
    session->progressed = true;
    session->record_changed = true;
    step->out->progress = true;
    bits_note_host_up(session);
    bits_go_on(step);
}

static bool is_too_large(struct step *step, uint64_t total)
{
    char why[160];

    if (total <= REPLY_MAX_BYTES)
        return false;
    (void)snprintf(why, sizeof(why), "the reply has %" PRIu64 " bytes, more than the %" PRIu64 " that are taken", total,
                   REPLY_MAX_BYTES);
    fail_reply(step, HR_TOO_LARGE, why, "fetch it by other means, or upload again without asking for a reply");
    return true;
}

/* 206: exactly from the byte that was asked for, and not more than was. */
static void take_part(struct step *step)
{
    const struct exchange_outcome *outcome = step->in->outcome;
    const struct ack *ack = &outcome->ack;
    uint64_t first, bytes;

    bits_reply_range(step->session, &first, &bytes);
    if (!ack->has_content_range || !ack->has_range || ack->range_first != first ||
        ack->range_last - ack->range_first >= bytes) {
        invalid_reply(step, "the server sent another part of the reply than the one that was asked for");
    } else if (outcome->received_bytes != ack->range_last - ack->range_first + 1) {
        invalid_reply(step, "the server sent less of the reply than it said");
    } else if (!ack->has_range_total) {
        fail_reply(step, HR_MISSING_FILE_SIZE, "the server does not say how long the reply is",
                   "ask its administrator, then: bitsq retry");
    } else if (!is_the_same(&step->session->record, ack, ack->range_total)) {
        begin_anew(step, "the reply changed while it was fetched");
    } else if (!is_too_large(step, ack->range_total)) {
        advance(step, outcome->received_bytes, ack->range_total);
    }
}

static void refuse_whole(struct step *step)
{
    fail_reply(step, HR_INSUFFICIENT_RANGE_SUPPORT,
               "the server, or a proxy or filter before it, sends the reply only as a whole (it ignores Range), and it "
               "is too long for that",
               "ask its administrator to allow ranges, then: bitsq retry");
}

/* 200: all of it, whatever was asked for. */
static void take_whole(struct step *step)
{
    const struct exchange_outcome *outcome = step->in->outcome;
    const struct ack *ack = &outcome->ack;
    uint64_t first, bytes;

    bits_reply_range(step->session, &first, &bytes);
    uint64_t total = ack->has_content_length ? ack->content_length : outcome->received_bytes;
    if (!ack->has_content_length && !ack->is_chunked)
        fail_reply(step, HR_MISSING_FILE_SIZE, "the server does not say how long the reply is",
                   "ask its administrator, then: bitsq retry");
    else if (total > (first > 0 ? REPLY_RANGE_BYTES : bytes))
        refuse_whole(step);
    else if (first > 0)
        begin_anew(step, "the server forgot how to send a part of the reply");
    else if (outcome->received_bytes != total)
        invalid_reply(step, "the server sent less of the reply than it said");
    else
        advance(step, total, total);
}

/* 416: there is nothing from that byte on. */
static void take_unsatisfied(struct step *step)
{
    const struct session_record *record = &step->session->record;
    const struct ack *ack = &step->in->outcome->ack;

    if (record->reply_offset == 0 && ack->range_total == 0)
        advance(step, 0, 0);
    else if (ack->range_total <= record->reply_offset)
        begin_anew(step, "the reply became shorter while it was fetched");
    else
        invalid_reply(step, "the server refuses a part of the reply that it has");
}

/* Row 45. The host that took the last fragment is asked first; with a common disk, the host of the URL has it too. */
static void take_gone(struct step *step)
{
    struct session_record *record = &step->session->record;
    struct failure failure;

    step->session->record_changed = true;
    if (record->host_id[0] != '\0' && !record->reply_from_origin) {
        record->reply_from_origin = true;
        bits_go_on(step);
        return;
    }
    bits_describe_outcome(step, &failure);
    bits_forget_reply(record); /* retry asks the server where it is; a session that is lost starts anew then */
    record->phase = SESSION_FRAGMENT;
    bits_note_ambiguous(step->session);
    bits_fail(
        step, &failure,
        "the reply is not there, or not for you: the server may have dropped the session; bitsq retry asks for it "
        "anew");
}

bool bits_take_reply(struct step *step)
{
    const struct ack *ack = &step->in->outcome->ack;

    if (ack->status == 206)
        take_part(step);
    else if (ack->status == 200)
        take_whole(step);
    else if (ack->status == 416 && ack->has_content_range && ack->has_range_total && !ack->has_range)
        take_unsatisfied(step);
    else if ((ack->status == 403 || ack->status == 404 || ack->status == 410) && !bits_is_not_found(ack))
        take_gone(step);
    else
        return false;
    return true;
}

/* Below HTTP. A line that breaks within a part gets shorter ones: what came of it is not kept. */
bool bits_take_lost_reply(struct step *step)
{
    struct session *session = step->session;
    const struct exchange_outcome *outcome = step->in->outcome;
    uint64_t first, bytes;

    if (outcome->transport == TRANSPORT_MALFORMED && outcome->ack.status == 200 && !outcome->ack.too_large) {
        refuse_whole(step);
        return true;
    }
    if (outcome->ack.status != 206)
        return false;
    bits_reply_range(session, &first, &bytes);
    session->reply_range_bytes = bytes / 2 > RANGE_LEAST_BYTES ? bytes / 2 : RANGE_LEAST_BYTES;
    return false;
}

void bits_take_reply_stored(struct step *step)
{
    struct session *session = step->session;

    if (!session->awaiting_store)
        return;
    session->awaiting_store = false;
    session->record.reply_stored = true;
    session->record.phase = SESSION_COMPLETE;
    session->record_changed = true;
    bits_go_on(step);
}

static bool may_heal(int error)
{
    return error == -ENOSPC || error == -EDQUOT || failure_errno_may_heal(error) || failure_errno_is_shortage(error);
}

static uint32_t code_of(int error)
{
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
        return HR_DISK_FULL;
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return HR_ACCESS_DENIED;
    case -ENOENT:
    case -ENOTDIR:
        return HR_PATH_NOT_FOUND;
    default:
        return HR_WRITE_FAULT;
    }
}

void bits_take_reply_failed(struct step *step)
{
    struct session *session = step->session;
    int error = step->in->source_error;
    struct failure failure;

    if (!session->running || session->record.phase != SESSION_REPLY)
        return;
    bits_abort_exchange(step);
    step->kind = EXCHANGE_REPLY;
    if (error == -ENODATA) {
        begin_anew(step, "what had been fetched of the reply vanished again and again");
        return;
    }
    bits_describe_local(step, code_of(error), PHASE_STORE_REPLY, failure_errno_text(error), &failure);
    if (may_heal(error))
        bits_wait(step, &failure);
    else
        bits_fail(step, &failure, "make its folder writable for this user, then: bitsq retry");
}
