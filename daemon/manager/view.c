/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people see of the queue: stored records, told apart by what is in flight. */
#include "manager/gates.h"
#include "manager/internal.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const shown_names[SHOWN_STATES] = {
    [SHOWN_QUEUED] = "queued",
    [SHOWN_BLOCKED] = "blocked",
    [SHOWN_CONNECTING] = "connecting",
    [SHOWN_TRANSFERRING] = "transferring",
    [SHOWN_REPLYING] = "replying",
    [SHOWN_RETRYING] = "retrying",
    [SHOWN_PAUSED] = "paused",
    [SHOWN_CANCELLING] = "cancelling",
    [SHOWN_DONE] = "done",
    [SHOWN_FAILED] = "failed",
    [SHOWN_CANCELLED] = "cancelled",
};

const char *shown_state_name(enum shown_state state)
{
    return shown_names[state];
}

int shown_state_parse(const char *text, enum shown_state *ret)
{
    for (size_t i = 0; i < SHOWN_STATES; i++) {
        if (strcmp(text, shown_names[i]) == 0) {
            *ret = (enum shown_state)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* Behind these a job that waits for its next attempt shows as `retrying`. */
#define GATES_OF_ATTEMPT (GATE_BIT(GATE_RETRY) | GATE_BIT(GATE_SOURCE) | GATE_BIT(GATE_CREDENTIAL))

/* Why a job waits: what its closed gates say, one after the other. */
static void say_why(struct manager *manager, const struct job *job, const struct gate_policy *policy,
                    const struct gate_states *states, struct manager_view *view)
{
    char text[GATE_TEXT_MAX], remedy[GATE_TEXT_MAX];
    size_t used = 0;

    for (size_t i = 0; i < GATES && used < sizeof(view->because) - 1; i++) {
        if (!(states->closed & GATE_BIT(i)))
            continue;
        manager_gate_text(manager, job, policy, states, (enum gate)i, text, remedy);
        int n = snprintf(view->because + used, sizeof(view->because) - used, "%s%s", used > 0 ? "; " : "", text);
        used += n > 0 ? (size_t)n : 0;
        if (states->until_usec[i] != USEC_INFINITY && states->until_usec[i] > view->until_usec)
            view->until_usec = states->until_usec[i];
    }
}

/* A job that could run but does not: the gates that are closed. */
static void describe_waiting(struct manager *manager, const struct job *job, struct manager_view *view)
{
    bool is_due = job->next_attempt_usec <= manager_now(manager).realtime_usec;
    struct gate_policy policy;
    struct gate_states states;

    manager_job_gates(manager, job, NULL, &policy, &states);
    view->closed = states.closed;
    say_why(manager, job, &policy, &states, view);
    if (job->state == JOB_RETRYING && !is_due && (states.closed & ~GATES_OF_TURN & ~GATES_OF_ATTEMPT) == 0)
        view->state = SHOWN_RETRYING;
    else
        view->state = (states.closed & ~GATES_OF_TURN) != 0 ? SHOWN_BLOCKED : SHOWN_QUEUED;
}

void manager_explain(struct manager *manager, const struct job *job, struct manager_gate ret[static GATES])
{
    const struct runner *runner = manager_find_runner(manager, job->id);
    struct gate_policy policy;
    struct gate_states states;

    manager_job_gates(manager, job, runner, &policy, &states);
    for (size_t i = 0; i < GATES; i++) {
        ret[i] = (struct manager_gate){
            .gate = (enum gate)i,
            .is_open = !(states.closed & GATE_BIT(i)),
            .since_usec = states.since_usec[i],
            .until_usec = states.until_usec[i] == USEC_INFINITY ? 0 : states.until_usec[i],
        };
        manager_gate_text(manager, job, &policy, &states, (enum gate)i, ret[i].text, ret[i].remedy);
    }
}

static void describe_active(const struct runner *runner, struct manager_view *view)
{
    view->acknowledged = runner->session.record.offset;
    view->rate = pacing_shown_rate(runner);
    view->state = runner->answered ? SHOWN_TRANSFERRING : SHOWN_CONNECTING;
    if (runner->session.record.phase == SESSION_REPLY)
        view->state = SHOWN_REPLYING;
    if (runner->owed != OWED_NOTHING) {
        view->state = SHOWN_BLOCKED;
        view->closed = GATE_BIT(GATE_DISK);
        (void)text_copy(view->because, sizeof(view->because), runner->manager->write_error_text);
    }
}

void manager_describe(struct manager *manager, const struct job *job, struct manager_view *ret)
{
    struct runner *runner = manager_find_runner(manager, job->id);
    struct manager_view view = {.acknowledged = job->session.offset};

    switch (job->state) {
    case JOB_READY:
    case JOB_RETRYING:
        if (runner)
            describe_active(runner, &view);
        else
            describe_waiting(manager, job, &view);
        break;
    case JOB_PAUSED:
        view.state = SHOWN_PAUSED;
        break;
    case JOB_CANCELLING:
        view.state = SHOWN_CANCELLING;
        break;
    case JOB_DONE:
        view.state = SHOWN_DONE;
        view.acknowledged = job->identity.size_bytes;
        break;
    case JOB_FAILED:
        view.state = SHOWN_FAILED;
        break;
    case JOB_CANCELLED:
        view.state = SHOWN_CANCELLED;
        break;
    }
    *ret = view;
}

uint32_t manager_stored_states(uint32_t states)
{
    static const struct {
        enum shown_state shown;
        enum job_state stored;
    } map[] = {
        {SHOWN_QUEUED, JOB_READY},          {SHOWN_QUEUED, JOB_RETRYING},
        {SHOWN_BLOCKED, JOB_READY},         {SHOWN_BLOCKED, JOB_RETRYING},
        {SHOWN_CONNECTING, JOB_READY},      {SHOWN_CONNECTING, JOB_RETRYING},
        {SHOWN_TRANSFERRING, JOB_READY},    {SHOWN_TRANSFERRING, JOB_RETRYING},
        {SHOWN_REPLYING, JOB_READY},        {SHOWN_REPLYING, JOB_RETRYING},
        {SHOWN_RETRYING, JOB_RETRYING},     {SHOWN_PAUSED, JOB_PAUSED},
        {SHOWN_CANCELLING, JOB_CANCELLING}, {SHOWN_DONE, JOB_DONE},
        {SHOWN_FAILED, JOB_FAILED},         {SHOWN_CANCELLED, JOB_CANCELLED},
    };
    uint32_t stored = 0;

    for (size_t i = 0; i < ELEMENTS(map); i++)
        if (states & UINT32_C(1) << map[i].shown)
            stored |= UINT32_C(1) << map[i].stored;
    return stored;
}

struct querying {
    struct manager *manager;
    uint32_t states;
    size_t rows;
    int (*each)(const struct job *job, const struct manager_view *view, void *userdata);
    void *userdata;
};

static int on_row(const struct job *job, void *userdata)
{
    struct querying *querying = userdata;
    struct manager_view view;

    manager_describe(querying->manager, job, &view);
    if (querying->states != 0 && !(querying->states & UINT32_C(1) << view.state))
        return 0;
    querying->rows++;
    return querying->each(job, &view, querying->userdata);
}

int manager_query(struct manager *manager, const struct manager_filter *filter, uint64_t after, size_t limit,
                  int (*each)(const struct job *job, const struct manager_view *view, void *userdata), void *userdata,
                  uint64_t *ret_next)
{
    struct querying querying = {.manager = manager, .states = filter->states, .each = each, .userdata = userdata};
    struct store_filter stored = filter->store;

    if (filter->states != 0)
        stored.states = manager_stored_states(filter->states);
    int r = store_query(manager->store, &stored, after, limit, on_row, &querying, ret_next);
    return r < 0 ? r : (int)querying.rows;
}

int manager_count(struct manager *manager, uid_t owner, uint64_t ret_counts[static SHOWN_STATES])
{
    uint64_t stored[JOB_STATES], counts[SHOWN_STATES] = {0};
    const struct runner *runner;
    struct manager_view view;

    int r = store_count(manager->store, false, owner, stored);
    if (r < 0)
        return r;
    /* Few jobs are in flight: what they look like is taken out of the stored figures one by one. */
    TAILQ_FOREACH (runner, &manager->runners, entry) {
        enum job_state state = runner->job->state;
        if (runner->job->owner != owner || (state != JOB_READY && state != JOB_RETRYING) || stored[state] == 0)
            continue;
        manager_describe(manager, runner->job, &view);
        stored[state]--;
        counts[view.state]++;
    }
    uint64_t blocked = manager->write_error != 0 ? stored[JOB_READY] : manager_count_blocked(manager, owner);
    uint64_t of_ready = blocked < stored[JOB_READY] ? blocked : stored[JOB_READY];
    counts[SHOWN_BLOCKED] += of_ready;
    counts[SHOWN_QUEUED] += stored[JOB_READY] - of_ready;
    counts[SHOWN_RETRYING] += stored[JOB_RETRYING];
    counts[SHOWN_PAUSED] = stored[JOB_PAUSED];
    counts[SHOWN_CANCELLING] = stored[JOB_CANCELLING];
    counts[SHOWN_DONE] = stored[JOB_DONE];
    counts[SHOWN_FAILED] = stored[JOB_FAILED];
    counts[SHOWN_CANCELLED] = stored[JOB_CANCELLED];
    memcpy(ret_counts, counts, sizeof(counts));
    return 0;
}

int manager_totals(struct manager *manager, uid_t owner, struct totals *ret)
{
    struct totals totals;

    int r = store_totals(manager->store, owner, &totals);
    if (r < 0)
        return r;
    totals.since_usec = manager_wall_usec(manager, totals.since_usec);
    *ret = totals;
    return 0;
}

struct store *manager_store(struct manager *manager)
{
    return manager->store;
}

size_t manager_active_jobs(const struct manager *manager)
{
    return manager->runners_count;
}

uint64_t manager_rate(const struct manager *manager)
{
    const struct runner *runner;
    uint64_t rate = 0;

    TAILQ_FOREACH (runner, &manager->runners, entry)
        rate += pacing_shown_rate(runner);
    return rate;
}

uint64_t manager_next_wakeup(struct manager *manager)
{
    return manager->wake_usec == USEC_INFINITY ? 0 : manager_wall_usec(manager, manager->wake_usec);
}

uint64_t manager_revision(const struct manager *manager)
{
    return manager->revision;
}

size_t manager_degraded(struct manager *manager, const char *ret_sentences[static 4])
{
    size_t count = 0;

    if (manager->write_error != 0)
        ret_sentences[count++] = manager->write_error_text;
    if (manager->set_aside_text[0] != '\0')
        ret_sentences[count++] = manager->set_aside_text;
    /* Asked each time: the writer and the readers put records there, too. */
    const char *quarantine = manager_quarantine_sentence(manager);
    if (quarantine)
        ret_sentences[count++] = quarantine;
    const char *groups = manager_groups_sentence(manager);
    if (groups)
        ret_sentences[count++] = groups;
    return count;
}

bool manager_is_idle(struct manager *manager)
{
    uint64_t counts[JOB_STATES];

    if (manager->runners_count > 0 || manager->probings_count > 0 || manager->bulks_count > 0 ||
        manager->batchings_count > 0 || hooks_are_pending(manager) || manager->commands_pending > 0)
        return false;
    if (store_count(manager->store, true, 0, counts) < 0)
        return false;
    return counts[JOB_READY] + counts[JOB_RETRYING] + counts[JOB_CANCELLING] == 0;
}
