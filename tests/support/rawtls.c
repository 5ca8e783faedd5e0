/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/rawtls.h"

#include <assert.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct raw_tls {
    SSL_CTX *context;
    struct raw_channel channel;
    pthread_mutex_t lock;
    char asked_host[256];
    char client_name[256];
};

/* Before the server shows its certificate: a client that refuses that is gone soon after. */
static int note_asked_host(SSL *ssl, int *alert, void *userdata)
{
    struct raw_tls *tls = userdata;
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    (void)pthread_mutex_lock(&tls->lock);
    (void)snprintf(tls->asked_host, sizeof(tls->asked_host), "%s", host ? host : "");
    (void)pthread_mutex_unlock(&tls->lock);
    return SSL_TLSEXT_ERR_OK;
}

static void note_client(struct raw_tls *tls, SSL *ssl)
{
    X509 *peer = SSL_get1_peer_certificate(ssl);

    (void)pthread_mutex_lock(&tls->lock);
    tls->client_name[0] = '\0';
    if (peer)
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, tls->client_name,
                                        sizeof(tls->client_name));
    (void)pthread_mutex_unlock(&tls->lock);
    X509_free(peer);
}

static void *open_stream(void *userdata, int fd)
{
    struct raw_tls *tls = userdata;
    SSL *ssl = SSL_new(tls->context);

    assert(ssl);
    (void)SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        note_client(tls, ssl);
        return ssl;
    }
    SSL_free(ssl);
    return NULL;
}

static ssize_t receive(void *stream, void *buffer, size_t size)
{
    size_t n = 0;

    return SSL_read_ex(stream, buffer, size, &n) == 1 ? (ssize_t)n : -1;
}

static ssize_t send_to(void *stream, const void *data, size_t size)
{
    size_t n = 0;

    return SSL_write_ex(stream, data, size, &n) == 1 ? (ssize_t)n : -1;
}

static void close_stream(void *stream)
{
    SSL_free(stream);
}

struct raw_tls *raw_tls_new(const struct raw_tls_options *options)
{
    struct raw_tls *tls = calloc(1, sizeof(*tls));

    assert(tls);
    (void)pthread_mutex_init(&tls->lock, NULL);
    tls->context = SSL_CTX_new(TLS_server_method());
    assert(tls->context);
    /* Level 0, or OpenSSL itself would refuse the old versions that some tests offer. */
    SSL_CTX_set_security_level(tls->context, 0);
    int r = SSL_CTX_use_certificate_chain_file(tls->context, options->identity);
    assert(r == 1);
    r = SSL_CTX_use_PrivateKey_file(tls->context, options->identity, SSL_FILETYPE_PEM);
    assert(r == 1);
    (void)SSL_CTX_set_min_proto_version(tls->context, options->version_min);
    (void)SSL_CTX_set_max_proto_version(tls->context, options->version_max);
    (void)SSL_CTX_set_tlsext_servername_callback(tls->context, note_asked_host);
    (void)SSL_CTX_set_tlsext_servername_arg(tls->context, tls);
    if (options->client_ca) {
        r = SSL_CTX_load_verify_locations(tls->context, options->client_ca, NULL);
        assert(r == 1);
        SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    tls->channel = (struct raw_channel){
        .open = open_stream, .receive = receive, .send = send_to, .close = close_stream, .userdata = tls};
    return tls;
}

void raw_tls_free(struct raw_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls);
}

const struct raw_channel *raw_tls_channel(const struct raw_tls *tls)
{
    return &tls->channel;
}

const char *raw_tls_asked_host(struct raw_tls *tls)
{
    return tls->asked_host;
}

const char *raw_tls_client_name(struct raw_tls *tls)
{
    return tls->client_name;
}
