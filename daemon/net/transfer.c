/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One exchange from start() to done(): its deadlines, its pauses, its end. */
#include "net/internal.h"

#include "base/moment.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

uint64_t transfer_now(const struct transfer *transfer)
{
    uint64_t usec = 0;

    (void)sd_event_now(transfer->net->event, CLOCK_MONOTONIC, &usec);
    return usec;
}

static struct transfer *transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return NULL;
    assert(!transfer->inside_read);
    if (transfer->connection->transfer == transfer)
        transfer->connection->transfer = NULL;
    sd_event_source_disable_unref(transfer->timer);
    free_headers(transfer->headers);
    target_done(&transfer->target);
    free(transfer);
    return NULL;
}
DEFINE_CLEANUP(struct transfer *, transfer_free);

/* TRANSFER has left the multi handle. It is gone before anybody hears of it, so that done() may do as it likes. */
static void transfer_end(struct transfer *transfer, const struct exchange_outcome *outcome)
{
    void (*done)(void *, const struct exchange_outcome *) = transfer->job.done;
    void *userdata = transfer->job.userdata;

    TAILQ_REMOVE(&transfer->net->transfers, transfer, entry);
    transfer_free(transfer);
    done(userdata, outcome);
}

void transfer_completed(struct transfer *transfer, CURLcode code)
{
    struct exchange_outcome outcome;

    outcome_from_curl(transfer, code, &outcome);
    transfer_end(transfer, &outcome);
}

void transfer_fail(struct transfer *transfer, const char *text)
{
    struct exchange_outcome outcome;

    outcome_from_curl(transfer, CURLE_OUT_OF_MEMORY, &outcome);
    outcome.transport = TRANSPORT_LOCAL;
    (void)text_copy(outcome.text, sizeof(outcome.text), text);
    transfer_end(transfer, &outcome);
}

static void arm_timer(struct transfer *transfer)
{
    uint64_t usec = transfer->deadline_usec < transfer->wake_usec ? transfer->deadline_usec : transfer->wake_usec;

    /* A deadline that moves away with each write is not worth a call: the timer fires early then, and looks again. */
    if (usec >= transfer->timer_usec)
        return;
    transfer->timer_usec = usec;
    (void)sd_event_source_set_time(transfer->timer, usec);
    (void)sd_event_source_set_enabled(transfer->timer, SD_EVENT_ONESHOT);
}

