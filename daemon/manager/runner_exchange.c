/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The runner's exchanges: from a request of the session to the wire, and back to its outcome. */
#include "manager/runner_internal.h"

#include "io/source.h"
#include "manager/gates.h"
#include "manager/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define UNSYNCED_MAX 2

static void on_ready(void *userdata)
{
    struct runner *runner = userdata;

    if (runner->transfer)
        runner->manager->transfer_ops->resume(runner->manager->transport, runner->transfer);
}

static ssize_t on_read(void *userdata, uint64_t offset, void *buffer, size_t size)
{
    struct runner *runner = userdata;

    size_t allowed = pacing_ask(runner, size);
    if (allowed == 0)
        return -EAGAIN;
    ssize_t n = source_read(runner->source, offset, buffer, allowed);
    pacing_took(runner, n > 0 ? (size_t)n : 0);
    return n;
}

static void on_outcome(void *userdata, const struct exchange_outcome *outcome)
{
    struct runner *runner = userdata;
    struct session_input in = {.event = SESSION_EVENT_OUTCOME, .outcome = outcome};

    runner->transfer = NULL;
    pacing_end(runner);
    if (outcome->transport == TRANSPORT_OK && !runner->answered) {
        runner->answered = true;
        manager_shown_changed(runner->manager, runner->job);
    }
    if (outcome->ack.has_server)
        (void)text_copy(runner->update.server, sizeof(runner->update.server), outcome->ack.server);
    if (outcome->address[0] != '\0') {
        (void)text_copy(runner->update.address, sizeof(runner->update.address), outcome->address);
        destination_note_address(runner->manager, runner->job->host, outcome->address);
    }
    if (outcome->local_address[0] != '\0')
        (void)text_copy(runner->local_address, sizeof(runner->local_address), outcome->local_address);
    if (outcome->transport == TRANSPORT_OK && outcome->ack.status < 500 && outcome->ack.status != 429)
        destination_answered(runner->manager, runner->job->host);
    if (runner_refresh_token(runner, outcome) || runner_keep_reply(runner, outcome))
        return;
    if (outcome->transport == TRANSPORT_SOURCE && outcome->source_error == -ENODATA)
        runner_source_changed(runner, ident_change_text(IDENT_SIZE_CHANGED));
    else
        runner_feed(runner, &in);
}

static int start_transfer(struct runner *runner)
{
    const struct exchange_request *request = &runner->request;
    struct transfer_job job = {
        .url = runner->job->url,
        .request = request,
        .connection = runner->connection,
        .access = runner->access,
        .origin = runner->job->host,
        .lower_effort = runner->job->priority != PRIORITY_FOREGROUND,
        .done = on_outcome,
        .userdata = runner,
    };

    if (request->kind == EXCHANGE_REPLY) {
        int r = runner_prepare_sink(runner, &job.sink);
        if (r < 0)
            return r;
    }
    if (request->body_bytes > 0) {
        job.body.read = on_read;
        job.body.userdata = runner;
        int r = source_window(runner->source, request->body_offset, request->body_bytes, on_ready, runner);
        if (r >= 0)
            r = pacing_begin(runner);
        if (r < 0)
            return r;
    }
    int r = runner->manager->transfer_ops->start(runner->manager->transport, &job, &runner->transfer);
    if (r >= 0 && request->body_bytes > 0)
        pacing_begun(runner);
    return r;
}

static void on_checked(void *userdata, int result, const struct source_identity *identity)
{
    struct runner *runner = userdata;

    runner->source_checked = true;
    if (result < 0) {
        runner->preparing = false;
        runner_source_failed(runner, result);
        return;
    }
    enum ident_change change = job_source_change(runner->job, identity);
    if (change != IDENT_SAME) {
        runner->preparing = false;
        runner_source_changed(runner, ident_change_text(change));
        return;
    }
    runner_proceed(runner);
}

static void check_source(struct runner *runner)
{
    struct source_identity identity;

    if (runner->source && source_check_now(runner->source, &identity)) {
        on_checked(runner, 0, &identity);
        return;
    }
    int r = runner_look_at_source(runner, on_checked);

    if (r < 0) {
        runner->source_checked = true;
        runner->preparing = false;
        runner_source_failed(runner, r);
    }
}

/* The next step towards the wire of the request that is prepared. */
void runner_proceed(struct runner *runner)
{
    bool must_check = runner->request.check_source || runner->request.body_bytes > 0;

    if (!runner->preparing || runner->held_back || runner->access_request || runner->manager->stopping ||
        (must_check && runner->check_started && !runner->source_checked))
        return;
    /* A slow disk holds back the fragment only while the checkpoint before the last is unsynced. */
    if (runner->request.kind == EXCHANGE_FRAGMENT && runner->unsynced >= UNSYNCED_MAX)
        return;
    if (runner_renew_token(runner))
        return;
    if (must_check && !runner->source_checked) {
        runner->check_started = true;
        check_source(runner);
        return;
    }
    runner->preparing = false;
    int r = start_transfer(runner);
    if (r < 0) {
        struct exchange_outcome outcome = {.transport = TRANSPORT_LOCAL};
        struct session_input in = {.event = SESSION_EVENT_OUTCOME, .outcome = &outcome};
        (void)text_copy(outcome.text, sizeof(outcome.text), strerror(-r));
        runner_feed(runner, &in);
    }
}

void runner_send(struct runner *runner, const struct exchange_request *request)
{
    runner->request = *request;
    runner->preparing = true;
    runner->check_started = runner->source_checked = false;
    runner_proceed(runner);
}
