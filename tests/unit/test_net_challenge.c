/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is answered to a challenge, and what never goes out before one. */
#include "support/netbed.h"
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

#define BODY_BYTES ((uint64_t)300000)
#define BASIC      "Authorization: Basic dXNlcjpwYXNz" /* user:pass */

#define REFUSAL(status, header, scheme) "HTTP/1.1 " status "\r\n" header ": " scheme "\r\nContent-Length: 3\r\n\r\nno\n"
#define WANTS(scheme)                   REFUSAL("401 Unauthorized", "WWW-Authenticate", scheme)
#define DIGEST                          "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", algorithm=MD5"
#define DIGEST_STALE                    "Digest realm=\"r\", nonce=\"n2\", qop=\"auth\", algorithm=MD5, stale=true"
/* A challenge of a server that speaks Unicode, with neither names nor extras. */
#define NTLM_CHALLENGE "NTLM TlRMTVNTUAACAAAAAAAAADAAAAABAgAAASNFZ4mrze8AAAAAAAAAAAAAAAAwAAAA"

static const struct transfer_access basic = {
    .server = {.scheme = AUTH_BASIC, .user = (char *)"user", .password = (char *)"pass"},
};

static bool has_line(const char *head, const char *line)
{
    const char *found = strstr(head, line);

    return found && found[-1] == '\n' && found[strlen(line)] == '\r';
}

static void ask(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                const struct transfer_access *access, uint64_t body_bytes)
{
    bed_prepare(bed, exchange, connection, body_bytes);
    exchange->access = access;
    bed_start(exchange);
    bed_run(bed, &exchange->done);
}

static bool first_is_closed(void *userdata)
{
    return raw_server_closed(((struct bed *)userdata)->server) == 1;
}

static struct transfer_connection *begin(struct bed *bed, const struct raw_step *const *scripts, size_t count)
{
    bed_begin(bed, scripts, count);
    return bed_connection(bed);
}

static void end(struct bed *bed, struct transfer_connection *connection)
{
    bed_drop(bed, connection);
    bed_end(bed);
}

static void a_password_goes_out_once_it_is_asked_for_and_with_the_whole_body(void **state)
{
    static const struct raw_step wanting[] = {STEP_READ, STEP_SEND(WANTS("Basic realm=\"r\"")),
                                              STEP_READ, STEP_SEND(ACK_EMPTY),
                                              STEP_READ, STEP_SEND(ACK_EMPTY),
                                              STEP_END};
    static const struct raw_step *const scripts[] = {wanting};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    ask(&bed, &exchange, connection, &basic, BODY_BYTES);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_int_equal(exchange.outcome.body_sent_bytes, BODY_BYTES);
    assert_null(strcasestr(raw_server_head(bed.server, 0), "Authorization"));
    assert_true(has_line(raw_server_head(bed.server, 1), BASIC));
    assert_int_equal(raw_server_body_bytes(bed.server, 1), BODY_BYTES);
    assert_int_equal(raw_server_body_crc32c(bed.server, 1), bed_crc32c(0, BODY_BYTES));
    /* Now it is known: the next body is sent once. */
    ask(&bed, &exchange, connection, &basic, BODY_BYTES);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(raw_server_requests(bed.server), 3);
    assert_true(has_line(raw_server_head(bed.server, 2), BASIC));
    end(&bed, connection);
}

static void a_wrong_password_is_tried_once(void **state)
{
    static const struct raw_step refusing[] = {STEP_READ, STEP_SEND(WANTS("Basic realm=\"r\"")), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {refusing};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    ask(&bed, &exchange, connection, &basic, 1000);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 401);
    assert_string_equal(exchange.outcome.ack.schemes, "basic");
    assert_false(exchange.outcome.proxy_answered);
    assert_int_equal(raw_server_requests(bed.server), 2);
    end(&bed, connection);
}

