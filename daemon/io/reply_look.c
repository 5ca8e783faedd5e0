/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests on replies that are not one job's calls in order: the check of a path, the open file, the sweep. */
#include "io/reply.h"

#include "io/internal.h"
#include "io/reply_disk.h"

#include "core/limits.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

/* ---- check and open ---- */

struct reply_look {
    struct io_request request;
    struct reply_names names;
    int result, fd;
    void (*done)(void *userdata, int result);
    void *userdata;
};

static void look_destroy(struct reply_look *look)
{
    reply_names_done(&look->names);
    free(look);
}

static void check_run(struct io_request *request)
{
    struct reply_look *look = (struct reply_look *)request;

    look->result = reply_disk_check(&look->names);
}

static void open_run(struct io_request *request)
{
    struct reply_look *look = (struct reply_look *)request;

    look->result = reply_disk_open(&look->names, &look->fd);
}

static void look_finish(struct io_request *request)
{
    struct reply_look *look = (struct reply_look *)request;
    int fd = TAKE_FD(look->fd);

    look->done(look->userdata, fd >= 0 ? fd : look->result);
    look_destroy(look);
}

/* The descriptor was opened to read: closing it writes nothing, and so waits for nothing. */
static void look_free(struct io_request *request)
{
    struct reply_look *look = (struct reply_look *)request;

    if (look->fd >= 0)
        (void)close(look->fd);
    look_destroy(look);
}

static int submit_look(struct io *io, const struct reply_place *place, void (*run)(struct io_request *request),
                       void (*done)(void *userdata, int result), void *userdata, struct io_request **ret)
{
    _cleanup_free_ struct reply_look *look = calloc(1, sizeof(*look));

    if (!look)
        return -ENOMEM;
    int r = reply_names_init(&look->names, place);
    if (r < 0)
        return r;
    io_request_init(&look->request, io);
    look->request.run = run;
    look->request.finish = look_finish;
    look->request.free = look_free;
    look->fd = -1;
    look->done = done;
    look->userdata = userdata;
    io_request_submit(&look->request);
    *ret = &TAKE_PTR(look)->request;
    return 0;
}

int io_check_reply_path(struct io *io, const char *path, void (*done)(void *userdata, int result), void *userdata,
                        struct io_request **ret)
{
    struct reply_place place = {.path = path};

    return submit_look(io, &place, check_run, done, userdata, ret);
}

int io_open_reply(struct io *io, const struct reply_place *place, void (*done)(void *userdata, int fd), void *userdata,
                  struct io_request **ret)
{
    return submit_look(io, place, open_run, done, userdata, ret);
}

/* ---- the sweep ---- */

struct reply_sweep {
    struct io_request request;
    char *state_directory;
    DIR *stream; /* of STATE/replies, while there may be more names */
    uint64_t jobs[REPLY_SWEEP_BATCH];
    bool unknown[REPLY_SWEEP_BATCH];
    size_t count;
    int removed;
    int result;
    bool (*is_known)(void *userdata, uint64_t job_id);
    void (*done)(void *userdata, int result);
    void *userdata;
};

static void sweep_free(struct io_request *request)
{
    struct reply_sweep *sweep = (struct reply_sweep *)request;

    if (sweep->stream)
        (void)closedir(sweep->stream);
    free(sweep->state_directory);
    free(sweep);
}

static int open_stream(struct reply_sweep *sweep)
{
    _cleanup_free_ char *folder = reply_folder(sweep->state_directory);

    if (!folder)
        return -ENOMEM;
    sweep->stream = opendir(folder);
    return sweep->stream ? 0 : -errno;
}

/* Leaves stream NULL after the last names. */
static int read_names(struct reply_sweep *sweep)
{
    struct dirent *entry = NULL;

    errno = 0;
    while (sweep->count < REPLY_SWEEP_BATCH && (entry = readdir(sweep->stream)) != NULL)
        if (reply_name_parse(entry->d_name, &sweep->jobs[sweep->count]))
            sweep->count++;
    int r = entry || sweep->count == REPLY_SWEEP_BATCH ? 0 : -errno;
    if (!entry) {
        (void)closedir(sweep->stream);
        sweep->stream = NULL;
    }
    return r;
}

static int remove_reply(const char *state_directory, uint64_t job_id)
{
    struct reply_place place = {.state_directory = state_directory, .job_id = job_id};
    struct reply_names names;

    int r = reply_names_init(&names, &place);
    if (r < 0)
        return r;
    r = reply_disk_remove(&names);
    reply_names_done(&names);
    return r;
}

/* Removes what the loop has judged, then reads more names. A file that cannot be removed keeps none of the others. */
static void sweep_run(struct io_request *request)
{
    struct reply_sweep *sweep = (struct reply_sweep *)request;
    int r = 0;

    for (size_t i = 0; i < sweep->count; i++) {
        if (!sweep->unknown[i])
            continue;
        int removal = remove_reply(sweep->state_directory, sweep->jobs[i]);
        sweep->removed += removal >= 0;
        if (removal < 0 && sweep->result == 0)
            sweep->result = removal;
    }
    bool is_first = sweep->count == 0;
    sweep->count = 0;
    if (!sweep->stream && is_first)
        r = open_stream(sweep);
    if (r >= 0 && sweep->stream)
        r = read_names(sweep);
    if (r < 0 && r != -ENOENT)
        sweep->result = r;
}

static void sweep_finish(struct io_request *request)
{
    struct reply_sweep *sweep = (struct reply_sweep *)request;

    for (size_t i = 0; i < sweep->count; i++)
        sweep->unknown[i] = !sweep->is_known(sweep->userdata, sweep->jobs[i]);
    if (sweep->count > 0) {
        io_request_submit(request);
        return;
    }
    if (sweep->done)
        sweep->done(sweep->userdata, sweep->result < 0 ? sweep->result : sweep->removed);
    sweep_free(request);
}

int io_sweep_replies(struct io *io, const char *state_directory, bool (*is_known)(void *userdata, uint64_t job_id),
                     void (*done)(void *userdata, int result), void *userdata, struct io_request **ret)
{
    _cleanup_free_ struct reply_sweep *sweep = calloc(1, sizeof(*sweep));

    if (!sweep)
        return -ENOMEM;
    sweep->state_directory = strdup(state_directory);
    if (!sweep->state_directory)
        return -ENOMEM;
    io_request_init(&sweep->request, io);
    sweep->request.run = sweep_run;
    sweep->request.finish = sweep_finish;
    sweep->request.free = sweep_free;
    sweep->is_known = is_known;
    sweep->done = done;
    sweep->userdata = userdata;
    io_request_submit(&sweep->request);
    *ret = &TAKE_PTR(sweep)->request;
    return 0;
}
