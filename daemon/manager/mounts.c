/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * File systems that jobs wait for. A job whose file cannot be opened because its file system is not mounted waits as
 * one that retries, for as long as RetryDelayMax; here is remembered where its file system was mounted, so that the job
 * is tried at once when it is back.
 *
 *   an attempt ends so ─▶ noted ─▶ looked at (now, and whenever anything is mounted) ─▶ back: its jobs are due
 *
 * Nothing of it is stored: after a start each of these jobs is tried once, and then noted again where it has to be.
 */
#include "io/source.h"
#include "manager/internal.h"

#include <stdlib.h>
#include <string.h>

struct away_mount {
    char *path;
    struct io_request *request; /* it is being looked at; NULL = not */
    bool again;                 /* and shall be once more, as something was mounted since */
    uint64_t returned_usec;     /* in the queue's time; 0 = it is still away */
    struct manager *manager;
};

static struct away_mount *find(const struct manager *manager, const char *path)
{
    for (size_t i = 0; i < manager->away_count; i++)
        if (strcmp(manager->away[i]->path, path) == 0)
            return manager->away[i];
    return NULL;
}

static void forget(struct manager *manager, size_t index)
{
    struct away_mount *mount = manager->away[index];

    if (mount->request)
        io_request_cancel(mount->request);
    free(mount->path);
    free(mount);
    manager->away[index] = manager->away[--manager->away_count];
}

static void look(struct away_mount *mount);

static void on_looked(void *userdata, bool is_gone)
{
    struct away_mount *mount = userdata;

    mount->request = NULL;
    if (!is_gone) {
        mount->returned_usec = manager_now(mount->manager).realtime_usec;
        manager_reschedule(mount->manager);
    } else if (mount->again) {
        look(mount);
    }
}

static void look(struct away_mount *mount)
{
    mount->again = mount->request != NULL;
    if (!mount->request)
        (void)io_look_at_mount(mount->manager->io, mount->path, on_looked, mount, &mount->request);
}

void manager_note_away(struct manager *manager, const char *path)
{
    struct away_mount *mount = find(manager, path);

    if (!mount && manager->away_count < AWAY_MOUNTS_MAX) {
        mount = calloc(1, sizeof(*mount));
        char *copy = mount ? strdup(path) : NULL;
        if (!copy) {
            free(mount);
            return; /* its jobs are tried again after their delay */
        }
        *mount = (struct away_mount){.path = copy, .manager = manager};
        manager->away[manager->away_count++] = mount;
    }
    if (!mount)
        return;
    mount->returned_usec = 0;
    look(mount); /* it may have come back before it was noted */
}

void manager_mounts_changed(struct manager *manager)
{
    for (size_t i = 0; i < manager->away_count && !manager->stopping; i++)
        if (manager->away[i]->returned_usec == 0)
            look(manager->away[i]);
}

bool manager_expects_mounts(const struct manager *manager)
{
    for (size_t i = 0; i < manager->away_count; i++)
        if (manager->away[i]->returned_usec != 0)
            return true;
    return manager->away_before_start;
}

bool manager_mount_is_back(struct manager *manager, const struct job *job)
{
    if (!job_is_away(job) || !job->source_mount)
        return false;
    if (job->run != manager->run)
        return true;
    const struct away_mount *mount = find(manager, job->source_mount);
    return mount && mount->returned_usec != 0;
}

void manager_settle_mounts(struct manager *manager)
{
    manager->away_before_start = false;
    for (size_t i = manager->away_count; i > 0; i--)
        if (manager->away[i - 1]->returned_usec != 0)
            forget(manager, i - 1);
}

void manager_free_mounts(struct manager *manager)
{
    while (manager->away_count > 0)
        forget(manager, manager->away_count - 1);
}