static void a_host_that_may_not_see_it_is_not_told_the_password(void **state)
{
    static const struct raw_step refusing[] = {STEP_READ, STEP_SEND(WANTS("Basic realm=\"r\"")), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {refusing};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    bed_prepare(&bed, &exchange, connection, 1000);
    exchange.access = &basic;
    (void)snprintf(exchange.origin, sizeof(exchange.origin), "up.example.org:80");
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    assert_int_equal(exchange.outcome.ack.status, 401);
    assert_int_equal(raw_server_requests(bed.server), 1);
    assert_null(strcasestr(raw_server_head(bed.server, 0), "Authorization"));
    end(&bed, connection);
}

/* Nothing that one host asked for is shown to another, not even where both may see the password. */
static void another_host_has_to_ask_for_itself(void **state)
{
    static const struct raw_step wanting[] = {STEP_READ, STEP_SEND(WANTS("Basic realm=\"r\"")), STEP_READ,
                                              STEP_SEND(ACK_EMPTY), STEP_END};
    static const struct raw_step *const scripts[] = {wanting};
    struct transfer_access access = basic;
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    access.over_http = true;
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    ask(&bed, &exchange, connection, &access, 10);
    bed_prepare(&bed, &exchange, connection, 10);
    exchange.access = &access;
    exchange.request.target = TARGET_HOST;
    (void)snprintf(exchange.request.host, sizeof(exchange.request.host), "localhost");
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(raw_server_requests(bed.server), 4);
    assert_null(strcasestr(raw_server_head(bed.server, 2), "Authorization"));
    assert_true(has_line(raw_server_head(bed.server, 3), BASIC));
    end(&bed, connection);
}

static void digest_answers_with_the_body_and_is_remembered(enum auth_scheme scheme)
{
    static const struct raw_step wanting[] = {
        STEP_READ, STEP_SEND(WANTS(DIGEST)),       STEP_READ, STEP_SEND(ACK_EMPTY), STEP_READ, STEP_SEND(ACK_EMPTY),
        STEP_READ, STEP_SEND(WANTS(DIGEST_STALE)), STEP_READ, STEP_SEND(ACK_EMPTY), STEP_END};
    static const struct raw_step *const scripts[] = {wanting};
    struct transfer_access access = basic;
    struct bed bed;
    struct bed_exchange exchange;

    access.server.scheme = scheme;
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    for (size_t i = 0; i < 3; i++) {
        ask(&bed, &exchange, connection, &access, BODY_BYTES);
        assert_int_equal(exchange.outcome.ack.status, 200);
        assert_int_equal(exchange.outcome.heads_sent, 1);
    }
    assert_int_equal(raw_server_requests(bed.server), 5);
    assert_null(strcasestr(raw_server_head(bed.server, 0), "Authorization"));
    for (size_t i = 1; i < 5; i++) {
        assert_non_null(strstr(raw_server_head(bed.server, i), "Authorization: Digest username=\"user\""));
        assert_int_equal(raw_server_body_crc32c(bed.server, i), bed_crc32c(0, BODY_BYTES));
    }
    assert_non_null(strstr(raw_server_head(bed.server, 4), "nonce=\"n2\""));
    end(&bed, connection);
}

static void digest_is_answered_and_pinned(void **state)
{
    (void)state;
    digest_answers_with_the_body_and_is_remembered(AUTH_DIGEST);
}

static void the_best_scheme_that_is_offered_is_pinned(void **state)
{
    (void)state;
    digest_answers_with_the_body_and_is_remembered(AUTH_ANY);
}

static void a_server_that_finds_every_nonce_stale_is_left(void **state)
{
    static const struct raw_step refusing[] = {STEP_READ, STEP_SEND(WANTS(DIGEST_STALE)), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {refusing};
    struct transfer_access access = basic;
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    access.server.scheme = AUTH_DIGEST;
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    ask(&bed, &exchange, connection, &access, 1000);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 401);
    assert_in_range(raw_server_requests(bed.server), 2, 8);
    end(&bed, connection);
}

/* Sent before it has read the body: that is not waited for, and begins again on a new connection. */
static void an_early_challenge_is_answered_too(void **state)
{
    static const struct raw_step early[] = {STEP_HEAD, STEP_SEND(WANTS("Basic realm=\"r\"")), STEP_END};
    static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {early, obliging};
    struct bed bed;
    struct bed_exchange exchange;
    const uint64_t body_bytes = UINT64_C(64) << 20; /* more than any buffer takes */

    (void)state;
    struct transfer_connection *connection = begin(&bed, scripts, 2);
    ask(&bed, &exchange, connection, &basic, body_bytes);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_true(has_line(raw_server_head(bed.server, 1), BASIC));
    assert_int_equal(raw_server_body_bytes(bed.server, 1), body_bytes);
    end(&bed, connection);
}

/* NTLM: the connection is authenticated by something without a body; until then no body is sent. */
static void a_body_waits_for_its_connection_to_be_authenticated(void **state)
{
    static const struct raw_step ntlm[] = {
        STEP_READ, STEP_SEND(WANTS("NTLM")), STEP_READ, STEP_SEND(WANTS(NTLM_CHALLENGE)),
        STEP_READ, STEP_SEND(ACK_EMPTY),     STEP_READ, STEP_SEND(ACK_EMPTY),
        STEP_END};
    static const struct raw_step *const scripts[] = {ntlm, ntlm};
    struct transfer_access access = basic;
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    access.server.scheme = AUTH_NTLM;
    struct transfer_connection *connection = begin(&bed, scripts, 2);
    ask(&bed, &exchange, connection, &access, BODY_BYTES);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_UNAUTHENTICATED);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    assert_int_equal(raw_server_requests(bed.server), 0);
    ask(&bed, &exchange, connection, &access, 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(raw_server_requests(bed.server), 3);
    assert_null(strcasestr(raw_server_head(bed.server, 0), "Authorization"));
    assert_non_null(strstr(raw_server_head(bed.server, 1), "Authorization: NTLM "));
    ask(&bed, &exchange, connection, &access, BODY_BYTES);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(raw_server_requests(bed.server), 4);
    assert_int_equal(raw_server_connection_of(bed.server, 3), raw_server_connection_of(bed.server, 2));
    assert_int_equal(raw_server_body_crc32c(bed.server, 3), bed_crc32c(0, BODY_BYTES));
    end(&bed, connection);
}

/* The way that the second leg takes may fail: then nothing is known against the password. */
static void a_server_that_is_gone_before_the_answer_is_no_refusal(void **state)
{
    static const struct raw_step vanishing[] = {STEP_READ, STEP_SEND(WANTS("Basic realm=\"r\"")), STEP_READ,
                                                STEP_RESET};
    static const struct raw_step *const scripts[] = {vanishing};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    ask(&bed, &exchange, connection, &basic, 1000);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_CONNECTION_LOST);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_int_equal(raw_server_requests(bed.server), 2);
    end(&bed, connection);
}

