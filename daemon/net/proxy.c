/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The proxy of a job, and what of an outcome is its doing.
 *
 *   http   client ── BITS_POST http://host/a ──▶ proxy ──▶ server      its 407 comes as any other status
 *   https  client ── CONNECT host:443 ──▶ proxy                        its 407 is an answer too, all else but 200 is no
 *                 ══ TLS, BITS_POST /a ══════════▶ server              connection
 */
#include "net/internal.h"

#include "net/noproxy.h"

#include <stdio.h>
#include <string.h>

static bool has_proxy(const struct transfer *transfer)
{
    const struct transfer_access *access = transfer->job.access;

    return access && access->proxy_url && access->proxy_url[0] != '\0' &&
           !noproxy_matches(access->noproxy, transfer->target.host);
}

static int set_credentials(CURL *easy, const struct transfer_secret *secret)
{
    unsigned long bits = auth_bits(secret->scheme);

    SET(CURLOPT_PROXYAUTH, bits);
    SET(CURLOPT_PROXYUSERNAME, bits != CURLAUTH_NONE ? auth_user(secret) : NULL);
    SET(CURLOPT_PROXYPASSWORD, bits != CURLAUTH_NONE ? auth_password(secret) : NULL);
    return 0;
}

int transfer_set_proxy(struct transfer *transfer)
{
    static const struct transfer_secret none = {0};
    CURL *easy = transfer->connection->easy;

    transfer->uses_proxy = has_proxy(transfer);
    /* Never that of the environment: the daemon's is not that of the user whose job this is. */
    SET(CURLOPT_PROXY, transfer->uses_proxy ? transfer->job.access->proxy_url : "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_HTTPPROXYTUNNEL, 0L); /* https goes through a tunnel anyway */
    /* What a proxy says to CONNECT is no part of the server's answer, */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* nor are the headers for the server, with their secrets, for the proxy. */
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(CURLOPT_PROXYHEADER, NULL);
    return set_credentials(easy, transfer->uses_proxy ? &transfer->job.access->proxy : &none);
}

/* The answer to the last CONNECT, 0 = none. */
static long tunnel_status(const struct transfer *transfer)
{
    long status = 0;

    (void)curl_easy_getinfo(transfer->connection->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status;
}

static bool is_of_the_way(enum transport_result transport)
{
    switch (transport) {
    case TRANSPORT_RESOLVE:
    case TRANSPORT_CONNECT:
    case TRANSPORT_CONNECT_TIMEOUT:
    case TRANSPORT_TLS:
    case TRANSPORT_CERTIFICATE:
    case TRANSPORT_CONNECTION_LOST:
    case TRANSPORT_MALFORMED:
        return true;
    case TRANSPORT_OK:
    case TRANSPORT_SEND_TIMEOUT:
    case TRANSPORT_RESPONSE_TIMEOUT:
    case TRANSPORT_SOURCE:
    case TRANSPORT_LOCAL:
    case TRANSPORT_URL:
    case TRANSPORT_UNAUTHENTICATED:
    case TRANSPORT_PROXY:
        return false;
    }
    return false;
}

void outcome_add_proxy(const struct transfer *transfer, struct exchange_outcome *outcome)
{
    long status = transfer->uses_proxy ? tunnel_status(transfer) : 0;

    if (!transfer->uses_proxy)
        return;
    if (transfer->phase != TRANSFER_CONNECTING) {
        outcome->proxy_answered = outcome->transport == TRANSPORT_OK && outcome->ack.status == 407;
        return;
    }
    if (status == 407) {
        outcome->transport = TRANSPORT_OK;
        outcome->proxy_answered = true;
        outcome->ack.status = 407;
        outcome->text[0] = '\0';
        return;
    }
    /* Behind a tunnel it is the server with whom no connection came about. */
    outcome->ack = (struct ack){0};
    if (!is_of_the_way(outcome->transport) || status / 100 == 2)
        return;
    outcome->transport = TRANSPORT_PROXY;
    outcome->certificate = CERTIFICATE_OTHER;
    if (status != 0)
        (void)snprintf(outcome->text, sizeof(outcome->text), "the proxy answered %ld to CONNECT", status);
}
