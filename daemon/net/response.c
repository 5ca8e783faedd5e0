/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/response.h"

#include "core/proto.h"

#include <string.h>

#define STATUS_FINAL_FIRST 200 /* lower ones are interim */

void response_begin(struct response *response)
{
    *response = (struct response){0};
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK", "HTTP/1.0 404": 0 where it is something else. */
static int parse_status(const char *line, size_t length)
{
    static const char prefix[] = "HTTP/1.";
    const char *code = line + sizeof(prefix) - 1 + 2;

    if (length < sizeof(prefix) - 1 + 5 || memcmp(line, prefix, sizeof(prefix) - 1) != 0)
        return 0;
    if (!is_digit(code[-2]) || code[-1] != ' ' || !is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]))
        return 0;
    if (length > sizeof(prefix) - 1 + 5 && code[3] != ' ')
        return 0;
    return (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
}

static bool refuse(struct response *response, enum response_verdict verdict)
{
    response->verdict = verdict;
    return false;
}

static bool add_status(struct response *response, const char *line, size_t length)
{
    int status = parse_status(line, length);

    if (status < 100)
        return refuse(response, RESPONSE_NOT_HTTP1);
    ack_begin(&response->ack, status);
    return true;
}

static bool end_head(struct response *response)
{
    if (response->ack.status >= STATUS_FINAL_FIRST) {
        response->head_complete = true;
        return true;
    }
    response->interim_count++;
    return response->interim_count <= RESPONSE_INTERIM_MAX || refuse(response, RESPONSE_HEAD_TOO_LARGE);
}

bool response_add_line(struct response *response, const char *line, size_t length)
{
    if (response->verdict != RESPONSE_FINE)
        return false;
    /* Behind the final head come only the trailers of a chunked body: they are no part of an Ack. */
    if (response->head_complete)
        return response_add_body(response, length);
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
        return add_status(response, line, length);
    if (length == 0)
        return end_head(response);
    ack_add_line(&response->ack, line, length);
    return !response->ack.too_large || refuse(response, RESPONSE_HEAD_TOO_LARGE);
}

bool response_add_body(struct response *response, size_t length)
{
    if (response->verdict != RESPONSE_FINE)
        return false;
    response->body_bytes += length;
    return response->body_bytes <= ACK_BODY_MAX || refuse(response, RESPONSE_BODY_TOO_LARGE);
}
