/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time as a value: whoever may read the clocks reads both at once and hands the moment down. */
#pragma once

#include <stdint.h>

#define USEC_PER_MSEC ((uint64_t)1000)
#define USEC_PER_SEC  ((uint64_t)1000000)
#define USEC_PER_MIN  (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)
#define USEC_PER_DAY  (24 * USEC_PER_HOUR)
#define USEC_INFINITY UINT64_MAX

struct moment {
    uint64_t realtime_usec;  /* CLOCK_REALTIME: what people read; may jump */
    uint64_t monotonic_usec; /* CLOCK_MONOTONIC: durations; stands still while the machine sleeps */
};

/* Reads both clocks. Only the manager and main.c call it. */
struct moment moment_now(void);

/* a + b, or USEC_INFINITY where the sum does not fit or either is USEC_INFINITY. */
uint64_t usec_add(uint64_t a, uint64_t b);

/* a - b, or 0 where b is the larger. */
uint64_t usec_sub(uint64_t a, uint64_t b);
