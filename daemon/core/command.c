/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/command.h"

#include "core/bulk.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct command *command_new(enum command_type type, size_t items_count)
{
    _cleanup_(command_free_p) struct command *command = calloc(1, sizeof(*command));

    if (!command)
        return NULL;
    command->type = type;
    if (items_count > 0) {
        command->items = calloc(items_count, sizeof(*command->items));
        if (!command->items)
            return NULL;
        command->items_count = command->items_size = items_count;
    }
    return TAKE_PTR(command);
}

void command_item_done(struct command_item *item)
{
    job_free(item->after);
    job_free(item->left);
}

struct command *command_free(struct command *command)
{
    if (!command)
        return NULL;
    for (size_t i = 0; i < command->jobs_count; i++)
        job_free(command->jobs[i]);
    free(command->jobs);
    for (size_t i = 0; i < command->items_count; i++)
        command_item_done(&command->items[i]);
    free(command->items);
    bulk_free(command->bulk);
    free(command);
    return NULL;
}

static void forget_session(struct job *job)
{
    job->session = (struct session_record){.resent_bytes = job->session.resent_bytes,
                                           .sent_bytes = job->session.sent_bytes,
                                           .sent_high_offset = job->session.sent_high_offset};
    job->counted_uploaded_bytes = 0; /* another file from now on */
}

/* The job begins anew as far as its errors go; its session is kept. */
static void forgive(struct job *job)
{
    job->failure = (struct failure){0};
    job->attempts = 0;
    job->retry_delay_usec = 0;
    job->next_attempt_usec = 0;
    job->finished_usec = 0;
    job->session.no_progress_usec = 0;
    job->session.restarts = 0;
    job->session.looping_sessions = 0;
    job->session.invalid_responses = 0;
    job->session.create_conflicts = 0;
    job->session.stalled_acks = 0;
    job->session.lost_session_tried = false;
    job->session.source_error_tried = false;
    job->session.source_restarts = 0;
    job->session.cancel_requested_usec = 0;
}

bool job_verb_is_allowed(const struct job *job, enum job_verb verb)
{
    static const uint32_t forbidden[] = {
        [VERB_PAUSE] = 1 << JOB_CANCELLING | 1 << JOB_DONE | 1 << JOB_FAILED | 1 << JOB_CANCELLED,
        [VERB_RESUME] = ~(1U << JOB_PAUSED),
        [VERB_CANCEL] = 1 << JOB_DONE | 1 << JOB_CANCELLED,
        [VERB_RETRY] = ~(1U << JOB_FAILED | 1U << JOB_RETRYING | 1U << JOB_CANCELLED),
        [VERB_REMOVE] = ~(1U << JOB_DONE | 1U << JOB_FAILED | 1U << JOB_CANCELLED),
        [VERB_SET] = 1 << JOB_CANCELLING | 1 << JOB_DONE | 1 << JOB_CANCELLED,
    };

    return (forbidden[verb] >> job->state & 1) == 0;
}

static int apply_pause(struct job *job)
{
    job->state = JOB_PAUSED;
    return 0;
}

static int apply_resume(struct job *job)
{
    job->state = JOB_READY;
    job->next_attempt_usec = 0;
    return 0;
}

static int apply_cancel(struct job *job, const struct command *command)
{
    if (job->state == JOB_CANCELLING)
        return 0;
    /* A session that a request under way is about to have must be cancelled, too. */
    bool may_get_session = job->state != JOB_FAILED && !command->nothing_flies;
    bool nothing_to_tell = job->session.session_id[0] == '\0' && !may_get_session;
    job->session.cancel_requested_usec = command->at.realtime_usec;
    job->session.no_progress_usec = 0;
    job->next_attempt_usec = 0;
    job->retry_delay_usec = 0;
    job->state = nothing_to_tell ? JOB_CANCELLED : JOB_CANCELLING;
    job->finished_usec = nothing_to_tell ? command->at.realtime_usec : 0;
    return 0;
}

static int apply_retry(struct job *job)
{
    bool changed = job->failure.code == HR_LOCAL_FILE_CHANGED;
    if (changed || job->state == JOB_CANCELLED || job->failure.code == HR_TOO_LARGE)
        forget_session(job);
    if (changed) {
        job->identity_wanted = true;
        job->session.sent_high_offset = 0; /* no byte of what the path names now was ever sent */
    }
    forgive(job);
    job->state = JOB_READY;
    return 0;
}

static int apply_remove(struct job *job, const struct command *command, enum job_effect *effect)
{
    if (job->state == JOB_FAILED && job->session.session_id[0] != '\0') {
        job->remove_when_cancelled = true;
        return apply_cancel(job, command);
    }
    *effect = JOB_REMOVED;
    return 0;
}

static int apply_verb(struct job *job, const struct command *command, enum job_effect *effect, const char **ret_reason)
{
    if (!job_verb_is_allowed(job, command->verb))
        return -EBUSY;
    switch (command->verb) {
    case VERB_PAUSE:
        return apply_pause(job);
    case VERB_RESUME:
        return apply_resume(job);
    case VERB_CANCEL:
        return apply_cancel(job, command);
    case VERB_RETRY:
        return apply_retry(job);
    case VERB_REMOVE:
        return apply_remove(job, command, effect);
    case VERB_SET:
        return job_change_apply(job, command->change, ret_reason);
    }
    assert(false);
    return -EINVAL;
}

