/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is said when something went wrong: "WHAT failed: WHY; ADVICE", one line. The URL is never in it: its query may
 * be a secret, and a server's Location may repeat it.
 */
#include "core/bits.h"

#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* bytes of a Location: a longer one would push the advice out of the sentence */
#define LOCATION_SHOWN_MAX 160

bool bits_has_code(const struct ack *ack)
{
    return ack->has_error && ack->error_code != 0;
}

bool bits_is_not_found(const struct ack *ack)
{
    return ack->has_error && ack->error_code == HR_SESSION_NOT_FOUND;
}

/* A context without an error header means nothing. */
bool bits_from_application(const struct ack *ack)
{
    return ack->has_error && ack->has_context && ack->error_context == CONTEXT_REMOTE_APPLICATION;
}

static enum failure_phase phase_of(enum exchange_kind kind)
{
    switch (kind) {
    case EXCHANGE_NONE:
        return PHASE_NONE;
    case EXCHANGE_PING:
        return PHASE_PING;
    case EXCHANGE_CREATE:
        return PHASE_CREATE;
    case EXCHANGE_FRAGMENT:
        return PHASE_FRAGMENT;
    case EXCHANGE_CLOSE:
        return PHASE_CLOSE;
    case EXCHANGE_CANCEL:
        return PHASE_CANCEL;
    case EXCHANGE_REPLY:
        return PHASE_REPLY;
    }
    return PHASE_NONE;
}

static void append(struct failure *failure, const char *text)
{
    size_t used = strlen(failure->text);

    (void)text_copy(failure->text + used, sizeof(failure->text) - used, text);
}

static void begin(uint32_t code, enum failure_context context, enum failure_phase phase, struct failure *failure)
{
    *failure = (struct failure){.code = code, .context = context, .phase = phase};
    failure_name_code(code, failure->name);
}

void bits_describe(const struct step *step, uint32_t code, enum failure_context context, const char *why,
                   struct failure *ret)
{
    const struct exchange_outcome *outcome = step->in->event == SESSION_EVENT_OUTCOME ? step->in->outcome : NULL;

    begin(code, context, phase_of(step->kind), ret);
    if (outcome && outcome->transport == TRANSPORT_OK)
        ret->http_status = outcome->ack.status;
    const char *what = failure_phase_text((enum failure_phase)ret->phase);
    (void)snprintf(ret->text, sizeof(ret->text), "%s failed: %s", what[0] != '\0' ? what : "the upload", why);
    /* Whoever reads this wants to know whether hours of upload are lost. */
    if (step->session->record.phase == SESSION_COMPLETE || step->session->record.phase == SESSION_REPLY)
        append(ret, "; all bytes were acknowledged by the server");
}

void bits_describe_local(const struct step *step, uint32_t code, enum failure_phase phase, const char *why,
                         struct failure *ret)
{
    (void)step;
    begin(code, CONTEXT_LOCAL_FILE, phase, ret);
    (void)snprintf(ret->text, sizeof(ret->text), "%s failed: %s", failure_phase_text(phase), why);
}

void bits_advise(struct failure *failure, const char *advice)
{
    if (!advice || advice[0] == '\0')
        return;
    append(failure, "; ");
    append(failure, advice);
}

void bits_describe_no_progress(const struct step *step, const struct failure *last, struct failure *ret)
{
    char waited[DURATION_TEXT_MAX], reason[FAILURE_TEXT_MAX];

    (void)text_duration(step->session->record.no_progress_usec, waited);
    (void)text_copy(reason, sizeof(reason), last->text);
    *ret = *last;
    ret->code = HR_NO_PROGRESS;
    failure_name_code(ret->code, ret->name);
    ret->text[0] = '\0';
    append(ret, "gave up after ");
    append(ret, waited);
    append(ret, " without progress, last error ");
    append(ret, last->name);
    append(ret, ": ");
    append(ret, reason);
}

static const struct transport_words {
    uint32_t code;
    const char *why;
} transport_words[] = {
    [TRANSPORT_OK] = {HR_INVALID_SERVER_RESPONSE, "the server's answer is over a bound of this program"},
    [TRANSPORT_RESOLVE] = {HR_NAME_NOT_RESOLVED, "the server's name cannot be resolved"},
    [TRANSPORT_CONNECT] = {HR_CANNOT_CONNECT, "no connection to the server"},
    [TRANSPORT_CONNECT_TIMEOUT] = {HR_TIMEOUT, "the server did not accept the connection in time"},
    [TRANSPORT_TLS] = {HR_SECURE_FAILURE, "the TLS handshake failed"},
    [TRANSPORT_CERTIFICATE] = {HR_SECURE_FAILURE, "the server's certificate was not accepted"},
    [TRANSPORT_CONNECTION_LOST] = {HR_CONNECTION_ERROR, "the connection was lost"},
    [TRANSPORT_SEND_TIMEOUT] = {HR_TIMEOUT, "nothing could be sent for too long"},
    [TRANSPORT_RESPONSE_TIMEOUT] = {HR_TIMEOUT, "the server did not answer in time"},
    [TRANSPORT_MALFORMED] = {HR_INVALID_SERVER_RESPONSE, "the answer is not HTTP, or too large"},
    [TRANSPORT_SOURCE] = {HR_READ_FAULT, "the source could not be read"},
    [TRANSPORT_LOCAL] = {HR_OUT_OF_MEMORY, "this machine is out of memory or descriptors"},
    [TRANSPORT_URL] = {HR_INVALID_SERVER_RESPONSE, "the server named a host or a reply that may not be asked"},
    [TRANSPORT_UNAUTHENTICATED] = {HR_CONNECTION_ERROR, "the server does not keep authenticated connections"},
    [TRANSPORT_PROXY] = {HR_CANNOT_CONNECT, "no connection through the proxy"},
};

