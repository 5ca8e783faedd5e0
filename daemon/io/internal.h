/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of io/ share. */
#pragma once

#include "io/mountpoint.h"
#include "io/pool.h"
#include "io/token.h"

#include <stddef.h>
#include <stdint.h>

struct reply_call;
TAILQ_HEAD(reply_call_list, reply_call);

LIST_HEAD(source_list, source);

#define KNOWN_MOUNTS 8

/* A mount of a local file system that a look has been at. */
struct known_mount {
    uint64_t id; /* no mount ever gets it again; 0 = none is known here */
    char path[SOURCE_MOUNT_MAX + 1];
};

struct io {
    struct pool *pool;
    size_t sources_count;
    struct source_list left_behind; /* sources that were freed while a thread was in a call on them */
    uint8_t boot_id[16];
    struct known_mount mounts[KNOWN_MOUNTS];
    unsigned next_mount;                /* the place of the next one: the oldest goes */
    struct reply_call_list reply_calls; /* those of one job in order, one at a time in the pool */
    struct spawner *spawner;            /* NULL = none */
    uint64_t token_timeout_usec;        /* TOKEN_COMMAND_USEC, shorter only in tests */
    struct token_list tokens;
    size_t tokens_count;
    struct token_wait_list told; /* those whose run has ended, while they are told so one by one */
};

/*
 * One request, embedded first in what it needs. It may outlive the io in a thread that is stuck: what runs there points
 * at nothing but itself.
 *
 *   new ─▶ submit ─▶ run() on a thread ─▶ finish() on the loop, which submits again, or calls back and frees
 *
 * Once the owner has cancelled it, finish() does not run any more; free() does.
 */
struct io_request {
    struct pool_job job;
    struct pool *pool;
    void (*run)(struct io_request *request);
    void (*finish)(struct io_request *request);
    void (*free)(struct io_request *request);   /* on the loop, or on a thread once the pool has gone */
    void (*cancel)(struct io_request *request); /* while it is not in the pool; NULL where it always is */
    bool in_pool;
    bool cancelled;
};

void io_request_init(struct io_request *request, struct io *io);
void io_request_submit(struct io_request *request);

/* Of reply.c, when the io goes. */
void reply_calls_drop(struct reply_call_list *calls);
