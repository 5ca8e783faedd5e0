/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the store's lanes to a plan, and from the plan to runners. */
#include "core/sched.h"
#include "manager/gates.h"
#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A lane as the store has it, and as the scheduler sees it. */
struct gathered_lane {
    SLIST_ENTRY(gathered_lane) entry;
    struct store_lane stored;
    struct sched_lane lane;
};

struct gathering {
    struct manager *manager;
    struct sched_candidate *candidates;
    size_t count, size;
    SLIST_HEAD(, gathered_lane) lanes;
    uint64_t wake_usec;  /* the first time at which a gate of a lane may change by itself */
    bool expects_mounts; /* a file system is back: jobs that waited for it may be tried at once */
    bool found_mounts;   /* there were some */
    bool forgives;       /* the network has just returned: what failed for want of it may be tried at once */
};

static void gathering_done(struct gathering *gathering)
{
    struct gathered_lane *lane;

    while ((lane = SLIST_FIRST(&gathering->lanes)) != NULL) {
        SLIST_REMOVE_HEAD(&gathering->lanes, entry);
        free(lane);
    }
    free(gathering->candidates);
}

static void fill_lane(struct manager *manager, const struct store_lane *stored, struct sched_lane *ret)
{
    const struct group *group = manager_find_group(manager, stored->owner, stored->group);

    *ret = (struct sched_lane){
        .owner = stored->owner,
        .priority = stored->priority,
        .host = stored->host,
        .group = stored->group,
        .group_max_active = group ? group->max_active : 0,
    };
}

static int keep_lane(struct gathering *gathering, const struct store_lane *stored, struct gathered_lane **ret)
{
    struct gathered_lane *lane = malloc(sizeof(*lane));

    if (!lane)
        return -ENOMEM;
    lane->stored = *stored;
    fill_lane(gathering->manager, &lane->stored, &lane->lane);
    SLIST_INSERT_HEAD(&gathering->lanes, lane, entry);
    *ret = lane;
    return 0;
}

static int add_candidate(struct gathering *gathering, const struct sched_candidate *candidate)
{
    if (gathering->count == gathering->size) {
        size_t size = gathering->size * 2 + 64;
        struct sched_candidate *candidates = reallocarray(gathering->candidates, size, sizeof(*candidates));
        if (!candidates)
            return -ENOMEM;
        gathering->candidates = candidates;
        gathering->size = size;
    }
    gathering->candidates[gathering->count++] = *candidate;
    return 0;
}

/* What a job failed at while there was no network is no reason to wait now that there is one. */
static bool failed_for_want_of_network(const struct gathering *gathering, uint64_t id)
{
    _cleanup_(job_free_p) struct job *job = NULL;

    return store_get(gathering->manager->store, id, &job) >= 0 && job->state == JOB_RETRYING &&
           job->failure.context == CONTEXT_TRANSPORT &&
           usec_sub(job->next_attempt_usec, job->retry_delay_usec) < gathering->manager->network_since_usec;
}

static bool waited_for_mount(const struct gathering *gathering, uint64_t id)
{
    _cleanup_(job_free_p) struct job *job = NULL;

    return store_get(gathering->manager->store, id, &job) >= 0 && manager_mount_is_back(gathering->manager, job);
}

/* What kept a job that is not due yet from being tried is over. */
static bool is_due_after_all(struct gathering *gathering, uint64_t id, bool *network_forgives)
{
    if (*network_forgives && (*network_forgives = failed_for_want_of_network(gathering, id)))
        return true;
    if (!gathering->expects_mounts || !waited_for_mount(gathering, id))
        return false;
    gathering->found_mounts = true;
    return true;
}

static struct forced_job *find_forced(struct manager *manager, uint64_t id)
{
    for (size_t i = 0; i < manager->forced_count; i++)
        if (manager->forced[i].id == id)
            return &manager->forced[i];
    return NULL;
}

