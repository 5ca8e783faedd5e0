/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adding jobs: check the values, look at the files, hand one command to the writer, answer when it is durable. */
#include "io/reply.h"
#include "io/source.h"
#include "manager/batch.h"
#include "manager/internal.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct addition;

/* One file that is being looked at. */
struct look {
    struct addition *addition;
    size_t index;
    struct io_request *request; /* NULL once it has come back */
    struct io_request *reply;   /* the look at where its reply is to go, likewise */
    bool refuse_empty;
};

struct addition {
    LIST_ENTRY(addition) entry;
    TAILQ_ENTRY(addition) waiting;
    struct manager *manager;
    uid_t caller;
    struct manager_submission *submissions; /* while it waits for room */
    size_t count;
    struct batch_part part;
    struct command *command; /* ADD, until it is submitted */
    struct look *looks;
    size_t looks_left;
    sd_event_source *late_source; /* none of its looks came back for long */
    struct manager_error error;   /* the first one */
    bool listed, is_waiting, is_adding;
    manager_done_t done;
    void *userdata;
};

static struct addition *addition_free(struct addition *addition)
{
    if (!addition)
        return NULL;
    if (addition->listed)
        LIST_REMOVE(addition, entry);
    if (addition->is_waiting) {
        TAILQ_REMOVE(&addition->manager->waiting_additions, addition, waiting);
        addition->manager->waiting_jobs -= addition->count;
    }
    if (addition->is_adding)
        addition->manager->adding_jobs -= addition->count;
    if (addition->part.batching)
        batch_part_ended(&addition->part, false);
    for (size_t i = 0; addition->submissions && i < addition->count; i++)
        manager_submission_done(&addition->submissions[i]);
    free(addition->submissions);
    sd_event_source_disable_unref(addition->late_source);
    command_free(addition->command);
    free(addition->looks);
    free(addition);
    return NULL;
}
DEFINE_CLEANUP(struct addition *, addition_free);

static void start_waiting(struct manager *manager);

static void answer(struct addition *addition, const struct manager_result *result)
{
    struct manager *manager = addition->manager;

    addition->done(addition->userdata, result);
    addition_free(addition);
    start_waiting(manager);
}

static void refuse(struct addition *addition)
{
    struct manager_result result = {.error = addition->error};

    answer(addition, &result);
}

static void describe_failure(struct addition *addition, const struct command *command)
{
    const struct job *job = command->failed_job < command->jobs_count ? command->jobs[command->failed_job] : NULL;

    switch (-command->result) {
    case EEXIST:
        (void)manager_fault_set(&addition->error, FAULT_ALREADY_EXISTS, 0,
                                "the key \"%s\" belongs to another upload; choose another key, or --if-exists replace",
                                job && job->key ? job->key : "");
        break;
    case ESTALE:
        (void)batch_fault_given_up(&addition->error);
        break;
    case EFBIG:
        (void)manager_fault_set(
            &addition->error, FAULT_LIMIT_REACHED, 0,
            "the queue's file is full (64 GiB); remove finished jobs with \"bitsq remove\", or lower "
            "RetainDays or RetainJobs in bitsqd.conf");
        break;
    case EUSERS:
        (void)manager_fault_set(&addition->error, FAULT_LIMIT_REACHED, 0,
                                "you have as many jobs as one user may have (MaxJobsPerUser=%" PRIu64
                                "); remove finished jobs with \"bitsq remove\", or raise MaxJobsPerUser in bitsqd.conf",
                                addition->manager->settings.max_jobs_per_user);
        break;
    case EDQUOT:
        (void)manager_fault_set(&addition->error, FAULT_LIMIT_REACHED, 0,
                                "the queue is full (MaxJobs=%" PRIu64
                                "); remove finished jobs with \"bitsq remove\", or "
                                "raise MaxJobs in bitsqd.conf",
                                addition->manager->settings.max_jobs);
        break;
    default:
        manager_write_fault(addition->manager, command->result, &addition->error);
        break;
    }
}

/* Whether anything was written: a job that was there already is kept as it is. */
static bool has_added(const struct command *command)
{
    size_t added = 0;

    for (size_t i = 0; i < command->items_count; i++)
        added += command->items[i].after != NULL;
    return added > 0;
}

