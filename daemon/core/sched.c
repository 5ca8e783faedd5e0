/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/sched.h"

#include <errno.h>
#include <string.h>

/* A decision in the making. */
struct decision {
    const struct sched_view *view;
    const struct sched_limits *limits;
    struct moment now;
    struct sched_plan plan;
    const struct sched_lane *started[ACTIVE_JOBS_MAX];
    /* Of the active jobs: it yields, and somebody waits for its place already. */
    bool is_yielding[ACTIVE_JOBS_MAX], is_claimed[ACTIVE_JOBS_MAX];
};

static int compare(const void *left, const void *right)
{
    const struct sched_candidate *a = left, *b = right;

    if (a->is_forced != b->is_forced)
        return a->is_forced ? -1 : 1;
    if (a->lane->priority != b->lane->priority)
        return a->lane->priority < b->lane->priority ? -1 : 1;
    if (a->due_usec != b->due_usec)
        return a->due_usec < b->due_usec ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void wake_at(struct decision *decision, uint64_t usec)
{
    if (usec < decision->plan.wake_usec)
        decision->plan.wake_usec = usec;
}

static void wake_at_monotonic(struct decision *decision, uint64_t usec)
{
    if (usec < decision->plan.wake_monotonic_usec)
        decision->plan.wake_monotonic_usec = usec;
}

/* How many would be active of those that share a limit with a candidate, were LEFT_OUT not there. */
struct crowd {
    uint64_t total, host, owner, group;
};

static void count(struct crowd *crowd, const struct sched_lane *lane, const struct sched_lane *candidate)
{
    crowd->total++;
    crowd->host += strcmp(lane->host, candidate->host) == 0;
    crowd->owner += lane->owner == candidate->owner;
    crowd->group += lane->owner == candidate->owner && lane->priority != PRIORITY_FOREGROUND &&
                    strcmp(lane->group, candidate->group) == 0;
}

static bool fits_without(const struct decision *decision, const struct sched_lane *candidate, size_t left_out)
{
    const struct sched_limits *limits = decision->limits;
    struct crowd crowd = {0};

    for (size_t i = 0; i < decision->view->active_count; i++)
        if (i != left_out)
            count(&crowd, &decision->view->active[i].lane, candidate);
    for (size_t i = 0; i < decision->plan.start_count; i++)
        count(&crowd, decision->started[i], candidate);
    if (crowd.total >= limits->max_active || crowd.host >= limits->max_active_per_host)
        return false;
    if (limits->max_active_per_user != 0 && crowd.owner >= limits->max_active_per_user)
        return false;
    return candidate->priority == PRIORITY_FOREGROUND || candidate->group_max_active == 0 ||
           crowd.group < candidate->group_max_active;
}

static bool fits(const struct decision *decision, const struct sched_lane *candidate)
{
    return fits_without(decision, candidate, SIZE_MAX);
}

/* From when on ACTIVE has to make room for a candidate, CLOCK_MONOTONIC; USEC_INFINITY = never. */
static uint64_t yields_from(const struct decision *decision, const struct sched_active *active,
                            const struct sched_lane *candidate)
{
    if (active->is_forced || active->lane.priority < candidate->priority)
        return USEC_INFINITY;
    if (active->lane.priority > candidate->priority)
        return 0;
    if (candidate->priority == PRIORITY_FOREGROUND)
        return USEC_INFINITY;
    return usec_add(active->since_usec, decision->limits->time_slice_usec);
}

/* The less urgent one goes first, then the one that has had its slot for longest. */
static bool is_better_victim(const struct sched_active *a, const struct sched_active *b)
{
    if (a->lane.priority != b->lane.priority)
        return a->lane.priority > b->lane.priority;
    if (a->since_usec != b->since_usec)
        return a->since_usec < b->since_usec;
    return a->id < b->id;
}

/* Whether an active job that yields already makes room for CANDIDATE; nobody else waits for that place then. */
static bool claim_yielding(struct decision *decision, const struct sched_lane *candidate)
{
    for (size_t i = 0; i < decision->view->active_count; i++) {
        if (!decision->is_yielding[i] || decision->is_claimed[i] || !fits_without(decision, candidate, i))
            continue;
        decision->is_claimed[i] = true;
        return true;
    }
    return false;
}

/* False where nobody will ever make room for a candidate of this lane, or only later. */
static bool make_room(struct decision *decision, const struct sched_lane *candidate)
{
    const struct sched_view *view = decision->view;
    size_t victim = SIZE_MAX;

    if (claim_yielding(decision, candidate))
        return true;
    for (size_t i = 0; i < view->active_count; i++) {
        uint64_t from = yields_from(decision, &view->active[i], candidate);
        if (from == USEC_INFINITY || decision->is_yielding[i] || !fits_without(decision, candidate, i))
            continue;
        if (from > decision->now.monotonic_usec)
            wake_at_monotonic(decision, from);
        else if (victim == SIZE_MAX || is_better_victim(&view->active[i], &view->active[victim]))
            victim = i;
    }
    if (victim == SIZE_MAX)
        return false;
    decision->is_yielding[victim] = decision->is_claimed[victim] = true;
    decision->plan.yield[decision->plan.yield_count++] = view->active[victim].id;
    return true;
}

/* Whether the destination is down and must not be asked (again) yet. */
static bool is_held_by_host(struct decision *decision, const struct sched_candidate *candidate)
{
    const struct sched_view *view = decision->view;
    const struct sched_down *down = NULL;

    for (size_t i = 0; i < view->down_count && !down; i++)
        if (strcmp(view->down[i].host, candidate->lane->host) == 0)
            down = &view->down[i];
    if (!down)
        return false;
    if (down->until_usec > decision->now.realtime_usec)
        wake_at(decision, down->until_usec);
    for (size_t i = 0; i < view->active_count; i++)
        if (strcmp(view->active[i].lane.host, down->host) == 0)
            return true;
    for (size_t i = 0; i < decision->plan.start_count; i++)
        if (strcmp(decision->started[i]->host, down->host) == 0)
            return true;
    if (candidate->is_forced || down->probe_usec <= decision->now.realtime_usec)
        return false;
    wake_at(decision, down->probe_usec);
    return true;
}

/* Whether the network has been back for too short a time for one more. */
static bool is_held_by_ramp(struct decision *decision)
{
    uint64_t since = decision->limits->ramp_usec;
    uint64_t active = decision->view->active_count + decision->plan.start_count;

    if (since == 0 || active < 1 + usec_sub(decision->now.monotonic_usec, since) / RAMP_STEP_USEC)
        return false;
    wake_at_monotonic(decision, usec_add(since, active * RAMP_STEP_USEC));
    return true;
}

/* The due ones to the front, in their order; what is not due sets the alarm. */
static size_t sort_out(struct decision *decision, struct sched_candidate *due)
{
    const struct sched_view *view = decision->view;
    size_t count = 0;

    for (size_t i = 0; i < view->candidates_count; i++) {
        const struct sched_candidate *candidate = &view->candidates[i];
        if (candidate->is_forced || (!candidate->lane->is_closed && candidate->due_usec <= decision->now.realtime_usec))
            due[count++] = *candidate;
        else if (!candidate->lane->is_closed)
            wake_at(decision, candidate->due_usec);
    }
    if (count > 1)
        qsort(due, count, sizeof(*due), compare);
    return count;
}

static bool is_full(const struct decision *decision)
{
    return decision->view->active_count + decision->plan.start_count >= decision->limits->max_active;
}

/*
 * Whether an active job could make room for anybody as urgent as CANDIDATE. If not, and every slot is taken, nobody of
 * that priority has to be looked at: in a queue of thousands most decisions end here.
 */
static bool somebody_yields(struct decision *decision, const struct sched_lane *candidate)
{
    bool found = false;

    for (size_t i = 0; i < decision->view->active_count; i++) {
        uint64_t from = yields_from(decision, &decision->view->active[i], candidate);
        if (decision->is_claimed[i])
            continue;
        if (decision->is_yielding[i] || from <= decision->now.monotonic_usec)
            found = true;
        else if (from != USEC_INFINITY && fits_without(decision, candidate, i))
            wake_at_monotonic(decision, from);
    }
    return found;
}

static void choose(struct decision *decision, const struct sched_candidate *due, size_t count)
{
    const struct sched_lane *hopeless = NULL;

    for (size_t i = 0; i < count && decision->plan.start_count < ACTIVE_JOBS_MAX; i++) {
        const struct sched_lane *lane = due[i].lane;
        /* What did not fit for the one before does not for the next of its lane. */
        if (lane == hopeless || is_held_by_host(decision, &due[i]))
            continue;
        if (is_full(decision) && !somebody_yields(decision, lane)) {
            while (i + 1 < count && due[i + 1].lane->priority == lane->priority)
                i++;
            continue;
        }
        if (!fits(decision, lane)) {
            if (!make_room(decision, lane))
                hopeless = lane;
            continue;
        }
        if (is_held_by_ramp(decision))
            return;
        decision->started[decision->plan.start_count] = lane;
        decision->plan.start[decision->plan.start_count++] = due[i].id;
    }
}

int sched_decide(const struct sched_view *view, const struct sched_limits *limits, struct moment now,
                 struct sched_plan *ret_plan)
{
    struct decision decision = {.view = view,
                                .limits = limits,
                                .now = now,
                                .plan = {.wake_usec = USEC_INFINITY, .wake_monotonic_usec = USEC_INFINITY}};
    _cleanup_free_ struct sched_candidate *due = NULL;

    if (view->candidates_count > 0) {
        due = calloc(view->candidates_count, sizeof(*due));
        if (!due)
            return -ENOMEM;
    }
    for (size_t i = 0; i < view->active_count; i++)
        decision.is_yielding[i] = view->active[i].is_yielding;
    choose(&decision, due, sort_out(&decision, due));
    *ret_plan = decision.plan;
    return 0;
}
