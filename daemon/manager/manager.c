/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/manager.h"

#include "io/reply.h"
#include "io/source.h"
#include "manager/batch.h"
#include "manager/control.h"
#include "manager/gates.h"
#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PROGRESS_EVERY_USEC (500 * USEC_PER_MSEC)
#define TIMER_ACCURACY_USEC USEC_PER_MSEC

uint64_t manager_random(void)
{
    uint64_t value;

    /* 8 bytes are never short and, once the kernel's pool is up, never refused. */
    ssize_t n = getrandom(&value, sizeof(value), 0);
    assert(n == sizeof(value));
    return value;
}

struct runner *manager_find_runner(struct manager *manager, uint64_t id)
{
    struct runner *runner;

    TAILQ_FOREACH (runner, &manager->runners, entry)
        if (runner->job->id == id)
            return runner;
    return NULL;
}

void manager_reschedule(struct manager *manager)
{
    if (!manager->stopping)
        (void)sd_event_source_set_enabled(manager->schedule_source, SD_EVENT_ONESHOT);
}

void manager_runner_ended(struct manager *manager, struct runner *runner)
{
    TAILQ_REMOVE(&manager->runners, runner, entry);
    manager->runners_count--;
    runner_free(runner);
    manager_reschedule(manager);
    manager_settle_for_sleep(manager);
}

void manager_shown_changed(struct manager *manager, const struct job *job)
{
    if (manager->observer.job_changed)
        manager->observer.job_changed(manager->observer.userdata, job);
}

static void announce_item(struct manager *manager, const struct command_item *item, bool is_new)
{
    const struct manager_observer *observer = &manager->observer;

    if (is_new && item->after && observer->job_added)
        observer->job_added(observer->userdata, item->after);
    else if (!is_new && item->after && observer->job_changed)
        observer->job_changed(observer->userdata, item->after);
    else if (!is_new && !item->after && observer->job_removed)
        observer->job_removed(observer->userdata, item->id);
}

/* The items of an ADD: the new jobs, then those that had to give their key up. */
static size_t new_items(const struct command *command)
{
    return command->type == COMMAND_ADD ? command->jobs_count : 0;
}

void manager_tell_runners(struct manager *manager, const struct command *command)
{
    for (size_t i = new_items(command); i < command->items_count; i++) {
        const struct command_item *item = &command->items[i];
        struct runner *runner = item->after ? manager_find_runner(manager, item->id) : NULL;
        struct job *copy;
        /* Who has a job tried again does not mean after the next probe of its server. */
        if (item->after && item->after->state == JOB_READY && item->before != JOB_READY && item->before != JOB_PAUSED)
            destination_forgive(manager, item->after->host);
        /* The observer is told from the same record afterwards: the runner gets a copy of its own. */
        if (runner && job_copy(item->after, &copy) >= 0)
            runner_job_changed(runner, copy);
    }
}

/* A reply that the daemon keeps goes with its job; one at a place of the user's choice is the user's. */
static void remove_replies(struct manager *manager, const struct command *command)
{
    for (size_t i = 0; i < command->items_count; i++) {
        const struct command_item *item = &command->items[i];
        const struct reply_place place = {.state_directory = manager->state_path, .job_id = item->id};
        if (item->result == 0 && !item->after && item->type == JOB_UPLOAD_REPLY)
            (void)io_remove_reply(manager->io, &place); /* what stays is swept at the next start */
    }
}

void manager_announce_batch(struct manager *manager, uint64_t count)
{
    manager->revision++;
    if (manager->observer.jobs_changed)
        manager->observer.jobs_changed(manager->observer.userdata, count);
}

void manager_announce(struct manager *manager, const struct command *command)
{
    uint64_t changed = 0;

    if (command->type != COMMAND_ADD)
        remove_replies(manager, command);
    for (size_t i = 0; i < command->items_count; i++)
        changed += command->items[i].result == 0;
    if (changed == 0)
        return;
    manager->revision++;
    if (changed > EVENTS_OF_COMMAND_MAX || command->type == COMMAND_BULK_STEP) {
        if (manager->observer.jobs_changed)
            manager->observer.jobs_changed(manager->observer.userdata, changed);
        return;
    }
    for (size_t i = 0; i < command->items_count; i++)
        if (command->items[i].result == 0)
            announce_item(manager, &command->items[i], i < new_items(command));
}

