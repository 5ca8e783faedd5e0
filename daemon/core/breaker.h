/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A circuit breaker for one destination: what many jobs would find out one after the other, one finds out for all.
 *
 *   closed ──nobody can be served──▶ open: one job at a time probes, when the back-off says so
 *     ▲                                 │ it answers
 *     └──after a random while────── recovering: one job at a time goes on, so that thousands of clients which waited
 *                                       for the same server do not double their connections in the same minute
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum breaker_state {
    BREAKER_CLOSED,
    BREAKER_OPEN,
    BREAKER_RECOVERING,
};

struct breaker {
    enum breaker_state state;
    uint64_t since_usec; /* CLOCK_REALTIME, as the others: since when it has been open */
    uint64_t delay_usec; /* the last one of the back-off */
    uint64_t until_usec; /* open: the next probe; recovering: the end of that */
};

/* An attempt found that nobody can be served; the next one is to be made at NEXT, DELAY after this. */
void breaker_failed(struct breaker *breaker, uint64_t now_usec, uint64_t delay_usec, uint64_t next_usec);

/* The destination served somebody. RANDOM is any 64-bit number. */
void breaker_answered(struct breaker *breaker, uint64_t now_usec, uint64_t random);

/*
 * Whether one job at a time may go there. *ret_from: not before; 0 = at once. Otherwise as many as the limits allow.
 * What has recovered for long enough closes here.
 */
bool breaker_holds(struct breaker *breaker, uint64_t now_usec, uint64_t *ret_from_usec);
