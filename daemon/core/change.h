/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * New settings for a job that is queued already, as a value: what `bitsq set` gives. What is not in it stays.
 */
#pragma once

#include "core/job.h"

#include <stdbool.h>
#include <stdint.h>

enum change_option { /* bits of `options_given` and `options_reset` */
                     CHANGE_FRAGMENT_SIZE = 1 << 0,
                     CHANGE_RETRY_DELAY = 1 << 1,
                     CHANGE_NO_PROGRESS_TIMEOUT = 1 << 2,
                     CHANGE_RATE = 1 << 3,
                     CHANGE_NOT_BEFORE = 1 << 4,
                     CHANGE_DEADLINE = 1 << 5,
                     CHANGE_SOURCE_CHANGED = 1 << 6,
                     CHANGE_NETWORK = 1 << 7,
                     CHANGE_POWER = 1 << 8,
                     CHANGE_WINDOW = 1 << 9,
                     CHANGE_ON_SUCCESS = 1 << 10, /* only ever taken back; given they are `hooks` */
                     CHANGE_ON_FAILURE = 1 << 11,
};

struct job_change {
    bool has_priority;
    enum job_priority priority;
    char *name, *group; /* NULL = as it is, as for those below */
    char *url, *host;   /* both or none: cancels what was uploaded, and begins at 0 */
    char *hooks[HOOK_OUTCOMES];
    uint32_t options_given, options_reset;
    struct job_options options;
    struct access access;              /* new choices, */
    uint32_t texts_reset, flags_reset; /* and those that are taken back: 1 << enum access_text, enum access_flag */
};

void job_change_done(struct job_change *change);

/* The option of that name. -EINVAL where it is none of these. */
int job_change_option(const char *name, enum change_option *ret);

/* Takes back the choice of OPTION ("proxy", "retry_delay"). -EINVAL where there is none to be taken back. */
int job_change_reset(struct job_change *change, const char *option);

bool job_change_is_empty(const struct job_change *change);

/*
 * 0; -EBUSY in a state in which nothing, or not the URL, may be changed; -EINVAL where the job would break a rule
 * (*ret_reason, a literal); -ENOMEM. The job is untouched but with 0.
 */
int job_change_apply(struct job *job, const struct job_change *change, const char **ret_reason);
