/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXTS_MAX 16

/* What goes with each request anew is left out: the token, the headers, the name of the program. */
static size_t collect(const struct transfer_access *access, const char *origin, const char *host,
                      const char *texts[TEXTS_MAX])
{
    const char *const all[] = {
        origin,
        host,
        access->server.user,
        access->server.password,
        access->server.hosts,
        access->proxy.user,
        access->proxy.password,
        access->proxy_url,
        access->noproxy,
        access->cert,
        access->key,
        access->cacert,
        access->pinned_key,
    };

    _Static_assert(ELEMENTS(all) <= TEXTS_MAX, "there is room for all");
    for (size_t i = 0; i < ELEMENTS(all); i++)
        texts[i] = all[i];
    return ELEMENTS(all);
}

int identity_of(const struct transfer_access *access, const char *origin, const char *host, struct identity *ret)
{
    static const struct transfer_access none = {0};
    const char *texts[TEXTS_MAX];
    char head[64];

    if (!access)
        access = &none;
    size_t count = collect(access, origin, host, texts);
    int length =
        snprintf(head, sizeof(head), "%d,%d,%d", access->server.scheme, access->proxy.scheme, access->over_http);
    size_t size = (size_t)length + 1;
    for (size_t i = 0; i < count; i++)
        size += texts[i] ? 1 + strlen(texts[i]) + 1 : 1;
    char *bytes = malloc(size), *to = bytes;
    if (!bytes)
        return -ENOMEM;
    to = (char *)mempcpy(to, head, (size_t)length + 1);
    /* A mark before each text that is there, and the NUL behind it: none can be taken for another. */
    for (size_t i = 0; i < count; i++) {
        *to++ = texts[i] ? '+' : '-';
        if (texts[i])
            to = (char *)mempcpy(to, texts[i], strlen(texts[i]) + 1);
    }
    *ret = (struct identity){.bytes = bytes, .size = size};
    return 0;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

void identity_done(struct identity *identity)
{
    if (identity->bytes)
        explicit_bzero(identity->bytes, identity->size);
    free(identity->bytes);
    *identity = (struct identity){0};
}
