/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How libcurl's words become ours. */
#include "net/internal.h"

#include "base/moment.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is not listed: TRANSPORT_CONNECTION_LOST once the head went out, before that TRANSPORT_LOCAL. */
static const struct {
    CURLcode code;
    enum transport_result transport;
} transport_of_code[] = {
    {CURLE_OK, TRANSPORT_OK},
    {CURLE_COULDNT_RESOLVE_PROXY, TRANSPORT_RESOLVE},
    {CURLE_COULDNT_RESOLVE_HOST, TRANSPORT_RESOLVE},
    {CURLE_COULDNT_CONNECT, TRANSPORT_CONNECT},
    {CURLE_SSL_CONNECT_ERROR, TRANSPORT_TLS},
    {CURLE_SSL_CIPHER, TRANSPORT_TLS},
    {CURLE_USE_SSL_FAILED, TRANSPORT_TLS},
    {CURLE_SSL_SHUTDOWN_FAILED, TRANSPORT_TLS},
    {CURLE_SSL_ISSUER_ERROR, TRANSPORT_CERTIFICATE},
    {CURLE_SSL_INVALIDCERTSTATUS, TRANSPORT_CERTIFICATE},
    {CURLE_SEND_ERROR, TRANSPORT_CONNECTION_LOST},
    {CURLE_RECV_ERROR, TRANSPORT_CONNECTION_LOST},
    {CURLE_SEND_FAIL_REWIND, TRANSPORT_CONNECTION_LOST},
    {CURLE_GOT_NOTHING, TRANSPORT_CONNECTION_LOST},
    {CURLE_PARTIAL_FILE, TRANSPORT_CONNECTION_LOST},
    {CURLE_WEIRD_SERVER_REPLY, TRANSPORT_MALFORMED},
    {CURLE_BAD_CONTENT_ENCODING, TRANSPORT_MALFORMED},
    {CURLE_WRITE_ERROR, TRANSPORT_MALFORMED},
};

static enum transport_result map_code(const struct transfer *transfer, CURLcode code)
{
    for (size_t i = 0; i < ELEMENTS(transport_of_code); i++)
        if (transport_of_code[i].code == code)
            return transport_of_code[i].transport;
    if (transfer->heads_sent == 0)
        return TRANSPORT_LOCAL;
    /*
     * HTTP/0.9 or another version; and a header line of more than 100 KiB, which libcurl reports as a lack of memory.
     */
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_OUT_OF_MEMORY || code == CURLE_TOO_MANY_REDIRECTS)
        return TRANSPORT_MALFORMED;
    return TRANSPORT_CONNECTION_LOST;
}

bool transfer_has_early_error(const struct transfer *transfer)
{
    return transfer->response.head_complete && transfer->response.ack.status >= 300 &&
           transfer->body_sent_bytes < transfer->body_bytes;
}

/*
 * Whether the response counts, although the exchange did not end well: it is there as a whole, or it says that the body
 * is of no use, and then nobody can expect its sender to wait for the end of it.
 */
