/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on their way to the writer, and what is done while the disk refuses them. */
#include "manager/batch.h"
#include "manager/internal.h"
#include "manager/log.h"

#include "base/moment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UNSAVED_RETRY_USEC  (5 * USEC_PER_SEC)
#define TIMER_ACCURACY_USEC USEC_PER_MSEC

void manager_submit(struct manager *manager, struct command *command)
{
    if (TAILQ_EMPTY(&manager->submitted))
        (void)sd_event_source_set_enabled(manager->submit_source, SD_EVENT_ONESHOT);
    manager->commands_pending++;
    TAILQ_INSERT_TAIL(&manager->submitted, &command->message, entry);
}

/* Behind the handler that submitted the first of them, before any other: whatever that handler submits goes along. */
static int on_submit(sd_event_source *source, void *userdata)
{
    struct manager *manager = userdata;

    (void)source;
    store_submit_all(manager->store, &manager->submitted);
    return 0;
}

void manager_drop_submitted(struct manager *manager)
{
    struct message *message;

    while ((message = TAILQ_FIRST(&manager->submitted)) != NULL) {
        TAILQ_REMOVE(&manager->submitted, message, entry);
        command_free((struct command *)message);
    }
}

static void tell_degraded(struct manager *manager)
{
    if (manager->observer.degraded_changed)
        manager->observer.degraded_changed(manager->observer.userdata);
}

const char *manager_write_remedy(int result)
{
    switch (-result) {
    case ENOSPC:
        return "free some space there";
    case ENOMEM:
        return "end other programs";
    default:
        return "see what the kernel's log says of the disk";
    }
}

void manager_retry_unsaved(struct manager *manager)
{
    uint64_t now;

    (void)sd_event_now(manager->event, CLOCK_MONOTONIC, &now);
    (void)sd_event_source_set_time(manager->unsaved_source, usec_add(now, UNSAVED_RETRY_USEC));
    (void)sd_event_source_set_enabled(manager->unsaved_source, SD_EVENT_ONESHOT);
}

void manager_note_written(struct manager *manager)
{
    if (manager->write_error == 0)
        return;
    manager->write_error = 0;
    log_message(LOG_NOTICE, MESSAGE_DEGRADED, 0, "the queue can be written again");
    tell_degraded(manager);
}

static void on_proof(struct command *command, void *userdata)
{
    struct manager *manager = userdata;

    manager->proof_pending = false;
    if (command->result < 0)
        manager_note_commit(manager, command->result);
    else
        manager_note_written(manager);
}

/* Nothing else may come to be written for long, and a commit that changed nothing has written nothing. */
static void prove_writable(struct manager *manager)
{
    if (manager->write_error == 0 || manager->proof_pending || manager->stopping)
        return;
    struct command *command = command_new(COMMAND_PROVE, 0);
    if (!command) {
        manager_retry_unsaved(manager);
        return;
    }
    command->done = on_proof;
    command->userdata = manager;
    manager->proof_pending = true;
    manager_submit(manager, command);
}

void manager_note_commit(struct manager *manager, int result)
{
    bool failing = result == -ENOSPC || result == -EIO || result == -ENOMEM;

    if (!failing) {
        if (result >= 0)
            prove_writable(manager);
        return;
    }
    if (manager->write_error != result) {
        if (manager->write_error == 0)
            manager->write_error_since_usec = manager_now(manager).realtime_usec;
        manager->write_error = result;
        (void)snprintf(manager->write_error_text, sizeof(manager->write_error_text),
                       "the queue in %s cannot be written: %s; %s, and what waits is written then",
                       manager->state_directory, strerror(-result), manager_write_remedy(result));
        log_message(LOG_ERR, MESSAGE_DEGRADED, 0, "%s", manager->write_error_text);
        tell_degraded(manager);
    }
    manager_retry_unsaved(manager);
}

static int on_unsaved(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct manager *manager = userdata;
    struct runner *runner;

    (void)source, (void)usec;
    TAILQ_FOREACH (runner, &manager->runners, entry)
        runner_settle(runner);
    manager_run_bulks(manager);
    batch_drop_leftovers(manager);
    prove_writable(manager);
    manager_reschedule(manager);
    return 0;
}

int writing_add_sources(struct manager *manager)
{
    int r = sd_event_add_defer(manager->event, &manager->submit_source, on_submit, manager);

    if (r >= 0)
        r = sd_event_source_set_enabled(manager->submit_source, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time(manager->event, &manager->unsaved_source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC,
                              on_unsaved, manager);
    return r < 0 ? r : sd_event_source_set_enabled(manager->unsaved_source, SD_EVENT_OFF);
}
