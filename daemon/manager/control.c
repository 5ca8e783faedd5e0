/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verbs over jobs: count what matches, a page of the store at a time, so that the loop goes on. What fits into one
 * transaction is carried out at once, and each job answers for itself. What does not becomes an intent that is carried
 * out in steps (core/bulk.h); which jobs refuse the verb is told then by the state that they were counted in.
 */
#include "manager/control.h"

#include "core/bulk.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct failures {
    uint64_t count;
    struct manager_failure *list; /* the first ones */
    size_t list_count;
};

struct control {
    LIST_ENTRY(control) entry;
    bool counting;
    struct manager *manager;
    uid_t caller;
    enum job_verb verb;
    struct job_change change; /* with SET */
    bool holds_starts;        /* counted in manager->starts_held */

    struct manager_filter filter; /* its texts and ranges are copies */
    char *group, *key;
    struct id_range *ranges;
    uint64_t after;

    uint64_t *named; /* sorted, where the filter is nothing but ids: those that are not there are told */
    size_t named_count, named_at;

    uint64_t matched;
    uint64_t ids[STORE_BATCH_MAX]; /* the first that match */
    uint64_t flying[ACTIVE_JOBS_MAX];
    size_t flying_count;

    struct failures missing, refused;
    manager_done_t done;
    void *userdata;
};

static void failures_done(struct failures *failures)
{
    free(failures->list);
    *failures = (struct failures){0};
}

static struct control *control_free(struct control *control)
{
    if (!control)
        return NULL;
    if (control->counting)
        LIST_REMOVE(control, entry);
    if (control->holds_starts)
        control->manager->starts_held--;
    job_change_done(&control->change);
    free(control->group);
    free(control->key);
    free(control->ranges);
    free(control->named);
    failures_done(&control->missing);
    failures_done(&control->refused);
    free(control);
    return NULL;
}
DEFINE_CLEANUP(struct control *, control_free);

/* Until the command is durable no job starts. */
static void hold_starts(struct control *control)
{
    if (!control->holds_starts)
        control->manager->starts_held++;
    control->holds_starts = true;
}

static const char *const verb_names[] = {
    [VERB_PAUSE] = "pause", [VERB_RESUME] = "resume", [VERB_CANCEL] = "cancel",
    [VERB_RETRY] = "retry", [VERB_REMOVE] = "remove", [VERB_SET] = "set",
};

int manager_verb_parse(const char *text, enum job_verb *ret)
{
    for (size_t i = 0; i < ELEMENTS(verb_names); i++) {
        if (strcmp(text, verb_names[i]) == 0) {
            *ret = (enum job_verb)i;
            return 0;
        }
    }
    return -EINVAL;
}

static void state_fault(const struct control *control, const struct command_item *item, struct manager_error *error)
{
    static const char *const remedies[] = {
        [VERB_PAUSE] = "only a job that is not finished can be paused",
        [VERB_RESUME] = "only a paused job can be resumed",
        [VERB_CANCEL] = "only a job that is neither done nor cancelled can be cancelled",
        [VERB_RETRY] = "only a failed, retrying or cancelled job can be retried",
        [VERB_REMOVE] = "only a finished job can be removed; cancel it first",
        [VERB_SET] = "only a job that is neither done nor cancelled can be changed",
    };
    const char *remedy = remedies[control->verb];
    bool runs = manager_find_runner(control->manager, item->id) != NULL;

    if (control->verb == VERB_SET && runs)
        remedy = "the URL of a running job cannot be changed: pause it first, and resume it then";
    (void)manager_fault_set(error, FAULT_INVALID_STATE, 0, "cannot %s job %" PRIu64 ": it is %s; %s",
                            verb_names[control->verb], item->id,
                            item->before == JOB_READY ? "queued or running" : job_state_name(item->before), remedy);
}

