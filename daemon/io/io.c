/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/file.h"
#include "io/internal.h"
#include "io/source.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* It may outlive the io in a thread that is stuck: it points at nothing but itself. */
struct io_request {
    struct pool_job job;
    struct pool *pool;
    char *path;
    uint8_t boot_id[16];
    void (*done)(void *userdata, int result, const struct source_identity *identity);
    void *userdata;
    bool cancelled;
    int result;
    struct source_identity identity;
};

int io_new(struct mailbox *mailbox, unsigned threads, struct io **ret)
{
    _cleanup_free_ struct io *io = calloc(1, sizeof(*io));

    if (!io)
        return -ENOMEM;
    file_boot_id(io->boot_id);
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
    pool_free(io->pool);
    free(io);
    return NULL;
}

bool io_dispatch(struct io *io, struct message *message)
{
    return pool_dispatch(io->pool, message);
}

static struct io_request *io_request_free(struct io_request *request)
{
    if (!request)
        return NULL;
    free(request->path);
    free(request);
    return NULL;
}
DEFINE_CLEANUP(struct io_request *, io_request_free);

static void look_run(struct pool_job *job)
{
    struct io_request *request = (struct io_request *)job;
    _cleanup_close_ int fd = -1;

    request->result = file_open(request->path, &fd);
    if (request->result >= 0)
        request->result = file_identify(fd, request->boot_id, &request->identity);
}

static void look_finish(struct pool_job *job)
{
    _cleanup_(io_request_free_p) struct io_request *request = (struct io_request *)job;

    if (!request->cancelled)
        request->done(request->userdata, request->result, &request->identity);
}

static void look_drop(struct pool_job *job)
{
    io_request_free((struct io_request *)job);
}

int io_look(struct io *io, const char *path,
            void (*done)(void *userdata, int result, const struct source_identity *identity), void *userdata,
            struct io_request **ret)
{
    _cleanup_(io_request_free_p) struct io_request *request = calloc(1, sizeof(*request));

    if (!request)
        return -ENOMEM;
    request->job = (struct pool_job){.run = look_run, .finish = look_finish, .drop = look_drop};
    request->pool = io->pool;
    request->done = done;
    request->userdata = userdata;
    memcpy(request->boot_id, io->boot_id, sizeof(request->boot_id));
    request->path = strdup(path);
    if (!request->path)
        return -ENOMEM;
    pool_submit(io->pool, &request->job);
    *ret = TAKE_PTR(request);
    return 0;
}

void io_request_cancel(struct io_request *request)
{
    if (pool_withdraw(request->pool, &request->job))
        io_request_free(request);
    else
        request->cancelled = true;
}