static void describe_transport(const struct step *step, struct failure *ret)
{
    const struct exchange_outcome *outcome = step->in->outcome;
    struct transport_words words = transport_words[outcome->transport];
    enum failure_context context = outcome->transport == TRANSPORT_LOCAL ? CONTEXT_QUEUE_MANAGER : CONTEXT_TRANSPORT;
    const char *host = step->session->record.host_id;
    char why[FAILURE_TEXT_MAX / 2 + HOST_ID_MAX];

    if (outcome->transport == TRANSPORT_CERTIFICATE)
        words.code = bits_certificate_words(outcome->certificate, &context, &words.why);
    /* Whoever looks for the host of the URL looks in the wrong place. */
    (void)snprintf(why, sizeof(why), "%s%s%s%s%s%s", words.why, host[0] != '\0' ? ", at the session's host " : "", host,
                   outcome->text[0] != '\0' ? " (" : "", outcome->text, outcome->text[0] != '\0' ? ")" : "");
    bits_describe(step, words.code, context, why, ret);
}

/* A 200 or 201 is a failure too where it lacks what its packet needs. */
static const char *invalid_words(const struct step *step)
{
    const struct ack *ack = &step->in->outcome->ack;

    if (!ack->is_ack)
        return "the answer is not from a BITS server: it lacks \"BITS-Packet-Type: Ack\" (a login page, or a plain web "
               "server?)";
    if (ack->status != 200 && ack->status != 201)
        return "the server answered with a status that BITS does not know";
    if (step->kind == EXCHANGE_CREATE)
        return ack->session_id_too_long ? "the server's session id is longer than 255 bytes"
                                        : "the server opened no session: its answer has no BITS-Session-Id";
    return ack->has_bad_next ? "the server's BITS-Received-Content-Range is no number"
                             : "the server did not say which byte it wants next";
}

static const char *who_answered(const struct exchange_outcome *outcome)
{
    if (outcome->proxy_answered)
        return "proxy";
    return bits_from_application(&outcome->ack) ? "server's application" : "server";
}

static void describe_status(const struct exchange_outcome *outcome, char *why, size_t size)
{
    const struct ack *ack = &outcome->ack;
    char code[FAILURE_NAME_MAX] = "", more[LOCATION_SHOWN_MAX + 32] = "";

    if (bits_has_code(ack))
        failure_name_code(ack->error_code, code);
    if (ack->has_location && ack->status >= 300 && ack->status < 400) {
        size_t shown = strcspn(ack->location, "?#");
        (void)snprintf(more, sizeof(more), ", a redirect to %.*s",
                       shown < LOCATION_SHOWN_MAX ? (int)shown : LOCATION_SHOWN_MAX, ack->location);
    } else if (ack->schemes[0] != '\0') {
        (void)snprintf(more, sizeof(more), " and asks who you are (%s)", ack->schemes);
    }
    (void)snprintf(why, size, "the %s answered %d%s%s%s", who_answered(outcome), ack->status,
                   code[0] != '\0' ? " with " : "", code, more);
}

static enum failure_context context_of(const struct exchange_outcome *outcome)
{
    if (outcome->proxy_answered)
        return CONTEXT_TRANSPORT;
    return bits_from_application(&outcome->ack) ? CONTEXT_REMOTE_APPLICATION : CONTEXT_REMOTE_FILE;
}

void bits_describe_outcome(const struct step *step, struct failure *ret)
{
    const struct ack *ack = &step->in->outcome->ack;
    enum failure_context context = context_of(step->in->outcome);
    char why[FAILURE_TEXT_MAX / 2];

    if (step->in->outcome->transport != TRANSPORT_OK || ack->too_large) {
        describe_transport(step, ret);
        return;
    }
    bool is_success = ack->status >= 200 && ack->status < 300;
    if ((is_success && (!bits_has_code(ack) || !ack->is_ack)) || ack->status < 200 || ack->status > 599) {
        bits_describe(step, HR_INVALID_SERVER_RESPONSE, context, invalid_words(step), ret);
        return;
    }
    describe_status(step->in->outcome, why, sizeof(why));
    bits_describe(step, bits_has_code(ack) ? ack->error_code : HR_HTTP_STATUS(ack->status), context, why, ret);
}
