/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

struct mounts {
    int fd;
    sd_event_source *source;
    void (*changed)(void *userdata);
    void *userdata;
};

/* The table has a number, and being polled is being told of it: nothing has to be read before the next event. */
static int on_mounts(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct mounts *mounts = userdata;

    (void)source, (void)fd, (void)revents;
    mounts->changed(mounts->userdata);
    return 0;
}

int mounts_new(sd_event *event, void (*changed)(void *userdata), void *userdata, struct mounts **ret)
{
    _cleanup_(mounts_free_p) struct mounts *mounts = calloc(1, sizeof(*mounts));

    if (!mounts)
        return -ENOMEM;
    mounts->changed = changed;
    mounts->userdata = userdata;
    mounts->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (mounts->fd < 0)
        return -errno;
    int r = sd_event_add_io(event, &mounts->source, mounts->fd, EPOLLPRI, on_mounts, mounts);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(mounts);
    return 0;
}

struct mounts *mounts_free(struct mounts *mounts)
{
    if (!mounts)
        return NULL;
    sd_event_source_disable_unref(mounts->source);
    if (mounts->fd >= 0)
        (void)close(mounts->fd);
    free(mounts);
    return NULL;
}
