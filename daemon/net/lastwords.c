/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server said before it closed the connection in the middle of a body.
 *
 *   client ── body ... body ... body ──▶
 *          ◀── 413, then RST, because bytes of the body were left unread ──
 *
 * The next send fails, and libcurl gives up without looking at what has arrived. But the kernel still has it: without
 * this the session would only know that the connection was lost, and try the same large fragment again and again. Over
 * TLS what is left can no longer be read.
 */
#include "net/internal.h"

#include <string.h>
#include <sys/socket.h>

#define LAST_WORDS_BYTES_MAX (16 * KIB) /* of the head of a response; what is longer is not waited for */

static size_t receive(int fd, char *buffer, size_t size)
{
    size_t length = 0;
    ssize_t n;

    while (length < size && (n = recv(fd, buffer + length, size - length, MSG_DONTWAIT)) > 0)
        length += (size_t)n;
    return length;
}

static void parse(struct response *response, const char *text, size_t length)
{
    const char *end;

    response_begin(response);
    while (!response->head_complete && (end = memchr(text, '\n', length)) != NULL) {
        size_t line = (size_t)(end - text) + 1;
        if (!response_add_line(response, text, line))
            return;
        text += line;
        length -= line;
    }
}

void transfer_take_last_words(struct transfer *transfer, int fd)
{
    char buffer[LAST_WORDS_BYTES_MAX];
    struct response response;

    /* Where libcurl has begun to read, the rest would not be understood. */
    if (transfer->phase != TRANSFER_SENDING || transfer->target.over_tls || transfer->response.ack.status >= 200)
        return;
    parse(&response, buffer, receive(fd, buffer, sizeof(buffer)));
    if (response.head_complete)
        transfer->response = response;
}
