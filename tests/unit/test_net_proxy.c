/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Through a proxy. The scripted server is the proxy, and behind a tunnel the server as well. */
#include "support/certificates.h"
#include "support/folder.h"
#include "support/netbed.h"
#include "support/rawtls.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESTABLISHED "HTTP/1.1 200 Connection established\r\n\r\n"
#define CHALLENGE_BASIC                                                                                             \
    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"way out\"\r\nContent-Length: " \
    "0\r\n\r\n"
#define CHALLENGE_DIGEST                                                                                          \
    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Digest realm=\"way out\", nonce=\"abc\", " \
    "qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"
#define PLAIN_URL  "http://up.example.org/in/a.bin"
#define TUNNEL_URL "https://up.example.org/in/a.bin"

struct proxy_bed {
    struct bed bed;
    struct transfer_connection *connection;
    struct transfer_access access;
    char proxy_url[64];
    char *folder;
    char *issuer;   /* PEM */
    char *identity; /* path */
    struct raw_tls *tls;
};

static void make_identity(struct proxy_bed *pb)
{
    const struct certificate_plan issuer_plan = {.name = "issuer", .is_issuer = true, .from_days = -1, .to_days = 30};
    const struct certificate_plan plan = {
        .name = "server", .hosts = "DNS:up.example.org,IP:127.0.0.1", .from_days = -1, .to_days = 30};
    struct certificate *issuer = certificate_new(&issuer_plan, NULL), *server = certificate_new(&plan, issuer);

    pb->folder = folder_new();
    pb->issuer = certificate_pem(issuer, NULL);
    pb->identity = certificate_write(server, pb->folder, "server");
    certificate_free(issuer);
    certificate_free(server);
}

static void begin(struct proxy_bed *pb, const struct raw_step *const *scripts, size_t count)
{
    *pb = (struct proxy_bed){0};
    bed_begin(&pb->bed, scripts, count);
    make_identity(pb);
    pb->tls = raw_tls_new(&(struct raw_tls_options){.identity = pb->identity});
    raw_server_secure(pb->bed.server, raw_tls_channel(pb->tls));
    pb->connection = bed_connection(&pb->bed);
    (void)snprintf(pb->proxy_url, sizeof(pb->proxy_url), "http://127.0.0.1:%d", raw_server_port(pb->bed.server));
    pb->access = (struct transfer_access){.proxy_url = pb->proxy_url, .cacert = pb->issuer};
}

static void end(struct proxy_bed *pb)
{
    bed_drop(&pb->bed, pb->connection);
    bed_end(&pb->bed);
    raw_tls_free(pb->tls);
    folder_remove(pb->folder);
    free(pb->issuer);
    free(pb->identity);
}

static void ask(struct proxy_bed *pb, struct bed_exchange *exchange, const char *url, uint64_t body_bytes)
{
    bed_prepare(&pb->bed, exchange, pb->connection, body_bytes);
    (void)snprintf(exchange->url, sizeof(exchange->url), "%s", url);
    exchange->access = &pb->access;
    bed_start(exchange);
    bed_run(&pb->bed, &exchange->done);
}

/* One exchange with URL while all connections play STEPS. */
static void ask_once(const struct raw_step *steps, const char *url, struct bed_exchange *exchange)
{
    const struct raw_step *const scripts[] = {steps};
    struct proxy_bed pb;

    begin(&pb, scripts, 1);
    ask(&pb, exchange, url, 0);
    end(&pb);
}

static void sign_in(struct proxy_bed *pb, enum auth_scheme scheme)
{
    pb->access.proxy = (struct transfer_secret){.scheme = scheme, .user = (char *)"anna", .password = (char *)"secret"};
}

static bool has_header(struct proxy_bed *pb, size_t request, const char *name)
{
    return strcasestr(raw_server_head(pb->bed.server, request), name) != NULL;
}

static void begins_with(struct proxy_bed *pb, size_t request, const char *line)
{
    const char *head = raw_server_head(pb->bed.server, request);

    if (strncmp(head, line, strlen(line)) != 0)
        fail_msg("request %zu is %.60s", request, head);
}

static void http_is_asked_of_the_proxy_by_its_whole_url(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    ask(&pb, &exchange, PLAIN_URL, 5000);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_false(exchange.outcome.proxy_answered);
    begins_with(&pb, 0, "BITS_POST " PLAIN_URL " HTTP/1.1\r\nHost: up.example.org\r\n");
    assert_int_equal(raw_server_body_crc32c(pb.bed.server, 0), bed_crc32c(0, 5000));
    end(&pb);
}