/* The first ones with words, the others counted. */
static void note_failure(struct control *control, struct failures *failures, const struct command_item *item)
{
    failures->count++;
    if (failures->list_count == MANAGER_FAILURES_MAX)
        return;
    if (!failures->list)
        failures->list = calloc(MANAGER_FAILURES_MAX, sizeof(*failures->list));
    if (!failures->list)
        return;
    struct manager_failure *failure = &failures->list[failures->list_count++];
    failure->id = item->id;
    if (item->result == -EBUSY)
        state_fault(control, item, &failure->error);
    else if (item->result == -EINVAL && item->reason)
        (void)manager_fault_set(&failure->error, FAULT_INVALID_ARGUMENT, 0, "cannot set job %" PRIu64 ": %s", item->id,
                                item->reason);
    else if (item->result == -ENOENT || item->result == -EKEYREJECTED)
        (void)manager_fault_set(&failure->error, FAULT_NO_SUCH_JOB, 0,
                                "there is no job %" PRIu64 "; \"bitsq list\" shows them", item->id);
    else
        manager_write_fault(control->manager, item->result, &failure->error);
}

static void note_missing(struct control *control, uint64_t id)
{
    const struct command_item item = {.id = id, .result = -ENOENT};

    control->matched++;
    note_failure(control, &control->missing, &item);
}

static void answer(struct control *control, const struct manager_error *error)
{
    struct manager_failure *failures = control->missing.list;
    size_t count = control->missing.list_count;
    struct manager_result result = {
        .matched = control->matched,
        .failed = control->missing.count + control->refused.count,
    };

    if (count == 0) {
        failures = control->refused.list;
        count = control->refused.list_count;
    } else {
        for (size_t i = 0; i < control->refused.list_count && count < MANAGER_FAILURES_MAX; i++)
            failures[count++] = control->refused.list[i];
    }
    result.failures = failures;
    result.failures_count = count;
    if (error)
        result.error = *error;
    control->done(control->userdata, &result);
    manager_reschedule(control->manager);
    control_free(control);
}

static void take_item(struct control *control, const struct command_item *item)
{
    if (item->result < 0)
        note_failure(control, item->result == -ENOENT ? &control->missing : &control->refused, item);
    if (item->left)
        manager_bid_farewell(control->manager, item->left);
}

static void on_applied(struct command *command, void *userdata)
{
    struct control *control = userdata;
    struct manager *manager = control->manager;
    struct manager_error error = {0};
    int r = command->result;

    manager_note_commit(manager, r);
    if (r >= 0) {
        for (size_t i = 0; i < command->items_count; i++)
            take_item(control, &command->items[i]);
        manager_tell_runners(manager, command);
        manager_announce(manager, command);
    } else {
        manager_write_fault(manager, r, &error);
    }
    answer(control, r < 0 ? &error : NULL);
}

/* What is under way belongs to the URL that it was begun with. */
static bool is_running(const struct control *control, uint64_t id)
{
    return control->change.url && manager_find_runner(control->manager, id) != NULL;
}

static void note_refused(struct control *control, uint64_t id, enum job_state state)
{
    const struct command_item item = {.id = id, .result = -EBUSY, .before = state};

    note_failure(control, &control->refused, &item);
}

/* Everything in one transaction. A selection that matched nothing is answered later all the same. */
static int submit_verb(struct control *control, size_t count)
{
    struct command *command = command_new(COMMAND_VERB, count);

    if (!command)
        return -ENOMEM;
    failures_done(&control->refused); /* each job says it anew */
    command->at = manager_now(control->manager);
    command->caller = control->caller;
    command->any_owner = control->filter.store.any_owner;
    command->verb = control->verb;
    command->change = &control->change;
    command->nothing_flies = true;
    command->items_count = 0;
    /* A job that does not fly now, and cannot start, has nothing to tell its server if it has no session. */
    if (control->verb == VERB_CANCEL)
        hold_starts(control);
    for (size_t i = 0; i < count; i++) {
        if (is_running(control, control->ids[i]))
            note_refused(control, control->ids[i], manager_find_runner(control->manager, control->ids[i])->job->state);
        else
            command->items[command->items_count++].id = control->ids[i];
        command->nothing_flies &= manager_find_runner(control->manager, control->ids[i]) == NULL;
    }
    command->done = on_applied;
    command->userdata = control;
    manager_submit(control->manager, command);
    return 0;
}

