/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of rate, from where they are chosen to the bodies that they hold back:
 *
 *   on_read() ──pacing_ask()──▶ core/rate ──▶ bytes, or wait ──▶ one timer for all ──▶ transfer_ops.resume()
 *
 * A body that no limit holds for costs the look at three numbers: no clock is read and no timer runs.
 */
#pragma once

#include "core/rate.h"

#include <sys/queue.h>
#include <systemd/sd-event.h>

struct manager;
struct runner;
struct pacing_group;

struct pacing {
    struct rate_queue queue;
    struct rate_bucket all;
    LIST_HEAD(, pacing_group) groups; /* those with a limit whose jobs are under way */
    sd_event_source *source;
    uint64_t armed_usec; /* CLOCK_MONOTONIC; USEC_INFINITY = it is not */
};

/* Of one runner. */
struct pacing_flow {
    struct rate_flow flow;
    struct rate_bucket own;
    struct pacing_group *group; /* NULL = none that has a limit */
};

/* What holds for a job beside the limit of all; 0 = no limit. */
struct pacing_limits {
    uint64_t job_rate;
    uid_t owner; /* of the group */
    const char *group_name;
    uint64_t group_rate;
};

int pacing_init(struct manager *manager);
void pacing_done(struct manager *manager);

/* The limit of all; counts at once. */
void pacing_set(struct manager *manager, uint64_t bytes_per_second);
/* The limits of jobs or of groups may be others now. */
void pacing_limits_changed(struct manager *manager);

/* Before a transfer with a body. A negative errno where memory is refused: without its limits it must not begin. */
int pacing_begin(struct runner *runner);
/* The transfer is there: what the kernel has to know. */
void pacing_begun(struct runner *runner);
void pacing_end(struct runner *runner);

/* How many of SIZE bytes may go now; 0 = the transfer is resumed when its turn comes. */
size_t pacing_ask(struct runner *runner, size_t size);
/* The rate that people are told: of the last Acks, and no more than the limits that hold since. */
uint64_t pacing_shown_rate(const struct runner *runner);
/* So many of them went. */
void pacing_took(struct runner *runner, size_t taken);
