/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom TLS trusts, and what is said of those that it does not. */
#include "support/certificates.h"
#include "support/folder.h"
#include "support/netbed.h"
#include "support/rawtls.h"
#include "support/unit.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTS "DNS:localhost,IP:127.0.0.1"

static const struct raw_step obliging[] = {STEP_SECURE, STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_script[] = {obliging};

/* Made once: a known issuer, an unknown one, and what they signed. */
static struct {
    char *folder;
    struct certificate *issuer, *stranger, *server;
    char *issuer_pem, *stranger_path, *server_path;
} made;

static struct certificate *make(const char *name, const char *hosts, const struct certificate *issuer, int from_days,
                                int to_days)
{
    const struct certificate_plan plan = {
        .name = name, .hosts = hosts, .is_issuer = !issuer, .from_days = from_days, .to_days = to_days};

    return certificate_new(&plan, issuer);
}

static char *write_new(const char *name, const char *hosts, const struct certificate *issuer, int from_days,
                       int to_days)
{
    struct certificate *certificate = make(name, hosts, issuer, from_days, to_days);
    char *path = certificate_write(certificate, made.folder, name);

    certificate_free(certificate);
    return path;
}

static int make_all(void **state)
{
    (void)state;
    made.folder = folder_new();
    made.issuer = make("issuer", NULL, NULL, -1, 30);
    made.stranger = make("stranger", NULL, NULL, -1, 30);
    made.server = make("server", HOSTS, made.issuer, -1, 30);
    made.issuer_pem = certificate_pem(made.issuer, NULL);
    made.stranger_path = certificate_write(made.stranger, made.folder, "stranger.pem");
    made.server_path = certificate_write(made.server, made.folder, "server.pem");
    return 0;
}

static int drop_all(void **state)
{
    (void)state;
    certificate_free(made.issuer);
    certificate_free(made.stranger);
    certificate_free(made.server);
    free(made.issuer_pem);
    free(made.stranger_path);
    free(made.server_path);
    folder_remove(made.folder);
    return 0;
}

struct tls_bed {
    struct bed bed;
    struct raw_tls *tls;
    struct transfer_access access;
    struct transfer_connection *connection;
};

static void begin(struct tls_bed *tb, const struct raw_tls_options *options)
{
    bed_begin(&tb->bed, obliging_script, 1);
    tb->tls = raw_tls_new(options);
    raw_server_secure(tb->bed.server, raw_tls_channel(tb->tls));
    tb->access = (struct transfer_access){.cacert = made.issuer_pem};
    tb->connection = bed_connection(&tb->bed);
}

static void end(struct tls_bed *tb)
{
    bed_drop(&tb->bed, tb->connection);
    bed_end(&tb->bed);
    raw_tls_free(tb->tls);
}

static void ask(struct tls_bed *tb, struct bed_exchange *exchange, const char *host, uint64_t body_bytes)
{
    bed_prepare(&tb->bed, exchange, tb->connection, body_bytes);
    (void)snprintf(exchange->url, sizeof(exchange->url), "https://%s:%d/up/a.bin", host,
                   raw_server_port(tb->bed.server));
    exchange->access = &tb->access;
    bed_start(exchange);
    bed_run(&tb->bed, &exchange->done);
}

static void assert_refused(struct tls_bed *tb, const struct bed_exchange *exchange, enum certificate_fault fault,
                           const char *words)
{
    if (exchange->outcome.transport != TRANSPORT_CERTIFICATE || exchange->outcome.certificate != fault ||
        !strstr(exchange->outcome.text, words))
        fail_msg("transport %d, fault %d: \"%s\"", exchange->outcome.transport, exchange->outcome.certificate,
                 exchange->outcome.text);
    assert_int_equal(raw_server_requests(tb->bed.server), 0);
}

/* The server shows IDENTITY, and that is FAULT. */
static void identity_is_refused(char *identity, enum certificate_fault fault, const char *words)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    begin(&tb, &(struct raw_tls_options){.identity = identity});
    ask(&tb, &exchange, "127.0.0.1", 100);
    assert_refused(&tb, &exchange, fault, words);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    end(&tb);
    free(identity);
}

