/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/moment.h"

#include <assert.h>
#include <time.h>

static uint64_t clock_usec(clockid_t clock)
{
    struct timespec now;

    int r = clock_gettime(clock, &now);
    assert(r == 0);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

struct moment moment_now(void)
{
    return (struct moment){.realtime_usec = clock_usec(CLOCK_REALTIME), .monotonic_usec = clock_usec(CLOCK_MONOTONIC)};
}

uint64_t usec_add(uint64_t a, uint64_t b)
{
    return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

uint64_t usec_sub(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}
