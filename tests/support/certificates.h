/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates that are made when a test begins, so that they are as valid, or as wrong, as it wants them. */
#pragma once

#include <stdbool.h>

struct certificate;

struct certificate_plan {
    const char *name;  /* of its owner */
    const char *hosts; /* "DNS:localhost,IP:127.0.0.1"; NULL = an issuer, or a client */
    bool is_issuer;
    int from_days; /* of its validity, counted from now */
    int to_days;
};

/* ISSUER NULL = signed by itself. */
struct certificate *certificate_new(const struct certificate_plan *plan, const struct certificate *issuer);
void certificate_free(struct certificate *certificate);

/* The certificate, and behind it its key; with PASSWORD the key is encrypted. The caller frees the text. */
char *certificate_pem(const struct certificate *certificate, const char *password);
/* The same, with a key that is not encrypted, in a file. The caller frees the path. */
char *certificate_write(const struct certificate *certificate, const char *folder, const char *name);
/* "sha256//BASE64" of its public key; the caller frees it. */
char *certificate_pin(const struct certificate *certificate);
