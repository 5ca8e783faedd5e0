/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runner's reply: a range is gathered in memory, written into the temporary file, and only then told to the
 * session, so that the offset that it remembers is never ahead of the file.
 */
#include "manager/runner_internal.h"

#include "io/reply.h"
#include "manager/internal.h"

#include <errno.h>
#include <string.h>

static void reply_place(const struct runner *runner, struct reply_place *ret)
{
    *ret = (struct reply_place){
        .state_directory = runner->manager->state_path,
        .job_id = runner->job->id,
        .path = runner->job->reply_path,
    };
}

static int open_file(struct runner *runner)
{
    struct reply_place place;

    if (runner->reply)
        return 0;
    reply_place(runner, &place);
    return reply_file_new(runner->manager->io, &place, &runner->reply);
}

static int on_data(void *userdata, const void *data, size_t size)
{
    struct runner *runner = userdata;

    if (size > runner->request.range_bytes - runner->reply_used)
        return -EMSGSIZE;
    memcpy(runner->reply_buffer + runner->reply_used, data, size);
    runner->reply_used += size;
    return 0;
}

int runner_prepare_sink(struct runner *runner, struct transfer_sink *ret)
{
    free(runner->reply_buffer);
    runner->reply_used = 0;
    runner->reply_buffer = malloc(runner->request.range_bytes > 0 ? runner->request.range_bytes : 1);
    if (!runner->reply_buffer)
        return -ENOMEM;
    *ret = (struct transfer_sink){.write = on_data, .userdata = runner};
    return 0;
}

static void fail_reply(struct runner *runner, int error)
{
    struct session_input in = {.event = SESSION_EVENT_REPLY_FAILED, .source_error = error};

    runner_feed(runner, &in);
}

static void on_written(void *userdata, int result)
{
    struct runner *runner = userdata;
    const struct exchange_outcome outcome = runner->held;
    struct session_input in = {.event = SESSION_EVENT_OUTCOME, .outcome = &outcome};

    if (result < 0)
        fail_reply(runner, result);
    else
        runner_feed(runner, &in);
}

/* Where in the reply the bytes belong that came; what cannot be placed is the session's to refuse. */
static bool find_place(const struct runner *runner, const struct exchange_outcome *outcome, uint64_t *ret_offset)
{
    const struct ack *ack = &outcome->ack;
    bool is_whole = !ack->has_content_length || ack->content_length == outcome->received_bytes;

    if (outcome->transport != TRANSPORT_OK || outcome->received_bytes == 0 || !is_whole)
        return false;
    *ret_offset = ack->status == 206 ? ack->range_first : 0;
    return ack->status == 200 ||
           (ack->status == 206 && ack->has_range && ack->range_first == runner->request.range_first);
}

bool runner_keep_reply(struct runner *runner, const struct exchange_outcome *outcome)
{
    uint64_t offset = 0;

    if (!find_place(runner, outcome, &offset))
        return false;
    runner->held = *outcome;
    int r = open_file(runner);
    if (r >= 0)
        r = reply_file_write(runner->reply, offset, runner->reply_buffer, runner->reply_used, on_written, runner);
    if (r < 0)
        fail_reply(runner, r);
    else
        runner->reply_buffer = NULL; /* taken over */
    return true;
}

static void on_stored(void *userdata, int result)
{
    struct runner *runner = userdata;
    struct session_input in = {.event = SESSION_EVENT_REPLY_STORED};

    if (result < 0)
        fail_reply(runner, result);
    else
        runner_feed(runner, &in);
}

void runner_store_reply(struct runner *runner)
{
    int r = open_file(runner);

    if (r >= 0)
        r = reply_file_store(runner->reply, runner->session.record.reply_total, on_stored, runner);
    if (r < 0)
        fail_reply(runner, r);
}

void runner_drop_reply(struct runner *runner)
{
    runner->reply = reply_file_free(runner->reply); /* with the call that is under way */
    free(runner->reply_buffer);
    runner->reply_buffer = NULL;
}

void runner_forget_reply(const struct runner *runner)
{
    struct reply_place place;

    if (runner->job->type != JOB_UPLOAD_REPLY)
        return;
    reply_place(runner, &place);
    (void)io_remove_reply(runner->manager->io, &place); /* what stays is swept at the next start */
}