static void dispatch(struct manager *manager)
{
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct message *message;

    mailbox_take_all(manager->mailbox, &list);
    while ((message = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, message, entry);
        if (io_dispatch(manager->io, message))
            continue;
        struct command *command = (struct command *)message;
        manager->commands_pending--;
        bool was_large = command->items_count > EVENTS_OF_COMMAND_MAX;
        if (command->done)
            command->done(command, command->userdata);
        manager_retain_after(manager, command);
        hooks_after(manager, command);
        command_free(command);
        /* The allocator would keep what a batch took; an idle daemon is to be small. */
        if (was_large)
            (void)malloc_trim(0);
    }
}

static int on_mailbox(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source, (void)fd, (void)revents;
    dispatch(userdata);
    manager_settle_for_sleep(userdata);
    return 0;
}

static int on_schedule(sd_event_source *source, void *userdata)
{
    struct manager *manager = userdata;

    (void)source;
    if (manager->stopping)
        return 0;
    int r = schedule_run(manager);
    if (r < 0) {
        log_message(LOG_ERR, MESSAGE_DEGRADED, 0, "cannot choose the next jobs: %s", strerror(-r));
        manager_retry_unsaved(manager); /* nothing else may come that makes a decision due */
    }
    return 0;
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    manager_reschedule(userdata);
    return 0;
}

static int on_batch(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    manager_expire_batches(userdata);
    return 0;
}

static int on_counting(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    control_count_on(userdata);
    return 0;
}

static int on_progress(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct manager *manager = userdata;
    struct manager_progress rows[ACTIVE_JOBS_MAX];
    struct runner *runner;
    size_t count = 0;

    TAILQ_FOREACH (runner, &manager->runners, entry) {
        if (count == ACTIVE_JOBS_MAX || runner->session.record.offset == runner->reported_offset)
            continue;
        runner->reported_offset = runner->session.record.offset;
        rows[count++] = (struct manager_progress){
            .id = runner->job->id,
            .acknowledged = runner->session.record.offset,
            .size = runner->session.parameters.size_bytes,
            .rate = pacing_shown_rate(runner),
        };
    }
    if (count > 0 && manager->observer.progress)
        manager->observer.progress(manager->observer.userdata, rows, count);
    if (manager->progress_wanted && manager->runners_count > 0) {
        (void)sd_event_source_set_time(source, usec + PROGRESS_EVERY_USEC);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    }
    return 0;
}

static void arm_progress(struct manager *manager)
{
    uint64_t now;
    int enabled = SD_EVENT_OFF;

    (void)sd_event_source_get_enabled(manager->progress_source, &enabled);
    if (!manager->progress_wanted || manager->runners_count == 0 || enabled != SD_EVENT_OFF)
        return;
    (void)sd_event_now(manager->event, CLOCK_MONOTONIC, &now);
    (void)sd_event_source_set_time(manager->progress_source, now + PROGRESS_EVERY_USEC);
    (void)sd_event_source_set_enabled(manager->progress_source, SD_EVENT_ONESHOT);
}

void manager_want_progress(struct manager *manager, bool wanted)
{
    manager->progress_wanted = wanted;
    arm_progress(manager);
}

void manager_runner_started(struct manager *manager, struct runner *runner)
{
    TAILQ_INSERT_TAIL(&manager->runners, runner, entry);
    manager->runners_count++;
    arm_progress(manager);
}

