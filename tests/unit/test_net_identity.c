/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection that is handed on never speaks as somebody else than its new user. */
#include "support/certificates.h"
#include "support/folder.h"
#include "support/netbed.h"
#include "support/rawtls.h"
#include "support/unit.h"

#include "net/identity.h"

#include <stdio.h>
#include <string.h>

static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_script[] = {obliging};
static const struct raw_step obliging_tls[] = {STEP_SECURE, STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_tls_script[] = {obliging_tls};

static void ask(struct bed *bed, struct transfer_connection *connection, const struct transfer_access *access)
{
    struct bed_exchange exchange;

    bed_prepare(bed, &exchange, connection, 0);
    exchange.access = access;
    bed_start(&exchange);
    bed_run(bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
}

/* How many TCP connections two jobs need that have a connection one after the other. */
static size_t connections_of(const struct transfer_access *first, const struct transfer_access *second)
{
    struct bed bed;

    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    ask(&bed, connection, first);
    ask(&bed, connection, second);
    size_t connections = raw_server_connections(bed.server);
    bed_drop(&bed, connection);
    bed_end(&bed);
    return connections;
}

static struct transfer_access somebody(void)
{
    return (struct transfer_access){
        .server = {.scheme = AUTH_NTLM, .user = (char *)"anna", .password = (char *)"secret"},
        .noproxy = (char *)"*",
    };
}

static void the_same_user_goes_on_over_the_same_connection(void **state)
{
    struct transfer_access first = somebody(), second = somebody();
    char user[] = "anna";

    (void)state;
    second.server.user = user; /* another copy */
    assert_int_equal(connections_of(&first, &second), 1);
    assert_int_equal(connections_of(NULL, NULL), 1);
}

static void what_goes_with_each_request_does_not_need_a_connection(void **state)
{
    struct transfer_access first = somebody(), second = somebody();

    (void)state;
    second.server.token = (char *)"newer";
    second.user_agent = (char *)"another/1.0";
    second.headers = (char *)"X-Name: value\0";
    assert_int_equal(connections_of(&first, &second), 1);
}

static void another_user_begins_with_a_connection_of_its_own(void **state)
{
    struct transfer_access first = somebody(), second = somebody();

    (void)state;
    second.server.user = (char *)"berta";
    assert_int_equal(connections_of(&first, &second), 2);
    assert_int_equal(connections_of(&first, NULL), 2);
    assert_int_equal(connections_of(NULL, &second), 2);
}

static void assert_differ(const struct transfer_access *other, const char *what)
{
    struct transfer_access access = somebody();
    struct identity a, b;

    assert_int_equal(identity_of(&access, "up:80", "up:80", &a), 0);
    assert_int_equal(identity_of(other, "up:80", "up:80", &b), 0);
    if (identity_equal(&a, &b))
        fail_msg("another %s is taken for the same", what);
    identity_done(&a);
    identity_done(&b);
}

#define ASSERT_DIFFERS_BY(field, value)         \
    do {                                        \
        struct transfer_access o_ = somebody(); \
        o_.field = (value);                     \
        assert_differ(&o_, #field);             \
    } while (0)

static void whatever_a_peer_may_know_us_by_makes_another_identity(void **state)
{
    (void)state;
    ASSERT_DIFFERS_BY(server.scheme, AUTH_NEGOTIATE);
    ASSERT_DIFFERS_BY(server.user, NULL);
    ASSERT_DIFFERS_BY(server.password, (char *)"other");
    ASSERT_DIFFERS_BY(server.hosts, (char *)"up");
    ASSERT_DIFFERS_BY(proxy.scheme, AUTH_NTLM);
    ASSERT_DIFFERS_BY(proxy.user, (char *)"anna");
    ASSERT_DIFFERS_BY(proxy.password, (char *)"secret");
    ASSERT_DIFFERS_BY(proxy_url, (char *)"http://proxy:3128");
    ASSERT_DIFFERS_BY(noproxy, NULL);
    ASSERT_DIFFERS_BY(cert, (char *)"PEM");
    ASSERT_DIFFERS_BY(key, (char *)"PEM");
    ASSERT_DIFFERS_BY(cacert, (char *)"PEM");
    ASSERT_DIFFERS_BY(pinned_key, (char *)"sha256//AAAA");
    ASSERT_DIFFERS_BY(over_http, true);
}

static void texts_that_run_together_are_not_taken_for_each_other(void **state)
{
    struct transfer_access first = somebody(), second = somebody();
    struct identity a, b;

    (void)state;
    first.server.user = (char *)"anna+secret";
    first.server.password = NULL;
    assert_int_equal(identity_of(&first, "up:80", "up:80", &a), 0);
    assert_int_equal(identity_of(&second, "up:80", "up:80", &b), 0);
    assert_false(identity_equal(&a, &b));
    identity_done(&b);
    assert_int_equal(identity_of(&first, "up:81", "up:80", &b), 0);
    assert_false(identity_equal(&a, &b));
    identity_done(&b);
    assert_int_equal(identity_of(&first, "up:80", "up:81", &b), 0);
    assert_false(identity_equal(&a, &b));
    identity_done(&a);
    identity_done(&b);
}

static struct certificate *signed_by(const struct certificate *issuer, const char *name, const char *hosts)
{
    const struct certificate_plan plan = {.name = name, .hosts = hosts, .from_days = -1, .to_days = 30};

    return certificate_new(&plan, issuer);
}

static char *pem_signed_by(const struct certificate *issuer, const char *name)
{
    struct certificate *certificate = signed_by(issuer, name, NULL);
    char *pem = certificate_pem(certificate, NULL);

    certificate_free(certificate);
    return pem;
}

static void ask_over_tls(struct bed *bed, struct transfer_connection *connection, const struct transfer_access *access)
{
    struct bed_exchange exchange;

    bed_prepare(bed, &exchange, connection, 0);
    (void)snprintf(exchange.url, sizeof(exchange.url), "https://127.0.0.1:%d/a", raw_server_port(bed->server));
    exchange.access = access;
    bed_start(&exchange);
    bed_run(bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
}

static void a_certificate_of_one_job_is_not_shown_for_the_next(void **state)
{
    const struct certificate_plan plan = {.name = "issuer", .is_issuer = true, .from_days = -1, .to_days = 30};
    char *folder = folder_new();
    struct certificate *issuer = certificate_new(&plan, NULL);
    struct certificate *server = signed_by(issuer, "server", "IP:127.0.0.1");
    _cleanup_free_ char *authority_path = certificate_write(issuer, folder, "issuer");
    _cleanup_free_ char *server_path = certificate_write(server, folder, "server");
    _cleanup_free_ char *authority = certificate_pem(issuer, NULL);
    _cleanup_free_ char *anna = pem_signed_by(issuer, "anna");
    _cleanup_free_ char *berta = pem_signed_by(issuer, "berta");
    struct transfer_access access = {.cacert = authority, .cert = anna};
    struct bed bed;

    (void)state;
    bed_begin(&bed, obliging_tls_script, 1);
    struct raw_tls *tls = raw_tls_new(&(struct raw_tls_options){.identity = server_path, .client_ca = authority_path});
    raw_server_secure(bed.server, raw_tls_channel(tls));
    struct transfer_connection *connection = bed_connection(&bed);
    ask_over_tls(&bed, connection, &access);
    assert_string_equal(raw_tls_client_name(tls), "anna");
    access.cert = berta;
    ask_over_tls(&bed, connection, &access);
    assert_string_equal(raw_tls_client_name(tls), "berta");
    bed_drop(&bed, connection);
    bed_end(&bed);
    raw_tls_free(tls);
    certificate_free(server);
    certificate_free(issuer);
    folder_remove(folder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_same_user_goes_on_over_the_same_connection),
    cmocka_unit_test(what_goes_with_each_request_does_not_need_a_connection),
    cmocka_unit_test(another_user_begins_with_a_connection_of_its_own),
    cmocka_unit_test(whatever_a_peer_may_know_us_by_makes_another_identity),
    cmocka_unit_test(texts_that_run_together_are_not_taken_for_each_other),
    cmocka_unit_test(a_certificate_of_one_job_is_not_shown_for_the_next),
};
UNIT_MAIN(tests);
