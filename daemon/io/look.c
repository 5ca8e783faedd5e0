/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks at a path, before anything is uploaded from it.
 *
 * A file system may take any time to answer, so that a thread asks it. The kernel alone answers for a path that it has
 * in memory; what it cannot say without asking is what kind of file system that is. So a thread looks first, and what
 * lies on the same mount as one of its files is then looked at on the loop. Mounts come and go, and device numbers with
 * them, but the number of a mount is never used again.
 */
#include "io/file.h"
#include "io/internal.h"
#include "io/mountpoint.h"
#include "io/source.h"

#include <errno.h>
#include <string.h>

/* What looks at PATH; the first member of whatever it finds out. */
struct path_look {
    struct io_request request;
    char *path;
};

struct look {
    struct path_look head;
    struct io *io; /* not of the thread */
    uint8_t boot_id[16];
    io_looked_t done;
    void *userdata;
    int result;
    struct source_identity identity;
    struct known_mount mount; /* its id is 0 where the loop has to leave it alone */
};

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

/* ---- at a file, by a thread ---- */

static void look_run(struct io_request *request)
{
    struct look *look = (struct look *)request;
    _cleanup_close_ int fd = -1;

    look->result = file_open(look->head.path, &fd);
    if (look->result >= 0)
        look->result = file_identify(fd, look->boot_id, &look->identity);
    if (look->result < 0)
        return;
    mountpoint_of(fd, look->mount.path);
    if (file_is_local(fd))
        look->mount.id = file_mount_id(fd);
}

static const struct known_mount *find_mount(const struct io *io, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < ELEMENTS(io->mounts); i++)
        if (io->mounts[i].id == id)
            return &io->mounts[i];
    return NULL;
}

static void learn_mount(struct io *io, const struct known_mount *mount)
{
    if (mount->id == 0 || find_mount(io, mount->id))
        return;
    io->mounts[io->next_mount] = *mount;
    io->next_mount = (io->next_mount + 1) % ELEMENTS(io->mounts);
}

static void look_finish(struct io_request *request)
{
    struct look *look = (struct look *)request;

    learn_mount(look->io, &look->mount);
    look->done(look->userdata, look->result, &look->identity, look->mount.path);
    path_look_free(request);
}

int io_look(struct io *io, const char *path, io_looked_t done, void *userdata, struct io_request **ret)
{
    struct path_look *head;

    int r = path_look_new(io, path, sizeof(struct look), look_run, look_finish, &head);
    if (r < 0)
        return r;
    struct look *look = (struct look *)head;
    look->io = io;
    look->done = done;
    look->userdata = userdata;
    memcpy(look->boot_id, io->boot_id, sizeof(look->boot_id));
    io_request_submit(&look->head.request);
    *ret = &look->head.request;
    return 0;
}

/* ---- at once, on the loop ---- */

bool io_look_now(struct io *io, const char *path, struct source_identity *ret, const char **ret_mount)
{
    _cleanup_close_ int fd = file_find_cached(path);

    if (fd < 0)
        return false;
    const struct known_mount *mount = find_mount(io, file_mount_id(fd));
    if (!mount || !file_identify_cached(fd, io->boot_id, ret))
        return false;
    *ret_mount = mount->path;
    return true;
}

/* ---- at a place where a file system was ---- */

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