static int add_sources(struct manager *manager)
{
    int r = sd_event_add_io(manager->event, &manager->mailbox_source, mailbox_fd(manager->mailbox), EPOLLIN, on_mailbox,
                            manager);
    if (r < 0)
        return r;
    r = sd_event_add_defer(manager->event, &manager->schedule_source, on_schedule, manager);
    if (r < 0)
        return r;
    /* One decision, after all that came back in this turn has been handled. */
    (void)sd_event_source_set_priority(manager->schedule_source, SD_EVENT_PRIORITY_NORMAL + 1);
    r = sd_event_add_time(manager->event, &manager->batch_source, CLOCK_BOOTTIME, 0, TIMER_ACCURACY_USEC, on_batch,
                          manager);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(manager->batch_source, SD_EVENT_OFF);
    r = sd_event_add_time(manager->event, &manager->counting_source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC,
                          on_counting, manager);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(manager->counting_source, SD_EVENT_OFF);
    r = sd_event_add_time(manager->event, &manager->wake_source, CLOCK_BOOTTIME, 0, TIMER_ACCURACY_USEC, on_wake,
                          manager);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(manager->wake_source, SD_EVENT_OFF);
    r = sd_event_add_time(manager->event, &manager->slice_source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_wake,
                          manager);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(manager->slice_source, SD_EVENT_OFF);
    r = sd_event_add_time(manager->event, &manager->progress_source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC,
                          on_progress, manager);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(manager->progress_source, SD_EVENT_OFF);
    r = writing_add_sources(manager);
    if (r < 0)
        return r;
    r = hooks_add_source(manager);
    if (r < 0)
        return r;
    r = pacing_init(manager);
    return r < 0 ? r : manager_retain_init(manager);
}

static void log_compaction(const struct store_report *report)
{
    char gained[SIZE_TEXT_MAX], left[SIZE_TEXT_MAX];

    if (report->compacted_to_bytes > 0)
        log_message(LOG_INFO, MESSAGE_COMPACTED, 0, "the queue's file gave back %s to the disk, and takes %s now",
                    text_size(report->compacted_from_bytes - report->compacted_to_bytes, gained),
                    text_size(report->compacted_to_bytes, left));
    if (report->compact_error < 0)
        log_message(LOG_NOTICE, MESSAGE_COMPACTED, 0,
                    "the queue's file is mostly empty but could not be made smaller: %s; nothing is lost, and the next "
                    "start tries again",
                    strerror(-report->compact_error));
}

static void take_report(struct manager *manager, const struct store_report *report)
{
    log_compaction(report);
    if (report->set_aside[0] != '\0')
        (void)snprintf(manager->set_aside_text, sizeof(manager->set_aside_text),
                       "a damaged queue was set aside as %s/%s%s%s%s; jobs that stood in it are not listed: add them "
                       "again, then delete that folder",
                       manager->state_directory, report->set_aside, report->reason[0] != '\0' ? " (" : "",
                       report->reason, report->reason[0] != '\0' ? ")" : "");
    else if (report->created && report->reason[0] != '\0')
        (void)snprintf(manager->set_aside_text, sizeof(manager->set_aside_text),
                       "the queue in %s was lost (%s); a new one was begun: add the uploads again",
                       manager->state_directory, report->reason);
    if (manager->set_aside_text[0] != '\0')
        log_message(LOG_ERR, MESSAGE_DEGRADED, 0, "%s", manager->set_aside_text);
    const char *quarantine = report->quarantined > 0 ? manager_quarantine_sentence(manager) : NULL;
    if (quarantine)
        log_message(LOG_ERR, MESSAGE_DEGRADED, 0, "%s", quarantine);
}

/* Jobs that the store cannot read may be mended one day: their replies stay. */
static bool is_known(void *userdata, uint64_t job_id)
{
    struct manager *manager = userdata;
    _cleanup_(job_free_p) struct job *job = NULL;

    return store_get(manager->store, job_id, &job) != -ENOENT;
}

