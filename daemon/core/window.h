/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hours of the week in which something may happen, and rates by the clock:
 *
 *   22:00-06:00                          every night; over midnight
 *   Mon..Fri 08:00-18:00; Sat,Sun 00:00-24:00
 *   Mon..Fri 08:00-18:00=200K; 22:00-06:00=off      with rates, for RateSchedule=
 *
 * Spans are separated by ";" and count in local time. Where two overlap, the first one decides the rate.
 *
 * Local time is a value: the caller says how far it is from UTC at any moment, so that a window is right over the
 * changes to and from summer time and after the zone of the machine has changed. A span that begins in an hour that is
 * left out begins with the hour that follows; in an hour that comes twice the window is as open as the clock on the
 * wall says, both times.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_TEXT_MAX  127 /* bytes: a window is part of the key of a lane, which LMDB bounds to 511 */
#define WINDOW_SPANS_MAX 16

struct window_span {
    uint8_t days;       /* on which it begins: bit 0 = Monday */
    uint32_t begin_min; /* of the day, 0 to 1439 */
    uint32_t end_min;   /* begin_min + 1 to begin_min + 1440: over midnight where it is more than 1440 */
    uint64_t rate;      /* bytes a second, 0 = no limit ("off"); of schedules alone */
};

struct window {
    struct window_span spans[WINDOW_SPANS_MAX];
    size_t count; /* 0 = always open */
};

/* Seconds east of UTC at UNIX_SEC. */
struct window_zone {
    int64_t (*offset)(void *userdata, int64_t unix_sec);
    void *userdata;
};

struct window_state {
    bool is_open;
    uint64_t rate;       /* of the span that is open */
    uint64_t since_usec; /* CLOCK_REALTIME: since when it has been so; 0 = always */
    uint64_t until_usec; /* CLOCK_REALTIME: when this may be otherwise; USEC_INFINITY = never */
};

/* Reads TEXT; rates stand in it or not as WITH_RATES says. -EINVAL with a sentence in *ret_reason (a literal). "" is
 * an empty window, which is always open. */
int window_parse(const char *text, bool with_rates, struct window *ret, const char **ret_reason);

void window_at(const struct window *window, const struct window_zone *zone, uint64_t now_usec,
               struct window_state *ret);
