/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/runner_internal.h"

#include "core/backoff.h"
#include "core/proto.h"
#include "io/source.h"
#include "manager/gates.h"
#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CONNECT_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define SEND_TIMEOUT_USEC    (2 * USEC_PER_MIN) /* [MC-BUP] 3.1.2: the upload request timer */
#define RATE_WINDOW_USEC     (3 * USEC_PER_SEC) /* the time constant of the rate that people see */

static uint64_t choose(uint64_t of_job, uint64_t of_settings)
{
    return of_job != 0 ? of_job : of_settings;
}

static void fill_parameters(const struct runner *runner, struct session_parameters *ret)
{
    const struct settings *settings = &runner->manager->settings;
    const struct job *job = runner->job;
    uint64_t minimum = choose(job->options.fragment_min_bytes, settings->fragment_min_bytes);
    uint64_t maximum = choose(job->options.fragment_max_bytes, settings->fragment_max_bytes);

    *ret = (struct session_parameters){
        .size_bytes = job->identity.size_bytes,
        .wants_reply = job->type == JOB_UPLOAD_REPLY,
        .fragment_min_bytes = minimum,
        .fragment_max_bytes = maximum > minimum ? maximum : minimum,
        .fragment_floor_bytes = settings->fragment_floor_bytes,
        .time_slice_usec = settings->time_slice_usec,
        .connect_timeout_usec = CONNECT_TIMEOUT_USEC,
        .send_timeout_usec = SEND_TIMEOUT_USEC,
        .response_timeout_usec = settings->response_timeout_usec,
        .source_restart = job->options.source_restart,
        .no_progress_timeout_usec = job->options.has_no_progress_timeout ? job->options.no_progress_timeout_usec
                                                                         : settings->no_progress_timeout_usec,
    };
    proto_content_name(job->source, ret->content_name);
    manager_fill_dialect(&runner->choices, ret);
}

static void leave_connection(struct runner *runner)
{
    if (runner->connection && runner->drops_connection)
        runner->manager->transfer_ops->connection_free(runner->manager->transport, runner->connection);
    else if (runner->connection)
        manager_spare_connection(runner->manager, runner->job->host, &runner->choices, runner->connection);
    runner->connection = NULL;
}

int runner_new(struct manager *manager, struct job *job, struct runner **ret)
{
    struct runner *runner = calloc(1, sizeof(*runner));
    struct session_parameters parameters;

    if (!runner) {
        job_free(job);
        return -ENOMEM;
    }
    runner->manager = manager;
    runner->job = job;
    runner->renew_usec = USEC_INFINITY;
    runner->since_usec = manager_now(manager).monotonic_usec;
    int r = access_resolve(&job->access, &manager->access_rules, job->host, &runner->choices);
    if (r >= 0)
        r = manager_take_connection(manager, job->host, &runner->choices, &runner->connection);
    if (r < 0) {
        runner_free(runner);
        return r;
    }
    fill_parameters(runner, &parameters);
    session_init(&runner->session, &parameters, &job->session);
    runner->session.after_restart = job->session.session_id[0] != '\0' && job->run != manager->run;
    runner->rate_offset = runner->reported_offset = job->session.offset;
    *ret = runner;
    return 0;
}

void runner_drop_exchange(struct runner *runner)
{
    if (runner->transfer)
        runner->manager->transfer_ops->cancel(runner->manager->transport, runner->transfer);
    runner->transfer = NULL;
    pacing_end(runner);
    runner_end_look(runner);
    if (runner->preparing && runner->check_started && !runner->source_checked)
        runner->source = source_free(runner->source); /* with the check that is under way */
    runner_drop_access_request(runner);
    runner_drop_reply(runner);
    runner->preparing = false;
}

struct runner *runner_free(struct runner *runner)
{
    if (!runner)
        return NULL;
    runner_drop_exchange(runner);
    source_free(runner->source);
    leave_connection(runner);
    transfer_access_free(runner->access);
    access_done(&runner->choices);
    job_free(runner->job);
    free(runner);
    return NULL;
}