/* What an attempt learnt goes into the record whatever the job's state has become meanwhile. */
static void take_update(struct job *job, const struct job_update *update)
{
    uint64_t cancel_requested = job->session.cancel_requested_usec;

    job->session = update->session;
    job->session.cancel_requested_usec = cancel_requested;
    job->run = update->run;
    if (update->has_identity) {
        job->identity = update->identity;
        job->identity_wanted = false;
    }
    if (update->retakes_identity) {
        job->identity_wanted = true;
        job->counted_uploaded_bytes = 0; /* another file from now on */
    }
    if (job->started_usec == 0)
        job->started_usec = update->started_usec;
    if (update->queued_usec != 0)
        job->queued_usec = update->queued_usec;
    if (update->server[0] != '\0')
        memcpy(job->server, update->server, sizeof(job->server));
    if (update->address[0] != '\0')
        memcpy(job->address, update->address, sizeof(job->address));
    if (update->progress) {
        job->failure = (struct failure){0};
        job->attempts = 0;
        job->retry_delay_usec = 0;
        job->next_attempt_usec = 0;
    }
}

static void log_attempt(struct job *job, const struct command *command)
{
    const struct failure *failure = &command->update.failure;

    if (job->attempt_count == JOB_ATTEMPTS_KEPT) {
        memmove(&job->attempt_log[0], &job->attempt_log[1], (JOB_ATTEMPTS_KEPT - 1) * sizeof(job->attempt_log[0]));
        job->attempt_count--;
    }
    struct job_attempt *attempt = &job->attempt_log[job->attempt_count++];
    *attempt = (struct job_attempt){
        .at_usec = command->at.realtime_usec,
        .code = failure->code,
        .http_status = failure->http_status,
        .phase = failure->phase,
        .offset = command->update.session.offset,
    };
    (void)text_copy(attempt->address, sizeof(attempt->address), command->update.address);
    job->attempts++;
    job->attempts_total++;
    job->failure = *failure;
}

static void apply_retry_at(struct job *job, const struct command *command)
{
    if (command->update.is_away)
        job->failure = command->update.failure;
    else
        log_attempt(job, command);
    job->retry_delay_usec = command->update.retry_delay_usec;
    /* A pause or a cancellation that came meanwhile is not put off by the error of the attempt that it ended. */
    if (job->state == JOB_PAUSED || (job->state == JOB_CANCELLING && command->update.session.phase != SESSION_CANCEL))
        return;
    job->next_attempt_usec = command->update.next_attempt_usec;
    if (job->state == JOB_READY)
        job->state = JOB_RETRYING;
}

static void finish(struct job *job, const struct command *command, enum job_state state)
{
    job->state = state;
    job->finished_usec = command->at.realtime_usec;
    job->next_attempt_usec = 0;
}

static void apply_done(struct job *job, const struct command *command)
{
    finish(job, command, JOB_DONE);
    job->confirmed = command->update.confirmed;
    job->failure = command->update.failure; /* a warning, or nothing */
}

static enum job_effect apply_gone(struct job *job, const struct command *command)
{
    if (job->remove_when_cancelled)
        return JOB_REMOVED;
    finish(job, command, JOB_CANCELLED);
    return JOB_UPDATED;
}

static enum job_effect apply_expire(struct job *job, const struct command *command)
{
    if (!job_has_deadline(job) || job->options.deadline_usec > command->at.realtime_usec)
        return JOB_UNCHANGED;
    finish(job, command, JOB_FAILED);
    job->failure = (struct failure){.code = HR_DEADLINE, .context = CONTEXT_QUEUE_MANAGER};
    failure_name_code(job->failure.code, job->failure.name);
    (void)snprintf(job->failure.text, sizeof(job->failure.text),
                   "it was not uploaded by its deadline; bitsq set ID deadline= takes that back, then: bitsq retry ID");
    return JOB_UPDATED;
}

static enum job_effect apply_attempt(struct job *job, const struct command *command)
{
    if (job_state_is_final(job->state))
        return JOB_UNCHANGED;
    take_update(job, &command->update);
    switch (command->type) {
    case COMMAND_CHECKPOINT:
        if (command->update.progress && job->state == JOB_RETRYING)
            job->state = JOB_READY;
        return JOB_UPDATED;
    case COMMAND_RETRY_AT:
        apply_retry_at(job, command);
        return JOB_UPDATED;
    case COMMAND_DONE:
        apply_done(job, command);
        return JOB_UPDATED;
    case COMMAND_FAIL:
        log_attempt(job, command);
        /* A person's wish to cancel outlives the failure of what was cancelled. */
        if (job->state != JOB_CANCELLING)
            finish(job, command, JOB_FAILED);
        return JOB_UPDATED;
    case COMMAND_GONE:
        return job->state == JOB_CANCELLING ? apply_gone(job, command) : JOB_UPDATED;
    case COMMAND_ADD:
    case COMMAND_VERB:
    case COMMAND_BATCH_DROP:
    case COMMAND_BULK_BEGIN:
    case COMMAND_BULK_STEP:
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
    assert(false);
    return JOB_UNCHANGED;
}

int job_apply(struct job *job, const struct command *command, enum job_effect *ret_effect, const char **ret_reason)
{
    enum job_effect effect = JOB_UPDATED;

    if (command->type == COMMAND_VERB) {
        int r = apply_verb(job, command, &effect, ret_reason);
        if (r < 0)
            return r;
    } else if (command->type == COMMAND_EXPIRE) {
        effect = apply_expire(job, command);
    } else {
        effect = apply_attempt(job, command);
    }
    if (effect == JOB_UPDATED)
        job->revision++;
    *ret_effect = effect;
    return 0;
}
