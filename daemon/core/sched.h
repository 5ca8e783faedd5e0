/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which jobs run now: a pure decision over the heads of the lanes. Ties break by due time, then by id; the same view
 * gives the same plan.
 *
 *   due candidates, by priority, due time, id ─▶ fits the limits? ─ yes ─▶ start
 *                                                     │ no
 *                                                     ▼
 *          an active job that is less urgent, or as urgent with its time slice used up, in whose place it would fit?
 *                                                     │ yes
 *                                                     ▼
 *                                            that one shall yield at the end of its fragment
 *
 * A job that yields keeps its slot until its fragment is over; the decision that follows then gives it to whoever is
 * first. Foreground jobs run beside one another: they have no time slices, and the parallelism of a group neither holds
 * them back nor counts them.
 */
#pragma once

#include "core/job.h"
#include "core/settings.h"

#include "base/moment.h"

#include <stddef.h>
#include <stdint.h>

/* What the jobs of one lane share. */
struct sched_lane {
    uid_t owner;
    enum job_priority priority;
    const char *host;
    const char *group;
    uint64_t group_max_active; /* 0 = the group has no limit of its own */
    bool is_closed;            /* a gate holds all of them back */
};

/* A job that may be started: runnable, and not active. */
struct sched_candidate {
    uint64_t id;
    uint64_t due_usec; /* CLOCK_REALTIME */
    const struct sched_lane *lane;
    bool is_forced; /* a person wants it to run now: gates and due time do not count, limits do */
};

struct sched_active {
    uint64_t id;
    struct sched_lane lane;
    uint64_t since_usec; /* CLOCK_MONOTONIC: when its time slice began */
    bool is_forced;      /* nobody takes its place */
    bool is_yielding;    /* it was told so by an earlier plan */
};

/* A destination that does not answer: one job finds out whether it does again. */
struct sched_down {
    const char *host;
    uint64_t probe_usec; /* CLOCK_REALTIME: not before */
    uint64_t until_usec; /* CLOCK_REALTIME: when that may be otherwise; behind now, or 0 = when its probe ends */
};

struct sched_view {
    const struct sched_candidate *candidates; /* in any order */
    size_t candidates_count;
    const struct sched_active *active;
    size_t active_count;
    const struct sched_down *down;
    size_t down_count;
};

struct sched_limits {
    uint64_t max_active;
    uint64_t max_active_per_host;
    uint64_t max_active_per_user; /* 0 = no limit */
    uint64_t time_slice_usec;
    /*
     * CLOCK_MONOTONIC: since when the network is back. From then on one more job may be active with every
     * RAMP_STEP_USEC, so that a laptop that wakes up does not fall upon every server at once. 0 = long since.
     */
    uint64_t ramp_usec;
};

struct sched_plan {
    uint64_t start[ACTIVE_JOBS_MAX];
    size_t start_count;
    uint64_t yield[ACTIVE_JOBS_MAX]; /* active ones that shall end at the edge of their fragment */
    size_t yield_count;
    uint64_t wake_usec;           /* CLOCK_REALTIME when a candidate becomes due; USEC_INFINITY = none does */
    uint64_t wake_monotonic_usec; /* CLOCK_MONOTONIC when a time slice is used up or the ramp allows one more */
};

/* 0, or -ENOMEM. */
int sched_decide(const struct sched_view *view, const struct sched_limits *limits, struct moment now,
                 struct sched_plan *ret_plan);