static void on_committed(struct command *command, void *userdata)
{
    struct addition *addition = userdata;
    struct manager *manager = addition->manager;
    struct manager_result result = {0};

    if (command->result >= 0 && has_added(command))
        manager_note_written(manager);
    manager_note_commit(manager, command->result);
    if (command->result < 0) {
        describe_failure(addition, command);
        refuse(addition);
        return;
    }
    _cleanup_free_ uint64_t *ids = calloc(command->jobs_count, sizeof(*ids));
    for (size_t i = 0; ids && i < command->jobs_count; i++)
        ids[i] = command->items[i].id;
    result.ids = ids;
    result.ids_count = ids ? command->jobs_count : 0;
    if (!ids)
        (void)manager_fault_set(&result.error, FAULT_NO_MEMORY, 0,
                                "the jobs are queued, but memory ran out for the answer");
    bool is_part = addition->part.batching != NULL, is_visible = !is_part || addition->part.is_last;
    uint64_t batch_jobs = addition->part.offset + addition->count;
    if (is_part)
        batch_part_ended(&addition->part, true);
    answer(addition, &result);
    if (!is_visible)
        return;
    manager_tell_runners(manager, command);
    if (is_part)
        manager_announce_batch(manager, batch_jobs);
    else
        manager_announce(manager, command);
    manager_reschedule(manager);
}

static void source_fault(struct addition *addition, size_t index, int error)
{
    _cleanup_free_ char *path = text_escape(addition->command->jobs[index]->source);
    const char *shown = path ? path : "the source";

    switch (-error) {
    case EISDIR:
        (void)manager_fault_set(&addition->error, FAULT_SOURCE_UNREADABLE, 0,
                                "%s is a folder; name the files in it, or pack it with tar first", shown);
        break;
    case EMEDIUMTYPE:
        (void)manager_fault_set(&addition->error, FAULT_SOURCE_UNREADABLE, 0,
                                "%s is no regular file (a FIFO, socket or device); save its content to a file first",
                                shown);
        break;
    case ETIMEDOUT:
        (void)manager_fault_set(&addition->error, FAULT_SOURCE_UNREADABLE, 0,
                                "cannot read %s: its file system does not answer; see that its server can be reached",
                                shown);
        break;
    default:
        (void)manager_fault_set(&addition->error, FAULT_SOURCE_UNREADABLE, 0,
                                "cannot read %s: %s; check its name and permissions", shown, strerror(-error));
        break;
    }
}

static void submit(struct addition *addition)
{
    struct command *command = TAKE_PTR(addition->command);

    command->at = manager_now(addition->manager);
    for (size_t i = 0; i < command->jobs_count; i++)
        command->jobs[i]->created_usec = command->jobs[i]->queued_usec = command->at.realtime_usec;
    if (addition->part.batching) {
        command->batch_id = batch_id(addition->part.batching);
        command->batch_offset = addition->part.offset;
        command->batch_is_last = addition->part.is_last;
    }
    command->done = on_committed;
    command->userdata = addition;
    manager_submit(addition->manager, command);
}

static struct addition *addition_of(struct batch_part *part)
{
    return (struct addition *)(void *)((char *)part - offsetof(struct addition, part));
}

void addition_submit_part(struct batch_part *part)
{
    submit(addition_of(part));
}

void addition_refuse_part(struct batch_part *part)
{
    struct addition *addition = addition_of(part);

    (void)batch_fault_given_up(&addition->error);
    refuse(addition);
}

/* A negative errno where it is to be refused, for addition->error. */
static int all_looked_at(struct addition *addition)
{
    if (addition->error.fault != FAULT_NONE)
        return -ECANCELED;
    if (addition->part.batching)
        return batch_part_ready(&addition->part, &addition->error);
    submit(addition);
    return 0;
}

static void refuse_empty(struct addition *addition, size_t index)
{
    _cleanup_free_ char *path = text_escape(addition->command->jobs[index]->source);

    (void)manager_fault_set(&addition->error, FAULT_SOURCE_UNREADABLE, 0,
                            "%s is empty, and empty files were to be refused; leave out --empty=refuse to send it",
                            path ? path : "the source");
}

static void reply_fault(struct addition *addition, size_t index, int error)
{
    _cleanup_free_ char *path = text_escape(addition->command->jobs[index]->reply_path);
    const char *why = strerror(-error);

    if (error == -EISDIR)
        why = "it is a folder";
    else if (error == -EMEDIUMTYPE)
        why = "it is no regular file";
    else if (error == -EINVAL)
        why = "it names no file";
    (void)manager_fault_set(&addition->error, FAULT_INVALID_ARGUMENT, 0,
                            "cannot store the reply as %s: %s; choose another place with --reply=FILE",
                            path ? path : "asked for", why);
}

static void cancel_looks(struct addition *addition)
{
    for (size_t i = 0; i < addition->command->jobs_count; i++) {
        struct look *look = &addition->looks[i];
        if (look->request)
            io_request_cancel(look->request);
        if (look->reply)
            io_request_cancel(look->reply);
        look->request = look->reply = NULL;
    }
}

