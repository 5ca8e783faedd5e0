/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/limits.h"
#include "io/file.h"
#include "io/internal.h"
#include "io/mountpoint.h"
#include "io/source.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct look {
    struct io_request request;
    char *path;
    uint8_t boot_id[16];
    io_looked_t done;
    void *userdata;
    int result;
    struct source_identity identity;
    char mount[SOURCE_MOUNT_MAX + 1];
};

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

/* ---- looking at a file ---- */

static void look_run(struct io_request *request)
{
    struct look *look = (struct look *)request;
    _cleanup_close_ int fd = -1;

    look->result = file_open(look->path, &fd);
    if (look->result >= 0)
        look->result = file_identify(fd, look->boot_id, &look->identity);
    if (look->result >= 0)
        mountpoint_of(fd, look->mount);
}

static void look_free(struct io_request *request)
{
    struct look *look = (struct look *)request;

    free(look->path);
    free(look);
}

static void look_finish(struct io_request *request)
{
    struct look *look = (struct look *)request;

    look->done(look->userdata, look->result, &look->identity, look->mount);
    look_free(request);
}

int io_look(struct io *io, const char *path, io_looked_t done, void *userdata, struct io_request **ret)
{
    _cleanup_free_ struct look *look = calloc(1, sizeof(*look));

    if (!look)
        return -ENOMEM;
    look->path = strdup(path);
    if (!look->path)
        return -ENOMEM;
    io_request_init(&look->request, io);
    look->request.run = look_run;
    look->request.finish = look_finish;
    look->request.free = look_free;
    look->done = done;
    look->userdata = userdata;
    memcpy(look->boot_id, io->boot_id, sizeof(look->boot_id));
    io_request_submit(&look->request);
    *ret = &TAKE_PTR(look)->request;
    return 0;
}

/* ---- looking at a place where a file system was ---- */

struct mount_look {
    struct io_request request;
    char *path;
    void (*done)(void *userdata, bool is_gone);
    void *userdata;
    bool is_gone;
};

static void mount_look_run(struct io_request *request)
{
    struct mount_look *look = (struct mount_look *)request;

    look->is_gone = mountpoint_is_gone(look->path);
}

static void mount_look_free(struct io_request *request)
{
    struct mount_look *look = (struct mount_look *)request;

    free(look->path);
    free(look);
}

static void mount_look_finish(struct io_request *request)
{
    struct mount_look *look = (struct mount_look *)request;

    look->done(look->userdata, look->is_gone);
    mount_look_free(request);
}

int io_look_at_mount(struct io *io, const char *path, void (*done)(void *userdata, bool is_gone), void *userdata,
                     struct io_request **ret)
{
    _cleanup_free_ struct mount_look *look = calloc(1, sizeof(*look));

    if (!look)
        return -ENOMEM;
    look->path = strdup(path);
    if (!look->path)
        return -ENOMEM;
    io_request_init(&look->request, io);
    look->request.run = mount_look_run;
    look->request.finish = mount_look_finish;
    look->request.free = mount_look_free;
    look->done = done;
    look->userdata = userdata;
    io_request_submit(&look->request);
    *ret = &TAKE_PTR(look)->request;
    return 0;
}