static int on_lane(const struct store_lane *stored, const struct store_candidate *heads, size_t heads_count,
                   void *userdata)
{
    struct gathering *gathering = userdata;
    struct manager *manager = gathering->manager;
    struct gathered_lane *lane;
    struct gate_states gates;
    bool is_forgiven = gathering->forgives;

    int r = keep_lane(gathering, stored, &lane);
    if (r < 0)
        return r;
    manager_lane_gates(manager, stored, &gates);
    uint64_t wake = gates_wake_usec(&gates);
    if (wake < gathering->wake_usec)
        gathering->wake_usec = wake;
    lane->lane.is_closed = (gates.closed & ~GATE_BIT(GATE_DISK)) != 0;
    manager_note_lane(manager, stored, gates.closed);
    for (size_t i = 0; i < heads_count && r >= 0; i++) {
        struct sched_candidate candidate = {.id = heads[i].id, .due_usec = heads[i].due_usec, .lane = &lane->lane};
        if (manager_find_runner(manager, candidate.id) || find_forced(manager, candidate.id))
            continue;
        if (candidate.due_usec > manager_now(manager).realtime_usec &&
            is_due_after_all(gathering, candidate.id, &is_forgiven))
            candidate.due_usec = manager_now(manager).realtime_usec;
        r = add_candidate(gathering, &candidate);
    }
    return r;
}

static void forget_forced(struct manager *manager, size_t index)
{
    manager->forced[index] = manager->forced[--manager->forced_count];
}

/* Whether the job that a person wants to run can be tried: only what they did not say to ignore holds it back. */
static int add_forced(struct gathering *gathering, const struct job *job)
{
    struct manager *manager = gathering->manager;
    struct store_lane stored = {.owner = job->owner, .priority = job->priority, .policy = job->options.policy};
    struct gathered_lane *lane;
    struct gate_policy policy;
    struct gate_states gates;

    if (!text_copy(stored.group, sizeof(stored.group), job->group) ||
        !text_copy(stored.host, sizeof(stored.host), job->host))
        return 0;
    manager_job_gates(manager, job, NULL, &policy, &gates);
    if ((gates.closed & ~GATES_OF_TURN & ~GATE_BIT(GATE_DISK)) != 0)
        return 0;
    int r = keep_lane(gathering, &stored, &lane);
    if (r < 0)
        return r;
    const struct sched_candidate candidate = {
        .id = job->id, .due_usec = job_due_usec(job), .lane = &lane->lane, .is_forced = true};
    return add_candidate(gathering, &candidate);
}

static int gather_forced(struct gathering *gathering)
{
    struct manager *manager = gathering->manager;
    int r = 0;

    for (size_t i = 0; i < manager->forced_count && r >= 0;) {
        _cleanup_(job_free_p) struct job *job = NULL;
        r = store_get(manager->store, manager->forced[i].id, &job);
        if (r == -ENOENT || (r >= 0 && job_state_is_final(job->state))) {
            forget_forced(manager, i);
            r = 0;
            continue;
        }
        if (r < 0)
            return r;
        /* One that was paused becomes ready with the verb that is still on its way to the disk. */
        if (job_state_is_runnable(job->state) && !manager_find_runner(manager, job->id))
            r = add_forced(gathering, job);
        i++;
    }
    return r;
}

static void describe_active(struct manager *manager, const struct runner *runner, struct sched_active *ret)
{
    const struct job *job = runner->job;
    const struct group *group = manager_find_group(manager, job->owner, job->group);

    *ret = (struct sched_active){
        .id = job->id,
        .lane = {.owner = job->owner,
                 .priority = job->priority,
                 .host = job->host,
                 .group = job->group,
                 .group_max_active = group ? group->max_active : 0},
        .since_usec = runner->since_usec,
        .is_forced = runner->ignored != 0,
        .is_yielding = runner->is_yielding,
    };
}

static uint64_t ramp_of(struct manager *manager, struct moment now)
{
    uint64_t since = manager->network_returned_usec;

    if (since != 0 && usec_sub(now.monotonic_usec, since) > RAMP_USEC)
        since = manager->network_returned_usec = 0;
    return since;
}