static void unpause(struct transfer *transfer)
{
    bool clock_stood = transfer->pause == TRANSFER_PAUSED_ON_PURPOSE && transfer->phase == TRANSFER_SENDING;

    transfer->pause = TRANSFER_FLOWING;
    transfer->wake_usec = USEC_INFINITY;
    if (clock_stood)
        transfer_touch(transfer, TRANSFER_SENDING);
    (void)curl_easy_pause(transfer->connection->easy, CURLPAUSE_CONT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct transfer *transfer = userdata;
    struct exchange_outcome outcome;
    uint64_t now = transfer_now(transfer);

    (void)source, (void)usec;
    transfer->timer_usec = USEC_INFINITY;
    if (transfer->target_fault) {
        outcome_from_target(transfer, &outcome);
        transfer_end(transfer, &outcome);
        return 0;
    }
    if (transfer->deadline_usec <= now) {
        outcome_from_deadline(transfer, &outcome);
        glue_remove(transfer->net->glue, transfer->connection->easy);
        transfer_end(transfer, &outcome);
        return 0;
    }
    if (transfer->wake_usec <= now)
        unpause(transfer);
    arm_timer(transfer);
    return 0;
}

static uint64_t phase_timeout(const struct transfer *transfer)
{
    switch (transfer->phase) {
    case TRANSFER_CONNECTING:
        return transfer->connect_timeout_usec;
    case TRANSFER_SENDING:
        return transfer->send_timeout_usec;
    case TRANSFER_AWAITING_RESPONSE:
        return transfer->response_timeout_usec;
    }
    assert(false);
    return 0;
}

void transfer_touch(struct transfer *transfer, enum transfer_phase phase)
{
    transfer->phase = phase;
    uint64_t timeout = phase_timeout(transfer);
    transfer->deadline_usec = timeout == 0 ? USEC_INFINITY : usec_add(transfer_now(transfer), timeout);
    arm_timer(transfer);
}

void transfer_stop_clock(struct transfer *transfer)
{
    if (transfer->phase == TRANSFER_SENDING)
        transfer->deadline_usec = USEC_INFINITY;
}

void transfer_wake(struct transfer *transfer)
{
    transfer->wake_usec = transfer_now(transfer);
    arm_timer(transfer);
}

static int add_timer(struct transfer *transfer)
{
    transfer->timer_usec = transfer->deadline_usec = transfer->wake_usec = USEC_INFINITY;
    return sd_event_add_time(transfer->net->event, &transfer->timer, CLOCK_MONOTONIC, USEC_INFINITY, 1, on_timer,
                             transfer);
}

/* 0 also where there is none: target_fault is set then. */
static int find_target(struct transfer *transfer, const struct exchange_request *request)
{
    const struct target_question question = {
        .url = transfer->job.url,
        .target = request->target,
        .host = request->host,
        .reply_url = request->reply_url,
        .other_host = transfer->job.access && transfer->job.access->reply_other_host,
    };

    int r = target_resolve(&question, &transfer->target, &transfer->target_fault);
    if (r != -EINVAL)
        return r;
    transfer->doomed = true; /* it is in no multi handle */
    return 0;
}

static int begin(struct transfer *transfer, const struct exchange_request *request)
{
    struct transfer_connection *connection = transfer->connection;

    int r = connection_prepare(connection, &transfer->job, transfer->target.host);
    if (r >= 0)
        r = transfer_set_options(transfer, request);
    if (r < 0)
        return r;
    connection->socket_opened = false;
    connection->socket_error = 0;
    connection_set_lower_effort(connection, transfer->job.lower_effort);
    return glue_add(transfer->net->glue, connection->easy);
}

int transfer_start(void *transport, const struct transfer_job *job, struct transfer **ret)
{
    struct net *net = transport;
    const struct exchange_request *request = job->request;
    struct transfer_connection *connection = job->connection;

    assert(!glue_is_inside(net->glue));
    assert(!connection->transfer);
    assert(request->body_bytes == 0 || job->body.read);
    struct transfer *allocated = calloc(1, sizeof(*allocated));
    if (!allocated)
        return -ENOMEM;
    allocated->connection = connection;
    _cleanup_(transfer_free_p) struct transfer *transfer = allocated;
    transfer->net = net;
    transfer->job = *job;
    transfer->body_bytes = request->body_bytes;
    transfer->connect_timeout_usec = request->connect_timeout_usec;
    transfer->send_timeout_usec = request->send_timeout_usec;
    transfer->response_timeout_usec = request->response_timeout_usec;
    (void)text_copy(transfer->method, sizeof(transfer->method), request->method);
    transfer->sink_bytes = request->kind == EXCHANGE_REPLY && job->sink.write ? request->range_bytes : 0;
    int r = add_timer(transfer);
    if (r >= 0)
        r = find_target(transfer, request);
    if (r >= 0 && !transfer->target_fault)
        r = begin(transfer, request);
    if (r < 0)
        return r;
    connection->transfer = transfer;
    TAILQ_INSERT_TAIL(&net->transfers, transfer, entry);
    if (transfer->target_fault)
        transfer_wake(transfer); /* never from within start() */
    else
        transfer_touch(transfer, TRANSFER_CONNECTING);
    *ret = TAKE_PTR(transfer);
    return 0;
}

void transfer_cancel(void *transport, struct transfer *transfer)
{
    struct net *net = transport;

    assert(!glue_is_inside(net->glue));
    if (!transfer->doomed)
        glue_remove(net->glue, transfer->connection->easy);
    TAILQ_REMOVE(&net->transfers, transfer, entry);
    transfer_free(transfer);
}

void transfer_resume(void *transport, struct transfer *transfer)
{
    (void)transport;
    if (transfer->inside_read) {
        transfer->resumed_inside = true;
        return;
    }
    assert(!glue_is_inside(transfer->net->glue));
    if (transfer->pause != TRANSFER_FLOWING && !transfer->doomed)
        unpause(transfer);
}

void transfer_set_rate(void *transport, struct transfer *transfer, uint64_t bytes_per_second)
{
    (void)transport;
    connection_set_rate(transfer->connection, bytes_per_second);
}
