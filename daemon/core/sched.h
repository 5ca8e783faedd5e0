/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which jobs run now: a pure decision over the heads of the lanes. Ties break by due time, then by id; the same view
 * gives the same plan.
 */
#pragma once

#include "core/job.h"
#include "core/settings.h"

#include "base/moment.h"

#include <stddef.h>
#include <stdint.h>

/* A job that may be started: runnable, and not active. */
struct sched_candidate {
    uint64_t id;
    uint64_t due_usec; /* CLOCK_REALTIME */
    enum job_priority priority;
    const char *host;
};

struct sched_active {
    uint64_t id;
    const char *host;
};

struct sched_view {
    const struct sched_candidate *candidates; /* in any order */
    size_t candidates_count;
    const struct sched_active *active;
    size_t active_count;
};

struct sched_limits {
    uint64_t max_active;
    uint64_t max_active_per_host;
};

struct sched_plan {
    uint64_t start[ACTIVE_JOBS_MAX];
    size_t start_count;
    uint64_t wake_usec; /* CLOCK_REALTIME of the next candidate that becomes due; USEC_INFINITY = none */
};

/* 0, or -ENOMEM. */
int sched_decide(const struct sched_view *view, const struct sched_limits *limits, struct moment now,
                 struct sched_plan *ret_plan);
