/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may send requests: Basic, Digest (RFC 7616, qop=auth) and bearer tokens. */
#pragma once

#include <stdbool.h>

struct auth;
struct request;

enum auth_scheme {
    AUTH_NONE,
    AUTH_BASIC,
    AUTH_DIGEST, /* with MD5 */
    AUTH_DIGEST_SHA256,
    AUTH_BEARER,
};

/* SECRET: the password, or the token of AUTH_BEARER. NULL if there is no memory. */
struct auth *auth_new(enum auth_scheme scheme, const char *user, const char *secret, unsigned refusal_status);
struct auth *auth_free(struct auth *auth);

/* False: the answer is ready, a challenge. Rules may change the secret first, or make all nonces so far stale. */
bool auth_check(struct request *request);

/* "Digest" of "Digest username=...": what may be told of a credential. Into RET, cut if it does not fit. */
void auth_scheme_of(const char *credential, char *ret, unsigned long size);
