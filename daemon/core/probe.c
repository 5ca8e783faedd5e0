/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/probe.h"

#include "core/bits.h"
#include "core/proto.h"

#include "base/cleanup.h"
#include "base/moment.h"
#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * Where the byte is sent to, and by that how large the file is said to be, the largest first. A server that counts in
 * 32 or 36 bits takes the first for the start of the file.
 */
static const struct {
    uint64_t bytes;
    const char *text;
} sizes[] = {
    {UINT64_C(1) << 40, "1 TiB"},    {UINT64_C(1) << 32, "4 GiB"},  {UINT64_C(1) << 30, "1 GiB"},
    {UINT64_C(100000000), "100 MB"}, {UINT64_C(10000000), "10 MB"},
};

#define SLOW_USEC USEC_PER_SEC /* for an empty message: worth a note */

__attribute__((format(printf, 5, 6))) static void add(struct probe *probe, const char *name, enum probe_verdict verdict,
                                                      const char *remedy, const char *format, ...)
{
    struct probe_finding *finding = &probe->findings[probe->findings_count];
    va_list arguments;

    if (probe->findings_count == PROBE_FINDINGS_MAX)
        return;
    probe->findings_count++;
    *finding = (struct probe_finding){.verdict = verdict};
    (void)text_copy(finding->name, sizeof(finding->name), name);
    (void)text_copy(finding->remedy, sizeof(finding->remedy), remedy);
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof(finding->text), format, arguments);
    va_end(arguments);
}

void probe_init(struct probe *probe, const struct session_parameters *parameters)
{
    memset(probe, 0, sizeof(*probe));
    probe->parameters = *parameters;
    probe->method = parameters->method;
}

void probe_set_obstacle(struct probe *probe, const char *name, const char *text)
{
    probe->stage = PROBE_STAGE_END;
    probe->findings_count = 0;
    add(probe, name, PROBE_PROBLEM, "", "%.250s", text);
}

static enum exchange_kind kind_of(enum probe_stage stage)
{
    switch (stage) {
    case PROBE_STAGE_START:
    case PROBE_STAGE_END:
        return EXCHANGE_NONE;
    case PROBE_STAGE_PING:
        return EXCHANGE_PING;
    case PROBE_STAGE_CREATE:
        return EXCHANGE_CREATE;
    case PROBE_STAGE_FRAGMENT:
        return EXCHANGE_FRAGMENT;
    case PROBE_STAGE_CANCEL:
        return EXCHANGE_CANCEL;
    }
    return EXCHANGE_NONE;
}

/* What an outcome means, in the words that a job would have for it. */
static void describe(const struct probe *probe, const struct exchange_outcome *outcome, struct failure *ret)
{
    const struct session_input in = {.event = SESSION_EVENT_OUTCOME, .outcome = outcome};
    struct session nothing;
    memset(&nothing, 0, sizeof(nothing));
    const struct step step = {.session = &nothing, .in = &in, .kind = kind_of(probe->stage)};

    bits_describe_outcome(&step, ret);
}

static enum probe_action finish(struct probe *probe)
{
    probe->stage = PROBE_STAGE_END;
    if (probe->latency_usec > 0)
        add(probe, "latency", probe->latency_usec > SLOW_USEC ? PROBE_NOTE : PROBE_OK, "",
            "a message without a body takes %" PRIu64 " ms", (probe->latency_usec + 999) / USEC_PER_MSEC);
    return PROBE_DONE;
}

static enum probe_action send_next(struct probe *probe, enum probe_stage stage, struct exchange_request *request)
{
    const struct session_parameters *parameters = &probe->parameters;
    uint64_t first = sizes[probe->size_index].bytes;
    const struct proto_packet packet = {
        .kind = kind_of(stage),
        .method = probe->method,
        .protocol_guid = parameters->protocol_guid,
        .session_id = probe->session_id,
        .first = first,
        .bytes = 1,
        .total = first + 2, /* never the last byte: a server that allows gaps would take the file for complete */
    };

    probe->stage = stage;
    memset(request, 0, sizeof(*request));
    if (proto_build(&packet, request) < 0) {
        add(probe, "session", PROBE_PROBLEM, "", "what the server said does not fit into a request");
        return finish(probe);
    }
    request->connect_timeout_usec = parameters->connect_timeout_usec;
    request->send_timeout_usec = parameters->send_timeout_usec;
    request->response_timeout_usec = parameters->response_timeout_usec;
    if (probe->host_id[0] != '\0' && stage != PROBE_STAGE_CREATE) {
        request->target = TARGET_HOST;
        memcpy(request->host, probe->host_id, sizeof(request->host));
    }
    return PROBE_SEND;
}

