/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "server.h"
#include "text.h"

#define REALM             "bits-server"
#define DIGEST_BYTES_MAX  32
#define DIGEST_HEX_MAX    (2 * DIGEST_BYTES_MAX + 1)
#define PARAMETER_MAX     4096
#define NONCE_SECRET_SIZE 16

struct auth {
    enum auth_scheme scheme;
    char *user;
    unsigned refusal_status;
    unsigned char nonce_secret[NONCE_SECRET_SIZE];

    pthread_mutex_t lock; /* what follows */
    char *secret;
    uint64_t nonces;      /* made so far */
    uint64_t first_nonce; /* older ones are stale */
};

struct auth *auth_new(enum auth_scheme scheme, const char *user, const char *secret, unsigned refusal_status)
{
    struct auth *auth = calloc(1, sizeof(*auth));

    if (auth == NULL)
        return NULL;
    auth->scheme = scheme;
    auth->refusal_status = refusal_status;
    auth->user = strdup(user);
    auth->secret = strdup(secret);
    auth->first_nonce = 1;
    pthread_mutex_init(&auth->lock, NULL);
    if (auth->user == NULL || auth->secret == NULL ||
        getrandom(auth->nonce_secret, NONCE_SECRET_SIZE, 0) != NONCE_SECRET_SIZE)
        return auth_free(auth);
    return auth;
}

struct auth *auth_free(struct auth *auth)
{
    if (auth == NULL)
        return NULL;
    pthread_mutex_destroy(&auth->lock);
    free(auth->user);
    free(auth->secret);
    free(auth);
    return NULL;
}

void auth_scheme_of(const char *credential, char *ret, unsigned long size)
{
    snprintf(ret, size, "%.*s", (int)strcspn(credential, " \t"), credential);
}

/* The credential behind this scheme's name, or NULL. */
static const char *credential_of(const char *header, const char *scheme)
{
    size_t length = strlen(scheme);

    if (header == NULL || strncasecmp(header, scheme, length) != 0 || header[length] != ' ')
        return NULL;
    return header + length + strspn(header + length, " ");
}

static gnutls_digest_algorithm_t algorithm(const struct auth *auth)
{
    return auth->scheme == AUTH_DIGEST_SHA256 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_MD5;
}

/* The digest of what FORMAT makes, in lower-case hexadecimal. */
static void digest(const struct auth *auth, char ret[DIGEST_HEX_MAX], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void digest(const struct auth *auth, char ret[DIGEST_HEX_MAX], const char *format, ...)
{
    unsigned char raw[DIGEST_BYTES_MAX];
    unsigned length = gnutls_hash_get_len(algorithm(auth));
    va_list arguments;
    char *text;
    int r;

    va_start(arguments, format);
    r = vasprintf(&text, format, arguments);
    va_end(arguments);
    assert(r >= 0);
    r = gnutls_hash_fast(algorithm(auth), text, strlen(text), raw);
    assert(r == 0);
    for (unsigned i = 0; i < length; i++)
        snprintf(ret + 2 * i, 3, "%02x", raw[i]);
    free(text);
}

/* A nonce carries its number and a proof that it is ours, so that none has to be kept. */
static void make_nonce(const struct auth *auth, uint64_t number, char *ret, size_t size)
{
    char proof[DIGEST_HEX_MAX], secret[2 * NONCE_SECRET_SIZE + 1];

    for (size_t i = 0; i < NONCE_SECRET_SIZE; i++)
        snprintf(secret + 2 * i, 3, "%02x", auth->nonce_secret[i]);
    digest(auth, proof, "%s:%" PRIu64, secret, number);
    snprintf(ret, size, "%" PRIu64 ".%s", number, proof);
}

/* The value of NAME in "name=value, name="quoted value"", unquoted. */
static bool parameter(const char *list, const char *name, char ret[PARAMETER_MAX])
{
    while (*list != '\0') {
        size_t length, n = 0;
        bool wanted;

        list += strspn(list, " \t,");
        length = strcspn(list, "= \t,");
        wanted = length == strlen(name) && strncasecmp(list, name, length) == 0;
        list += length;
        list += strspn(list, " \t");
        if (*list != '=')
            continue;
        list++;
        list += strspn(list, " \t");
        if (*list == '"') {
            for (list++; *list != '\0' && *list != '"'; list++) {
                if (*list == '\\' && list[1] != '\0')
                    list++;
                if (wanted && n + 1 < PARAMETER_MAX)
                    ret[n++] = *list;
            }
            list += *list == '"';
        } else {
            for (; *list != '\0' && strchr(" \t,", *list) == NULL; list++)
                if (wanted && n + 1 < PARAMETER_MAX)
                    ret[n++] = *list;
        }
        if (wanted) {
            ret[n] = '\0';
            return true;
        }
    }
    return false;
}

static bool check_basic(const struct auth *auth, const char *header)
{
    const char *credential = credential_of(header, "Basic");
    gnutls_datum_t encoded, decoded = {0};
    char *expected;
    bool right;

    if (credential == NULL)
        return false;
    encoded = (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)credential, .size = (unsigned)strlen(credential)};
    if (gnutls_base64_decode2(&encoded, &decoded) < 0)
        return false;
    if (asprintf(&expected, "%s:%s", auth->user, auth->secret) < 0)
        expected = NULL;
    right = expected != NULL && decoded.size == strlen(expected) && memcmp(decoded.data, expected, decoded.size) == 0;
    free(expected);
    gnutls_free(decoded.data);
    return right;
}