static bool response_counts(const struct transfer *transfer)
{
    curl_off_t length = -1;

    /* While the connection is made it can only be what a proxy said to CONNECT. */
    if (transfer->phase == TRANSFER_CONNECTING)
        return false;
    if (!transfer->response.head_complete || transfer->response.verdict != RESPONSE_FINE)
        return false;
    if (transfer_has_early_error(transfer) || transfer->response.ack.status == 204)
        return true;
    /* A challenge too many: libcurl was done with it, and began the next leg. */
    if (transfer->resend_refused && transfer->legs > 0)
        return true;
    (void)curl_easy_getinfo(transfer->connection->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return length >= 0 && (uint64_t)length == transfer->response.body_bytes + transfer->received_bytes;
}

/* A name that is still being looked up when the time for connecting is over has no name server that answers. */
static enum transport_result connect_timeout_result(const struct transfer *transfer)
{
    curl_off_t looked_up_usec = 0;

    (void)curl_easy_getinfo(transfer->connection->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_usec);
    return looked_up_usec == 0 ? TRANSPORT_RESOLVE : TRANSPORT_CONNECT_TIMEOUT;
}

static void set_text(struct exchange_outcome *outcome, const char *text)
{
    _cleanup_free_ char *escaped = text_escape(text);

    (void)text_copy(outcome->text, sizeof(outcome->text), escaped ? escaped : "");
}

/* What libcurl says, and the system's own word where a connection was refused: "could not connect" alone helps nobody.
 */
static void set_curl_text(const struct transfer *transfer, CURLcode code, struct exchange_outcome *ret)
{
    const char *text = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
    char both[2 * CURL_ERROR_SIZE];
    long error = 0;

    if (code == CURLE_COULDNT_CONNECT)
        (void)curl_easy_getinfo(transfer->connection->easy, CURLINFO_OS_ERRNO, &error);
    if (error == 0) {
        set_text(ret, text);
        return;
    }
    (void)snprintf(both, sizeof(both), "%s: %s", text, strerror((int)error));
    set_text(ret, both);
}

static const char *verdict_text(enum response_verdict verdict)
{
    switch (verdict) {
    case RESPONSE_FINE:
        break;
    case RESPONSE_NOT_HTTP1:
        return "the response is not HTTP/1.x";
    case RESPONSE_HEAD_TOO_LARGE:
        return "the response has more headers than are accepted";
    case RESPONSE_BODY_TOO_LARGE:
        return "the response's body is longer than is accepted";
    }
    return "";
}

static void fill_common(struct transfer *transfer, struct exchange_outcome *ret)
{
    char *local = NULL;

    *ret = (struct exchange_outcome){
        .ack = transfer->response.ack,
        .source_error = transfer->source_error,
        .body_sent_bytes = transfer->body_sent_bytes,
        .heads_sent = transfer->heads_sent,
        .received_bytes = transfer->received_bytes,
        .connection = transfer->connected ? transfer->connection->number : 0,
    };
    if (transfer->first_byte_usec != 0)
        ret->elapsed_usec = usec_sub(transfer_now(transfer), transfer->first_byte_usec);
    (void)text_copy(ret->address, sizeof(ret->address), transfer->address);
    if (curl_easy_getinfo(transfer->connection->easy, CURLINFO_LOCAL_IP, &local) == CURLE_OK && local)
        (void)text_copy(ret->local_address, sizeof(ret->local_address), local);
}

/* Returns whether it was this side, or one of our own callbacks, that ended the exchange, and fills in why. */
static bool fill_own_reason(const struct transfer *transfer, struct exchange_outcome *ret)
{
    enum response_verdict verdict = transfer->response.verdict;

    if (!transfer->connected && transfer->connection->socket_error != 0) {
        ret->transport = TRANSPORT_LOCAL;
        set_text(ret, strerror(-transfer->connection->socket_error));
    } else if (transfer->source_error != 0) {
        ret->transport = TRANSPORT_SOURCE;
        set_text(ret, strerror(-transfer->source_error));
    } else if (transfer->sink_error < 0) {
        ret->transport = TRANSPORT_LOCAL;
        set_text(ret, strerror(-transfer->sink_error));
    } else if (transfer->sink_overflowed) {
        /* A server without ranges sends all of it: the length in its head is answer enough. */
        bool is_whole = transfer->response.ack.status == 200 && transfer->response.ack.has_content_length;
        ret->transport = is_whole ? TRANSPORT_OK : TRANSPORT_MALFORMED;
        set_text(ret, "the server sent more of the reply than was asked for");
    } else if (transfer->lacks_authentication) {
        ret->transport = TRANSPORT_UNAUTHENTICATED;
        set_text(ret, "the connection is new and has to be authenticated before a body is sent");
    } else if (transfer->resend_refused) {
        ret->transport = TRANSPORT_CONNECTION_LOST;
        set_text(ret, "the server closed the connection instead of answering");
    } else if (verdict != RESPONSE_FINE) {
        /* The head is all that an Ack consists of: a body over the bound ends the exchange, but does not spoil it. */
        ret->transport = verdict == RESPONSE_BODY_TOO_LARGE ? TRANSPORT_OK : TRANSPORT_MALFORMED;
        set_text(ret, verdict_text(verdict));
    } else {
        return false;
    }
    return true;
}

static void judge(struct transfer *transfer, CURLcode code, struct exchange_outcome *ret)
{
    fill_common(transfer, ret);
    if (code != CURLE_OK && response_counts(transfer)) {
        ret->transport = TRANSPORT_OK;
        return;
    }
    if (code != CURLE_OK && (fill_own_reason(transfer, ret) || outcome_from_tls(transfer, code, ret)))
        return;
    if (code == CURLE_OPERATION_TIMEDOUT)
        ret->transport = connect_timeout_result(transfer);
    else
        ret->transport = map_code(transfer, code);
    /* libcurl takes a connection that ends within the head for the end of an empty body. */
    if (ret->transport == TRANSPORT_OK && !transfer->response.head_complete) {
        ret->transport = TRANSPORT_CONNECTION_LOST;
        set_text(ret, "the server closed the connection in the middle of its answer");
    } else if (ret->transport != TRANSPORT_OK) {
        set_curl_text(transfer, code, ret);
    }
}

void outcome_from_curl(struct transfer *transfer, CURLcode code, struct exchange_outcome *ret)
{
    judge(transfer, code, ret);
    outcome_add_proxy(transfer, ret);
}

void outcome_from_target(const struct transfer *transfer, struct exchange_outcome *ret)
{
    *ret = (struct exchange_outcome){.transport = TRANSPORT_URL};
    set_text(ret, transfer->target_fault);
}

void outcome_from_deadline(struct transfer *transfer, struct exchange_outcome *ret)
{
    char text[sizeof(ret->text)];
    char duration[DURATION_TEXT_MAX];

    fill_common(transfer, ret);
    if (response_counts(transfer)) {
        ret->transport = TRANSPORT_OK;
        return;
    }
    switch (transfer->phase) {
    case TRANSFER_CONNECTING:
        ret->transport = connect_timeout_result(transfer);
        (void)snprintf(text, sizeof(text), "no connection within %s",
                       text_duration(transfer->connect_timeout_usec, duration));
        break;
    case TRANSFER_SENDING:
        ret->transport = TRANSPORT_SEND_TIMEOUT;
        (void)snprintf(text, sizeof(text), "no byte could be sent for %s",
                       text_duration(transfer->send_timeout_usec, duration));
        /* Nothing went out because there was nothing to send: that is not the server's doing. */
        if (transfer->pause == TRANSFER_PAUSED_FOR_SOURCE) {
            ret->transport = TRANSPORT_SOURCE;
            ret->source_error = -ETIMEDOUT;
            (void)snprintf(text, sizeof(text), "the source file gave no byte for %s", duration);
        }
        break;
    case TRANSFER_AWAITING_RESPONSE:
        ret->transport = TRANSPORT_RESPONSE_TIMEOUT;
        (void)snprintf(text, sizeof(text), "no complete response within %s",
                       text_duration(transfer->response_timeout_usec, duration));
        break;
    }
    set_text(ret, text);
    outcome_add_proxy(transfer, ret);
}