/* Findings that end the probe: returns whether this was one. */
static bool note_obstacle(struct probe *probe, const struct exchange_outcome *outcome)
{
    const struct ack *ack = &outcome->ack;
    struct failure failure;
    const char *name = "connection", *remedy;

    describe(probe, outcome, &failure);
    if (outcome->transport == TRANSPORT_CERTIFICATE) {
        name = "certificate";
        remedy = "check the server's name, its certificate and this machine's clock; --cacert FILE names the issuer of "
                 "a private server";
    } else if (outcome->transport == TRANSPORT_PROXY) {
        name = "proxy";
        remedy = "check --proxy and whether the proxy may reach this host; --noproxy HOST goes past it";
    } else if (outcome->transport != TRANSPORT_OK && outcome->heads_sent == 0) {
        remedy = "check the URL, the name server and the firewalls on the way";
    } else if (outcome->transport == TRANSPORT_OK && (ack->status == 401 || ack->status == 407)) {
        name = "authentication";
        remedy = ack->status == 401 ? "store a user that it accepts with bitsq credential set NAME, and add jobs with "
                                      "--credential NAME"
                                    : "store a user that it accepts with bitsq credential set NAME, and add jobs with "
                                      "--proxy-credential NAME";
    } else if (outcome->transport == TRANSPORT_OK && ack->status >= 300 && ack->status < 400) {
        name = "redirect";
        remedy = "redirects are not followed: use the URL of the server itself";
    } else {
        return false;
    }
    add(probe, name, PROBE_PROBLEM, remedy, "%.250s", failure.text);
    return true;
}

static void note_latency(struct probe *probe, const struct exchange_outcome *outcome)
{
    if (outcome->transport != TRANSPORT_OK || outcome->elapsed_usec == 0)
        return;
    if (probe->latency_usec == 0 || outcome->elapsed_usec < probe->latency_usec)
        probe->latency_usec = outcome->elapsed_usec;
}

static enum probe_action take_ping(struct probe *probe, const struct exchange_outcome *outcome,
                                   struct exchange_request *request)
{
    const struct ack *ack = &outcome->ack;

    if (note_obstacle(probe, outcome))
        return finish(probe);
    probe->ping_answered =
        outcome->transport == TRANSPORT_OK && ack->is_ack && (ack->status == 200 || ack->status == 201);
    return send_next(probe, PROBE_STAGE_CREATE, request);
}

static bool is_opened(const struct exchange_outcome *outcome)
{
    const struct ack *ack = &outcome->ack;

    return outcome->transport == TRANSPORT_OK && (ack->status == 200 || ack->status == 201) && ack->has_session_id;
}

/* Whether another verb might help: filters and proxies that know no BITS_POST answer so, or not at all. */
static bool may_be_the_verb(const struct exchange_outcome *outcome)
{
    const struct ack *ack = &outcome->ack;

    if (outcome->transport != TRANSPORT_OK)
        return outcome->heads_sent > 0;
    return !ack->is_ack && (ack->status < 300 || ack->status == 400 || ack->status == 403 || ack->status == 404 ||
                            ack->status == 405 || ack->status == 501);
}

static bool choose_another_verb(struct probe *probe)
{
    static const enum session_method methods[] = {METHOD_BITS_POST, METHOD_POST_OVERRIDE, METHOD_POST};

    probe->methods_tried |= 1u << probe->method;
    for (size_t i = 0; i < ELEMENTS(methods); i++) {
        if (!(probe->methods_tried & (1u << methods[i]))) {
            probe->method = methods[i];
            return true;
        }
    }
    return false;
}

static const char *remedy_for(int status)
{
    switch (status) {
    case 0:
        return "a firewall, filter or proxy on the way may drop what it does not know: ask its administrator";
    case 200:
    case 201:
    case 204:
        return "this is a login page or a plain web server: check the URL; where the server merely leaves the header "
               "out, use --lenient-ack";
    case 400:
        return "check that the URL names a file and not a folder, and that the server speaks BITS";
    case 403:
        return "check the rights at the server, and whether the file exists there already";
    case 404:
        return "check the URL; IIS answers 404 also where BITS uploads are not enabled for the folder, and to what its "
               "request filter refuses";
    case 405:
    case 501:
        return "enable BITS uploads for this URL, or let the verb BITS_POST pass in the request filter, the proxy or "
               "the firewall before the server";
    case 409:
        return "the file exists at the server, or another upload of it is under way: probe another name";
    default:
        return "ask the server's administrator";
    }
}

static void note_refusal(struct probe *probe)
{
    add(probe, "session", PROBE_PROBLEM, remedy_for(probe->refusal_status), "%.250s", probe->refusal.text);
}