static int decide(struct manager *manager, const struct gathering *gathering, struct sched_plan *ret)
{
    struct moment now = manager_now(manager);
    struct sched_active active[ACTIVE_JOBS_MAX];
    struct sched_down down[DESTINATIONS_MAX];
    struct sched_limits limits = {.max_active = manager->settings.max_active,
                                  .max_active_per_host = manager->settings.max_active_per_host,
                                  .max_active_per_user = manager->settings.max_active_per_user,
                                  .time_slice_usec = manager->settings.time_slice_usec,
                                  .ramp_usec = ramp_of(manager, now)};
    struct sched_view view = {
        .candidates = gathering->candidates, .candidates_count = gathering->count, .active = active, .down = down};
    struct destination *destination;
    struct runner *runner;
    uint64_t from;

    TAILQ_FOREACH (runner, &manager->runners, entry)
        if (view.active_count < ACTIVE_JOBS_MAX)
            describe_active(manager, runner, &active[view.active_count++]);
    TAILQ_FOREACH (destination, &manager->destinations, entry)
        if (breaker_holds(&destination->breaker, now.realtime_usec, &from))
            down[view.down_count++] = (struct sched_down){
                .host = destination->host, .probe_usec = from, .until_usec = destination->breaker.until_usec};
    return sched_decide(&view, &limits, now, ret);
}

