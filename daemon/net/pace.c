/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/pace.h"

#include "base/moment.h"

#define TOKENS_PER_BYTE 1000000             /* so that bytes a second times microseconds are tokens */
#define RATE_MAX        (UINT64_C(1) << 40) /* bytes a second, 1 TiB: keeps the products within 64 bits */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Bytes that are worth waking up for. */
static uint64_t piece_bytes(const struct pace *pace)
{
    uint64_t piece = pace->bytes_per_second / PACE_PIECES_PER_SECOND;

    return piece > 0 ? piece : 1;
}

static uint64_t capacity(const struct pace *pace)
{
    return PACE_BURST_PIECES * piece_bytes(pace) * TOKENS_PER_BYTE;
}

static void fill(struct pace *pace, uint64_t now_usec)
{
    uint64_t elapsed = min_u64(usec_sub(now_usec, pace->filled_usec), USEC_PER_SEC);

    /* At 1 B/s a byte takes a whole second to gather: what is there already stays. */
    pace->tokens = min_u64(pace->tokens + elapsed * pace->bytes_per_second, capacity(pace));
    pace->filled_usec = now_usec;
}

void pace_set_rate(struct pace *pace, uint64_t bytes_per_second, uint64_t now_usec)
{
    if (pace->bytes_per_second != 0)
        fill(pace, now_usec);
    pace->bytes_per_second = min_u64(bytes_per_second, RATE_MAX);
    pace->tokens = min_u64(pace->tokens, capacity(pace));
    pace->filled_usec = now_usec;
}

size_t pace_allow(struct pace *pace, size_t wanted, uint64_t now_usec)
{
    if (pace->bytes_per_second == 0)
        return wanted;
    fill(pace, now_usec);
    uint64_t bytes = pace->tokens / TOKENS_PER_BYTE;
    if (bytes < min_u64(wanted, piece_bytes(pace)))
        return 0;
    return (size_t)min_u64(bytes, wanted);
}

void pace_take(struct pace *pace, size_t bytes)
{
    if (pace->bytes_per_second != 0)
        pace->tokens = usec_sub(pace->tokens, bytes * TOKENS_PER_BYTE);
}

uint64_t pace_next_usec(const struct pace *pace, size_t wanted)
{
    if (pace->bytes_per_second == 0)
        return pace->filled_usec;
    uint64_t missing = usec_sub(min_u64(wanted, piece_bytes(pace)) * TOKENS_PER_BYTE, pace->tokens);
    return pace->filled_usec + (missing + pace->bytes_per_second - 1) / pace->bytes_per_second;
}
