/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/limits.h"
#include "io/file.h"
#include "io/internal.h"
#include "io/mountpoint.h"
#include "io/source.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* What looks at PATH; the first member of whatever it finds out. */
struct path_look {
    struct io_request request;
    char *path;
};

struct look {
    struct path_look head;
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

/* ---- looking at a path ---- */

static void path_look_free(struct io_request *request)
{
    struct path_look *look = (struct path_look *)request;

    free(look->path);
    free(look);
}

/* Makes a look of SIZE bytes, not submitted yet. */
static int path_look_new(struct io *io, const char *path, size_t size, void (*run)(struct io_request *request),
                         void (*finish)(struct io_request *request), struct path_look **ret)
{
    struct path_look *look = calloc(1, size);

    if (!look)
        return -ENOMEM;
    look->path = strdup(path);
    if (!look->path) {
        free(look);
        return -ENOMEM;
    }
    io_request_init(&look->request, io);
    look->request.run = run;
    look->request.finish = finish;
    look->request.free = path_look_free;
    *ret = look;
    return 0;
}

static void look_run(struct io_request *request)
{
    struct look *look = (struct look *)request;
    _cleanup_close_ int fd = -1;

    look->result = file_open(look->head.path, &fd);
    if (look->result >= 0)
        look->result = file_identify(fd, look->boot_id, &look->identity);
    if (look->result >= 0)
        mountpoint_of(fd, look->mount);
}

static void look_finish(struct io_request *request)
{
    struct look *look = (struct look *)request;

    look->done(look->userdata, look->result, &look->identity, look->mount);
    path_look_free(request);
}

int io_look(struct io *io, const char *path, io_looked_t done, void *userdata, struct io_request **ret)
{
    struct path_look *head;

    int r = path_look_new(io, path, sizeof(struct look), look_run, look_finish, &head);
    if (r < 0)
        return r;
    struct look *look = (struct look *)head;
    look->done = done;
    look->userdata = userdata;
    memcpy(look->boot_id, io->boot_id, sizeof(look->boot_id));
    io_request_submit(&look->head.request);
    *ret = &look->head.request;
    return 0;
}

/* At a place where a file system was. */
struct mount_look {
    struct path_look head;
    void (*done)(void *userdata, bool is_gone);
    void *userdata;
    bool is_gone;
};

static void mount_look_run(struct io_request *request)
{
    struct mount_look *look = (struct mount_look *)request;

    look->is_gone = mountpoint_is_gone(look->head.path);
}

static void mount_look_finish(struct io_request *request)
{
    struct mount_look *look = (struct mount_look *)request;

    look->done(look->userdata, look->is_gone);
    path_look_free(request);
}

int io_look_at_mount(struct io *io, const char *path, void (*done)(void *userdata, bool is_gone), void *userdata,
                     struct io_request **ret)
{
    struct path_look *head;

    int r = path_look_new(io, path, sizeof(struct mount_look), mount_look_run, mount_look_finish, &head);
    if (r < 0)
        return r;
    struct mount_look *look = (struct mount_look *)head;
    look->done = done;
    look->userdata = userdata;
    io_request_submit(&look->head.request);
    *ret = &look->head.request;
    return 0;
}
