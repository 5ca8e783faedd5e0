/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When finished jobs are forgotten (RetainDays=, RetainJobs=). A pass goes through them in steps of one transaction,
 * each handed to the writer once the one before has come back, so that nobody waits for more than one of them:
 *
 *   at start, settings read anew, the oldest is too old ──▶ from the oldest on ──┐
 *   a job finished that is one too many ──▶ from where the last pass ended ──────┴──▶ steps ──▶ timer for the oldest
 *
 * Their age is counted by the queue's time (clock.c). Where that is set ahead, no such time has passed: what finished
 * before counts as finished at that moment, so that a machine which learns what year it is loses nothing. Where it is
 * set back, what seems to finish in the future stays until that time. At start the wall clock is believed: how long
 * nobody ran is known to nobody else.
 */
#include "manager/internal.h"
#include "manager/log.h"

#include <errno.h>
#include <inttypes.h>

#define TIMER_FLOOR_USEC    USEC_PER_HOUR /* jobs that become too old soon after each other wait for each other */
#define TIMER_ACCURACY_USEC (10 * USEC_PER_MIN)
#define CLOCK_STEP_USEC     USEC_PER_HOUR /* smaller ones make no difference to an age in days */

static uint64_t retain_usec(const struct manager *manager)
{
    return manager->settings.retain_days * USEC_PER_DAY;
}

static uint64_t cutoff(struct manager *manager)
{
    uint64_t now = manager_now(manager).realtime_usec;

    if (manager->settings.retain_days == 0)
        return 0;
    uint64_t usec = usec_sub(now, retain_usec(manager));
    return usec > manager->retain_since_usec ? usec : 0;
}

/* OLDEST_USEC 0 = there is none. */
static void arm(struct manager *manager, uint64_t oldest_usec)
{
    uint64_t begin = oldest_usec > manager->retain_since_usec ? oldest_usec : manager->retain_since_usec;
    bool wanted = manager->settings.retain_days != 0 && oldest_usec != 0 && !manager->stopping;

    if (wanted) {
        uint64_t left =
            usec_sub(usec_add(begin, retain_usec(manager)), manager_now(manager).realtime_usec) + USEC_PER_SEC;
        (void)sd_event_source_set_time(
            manager->retain_source, usec_add(manager_boot_usec(), left > TIMER_FLOOR_USEC ? left : TIMER_FLOOR_USEC));
    }
    (void)sd_event_source_set_enabled(manager->retain_source, wanted ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static bool are_too_many(struct manager *manager)
{
    uint64_t counts[JOB_STATES];

    if (manager->settings.retain_jobs == 0 || store_count(manager->store, true, 0, counts) < 0)
        return false;
    return counts[JOB_DONE] + counts[JOB_CANCELLED] > manager->settings.retain_jobs;
}

static void begin(struct manager *manager, struct retain_place place);

static void finish(struct manager *manager, const struct retain_step *last)
{
    manager->retaining = false;
    manager->retain_place = last->reached;
    if (manager->retain_removed > 0)
        log_message(LOG_INFO, MESSAGE_JOBS_REMOVED, 0,
                    "removed %" PRIu64 " finished jobs (RetainDays=%" PRIu64 ", RetainJobs=%" PRIu64 ")",
                    manager->retain_removed, manager->settings.retain_days, manager->settings.retain_jobs);
    arm(manager, last->oldest_usec);
    bool again = manager->retain_again;
    manager->retain_again = false;
    /* A clock that was set back may have put jobs before the place from which the pass began. */
    if (again || (last->too_many && !manager->retain_from_start))
        begin(manager, (struct retain_place){0});
    else if (!last->too_many && are_too_many(manager))
        begin(manager, manager->retain_place);
}

static void submit(struct manager *manager, struct retain_place place);

static void on_step(struct command *command, void *userdata)
{
    struct manager *manager = userdata;

    manager_note_commit(manager, command->result);
    if (command->result < 0) {
        /* Tried again later: what is to go stays a while longer. */
        manager->retaining = manager->retain_again = false;
        arm(manager, 1);
        return;
    }
    manager->retain_removed += command->items_count;
    manager_announce(manager, command);
    if (command->items_count > 0)
        manager_reschedule(manager); /* a failed job may have a session to cancel */
    if (command->retain.more && !manager->stopping)
        submit(manager, command->retain.reached);
    else
        finish(manager, &command->retain);
}

static void submit(struct manager *manager, struct retain_place place)
{
    struct command *command = command_new(COMMAND_RETAIN, 0);

    manager->retaining = command != NULL;
    if (!command) {
        arm(manager, 1);
        return;
    }
    command->at = manager_now(manager);
    command->retain = (struct retain_step){
        .cutoff_usec = cutoff(manager),
        .keep_jobs = manager->settings.retain_jobs == 0 ? UINT64_MAX : manager->settings.retain_jobs,
        .after = place,
    };
    command->done = on_step;
    command->userdata = manager;
    manager_submit(manager, command);
}

static void begin(struct manager *manager, struct retain_place place)
{
    if (manager->stopping)
        return;
    manager->retain_from_start = place.id == 0;
    manager->retain_removed = 0;
    submit(manager, place);
}

void manager_retain(struct manager *manager)
{
    if (manager->retaining)
        manager->retain_again = true;
    else
        begin(manager, (struct retain_place){0});
}

void manager_retain_after(struct manager *manager, const struct command *command)
{
    int enabled = SD_EVENT_OFF;

    if (command->type == COMMAND_ADD || command->type == COMMAND_CHECKPOINT || command->type == COMMAND_RETRY_AT ||
        command->type == COMMAND_RETAIN || command->result < 0 || manager->retaining)
        return;
    if (are_too_many(manager)) {
        begin(manager, manager->retain_place);
        return;
    }
    (void)sd_event_source_get_enabled(manager->retain_source, &enabled);
    if (enabled == SD_EVENT_OFF)
        arm(manager, manager_now(manager).realtime_usec); /* it may be the first that has finished */
}

void manager_retain_clock_set(struct manager *manager, uint64_t before_usec, uint64_t after_usec)
{
    if (after_usec > usec_add(before_usec, CLOCK_STEP_USEC) || after_usec < manager->retain_since_usec)
        manager->retain_since_usec = after_usec;
    if (after_usec < before_usec)
        manager->retain_place = (struct retain_place){0};
}

static int on_too_old(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    manager_retain(userdata);
    return 0;
}

int manager_retain_init(struct manager *manager)
{
    int r = sd_event_add_time(manager->event, &manager->retain_source, CLOCK_BOOTTIME, 0, TIMER_ACCURACY_USEC,
                              on_too_old, manager);

    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(manager->retain_source, SD_EVENT_OFF);
    return 0;
}
