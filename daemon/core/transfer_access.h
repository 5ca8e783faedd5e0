/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What struct access names, once it has been read: secrets in memory. io fills it, net uses it, nobody stores, logs or
 * shows it; it is overwritten before it is freed.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum auth_scheme {
    AUTH_NONE = 0,
    AUTH_ANY, /* Digest, NTLM or Basic, the best that is offered */
    AUTH_BASIC,
    AUTH_DIGEST,
    AUTH_NTLM,
    AUTH_NEGOTIATE,
    AUTH_BEARER,
};

struct transfer_secret {
    enum auth_scheme scheme;
    char *user;                  /* NULL with Bearer, and with Negotiate by the user's ticket */
    char *password;              /* NULL likewise */
    char *token;                 /* Bearer */
    uint64_t token_expires_usec; /* CLOCK_BOOTTIME; 0 = not known */
    char *hosts; /* patterns as of struct access_section, separated by blanks; NULL = the host of the job's URL */
};

struct transfer_access {
    struct transfer_secret server, proxy;
    char *proxy_url; /* NULL or "" = none */
    char *noproxy;
    char *cacert;     /* the issuers that are trusted, PEM; NULL = the system's */
    char *cert, *key; /* PEM; NULL = none; a certificate without a key holds it itself */
    char *pinned_key; /* "sha256//BASE64;…" */
    char *user_agent; /* NULL = the program's own */
    char *headers;    /* "Name: value" lines, each with its NUL, an empty one last; NULL = none */
    bool over_http;   /* ACCESS_CREDENTIALS_OVER_HTTP */
    bool reply_other_host;
};

struct transfer_access *transfer_access_new(void);
struct transfer_access *transfer_access_free(struct transfer_access *access);
DEFINE_CLEANUP(struct transfer_access *, transfer_access_free);

/* "basic" → AUTH_BASIC; NULL or "" → AUTH_ANY. -EINVAL. */
int auth_scheme_parse(const char *text, enum auth_scheme *ret);
/* NTLM and Negotiate: whoever has authenticated is known by the TCP connection, not by the request. */
bool auth_scheme_binds_connection(enum auth_scheme scheme);

/*
 * Whether a secret of ACCESS may go to HOST ("host:port") with a request of a job whose URL names ORIGIN. Only to hosts
 * that the secret is bound to, and to those that the server at ORIGIN named, but to these never without TLS; a Bearer
 * token, which whoever reads it can use, never without TLS at all. over_http lifts both.
 */
bool transfer_access_may_authenticate(const struct transfer_access *access, const char *origin, const char *host,
                                      bool over_tls);
/* The same for the headers of the header file, which may hold secrets. */
bool transfer_access_may_add_headers(const struct transfer_access *access, const char *origin, const char *host,
                                     bool over_tls);
