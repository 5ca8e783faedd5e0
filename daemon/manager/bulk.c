/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Carries the commands over many jobs further: one step after the other, also those that an earlier run left. */
#include "core/bulk.h"
#include "manager/internal.h"
#include "manager/log.h"

#include <errno.h>
#include <string.h>

/* Jobs that such a verb may still reach do not start: they would be stopped again, or begin as they were. */
#define HOLDS_STARTS (1U << VERB_PAUSE | 1U << VERB_CANCEL | 1U << VERB_SET)

bool manager_bulks_hold_starts(const struct manager *manager)
{
    return (manager->bulk_verbs & HOLDS_STARTS) != 0;
}

static void on_step(struct command *command, void *userdata)
{
    struct manager *manager = userdata;

    manager->bulk_step_is_out = false;
    manager_note_commit(manager, command->result);
    if (command->result < 0) {
        manager_retry_unsaved(manager);
        return;
    }
    if (command->bulk_was_lost)
        log_message(LOG_ERR, MESSAGE_DEGRADED, 0,
                    "a command over many jobs could not be read and was dropped; look at the jobs with \"bitsq list\" "
                    "and give it again");
    for (size_t i = 0; i < command->items_count; i++)
        if (command->items[i].left)
            manager_bid_farewell(manager, command->items[i].left);
    manager_tell_runners(manager, command);
    manager_announce(manager, command);
    manager_run_bulks(manager);
}

static int submit_step(struct manager *manager)
{
    struct command *command = command_new(COMMAND_BULK_STEP, STORE_BATCH_MAX);

    if (!command)
        return -ENOMEM;
    command->at = manager_now(manager);
    command->done = on_step;
    command->userdata = manager;
    manager->bulk_step_is_out = true;
    manager_submit(manager, command);
    return 0;
}

void manager_run_bulks(struct manager *manager)
{
    uint32_t verbs = 0;
    size_t count = 0;

    if (manager->bulk_step_is_out || manager->stopping)
        return;
    int r = store_bulks(manager->store, &count, &verbs);
    if (r == 0) {
        manager->bulks_count = count;
        manager->bulk_verbs = verbs;
        manager_reschedule(manager);
    }
    if (r == 0 && count > 0)
        r = submit_step(manager);
    if (r < 0)
        manager_retry_unsaved(manager);
}
