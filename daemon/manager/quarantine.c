/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records that could not be read: what is said of them. */
#include "manager/internal.h"

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
                   "%s/queue (mdb_dump -s quarantine shows it): add these uploads again",
                   jobs, total == 1 ? "s" : "", manager->state_directory);
    return manager->quarantine_text;
}

uint64_t manager_quarantined(struct manager *manager)
{
    uint64_t total;

    return store_quarantined(manager->store, &total) < 0 ? 0 : total;
}
