/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The probe against small models of servers: what it finds, and that it leaves nothing behind. */
#include "core/probe.h"
#include "core/proto.h"
#include "support/unit.h"

#include "base/moment.h"

#include <stdio.h>
#include <string.h>

struct server {
    const char *create;  /* headers of the Ack to Create-Session */
    int create_status;   /* 0 = 200 */
    int ping_status;     /* 0 = 200 */
    int blocked_status;  /* to the verb BITS_POST; 0 = it passes, -1 = the connection breaks */
    bool wants_override; /* POST passes only with the header */
    bool silent;         /* no packet type */
    uint64_t too_large;  /* 0x80200020 for files of this size and more; 0 = none */
    unsigned bits;       /* of its offsets; 0 = 64 */
    bool forgets;        /* the session, at once */
    enum transport_result transport;
    int open; /* sessions */
    unsigned requests;
};

static const char *header(const struct exchange_request *request, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = request->headers; *line != '\0'; line += strlen(line) + 1)
        if (strncmp(line, name, length) == 0 && strncmp(line + length, ": ", 2) == 0)
            return line + length + 2;
    return NULL;
}

static void answer(const struct server *server, struct exchange_outcome *outcome, int status, const char *lines)
{
    struct ack *ack = &outcome->ack;

    ack_begin(ack, status);
    if (!server->silent && status < 600)
        ack_add_line(ack, "BITS-Packet-Type: Ack", 21);
    while (lines && *lines != '\0') {
        size_t length = strcspn(lines, "\n");
        ack_add_line(ack, lines, length);
        lines += length + (lines[length] == '\n');
    }
}

/* The verb does not pass: what answers is no BITS server. */
static void block(struct exchange_outcome *outcome, int status)
{
    if (status < 0)
        outcome->transport = TRANSPORT_CONNECTION_LOST;
    ack_begin(&outcome->ack, status < 0 ? 0 : status);
}

static void serve_fragment(const struct server *server, const struct exchange_request *request,
                           struct exchange_outcome *outcome)
{
    uint64_t first = request->body_offset;

    assert_int_equal(request->body_bytes, 1);
    if (server->bits > 0)
        first &= (UINT64_C(1) << server->bits) - 1;
    if (server->forgets)
        answer(server, outcome, 500, "BITS-Error-Code: 0x8020001F");
    else if (server->too_large > 0 && request->body_offset >= server->too_large)
        answer(server, outcome, 500, "BITS-Error-Code: 0x80200020");
    else if (first == 0)
        answer(server, outcome, 200, "BITS-Received-Content-Range: 1");
    else
        answer(server, outcome, 416, "BITS-Received-Content-Range: 0");
}

static void serve(struct server *server, const struct exchange_request *request, struct exchange_outcome *outcome)
{
    bool has_verb = strcmp(request->method, "BITS_POST") == 0;
    bool passes = !server->wants_override || header(request, "X-HTTP-Method-Override");

    *outcome = (struct exchange_outcome){.transport = server->transport, .heads_sent = 1, .connection = 1};
    outcome->elapsed_usec = 34 * USEC_PER_MSEC;
    server->requests++;
    if (server->transport != TRANSPORT_OK) {
        outcome->heads_sent = 0;
        return;
    }
    if (server->blocked_status != 0 && (has_verb || !passes)) {
        block(outcome, server->blocked_status);
        return;
    }
    if (request->kind == EXCHANGE_PING) {
        answer(server, outcome, server->ping_status > 0 ? server->ping_status : 200, NULL);
    } else if (request->kind == EXCHANGE_CREATE) {
        int status = server->create_status > 0 ? server->create_status : 200;
        server->open += status == 200;
        answer(server, outcome, status, server->create);
    } else if (request->kind == EXCHANGE_CANCEL) {
        server->open--;
        answer(server, outcome, 200, NULL);
    } else {
        serve_fragment(server, request, outcome);
    }
}

static void run_with(struct server *server, const struct session_parameters *parameters, struct probe *probe)
{
    struct exchange_request request;
    struct exchange_outcome outcome;

    if (!server->create)
        server->create = "BITS-Session-Id: {x}\nBITS-Protocol: " BITS_PROTOCOL_GUID;
    probe_init(probe, parameters);
    enum probe_action action = probe_step(probe, NULL, &request);
    while (action == PROBE_SEND) {
        assert_true(server->requests < 50);
        serve(server, &request, &outcome);
        action = probe_step(probe, &outcome, &request);
    }
    assert_int_equal(server->open, 0);
    for (size_t i = 0; i < probe->findings_count; i++) {
        assert_true(probe->findings[i].text[0] != '\0');
        assert_true(probe->findings[i].verdict != PROBE_PROBLEM || probe->findings[i].remedy[0] != '\0');
    }
}

