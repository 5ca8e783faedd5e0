/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs over many jobs: collect the ids that match, then change them in steps of one transaction each. */
#include "manager/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct control {
    struct manager *manager;
    uid_t caller;
    bool any_owner;
    enum job_verb verb;
    struct job_change change; /* with SET */
    uint64_t *ids;
    size_t count, size, next;
    uint64_t failed;
    struct manager_failure *failures;
    size_t failures_count;
    manager_done_t done;
    void *userdata;
};

static struct control *control_free(struct control *control)
{
    if (!control)
        return NULL;
    free(control->ids);
    free(control->failures);
    if (control->change.url)
        control->manager->url_changes--;
    job_change_done(&control->change);
    free(control);
    return NULL;
}
DEFINE_CLEANUP(struct control *, control_free);

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

static void note_failure(struct control *control, const struct command_item *item)
{
    struct manager_failure *failure;

    control->failed++;
    if (control->failures_count == MANAGER_FAILURES_MAX)
        return;
    failure = &control->failures[control->failures_count++];
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

static void answer(struct control *control, const struct manager_error *error)
{
    struct manager_result result = {
        .matched = control->count,
        .failed = control->failed,
        .failures = control->failures,
        .failures_count = control->failures_count,
    };

    if (error)
        result.error = *error;
    control->done(control->userdata, &result);
    manager_reschedule(control->manager);
    control_free(control);
}

static void take_item(struct control *control, const struct command_item *item)
{
    if (item->result < 0)
        note_failure(control, item);
    if (item->left)
        manager_bid_farewell(control->manager, item->left);
}

static int submit_step(struct control *control);

static void on_step(struct command *command, void *userdata)
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
        manager_reschedule(manager);
        if (control->next < control->count) {
            r = submit_step(control);
            if (r >= 0)
                return;
        }
    }
    if (r < 0)
        manager_write_fault(manager, r, &error);
    answer(control, r < 0 ? &error : NULL);
}

/* What is under way belongs to the URL that it was begun with. */
static bool refuse_running(struct control *control, uint64_t id)
{
    const struct runner *runner = control->change.url ? manager_find_runner(control->manager, id) : NULL;
    struct command_item item = {.id = id, .result = -EBUSY};

    if (!runner)
        return false;
    item.before = runner->job->state;
    note_failure(control, &item);
    return true;
}

static int submit_step(struct control *control)
{
    size_t left = control->count - control->next;
    size_t count = left < STORE_BATCH_MAX ? left : STORE_BATCH_MAX;
    struct command *command = command_new(COMMAND_VERB, count);

    if (!command)
        return -ENOMEM;
    command->at = manager_now(control->manager);
    command->caller = control->caller;
    command->any_owner = control->any_owner;
    command->verb = control->verb;
    command->change = &control->change;
    command->items_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t id = control->ids[control->next++];
        if (refuse_running(control, id))
            continue;
        command->items[command->items_count++].id = id;
    }
    command->done = on_step;
    command->userdata = control;
    manager_submit(control->manager, command);
    return 0;
}

static int collect(const struct job *job, const struct manager_view *view, void *userdata)
{
    struct control *control = userdata;

    (void)view;
    if (control->count == control->size) {
        size_t size = control->size * 2 + 64;
        uint64_t *ids = reallocarray(control->ids, size, sizeof(*ids));
        if (!ids)
            return -ENOMEM;
        control->ids = ids;
        control->size = size;
    }
    control->ids[control->count++] = job->id;
    return 0;
}

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* Ids that were named are taken as they are, each once, so that one that does not exist is reported. */
static int take_ids(struct control *control, const struct store_filter *filter)
{
    control->ids = calloc(filter->ids_count, sizeof(*control->ids));
    if (!control->ids)
        return -ENOMEM;
    memcpy(control->ids, filter->ids, filter->ids_count * sizeof(*control->ids));
    qsort(control->ids, filter->ids_count, sizeof(*control->ids), compare_ids);
    for (size_t i = 0; i < filter->ids_count; i++)
        if (i == 0 || control->ids[i] != control->ids[i - 1])
            control->ids[control->count++] = control->ids[i];
    return 0;
}

static int gather(struct control *control, const struct manager_filter *filter)
{
    bool only_ids = filter->store.ids_count > 0 && filter->store.ranges_count == 0 && filter->states == 0 &&
                    !filter->store.group && !filter->store.key;
    uint64_t after = 0;

    if (only_ids)
        return take_ids(control, &filter->store);
    do {
        int r = manager_query(control->manager, filter, after, STORE_PAGE_ROWS_MAX, collect, control, &after);
        if (r < 0)
            return r;
    } while (after != 0);
    return 0;
}

/* For a selection that matched nothing: the answer comes later all the same. */
static int submit_nothing(struct control *control)
{
    struct command *command = command_new(COMMAND_VERB, 0);

    if (!command)
        return -ENOMEM;
    command->at = manager_now(control->manager);
    command->verb = control->verb;
    command->done = on_step;
    command->userdata = control;
    manager_submit(control->manager, command);
    return 0;
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
    /* Until it is durable nothing starts, so that none of these jobs begins with the URL that it had. */
    if (control->change.url)
        manager->url_changes++;
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
    control->any_owner = filter->store.any_owner;
    control->verb = verb;
    control->done = done;
    control->userdata = userdata;
    control->failures = calloc(MANAGER_FAILURES_MAX, sizeof(*control->failures));
    if (!control->failures)
        return -ENOMEM;
    int r = verb == VERB_SET ? take_change(control, change, ret_error) : 0;
    if (r >= 0)
        r = gather(control, filter);
    if (r >= 0)
        r = control->count > 0 ? submit_step(control) : submit_nothing(control);
    if (r < 0)
        return r;
    (void)TAKE_PTR(control);
    return 0;
}
