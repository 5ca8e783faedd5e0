/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who a connection speaks as. A server, or a proxy before it, may know a client by its TCP connection: NTLM and
 * Negotiate authenticate that, and so does a certificate. Whoever takes over a connection must therefore be the same in
 * all that could have been said on it, or begin with a new one.
 */
#pragma once

#include "core/transfer_access.h"

#include <stddef.h>

struct identity {
    char *bytes; /* all of it, secrets too: overwritten before it is freed */
    size_t size;
};

/*
 * ACCESS NULL = nothing but the defaults. ORIGIN is whom the job is for, HOST whom the connection is to, both
 * "host:port"; NULL = "". 0 or -ENOMEM.
 */
int identity_of(const struct transfer_access *access, const char *origin, const char *host, struct identity *ret);
bool identity_equal(const struct identity *a, const struct identity *b);
void identity_done(struct identity *identity);