/* A file system that does not answer takes those looks; whoever adds hears so instead of waiting as long. */
static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct addition *addition = userdata;
    const struct look *look = addition->looks;

    (void)source, (void)usec;
    while (!look->request && !look->reply)
        look++;
    if (addition->error.fault == FAULT_NONE && look->request)
        source_fault(addition, look->index, -ETIMEDOUT);
    else if (addition->error.fault == FAULT_NONE)
        reply_fault(addition, look->index, -ETIMEDOUT);
    cancel_looks(addition);
    refuse(addition);
    return 0;
}

static void expect_looks(struct addition *addition)
{
    (void)sd_event_source_set_time_relative(addition->late_source, addition->manager->settings.look_timeout_usec);
    (void)sd_event_source_set_enabled(addition->late_source, SD_EVENT_ONESHOT);
}

static void one_looked_at(struct addition *addition)
{
    if (--addition->looks_left > 0) {
        expect_looks(addition);
        return;
    }
    addition->late_source = sd_event_source_disable_unref(addition->late_source);
    if (all_looked_at(addition) < 0)
        refuse(addition);
}

static void take_look(struct look *look, int result, const struct source_identity *identity, const char *mount)
{
    struct addition *addition = look->addition;
    struct job *job = addition->command->jobs[look->index];

    if (result >= 0) {
        job->identity = *identity;
        job->source_mount = mount[0] != '\0' ? strdup(mount) : NULL; /* without it the job does not wait for it */
    }
    if (addition->error.fault == FAULT_NONE && result < 0)
        source_fault(addition, look->index, result);
    else if (addition->error.fault == FAULT_NONE && look->refuse_empty && identity->size_bytes == 0)
        refuse_empty(addition, look->index);
}

static void on_looked(void *userdata, int result, const struct source_identity *identity, const char *mount)
{
    struct look *look = userdata;

    look->request = NULL;
    take_look(look, result, identity, mount);
    one_looked_at(look->addition);
}

static void on_reply_looked(void *userdata, int result)
{
    struct look *look = userdata;
    struct addition *addition = look->addition;

    look->reply = NULL;
    if (addition->error.fault == FAULT_NONE && result < 0)
        reply_fault(addition, look->index, result);
    one_looked_at(addition);
}

static int fill_command(struct addition *addition, uid_t caller, const struct manager_submission *submissions,
                        size_t count, struct manager_error *error)
{
    struct command *command = addition->command = command_new(COMMAND_ADD, count);

    if (!command)
        return -ENOMEM;
    command->caller = caller;
    command->if_exists = submissions[0].if_exists;
    command->jobs = calloc(count, sizeof(*command->jobs)); /* NOLINT(bugprone-sizeof-expression): pointers are meant */
    addition->looks = calloc(count, sizeof(*addition->looks));
    if (!command->jobs || !addition->looks)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (submissions[i].if_exists != command->if_exists)
            return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL,
                                     "if_exists must be the same for all jobs of one call");
        int r = submission_make_job(addition->manager, caller, &submissions[i], &command->jobs[i], error);
        if (r < 0)
            return r;
        command->jobs_count = i + 1;
    }
    return 0;
}

/* At the file, and at the place of its reply; at once where that waits for nothing. */
static int look_at(struct addition *addition, const struct manager_submission *submission, size_t index)
{
    struct look *look = &addition->looks[index];
    struct io *io = addition->manager->io;
    struct source_identity identity;
    const char *mount;
    int r;

    *look = (struct look){.addition = addition, .index = index, .refuse_empty = submission->refuse_empty};
    if (io_look_now(io, submission->source, &identity, &mount)) {
        take_look(look, 0, &identity, mount);
    } else {
        r = io_look(io, submission->source, on_looked, look, &look->request);
        if (r < 0)
            return r;
        addition->looks_left++;
    }
    if (!submission->reply_path)
        return 0;
    r = io_check_reply_path(io, submission->reply_path, on_reply_looked, look, &look->reply);
    if (r < 0)
        return r;
    addition->looks_left++;
    return 0;
}

