/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The header grammar of the BITS upload protocol ([MC-BUP] 2.2): building packets, reading Acks.
 *
 *   → BITS_POST /up/a.bin HTTP/1.1          ← HTTP/1.1 200 OK
 *     BITS-Packet-Type: Fragment              BITS-Packet-Type: Ack
 *     BITS-Session-Id: {A0FF5911-...}         BITS-Received-Content-Range: 4096   (the next byte wanted)
 *     Content-Name: a.bin                     Content-Length: 0
 *     Content-Range: bytes 0-4095/10000
 *     Content-Length: 4096                    (Content-Length is written by the transport, from body_bytes)
 */
#pragma once

#include "core/exchange.h"

#define BITS_PROTOCOL_GUID "{7df0354d-249b-430f-820d-3d2a9bef4931}"

struct proto_packet {
    enum exchange_kind kind;
    enum session_method method;
    const char *protocol_guid; /* NULL or "" = BITS_PROTOCOL_GUID */
    const char *session_id;    /* NULL for Ping and Create-Session */
    const char *content_name;  /* NULL to leave it out */
    uint64_t first;            /* Fragment, and GET of the reply: first byte, */
    uint64_t bytes;            /* number of bytes (> 0), */
    uint64_t total;            /* Fragment: size of the whole file */
};

/*
 * Fills method, kind, headers, body range and range of REQUEST. -EINVAL where a value would break out of its header.
 *
 *   → GET /up/replies/7.bin HTTP/1.1        ← HTTP/1.1 206 Partial Content
 *     Accept-Encoding: identity               Content-Range: bytes 0-9976/10240
 *     Range: bytes=0-1048575                  ETag: "47"
 */
int proto_build(const struct proto_packet *packet, struct exchange_request *request);

/*
 * Whether CHOSEN (BITS-Protocol) is one of those that OFFERED lists, separated by blanks or commas: in any case, and
 * with or without braces.
 */
bool proto_is_offered(const char *offered, const char *chosen);

/* Forgets what was read: a new status line begins a new response (100, 401 and the final one all pass by). */
void ack_begin(struct ack *ack, int status);

/* Takes one header line, without its line end. Unknown and malformed ones are counted and otherwise ignored. */
void ack_add_line(struct ack *ack, const char *line, size_t length);

/*
 * A name that is safe in Content-Name: the last component of PATH, at most 260 bytes, with control characters,
 * non-ASCII bytes and \ / : * ? " < > | replaced by '_'.
 */
void proto_content_name(const char *path, char name[static 261]);
