/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When to try again after a transient error: decorrelated jitter. Each delay is drawn between the minimum and three
 * times the one before, up to the maximum, so that clients which failed together do not come back together.
 */
#pragma once

#include <stdint.h>

struct backoff_rule {
    uint64_t min_usec;
    uint64_t max_usec;
};

/*
 * The next delay in microseconds. PREVIOUS is the last one, 0 after progress. RETRY_AFTER, the server's wish, is a
 * floor (bounded by RETRY_AFTER_MAX_USEC). RANDOM is any 64-bit number; the same arguments give the same delay.
 */
uint64_t backoff_delay(const struct backoff_rule *rule, uint64_t previous_usec, uint64_t retry_after_usec,
                       uint64_t random);
