/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The response of one request as it arrives, line by line: what of it is an Ack, and whether it keeps within the bounds
 * of limits.h. No I/O, no curl.
 *
 *   HTTP/1.1 100 Continue      interim: forgotten
 *   (empty line)
 *   HTTP/1.1 200 OK            final: ack_begin()
 *   BITS-Packet-Type: Ack      ack_add_line()
 *   (empty line)               head_complete
 *   body                       counted and thrown away
 */
#pragma once

#include "core/exchange.h"

#define RESPONSE_INTERIM_MAX 16 /* 1xx responses before the final one: a server that sends more is not waited for */

enum response_verdict {
    RESPONSE_FINE = 0,
    RESPONSE_NOT_HTTP1,      /* a status line that is none of HTTP/1.x */
    RESPONSE_HEAD_TOO_LARGE, /* over HEADER_COUNT_MAX, HEADER_BYTES_MAX or RESPONSE_INTERIM_MAX */
    RESPONSE_BODY_TOO_LARGE, /* over ACK_BODY_MAX; the head is complete and can be used */
};

struct response {
    struct ack ack;
    enum response_verdict verdict; /* of the first thing that was wrong; nothing more is taken then */
    bool head_complete;            /* of the final response */
    uint64_t body_bytes;
    unsigned interim_count;
};

/* A request goes out: forget what came before. */
void response_begin(struct response *response);

/* Takes one line of the head, with or without its line end. Returns whether the response may go on. */
bool response_add_line(struct response *response, const char *line, size_t length);

/* Counts LENGTH bytes of the body. Returns whether the response may go on. */
bool response_add_body(struct response *response, size_t length);
