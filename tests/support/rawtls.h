/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS for the scripted server. */
#pragma once

#include "support/rawserver.h"

struct raw_tls;

struct raw_tls_options {
    const char *identity;  /* PEM: certificate and key of the server */
    const char *client_ca; /* PEM; a client without a certificate of this issuer is refused. NULL = none is asked for */
    int version_max;       /* TLS1_2_VERSION ...; 0 = the newest */
    int version_min;
};

struct raw_tls *raw_tls_new(const struct raw_tls_options *options);
void raw_tls_free(struct raw_tls *tls); /* after the server */
const struct raw_channel *raw_tls_channel(const struct raw_tls *tls);

/* The host that the last client asked for in its handshake, "" = none, and its certificate's owner, "" = none. */
const char *raw_tls_asked_host(struct raw_tls *tls);
const char *raw_tls_client_name(struct raw_tls *tls);
