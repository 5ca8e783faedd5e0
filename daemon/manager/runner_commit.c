/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The runner's commands to the writer: checkpoints, what must be durable first, and the end of the attempt. */
#include "manager/runner_internal.h"

#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <errno.h>

static struct command *make_command(struct runner *runner, enum command_type type)
{
    struct command *command = command_new(type, 1);

    if (!command)
        return NULL;
    command->at = manager_now(runner->manager);
    command->any_owner = true;
    command->items[0].id = runner->job->id;
    command->update = runner->update;
    command->update.session = runner->session.record;
    command->update.progress = runner->progressed;
    command->update.run = runner->manager->run;
    command->userdata = runner;
    return command;
}

/* What the command carried is no news any more. */
static void carried(struct runner *runner)
{
    runner->update.has_identity = false;
    runner->update.started_usec = 0;
    runner->progressed = false;
}

static void take_record(struct runner *runner, struct command *command)
{
    if (!command->items[0].after)
        return;
    bool has_started = runner->job->started_usec == 0 && command->items[0].after->started_usec != 0;
    job_free(runner->job);
    runner->job = TAKE_PTR(command->items[0].after);
    /* The journal says so from now on, and whoever follows it has to hear that it has grown. */
    if (has_started)
        manager_shown_changed(runner->manager, runner->job);
}

static void on_checkpoint(struct command *command, void *userdata)
{
    struct runner *runner = userdata;

    runner->unsynced--;
    manager_note_commit(runner->manager, command->result);
    if (command->result < 0) {
        /* The next command carries the news again. */
        runner->update.has_identity |= command->update.has_identity;
        runner->progressed |= command->update.progress;
        if (runner->update.started_usec == 0)
            runner->update.started_usec = command->update.started_usec;
    }
    take_record(runner, command);
    runner_proceed(runner);
}

void runner_checkpoint(struct runner *runner)
{
    struct command *command = make_command(runner, COMMAND_CHECKPOINT);

    if (!command)
        return; /* a hint was lost: the next one carries the same news */
    command->done = on_checkpoint;
    runner->unsynced++;
    carried(runner);
    manager_submit(runner->manager, command);
}

static void on_persisted(struct command *command, void *userdata)
{
    struct runner *runner = userdata;
    struct session_input in = {.event = SESSION_EVENT_PERSISTED};

    runner->unsynced--;
    manager_note_commit(runner->manager, command->result);
    if (command->result < 0) {
        runner->owed = OWED_PERSIST;
        return;
    }
    take_record(runner, command);
    runner_feed(runner, &in);
}

void runner_persist(struct runner *runner)
{
    struct command *command = make_command(runner, COMMAND_CHECKPOINT);

    runner->owed = command ? OWED_NOTHING : OWED_PERSIST;
    if (!command) {
        manager_note_commit(runner->manager, -ENOMEM);
        return;
    }
    command->done = on_persisted;
    runner->unsynced++;
    manager_submit(runner->manager, command);
}

static void log_end(const struct runner *runner)
{
    const struct failure *failure = &runner->update.failure;
    char size[SIZE_TEXT_MAX];

    switch (runner->end_type) {
    case COMMAND_DONE:
        log_message(LOG_INFO, MESSAGE_JOB_DONE, runner->job->id, "uploaded %s to %s%s%s",
                    text_size(runner->session.parameters.size_bytes, size), runner->job->host,
                    failure->text[0] != '\0' ? "; " : "", failure->text);
        break;
    case COMMAND_FAIL:
        log_message(LOG_WARNING, MESSAGE_JOB_FAILED, runner->job->id, "%s", failure->text);
        break;
    case COMMAND_RETRY_AT:
        if (failure->code == HR_NOT_READY && job_is_away(runner->job))
            break; /* said before, and nothing new */
        log_message(LOG_NOTICE, MESSAGE_JOB_RETRYING, runner->job->id, "%s; next attempt in %.1f s", failure->text,
                    (double)runner->update.retry_delay_usec / (double)USEC_PER_SEC);
        break;
    case COMMAND_GONE:
        log_message(LOG_INFO, MESSAGE_JOB_CANCELLED, runner->job->id, "cancelled");
        break;
    case COMMAND_ADD:
    case COMMAND_VERB:
    case COMMAND_BATCH_DROP:
    case COMMAND_BULK_BEGIN:
    case COMMAND_BULK_STEP:
    case COMMAND_CHECKPOINT:
    case COMMAND_PROVE:
    case COMMAND_EXPIRE:
    case COMMAND_HOOK_DONE:
    case COMMAND_LIMIT:
    case COMMAND_RETAIN:
    case COMMAND_GROUP_SET:
    case COMMAND_GROUP_REMOVE:
    case COMMAND_QUARANTINE_DROP:
        break;
    }
}

static void on_ended(struct command *command, void *userdata)
{
    struct runner *runner = userdata;
    struct manager *manager = runner->manager;

    runner->ending = false;
    manager_note_commit(manager, command->result);
    if (command->result < 0) {
        runner->owed = OWED_END;
        return;
    }
    log_end(runner);
    if (runner->end_type == COMMAND_GONE)
        runner_forget_reply(runner);
    /* Now that the job's record says so, the file system is looked at again, lest it came back meanwhile. */
    if (runner->update.is_away && runner->job->source_mount)
        manager_note_away(manager, runner->job->source_mount);
    manager_announce(manager, command);
    manager_runner_ended(manager, runner);
}

/* Ends the attempt: its result becomes durable, then the runner goes. */
void runner_submit_end(struct runner *runner)
{
    struct command *command = make_command(runner, runner->end_type);

    runner->owed = command ? OWED_NOTHING : OWED_END;
    if (!command) {
        manager_note_commit(runner->manager, -ENOMEM);
        return;
    }
    command->done = on_ended;
    runner->ending = true;
    manager_submit(runner->manager, command);
}

void runner_settle(struct runner *runner)
{
    switch (runner->owed) {
    case OWED_NOTHING:
        break;
    case OWED_PERSIST:
        runner_persist(runner);
        break;
    case OWED_END:
        runner_submit_end(runner);
        break;
    }
}
