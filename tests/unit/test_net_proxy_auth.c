/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A proxy that wants to know who asks, of requests over plain http. The scripted server is it, and the server too. */
#include "support/netbed.h"
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

#define BODY_BYTES   100000
#define URL          "http://up.example.org/in/a.bin"
#define ORIGIN       "up.example.org:80"
#define PROXY_BASIC  "\r\nProxy-Authorization: Basic YW5uYTpzZWNyZXQ=\r\n" /* anna:secret */
#define SERVER_BASIC "\r\nAuthorization: Basic YmVydGE6aGlkZGVu\r\n"       /* berta:hidden */

#define REFUSAL(status, header, scheme) \
    "HTTP/1.1 " status " No\r\n" header ": " scheme "\r\nContent-Length: 3\r\n\r\nno\n"
#define PROXY_WANTS(scheme)  REFUSAL("407", "Proxy-Authenticate", scheme)
#define SERVER_WANTS(scheme) REFUSAL("401", "WWW-Authenticate", scheme)
#define DIGEST               "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\""
/* A challenge of a proxy that speaks Unicode, with neither names nor extras. */
#define NTLM_CHALLENGE "NTLM TlRMTVNTUAACAAAAAAAAADAAAAABAgAAASNFZ4mrze8AAAAAAAAAAAAAAAAwAAAA"

struct proxy_bed {
    struct bed bed;
    struct transfer_connection *connection;
    struct transfer_access access;
    char proxy_url[64];
};

static void begin(struct proxy_bed *pb, const struct raw_step *const *scripts, enum auth_scheme scheme)
{
    bed_begin(&pb->bed, scripts, 1);
    pb->connection = bed_connection(&pb->bed);
    (void)snprintf(pb->proxy_url, sizeof(pb->proxy_url), "http://127.0.0.1:%d", raw_server_port(pb->bed.server));
    pb->access = (struct transfer_access){
        .proxy_url = pb->proxy_url,
        .proxy = {.scheme = scheme, .user = (char *)"anna", .password = (char *)"secret"},
    };
}

static void end(struct proxy_bed *pb)
{
    bed_drop(&pb->bed, pb->connection);
    bed_end(&pb->bed);
}

static void ask(struct proxy_bed *pb, struct bed_exchange *exchange, uint64_t body_bytes)
{
    bed_prepare(&pb->bed, exchange, pb->connection, body_bytes);
    (void)snprintf(exchange->url, sizeof(exchange->url), "%s", URL);
    (void)snprintf(exchange->origin, sizeof(exchange->origin), "%s", ORIGIN);
    exchange->access = &pb->access;
    bed_start(exchange);
    bed_run(&pb->bed, &exchange->done);
}

static bool has(struct proxy_bed *pb, size_t request, const char *text)
{
    return strcasestr(raw_server_head(pb->bed.server, request), text) != NULL;
}

/* The first is sent again in answer to the challenge, the second is not challenged any more. */
static void two_bodies_take_three_requests(enum auth_scheme scheme, const char *challenge, const char *answer)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(challenge), STEP_READ, STEP_SEND(ACK_EMPTY),
                                     STEP_READ, STEP_SEND(ACK_EMPTY), STEP_END};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    begin(&pb, scripts, scheme);
    for (size_t i = 0; i < 2; i++) {
        ask(&pb, &exchange, BODY_BYTES);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_int_equal(exchange.outcome.ack.status, 200);
        assert_int_equal(exchange.outcome.heads_sent, 1);
        assert_false(exchange.outcome.proxy_answered);
        assert_true(has(&pb, 1 + i, answer));
        assert_int_equal(raw_server_body_crc32c(pb.bed.server, 1 + i), bed_crc32c(0, BODY_BYTES));
    }
    assert_false(has(&pb, 0, "Authorization"));
    assert_int_equal(raw_server_requests(pb.bed.server), 3);
    end(&pb);
}

static void a_proxys_challenge_is_answered_and_remembered(void **state)
{
    (void)state;
    two_bodies_take_three_requests(AUTH_BASIC, PROXY_WANTS("Basic realm=\"r\""), PROXY_BASIC);
    two_bodies_take_three_requests(AUTH_DIGEST, PROXY_WANTS(DIGEST),
                                   "\r\nProxy-Authorization: Digest username=\"anna\"");
}

