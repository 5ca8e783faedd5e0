/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/batch.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct batching {
    LIST_ENTRY(batching) entry;
    struct manager *manager;
    uint64_t id; /* in the store */
    uid_t owner;
    char token[BATCH_TOKEN_MAX + 1]; /* "" = nobody may add to it any more */
    uint64_t accepted;               /* jobs of all parts so far */
    TAILQ_HEAD(, batch_part) parts;  /* that have not ended */
    uint64_t expires_usec;           /* by the clock that counts sleep; while no part is under way */
    bool has_last, is_given_up, is_dropping;
};

uint64_t batch_id(const struct batching *batching)
{
    return batching->id;
}

static struct batching *batching_new(struct manager *manager, uint64_t id)
{
    struct batching *batching = calloc(1, sizeof(*batching));

    if (!batching)
        return NULL;
    batching->manager = manager;
    batching->id = id;
    TAILQ_INIT(&batching->parts);
    LIST_INSERT_HEAD(&manager->batchings, batching, entry);
    manager->batchings_count++;
    return batching;
}

static void batching_free(struct batching *batching)
{
    LIST_REMOVE(batching, entry);
    batching->manager->batchings_count--;
    free(batching);
}

/* ---- giving up ---- */

static void drop_step(struct batching *batching);

static void on_dropped(struct command *command, void *userdata)
{
    struct batching *batching = userdata;

    batching->is_dropping = false;
    manager_note_commit(batching->manager, command->result);
    if (command->result < 0)
        manager_retry_unsaved(batching->manager);
    else if (command->batch_is_left)
        drop_step(batching);
    else
        batching_free(batching);
}

static void drop_step(struct batching *batching)
{
    struct manager *manager = batching->manager;
    struct command *command;

    if (batching->is_dropping || manager->stopping)
        return;
    command = command_new(COMMAND_BATCH_DROP, 0);
    if (!command) {
        manager_retry_unsaved(manager);
        return;
    }
    command->batch_id = batching->id;
    command->at = manager_now(manager);
    command->done = on_dropped;
    command->userdata = batching;
    batching->is_dropping = true;
    manager_submit(manager, command);
}

static struct batch_part *find_stuck(const struct batching *batching)
{
    struct batch_part *part;

    TAILQ_FOREACH (part, &batching->parts, entry)
        if (part->is_ready && !part->is_submitted)
            return part;
    return NULL;
}

static void give_up(struct batching *batching)
{
    bool is_first = !batching->is_given_up;
    struct batch_part *part;

    batching->is_given_up = true;
    batching->token[0] = '\0';
    /* Those whose turn has not come; each ends here again, but not first. */
    while (is_first && (part = find_stuck(batching)) != NULL)
        addition_refuse_part(part);
    if (TAILQ_EMPTY(&batching->parts))
        drop_step(batching);
}

void batch_drop_leftovers(struct manager *manager)
{
    uint64_t ids[BATCHES_MAX];
    struct batching *batching;

    LIST_FOREACH(batching, &manager->batchings, entry)
    if (batching->is_given_up && TAILQ_EMPTY(&batching->parts))
        drop_step(batching);
    if (manager->batchings_count > 0)
        return;
    int count = store_batches(manager->store, ids, ELEMENTS(ids));
    for (int i = 0; i < count; i++) {
        batching = batching_new(manager, ids[i]);
        if (batching)
            give_up(batching);
    }
}

void batch_free_all(struct manager *manager)
{
    struct batching *batching;

    while ((batching = LIST_FIRST(&manager->batchings)) != NULL)
        batching_free(batching);
}

/* ---- callers that do not come back ---- */

