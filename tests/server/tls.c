/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <gnutls/gnutls.h>

#include "server.h"

#define PEM_BYTES_MAX (1024 * 1024)

/* As the many systems that refuse what is older. */
static char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static int read_text(const char *path, char **ret)
{
    FILE *file = fopen(path, "re");
    char *text;
    size_t length;

    if (file == NULL) {
        int r = -errno;

        fprintf(stderr, "bits-server: cannot read %s.\n", path);
        return r;
    }
    text = calloc(1, PEM_BYTES_MAX + 1);
    if (text == NULL) {
        fclose(file);
        return -ENOMEM;
    }
    length = fread(text, 1, PEM_BYTES_MAX, file);
    text[length] = '\0';
    fclose(file);
    *ret = text;
    return 0;
}

int tls_load(const struct options *options, struct tls_files *files, struct MHD_OptionItem ret[TLS_OPTIONS_MAX])
{
    size_t n = 0;
    int r = 0;

    if (options->tls_cert != NULL) {
        r = read_text(options->tls_cert, &files->cert);
        if (r == 0)
            r = read_text(options->tls_key, &files->key);
        if (r == 0 && options->tls_client_ca != NULL)
            r = read_text(options->tls_client_ca, &files->client_ca);
        ret[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, files->cert};
        ret[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, files->key};
        ret[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, priorities};
        if (options->tls_client_ca != NULL)
            ret[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, files->client_ca};
    }
    ret[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return r;
}

void tls_done(struct tls_files *files)
{
    free(files->cert);
    free(files->key);
    free(files->client_ca);
    *files = (struct tls_files){0};
}

void tls_demand_certificate(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = (gnutls_session_t)info->tls_session;

    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert(session, NULL, 0);
}