static void note_verb(struct probe *probe)
{
    if (probe->method == probe->parameters.method)
        add(probe, "verb", PROBE_OK, "", "the server takes %s",
            probe->method == METHOD_BITS_POST ? "BITS_POST" : "POST");
    else if (probe->method == METHOD_POST_OVERRIDE)
        add(probe, "verb", PROBE_PROBLEM, "use --method-override post",
            "the verb BITS_POST is blocked on the way, POST with X-HTTP-Method-Override passes");
    else if (probe->method == METHOD_POST)
        add(probe, "verb", PROBE_PROBLEM, "use --method-override post-only",
            "the verb BITS_POST is blocked on the way, POST passes");
    else
        add(probe, "verb", PROBE_PROBLEM, "use --method-override bits_post", "the server takes BITS_POST only");
    if (!probe->ping_answered && probe->method == probe->parameters.method)
        add(probe, "ping", PROBE_NOTE, "", "the server knows no Ping; uploads do without");
}

static void note_session(struct probe *probe, const struct ack *ack)
{
    const char *guid = probe->parameters.protocol_guid;
    char fallback[DURATION_TEXT_MAX] = "never";

    add(probe, "session", PROBE_OK, "", "the server opens upload sessions%s%s",
        ack->has_server ? "; it calls itself " : "", ack->server);
    if (!ack->is_ack && probe->parameters.lenient_ack)
        add(probe, "ack", PROBE_NOTE, "",
            "its answers lack \"BITS-Packet-Type: Ack\"; they count as such, for so it was chosen");
    else if (!ack->is_ack)
        add(probe, "ack", PROBE_PROBLEM, "use --lenient-ack", "its answers lack \"BITS-Packet-Type: Ack\"");
    if (!ack->has_protocol)
        add(probe, "protocol", PROBE_NOTE, "", "the server does not say which protocol it chose");
    else if (proto_is_offered(guid[0] != '\0' ? guid : BITS_PROTOCOL_GUID, ack->protocol))
        add(probe, "protocol", PROBE_OK, "", "BITS 1.5 upload, as offered");
    else
        add(probe, "protocol", PROBE_PROBLEM, "use --protocol-guid with the text that the server expects",
            "the server chose a protocol that was not offered: %s", ack->protocol);
    if (ack->has_host_id && !ack->host_id_is_valid) {
        add(probe, "host-id", PROBE_PROBLEM, "set BITSHostId at the server to a plain host name",
            "the server names a host for its sessions that is none: \"%.100s\"", ack->host_id);
    } else if (ack->has_host_id) {
        if (ack->has_host_fallback)
            (void)text_duration(ack->host_fallback_usec, fallback);
        add(probe, "host-id", PROBE_NOTE, "", "sessions live on %.150s; the URL's host is asked again after %s",
            ack->host_id, fallback);
    }
}

static enum probe_action take_create(struct probe *probe, const struct exchange_outcome *outcome,
                                     struct exchange_request *request)
{
    const struct ack *ack = &outcome->ack;
    bool is_first_try = probe->methods_tried == 0;

    if (is_opened(outcome)) {
        memcpy(probe->session_id, ack->session_id, sizeof(probe->session_id));
        memset(probe->host_id, 0, sizeof(probe->host_id));
        if (ack->has_host_id && ack->host_id_is_valid)
            memcpy(probe->host_id, ack->host_id, sizeof(probe->host_id));
        if (!probe->opened) {
            note_verb(probe);
            note_session(probe, ack);
        }
        probe->opened = true;
        return send_next(probe, probe->sizes_done ? PROBE_STAGE_CANCEL : PROBE_STAGE_FRAGMENT, request);
    }
    if (probe->opened) {
        add(probe, "size", PROBE_NOTE, "", "how large a file may be is not known: no further session was opened");
        return finish(probe);
    }
    if (is_first_try) {
        describe(probe, outcome, &probe->refusal);
        probe->refusal_status = outcome->transport == TRANSPORT_OK ? ack->status : 0;
        if (note_obstacle(probe, outcome))
            return finish(probe);
    }
    if ((!is_first_try || may_be_the_verb(outcome)) && choose_another_verb(probe))
        return send_next(probe, PROBE_STAGE_CREATE, request);
    note_refusal(probe);
    return finish(probe);
}

enum size_answer {
    SIZE_RIGHT,   /* it wants the start first */
    SIZE_WRAPPED, /* it took the byte for the first one */
    SIZE_REFUSED,
    SIZE_UNKNOWN,
};

static enum size_answer read_size_answer(const struct exchange_outcome *outcome)
{
    const struct ack *ack = &outcome->ack;

    if (outcome->transport != TRANSPORT_OK || bits_is_not_found(ack))
        return SIZE_UNKNOWN;
    if (bits_has_code(ack) && ack->error_code == HR_TOO_LARGE)
        return SIZE_REFUSED;
    if (ack->status == 416)
        return SIZE_RIGHT;
    if (ack->status == 200 || ack->status == 201)
        return !ack->has_next ? SIZE_UNKNOWN : ack->next_offset == 1 ? SIZE_WRAPPED : SIZE_RIGHT;
    return ack->status == 400 || ack->status == 413 ? SIZE_REFUSED : SIZE_UNKNOWN;
}