static void on_begun(struct command *command, void *userdata)
{
    struct control *control = userdata;
    struct manager *manager = control->manager;
    struct manager_error error = {0};
    int r = command->result;

    manager_note_commit(manager, r);
    if (r >= 0) {
        for (size_t i = 0; i < command->items_count; i++)
            take_item(control, &command->items[i]);
        manager_tell_runners(manager, command);
        manager_announce(manager, command);
        manager_run_bulks(manager);
    } else if (r == -EAGAIN) {
        (void)manager_fault_set(&error, FAULT_LIMIT_REACHED, 0,
                                "%d commands over many jobs are being carried out; try again when they are through",
                                BULKS_MAX);
    } else {
        manager_write_fault(manager, r, &error);
    }
    answer(control, r < 0 ? &error : NULL);
}

/* Which stored records are shown in one of the states of the filter, as far as they do not fly. */
static void fill_states(const struct manager_filter *filter, struct bulk *bulk)
{
    const uint32_t waiting = UINT32_C(1) << SHOWN_QUEUED | UINT32_C(1) << SHOWN_BLOCKED;
    const uint32_t retrying = UINT32_C(1) << SHOWN_RETRYING;

    if (filter->states == 0)
        return;
    bulk->states = manager_stored_states(filter->states) | 1; /* no job has state 0: what is left over may be none */
    if ((filter->states & waiting) == 0)
        bulk->states &= ~(UINT32_C(1) << JOB_READY);
    if ((filter->states & (waiting | retrying)) == 0)
        bulk->states &= ~(UINT32_C(1) << JOB_RETRYING);
    else if ((filter->states & retrying) == 0)
        bulk->retrying = BULK_RETRYING_DUE;
    else if ((filter->states & waiting) == 0)
        bulk->retrying = BULK_RETRYING_WAITING;
}

/* The jobs that fly are dealt with now, or, where they were not meant, never. */
static int pass_by_runners(struct control *control, struct bulk *bulk)
{
    const struct runner *runner;

    TAILQ_FOREACH (runner, &control->manager->runners, entry) {
        int r = bulk_touch(bulk, runner->job->id);
        if (r < 0)
            return r;
    }
    return 0;
}

static int submit_bulk(struct control *control)
{
    size_t count = control->change.url ? 0 : control->flying_count;
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_BULK_BEGIN, count);
    struct bulk *bulk = calloc(1, sizeof(*bulk));

    if (!command || !bulk) {
        free(bulk);
        return -ENOMEM;
    }
    command->bulk = bulk;
    command->bulk_jobs = control->matched - control->missing.count - control->refused.count;
    bulk->caller = control->caller;
    bulk->any_owner = control->filter.store.any_owner;
    bulk->verb = control->verb;
    bulk->change = control->change;
    control->change = (struct job_change){0};
    bulk->group = TAKE_PTR(control->group);
    bulk->ranges = TAKE_PTR(control->ranges);
    bulk->ranges_count = control->filter.store.ranges_count;
    fill_states(&control->filter, bulk);
    int r = pass_by_runners(control, bulk);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        command->items[i].id = control->flying[i];
    command->at = manager_now(control->manager);
    command->done = on_begun;
    command->userdata = control;
    manager_submit(control->manager, TAKE_PTR(command));
    return 0;
}

