/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/rate.h"

#include "core/limits.h"

#include "base/moment.h"

#include <assert.h>

#define TOKENS_PER_BYTE USEC_PER_SEC /* so that bytes a second times microseconds are tokens */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- one bucket ---- */

/* Bytes that are worth waking up for. */
static uint64_t piece_bytes(const struct rate_bucket *bucket)
{
    uint64_t piece = bucket->bytes_per_second / RATE_PIECES_PER_SECOND;

    return piece > 0 ? piece : 1;
}

static uint64_t capacity(const struct rate_bucket *bucket)
{
    uint64_t held_up = bucket->held_up ? RATE_HELD_UP_USEC * bucket->bytes_per_second : 0;
    uint64_t usual = RATE_BURST_PIECES * piece_bytes(bucket) * TOKENS_PER_BYTE;

    return held_up > usual ? held_up : usual;
}

static void fill(struct rate_bucket *bucket, uint64_t now_usec)
{
    uint64_t elapsed = min_u64(usec_sub(now_usec, bucket->filled_usec), USEC_PER_SEC);

    bucket->tokens = min_u64(bucket->tokens + elapsed * bucket->bytes_per_second, capacity(bucket));
    bucket->filled_usec = now_usec;
}

/* ---- the way of a flow ---- */

bool rate_is_limited(const struct rate_flow *flow)
{
    for (const struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent)
        if (bucket->bytes_per_second != 0)
            return true;
    return false;
}

uint64_t rate_lowest(const struct rate_flow *flow)
{
    uint64_t lowest = 0;

    for (const struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent)
        if (bucket->bytes_per_second != 0 && (lowest == 0 || bucket->bytes_per_second < lowest))
            lowest = bucket->bytes_per_second;
    return lowest;
}

/*
 * What FLOW takes when its turn comes, of buckets that are filled. One that had to wait for others gives what gathered
 * meanwhile, in whole pieces: else what is waited for would grow with each look.
 */
static size_t piece_of(const struct rate_flow *flow)
{
    uint64_t bytes = flow->wanted;

    for (const struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent) {
        if (bucket->bytes_per_second == 0)
            continue;
        uint64_t piece = piece_bytes(bucket);
        uint64_t gathered = bucket->tokens / TOKENS_PER_BYTE / piece;
        bytes = min_u64(bytes, bucket->held_up && gathered > 1 ? gathered * piece : piece);
    }
    return (size_t)bytes;
}

/* When the first of those buckets on its way that do not hold a piece will do so; NOW_USEC = all of them hold one. */
static uint64_t look_again_usec(const struct rate_flow *flow, uint64_t now_usec)
{
    uint64_t earliest = USEC_INFINITY;

    for (struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent)
        fill(bucket, now_usec);
    uint64_t tokens = piece_of(flow) * TOKENS_PER_BYTE;
    for (struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent) {
        if (bucket->bytes_per_second == 0)
            continue;
        uint64_t missing = usec_sub(tokens, bucket->tokens);
        uint64_t wait_usec = (missing + bucket->bytes_per_second - 1) / bucket->bytes_per_second;
        if (missing > 0)
            earliest = min_u64(earliest, now_usec + wait_usec);
    }
    return earliest == USEC_INFINITY ? now_usec : earliest;
}

static bool is_ready(const struct rate_flow *flow, uint64_t now_usec)
{
    return look_again_usec(flow, now_usec) == now_usec;
}

/* Buckets that hold enough for FLOW, with one further on that does not, or that is others' first. */
static void note_held_up(const struct rate_flow *flow)
{
    uint64_t tokens = piece_of(flow) * TOKENS_PER_BYTE;

    for (struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent) {
        for (const struct rate_bucket *further = bucket->parent; further; further = further->parent)
            if (bucket->bytes_per_second != 0 && bucket->tokens >= tokens && further->bytes_per_second != 0 &&
                (further->spoken_for || further->tokens < tokens))
                bucket->held_up = true;
    }
}

static bool must_stand_back(const struct rate_flow *flow)
{
    for (const struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent)
        if (bucket->bytes_per_second != 0 && bucket->spoken_for)
            return true;
    return false;
}

/* Those behind may not take what FLOW waits for. Of buckets that hold enough for it there may be enough for others. */
static void speak_for(const struct rate_flow *flow, bool all)
{
    uint64_t tokens = piece_of(flow) * TOKENS_PER_BYTE;

    for (struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent)
        if (all || bucket->tokens < tokens)
            bucket->spoken_for = true;
}

static void forget_who_waits(struct rate_queue *queue)
{
    for (struct rate_flow *flow = queue->first; flow; flow = flow->next)
        for (struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent)
            bucket->spoken_for = false;
}

/* ---- turns ---- */

static void unlink_flow(struct rate_queue *queue, struct rate_flow *flow)
{
    struct rate_flow **place = &queue->first;

    while (*place && *place != flow)
        place = &(*place)->next;
    assert(*place);
    *place = flow->next;
    flow->next = NULL;
}

static void link_flow(struct rate_queue *queue, struct rate_flow *flow)
{
    struct rate_flow **place = &queue->first;

    while (*place && (*place)->served <= flow->served)
        place = &(*place)->next;
    flow->next = *place;
    *place = flow;
}

/* Takes what is due to it from all buckets on its way, which hold it. */
static void grant(struct rate_queue *queue, struct rate_flow *flow)
{
    size_t bytes = piece_of(flow);

    for (struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent) {
        if (bucket->bytes_per_second != 0)
            bucket->tokens -= bytes * TOKENS_PER_BYTE;
        bucket->held_up = false;
    }
    flow->granted = bytes;
    if (flow->served > queue->served)
        queue->served = flow->served;
    flow->served += bytes;
}

