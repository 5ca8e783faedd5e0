/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS of the listener, for libmicrohttpd: TLS 1.2 at least. */
#pragma once

#include <microhttpd.h>

struct options;

#define TLS_OPTIONS_MAX 5

/* Files that libmicrohttpd may look into as long as it runs. */
struct tls_files {
    char *cert;
    char *key;
    char *client_ca;
};

/* Reads the files that OPTIONS name, if any, and lists what MHD_OPTION_ARRAY needs. -errno of the file. */
int tls_load(const struct options *options, struct tls_files *files, struct MHD_OptionItem ret[TLS_OPTIONS_MAX]);
void tls_done(struct tls_files *files);

/* Makes the handshake fail unless the client shows a certificate of our issuer; before the handshake. */
void tls_demand_certificate(struct MHD_Connection *connection);