/* The part of the last wait that the machine was awake for, with this daemon running: it counts as time without
 * progress. */
static uint64_t waited_usec(const struct runner *runner, struct moment now)
{
    const struct job *job = runner->job;
    uint64_t begin = usec_sub(job->next_attempt_usec, job->retry_delay_usec);
    uint64_t end = job->next_attempt_usec < now.realtime_usec ? job->next_attempt_usec : now.realtime_usec;

    /* That its file system was away is no error, and as little counted as any gate. */
    if (job->state != JOB_RETRYING || job->next_attempt_usec == 0 || job_is_away(job))
        return 0;
    if (begin < runner->manager->awake_since_usec)
        begin = runner->manager->awake_since_usec;
    return usec_sub(end, begin);
}

bool runner_begin_now(struct runner *runner)
{
    struct moment now = manager_now(runner->manager);
    struct session_input in = {.event = SESSION_EVENT_START, .now = now, .waited_usec = waited_usec(runner, now)};

    if (runner->forsaken) {
        manager_runner_ended(runner->manager, runner);
        return false;
    }
    runner->begun = true;
    runner->rate_at_usec = now.monotonic_usec;
    runner->since_usec = now.monotonic_usec;
    if (runner->job->started_usec == 0)
        runner->update.started_usec = now.realtime_usec;
    manager_shown_changed(runner->manager, runner->job);
    runner_feed(runner, &in);
    if (runner->is_yielding) {
        in = (struct session_input){.event = SESSION_EVENT_YIELD};
        runner_feed(runner, &in);
    }
    return true;
}

void runner_source_failed(struct runner *runner, int error)
{
    struct session_input in = {.event = SESSION_EVENT_SOURCE_FAILED, .source_error = error};

    runner_feed(runner, &in);
}

void runner_source_changed(struct runner *runner, const char *change)
{
    struct session_input in = {.event = SESSION_EVENT_SOURCE_CHANGED, .source_change = change};

    runner_feed(runner, &in);
}

/* Takes what the path names now as the file to upload. */
static void adopt_identity(struct runner *runner, const struct source_identity *identity)
{
    runner->job->identity = *identity;
    runner->job->identity_wanted = false;
    runner->update.identity = *identity;
    runner->update.has_identity = true;
    runner->session.parameters.size_bytes = identity->size_bytes;
}

static void on_first_look(void *userdata, int result, const struct source_identity *identity)
{
    struct runner *runner = userdata;

    runner->source_checked = true;
    runner->preparing = false;
    if (result < 0) {
        if (runner_begin_now(runner))
            runner_source_failed(runner, result);
        return;
    }
    /*
     * An identity that was taken while the file had just been written may hide a write in the same tick of the clock.
     * No byte has been sent yet, so the look of this moment is as good; a change that shows is a change all the same.
     */
    enum ident_change change = job_source_change(runner->job, identity);
    if (runner->job->identity_wanted || change == IDENT_SAME)
        adopt_identity(runner, identity);
    bool is_change = change != IDENT_SAME && !runner->update.has_identity;
    if (runner_begin_now(runner) && is_change)
        runner_source_changed(runner, ident_change_text(change));
}

void runner_end_look(struct runner *runner)
{
    runner->look_source = sd_event_source_disable_unref(runner->look_source);
    runner->looked = NULL;
}

static void on_looked(void *userdata, int result, const struct source_identity *identity)
{
    struct runner *runner = userdata;
    void (*looked)(void *, int, const struct source_identity *) = runner->looked;

    runner_end_look(runner);
    looked(runner, result, identity);
}

/* The thread that looks is left where it is; the pool takes another one meanwhile. */
static int on_look_late(sd_event_source *source, uint64_t usec, void *userdata)
{
    static const struct source_identity unknown;
    struct runner *runner = userdata;

    (void)source, (void)usec;
    runner->source = source_free(runner->source);
    on_looked(runner, -ETIMEDOUT, &unknown);
    return 0;
}