int manager_new(const struct manager_options *options, struct manager **ret)
{
    _cleanup_(manager_free_p) struct manager *manager = calloc(1, sizeof(*manager));
    struct io_request *sweep; /* not cancelled: it ends with io */

    if (!manager)
        return -ENOMEM;
    TAILQ_INIT(&manager->runners);
    TAILQ_INIT(&manager->submitted);
    TAILQ_INIT(&manager->destinations);
    hooks_init(&manager->hooks);
    LIST_INIT(&manager->spares);
    LIST_INIT(&manager->farewells);
    LIST_INIT(&manager->additions);
    LIST_INIT(&manager->countings);
    LIST_INIT(&manager->batchings);
    TAILQ_INIT(&manager->waiting_additions);
    LIST_INIT(&manager->probings);
    manager->event = sd_event_ref(options->event);
    manager->store = options->store;
    manager->io = options->io;
    manager->hooks.spawner = options->spawner;
    manager->mailbox = options->mailbox;
    manager->transfer_ops = options->transfer_ops;
    manager->transport = options->transport;
    manager->settings = options->settings;
    manager->network = options->network;
    manager->power = options->power;
    manager->away_before_start = true;
    manager->had_network = true; /* nothing has returned at a start */
    manager->check_url = options->check_url;
    manager->clock_fd = -1;
    manager->run = manager_random();
    manager->wake_usec = USEC_INFINITY;
    manager_read_wall_clock(manager);
    manager->awake_since_usec = manager_now(manager).realtime_usec;
    manager->network_since_usec = manager->power_since_usec = manager->awake_since_usec; /* for all that is known */
    manager->state_directory = text_escape(options->state_directory);
    manager->state_path = strdup(options->state_directory);
    if (!manager->state_directory || !manager->state_path)
        return -ENOMEM;
    int r = add_sources(manager);
    if (r >= 0)
        r = limit_init(manager);
    if (r < 0)
        return r;
    if (options->store_report)
        take_report(manager, options->store_report);
    r = manager_load_groups(manager);
    if (r < 0)
        return r;
    manager_run_bulks(manager);
    batch_drop_leftovers(manager);
    /* Best effort: what is not swept now is at the next start. */
    (void)io_sweep_replies(manager->io, manager->state_path, is_known, NULL, manager, &sweep);
    *ret = TAKE_PTR(manager);
    return 0;
}

void manager_set_observer(struct manager *manager, const struct manager_observer *observer)
{
    manager->observer = *observer;
}

void manager_set_settings(struct manager *manager, const struct settings *settings)
{
    manager->settings = *settings;
    limit_evaluate(manager);
    manager_reschedule(manager);
    manager_retain(manager);
    hooks_begin(manager);
}

int manager_set_access(struct manager *manager, struct access_rules *rules, const char *credential_directory)
{
    char *copy = credential_directory ? strdup(credential_directory) : NULL;

    if (credential_directory && !copy)
        return -ENOMEM;
    free(manager->credential_directory);
    manager->credential_directory = copy;
    access_rules_done(&manager->access_rules);
    manager->access_rules = *rules;
    *rules = (struct access_rules){0};
    return 0;
}

void manager_stop(struct manager *manager)
{
    struct runner *runner;

    manager->stopping = true;
    TAILQ_FOREACH (runner, &manager->runners, entry)
        runner_stop(runner);
    manager_refuse_additions(manager);
    control_refuse_all(manager);
    manager_stop_probes(manager);
    hooks_stop(manager);
}

bool manager_has_stopped(const struct manager *manager)
{
    return manager->stopping && manager->commands_pending == 0;
}

struct manager *manager_free(struct manager *manager)
{
    struct runner *runner;

    if (!manager)
        return NULL;
    manager_drop_submitted(manager);
    while ((runner = TAILQ_FIRST(&manager->runners)) != NULL) {
        TAILQ_REMOVE(&manager->runners, runner, entry);
        runner_free(runner);
    }
    manager_stop_probes(manager);
    manager_free_mounts(manager);
    manager_purge_connections(manager);
    manager_drop_farewells(manager);
    batch_free_all(manager);
    destinations_free(manager);
    manager_forget_paths(manager);
    manager_free_lanes(manager);
    manager_drop_groups(manager);
    hooks_done(manager);
    sd_event_source_disable_unref(manager->mailbox_source);
    sd_event_source_disable_unref(manager->submit_source);
    sd_event_source_disable_unref(manager->schedule_source);
    sd_event_source_disable_unref(manager->batch_source);
    sd_event_source_disable_unref(manager->counting_source);
    sd_event_source_disable_unref(manager->wake_source);
    sd_event_source_disable_unref(manager->slice_source);
    sd_event_source_disable_unref(manager->progress_source);
    sd_event_source_disable_unref(manager->unsaved_source);
    sd_event_source_disable_unref(manager->retain_source);
    limit_done(manager);
    pacing_done(manager);
    sd_event_unref(manager->event);
    free(manager->state_directory);
    free(manager->state_path);
    free(manager->credential_directory);
    access_rules_done(&manager->access_rules);
    free(manager);
    return NULL;
}
