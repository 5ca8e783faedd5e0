/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tokens of helpers: had by running token_command=, kept in memory until they expire, shared by all that need them. On
 * the loop only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct io;
struct spawner_run;
struct token;
TAILQ_HEAD(token_list, token);

struct token_query {
    const char *name;    /* of the credential, for faults */
    const char *path;    /* and its file */
    const char *command; /* token_command= */
    const char *host;    /* "host:port", told to the helper */
    bool fresh;          /* what is known was refused */
};

/* Who waits for one. Embedded in what waits; both functions end the wait. */
struct token_wait {
    TAILQ_ENTRY(token_wait) entry;
    struct token *token;
    uint64_t expires_usec; /* when there is a token: its end, CLOCK_BOOTTIME; USEC_INFINITY = not known */
    /* RESULT 0 and the TOKEN, or a negative errno and the FAULT; both last as long as the call. */
    void (*done)(struct token_wait *wait, int result, const char *token, const char *fault, bool may_heal);
    void (*drop)(struct token_wait *wait); /* the io goes */
};
TAILQ_HEAD(token_wait_list, token_wait);

struct token {
    TAILQ_ENTRY(token) entry; /* the one that was used last stands last */
    struct io *io;
    char *key, *name, *program;
    char *text; /* NULL = not known */
    uint64_t expires_usec;
    struct spawner_run *run;
    struct token_wait_list waits;
    size_t waits_count;
};

/*
 * 1 and the token in *ret_token, the callee's, to be copied at once, and its end in WAIT; or 0, and WAIT gets it later.
 * Negative: no run could be begun; *ret_fault (malloc'ed; NULL when memory is refused) says why.
 */
int token_get(struct io *io, const struct token_query *query, struct token_wait *wait, const char **ret_token,
              char **ret_fault);
/* WAIT hears nothing any more. A run that nobody waits for is ended. */
void token_leave(struct io *io, struct token_wait *wait);

void tokens_drop(struct io *io);
