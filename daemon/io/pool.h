/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The small pool of threads behind io/: calls that may hang run there, and their results come back to the loop.
 *
 *   loop: pool_submit() ──▶ queue ──▶ a thread: run() ──▶ finished ──mailbox──▶ loop: pool_dispatch() → finish()
 *
 * A call on a file system that hangs cannot be broken off. So nothing waits for it for ever: its job belongs to whoever
 * comes last, the loop or the thread; and while it hangs, another thread takes the place of its own (up to
 * IO_THREADS_MAX), so that files on other file systems are read all the same.
 */
#pragma once

#include "base/cleanup.h"
#include "base/mailbox.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define POOL_FREE_WAIT_SEC 2                       /* pool_free() waits so long for calls in progress */
#define POOL_STUCK_USEC    ((uint64_t)2 * 1000000) /* a call that takes longer does not count as a thread any more */

struct pool;

struct pool_job {
    void (*run)(struct pool_job *job);    /* on a pool thread; may block */
    void (*finish)(struct pool_job *job); /* on the loop, after run() */
    void (*drop)(struct pool_job *job); /* the pool has gone: frees the job; on the loop, or on a thread after run() */
    bool unattended; /* nobody waits for it, but it has to be done, even by pool_free(): drop() follows on the thread */
    bool queued;     /* the pool's */
    uint64_t begun_usec;         /* the pool's */
    TAILQ_ENTRY(pool_job) entry; /* the pool's */
};

int pool_new(struct mailbox *mailbox, unsigned threads, struct pool **ret);

/*
 * Drops what waits, and waits for what runs, though not for longer than POOL_FREE_WAIT_SEC: a thread that is stuck in a
 * call is left alone with its job. No finish() runs any more.
 */
struct pool *pool_free(struct pool *pool);
DEFINE_CLEANUP(struct pool *, pool_free);

void pool_submit(struct pool *pool, struct pool_job *job);

/* Takes JOB back. Returns whether no thread had begun it; else finish() is still to come. */
bool pool_withdraw(struct pool *pool, struct pool_job *job);

/* Whether a thread has been in JOB, which was submitted, for longer than POOL_STUCK_USEC. */
bool pool_is_stuck(struct pool *pool, const struct pool_job *job);

/* Whether MESSAGE is the pool's; if so finish() runs for every job that is done. */
bool pool_dispatch(struct pool *pool, struct message *message);
