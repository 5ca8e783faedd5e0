/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon and its spawner say to each other, one message of a SOCK_SEQPACKET each. Both are one program, so
 * numbers stand as they lie in memory; lengths are checked all the same.
 *
 *   request  struct spawner_request   argv[0] NUL argv[1] NUL ... env[0] NUL ...     (none to cancel)
 *   answer   struct spawner_answer    output, error text
 */
#pragma once

#include "core/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spawner_request {
    uint64_t id;
    uint64_t timeout_usec;
    uint32_t arguments;   /* strings of argv; 0 = cancel the run of that id */
    uint32_t environment; /* strings of it */
};

struct spawner_answer {
    uint64_t id;
    int32_t error;
    int32_t exit_status;
    int32_t signal;
    uint32_t timed_out;
    uint32_t output_cut;
    uint32_t output_bytes;
    uint32_t error_bytes;
};

#define SPAWNER_REQUEST_MAX (sizeof(struct spawner_request) + SPAWNER_REQUEST_BYTES)
#define SPAWNER_ANSWER_MAX  (sizeof(struct spawner_answer) + SPAWNER_OUTPUT_BYTES + SPAWNER_ERROR_BYTES)

/* A malloc'ed request; -E2BIG, -EINVAL (no absolute path), -ENOMEM. */
int spawner_request_build(uint64_t id, const char *const *argv, const char *const *environment, uint64_t timeout_usec,
                          void **ret_message, size_t *ret_size);

/* Points ARGV and ENVIRONMENT, each with SPAWNER_STRINGS_MAX + 1 places, into MESSAGE. False where it is none. */
bool spawner_request_read(const void *message, size_t size, struct spawner_request *ret, char **argv,
                          char **environment);

/* False where MESSAGE is none; output and error text follow the answer in MESSAGE. */
bool spawner_answer_read(const void *message, size_t size, struct spawner_answer *ret);
