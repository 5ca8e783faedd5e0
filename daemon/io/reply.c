/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/reply.h"

#include "io/internal.h"
#include "io/reply_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum reply_operation {
    REPLY_WRITE,
    REPLY_STORE,
    REPLY_DISCARD,
    REPLY_REMOVE,
};

struct reply_call {
    struct io_request request;
    TAILQ_ENTRY(reply_call) entry;
    struct io *io;           /* on the loop only */
    struct reply_file *file; /* NULL = nobody is told */
    uint64_t job_id;
    struct reply_names names;
    enum reply_operation operation;
    uint64_t offset; /* of STORE, the total */
    void *buffer;
    size_t size;
    int result;
    void (*done)(void *userdata, int result);
    void *userdata;
};

struct reply_file {
    struct io *io;
    struct reply_place place;
    char *state_directory, *path;
    struct reply_call *call; /* under way */
};

char *reply_place_path(const struct reply_place *place)
{
    struct reply_names names;
    char *path = NULL;

    if (reply_names_init(&names, place) < 0)
        return NULL;
    if (asprintf(&path, "%s/%s", strcmp(names.folder, "/") == 0 ? "" : names.folder, names.name) < 0)
        path = NULL;
    reply_names_done(&names);
    return path;
}

/* ---- calls, those of one job one after another ---- */

static void call_run(struct io_request *request)
{
    struct reply_call *call = (struct reply_call *)request;

    switch (call->operation) {
    case REPLY_WRITE:
        call->result = reply_disk_write(&call->names, call->offset, call->buffer, call->size);
        break;
    case REPLY_STORE:
        call->result = reply_disk_store(&call->names, call->offset);
        break;
    case REPLY_DISCARD:
        call->result = reply_disk_discard(&call->names);
        break;
    case REPLY_REMOVE:
        call->result = reply_disk_remove(&call->names);
        break;
    }
}

static void call_free(struct io_request *request)
{
    struct reply_call *call = (struct reply_call *)request;

    reply_names_done(&call->names);
    free(call->buffer);
    free(call);
}

static struct reply_call *first_of_job(struct io *io, uint64_t job_id)
{
    struct reply_call *call;

    TAILQ_FOREACH (call, &io->reply_calls, entry)
        if (call->job_id == job_id)
            return call;
    return NULL;
}

static void call_finish(struct io_request *request)
{
    struct reply_call *call = (struct reply_call *)request;

    TAILQ_REMOVE(&call->io->reply_calls, call, entry);
    struct reply_call *next = first_of_job(call->io, call->job_id);
    if (next)
        io_request_submit(&next->request);
    if (call->file) {
        call->file->call = NULL;
        if (call->done)
            call->done(call->userdata, call->result);
    }
    call_free(request);
}

void reply_calls_drop(struct reply_call_list *calls)
{
    struct reply_call *call;

    while ((call = TAILQ_FIRST(calls)) != NULL) {
        TAILQ_REMOVE(calls, call, entry);
        if (!call->request.in_pool) /* else the pool drops it */
            call_free(&call->request);
    }
}

static int call_new(struct io *io, const struct reply_place *place, enum reply_operation operation,
                    struct reply_call **ret)
{
    _cleanup_free_ struct reply_call *call = calloc(1, sizeof(*call));

    if (!call)
        return -ENOMEM;
    int r = reply_names_init(&call->names, place);
    if (r < 0)
        return r;
    io_request_init(&call->request, io);
    call->request.run = call_run;
    call->request.finish = call_finish;
    call->request.free = call_free;
    call->io = io;
    call->job_id = place->job_id;
    call->operation = operation;
    *ret = TAKE_PTR(call);
    return 0;
}

static void call_submit(struct reply_call *call)
{
    bool is_first = !first_of_job(call->io, call->job_id);

    TAILQ_INSERT_TAIL(&call->io->reply_calls, call, entry);
    if (is_first)
        io_request_submit(&call->request);
}

/* ---- the file of one job ---- */

int reply_file_new(struct io *io, const struct reply_place *place, struct reply_file **ret)
{
    _cleanup_(reply_file_free_p) struct reply_file *file = calloc(1, sizeof(*file));

    if (!file)
        return -ENOMEM;
    file->io = io;
    file->state_directory = strdup(place->state_directory);
    file->path = place->path ? strdup(place->path) : NULL;
    if (!file->state_directory || (place->path && !file->path))
        return -ENOMEM;
    file->place = (struct reply_place){
        .state_directory = file->state_directory,
        .job_id = place->job_id,
        .path = file->path,
    };
    *ret = TAKE_PTR(file);
    return 0;
}

struct reply_file *reply_file_free(struct reply_file *file)
{
    if (!file)
        return NULL;
    if (file->call)
        file->call->file = NULL;
    free(file->state_directory);
    free(file->path);
    free(file);
    return NULL;
}

static int begin_call(struct reply_file *file, enum reply_operation operation, void (*done)(void *userdata, int result),
                      void *userdata, struct reply_call **ret)
{
    if (file->call)
        return -EBUSY;
    int r = call_new(file->io, &file->place, operation, ret);
    if (r < 0)
        return r;
    file->call = *ret;
    file->call->file = file;
    file->call->done = done;
    file->call->userdata = userdata;
    return 0;
}

int reply_file_write(struct reply_file *file, uint64_t offset, void *buffer, size_t size,
                     void (*done)(void *userdata, int result), void *userdata)
{
    struct reply_call *call = NULL;

    int r = begin_call(file, REPLY_WRITE, done, userdata, &call);
    if (r < 0)
        return r;
    call->offset = offset;
    call->buffer = buffer;
    call->size = size;
    call_submit(call);
    return 0;
}

int reply_file_store(struct reply_file *file, uint64_t total, void (*done)(void *userdata, int result), void *userdata)
{
    struct reply_call *call = NULL;

    int r = begin_call(file, REPLY_STORE, done, userdata, &call);
    if (r < 0)
        return r;
    call->offset = total;
    call_submit(call);
    return 0;
}

int reply_file_discard(struct reply_file *file, void (*done)(void *userdata, int result), void *userdata)
{
    struct reply_call *call = NULL;

    int r = begin_call(file, REPLY_DISCARD, done, userdata, &call);
    if (r < 0)
        return r;
    call_submit(call);
    return 0;
}

int io_remove_reply(struct io *io, const struct reply_place *place)
{
    struct reply_call *call = NULL;

    int r = call_new(io, place, REPLY_REMOVE, &call);
    if (r < 0)
        return r;
    call_submit(call);
    return 0;
}