static void arm_expiry(struct manager *manager)
{
    const struct batching *batching;
    uint64_t first = USEC_INFINITY;

    LIST_FOREACH(batching, &manager->batchings, entry)
    if (!batching->is_given_up && TAILQ_EMPTY(&batching->parts) && batching->expires_usec < first)
        first = batching->expires_usec;
    if (first != USEC_INFINITY)
        (void)sd_event_source_set_time(manager->batch_source, first);
    (void)sd_event_source_set_enabled(manager->batch_source, first == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

void manager_expire_batches(struct manager *manager)
{
    uint64_t now = manager_boot_usec();
    struct batching *batching;

    LIST_FOREACH(batching, &manager->batchings, entry)
    if (!batching->is_given_up && TAILQ_EMPTY(&batching->parts) && batching->expires_usec <= now)
        give_up(batching);
    arm_expiry(manager);
}

/* ---- parts ---- */

static struct batching *find(struct manager *manager, uid_t owner, const char *token)
{
    struct batching *batching;

    LIST_FOREACH(batching, &manager->batchings, entry)
    if (batching->owner == owner && strcmp(batching->token, token) == 0)
        return batching;
    return NULL;
}

static int begin(struct manager *manager, uid_t owner, const char *token, struct batching **ret,
                 struct manager_error *error)
{
    struct batching *batching;
    uint64_t id;

    if (manager->batchings_count >= BATCHES_MAX)
        return manager_fault_set(error, FAULT_LIMIT_REACHED, -EDQUOT,
                                 "%d batches are being added, or taken back; try again when they are through",
                                 BATCHES_MAX);
    do
        id = manager_random();
    while (id == 0);
    batching = batching_new(manager, id);
    if (!batching)
        return -ENOMEM;
    batching->owner = owner;
    (void)text_copy(batching->token, sizeof(batching->token), token);
    *ret = batching;
    return 0;
}

int batch_accept(struct manager *manager, uid_t owner, const struct manager_part *wanted, size_t count,
                 struct batch_part *part, struct manager_error *error)
{
    struct batching *batching = find(manager, owner, wanted->token);

    if (!batching && wanted->offset > 0)
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -ESTALE,
                                 "the batch is not known: a part of it failed, or its time ran out; nothing of it was "
                                 "queued; begin it again");
    if (batching && (wanted->offset != batching->accepted || batching->has_last))
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -ESTALE,
                                 "the batch has %" PRIu64 " jobs so far, so that its next part has that offset; "
                                 "a new batch needs a token of its own",
                                 batching->accepted);
    int r = batching ? 0 : begin(manager, owner, wanted->token, &batching, error);
    if (r < 0)
        return r;
    *part = (struct batch_part){.batching = batching, .offset = wanted->offset, .is_last = !wanted->more};
    batching->has_last = part->is_last;
    batching->accepted += count;
    TAILQ_INSERT_TAIL(&batching->parts, part, entry);
    return 0;
}

/* In the order of the calls, so that ids are, too, and none is missing when the last one comes. */
static void submit_ready(struct batching *batching)
{
    struct batch_part *part;

    TAILQ_FOREACH (part, &batching->parts, entry) {
        if (!part->is_ready)
            return;
        if (!part->is_submitted) {
            part->is_submitted = true;
            addition_submit_part(part);
        }
    }
}

int batch_fault_given_up(struct manager_error *error)
{
    return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -ECANCELED,
                             "another part of the batch failed, so nothing of it was queued");
}

int batch_part_ready(struct batch_part *part, struct manager_error *error)
{
    if (part->batching->is_given_up)
        return batch_fault_given_up(error);
    part->is_ready = true;
    submit_ready(part->batching);
    return 0;
}

void batch_part_ended(struct batch_part *part, bool committed)
{
    struct batching *batching = TAKE_PTR(part->batching);
    struct manager *manager = batching->manager;

    TAILQ_REMOVE(&batching->parts, part, entry);
    if (committed && part->is_last) {
        batching_free(batching);
        return;
    }
    if (!committed || batching->is_given_up) {
        give_up(batching);
        return;
    }
    batching->expires_usec = usec_add(manager_boot_usec(), manager->settings.batch_timeout_usec);
    arm_expiry(manager);
}
