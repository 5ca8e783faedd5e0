/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `run`: a person wants a job to be tried now, past its gates, once. The wish lives in memory until the job has
 * started; what was paused is resumed first, and that is durable.
 */
#include "manager/gates.h"
#include "manager/internal.h"

#include <errno.h>
#include <inttypes.h>

struct running {
    struct manager *manager;
    uint64_t id;
    uint32_t ignored;
    manager_done_t done;
    void *userdata;
};

static int fault_full(struct manager_error *error)
{
    return manager_fault_set(error, FAULT_LIMIT_REACHED, -EDQUOT,
                             "%d jobs are to be run past their gates already; wait until some of them have started",
                             FORCED_JOBS_MAX);
}

/* What it waits for is another gate from now on. */
static bool force(struct manager *manager, uint64_t id, uint32_t ignored)
{
    _cleanup_(job_free_p) struct job *job = NULL;

    if (!schedule_force(manager, id, ignored))
        return false;
    if (store_get(manager->store, id, &job) >= 0)
        manager_shown_changed(manager, job);
    return true;
}

static void on_resumed(void *userdata, const struct manager_result *result)
{
    struct running *running = userdata;
    struct manager_result answer = *result;

    if (result->error.fault == FAULT_NONE && result->failed == 0 &&
        !force(running->manager, running->id, running->ignored))
        (void)fault_full(&answer.error);
    running->done(running->userdata, &answer);
    free(running);
}

static int resume_first(struct manager *manager, uid_t caller, const struct job *job, uint32_t ignored,
                        manager_done_t done, void *userdata, struct manager_error *ret_error)
{
    const struct manager_filter filter = {.store = {.owner = caller, .ids = &job->id, .ids_count = 1}};
    struct running *running = malloc(sizeof(*running));

    if (!running)
        return manager_fault_set(ret_error, FAULT_NO_MEMORY, -ENOMEM, "the daemon is out of memory; try again later");
    *running = (struct running){manager, job->id, ignored, done, userdata};
    int r = manager_control(manager, caller, VERB_RESUME, NULL, &filter, on_resumed, running, ret_error);
    if (r < 0)
        free(running);
    return r;
}

int manager_run_job(struct manager *manager, uid_t caller, const struct job *job, uint32_t ignored, manager_done_t done,
                    void *userdata, struct manager_error *ret_error)
{
    const struct manager_result result = {.matched = 1};
    struct manager_view view;

    if (manager->stopping)
        return manager_fault_stopping(ret_error);
    manager_describe(manager, job, &view);
    if (view.state != SHOWN_QUEUED && view.state != SHOWN_BLOCKED && view.state != SHOWN_RETRYING &&
        view.state != SHOWN_PAUSED)
        return manager_fault_set(ret_error, FAULT_INVALID_STATE, -EBUSY,
                                 "job %" PRIu64 " is %s: only a job that waits can be run; see bitsq show", job->id,
                                 shown_state_name(view.state));
    if (manager->forced_count == FORCED_JOBS_MAX)
        return fault_full(ret_error);
    if (job->state == JOB_PAUSED)
        return resume_first(manager, caller, job, ignored, done, userdata, ret_error);
    (void)force(manager, job->id, ignored);
    done(userdata, &result);
    return 0;
}
