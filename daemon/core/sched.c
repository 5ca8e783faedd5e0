/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/sched.h"

#include <errno.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    const struct sched_candidate *a = left, *b = right;

    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    if (a->due_usec != b->due_usec)
        return a->due_usec < b->due_usec ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static uint64_t running_on_host(const struct sched_view *view, const char *const *started, size_t started_count,
                                const char *host)
{
    uint64_t count = 0;

    for (size_t i = 0; i < view->active_count; i++)
        count += strcmp(view->active[i].host, host) == 0;
    for (size_t i = 0; i < started_count; i++)
        count += strcmp(started[i], host) == 0;
    return count;
}

int sched_decide(const struct sched_view *view, const struct sched_limits *limits, struct moment now,
                 struct sched_plan *ret_plan)
{
    struct sched_plan plan = {.wake_usec = USEC_INFINITY};
    const char *started[ACTIVE_JOBS_MAX];
    size_t due_count = 0;
    _cleanup_free_ struct sched_candidate *due = NULL;

    if (view->candidates_count > 0) {
        due = calloc(view->candidates_count, sizeof(*due));
        if (!due)
            return -ENOMEM;
    }
    for (size_t i = 0; i < view->candidates_count; i++) {
        const struct sched_candidate *candidate = &view->candidates[i];
        if (candidate->due_usec <= now.realtime_usec)
            due[due_count++] = *candidate;
        else if (candidate->due_usec < plan.wake_usec)
            plan.wake_usec = candidate->due_usec;
    }
    if (due_count > 0)
        qsort(due, due_count, sizeof(*due), compare);
    for (size_t i = 0; i < due_count; i++) {
        if (plan.start_count == ACTIVE_JOBS_MAX || view->active_count + plan.start_count >= limits->max_active)
            break;
        if (running_on_host(view, started, plan.start_count, due[i].host) >= limits->max_active_per_host)
            continue;
        started[plan.start_count] = due[i].host;
        plan.start[plan.start_count++] = due[i].id;
    }
    *ret_plan = plan;
    return 0;
}
