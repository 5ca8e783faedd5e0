/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "answer.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <microhttpd.h>

#include "text.h"

#define NEXT_HEADER "BITS-Received-Content-Range"

static const char portal_page[] = "<!DOCTYPE html><html><body><h1>Welcome. Please sign in.</h1></body></html>\n";

void answer_done(struct answer *answer)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        free(answer->headers[i].name);
        free(answer->headers[i].value);
    }
    free(answer->body);
    if (answer->status != 0 && answer->file_fd >= 0)
        close(answer->file_fd);
    *answer = (struct answer){.file_fd = -1};
}

void answer_plain(struct answer *answer, unsigned status)
{
    answer_done(answer);
    answer->status = status;
}

void answer_ack(struct answer *answer, unsigned status)
{
    answer_plain(answer, status);
    answer_set(answer, "Pragma", "no-cache");
    answer_set(answer, "BITS-Packet-Type", "Ack");
}

void answer_remove(struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) != 0)
            continue;
        free(answer->headers[i].name);
        free(answer->headers[i].value);
        answer->headers[i] = answer->headers[--answer->header_count];
        return;
    }
}

static void append(struct answer *answer, struct answer_header header)
{
    assert(answer->header_count < ANSWER_HEADERS_MAX);
    answer->headers[answer->header_count++] = header;
}

void answer_set(struct answer *answer, const char *name, const char *format, ...)
{
    struct answer_header header = {.name = strdup(name)};
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = vasprintf(&header.value, format, arguments);
    va_end(arguments);
    assert(r >= 0 && header.name != NULL);
    answer_remove(answer, name);
    append(answer, header);
}

static void answer_add(struct answer *answer, const char *name, const char *value)
{
    struct answer_header header = {.name = strdup(name), .value = strdup(value)};

    assert(header.name != NULL && header.value != NULL);
    append(answer, header);
}

const char *answer_get(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++)
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return answer->headers[i].value;
    return NULL;
}

void answer_error(struct answer *answer, enum error_header which, const char *code, const char *context)
{
    if (which == ERROR_HEADER_NONE)
        return;
    if (which == ERROR_HEADER_CODE || which == ERROR_HEADER_BOTH)
        answer_set(answer, "BITS-Error-Code", "%s", code);
    if (which == ERROR_HEADER_ERROR || which == ERROR_HEADER_BOTH)
        answer_set(answer, "BITS-Error", "%s", code);
    answer_set(answer, "BITS-Error-Context", "%s", context);
}

static void set_body(struct answer *answer, const char *text, size_t length)
{
    free(answer->body);
    answer->body = malloc(length + 1);
    assert(answer->body != NULL);
    if (text != NULL)
        memcpy(answer->body, text, length);
    else
        memset(answer->body, '.', length);
    answer->body[length] = '\0';
    answer->body_bytes = length;
}

static void change_case(char *name, enum fault_case header_case)
{
    for (size_t i = 0; name[i] != '\0'; i++) {
        bool upper = header_case == CASE_UPPER || (header_case == CASE_MIXED && i % 2 == 1);

        name[i] = (char)(upper ? toupper((unsigned char)name[i]) : tolower((unsigned char)name[i]));
    }
}

static void wrap_next(struct answer *answer, uint64_t bits)
{
    const char *text = answer_get(answer, NEXT_HEADER);
    uint64_t next;

    if (text != NULL && bits < 64 && text_parse_u64(text, &next) == 0)
        answer_set(answer, NEXT_HEADER, "%" PRIu64, next & ((UINT64_C(1) << bits) - 1));
}

/* Another status on the answer of a healthy server; what it says besides still fits only a success and a 416. */
static void change_status(struct answer *answer, unsigned status)
{
    if (answer->status == 0 || (status >= 300 && status != 416))
        answer_ack(answer, status);
    answer->status = status;
}

void answer_apply(struct answer *answer, const struct fault_plan *plan, enum error_header which)
{
    if (plan->portal) {
        answer_plain(answer, 200);
        answer_set(answer, "Content-Type", "text/html");
        set_body(answer, portal_page, sizeof(portal_page) - 1);
    }
    if (plan->status != 0)
        change_status(answer, plan->status);
    if (plan->error != NULL)
        answer_error(answer, which == ERROR_HEADER_NONE ? ERROR_HEADER_BOTH : which, plan->error, plan->error_context);
    if (plan->body != NULL)
        set_body(answer, plan->body, strlen(plan->body));
    if (plan->body_bytes > 0)
        set_body(answer, NULL, plan->body_bytes);
    if (plan->wrap_bits > 0)
        wrap_next(answer, plan->wrap_bits);
    for (size_t i = 0; i < plan->header_count; i++) {
        if (plan->headers[i].add)
            answer_add(answer, plan->headers[i].name, plan->headers[i].value);
        else if (plan->headers[i].value != NULL)
            answer_set(answer, plan->headers[i].name, "%s", plan->headers[i].value);
        else
            answer_remove(answer, plan->headers[i].name);
    }
    if (plan->header_case != CASE_AS_IS)
        for (size_t i = 0; i < answer->header_count; i++)
            change_case(answer->headers[i].name, plan->header_case);
}

/* Feeds a body of unannounced length. */
static ssize_t read_body(void *context, uint64_t position, char *buffer, size_t size)
{
    const struct answer *answer = context;
    size_t left;

    if (position >= answer->body_bytes)
        return MHD_CONTENT_READER_END_OF_STREAM;
    left = answer->body_bytes - position;
    if (left < size)
        size = left;
    memcpy(buffer, answer->body + position, size);
    return (ssize_t)size;
}

static void free_body(void *context)
{
    struct answer *answer = context;

    free(answer->body);
    free(answer);
}

/* A response whose length is not announced needs a body that outlives the request. */
static struct MHD_Response *make_unannounced(const struct answer *answer)
{
    struct answer *copy = calloc(1, sizeof(*copy));

    assert(copy != NULL);
    set_body(copy, answer->body_bytes > 0 ? answer->body : NULL, answer->body_bytes);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_body, copy, free_body);
}

static struct MHD_Response *make_response(struct answer *answer, const struct fault_plan *plan)
{
    struct MHD_Response *response;

    if (plan->chunked || plan->no_length) {
        response = make_unannounced(answer);
    } else if (answer->file_fd >= 0) {
        response = MHD_create_response_from_fd_at_offset64(answer->file_bytes, answer->file_fd, answer->file_first);
        answer->file_fd = -1; /* libmicrohttpd closes it */
    } else {
        response = MHD_create_response_from_buffer(answer->body_bytes, answer->body, MHD_RESPMEM_MUST_COPY);
    }
    if (response != NULL && plan->no_length)
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

bool answer_send(struct answer *answer, const struct fault_plan *plan, struct MHD_Connection *connection)
{
    struct MHD_Response *response = make_response(answer, plan);
    enum MHD_Result sent;

    if (response == NULL)
        return false;
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    sent = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return sent == MHD_YES;
}