static void the_scheme_that_a_proxy_chose_is_remembered(void **state)
{
    (void)state;
    two_bodies_take_three_requests(AUTH_ANY, PROXY_WANTS(DIGEST), "\r\nProxy-Authorization: Digest username=\"anna\"");
    two_bodies_take_three_requests(AUTH_ANY, PROXY_WANTS("Basic realm=\"r\""), PROXY_BASIC);
}

static void proxy_and_server_each_get_what_is_theirs(void **state)
{
    static const struct raw_step steps[] = {STEP_READ, STEP_SEND(PROXY_WANTS("Basic realm=\"way out\"")),
                                            STEP_READ, STEP_SEND(SERVER_WANTS("Basic realm=\"up\"")),
                                            STEP_READ, STEP_SEND(ACK_EMPTY),
                                            STEP_END};
    static const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, AUTH_BASIC);
    pb.access.server =
        (struct transfer_secret){.scheme = AUTH_BASIC, .user = (char *)"berta", .password = (char *)"hidden"};
    ask(&pb, &exchange, BODY_BYTES);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_false(has(&pb, 0, "Authorization"));
    assert_true(has(&pb, 1, PROXY_BASIC));
    assert_false(has(&pb, 1, "\r\nAuthorization"));
    assert_true(has(&pb, 2, PROXY_BASIC));
    assert_true(has(&pb, 2, SERVER_BASIC));
    assert_int_equal(raw_server_body_crc32c(pb.bed.server, 2), bed_crc32c(0, BODY_BYTES));
    end(&pb);
}

/* It asks in the place of the server: what is for the server stays here. */
static void a_proxy_that_asks_as_a_server_would_does_not_learn_its_own_password(void **state)
{
    static const struct raw_step steps[] = {STEP_READ, STEP_SEND(SERVER_WANTS("Basic realm=\"r\"")), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, AUTH_BASIC);
    ask(&pb, &exchange, BODY_BYTES);
    assert_int_equal(exchange.outcome.ack.status, 401);
    assert_false(exchange.outcome.proxy_answered);
    assert_int_equal(raw_server_requests(pb.bed.server), 1);
    end(&pb);
}

static void a_password_that_the_proxy_refuses_is_tried_once(void **state)
{
    static const struct raw_step steps[] = {STEP_READ, STEP_SEND(PROXY_WANTS("Basic realm=\"r\"")), STEP_AGAIN};
    static const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, AUTH_BASIC);
    ask(&pb, &exchange, BODY_BYTES);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 407);
    assert_true(exchange.outcome.proxy_answered);
    assert_int_equal(raw_server_requests(pb.bed.server), 2);
    end(&pb);
}

static void a_body_waits_for_the_proxy_to_know_the_connection(void **state)
{
    static const struct raw_step steps[] = {
        STEP_READ, STEP_SEND(PROXY_WANTS("NTLM")), STEP_READ, STEP_SEND(PROXY_WANTS(NTLM_CHALLENGE)),
        STEP_READ, STEP_SEND(ACK_EMPTY),           STEP_READ, STEP_SEND(ACK_EMPTY),
        STEP_END};
    static const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, AUTH_NTLM);
    ask(&pb, &exchange, BODY_BYTES);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_UNAUTHENTICATED);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    assert_int_equal(exchange.outcome.body_sent_bytes, 0);
    assert_int_equal(raw_server_requests(pb.bed.server), 0);
    ask(&pb, &exchange, 0);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(raw_server_requests(pb.bed.server), 3);
    ask(&pb, &exchange, BODY_BYTES);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(raw_server_requests(pb.bed.server), 4);
    assert_int_equal(raw_server_body_crc32c(pb.bed.server, 3), bed_crc32c(0, BODY_BYTES));
    end(&pb);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_proxys_challenge_is_answered_and_remembered),
    cmocka_unit_test(the_scheme_that_a_proxy_chose_is_remembered),
    cmocka_unit_test(proxy_and_server_each_get_what_is_theirs),
    cmocka_unit_test(a_proxy_that_asks_as_a_server_would_does_not_learn_its_own_password),
    cmocka_unit_test(a_password_that_the_proxy_refuses_is_tried_once),
    cmocka_unit_test(a_body_waits_for_the_proxy_to_know_the_connection),
};
UNIT_MAIN(tests);
