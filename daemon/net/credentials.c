/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a request shows of its user: where that may go is decided by core/transfer_access. */
#include "net/internal.h"

#include <stdio.h>
#include <string.h>

unsigned long auth_bits(enum auth_scheme scheme)
{
    /* With ONLY, or more than one, libcurl waits for the server to ask; a single scheme would go out unasked. */
    switch (scheme) {
    case AUTH_ANY:
        return CURLAUTH_DIGEST | CURLAUTH_NTLM | CURLAUTH_BASIC;
    case AUTH_BASIC:
        return CURLAUTH_BASIC | CURLAUTH_ONLY;
    case AUTH_DIGEST:
        return CURLAUTH_DIGEST | CURLAUTH_ONLY;
    case AUTH_NTLM:
        return CURLAUTH_NTLM | CURLAUTH_ONLY;
    case AUTH_NEGOTIATE:
        return CURLAUTH_NEGOTIATE | CURLAUTH_ONLY;
    case AUTH_NONE:
    case AUTH_BEARER: /* goes as a header */
        break;
    }
    return CURLAUTH_NONE;
}

/* With Negotiate an empty user stands for whoever holds the ticket. */
const char *auth_user(const struct transfer_secret *secret)
{
    return secret->user || secret->scheme != AUTH_NEGOTIATE ? secret->user : "";
}

const char *auth_password(const struct transfer_secret *secret)
{
    return secret->password || !auth_user(secret) ? secret->password : "";
}

static bool may_authenticate(const struct transfer *transfer)
{
    const struct transfer_access *access = transfer->job.access;

    return access && transfer_access_may_authenticate(access, transfer->job.origin, transfer->target.host,
                                                      transfer->target.over_tls);
}

static bool may_add_headers(const struct transfer *transfer)
{
    const struct transfer_access *access = transfer->job.access;

    return access && transfer_access_may_add_headers(access, transfer->job.origin, transfer->target.host,
                                                     transfer->target.over_tls);
}

int append_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);

    if (!longer)
        return -ENOMEM;
    *headers = longer;
    return 0;
}

void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *header = headers; header; header = header->next)
        explicit_bzero(header->data, strlen(header->data));
    curl_slist_free_all(headers);
}

static int append_token(struct curl_slist **headers, const char *token)
{
    char *line;

    if (asprintf(&line, "Authorization: Bearer %s", token) < 0)
        return -ENOMEM;
    int r = append_header(headers, line);
    explicit_bzero(line, strlen(line));
    free(line);
    return r;
}

int transfer_add_own_headers(struct transfer *transfer)
{
    const struct transfer_access *access = transfer->job.access;
    int r = 0;

    if (may_add_headers(transfer))
        for (const char *line = access->headers; r >= 0 && *line != '\0'; line += strlen(line) + 1)
            r = append_header(&transfer->headers, line);
    if (r >= 0 && may_authenticate(transfer) && access->server.scheme == AUTH_BEARER && access->server.token)
        r = append_token(&transfer->headers, access->server.token);
    return r;
}

int transfer_set_credentials(struct transfer *transfer)
{
    static const struct transfer_secret none = {0};
    const struct transfer_secret *secret = may_authenticate(transfer) ? &transfer->job.access->server : &none;
    CURL *easy = transfer->connection->easy;

    transfer->scheme = secret->scheme;
    SET(CURLOPT_HTTPAUTH, auth_bits(secret->scheme));
    SET(CURLOPT_USERNAME, auth_user(secret));
    SET(CURLOPT_PASSWORD, auth_password(secret));
    SET(CURLOPT_GSSAPI_DELEGATION, (long)CURLGSSAPI_DELEGATION_NONE);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED); /* read by io, for the user whose job it is */
    return 0;
}
