/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/breaker.h"

#include "base/moment.h"

void breaker_failed(struct breaker *breaker, uint64_t now_usec, uint64_t delay_usec, uint64_t next_usec)
{
    if (breaker->state == BREAKER_CLOSED)
        breaker->since_usec = now_usec;
    breaker->state = BREAKER_OPEN;
    breaker->delay_usec = delay_usec;
    breaker->until_usec = next_usec;
}

void breaker_answered(struct breaker *breaker, uint64_t now_usec, uint64_t random)
{
    if (breaker->state != BREAKER_OPEN)
        return;
    breaker->state = BREAKER_RECOVERING;
    breaker->until_usec = now_usec + (breaker->delay_usec > 0 ? random % breaker->delay_usec : 0);
}

bool breaker_holds(struct breaker *breaker, uint64_t now_usec, uint64_t *ret_from_usec)
{
    if (breaker->state == BREAKER_RECOVERING && breaker->until_usec <= now_usec)
        *breaker = (struct breaker){.state = BREAKER_CLOSED};
    if (breaker->state == BREAKER_CLOSED)
        return false;
    *ret_from_usec = breaker->state == BREAKER_OPEN ? breaker->until_usec : 0;
    return true;
}
