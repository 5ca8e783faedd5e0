/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A token bucket for the body of one exchange. libcurl's own limit is an average that sends a whole buffer and then
 * waits for seconds; this one lets out small pieces at an even pace.
 *
 * Times are CLOCK_MONOTONIC in microseconds and come in as arguments.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PACE_PIECES_PER_SECOND 20 /* how finely a rate is cut: at most so many wake-ups a second */
#define PACE_BURST_PIECES      2  /* saved up while the peer was slow; more would show as a burst */

struct pace {
    uint64_t bytes_per_second; /* 0 = no limit */
    uint64_t tokens;           /* millionths of a byte */
    uint64_t filled_usec;
};

/* Changes the rate at once; what was saved up under another rate is kept as far as the new one allows it. */
void pace_set_rate(struct pace *pace, uint64_t bytes_per_second, uint64_t now_usec);

/* How many of WANTED bytes may go now; 0 = wait until pace_next_usec(). */
size_t pace_allow(struct pace *pace, size_t wanted, uint64_t now_usec);

/* BYTES went. */
void pace_take(struct pace *pace, size_t bytes);

/* When the next piece may go. */
uint64_t pace_next_usec(const struct pace *pace, size_t wanted);
