/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/proto.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *packet_type(enum exchange_kind kind)
{
    switch (kind) {
    case EXCHANGE_NONE:
    case EXCHANGE_REPLY: /* a plain GET */
        return NULL;
    case EXCHANGE_PING:
        return "Ping";
    case EXCHANGE_CREATE:
        return "Create-Session";
    case EXCHANGE_FRAGMENT:
        return "Fragment";
    case EXCHANGE_CLOSE:
        return "Close-Session";
    case EXCHANGE_CANCEL:
        return "Cancel-Session";
    }
    return NULL;
}

static const char *verb(enum session_method method)
{
    switch (method) {
    case METHOD_BITS_POST:
        return "BITS_POST";
    case METHOD_POST_OVERRIDE:
    case METHOD_POST:
        return "POST";
    }
    return "BITS_POST";
}

/*
 * Whether VALUE stays within its header: not empty, no control character (CR and LF would begin another header), and
 * no blank at an end, which the other side would strip.
 */
static bool is_header_value(const char *value)
{
    size_t length = strlen(value);

    if (length == 0 || length > HEADER_VALUE_MAX || value[0] == ' ' || value[length - 1] == ' ')
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return false;
    return true;
}

struct header_block {
    char *text;
    size_t used; /* without the empty line that ends it */
};

static int add_header(struct header_block *block, const char *name, const char *value)
{
    if (!is_header_value(value))
        return -EINVAL;
    size_t room = EXCHANGE_HEADERS_MAX - 1 - block->used;
    int length = snprintf(block->text + block->used, room, "%s: %s", name, value);
    if (length < 0 || (size_t)length >= room)
        return -EINVAL;
    block->used += (size_t)length + 1;
    block->text[block->used] = '\0';
    return 0;
}

/* Closed at both ends: some servers answer 400 to "bytes=5-". */
static int add_reply_headers(struct header_block *block, const struct proto_packet *packet)
{
    char range[80];
    uint64_t end;

    if (packet->bytes == 0 || __builtin_add_overflow(packet->first, packet->bytes, &end))
        return -EINVAL;
    (void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, packet->first, end - 1);
    int r = add_header(block, "Accept", "*/*");
    if (r >= 0)
        r = add_header(block, "Accept-Encoding", "identity");
    if (r >= 0)
        r = add_header(block, "Range", range);
    return r;
}

static int add_range(struct header_block *block, const struct proto_packet *packet)
{
    char range[80];
    uint64_t end;

    /* "bytes 5-4/10" would be read as anything but nothing. */
    if (packet->bytes == 0 || __builtin_add_overflow(packet->first, packet->bytes, &end) || end > packet->total)
        return -EINVAL;
    (void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, packet->first, end - 1,
                   packet->total);
    return add_header(block, "Content-Range", range);
}

static const char *offered(const struct proto_packet *packet)
{
    return packet->protocol_guid && packet->protocol_guid[0] != '\0' ? packet->protocol_guid : BITS_PROTOCOL_GUID;
}

static int add_headers(struct header_block *block, const struct proto_packet *packet)
{
    int r = add_header(block, "BITS-Packet-Type", packet_type(packet->kind));

    if (r >= 0 && packet->method == METHOD_POST_OVERRIDE)
        r = add_header(block, "X-HTTP-Method-Override", "BITS_POST");
    if (r >= 0 && packet->kind == EXCHANGE_CREATE)
        r = add_header(block, "BITS-Supported-Protocols", offered(packet));
    else if (r >= 0 && packet->kind != EXCHANGE_PING)
        r = packet->session_id ? add_header(block, "BITS-Session-Id", packet->session_id) : -EINVAL;
    if (r >= 0 && packet->content_name)
        r = add_header(block, "Content-Name", packet->content_name);
    if (r >= 0 && packet->kind == EXCHANGE_FRAGMENT)
        r = add_range(block, packet);
    return r;
}

int proto_build(const struct proto_packet *packet, struct exchange_request *request)
{
    char headers[EXCHANGE_HEADERS_MAX] = "";
    struct header_block block = {.text = headers};

    assert(packet->kind != EXCHANGE_NONE);
    bool is_reply = packet->kind == EXCHANGE_REPLY;
    int r = is_reply ? add_reply_headers(&block, packet) : add_headers(&block, packet);
    if (r < 0)
        return r;
    request->kind = packet->kind;
    (void)snprintf(request->method, sizeof(request->method), "%s", is_reply ? "GET" : verb(packet->method));
    memcpy(request->headers, headers, sizeof(headers));
    bool has_body = packet->kind == EXCHANGE_FRAGMENT;
    request->body_offset = has_body ? packet->first : 0;
    request->body_bytes = has_body ? packet->bytes : 0;
    request->range_first = is_reply ? packet->first : 0;
    request->range_bytes = is_reply ? packet->bytes : 0;
    return 0;
}

/* A GUID without its braces. */
static size_t strip_braces(const char **text, size_t length)
{
    if (length < 2 || (*text)[0] != '{' || (*text)[length - 1] != '}')
        return length;
    (*text)++;
    return length - 2;
}

bool proto_is_offered(const char *offered, const char *chosen)
{
    size_t chosen_length = strip_braces(&chosen, strlen(chosen));

    while (*offered != '\0') {
        size_t length = strcspn(offered, " ,");
        const char *text = offered;
        size_t bare = strip_braces(&text, length);
        if (bare > 0 && bare == chosen_length && strncasecmp(text, chosen, bare) == 0)
            return true;
        offered += length + (offered[length] != '\0');
    }
    return false;
}

#define CONTENT_NAME_MAX 260 /* bytes; [MC-BUP] 2.2.1 */

void proto_content_name(const char *path, char name[static 261])
{
    const char *slash = strrchr(path, '/');
    const char *from = slash ? slash + 1 : path;
    size_t length = strnlen(from, CONTENT_NAME_MAX);

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)from[i];
        bool is_safe = byte >= 0x20 && byte < 0x7f && !strchr("\\/:*?\"<>|", byte);
        name[i] = is_safe ? (char)byte : '_';
    }
    name[length] = '\0';
    /* Blanks at the ends of a header's value are not part of it. */
    if (length > 0 && name[0] == ' ')
        name[0] = '_';
    if (length > 0 && name[length - 1] == ' ')
        name[length - 1] = '_';
}
