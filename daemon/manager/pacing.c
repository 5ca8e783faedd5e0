/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/pacing.h"

#include "manager/internal.h"

#include "base/text.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define TIMER_ACCURACY_USEC 1 /* 0 would be a quarter of a second */

struct pacing_group {
    LIST_ENTRY(pacing_group) entry;
    struct rate_bucket bucket;
    unsigned users;
    uid_t owner;
    char name[JOB_GROUP_MAX + 1];
};

static uint64_t now_usec(void)
{
    return moment_now().monotonic_usec;
}

/* The one place where it is said which limits hold for a job, beside the one of all. */
static void pacing_limits_of(const struct runner *runner, struct pacing_limits *ret)
{
    const struct job *job = runner->job;
    const struct group *group = manager_find_group(runner->manager, job->owner, job->group);

    *ret = (struct pacing_limits){.job_rate = job->options.rate_bytes,
                                  .owner = job->owner,
                                  .group_name = job->group,
                                  .group_rate = group ? group->rate_bytes : 0};
}

/* ---- the timer ---- */

static void arm(struct manager *manager)
{
    struct pacing *pacing = &manager->pacing;
    uint64_t next = pacing->queue.first ? rate_next_usec(&pacing->queue, now_usec()) : USEC_INFINITY;

    if (next == pacing->armed_usec)
        return;
    pacing->armed_usec = next;
    if (next != USEC_INFINITY)
        (void)sd_event_source_set_time(pacing->source, next);
    (void)sd_event_source_set_enabled(pacing->source, next == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static struct runner *runner_of(struct rate_flow *flow)
{
    return (struct runner *)((char *)flow - offsetof(struct runner, pacing.flow));
}

static void resume(struct runner *runner)
{
    if (runner->transfer)
        runner->manager->transfer_ops->resume(runner->manager->transport, runner->transfer);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct manager *manager = userdata;
    struct rate_flow *flow;

    (void)source, (void)usec;
    manager->pacing.armed_usec = USEC_INFINITY; /* one-shot: it is off now */
    while ((flow = rate_next(&manager->pacing.queue, now_usec())) != NULL)
        resume(runner_of(flow));
    arm(manager);
    return 0;
}

int pacing_init(struct manager *manager)
{
    struct pacing *pacing = &manager->pacing;

    LIST_INIT(&pacing->groups);
    pacing->armed_usec = USEC_INFINITY;
    int r = sd_event_add_time(manager->event, &pacing->source, CLOCK_MONOTONIC, USEC_INFINITY, TIMER_ACCURACY_USEC,
                              on_timer, manager);
    return r < 0 ? r : sd_event_source_set_enabled(pacing->source, SD_EVENT_OFF);
}

void pacing_done(struct manager *manager)
{
    manager->pacing.source = sd_event_source_disable_unref(manager->pacing.source);
}

/* ---- groups ---- */

static struct pacing_group *find_group(struct manager *manager, uid_t owner, const char *name)
{
    struct pacing_group *group;

    LIST_FOREACH(group, &manager->pacing.groups, entry)
    {
        if (group->owner == owner && strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

static int take_group(struct manager *manager, const struct pacing_limits *limits, struct pacing_group **ret)
{
    struct pacing_group *group = NULL;

    if (limits->group_rate != 0) {
        group = find_group(manager, limits->owner, limits->group_name);
        if (!group) {
            group = calloc(1, sizeof(*group));
            if (!group)
                return -ENOMEM;
            group->owner = limits->owner;
            (void)text_copy(group->name, sizeof(group->name), limits->group_name);
            group->bucket.parent = &manager->pacing.all;
            LIST_INSERT_HEAD(&manager->pacing.groups, group, entry);
        }
        group->users++;
        rate_bucket_set(&manager->pacing.queue, &group->bucket, limits->group_rate, now_usec());
    }
    *ret = group;
    return 0;
}

static void leave_group(struct pacing_group *group)
{
    if (!group || --group->users > 0)
        return;
    LIST_REMOVE(group, entry);
    free(group);
}

/* ---- the bodies ---- */

int pacing_begin(struct runner *runner)
{
    struct manager *manager = runner->manager;
    struct pacing_flow *flow = &runner->pacing;
    struct pacing_group *group;
    struct pacing_limits limits;

    pacing_limits_of(runner, &limits);
    int r = take_group(manager, &limits, &group);
    if (r < 0)
        return r;
    pacing_end(runner);
    flow->group = group;
    flow->own.parent = group ? &group->bucket : &manager->pacing.all;
    flow->flow.bucket = &flow->own;
    if (flow->own.bytes_per_second != limits.job_rate)
        rate_bucket_set(&manager->pacing.queue, &flow->own, limits.job_rate, now_usec());
    return 0;
}

void pacing_begun(struct runner *runner)
{
    runner->manager->transfer_ops->set_rate(runner->manager->transport, runner->transfer,
                                            rate_lowest(&runner->pacing.flow));
}

void pacing_end(struct runner *runner)
{
    struct pacing_flow *flow = &runner->pacing;

    if (flow->flow.state != RATE_IDLE) {
        rate_leave(&runner->manager->pacing.queue, &flow->flow, now_usec());
        arm(runner->manager); /* what it waited for is for others */
    }
    leave_group(flow->group);
    flow->group = NULL;
    flow->own.parent = NULL;
}

size_t pacing_ask(struct runner *runner, size_t size)
{
    struct manager *manager = runner->manager;
    struct rate_flow *flow = &runner->pacing.flow;

    if (flow->state == RATE_IDLE && !rate_is_limited(flow))
        return size;
    size_t allowed = rate_ask(&manager->pacing.queue, flow, size, now_usec());
    if (allowed == 0)
        arm(manager);
    return allowed;
}

uint64_t pacing_shown_rate(const struct runner *runner)
{
    uint64_t lowest = runner->pacing.flow.bucket ? rate_lowest(&runner->pacing.flow) : 0;

    return lowest != 0 && lowest < runner->rate ? lowest : runner->rate;
}

void pacing_took(struct runner *runner, size_t taken)
{
    if (runner->pacing.flow.granted > 0)
        rate_took(&runner->pacing.flow, taken, now_usec());
}

/* ---- changes ---- */

static void tell_kernel(struct manager *manager)
{
    struct runner *runner;

    TAILQ_FOREACH (runner, &manager->runners, entry)
        if (runner->transfer && runner->pacing.flow.bucket)
            pacing_begun(runner);
}

void pacing_set(struct manager *manager, uint64_t bytes_per_second)
{
    if (manager->pacing.all.bytes_per_second == bytes_per_second)
        return;
    rate_bucket_set(&manager->pacing.queue, &manager->pacing.all, bytes_per_second, now_usec());
    tell_kernel(manager);
    arm(manager);
}

void pacing_limits_changed(struct manager *manager)
{
    struct runner *runner;

    TAILQ_FOREACH (runner, &manager->runners, entry) {
        if (!runner->transfer || !runner->pacing.flow.bucket)
            continue;
        bool waited = runner->pacing.flow.state != RATE_IDLE;
        /* Without memory the limits of before hold until the next request. */
        if (pacing_begin(runner) == 0 && waited)
            resume(runner);
    }
    tell_kernel(manager);
    arm(manager);
}