static int look_at_all(struct addition *addition, const struct manager_submission *submissions)
{
    for (size_t i = 0; i < addition->count; i++) {
        int r = look_at(addition, &submissions[i], i);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A negative errno and *error where it is refused at once; else its looks will end it, or its commit. */
static int start(struct addition *addition, const struct manager_submission *submissions, struct manager_error *error)
{
    struct manager *manager = addition->manager;

    int r = fill_command(addition, addition->caller, submissions, addition->count, error);
    if (r < 0)
        return r;
    addition->is_adding = true;
    manager->adding_jobs += addition->count;
    LIST_INSERT_HEAD(&manager->additions, addition, entry);
    addition->listed = true;

    r = sd_event_add_time_relative(manager->event, &addition->late_source, CLOCK_MONOTONIC,
                                   manager->settings.look_timeout_usec, 0, on_late, addition);
    if (r >= 0)
        r = look_at_all(addition, submissions);
    if (r < 0)
        addition->error = *error;
    if (addition->looks_left > 0)
        return 0;
    addition->late_source = sd_event_source_disable_unref(addition->late_source);
    r = all_looked_at(addition);
    if (r < 0)
        *error = addition->error;
    return r;
}

static bool has_room(const struct manager *manager, size_t count)
{
    return manager->adding_jobs == 0 || manager->adding_jobs + count <= ADDING_JOBS_MAX;
}

static void start_waiting(struct manager *manager)
{
    struct addition *addition;

    while (!manager->stopping && (addition = TAILQ_FIRST(&manager->waiting_additions)) != NULL &&
           has_room(manager, addition->count)) {
        struct manager_submission *submissions = TAKE_PTR(addition->submissions);
        TAILQ_REMOVE(&manager->waiting_additions, addition, waiting);
        manager->waiting_jobs -= addition->count;
        addition->is_waiting = false;
        struct manager_error error = {.fault = FAULT_NO_MEMORY, .text = "memory ran out; try again later"};
        int r = start(addition, submissions, &error);
        for (size_t i = 0; i < addition->count; i++)
            manager_submission_done(&submissions[i]);
        free(submissions);
        if (r >= 0)
            continue;
        struct manager_result result = {.error = error};
        addition->done(addition->userdata, &result);
        addition_free(addition);
    }
}

/* Takes the submissions over, until there is room. */
static int wait_for_room(struct addition *addition, struct manager_submission *submissions, struct manager_error *error)
{
    struct manager *manager = addition->manager;

    if (manager->waiting_jobs + addition->count > WAITING_ADD_MAX)
        return manager_fault_set(error, FAULT_LIMIT_REACHED, -EDQUOT,
                                 "%zu jobs are on their way into the queue; wait for the answers to earlier calls",
                                 manager->adding_jobs + manager->waiting_jobs);
    addition->submissions = calloc(addition->count, sizeof(*submissions));
    if (!addition->submissions)
        return -ENOMEM;
    memcpy(addition->submissions, submissions, addition->count * sizeof(*submissions));
    memset(submissions, 0, addition->count * sizeof(*submissions));
    TAILQ_INSERT_TAIL(&manager->waiting_additions, addition, waiting);
    manager->waiting_jobs += addition->count;
    addition->is_waiting = true;
    return 0;
}

static int accept_part(struct addition *addition, const struct manager_submission *submissions,
                       const struct manager_part *part, struct manager_error *error)
{
    if (!part)
        return 0;
    for (size_t i = 0; i < addition->count; i++)
        if (submissions[i].key && submissions[i].if_exists == IF_EXISTS_REPLACE)
            return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL,
                                     "if_exists=replace does not go with a batch in parts, where the old job would be "
                                     "gone before the new one is there; use keep or fail");
    return batch_accept(addition->manager, addition->caller, part, addition->count, &addition->part, error);
}

int manager_add(struct manager *manager, uid_t caller, struct manager_submission *submissions, size_t count,
                const struct manager_part *part, manager_done_t done, void *userdata, struct manager_error *ret_error)
{
    _cleanup_(addition_free_p) struct addition *addition = calloc(1, sizeof(*addition));

    *ret_error = (struct manager_error){.fault = FAULT_NO_MEMORY, .text = "memory ran out; try again later"};
    if (manager->stopping)
        return manager_fault_stopping(ret_error);
    if (count == 0 || count > BATCH_JOBS_MAX)
        return manager_fault_set(ret_error, FAULT_LIMIT_REACHED, -EINVAL, "one call takes 1 to %d jobs; split the list",
                                 BATCH_JOBS_MAX);
    if (!addition)
        return -ENOMEM;
    addition->manager = manager;
    addition->caller = caller;
    addition->count = count;
    addition->done = done;
    addition->userdata = userdata;
    int r = accept_part(addition, submissions, part, ret_error);
    if (r < 0)
        return r;
    if (TAILQ_EMPTY(&manager->waiting_additions) && has_room(manager, count))
        r = start(addition, submissions, ret_error);
    else
        r = wait_for_room(addition, submissions, ret_error);
    if (r < 0)
        return r;
    (void)TAKE_PTR(addition);
    return 0;
}

void manager_refuse_additions(struct manager *manager)
{
    struct addition *addition, *next;

    while ((addition = TAILQ_FIRST(&manager->waiting_additions)) != NULL) {
        (void)manager_fault_stopping(&addition->error);
        refuse(addition);
    }
    for (addition = LIST_FIRST(&manager->additions); addition; addition = next) {
        next = LIST_NEXT(addition, entry);
        if (!addition->command)
            continue; /* with the writer: it is answered when it is durable */
        cancel_looks(addition);
        (void)manager_fault_stopping(&addition->error);
        refuse(addition);
    }
}