static void https_goes_through_a_tunnel_that_learns_nothing(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(ESTABLISHED), STEP_SECURE, STEP_READ, STEP_SEND(ACK_EMPTY),
                                     STEP_READ, STEP_SEND(ACK_EMPTY),   STEP_END};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    ask(&pb, &exchange, TUNNEL_URL, 5000);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_true(exchange.outcome.ack.is_ack);
    ask(&pb, &exchange, TUNNEL_URL, 10);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    begins_with(&pb, 0, "CONNECT up.example.org:443 HTTP/1.1\r\n");
    assert_false(has_header(&pb, 0, "BITS-"));
    begins_with(&pb, 1, "BITS_POST /in/a.bin HTTP/1.1\r\n");
    begins_with(&pb, 2, "BITS_POST /in/a.bin HTTP/1.1\r\n");
    assert_int_equal(raw_server_body_crc32c(pb.bed.server, 1), bed_crc32c(0, 5000));
    assert_string_equal(raw_tls_asked_host(pb.tls), "up.example.org");
    end(&pb);
}

static void a_proxy_may_speak_tls_itself(void **state)
{
    const struct raw_step steps[] = {STEP_SECURE, STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    (void)snprintf(pb.proxy_url, sizeof(pb.proxy_url), "https://127.0.0.1:%d", raw_server_port(pb.bed.server));
    ask(&pb, &exchange, PLAIN_URL, 100);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    begins_with(&pb, 0, "BITS_POST " PLAIN_URL " HTTP/1.1\r\n");
    pb.access.cacert = NULL; /* its issuer is unknown now */
    ask(&pb, &exchange, PLAIN_URL, 100);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_PROXY);
    assert_non_null(strstr(exchange.outcome.text, "certificate"));
    assert_int_equal(raw_server_requests(pb.bed.server), 1);
    end(&pb);
}

static void a_host_of_the_bypass_list_is_asked_directly(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    (void)snprintf(pb.proxy_url, sizeof(pb.proxy_url), "http://127.0.0.1:1");
    pb.access.noproxy = (char *)"127.0.0.0/8";
    bed_prepare(&pb.bed, &exchange, pb.connection, 0);
    exchange.access = &pb.access;
    bed_start(&exchange);
    bed_run(&pb.bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    begins_with(&pb, 0, "BITS_POST /up/a.bin HTTP/1.1\r\n");
    end(&pb);
}

/* The daemon serves users whose environments are not its own. */
static void the_environment_of_the_daemon_does_not_count(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:1", 1);
    bed_exchange(&pb.bed, &exchange, pb.connection, 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    (void)setenv("no_proxy", "*", 1);
    ask(&pb, &exchange, PLAIN_URL, 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    (void)unsetenv("http_proxy");
    (void)unsetenv("all_proxy");
    (void)unsetenv("no_proxy");
    end(&pb);
}

static void a_407_is_told_as_the_proxys_answer(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(CHALLENGE_BASIC), STEP_AGAIN};
    static const char *const urls[] = {PLAIN_URL, TUNNEL_URL};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bed_exchange exchange;
        ask_once(steps, urls[i], &exchange);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_int_equal(exchange.outcome.ack.status, 407);
        assert_true(exchange.outcome.proxy_answered);
        assert_true(exchange.outcome.ack.has_authenticate);
        assert_string_equal(exchange.outcome.ack.schemes, "basic");
    }
}

static void a_tunnel_is_asked_for_with_credentials_only_after_a_challenge(void **state)
{
    const struct raw_step steps[] = {
        STEP_READ, STEP_SEND(CHALLENGE_BASIC), STEP_READ, STEP_SEND(ESTABLISHED), STEP_SECURE,
        STEP_READ, STEP_SEND(ACK_EMPTY),       STEP_END};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    sign_in(&pb, AUTH_BASIC);
    ask(&pb, &exchange, TUNNEL_URL, 100);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_false(has_header(&pb, 0, "Proxy-Authorization"));
    assert_true(has_header(&pb, 1, "\r\nProxy-Authorization: Basic YW5uYTpzZWNyZXQ=\r\n"));
    begins_with(&pb, 2, "BITS_POST /in/a.bin");
    assert_false(has_header(&pb, 2, "Authorization"));
    end(&pb);
}

static void a_tunnel_is_asked_for_with_digest(void **state)
{
    const struct raw_step steps[] = {
        STEP_READ, STEP_SEND(CHALLENGE_DIGEST), STEP_READ, STEP_SEND(ESTABLISHED), STEP_SECURE,
        STEP_READ, STEP_SEND(ACK_EMPTY),        STEP_END};
    const struct raw_step *const scripts[] = {steps};
    static const enum auth_scheme schemes[] = {AUTH_DIGEST, AUTH_ANY};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bed_exchange exchange;
        struct proxy_bed pb;
        begin(&pb, scripts, 1);
        sign_in(&pb, schemes[i]);
        ask(&pb, &exchange, TUNNEL_URL, 100);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_false(has_header(&pb, 0, "Proxy-Authorization"));
        assert_true(has_header(&pb, 1, "\r\nProxy-Authorization: Digest username=\"anna\""));
        end(&pb);
    }
}

