/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happened in the queue, as the journal keeps it: written in the same transaction as the change, numbered, and
 * bounded. One event for one job, or one with a count for a command over many. Neither URLs nor their queries stand in
 * it.
 */
#pragma once

#include "core/command.h"

#include "base/cleanup.h"

#include <stdint.h>

enum event_type { /* the numbers stand in the store: never renumber */
                  EVENT_ADDED = 1,
                  EVENT_STARTED = 2, /* the first request is on its way */
                  EVENT_PAUSED = 3,
                  EVENT_RESUMED = 4,
                  EVENT_RETRYING = 5, /* after an error, by itself */
                  EVENT_RETRIED = 6,  /* because somebody said so */
                  EVENT_CHANGED = 7,  /* `set` */
                  EVENT_CANCELLING = 8,
                  EVENT_DONE = 9,
                  EVENT_FAILED = 10,
                  EVENT_CANCELLED = 11,
                  EVENT_REMOVED = 12,
};
#define EVENT_TYPES 13 /* one past the last, for arrays */

struct event {
    uint64_t sequence;
    uint64_t at_usec; /* CLOCK_REALTIME */
    uid_t owner;
    enum event_type type;
    uint64_t job_id; /* 0 = many */
    uint64_t count;  /* jobs: 1, or of many */
    char *name;      /* the job's; NULL = many */
    uint64_t next_attempt_usec;
    uint32_t error_code; /* HRESULT; with the two below for RETRYING and FAILED, and DONE with a warning */
    char *error_name;
    char *error_text;
};

void event_done(struct event *event);

const char *event_type_name(enum event_type type); /* "added", "started", ... */

/* What became visible when COMMAND made AFTER of BEFORE: at most two, in their order. AFTER is NULL where it is gone.
 */
#define EVENTS_OF_CHANGE_MAX 2
size_t events_of_change(const struct command *command, const struct job *before, const struct job *after,
                        enum event_type ret_types[static EVENTS_OF_CHANGE_MAX]);

/* What VERB is to many jobs at once. */
enum event_type event_of_verb(enum job_verb verb);
