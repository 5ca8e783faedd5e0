/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The legs of an authentication: libcurl answers a challenge with the same request again, and here is decided whether
 * it may. All else that would make it send a request twice is refused.
 *
 *   client ── Fragment, body ──▶ server
 *          ◀── 401, Digest ──
 *          ── Fragment, Authorization, body from its start ──▶
 *          ◀── 200 ──
 *
 * NTLM and Negotiate authenticate the TCP connection. A body on a connection that is not yet authenticated would only
 * be refused, so that it is not sent: the session sends something without a body first.
 */
#include "net/internal.h"

#include <string.h>

#define LEGS_MAX 6 /* of one exchange: NTLM with the proxy and the server, and a nonce that ran out */

static bool can_answer(const struct transfer *transfer)
{
    switch (transfer->response.ack.status) {
    case 401:
        return auth_bits(transfer->scheme) != CURLAUTH_NONE;
    case 407:
        return transfer->uses_proxy && auth_bits(transfer->job.access->proxy.scheme) != CURLAUTH_NONE;
    default:
        return false;
    }
}

bool transfer_may_answer(const struct transfer *transfer)
{
    return transfer->phase != TRANSFER_CONNECTING && transfer->heads_sent > 0 && transfer->response.head_complete &&
           transfer->response.ack.has_authenticate && transfer->legs < LEGS_MAX && can_answer(transfer);
}

/* Of what AUTH_ANY allows, libcurl takes Digest first, then NTLM. */
static bool leads_to_ntlm(const char *schemes)
{
    return strstr(schemes, "ntlm") && !strstr(schemes, "digest");
}

bool transfer_begin_leg(struct transfer *transfer)
{
    if (!transfer_may_answer(transfer))
        return false;
    if (leads_to_ntlm(transfer->response.ack.schemes))
        transfer->connection->any_is_ntlm = true;
    transfer->legs++;
    /* The head that was refused has had no effect. */
    transfer->heads_sent = 0;
    transfer->body_read_bytes = transfer->body_sent_bytes = 0;
    response_begin(&transfer->response);
    return true;
}

static bool binds(const struct transfer *transfer, enum auth_scheme scheme)
{
    return auth_scheme_binds_connection(scheme) || (scheme == AUTH_ANY && transfer->connection->any_is_ntlm);
}

bool transfer_lacks_authentication(const struct transfer *transfer)
{
    const struct transfer_connection *connection = transfer->connection;
    /* With https the tunnel was opened with it. */
    bool proxy_binds =
        transfer->uses_proxy && !transfer->target.over_tls && binds(transfer, transfer->job.access->proxy.scheme);

    return transfer->body_bytes > 0 && connection->authenticated_number != connection->number &&
           (binds(transfer, transfer->scheme) || proxy_binds);
}

void transfer_note_authenticated(struct transfer *transfer)
{
    int status = transfer->response.ack.status;

    /* Also where nobody asked: then nobody will. */
    if (transfer->phase != TRANSFER_CONNECTING && transfer->response.head_complete && status != 401 && status != 407)
        transfer->connection->authenticated_number = transfer->connection->number;
}
