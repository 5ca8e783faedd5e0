/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the store's lanes to a plan, and from the plan to runners. */
#include "core/sched.h"
#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct gathering {
    struct manager *manager;
    struct sched_candidate *candidates;
    size_t count, size;
    char **hosts; /* one a lane; candidates point into it */
    size_t hosts_count, hosts_size;
};

static void gathering_done(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->hosts_count; i++)
        free(gathering->hosts[i]);
    free(gathering->hosts);
    free(gathering->candidates);
}

static int keep_host(struct gathering *gathering, const char *host, const char **ret)
{
    if (gathering->hosts_count == gathering->hosts_size) {
        size_t size = gathering->hosts_size * 2 + 16;
        char **hosts = reallocarray(gathering->hosts, size, sizeof(*hosts));
        if (!hosts)
            return -ENOMEM;
        gathering->hosts = hosts;
        gathering->hosts_size = size;
    }
    char *copy = strdup(host);
    if (!copy)
        return -ENOMEM;
    gathering->hosts[gathering->hosts_count++] = copy;
    *ret = copy;
    return 0;
}

static int on_lane(const struct store_lane *lane, const struct store_candidate *heads, size_t heads_count,
                   void *userdata)
{
    struct gathering *gathering = userdata;
    const char *host;

    int r = keep_host(gathering, lane->host, &host);
    if (r < 0)
        return r;
    if (gathering->count + heads_count > gathering->size) {
        size_t size = (gathering->count + heads_count) * 2;
        struct sched_candidate *candidates = reallocarray(gathering->candidates, size, sizeof(*candidates));
        if (!candidates)
            return -ENOMEM;
        gathering->candidates = candidates;
        gathering->size = size;
    }
    for (size_t i = 0; i < heads_count; i++) {
        if (manager_find_runner(gathering->manager, heads[i].id))
            continue;
        gathering->candidates[gathering->count++] = (struct sched_candidate){
            .id = heads[i].id,
            .due_usec = heads[i].due_usec,
            .priority = lane->priority,
            .host = host,
        };
    }
    return 0;
}

static int decide(struct manager *manager, const struct gathering *gathering, struct sched_plan *ret)
{
    struct sched_active active[ACTIVE_JOBS_MAX];
    struct sched_limits limits = {.max_active = manager->settings.max_active,
                                  .max_active_per_host = manager->settings.max_active_per_host};
    struct sched_view view = {
        .candidates = gathering->candidates, .candidates_count = gathering->count, .active = active};
    struct runner *runner;

    TAILQ_FOREACH (runner, &manager->runners, entry)
        if (view.active_count < ACTIVE_JOBS_MAX)
            active[view.active_count++] = (struct sched_active){.id = runner->job->id, .host = runner->job->host};
    return sched_decide(&view, &limits, manager_now(manager), ret);
}

static void start_job(struct manager *manager, uint64_t id)
{
    struct job *job;
    struct runner *runner;

    int r = store_get(manager->store, id, &job);
    if (r < 0) {
        log_message(LOG_WARNING, MESSAGE_JOB_STARTED, id, "cannot read the job: %s", strerror(-r));
        return;
    }
    if (!job_state_is_runnable(job->state)) { /* changed since the index was read: its completion is on the way */
        job_free(job);
        return;
    }
    r = runner_new(manager, job, &runner);
    if (r < 0) {
        log_message(LOG_WARNING, MESSAGE_JOB_STARTED, id, "cannot start the job: %s", strerror(-r));
        manager_retry_unsaved(manager);
        return;
    }
    manager_runner_started(manager, runner);
    runner_start(runner);
}

static void arm_wake(struct manager *manager, uint64_t wake_usec)
{
    manager->wake_usec = wake_usec;
    if (wake_usec != USEC_INFINITY)
        (void)sd_event_source_set_time(
            manager->wake_source,
            usec_add(manager_boot_usec(), usec_sub(wake_usec, manager_now(manager).realtime_usec)));
    (void)sd_event_source_set_enabled(manager->wake_source,
                                      wake_usec == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

int schedule_run(struct manager *manager)
{
    _cleanup_(gathering_done) struct gathering gathering = {.manager = manager};
    struct sched_plan plan;
    if (manager->starts_held > 0 || manager_bulks_hold_starts(manager))
        return 0; /* decided anew when they are through */
    /* What flies stands in the index too: look past it. */
    size_t heads_max = manager->settings.max_active + manager->runners_count;

    int r = store_lanes(manager->store, heads_max, on_lane, &gathering);
    if (r < 0)
        return r;
    if (gathering.count == 0 && manager->runners_count == 0)
        manager_read_wall_clock(manager); /* nothing waits for a time */
    r = decide(manager, &gathering, &plan);
    if (r < 0)
        return r;
    for (size_t i = 0; i < plan.start_count; i++)
        start_job(manager, plan.start[i]);
    manager_purge_connections(manager);
    arm_wake(manager, plan.wake_usec);
    return 0;
}

static void spare_free(struct manager *manager, struct spare_connection *spare)
{
    if (spare->connection)
        manager->transfer_ops->connection_free(manager->transport, spare->connection);
    access_done(&spare->choices);
    free(spare);
}

int manager_take_connection(struct manager *manager, const char *host, const struct access *choices,
                            struct transfer_connection **ret)
{
    struct spare_connection *spare;

    LIST_FOREACH(spare, &manager->spares, entry)
    {
        if (strcmp(spare->host, host) == 0 && access_equal(&spare->choices, choices)) {
            LIST_REMOVE(spare, entry);
            *ret = TAKE_PTR(spare->connection);
            spare_free(manager, spare);
            return 0;
        }
    }
    return manager->transfer_ops->connection_new(manager->transport, ret);
}

void manager_spare_connection(struct manager *manager, const char *host, const struct access *choices,
                              struct transfer_connection *connection)
{
    struct spare_connection *spare = manager->stopping ? NULL : calloc(1, sizeof(*spare));

    if (!spare) {
        manager->transfer_ops->connection_free(manager->transport, connection);
        return;
    }
    spare->connection = connection;
    if (!text_copy(spare->host, sizeof(spare->host), host) || access_copy(choices, &spare->choices) < 0) {
        spare_free(manager, spare);
        return;
    }
    LIST_INSERT_HEAD(&manager->spares, spare, entry);
}

void manager_purge_connections(struct manager *manager)
{
    struct spare_connection *spare;

    while ((spare = LIST_FIRST(&manager->spares)) != NULL) {
        LIST_REMOVE(spare, entry);
        spare_free(manager, spare);
    }
}