int runner_look_at_source(struct runner *runner,
                          void (*done)(void *userdata, int result, const struct source_identity *identity))
{
    const struct manager *manager = runner->manager;
    int r = 0;

    if (!runner->source)
        r = source_new(manager->io, runner->job->source, runner->job->source_mount, &runner->source);
    if (r >= 0 && source_hangs(runner->source))
        r = -ETIMEDOUT;
    if (r >= 0)
        r = sd_event_add_time_relative(manager->event, &runner->look_source, CLOCK_MONOTONIC,
                                       manager->settings.look_timeout_usec, 0, on_look_late, runner);
    if (r >= 0)
        r = source_check(runner->source, on_looked, runner);
    if (r < 0) {
        runner_end_look(runner);
        return r;
    }
    runner->looked = done;
    return 0;
}

void runner_begin(struct runner *runner)
{
    const struct job *job = runner->job;
    /*
     * A file that is taken anew is looked at first; so is one whose identity may hide a write, while nothing was sent,
     * and one whose file system was away: the server has nothing to do with that.
     */
    bool look = job->state != JOB_CANCELLING &&
                (job->identity_wanted || (job->identity.racy && job->session.sent_high_offset == 0));

    if (!look) {
        (void)runner_begin_now(runner);
        return;
    }
    runner->preparing = runner->check_started = true;
    runner->source_checked = false;
    int r = runner_look_at_source(runner, on_first_look);
    if (r < 0) {
        runner->preparing = false;
        if (runner_begin_now(runner))
            runner_source_failed(runner, r);
    }
}

void runner_start(struct runner *runner)
{
    if (!runner_needs_access(runner)) {
        runner_begin(runner);
        return;
    }
    int r = runner_load_access(runner);
    if (r < 0)
        runner_begin_without_access(runner, strerror(-r), true);
}

static void account_progress(struct runner *runner)
{
    uint64_t now = manager_now(runner->manager).monotonic_usec;
    uint64_t elapsed = usec_sub(now, runner->rate_at_usec) + 1;
    uint64_t advance = usec_sub(runner->session.record.offset, runner->rate_offset);
    /* An Ack may tell of bytes that an earlier attempt sent: they say nothing about how fast this one is. */
    uint64_t bytes = advance < runner->request.body_bytes ? advance : runner->request.body_bytes;
    double weight = (double)elapsed / (double)(elapsed + RATE_WINDOW_USEC);
    double current = (double)bytes * (double)USEC_PER_SEC / (double)elapsed;

    runner->rate =
        runner->rate == 0 ? (uint64_t)current : (uint64_t)(weight * current + (1 - weight) * (double)runner->rate);
    runner->rate_at_usec = now;
    runner->rate_offset = runner->session.record.offset;
    runner->progressed = runner->had_progress = true;
}

/* Whether it says that nobody can be served there now; what went wrong with this job alone holds no other back. */
static bool is_of_destination(const struct runner *runner, const struct failure *failure)
{
    if (runner->progressed || runner->had_progress)
        return false;
    if (runner->session.record.host_id[0] != '\0') /* a node of a farm, not the host of the URL */
        return false;
    return failure->context == CONTEXT_TRANSPORT || failure->http_status == 429 || failure->http_status == 502 ||
           failure->http_status == 503 || failure->http_status == 504;
}

