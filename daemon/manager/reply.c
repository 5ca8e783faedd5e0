/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reply of an upload-reply job, for whoever asks for it. */
#include "io/reply.h"
#include "manager/internal.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct opening {
    uint64_t id;
    char *path; /* for messages */
    struct io_request *request;
    void (*done)(void *userdata, int fd, const struct manager_error *error);
    void *userdata;
};

static struct opening *opening_free(struct opening *opening)
{
    if (!opening)
        return NULL;
    free(opening->path);
    free(opening);
    return NULL;
}
DEFINE_CLEANUP(struct opening *, opening_free);

static void on_opened(void *userdata, int fd)
{
    struct opening *opening = userdata;
    struct manager_error error = {0};

    if (fd < 0)
        (void)manager_fault_set(&error, FAULT_SOURCE_UNREADABLE, 0,
                                "the reply of job %" PRIu64
                                " cannot be read from %s: %s; it was moved or removed after "
                                "it was stored",
                                opening->id, opening->path ? opening->path : "its place", strerror(-fd));
    opening->done(opening->userdata, fd, &error);
    opening_free(opening);
}

static int refuse(const struct job *job, struct manager_error *error)
{
    if (job->type != JOB_UPLOAD_REPLY)
        return manager_fault_set(error, FAULT_INVALID_STATE, -EBUSY,
                                 "job %" PRIu64 " is a plain upload and has no reply; --reply asks for one at add",
                                 job->id);
    return manager_fault_set(error, FAULT_INVALID_STATE, -EBUSY,
                             "job %" PRIu64 " has no reply yet: it is %s; \"bitsq wait %" PRIu64 "\" waits for it",
                             job->id, job->state == JOB_READY ? "queued or running" : job_state_name(job->state),
                             job->id);
}

int manager_open_reply(struct manager *manager, const struct job *job,
                       void (*done)(void *userdata, int fd, const struct manager_error *error), void *userdata,
                       struct manager_error *ret_error)
{
    _cleanup_(opening_free_p) struct opening *opening = NULL;
    _cleanup_free_ char *path = NULL;
    const struct reply_place place = {
        .state_directory = manager->state_path, .job_id = job->id, .path = job->reply_path};

    if (!job->session.reply_stored)
        return refuse(job, ret_error);
    *ret_error = (struct manager_error){.fault = FAULT_NO_MEMORY, .text = "memory ran out; try again later"};
    opening = calloc(1, sizeof(*opening));
    if (!opening)
        return -ENOMEM;
    path = reply_place_path(&place);
    opening->path = path ? text_escape(path) : NULL;
    opening->id = job->id;
    opening->done = done;
    opening->userdata = userdata;
    int r = io_open_reply(manager->io, &place, on_opened, opening, &opening->request);
    if (r < 0)
        return r;
    (void)TAKE_PTR(opening);
    return 0;
}