static void run(struct server *server, struct probe *probe)
{
    const struct session_parameters parameters = {.connect_timeout_usec = 1, .response_timeout_usec = 2};

    run_with(server, &parameters, probe);
}

static const struct probe_finding *find(const struct probe *probe, const char *name)
{
    for (size_t i = 0; i < probe->findings_count; i++)
        if (strcmp(probe->findings[i].name, name) == 0)
            return &probe->findings[i];
    return NULL;
}

#define assert_finding(probe, name, wanted, words)                       \
    do {                                                                 \
        const struct probe_finding *f = find(probe, name);               \
        assert_non_null(f);                                              \
        assert_int_equal(f->verdict, PROBE_##wanted);                    \
        assert_true(strstr(f->text, words) || strstr(f->remedy, words)); \
    } while (0)

static void a_right_server_has_no_problem_and_keeps_no_session(void **state)
{
    struct server server = {0};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    for (size_t i = 0; i < probe.findings_count; i++)
        assert_int_equal(probe.findings[i].verdict, PROBE_OK);
    assert_finding(&probe, "verb", OK, "BITS_POST");
    assert_finding(&probe, "size", OK, "past 4 GiB");
    assert_finding(&probe, "latency", OK, "34 ms");
    assert_finding(&probe, "cancel", OK, "cancelled");
    assert_finding(&probe, "protocol", OK, "BITS 1.5");
    assert_int_equal(server.requests, 4);
    assert_true(probe_is_usable(&probe));
}

static void a_blocked_verb_names_the_override_that_passes(void **state)
{
    static const int statuses[] = {405, 501, 404, 400, 403, 200, -1};
    struct probe probe;

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct server server = {.blocked_status = statuses[i], .wants_override = true};
        run(&server, &probe);
        assert_finding(&probe, "verb", PROBLEM, "--method-override post");
        assert_finding(&probe, "size", OK, "1 TiB");
        assert_false(probe_is_usable(&probe));
    }
}

static void a_server_that_takes_no_upload_by_any_verb_is_named_by_its_first_answer(void **state)
{
    static const struct {
        int status;
        const char *words;
    } table[] = {
        {405, "request filter"}, {501, "BITS uploads"},     {404, "not enabled for the folder"},
        {200, "login page"},     {403, "check the rights"},
    };
    struct probe probe;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct server server = {
            .silent = true, .create_status = table[i].status, .ping_status = table[i].status, .create = "Server: x"};
        server.open = table[i].status == 200 ? -3 : 0; /* its 200s open nothing */
        run(&server, &probe);
        assert_finding(&probe, "session", PROBLEM, table[i].words);
        assert_null(find(&probe, "verb"));
        assert_false(probe_is_usable(&probe));
        assert_int_equal(server.requests, 4);
    }
}

static void a_refusal_of_the_bits_server_itself_is_not_the_verbs_fault(void **state)
{
    struct server server = {.create_status = 403, .create = "BITS-Error-Code: 0x80070005"};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "session", PROBLEM, "E_ACCESSDENIED");
    assert_int_equal(server.requests, 2);
}

static void a_server_that_asks_who_one_is_names_its_schemes(void **state)
{
    struct server server = {
        .create_status = 401, .ping_status = 404, .silent = true, .create = "WWW-Authenticate: Negotiate, NTLM"};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "authentication", PROBLEM, "negotiate ntlm");
    assert_finding(&probe, "authentication", PROBLEM, "bitsq credential set NAME");
    assert_int_equal(server.requests, 2);
}

static void what_keeps_the_connection_from_standing_ends_the_probe(void **state)
{
    static const struct {
        enum transport_result transport;
        const char *name;
        const char *words;
    } table[] = {
        {TRANSPORT_RESOLVE, "connection", "resolved"},
        {TRANSPORT_CONNECT, "connection", "firewalls"},
        {TRANSPORT_CERTIFICATE, "certificate", "--cacert"},
        {TRANSPORT_PROXY, "proxy", "--noproxy"},
    };
    struct probe probe;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct server server = {.transport = table[i].transport};
        run(&server, &probe);
        assert_finding(&probe, table[i].name, PROBLEM, table[i].words);
        assert_int_equal(server.requests, 1);
    }
}

