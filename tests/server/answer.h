/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An answer under construction: a status, headers, perhaps a body; then the fault rules' changes; then onto the wire.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct MHD_Connection;

#define E_INVALIDARG           0x80070057u
#define E_ACCESSDENIED         0x80070005u
#define ERROR_DISK_FULL_WIN32  0x80070070u
#define ERROR_DISK_FULL_SPEC   0x80070112u
#define BG_E_SESSION_NOT_FOUND 0x8020001Fu
#define BG_E_TOO_LARGE         0x80200020u

/* Which header carries the error code: the two documents name it differently. */
enum error_header {
    ERROR_HEADER_CODE,  /* BITS-Error-Code */
    ERROR_HEADER_ERROR, /* BITS-Error */
    ERROR_HEADER_BOTH,
    ERROR_HEADER_NONE,
};

#define ANSWER_HEADERS_MAX 32

struct answer_header {
    char *name;
    char *value;
};

struct answer {
    unsigned status; /* 0: none yet */
    struct answer_header headers[ANSWER_HEADERS_MAX];
    size_t header_count;
    char *body; /* or NULL */
    size_t body_bytes;
    int file_fd;         /* the body of a GET, or -1 */
    uint64_t file_first; /* the part of it that is sent */
    uint64_t file_bytes;
};

/* A plain HTTP answer, and the Ack of a BITS packet. What ANSWER held before is gone. */
void answer_plain(struct answer *answer, unsigned status);
void answer_ack(struct answer *answer, unsigned status);
void answer_done(struct answer *answer);

/* Sets a header, replacing one of that name. */
void answer_set(struct answer *answer, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void answer_remove(struct answer *answer, const char *name);
const char *answer_get(const struct answer *answer, const char *name);

/* Adds the error pair in the header(s) that WHICH names. */
void answer_error(struct answer *answer, enum error_header which, const char *code, const char *context);

/* Changes the answer as the rules want it. */
void answer_apply(struct answer *answer, const struct fault_plan *plan, enum error_header which);

/* Hands the answer over to the connection. False if it cannot be sent. */
bool answer_send(struct answer *answer, const struct fault_plan *plan, struct MHD_Connection *connection);
