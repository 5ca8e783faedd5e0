/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/backoff.h"

#include "core/limits.h"

#include "base/moment.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t backoff_delay(const struct backoff_rule *rule, uint64_t previous_usec, uint64_t retry_after_usec,
                       uint64_t random)
{
    uint64_t most = max_u64(rule->min_usec, rule->max_usec);
    uint64_t before = min_u64(max_u64(previous_usec, rule->min_usec), most);
    uint64_t tripled = before > USEC_INFINITY / 3 ? USEC_INFINITY : 3 * before;
    uint64_t span = min_u64(tripled, most) - rule->min_usec;
    /* The slight preference that the remainder gives to small values is of no account against 2^64. */
    uint64_t delay = rule->min_usec + (span == UINT64_MAX ? random : random % (span + 1));

    return max_u64(delay, min_u64(retry_after_usec, RETRY_AFTER_MAX_USEC));
}