static void a_body_arrives_whole_over_tls(void **state)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){.identity = made.server_path});
    for (size_t i = 0; i < 2; i++) {
        ask(&tb, &exchange, "127.0.0.1", 300000);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_int_equal(exchange.outcome.body_sent_bytes, 300000);
        assert_int_equal(raw_server_body_crc32c(tb.bed.server, i), bed_crc32c(0, 300000));
    }
    assert_int_equal(raw_server_connections(tb.bed.server), 1);
    end(&tb);
}

static void an_expired_certificate_is_called_expired(void **state)
{
    (void)state;
    identity_is_refused(write_new("old", HOSTS, made.issuer, -20, -10), CERTIFICATE_EXPIRED, "has expired");
}

static void a_certificate_of_the_future_points_at_the_clock(void **state)
{
    (void)state;
    identity_is_refused(write_new("new", HOSTS, made.issuer, 10, 20), CERTIFICATE_EXPIRED, "clock is slow");
}

static void a_certificate_for_another_host_is_called_so(void **state)
{
    (void)state;
    identity_is_refused(write_new("other", "DNS:other.example.org", made.issuer, -1, 30), CERTIFICATE_WRONG_HOST,
                        "not for the host");
}

static void an_unknown_issuer_is_called_so(void **state)
{
    (void)state;
    identity_is_refused(write_new("strange", HOSTS, made.stranger, -1, 30), CERTIFICATE_UNKNOWN_ISSUER,
                        "issuer is not trusted");
}

static void a_certificate_signed_by_itself_is_called_so(void **state)
{
    (void)state;
    identity_is_refused(write_new("self", HOSTS, NULL, -1, 30), CERTIFICATE_UNKNOWN_ISSUER, "signed by itself");
}

static void the_issuers_of_the_system_do_not_know_those_of_a_job(void **state)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){.identity = made.server_path});
    tb.access.cacert = NULL;
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_refused(&tb, &exchange, CERTIFICATE_UNKNOWN_ISSUER, "issuer is not trusted");
    end(&tb);
}

static void issuers_that_hold_no_certificate_are_called_so(void **state)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){.identity = made.server_path});
    tb.access.cacert = (char *)"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_refused(&tb, &exchange, CERTIFICATE_OWN_AUTHORITY, "holds no certificate that can be used");
    end(&tb);
}

/* The user puts the right issuer into the file and retries. */
static void issuers_count_as_they_are_now(void **state)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){.identity = made.server_path});
    tb.access.cacert = certificate_pem(made.stranger, NULL);
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_int_equal(exchange.outcome.certificate, CERTIFICATE_UNKNOWN_ISSUER);
    free(tb.access.cacert);
    tb.access.cacert = made.issuer_pem;
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    end(&tb);
}

static void the_host_that_the_server_named_must_show_its_own_certificate(void **state)
{
    _cleanup_free_ char *only_address = write_new("address", "IP:127.0.0.1", made.issuer, -1, 30);
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){.identity = only_address});
    bed_prepare(&tb.bed, &exchange, tb.connection, 0);
    exchange.access = &tb.access;
    exchange.request.target = TARGET_HOST;
    (void)snprintf(exchange.request.host, sizeof(exchange.request.host), "localhost");
    (void)snprintf(exchange.url, sizeof(exchange.url), "https://127.0.0.1:%d/a", raw_server_port(tb.bed.server));
    bed_start(&exchange);
    bed_run(&tb.bed, &exchange.done);
    assert_refused(&tb, &exchange, CERTIFICATE_WRONG_HOST, "not for the host");
    assert_string_equal(raw_tls_asked_host(tb.tls), "localhost");
    end(&tb);
}

static void a_pinned_key_must_be_the_servers(void **state)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){.identity = made.server_path});
    tb.access.pinned_key = certificate_pin(made.stranger);
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_refused(&tb, &exchange, CERTIFICATE_PINNED_KEY, "another key than the one that is pinned");
    free(tb.access.pinned_key);
    tb.access.pinned_key = certificate_pin(made.server);
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    free(tb.access.pinned_key);
    end(&tb);
}

static void versions_before_1_2_are_not_spoken(void **state)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){
                   .identity = made.server_path, .version_min = TLS1_VERSION, .version_max = TLS1_1_VERSION});
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_TLS);
    assert_int_equal(raw_server_requests(tb.bed.server), 0);
    end(&tb);
}