/* The response that a client with our user and password would give. */
static bool expected_response(const struct auth *auth, const struct request *request, const char *list,
                              const char *nonce, char ret[DIGEST_HEX_MAX])
{
    char uri[PARAMETER_MAX], nc[PARAMETER_MAX], cnonce[PARAMETER_MAX], qop[PARAMETER_MAX];
    char ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX];

    if (!parameter(list, "uri", uri) || strcmp(uri, request->target) != 0)
        return false;
    if (!parameter(list, "nc", nc) || !parameter(list, "cnonce", cnonce) || !parameter(list, "qop", qop) ||
        strcmp(qop, "auth") != 0)
        return false;
    digest(auth, ha1, "%s:" REALM ":%s", auth->user, auth->secret);
    digest(auth, ha2, "%s:%s", request->method, uri);
    digest(auth, ret, "%s:%s:%s:%s:auth:%s", ha1, nonce, nc, cnonce, ha2);
    return true;
}

static bool check_digest(const struct auth *auth, const struct request *request, const char *header, bool *ret_stale)
{
    const char *list = credential_of(header, "Digest");
    char user[PARAMETER_MAX], nonce[PARAMETER_MAX], response[PARAMETER_MAX], expected[PARAMETER_MAX];
    char digits[24];
    uint64_t number;

    if (list == NULL || !parameter(list, "username", user) || !parameter(list, "nonce", nonce) ||
        !parameter(list, "response", response) || strcmp(user, auth->user) != 0)
        return false;
    if (sscanf(nonce, "%23[0-9].", digits) != 1 || text_parse_u64(digits, &number) < 0)
        return false;
    make_nonce(auth, number, expected, sizeof(expected));
    if (strcmp(nonce, expected) != 0)
        return false;
    if (!expected_response(auth, request, list, nonce, expected) || strcasecmp(expected, response) != 0)
        return false;
    *ret_stale = number < auth->first_nonce;
    return !*ret_stale;
}

static bool check_credential(const struct auth *auth, const struct request *request, bool *ret_stale)
{
    const char *header = request_header(request, "Authorization");
    const char *token;

    if (header == NULL)
        return false;
    switch (auth->scheme) {
    case AUTH_NONE:
        return true;
    case AUTH_BASIC:
        return check_basic(auth, header);
    case AUTH_DIGEST:
    case AUTH_DIGEST_SHA256:
        return check_digest(auth, request, header, ret_stale);
    case AUTH_BEARER:
        token = credential_of(header, "Bearer");
        return token != NULL && strcmp(token, auth->secret) == 0;
    }
    abort();
}

static void challenge(struct request *request, struct auth *auth, bool stale)
{
    struct answer *answer = &request->answer;
    char nonce[PARAMETER_MAX];

    answer_plain(answer, auth->refusal_status);
    switch (auth->scheme) {
    case AUTH_NONE:
        break;
    case AUTH_BASIC:
        answer_set(answer, "WWW-Authenticate", "Basic realm=\"" REALM "\", charset=\"UTF-8\"");
        break;
    case AUTH_DIGEST:
    case AUTH_DIGEST_SHA256:
        make_nonce(auth, ++auth->nonces, nonce, sizeof(nonce));
        answer_set(answer, "WWW-Authenticate", "Digest realm=\"" REALM "\", qop=\"auth\", algorithm=%s, nonce=\"%s\"%s",
                   auth->scheme == AUTH_DIGEST ? "MD5" : "SHA-256", nonce, stale ? ", stale=true" : "");
        break;
    case AUTH_BEARER:
        answer_set(answer, "WWW-Authenticate", "Bearer realm=\"" REALM "\"");
        break;
    }
    request->answered = true;
}

bool auth_check(struct request *request)
{
    struct auth *auth = request->server->auth;
    const struct fault_plan *plan = &request->plan;
    bool right, stale = false;

    if (auth == NULL)
        return true;
    pthread_mutex_lock(&auth->lock);
    if (plan->secret != NULL) {
        free(auth->secret);
        auth->secret = strdup(plan->secret);
        assert(auth->secret != NULL);
    }
    if (plan->stale)
        auth->first_nonce = auth->nonces + 1;
    right = check_credential(auth, request, &stale);
    if (!right)
        challenge(request, auth, stale);
    pthread_mutex_unlock(&auth->lock);
    return right;
}
