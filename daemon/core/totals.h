/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a queue has done since it was made: figures that grow when jobs end, and that no removal of jobs lowers. Pure.
 *
 * Example: a job of 10 bytes fails after 4 of them, is tried again and gets through: failed 1, uploaded 4; then done 1,
 * uploaded 10. A byte counts once, though the job ended twice.
 */
#pragma once

#include "core/job.h"

struct totals {
    uint64_t since_usec; /* CLOCK_REALTIME: when the counting began; 0 = not known */
    uint64_t done, failed, cancelled;
    uint64_t uploaded_bytes; /* that servers have acknowledged, of jobs that have ended */
    uint64_t resent_bytes;   /* of the same jobs: handed to the transport beyond the first time */
};

/*
 * Counts the end of JOB, which was in the state BEFORE. False where it has not just ended: nothing changed then. What
 * was counted stands in the job, so that another end, after `retry`, counts the rest alone.
 */
bool totals_count_end(struct totals *totals, enum job_state before, struct job *job);
