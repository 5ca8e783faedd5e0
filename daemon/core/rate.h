/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many bytes may go now, where limits are shared.
 *
 *   flow (one transfer) ──▶ bucket of its job ──▶ bucket of its group ──▶ the bucket of all
 *
 * A bucket fills at its rate and holds 40 ms of it at most; a flow takes from each bucket on its way, 20 ms at a time,
 * so that no second carries more than 1.05 of the rate. Shares are not cut: what one flow does not ask for is there for
 * the others. Of flows that wait for the same bucket the one that had the fewest bytes goes first, counted from when it
 * last had nothing to wait for; one that waits for a bucket of its own holds up nobody else.
 *
 *   rate_ask() → bytes: read as many, then rate_took()
 *              → 0: the flow waits. At rate_next_usec() rate_next() names flows whose turn it is: let them ask again
 *
 * Example: 3 jobs under 100,000 bytes a second ask for 512 KiB each; every 20 ms one of them gets 2000 bytes.
 *
 * Times are CLOCK_MONOTONIC in microseconds and come in as arguments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_PIECES_PER_SECOND 50 /* how finely a rate is cut: at most so many wake-ups a second for one flow */
#define RATE_BURST_PIECES      2  /* saved up while nobody asked; more would show as a burst */
#define RATE_HELD_UP_USEC      (1500 * UINT64_C(1000)) /* the most that gathers while others have their turn: 64 pieces */
#define RATE_LAPSE_USEC        UINT64_C(40000) /* until a flow that does not ask, although it may, loses its turn */

struct rate_bucket {
    struct rate_bucket *parent; /* NULL = the last one */
    uint64_t bytes_per_second;  /* 0 = no limit */
    uint64_t tokens;            /* millionths of a byte */
    uint64_t filled_usec;
    bool spoken_for; /* within one look at all flows: one that comes first waits for it */
    bool held_up;    /* a flow waits for a bucket further on: what gathers here meanwhile is its due, not a burst */
};

enum rate_state {
    RATE_IDLE,    /* asks for nothing */
    RATE_WAITING, /* was told to wait */
    RATE_CALLED,  /* its turn has come: `granted` bytes are taken from its buckets, until it asks or the turn lapses */
};

struct rate_flow {
    struct rate_bucket *bucket; /* the first on its way */
    enum rate_state state;
    size_t wanted, granted;
    uint64_t lapse_usec;
    uint64_t served;        /* bytes, in the reckoning of the queue: decides whose turn it is */
    struct rate_flow *next; /* in the queue, in this order */
};

struct rate_queue {
    struct rate_flow *first; /* waiting and called ones */
    uint64_t served;         /* of the flow whose turn was last */
};

/* Whether any bucket on the way of FLOW has a limit. */
bool rate_is_limited(const struct rate_flow *flow);

/* The lowest limit on the way of FLOW; 0 = none. */
uint64_t rate_lowest(const struct rate_flow *flow);

/* Changes a limit at once. Whoever waits may have to be called now: see rate_next_usec(). */
void rate_bucket_set(struct rate_queue *queue, struct rate_bucket *bucket, uint64_t bytes_per_second,
                     uint64_t now_usec);

/* How many of WANTED bytes may go now, WANTED > 0; 0 = wait until rate_next() names the flow. */
size_t rate_ask(struct rate_queue *queue, struct rate_flow *flow, size_t wanted, uint64_t now_usec);

/* TAKEN of the bytes that rate_ask() allowed went; the rest is for others. */
void rate_took(struct rate_flow *flow, size_t taken, uint64_t now_usec);

/* A flow that waits and may ask now; NULL = none (any more). */
struct rate_flow *rate_next(struct rate_queue *queue, uint64_t now_usec);

/* When rate_next() is worth calling; USEC_INFINITY = when something else happens. */
uint64_t rate_next_usec(struct rate_queue *queue, uint64_t now_usec);

/* The flow ends, or asks for nothing for a while. */
void rate_leave(struct rate_queue *queue, struct rate_flow *flow, uint64_t now_usec);
