/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/transfer_access.h"

#include "core/access.h"

#include <errno.h>
#include <string.h>

struct transfer_access *transfer_access_new(void)
{
    return calloc(1, sizeof(struct transfer_access));
}

static void secret_done(struct transfer_secret *secret)
{
    free_secret(secret->user);
    free_secret(secret->password);
    free_secret(secret->token);
    free(secret->hosts);
}

static void free_headers(char *headers)
{
    if (!headers)
        return;
    for (char *line = headers; *line != '\0';) {
        size_t length = strlen(line);
        explicit_bzero(line, length);
        line += length + 1;
    }
    free(headers);
}

struct transfer_access *transfer_access_free(struct transfer_access *access)
{
    if (!access)
        return NULL;
    secret_done(&access->server);
    secret_done(&access->proxy);
    free(access->proxy_url);
    free(access->noproxy);
    free_secret(access->cert);
    free_secret(access->key);
    free(access->cacert);
    free(access->pinned_key);
    free(access->user_agent);
    free_headers(access->headers);
    free(access);
    return NULL;
}

int auth_scheme_parse(const char *text, enum auth_scheme *ret)
{
    static const struct {
        const char *name;
        enum auth_scheme scheme;
    } schemes[] = {
        {"", AUTH_ANY},      {"basic", AUTH_BASIC},         {"digest", AUTH_DIGEST},
        {"ntlm", AUTH_NTLM}, {"negotiate", AUTH_NEGOTIATE}, {"bearer", AUTH_BEARER},
    };

    for (size_t i = 0; i < ELEMENTS(schemes); i++) {
        if (strcmp(text ? text : "", schemes[i].name) == 0) {
            *ret = schemes[i].scheme;
            return 0;
        }
    }
    return -EINVAL;
}

bool auth_scheme_binds_connection(enum auth_scheme scheme)
{
    return scheme == AUTH_NTLM || scheme == AUTH_NEGOTIATE;
}

static bool is_bound_to(const struct transfer_secret *secret, const char *host)
{
    const char *at = secret->hosts ? secret->hosts : "";
    char pattern[512];

    while (*(at += strspn(at, " \t")) != '\0') {
        size_t length = strcspn(at, " \t");
        if (length < sizeof(pattern)) {
            memcpy(pattern, at, length);
            pattern[length] = '\0';
            if (access_pattern_matches(pattern, host))
                return true;
        }
        at += length;
    }
    return false;
}

bool transfer_access_may_authenticate(const struct transfer_access *access, const char *origin, const char *host,
                                      bool over_tls)
{
    const struct transfer_secret *secret = &access->server;
    bool is_origin = strcmp(origin, host) == 0;

    if (secret->scheme == AUTH_NONE)
        return false;
    /* A credential that names its hosts stays with them, whatever a server says; others follow the server. */
    if (secret->hosts && !is_bound_to(secret, host))
        return false;
    if (over_tls || access->over_http)
        return true;
    return is_origin && secret->scheme != AUTH_BEARER;
}

bool transfer_access_may_add_headers(const struct transfer_access *access, const char *origin, const char *host,
                                     bool over_tls)
{
    return access->headers && (over_tls || access->over_http || strcmp(origin, host) == 0);
}
