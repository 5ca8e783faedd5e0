/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile server sends on a connection: one byte that says in pieces of which size the body comes, then status
 * lines, header lines and a body as they stand on the wire.
 *
 *     \x0fHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nBITS-Packet-Type: Ack\r\n\r\nbody
 */
#include "fuzz.h"

#include "net/response.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

static bool is_text(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);

    if (!end)
        return false;
    for (const char *at = text; at < end; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}

static void check(const struct response *response, bool goes_on)
{
    const struct ack *ack = &response->ack;

    CHECK(goes_on == (response->verdict == RESPONSE_FINE));
    CHECK(!response->head_complete || ack->status >= 200);
    CHECK(ack->status >= 0 && ack->status <= 999);
    CHECK(response->interim_count <= RESPONSE_INTERIM_MAX + 1);
    CHECK(is_text(ack->session_id, sizeof(ack->session_id)));
    CHECK(is_text(ack->host_id, sizeof(ack->host_id)));
    CHECK(memchr(ack->reply_url, '\0', sizeof(ack->reply_url)));
    CHECK(memchr(ack->location, '\0', sizeof(ack->location)));
    CHECK(memchr(ack->server, '\0', sizeof(ack->server)));
    CHECK(memchr(ack->etag, '\0', sizeof(ack->etag)));
    CHECK(memchr(ack->last_modified, '\0', sizeof(ack->last_modified)));
    CHECK(memchr(ack->schemes, '\0', sizeof(ack->schemes)));
    CHECK(!ack->has_range || ack->range_first <= ack->range_last);
    CHECK(!ack->has_range || !ack->has_range_total || ack->range_last < ack->range_total);
}

/* A copy of its own for each piece, so that a look behind its end is seen. */
static bool give(struct response *response, bool (*add)(struct response *, const char *, size_t), const uint8_t *data,
                 size_t size)
{
    char *piece = malloc(size > 0 ? size : 1);

    CHECK(piece);
    memcpy(piece, data, size);
    bool goes_on = add(response, piece, size);
    free(piece);
    check(response, goes_on);
    return goes_on;
}

static bool add_body(struct response *response, const char *data, size_t size)
{
    (void)data;
    return response_add_body(response, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct response response;
    bool goes_on = true;

    if (size == 0)
        return 0;
    size_t piece = (size_t)data[0] * 64 + 1;
    data++;
    size--;
    response_begin(&response);
    while (size > 0 && goes_on) {
        const uint8_t *end = response.head_complete ? NULL : memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) + 1 : size;
        if (response.head_complete && length > piece)
            length = piece;
        goes_on = give(&response, response.head_complete ? add_body : response_add_line, data, length);
        data += length;
        size -= length;
    }
    /* What is over takes nothing more. */
    if (!goes_on) {
        struct response before = response;
        CHECK(!response_add_line(&response, "HTTP/1.1 200 OK", 15));
        CHECK(!response_add_body(&response, 1));
        CHECK(memcmp(&before, &response, sizeof(before)) == 0);
    }
    return 0;
}