static char *pem_of_new(const char *name, const struct certificate *issuer, const char *password)
{
    struct certificate *certificate = make(name, NULL, issuer, -1, 30);
    char *pem = certificate_pem(certificate, password);

    certificate_free(certificate);
    return pem;
}

static void a_job_shows_its_own_certificate(void **state)
{
    _cleanup_free_ char *client = pem_of_new("client", made.stranger, NULL);
    struct tls_bed tb;
    struct bed_exchange exchange;

    (void)state;
    begin(&tb, &(struct raw_tls_options){.identity = made.server_path, .client_ca = made.stranger_path});
    tb.access.cert = client; /* with its key behind it */
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_string_equal(raw_tls_client_name(tb.tls), "client");
    end(&tb);
}

static void own_certificate_is_refused(char *cert, char *key, int version_max, const char *words)
{
    struct tls_bed tb;
    struct bed_exchange exchange;

    begin(&tb, &(struct raw_tls_options){
                   .identity = made.server_path, .client_ca = made.stranger_path, .version_max = version_max});
    tb.access.cert = cert;
    tb.access.key = key;
    ask(&tb, &exchange, "127.0.0.1", 0);
    assert_refused(&tb, &exchange, CERTIFICATE_OWN, words);
    end(&tb);
}

static void a_certificate_that_the_server_wants_and_does_not_get_is_named(void **state)
{
    (void)state;
    own_certificate_is_refused(NULL, NULL, TLS1_3_VERSION, "wants a certificate of its client");
}

static void a_certificate_that_the_server_does_not_accept_is_named(void **state)
{
    _cleanup_free_ char *client = pem_of_new("wrong", made.issuer, NULL);

    (void)state;
    own_certificate_is_refused(client, NULL, TLS1_3_VERSION, "does not accept the job's own certificate");
    own_certificate_is_refused(client, NULL, TLS1_2_VERSION, "does not accept the job's own certificate");
}

static void a_certificate_without_its_key_is_named(void **state)
{
    _cleanup_free_ char *client = pem_of_new("client", made.stranger, NULL);
    _cleanup_free_ char *other = certificate_pem(made.server, NULL);
    char nothing[] = "-----BEGIN NOTHING-----\n";

    (void)state;
    own_certificate_is_refused(nothing, NULL, 0, "cannot be used");
    own_certificate_is_refused(client, nothing, 0, "cannot be used");
    own_certificate_is_refused(client, other, 0, "do not belong together");
}

/* OpenSSL would ask for the password where the daemon was started, and wait. */
static void nobody_is_asked_for_the_password_of_a_key(void **state)
{
    _cleanup_free_ char *locked = pem_of_new("client", made.stranger, "secret");

    (void)state;
    own_certificate_is_refused(locked, NULL, 0, "cannot be used");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_arrives_whole_over_tls),
    cmocka_unit_test(an_expired_certificate_is_called_expired),
    cmocka_unit_test(a_certificate_of_the_future_points_at_the_clock),
    cmocka_unit_test(a_certificate_for_another_host_is_called_so),
    cmocka_unit_test(an_unknown_issuer_is_called_so),
    cmocka_unit_test(a_certificate_signed_by_itself_is_called_so),
    cmocka_unit_test(the_issuers_of_the_system_do_not_know_those_of_a_job),
    cmocka_unit_test(issuers_that_hold_no_certificate_are_called_so),
    cmocka_unit_test(issuers_count_as_they_are_now),
    cmocka_unit_test(the_host_that_the_server_named_must_show_its_own_certificate),
    cmocka_unit_test(a_pinned_key_must_be_the_servers),
    cmocka_unit_test(versions_before_1_2_are_not_spoken),
    cmocka_unit_test(a_job_shows_its_own_certificate),
    cmocka_unit_test(a_certificate_that_the_server_wants_and_does_not_get_is_named),
    cmocka_unit_test(a_certificate_that_the_server_does_not_accept_is_named),
    cmocka_unit_test(a_certificate_without_its_key_is_named),
    cmocka_unit_test(nobody_is_asked_for_the_password_of_a_key),
};

int main(void)
{
    cmocka_set_test_filter(getenv("BITSQ_TEST"));
    return cmocka_run_group_tests(tests, make_all, drop_all);
}
