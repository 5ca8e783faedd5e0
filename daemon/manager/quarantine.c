/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records that could not be read: what is said of them, and their end. */
#include "manager/internal.h"
#include "manager/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* "job 7", "jobs 7, 9", "jobs 1, 2, 3, 4, 5 and 12 more" */
static void name_jobs(const uint64_t *ids, size_t ids_count, uint64_t total, char *text, size_t size)
{
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < ids_count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%" PRIu64,
                                   i > 0        ? ", "
                                   : total == 1 ? "job "
                                                : "jobs ",
                                   ids[i]);
    if (total > ids_count && length < size)
        (void)snprintf(text + length, size - length, " and %" PRIu64 " more", total - ids_count);
}

const char *manager_quarantine_sentence(struct manager *manager)
{
    uint64_t ids[QUARANTINED_NAMED], total;
    char jobs[QUARANTINED_NAMED * 24 + 64];

    int count = store_quarantined_ids(manager->store, ids, ELEMENTS(ids));
    if (count <= 0 || store_quarantined(manager->store, &total) < 0)
        return NULL;
    name_jobs(ids, (size_t)count, total, jobs, sizeof(jobs));
    (void)snprintf(manager->quarantine_text, sizeof(manager->quarantine_text),
                   "%s could not be read and stand%s in quarantine; what was stored lies unchanged in "
                   "%s/queue (mdb_dump -s quarantine shows it): add these uploads again, then drop the records with "
                   "\"bitsq doctor --drop-quarantine\"",
                   jobs, total == 1 ? "s" : "", manager->state_directory);
    return manager->quarantine_text;
}

uint64_t manager_quarantined(struct manager *manager)
{
    uint64_t total;

    return store_quarantined(manager->store, &total) < 0 ? 0 : total;
}

struct dropping {
    struct manager *manager;
    manager_done_t done;
    void *userdata;
};

static void on_dropped(struct command *command, void *userdata)
{
    struct dropping *dropping = userdata;
    struct manager *manager = dropping->manager;
    struct manager_result result = {.dropped = command->dropped, .saved = ""};
    _cleanup_free_ char *saved = NULL;

    manager_note_commit(manager, command->result);
    if (command->result < 0) {
        manager_write_fault(manager, command->result, &result.error);
    } else if (command->dropped > 0) {
        if (asprintf(&saved, "%s/%s", manager->state_path, command->saved) < 0)
            saved = NULL;
        result.saved = saved ? saved : command->saved;
        log_message(LOG_NOTICE, MESSAGE_DEGRADED, 0,
                    "dropped %" PRIu64 " record%s from quarantine, as was asked; a copy lies in %s/%s",
                    command->dropped, command->dropped == 1 ? "" : "s", manager->state_directory, command->saved);
        if (manager->observer.degraded_changed)
            manager->observer.degraded_changed(manager->observer.userdata);
    }
    dropping->done(dropping->userdata, &result);
    free(dropping);
}

int manager_drop_quarantine(struct manager *manager, manager_done_t done, void *userdata,
                            struct manager_error *ret_error)
{
    _cleanup_(command_free_p) struct command *command = NULL;
    struct dropping *dropping = NULL;

    if (manager->stopping)
        return manager_fault_stopping(ret_error);
    command = command_new(COMMAND_QUARANTINE_DROP, 0);
    dropping = calloc(1, sizeof(*dropping));
    if (!command || !dropping) {
        free(dropping);
        return manager_fault_set(ret_error, FAULT_NO_MEMORY, -ENOMEM, "memory ran out; try again later");
    }
    *dropping = (struct dropping){.manager = manager, .done = done, .userdata = userdata};
    command->at = manager_now(manager);
    command->done = on_dropped;
    command->userdata = dropping;
    manager_submit(manager, TAKE_PTR(command));
    return 0;
}