static int count_job(const struct job *job, const struct manager_view *view, void *userdata)
{
    struct control *control = userdata;
    bool flies = manager_find_runner(control->manager, job->id) != NULL;

    (void)view;
    while (control->named_at < control->named_count && control->named[control->named_at] < job->id)
        note_missing(control, control->named[control->named_at++]);
    if (control->named_at < control->named_count && control->named[control->named_at] == job->id)
        control->named_at++;
    if (control->matched - control->missing.count < STORE_BATCH_MAX)
        control->ids[control->matched - control->missing.count] = job->id;
    control->matched++;
    if (!job_verb_is_allowed(job, control->verb) || (flies && control->change.url))
        note_refused(control, job->id, job->state);
    else if (flies && control->flying_count < ACTIVE_JOBS_MAX)
        control->flying[control->flying_count++] = job->id;
    return 0;
}

/* The next page; -EAGAIN where others follow. */
static int count_page(struct control *control)
{
    int r = manager_query(control->manager, &control->filter, control->after, COUNT_ROWS_MAX, count_job, control,
                          &control->after);

    if (r < 0)
        return r;
    if (control->after != 0)
        return -EAGAIN;
    while (control->named_at < control->named_count)
        note_missing(control, control->named[control->named_at++]);
    uint64_t found = control->matched - control->missing.count;
    return found <= STORE_BATCH_MAX ? submit_verb(control, (size_t)found) : submit_bulk(control);
}

static void fail(struct control *control, int result)
{
    struct manager_error error;

    if (result == -ENOMEM)
        (void)manager_fault_set(&error, FAULT_NO_MEMORY, 0, "memory ran out; try again later");
    else
        (void)manager_fault_set(&error, FAULT_DEGRADED, 0, "the queue in %s cannot be read: %s; try again later",
                                control->manager->state_directory, strerror(-result));
    answer(control, &error);
}

/*
 * The next page, behind whatever is ready by then. A timer that is over is one of many; sd-event takes a deferred
 * source that is enabled again, pending since it was made, before all others.
 */
static void count_later(struct manager *manager)
{
    (void)sd_event_source_set_time(manager->counting_source, 0);
    (void)sd_event_source_set_enabled(manager->counting_source, SD_EVENT_ONESHOT);
}

void control_count_on(struct manager *manager)
{
    struct control *control = LIST_FIRST(&manager->countings);

    if (!control)
        return;
    LIST_REMOVE(control, entry);
    control->counting = false;
    int r = count_page(control);
    if (r == -EAGAIN) {
        LIST_INSERT_HEAD(&manager->countings, control, entry);
        control->counting = true;
    } else if (r < 0) {
        fail(control, r);
    }
    if (!LIST_EMPTY(&manager->countings))
        count_later(manager);
}

void control_refuse_all(struct manager *manager)
{
    struct control *control;
    struct manager_error error;

    (void)manager_fault_stopping(&error);
    while ((control = LIST_FIRST(&manager->countings)) != NULL)
        answer(control, &error);
}

/* Ids that were named are taken each once, so that one that does not exist is reported. */
static int take_named(struct control *control, const struct store_filter *filter)
{
    size_t count = 0;

    control->named = calloc(filter->ids_count, sizeof(*control->named));
    if (!control->named)
        return -ENOMEM;
    memcpy(control->named, filter->ids, filter->ids_count * sizeof(*control->named));
    qsort(control->named, filter->ids_count, sizeof(*control->named), id_compare);
    for (size_t i = 0; i < filter->ids_count; i++)
        if (i == 0 || control->named[i] != control->named[i - 1])
            control->named[count++] = control->named[i];
    control->named_count = count;
    return 0;
}

static int take_ranges(struct control *control, const struct store_filter *filter, struct manager_error *error)
{
    size_t count = filter->ids_count + filter->ranges_count;

    if (count == 0)
        return 0;
    control->ranges = calloc(count, sizeof(*control->ranges));
    if (!control->ranges)
        return -ENOMEM;
    for (size_t i = 0; i < filter->ids_count; i++)
        control->ranges[i] = (struct id_range){filter->ids[i], filter->ids[i]};
    for (size_t i = 0; i < filter->ranges_count; i++)
        control->ranges[filter->ids_count + i] = filter->ranges[i];
    count = id_ranges_join(control->ranges, count);
    if (count > BULK_RANGES_MAX)
        return manager_fault_set(error, FAULT_LIMIT_REACHED, -E2BIG,
                                 "one command takes at most %d ranges of jobs; split it, or select by --group or "
                                 "--state",
                                 BULK_RANGES_MAX);
    control->filter.store.ranges = control->ranges;
    control->filter.store.ranges_count = count;
    return 0;
}

