/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue's time. The wall clock may be set by a day, forward or back, and no retry may come a day late or all of
 * them at once for that: what the queue calls realtime is the wall clock as it was when it was last read, and what has
 * passed since then by the clock that counts sleep too. The wall clock is read anew when nothing waits for a time, so
 * that what people read of new jobs is right soon after a machine without a clock of its own has learnt what day it is.
 */
#include "manager/internal.h"

#include <assert.h>
#include <time.h>

#define ASLEEP_NOTICED_USEC USEC_PER_SEC

uint64_t manager_boot_usec(void)
{
    struct timespec boot;

    int r = clock_gettime(CLOCK_BOOTTIME, &boot);
    assert(r == 0);
    return (uint64_t)boot.tv_sec * USEC_PER_SEC + (uint64_t)boot.tv_nsec / 1000;
}

void manager_read_wall_clock(struct manager *manager)
{
    uint64_t before = manager->anchor_boot_usec == 0 ? 0 : manager_now(manager).realtime_usec;

    manager->anchor_wall_usec = moment_now().realtime_usec;
    manager->anchor_boot_usec = manager_boot_usec();
    if (before == 0)
        return;
    /* the same stretch of time, in the new reckoning */
    manager->awake_since_usec = usec_sub(usec_add(manager->awake_since_usec, manager->anchor_wall_usec), before);
    manager_retain_clock_set(manager, before, manager->anchor_wall_usec);
}

struct moment manager_now(struct manager *manager)
{
    struct moment now = moment_now();
    uint64_t boot = manager_boot_usec();
    uint64_t asleep = usec_sub(boot, now.monotonic_usec);

    now.realtime_usec = manager->anchor_wall_usec + usec_sub(boot, manager->anchor_boot_usec);
    if (asleep > manager->asleep_usec + ASLEEP_NOTICED_USEC)
        manager->awake_since_usec = now.realtime_usec;
    if (asleep > manager->asleep_usec)
        manager->asleep_usec = asleep;
    return now;
}

/*
 * How far the wall clock is ahead of the queue's time. The two are read one after the other: what is less than a
 * hundredth of a second is no difference, and a time that is told twice is the same time.
 */
static int64_t wall_ahead_usec(struct manager *manager)
{
    const int64_t step = USEC_PER_SEC / 100;
    int64_t ahead = (int64_t)(moment_now().realtime_usec - manager_now(manager).realtime_usec);

    return (ahead >= 0 ? ahead + step / 2 : ahead - step / 2) / step * step;
}

static uint64_t shift(uint64_t usec, int64_t by)
{
    if (usec == 0 || usec == USEC_INFINITY)
        return usec;
    return by >= 0 ? usec_add(usec, (uint64_t)by) : usec_sub(usec, (uint64_t)-by);
}

uint64_t manager_queue_usec(struct manager *manager, uint64_t usec)
{
    return shift(usec, -wall_ahead_usec(manager));
}

uint64_t manager_wall_usec(struct manager *manager, uint64_t usec)
{
    return shift(usec, wall_ahead_usec(manager));
}