static void plan_retry(struct runner *runner, const struct session_output *out)
{
    const struct settings *settings = &runner->manager->settings;
    const struct session_record *record = &runner->session.record;
    uint64_t limit = runner->session.parameters.no_progress_timeout_usec;
    struct backoff_rule rule = {
        .min_usec = choose(runner->job->options.retry_delay_usec, settings->retry_delay_usec),
        .max_usec = settings->retry_delay_max_usec,
    };
    bool of_destination = !out->at_once && is_of_destination(runner, &out->failure);
    uint64_t previous = runner->progressed || job_is_away(runner->job) ? 0 : runner->job->retry_delay_usec;
    uint64_t of_host = of_destination ? destination_delay_usec(runner->manager, runner->job->host) : 0;

    if (rule.max_usec < rule.min_usec)
        rule.max_usec = rule.min_usec;
    if (previous < of_host) /* others have found it out before */
        previous = of_host;
    uint64_t delay = out->at_once ? 0 : backoff_delay(&rule, previous, out->retry_after_usec, manager_random());
    /* The last wait ends with the time that the job may go without progress. */
    if (record->no_progress_usec < limit && delay > limit - record->no_progress_usec)
        delay = limit - record->no_progress_usec;
    runner->update.retry_delay_usec = delay;
    runner->update.next_attempt_usec = usec_add(manager_now(runner->manager).realtime_usec, delay);
    if (of_destination)
        destination_failed(runner->manager, runner->job->host, delay, runner->update.next_attempt_usec);
}

static void runner_end(struct runner *runner, enum command_type type, const struct session_output *out)
{
    runner->end_type = type;
    runner->update.failure = out->failure;
    runner->update.confirmed = out->confirmed;
    runner_submit_end(runner);
}

/* Its file changed, and its next attempt, which is due at once, begins with what the file is then. */
static void retake_source(struct runner *runner, const struct session_output *out)
{
    log_message(LOG_NOTICE, MESSAGE_JOB_RETRYING, runner->job->id, "%s; it is uploaded anew, %" PRIu32 " of %d times",
                out->failure.text, runner->session.record.source_restarts, SOURCE_RESTARTS_MAX);
    runner->update.retakes_identity = true;
    runner->update.has_identity = false;
    runner_end(runner, COMMAND_CHECKPOINT, out);
}

/* Its source's file system is not mounted: it is tried when it is, and now and then, in case that nobody says so. */
static void wait_for_mount(struct runner *runner, const struct session_output *out)
{
    uint64_t delay = runner->manager->settings.retry_delay_max_usec;

    runner->update.is_away = true;
    runner->update.retry_delay_usec = delay;
    runner->update.next_attempt_usec = usec_add(manager_now(runner->manager).realtime_usec, delay);
    runner_end(runner, COMMAND_RETRY_AT, out);
}

static void runner_act(struct runner *runner, const struct session_output *out)
{
    if (out->abort_exchange)
        runner_drop_exchange(runner);
    if (out->progress)
        account_progress(runner);
    switch (out->action) {
    case SESSION_ACTION_NONE:
        break;
    case SESSION_ACTION_STORE_REPLY:
        if (out->checkpoint)
            runner_checkpoint(runner);
        runner_store_reply(runner);
        break;
    case SESSION_ACTION_SEND:
        if (out->checkpoint)
            runner_checkpoint(runner);
        runner_send(runner, &out->request);
        break;
    case SESSION_ACTION_PERSIST:
        runner_persist(runner);
        break;
    case SESSION_ACTION_WAIT:
        plan_retry(runner, out);
        runner_end(runner, COMMAND_RETRY_AT, out);
        break;
    case SESSION_ACTION_DONE:
        runner_end(runner, COMMAND_DONE, out);
        break;
    case SESSION_ACTION_FAIL:
        runner_end(runner, COMMAND_FAIL, out);
        break;
    case SESSION_ACTION_GONE:
        runner_end(runner, COMMAND_GONE, out);
        break;
    case SESSION_ACTION_AWAY:
        wait_for_mount(runner, out);
        break;
    case SESSION_ACTION_RETAKE:
        retake_source(runner, out);
        break;
    case SESSION_ACTION_IDLE:
        if (runner->goes_to_end)
            runner->update.queued_usec = manager_now(runner->manager).realtime_usec;
        runner_end(runner, COMMAND_CHECKPOINT, out);
        break;
    }
}