static int take_filter(struct control *control, const struct manager_filter *filter, struct manager_error *error)
{
    bool only_ids = filter->store.ids_count > 0 && filter->store.ranges_count == 0 && filter->states == 0 &&
                    !filter->store.group && !filter->store.key;

    control->filter = *filter;
    control->filter.store.ids = NULL;
    control->filter.store.ids_count = 0;
    if (filter->store.group && !(control->filter.store.group = control->group = strdup(filter->store.group)))
        return -ENOMEM;
    if (filter->store.key && !(control->filter.store.key = control->key = strdup(filter->store.key)))
        return -ENOMEM;
    int r = only_ids ? take_named(control, &filter->store) : 0;
    return r < 0 ? r : take_ranges(control, &filter->store, error);
}

/* A few jobs by their numbers need no counting: each answers for itself, also where it is not there. */
static int begin(struct control *control)
{
    if (control->named_count == 0 || control->named_count > STORE_BATCH_MAX) {
        /* What flies is what was seen to fly, also where counting takes many turns of the loop. */
        hold_starts(control);
        return count_page(control);
    }
    memcpy(control->ids, control->named, control->named_count * sizeof(*control->ids));
    control->matched = control->named_count;
    return submit_verb(control, control->named_count);
}

/* Takes CHANGE over, and completes it. */
static int take_change(struct control *control, struct job_change *change, struct manager_error *error)
{
    struct manager *manager = control->manager;
    _cleanup_free_ char *name = NULL;

    if (job_change_is_empty(change))
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL,
                                 "there is nothing to set; name at least one KEY=VALUE");
    if ((change->options_given & CHANGE_FRAGMENT_SIZE) &&
        change->options.fragment_min_bytes < manager->settings.fragment_floor_bytes)
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL,
                                 "the smallest fragment may not be under %" PRIu64 " bytes",
                                 manager->settings.fragment_floor_bytes);
    const char *fault = change->url ? manager->check_url(change->url, &change->host, &name) : NULL;
    if (fault)
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL, "%s", fault);
    control->change = *change;
    *change = (struct job_change){0};
    struct job_options *options = &control->change.options;
    options->not_before_usec = manager_queue_usec(control->manager, options->not_before_usec);
    options->deadline_usec = manager_queue_usec(control->manager, options->deadline_usec);
    /* None of these jobs may begin with the URL that it had. */
    if (control->change.url)
        hold_starts(control);
    return 0;
}

int manager_control(struct manager *manager, uid_t caller, enum job_verb verb, struct job_change *change,
                    const struct manager_filter *filter, manager_done_t done, void *userdata,
                    struct manager_error *ret_error)
{
    _cleanup_(control_free_p) struct control *control = calloc(1, sizeof(*control));

    *ret_error = (struct manager_error){.fault = FAULT_NO_MEMORY, .text = "memory ran out; try again later"};
    if (manager->stopping)
        return manager_fault_stopping(ret_error);
    if (!control)
        return -ENOMEM;
    control->manager = manager;
    control->caller = caller;
    control->verb = verb;
    control->done = done;
    control->userdata = userdata;
    int r = verb == VERB_SET ? take_change(control, change, ret_error) : 0;
    if (r >= 0)
        r = take_filter(control, filter, ret_error);
    if (r >= 0)
        r = begin(control);
    if (r == -EAGAIN) {
        LIST_INSERT_HEAD(&manager->countings, control, entry);
        control->counting = true;
        count_later(manager);
    } else if (r < 0) {
        return r;
    }
    (void)TAKE_PTR(control);
    return 0;
}
