/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers and durations read from text, and the clock. Every reader takes the whole string or returns -EINVAL. */
#pragma once

#include <stdint.h>

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

/* Decimal digits only. */
int text_parse_u64(const char *text, uint64_t *ret);

/* Bytes: "1500", "5K", "2M", "1G" (powers of 1000), "64Ki", "24Mi", "1Gi". */
int text_parse_size(const char *text, uint64_t *ret_bytes);

/* "500ms", "2s", "1m"; a bare number is seconds. */
int text_parse_duration(const char *text, uint64_t *ret_usec);

/* CLOCK_MONOTONIC: the log's times can be compared with those of other programs on the machine. */
uint64_t clock_usec(void);