/* Gives back what it did not use. Without a limit nothing was taken. */
static void give_back(struct rate_flow *flow, size_t bytes, uint64_t now_usec)
{
    for (struct rate_bucket *bucket = flow->bucket; bucket; bucket = bucket->parent) {
        if (bucket->bytes_per_second == 0)
            continue;
        fill(bucket, now_usec);
        bucket->tokens = min_u64(bucket->tokens + min_u64(bytes, RATE_LIMIT_MAX) * TOKENS_PER_BYTE, capacity(bucket));
    }
    flow->served -= bytes;
}

static void lapse(struct rate_queue *queue, struct rate_flow *flow, uint64_t now_usec)
{
    unlink_flow(queue, flow);
    give_back(flow, flow->granted, now_usec);
    flow->granted = 0;
    flow->state = RATE_IDLE;
}

void rate_bucket_set(struct rate_queue *queue, struct rate_bucket *bucket, uint64_t bytes_per_second, uint64_t now_usec)
{
    bytes_per_second = min_u64(bytes_per_second, RATE_LIMIT_MAX);
    if (bytes_per_second == bucket->bytes_per_second)
        return;
    /* What was granted under the old rate may be seconds under the new one. */
    for (struct rate_flow *flow = queue->first, *next; flow; flow = next) {
        next = flow->next;
        if (flow->state == RATE_CALLED)
            lapse(queue, flow, now_usec);
    }
    if (bucket->bytes_per_second != 0)
        fill(bucket, now_usec);
    else
        bucket->tokens = 0;
    bucket->bytes_per_second = bytes_per_second;
    bucket->tokens = min_u64(bucket->tokens, capacity(bucket));
    bucket->filled_usec = now_usec;
}

static void join(struct rate_queue *queue, struct rate_flow *flow, size_t wanted)
{
    /* A flow that had its pause, or is new, has no claim to what others used meanwhile. */
    if (flow->served < queue->served)
        flow->served = queue->served;
    flow->wanted = wanted;
    flow->state = RATE_WAITING;
    link_flow(queue, flow);
}

/* Whether it is the turn of FLOW, which waits: those before it could go, too, and are called soon. */
static bool is_its_turn(struct rate_queue *queue, const struct rate_flow *flow, uint64_t now_usec)
{
    forget_who_waits(queue);
    for (const struct rate_flow *other = queue->first; other != flow; other = other->next)
        if (other->state == RATE_WAITING)
            speak_for(other, is_ready(other, now_usec));
    return !must_stand_back(flow) && is_ready(flow, now_usec);
}

size_t rate_ask(struct rate_queue *queue, struct rate_flow *flow, size_t wanted, uint64_t now_usec)
{
    assert(wanted > 0);
    if (flow->state == RATE_IDLE && !rate_is_limited(flow))
        return wanted;
    if (flow->state == RATE_CALLED) {
        unlink_flow(queue, flow);
        flow->state = RATE_IDLE;
        if (!rate_is_limited(flow)) {
            flow->granted = 0;
            return wanted;
        }
        return (size_t)min_u64(flow->granted, wanted);
    }
    if (flow->state == RATE_WAITING)
        unlink_flow(queue, flow);
    join(queue, flow, wanted);
    if (!is_its_turn(queue, flow, now_usec))
        return 0;
    unlink_flow(queue, flow);
    flow->state = RATE_IDLE;
    grant(queue, flow);
    return flow->granted;
}

void rate_took(struct rate_flow *flow, size_t taken, uint64_t now_usec)
{
    if (flow->granted > taken)
        give_back(flow, flow->granted - taken, now_usec);
    flow->granted = 0;
}

struct rate_flow *rate_next(struct rate_queue *queue, uint64_t now_usec)
{
    forget_who_waits(queue);
    for (struct rate_flow *flow = queue->first, *next; flow; flow = next) {
        next = flow->next;
        if (flow->state == RATE_CALLED && flow->lapse_usec <= now_usec) {
            lapse(queue, flow, now_usec);
            continue;
        }
        if (flow->state != RATE_WAITING)
            continue;
        bool ready = is_ready(flow, now_usec);
        if (must_stand_back(flow) || !ready) {
            note_held_up(flow);
            speak_for(flow, false);
            continue;
        }
        grant(queue, flow);
        flow->state = RATE_CALLED;
        flow->lapse_usec = now_usec + RATE_LAPSE_USEC;
        return flow;
    }
    return NULL;
}

uint64_t rate_next_usec(struct rate_queue *queue, uint64_t now_usec)
{
    uint64_t earliest = USEC_INFINITY;

    forget_who_waits(queue);
    for (struct rate_flow *flow = queue->first; flow; flow = flow->next) {
        if (flow->state == RATE_CALLED) {
            earliest = min_u64(earliest, flow->lapse_usec);
        } else if (!must_stand_back(flow)) {
            earliest = min_u64(earliest, look_again_usec(flow, now_usec));
            speak_for(flow, false);
        }
    }
    return earliest;
}

void rate_leave(struct rate_queue *queue, struct rate_flow *flow, uint64_t now_usec)
{
    if (flow->state == RATE_CALLED)
        lapse(queue, flow, now_usec);
    else if (flow->state == RATE_WAITING)
        unlink_flow(queue, flow);
    flow->state = RATE_IDLE;
}
