/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/event.h"

#include <assert.h>
#include <stdlib.h>

void event_done(struct event *event)
{
    free(event->name);
    free(event->error_name);
    free(event->error_text);
    *event = (struct event){0};
}

const char *event_type_name(enum event_type type)
{
    static const char *const names[EVENT_TYPES] = {
        [EVENT_ADDED] = "added",     [EVENT_STARTED] = "started",       [EVENT_PAUSED] = "paused",
        [EVENT_RESUMED] = "resumed", [EVENT_RETRYING] = "retrying",     [EVENT_RETRIED] = "retried",
        [EVENT_CHANGED] = "changed", [EVENT_CANCELLING] = "cancelling", [EVENT_DONE] = "done",
        [EVENT_FAILED] = "failed",   [EVENT_CANCELLED] = "cancelled",   [EVENT_REMOVED] = "removed",
    };

    return names[type];
}

enum event_type event_of_verb(enum job_verb verb)
{
    switch (verb) {
    case VERB_PAUSE:
        return EVENT_PAUSED;
    case VERB_RESUME:
        return EVENT_RESUMED;
    case VERB_CANCEL:
        return EVENT_CANCELLING;
    case VERB_RETRY:
        return EVENT_RETRIED;
    case VERB_REMOVE:
        return EVENT_REMOVED;
    case VERB_SET:
        return EVENT_CHANGED;
    }
    assert(false);
    return EVENT_CHANGED;
}

static enum event_type type_of_state(enum job_state state)
{
    switch (state) {
    case JOB_READY:
        return EVENT_RESUMED;
    case JOB_PAUSED:
        return EVENT_PAUSED;
    case JOB_RETRYING:
        return EVENT_RETRYING;
    case JOB_CANCELLING:
        return EVENT_CANCELLING;
    case JOB_DONE:
        return EVENT_DONE;
    case JOB_FAILED:
        return EVENT_FAILED;
    case JOB_CANCELLED:
        return EVENT_CANCELLED;
    }
    assert(false);
    return EVENT_CHANGED;
}

size_t events_of_change(const struct command *command, const struct job *before, const struct job *after,
                        enum event_type ret_types[static EVENTS_OF_CHANGE_MAX])
{
    size_t count = 0;

    if (!after) {
        ret_types[count++] = EVENT_REMOVED;
        return count;
    }
    /* Where it only ends, because it was cancelled, it never began. */
    if (command->type != COMMAND_VERB && command->type != COMMAND_GONE && before->started_usec == 0 &&
        after->started_usec != 0)
        ret_types[count++] = EVENT_STARTED;
    if (command->type == COMMAND_VERB && (command->verb == VERB_RETRY || command->verb == VERB_SET)) {
        ret_types[count++] = event_of_verb(command->verb);
    } else if (command->type == COMMAND_RETRY_AT && after->state == JOB_RETRYING) {
        /* Each attempt that failed, not only the first; but that a file system is still away is no news. */
        if (!command->update.is_away || !job_is_away(before))
            ret_types[count++] = EVENT_RETRYING;
    } else if (before->state != after->state && (command->type == COMMAND_VERB || job_state_is_final(after->state))) {
        /* That bytes flow again after an error is no change that anybody has to hear of. */
        ret_types[count++] = type_of_state(after->state);
    }
    return count;
}