static void a_limit_is_bracketed_by_a_few_sessions(void **state)
{
    struct server server = {.too_large = UINT64_C(2) << 30};
    struct server small = {.too_large = 1000000};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "size", PROBLEM, "between 1 GiB and 4 GiB");
    assert_int_equal(server.requests, 10);
    assert_true(probe_is_usable(&probe));
    run(&small, &probe);
    assert_finding(&probe, "size", PROBLEM, "not even files of 10 MB");
}

static void a_server_that_counts_in_32_bits_is_found_out(void **state)
{
    struct server server = {.bits = 32};
    struct server wider = {.bits = 36};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "offsets", PROBLEM, "too few bits");
    assert_finding(&probe, "size", PROBLEM, "between 1 GiB and 4 GiB");
    run(&wider, &probe);
    assert_finding(&probe, "offsets", PROBLEM, "byte 1099511627776");
    assert_finding(&probe, "size", PROBLEM, "between 4 GiB and 1 TiB");
}

static void sessions_that_are_lost_at_once_hint_at_a_balancer(void **state)
{
    struct server server = {.forgets = true};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "size", NOTE, "BITSHostId");
}

static void answers_without_the_packet_type_call_for_leniency(void **state)
{
    struct server server = {.silent = true};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "ack", PROBLEM, "--lenient-ack");
    assert_false(probe_is_usable(&probe));
    run_with(&server, &(struct session_parameters){.lenient_ack = true}, &probe);
    assert_finding(&probe, "ack", NOTE, "so it was chosen");
    assert_true(probe_is_usable(&probe));
}

static void another_protocol_and_a_missing_ping_are_found(void **state)
{
    struct server server = {.ping_status = 500, .create = "BITS-Session-Id: x\nBITS-Protocol: {0}"};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "protocol", PROBLEM, "--protocol-guid");
    assert_finding(&probe, "ping", NOTE, "without");
}

static void a_host_of_its_own_is_told_and_used(void **state)
{
    struct server server = {.create = "BITS-Session-Id: x\nBITS-Host-Id: node7\nBITS-Host-Id-Fallback-Timeout: 110"};
    struct probe probe;

    (void)state;
    run(&server, &probe);
    assert_finding(&probe, "host-id", NOTE, "node7");
    assert_string_equal(probe.host_id, "node7");
}

static void an_obstacle_before_the_server_is_the_only_finding(void **state)
{
    const struct session_parameters parameters = {0};
    struct exchange_request request;
    struct probe probe;

    (void)state;
    probe_init(&probe, &parameters);
    probe_set_obstacle(&probe, "access", "the credential is missing");
    assert_int_equal(probe_step(&probe, NULL, &request), PROBE_DONE);
    assert_int_equal(probe.findings_count, 1);
    assert_finding(&probe, "access", PROBLEM, "missing");
    assert_false(probe_is_usable(&probe));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_right_server_has_no_problem_and_keeps_no_session),
    cmocka_unit_test(a_blocked_verb_names_the_override_that_passes),
    cmocka_unit_test(a_server_that_takes_no_upload_by_any_verb_is_named_by_its_first_answer),
    cmocka_unit_test(a_refusal_of_the_bits_server_itself_is_not_the_verbs_fault),
    cmocka_unit_test(a_server_that_asks_who_one_is_names_its_schemes),
    cmocka_unit_test(what_keeps_the_connection_from_standing_ends_the_probe),
    cmocka_unit_test(a_limit_is_bracketed_by_a_few_sessions),
    cmocka_unit_test(a_server_that_counts_in_32_bits_is_found_out),
    cmocka_unit_test(sessions_that_are_lost_at_once_hint_at_a_balancer),
    cmocka_unit_test(answers_without_the_packet_type_call_for_leniency),
    cmocka_unit_test(another_protocol_and_a_missing_ping_are_found),
    cmocka_unit_test(a_host_of_its_own_is_told_and_used),
    cmocka_unit_test(an_obstacle_before_the_server_is_the_only_finding),
};
UNIT_MAIN(tests);