static void note_size(struct probe *probe, const struct exchange_outcome *outcome, enum size_answer answer)
{
    unsigned index = probe->size_index;
    const char *size = sizes[index].text, *larger = sizes[index > 0 ? index - 1 : 0].text;
    struct failure failure;

    switch (answer) {
    case SIZE_RIGHT:
        if (index == 0)
            add(probe, "size", PROBE_OK, "", "files of %s, and with that offsets past 4 GiB, are taken", size);
        else
            add(probe, "size", PROBE_PROBLEM, "send larger files in parts, or ask the administrator to raise the limit",
                "the largest file that is taken has between %s and %s", size, larger);
        return;
    case SIZE_REFUSED:
        add(probe, "size", PROBE_PROBLEM, "ask the administrator to raise the limit", "not even files of %s are taken",
            size);
        return;
    case SIZE_WRAPPED:
        add(probe, "size", PROBE_PROBLEM, "send it no larger files", "the server miscounts in files of %s", size);
        return;
    case SIZE_UNKNOWN:
        describe(probe, outcome, &failure);
        add(probe, "size", PROBE_NOTE,
            bits_is_not_found(&outcome->ack) ? "behind a balancer, each server must name itself: BITSHostId" : "",
            "how large a file may be is not known: %.180s", failure.text);
        return;
    }
}

static enum probe_action take_fragment(struct probe *probe, const struct exchange_outcome *outcome,
                                       struct exchange_request *request)
{
    enum size_answer answer = read_size_answer(outcome);
    bool is_last = probe->size_index + 1 == ELEMENTS(sizes);

    if (answer == SIZE_WRAPPED)
        add(probe, "offsets", PROBE_PROBLEM, "send it only files below that, or update the server",
            "the server counts in too few bits: it took byte %" PRIu64 " for the first one",
            sizes[probe->size_index].bytes);
    if ((answer == SIZE_REFUSED || answer == SIZE_WRAPPED) && !is_last) {
        probe->size_index++;
    } else {
        note_size(probe, outcome, answer);
        probe->sizes_done = true;
    }
    return send_next(probe, PROBE_STAGE_CANCEL, request);
}

static enum probe_action take_cancel(struct probe *probe, const struct exchange_outcome *outcome,
                                     struct exchange_request *request)
{
    const struct ack *ack = &outcome->ack;
    bool is_gone = outcome->transport == TRANSPORT_OK &&
                   ((ack->status >= 200 && ack->status < 300) || bits_is_not_found(ack) || ack->status == 404);
    struct failure failure;

    if (!is_gone) {
        describe(probe, outcome, &failure);
        add(probe, "cancel", PROBE_NOTE, "",
            "the session could not be cancelled, and stays until the server drops it: %.150s", failure.text);
    } else if (probe->sizes_done) {
        add(probe, "cancel", PROBE_OK, "", "sessions can be cancelled");
    }
    if (!is_gone || probe->sizes_done)
        return finish(probe);
    return send_next(probe, PROBE_STAGE_CREATE, request);
}

enum probe_action probe_step(struct probe *probe, const struct exchange_outcome *outcome,
                             struct exchange_request *ret_request)
{
    assert(outcome || probe->stage == PROBE_STAGE_START || probe->stage == PROBE_STAGE_END);
    if (outcome && probe->stage != PROBE_STAGE_FRAGMENT)
        note_latency(probe, outcome);
    switch (probe->stage) {
    case PROBE_STAGE_START:
        return send_next(probe, PROBE_STAGE_PING, ret_request);
    case PROBE_STAGE_PING:
        return take_ping(probe, outcome, ret_request);
    case PROBE_STAGE_CREATE:
        return take_create(probe, outcome, ret_request);
    case PROBE_STAGE_FRAGMENT:
        return take_fragment(probe, outcome, ret_request);
    case PROBE_STAGE_CANCEL:
        return take_cancel(probe, outcome, ret_request);
    case PROBE_STAGE_END:
        return PROBE_DONE;
    }
    return PROBE_DONE;
}

bool probe_is_usable(const struct probe *probe)
{
    static const char *const of_large_files[] = {"size", "offsets"};

    if (!probe->opened)
        return false;
    for (size_t i = 0; i < probe->findings_count; i++) {
        const struct probe_finding *finding = &probe->findings[i];
        bool spares_small = false;
        for (size_t j = 0; j < ELEMENTS(of_large_files); j++)
            spares_small = spares_small || strcmp(finding->name, of_large_files[j]) == 0;
        if (finding->verdict == PROBE_PROBLEM && !spares_small)
            return false;
    }
    return true;
}