static void log_reply(const struct runner *runner)
{
    _cleanup_free_ char *redacted = text_redact_url(runner->session.record.reply_url);
    _cleanup_free_ char *escaped = redacted ? text_escape(redacted) : NULL;

    if (escaped)
        log_message(LOG_INFO, MESSAGE_JOB_HOST, runner->job->id, "%s has a reply for it: %s", runner->job->host,
                    escaped);
}

/* Where the bytes of a user go, and where they come from, is worth a line whenever a server changes it. */
static void log_places(const struct runner *runner, const char *before, bool had_reply)
{
    const char *now = runner->session.record.host_id;

    if (!had_reply && runner->session.record.reply_url[0] != '\0')
        log_reply(runner);
    if (strcmp(before, now) == 0)
        return;
    if (now[0] != '\0')
        log_message(LOG_NOTICE, MESSAGE_JOB_HOST, runner->job->id, "%s sends this upload on to %s (BITS-Host-Id)",
                    runner->job->host, now);
    else
        log_message(LOG_NOTICE, MESSAGE_JOB_HOST, runner->job->id, "back from %s to %s", before, runner->job->host);
}

void runner_feed(struct runner *runner, struct session_input *in)
{
    _cleanup_free_ char *mount = runner->job->source_mount ? text_escape(runner->job->source_mount) : NULL;
    struct session_output out;
    char host[HOST_ID_MAX + 1];

    if (runner->ending || runner->owed == OWED_END)
        return;
    /* While the daemon ends, a session hears only that it is to stop. */
    if (runner->manager->stopping && in->event != SESSION_EVENT_SUSPEND)
        return;
    in->now = manager_now(runner->manager);
    in->source_mount = mount;
    (void)text_copy(host, sizeof(host), runner->session.record.host_id);
    bool had_reply = runner->session.record.reply_url[0] != '\0';
    bool was_replying = runner->session.record.phase == SESSION_REPLY;
    session_step(&runner->session, in, &out);
    log_places(runner, host, had_reply);
    if (was_replying != (runner->session.record.phase == SESSION_REPLY))
        manager_shown_changed(runner->manager, runner->job);
    runner_act(runner, &out);
}

void runner_job_changed(struct runner *runner, struct job *job)
{
    struct session_input in = {.event = SESSION_EVENT_SUSPEND};

    bool other_rate =
        runner->job->options.rate_bytes != job->options.rate_bytes || strcmp(runner->job->group, job->group) != 0;
    job_free(runner->job);
    runner->job = job;
    runner->session.parameters.source_restart = job->options.source_restart;
    if (other_rate)
        pacing_limits_changed(runner->manager);
    if (!runner->begun) {
        runner->forsaken = job->state == JOB_PAUSED || job->state == JOB_FAILED;
        runner->session.record.cancel_requested_usec = job->session.cancel_requested_usec;
        return;
    }
    if (job->state == JOB_PAUSED || job->state == JOB_FAILED) {
        runner_feed(runner, &in);
    } else if (job->state == JOB_CANCELLING) {
        in.event = SESSION_EVENT_CANCEL;
        runner->session.record.cancel_requested_usec = job->session.cancel_requested_usec;
        runner_feed(runner, &in);
    }
}

void runner_hold(struct runner *runner, bool drop_connection)
{
    struct session_input in = {.event = SESSION_EVENT_SUSPEND};

    runner->drops_connection |= drop_connection;
    if (!runner->begun)
        runner->forsaken = true;
    else
        runner_feed(runner, &in);
}

void runner_yield(struct runner *runner, bool goes_to_end)
{
    struct session_input in = {.event = SESSION_EVENT_YIELD};

    runner->goes_to_end |= goes_to_end;
    if (runner->is_yielding)
        return;
    runner->is_yielding = true;
    if (runner->begun)
        runner_feed(runner, &in);
}

void runner_stop(struct runner *runner)
{
    struct session_input in = {.event = SESSION_EVENT_SUSPEND};

    runner_feed(runner, &in);
}
