/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host that a session lives on (BITS-Host-Id): behind a balancer only one machine knows it. The job's URL names the
 * balancer; everything of the session goes to that machine, until it has been out of reach for as long as it said one
 * shall wait. Then the host of the URL is asked again, which most likely knows no such session: it starts anew there.
 *
 * That time is a sum which is stored, of times that the job was free to run: no clock spans a reboot, and a job that
 * was paused did not see the host down.
 */
#include "core/bits.h"

#include "base/moment.h"

#include <string.h>

/* What documents call infinite: 0xFFFFFFFF seconds. */
#define FALLBACK_NEVER_USEC (UINT32_MAX * USEC_PER_SEC)

void bits_take_host(struct session *session, const struct ack *ack)
{
    struct session_record *record = &session->record;

    if (!ack->has_host_id)
        return;
    memcpy(record->host_id, ack->host_id, sizeof(record->host_id));
    bool falls_back = ack->has_host_fallback && ack->host_fallback_usec < FALLBACK_NEVER_USEC;
    record->host_fallback_usec = falls_back ? ack->host_fallback_usec : USEC_INFINITY;
    session->needs_ping = true;
    session->connection_moves = true;
}

void bits_forget_host(struct session_record *record)
{
    memset(record->host_id, 0, sizeof(record->host_id));
    record->host_fallback_usec = 0;
    record->host_down_usec = 0;
    record->host_down = false;
}

static bool is_at_host(const struct session *session, enum exchange_kind kind)
{
    return session->record.host_id[0] != '\0' && (kind != EXCHANGE_REPLY || !session->record.reply_from_origin);
}

void bits_aim(const struct session *session, struct exchange_request *request)
{
    bool is_reply = request->kind == EXCHANGE_REPLY;

    request->target = TARGET_ORIGIN;
    if (is_at_host(session, request->kind)) {
        request->target = TARGET_HOST;
        memcpy(request->host, session->record.host_id, sizeof(request->host));
    }
    if (is_reply) {
        request->target = TARGET_REPLY;
        memcpy(request->reply_url, session->record.reply_url, sizeof(request->reply_url));
    }
}

static bool tells_that_it_is_down(const struct exchange_outcome *outcome)
{
    switch (outcome->transport) {
    case TRANSPORT_OK:
        return outcome->ack.status >= 500 && outcome->ack.status <= 599 && !bits_is_not_found(&outcome->ack);
    case TRANSPORT_RESOLVE:
    case TRANSPORT_CONNECT:
    case TRANSPORT_CONNECT_TIMEOUT:
    case TRANSPORT_TLS:
    case TRANSPORT_CONNECTION_LOST:
    case TRANSPORT_SEND_TIMEOUT:
    case TRANSPORT_RESPONSE_TIMEOUT:
    case TRANSPORT_MALFORMED:
    case TRANSPORT_PROXY:
        return true;
    case TRANSPORT_CERTIFICATE:
    case TRANSPORT_SOURCE:
    case TRANSPORT_LOCAL:
    case TRANSPORT_URL:
    case TRANSPORT_UNAUTHENTICATED:
        return false;
    }
    return false;
}

void bits_note_host_down(struct step *step)
{
    struct session_record *record = &step->session->record;

    if (!record->host_down && is_at_host(step->session, step->kind) && tells_that_it_is_down(step->in->outcome)) {
        record->host_down = true;
        step->session->record_changed = true;
    }
}

void bits_note_host_up(struct session *session)
{
    session->record_changed = session->record_changed || session->record.host_down;
    session->record.host_down = false;
    session->record.host_down_usec = 0;
}

void bits_count_host_down(struct session *session, uint64_t usec)
{
    if (session->record.host_down)
        session->record.host_down_usec = usec_add(session->record.host_down_usec, usec);
}

/*
 * Row 40. Whatever a Close-Session brought about at the host that is gone, the host of the URL cannot tell: its "not
 * found" is no sign that the file was published.
 */
void bits_fall_back_if_due(struct session *session)
{
    struct session_record *record = &session->record;

    if (!record->host_down || record->host_fallback_usec == USEC_INFINITY ||
        record->host_down_usec < record->host_fallback_usec)
        return;
    bits_forget_host(record);
    record->close_attempted = false;
    session->first_close = false;
    session->must_persist = false;
    session->needs_ping = true;
    session->record_changed = true;
}