static void wrong_credentials_are_tried_once(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(CHALLENGE_BASIC), STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    sign_in(&pb, AUTH_BASIC);
    ask(&pb, &exchange, TUNNEL_URL, 100);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 407);
    assert_true(exchange.outcome.proxy_answered);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    assert_int_equal(raw_server_requests(pb.bed.server), 2);
    end(&pb);
}

static void a_proxy_that_connects_nobody_is_named(void **state)
{
    const struct raw_step refusing[] = {STEP_READ, STEP_SEND("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
                                        STEP_AGAIN};
    const struct raw_step closing[] = {STEP_READ, STEP_CLOSE, STEP_END};
    const struct raw_step babbling[] = {STEP_READ, STEP_SEND("SSH-2.0-no proxy\r\n\r\n"), STEP_CLOSE, STEP_END};
    struct bed_exchange exchange;

    (void)state;
    ask_once(refusing, TUNNEL_URL, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_PROXY);
    assert_string_equal(exchange.outcome.text, "the proxy answered 403 to CONNECT");
    assert_int_equal(exchange.outcome.ack.status, 0);
    ask_once(closing, TUNNEL_URL, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_PROXY);
    ask_once(babbling, TUNNEL_URL, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_PROXY);
}

static void a_proxy_that_is_not_there_is_named(void **state)
{
    const struct raw_step steps[] = {STEP_END};
    const struct raw_step *const scripts[] = {steps};
    static const char *const urls[] = {PLAIN_URL, TUNNEL_URL};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bed_exchange exchange;
        struct proxy_bed pb;
        begin(&pb, scripts, 1);
        (void)snprintf(pb.proxy_url, sizeof(pb.proxy_url), "http://127.0.0.1:1");
        ask(&pb, &exchange, urls[i], 0);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_PROXY);
        assert_non_null(strstr(exchange.outcome.text, "127.0.0.1 port 1"));
        end(&pb);
    }
}

static void a_proxy_that_says_nothing_is_given_up_in_time(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_END};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    bed_prepare(&pb.bed, &exchange, pb.connection, 0);
    (void)snprintf(exchange.url, sizeof(exchange.url), TUNNEL_URL);
    exchange.access = &pb.access;
    exchange.request.connect_timeout_usec = 300 * USEC_PER_MSEC;
    bed_start(&exchange);
    bed_run(&pb.bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_PROXY);
    end(&pb);
}

static void a_certificate_behind_a_tunnel_is_the_servers(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(ESTABLISHED), STEP_SECURE, STEP_END};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct proxy_bed pb;

    (void)state;
    begin(&pb, scripts, 1);
    ask(&pb, &exchange, "https://other.example.org/", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_CERTIFICATE);
    assert_int_equal(exchange.outcome.certificate, CERTIFICATE_WRONG_HOST);
    end(&pb);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(http_is_asked_of_the_proxy_by_its_whole_url),
    cmocka_unit_test(https_goes_through_a_tunnel_that_learns_nothing),
    cmocka_unit_test(a_proxy_may_speak_tls_itself),
    cmocka_unit_test(a_host_of_the_bypass_list_is_asked_directly),
    cmocka_unit_test(the_environment_of_the_daemon_does_not_count),
    cmocka_unit_test(a_407_is_told_as_the_proxys_answer),
    cmocka_unit_test(a_tunnel_is_asked_for_with_credentials_only_after_a_challenge),
    cmocka_unit_test(a_tunnel_is_asked_for_with_digest),
    cmocka_unit_test(wrong_credentials_are_tried_once),
    cmocka_unit_test(a_proxy_that_connects_nobody_is_named),
    cmocka_unit_test(a_proxy_that_is_not_there_is_named),
    cmocka_unit_test(a_proxy_that_says_nothing_is_given_up_in_time),
    cmocka_unit_test(a_certificate_behind_a_tunnel_is_the_servers),
};
UNIT_MAIN(tests);
