/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/limits.h"
#include "io/file.h"
#include "io/internal.h"
#include "io/source.h"

#include <assert.h>
#include <errno.h>

int io_new(struct mailbox *mailbox, unsigned threads, struct io **ret)
{
    _cleanup_free_ struct io *io = calloc(1, sizeof(*io));

    if (!io)
        return -ENOMEM;
    file_boot_id(io->boot_id);
    TAILQ_INIT(&io->reply_calls);
    TAILQ_INIT(&io->tokens);
    TAILQ_INIT(&io->told);
    io->token_timeout_usec = TOKEN_COMMAND_USEC;
    int r = pool_new(mailbox, threads, &io->pool);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(io);
    return 0;
}

struct io *io_free(struct io *io)
{
    if (!io)
        return NULL;
    assert(io->sources_count == 0);
    reply_calls_drop(&io->reply_calls);
    tokens_drop(io);
    pool_free(io->pool);
    free(io);
    return NULL;
}

bool io_dispatch(struct io *io, struct message *message)
{
    return pool_dispatch(io->pool, message);
}

/* ---- requests ---- */

static void request_run(struct pool_job *job)
{
    struct io_request *request = (struct io_request *)job;

    request->run(request);
}

static void request_finish(struct pool_job *job)
{
    struct io_request *request = (struct io_request *)job;

    request->in_pool = false;
    if (request->cancelled)
        request->free(request);
    else
        request->finish(request);
}

static void request_drop(struct pool_job *job)
{
    struct io_request *request = (struct io_request *)job;

    request->free(request);
}

void io_request_init(struct io_request *request, struct io *io)
{
    request->job = (struct pool_job){.run = request_run, .finish = request_finish, .drop = request_drop};
    request->pool = io->pool;
}

void io_request_submit(struct io_request *request)
{
    assert(!request->in_pool);
    request->in_pool = true;
    pool_submit(request->pool, &request->job);
}

void io_request_cancel(struct io_request *request)
{
    if (!request->in_pool && request->cancel)
        request->cancel(request);
    else if (request->in_pool && pool_withdraw(request->pool, &request->job))
        request->free(request);
    else
        request->cancelled = true;
}