static void start_job(struct manager *manager, uint64_t id)
{
    struct forced_job *forced = find_forced(manager, id);
    struct job *job;
    struct runner *runner;

    int r = store_get(manager->store, id, &job);
    if (r < 0) {
        log_message(LOG_WARNING, MESSAGE_JOB_STARTED, id, "cannot read the job: %s", strerror(-r));
        if (r != -ENOENT)
            manager_retry_unsaved(manager); /* nothing else may come that makes a decision due */
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
    if (forced) {
        runner->ignored = forced->ignored;
        forget_forced(manager, (size_t)(forced - manager->forced));
    }
    manager_runner_started(manager, runner);
    runner_start(runner);
}

static void arm_wake(struct manager *manager, const struct gathering *gathering, const struct sched_plan *plan)
{
    uint64_t wake = plan->wake_usec < gathering->wake_usec ? plan->wake_usec : gathering->wake_usec;

    manager->wake_usec = wake;
    if (wake != USEC_INFINITY)
        (void)sd_event_source_set_time(
            manager->wake_source, usec_add(manager_boot_usec(), usec_sub(wake, manager_now(manager).realtime_usec)));
    (void)sd_event_source_set_enabled(manager->wake_source, wake == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
    bool slices = plan->wake_monotonic_usec != USEC_INFINITY;
    if (slices)
        (void)sd_event_source_set_time(manager->slice_source, plan->wake_monotonic_usec);
    (void)sd_event_source_set_enabled(manager->slice_source, slices ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Gates behind which nothing may go on, and those that wait for the end of a fragment. */
#define GATES_THAT_STOP  (GATE_BIT(GATE_NETWORK) | GATE_BIT(GATE_METERED) | GATE_BIT(GATE_GROUP))
#define GATES_THAT_YIELD (GATE_BIT(GATE_WINDOW) | GATE_BIT(GATE_POWER))

/* A gate has closed behind a job that is under way. */
static void hold_active(struct manager *manager, struct gathering *gathering)
{
    struct runner *runner, *next;

    for (runner = TAILQ_FIRST(&manager->runners); runner; runner = next) {
        struct gate_policy policy;
        struct gate_states gates;
        next = TAILQ_NEXT(runner, entry);
        manager_job_gates(manager, runner->job, runner, &policy, &gates);
        uint64_t wake = gates_wake_usec(&gates);
        if (wake < gathering->wake_usec)
            gathering->wake_usec = wake;
        if (runner->job->state == JOB_CANCELLING && !(gates.closed & GATE_BIT(GATE_NETWORK)))
            continue;
        if (gates.closed & GATES_THAT_STOP)
            runner_hold(runner, (gates.closed & GATE_BIT(GATE_NETWORK)) != 0);
        else if (gates.closed & GATES_THAT_YIELD)
            runner_yield(runner, false);
    }
}

static void on_expired(struct command *command, void *userdata)
{
    struct manager *manager = userdata;

    manager->expiring = false;
    manager_note_commit(manager, command->result);
    if (command->result < 0)
        return; /* tried again with what else could not be written */
    for (size_t i = 0; i < command->items_count; i++)
        if (command->items[i].result == 0 && command->items[i].after)
            log_message(LOG_WARNING, MESSAGE_JOB_FAILED, command->items[i].id, "%s",
                        command->items[i].after->failure.text);
    manager_tell_runners(manager, command);
    manager_announce(manager, command);
    manager_reschedule(manager);
}

/* What is not done by its deadline has failed. Also sets the alarm for the next one. */
static void expire(struct manager *manager, struct gathering *gathering)
{
    uint64_t deadline = store_next_deadline(manager->store);
    struct moment now = manager_now(manager);

    if (manager->expiring || deadline == USEC_INFINITY)
        return;
    if (deadline > now.realtime_usec) {
        gathering->wake_usec = deadline < gathering->wake_usec ? deadline : gathering->wake_usec;
        return;
    }
    struct command *command = command_new(COMMAND_EXPIRE, 0);
    if (!command) {
        manager_retry_unsaved(manager);
        return;
    }
    command->at = now;
    command->any_owner = true;
    command->done = on_expired;
    command->userdata = manager;
    manager->expiring = true;
    manager_submit(manager, command);
}

int schedule_run(struct manager *manager)
{
    _cleanup_(gathering_done) struct gathering gathering = {.manager = manager, .wake_usec = USEC_INFINITY};
    struct runner *runner;
    struct sched_plan plan;

    hold_active(manager, &gathering);
    expire(manager, &gathering);
    if (manager->is_asleep || manager->starts_held > 0 || manager_bulks_hold_starts(manager))
        return 0; /* decided anew when they are through */
    /* What flies stands in the index too: look past it. */
    size_t heads_max = manager->settings.max_active + manager->runners_count + manager->forced_count;

    gathering.expects_mounts = manager_expects_mounts(manager);
    if (gathering.expects_mounts)
        heads_max += AWAY_HEADS;
    gathering.forgives = ramp_of(manager, manager_now(manager)) != 0;
    manager_begin_lanes(manager);
    int r = store_lanes(manager->store, heads_max, on_lane, &gathering);
    if (r >= 0)
        r = gather_forced(&gathering);
    if (r < 0)
        return r;
    if (gathering.expects_mounts && !gathering.found_mounts)
        manager_settle_mounts(manager);
    manager_tell_lanes(manager);
    if (gathering.count == 0 && manager->runners_count == 0)
        manager_read_wall_clock(manager); /* nothing waits for a time */
    r = decide(manager, &gathering, &plan);
    if (r < 0)
        return r;
    for (size_t i = 0; i < plan.start_count; i++)
        start_job(manager, plan.start[i]);
    for (size_t i = 0; i < plan.yield_count; i++)
        if ((runner = manager_find_runner(manager, plan.yield[i])) != NULL)
            runner_yield(runner, true);
    manager_purge_connections(manager);
    manager_keep_awake(manager);
    arm_wake(manager, &gathering, &plan);
    return 0;
}

bool schedule_force(struct manager *manager, uint64_t id, uint32_t ignored)
{
    struct forced_job *forced = find_forced(manager, id);

    if (!forced && manager->forced_count == FORCED_JOBS_MAX)
        return false;
    if (!forced)
        forced = &manager->forced[manager->forced_count++];
    *forced = (struct forced_job){.id = id, .ignored = ignored};
    manager_reschedule(manager);
    return true;
}

uint32_t schedule_ignored(struct manager *manager, uint64_t id)
{
    const struct forced_job *forced = find_forced(manager, id);

    return forced ? forced->ignored : 0;
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
