/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an administrator may choose, as plain data: config.c reads it, the other layers are handed it. */
#pragma once

#include "core/limits.h"
#include "core/policy.h"
#include "core/window.h"

#include "base/moment.h"

#include <stdint.h>

#define RATE_LIMIT_UNCHOSEN UINT64_MAX /* no person has: the schedule and RateLimit= count */

struct settings {
    uint64_t max_active;
    uint64_t max_active_per_host;
    uint64_t max_active_per_user; /* 0 = no limit */
    uint64_t retry_delay_usec;
    uint64_t retry_delay_max_usec;
    uint64_t no_progress_timeout_usec;
    uint64_t fragment_min_bytes;
    uint64_t fragment_max_bytes;
    uint64_t fragment_floor_bytes; /* FRAGMENT_FLOOR_BYTES, but in tests */
    uint64_t time_slice_usec;
    uint64_t response_timeout_usec;
    uint64_t max_jobs;
    uint64_t max_jobs_per_user;
    uint64_t keep_awake;         /* 1 = the machine does not fall asleep for being idle while a foreground job runs */
    uint64_t retain_days;        /* 0 = age is no reason to forget a finished job */
    uint64_t retain_jobs;        /* that ended well; 0 = any number */
    uint64_t rate_limit;         /* bytes a second; 0 = none */
    struct window rate_schedule; /* its rate counts where a span is open */
    uint64_t
        batch_timeout_usec;   /* until a batch whose next part does not come is given up; another value only in tests */
    struct policy policy;     /* of jobs that choose nothing, and whose group does not */
    uint64_t idle_exit_usec;  /* of a daemon that was started on demand; another value only in tests */
    uint64_t hook_retry_usec; /* the first pause of a hook that failed; another value only in tests */
    uint64_t look_timeout_usec; /* LOOK_TIMEOUT_USEC, but in tests */
};

#define SETTINGS_DEFAULT                               \
    ((struct settings){                                \
        .max_active = 4,                               \
        .max_active_per_host = 2,                      \
        .retry_delay_usec = 5 * USEC_PER_SEC,          \
        .retry_delay_max_usec = 10 * USEC_PER_MIN,     \
        .no_progress_timeout_usec = 14 * USEC_PER_DAY, \
        .fragment_min_bytes = FRAGMENT_FLOOR_BYTES,    \
        .fragment_max_bytes = FRAGMENT_MAX_BYTES,      \
        .fragment_floor_bytes = FRAGMENT_FLOOR_BYTES,  \
        .time_slice_usec = 30 * USEC_PER_SEC,          \
        .response_timeout_usec = 5 * USEC_PER_MIN,     \
        .max_jobs = STORE_JOBS_MAX,                    \
        .max_jobs_per_user = STORE_JOBS_MAX,           \
        .retain_days = 30,                             \
        .retain_jobs = 10000,                          \
        .batch_timeout_usec = USEC_PER_MIN,            \
        .look_timeout_usec = LOOK_TIMEOUT_USEC,        \
        .idle_exit_usec = 10 * USEC_PER_MIN,           \
        .hook_retry_usec = HOOK_RETRY_USEC,            \
    })