/* What was authenticated is the connection: another one begins from the start, and no body goes out over it. */
static void a_body_waits_again_where_the_connection_was_lost(void **state)
{
    static const struct raw_step dying[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_CLOSE};
    static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {dying, obliging};
    struct transfer_access access = basic;
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    access.server.scheme = AUTH_NTLM;
    struct transfer_connection *connection = begin(&bed, scripts, 2);
    ask(&bed, &exchange, connection, &access, 0);
    assert_int_equal(exchange.outcome.ack.status, 200);
    bed_run_until(&bed, first_is_closed, &bed);
    ask(&bed, &exchange, connection, &access, 1000);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_UNAUTHENTICATED);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    assert_string_not_equal(exchange.outcome.text, "");
    assert_int_equal(raw_server_requests(bed.server), 1);
    end(&bed, connection);
}

static void a_server_that_closes_with_its_challenge_is_answered_on_a_new_connection(void **state)
{
    static const struct raw_step closing[] = {
        STEP_READ,
        STEP_SEND("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n"),
        STEP_CLOSE};
    static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {closing, obliging};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    struct transfer_connection *connection = begin(&bed, scripts, 2);
    ask(&bed, &exchange, connection, &basic, BODY_BYTES);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_int_equal(exchange.outcome.connection, 2);
    assert_int_equal(raw_server_body_crc32c(bed.server, 1), bed_crc32c(0, BODY_BYTES));
    end(&bed, connection);
}

static void without_a_ticket_negotiate_ends_with_the_servers_refusal(void **state)
{
    static const struct raw_step refusing[] = {STEP_READ, STEP_SEND(WANTS("Negotiate")), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {refusing};
    const struct transfer_access access = {.server = {.scheme = AUTH_NEGOTIATE}};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    assert_int_equal(setenv("KRB5CCNAME", "FILE:/nonexistent/tickets", 1), 0);
    assert_int_equal(setenv("KRB5_CONFIG", "/dev/null", 1), 0);
    struct transfer_connection *connection = begin(&bed, scripts, 1);
    ask(&bed, &exchange, connection, &access, 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 401);
    assert_string_equal(exchange.outcome.ack.schemes, "negotiate");
    assert_null(strcasestr(raw_server_head(bed.server, 0), "Authorization"));
    end(&bed, connection);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_password_goes_out_once_it_is_asked_for_and_with_the_whole_body),
    cmocka_unit_test(a_wrong_password_is_tried_once),
    cmocka_unit_test(a_host_that_may_not_see_it_is_not_told_the_password),
    cmocka_unit_test(another_host_has_to_ask_for_itself),
    cmocka_unit_test(digest_is_answered_and_pinned),
    cmocka_unit_test(the_best_scheme_that_is_offered_is_pinned),
    cmocka_unit_test(a_server_that_finds_every_nonce_stale_is_left),
    cmocka_unit_test(an_early_challenge_is_answered_too),
    cmocka_unit_test(a_body_waits_for_its_connection_to_be_authenticated),
    cmocka_unit_test(a_server_that_is_gone_before_the_answer_is_no_refusal),
    cmocka_unit_test(a_body_waits_again_where_the_connection_was_lost),
    cmocka_unit_test(a_server_that_closes_with_its_challenge_is_answered_on_a_new_connection),
    cmocka_unit_test(without_a_ticket_negotiate_ends_with_the_servers_refusal),
};

UNIT_MAIN(tests);
