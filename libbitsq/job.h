/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <bitsq/bitsq.h>

#define REPLY_SIZE_UNKNOWN UINT64_MAX /* as org.bitsq1.Job says it */

struct attempt {
    uint64_t time;
    char *name;
    int32_t http_status;
    char *phase;
    uint64_t acknowledged;
    char *address;
};

/* A string that the daemon left out is NULL here; the getters make it "". */
struct bitsq_job {
    uint64_t id;
    char *key, *name, *type, *state, *priority, *group, *source, *url, *session, *host, *because;
    uint32_t owner;
    char **gates;
    size_t gates_count;
    uint64_t size, acknowledged, resent, rate;
    uint32_t attempts;
    uint64_t next_attempt, blocked_until, created, started, finished;
    char *error_name, *error_text, *error_context, *error_phase;
    uint32_t error_code, error_http_status;
    char *error_host, *error_address;
    char *server_name, *server_address, *server_host;
    char *reply_path;
    uint64_t reply_received, reply_size;
    int reply_stored;
    int confirmed;
    struct attempt *attempts_log;
    size_t attempts_count;
    bitsq_job_options *options; /* NULL = none */
};
