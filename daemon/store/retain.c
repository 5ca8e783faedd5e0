/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finished jobs do not stay for ever: what goes by its age, and what by the number of those that finished after it. */
#include "store/internal.h"
#include "store/journal.h"

#include <assert.h>
#include <errno.h>

struct retention {
    struct store *store;
    struct lmdb_txn *txn;
    struct command *command;
    uint64_t excess;  /* of jobs that are done or cancelled */
    uid_t owner;      /* of those that were removed last, */
    uint64_t removed; /* and how many: one event for all */
};

/* The entries that one step looks at: a cursor does not survive what the step does to its table. */
struct finished {
    struct retain_place places[STORE_BATCH_MAX];
    size_t count;
};

static bool is_too_old(const struct retain_step *step, uint64_t finished_usec)
{
    return finished_usec < step->cutoff_usec;
}

static uint64_t count_excess(struct lmdb_txn *txn, uint64_t keep_jobs)
{
    uint64_t counts[JOB_STATES];

    schema_count(txn, true, 0, counts);
    uint64_t ended = counts[JOB_DONE] + counts[JOB_CANCELLED];
    return ended > keep_jobs ? ended - keep_jobs : 0;
}

static bool get_place(const struct lmdb_cursor *cursor, struct retain_place *ret)
{
    const uint8_t *key = cursor->key.data;

    if (cursor->key.size != 16)
        return false;
    *ret = (struct retain_place){.finished_usec = schema_get_u64(key), .id = schema_get_u64(key + 8)};
    return true;
}

static bool has_nothing_to_do(const struct retention *retention, const struct retain_place *place)
{
    return !is_too_old(&retention->command->retain, place->finished_usec) && retention->excess == 0;
}

static void look(struct retention *retention, struct finished *finished)
{
    struct retain_step *step = &retention->command->retain;
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct retain_place place;
    struct schema_key first;

    schema_key_finished(&first, step->after.finished_usec, step->after.id + 1);
    lmdb_cursor_open(retention->txn, TABLE_FINISHED, &cursor);
    for (bool found = lmdb_seek(&cursor, schema_key_bytes(&first)); found; found = lmdb_next(&cursor)) {
        if (!get_place(&cursor, &place))
            continue;
        if (has_nothing_to_do(retention, &place))
            return;
        if (finished->count == ELEMENTS(finished->places)) {
            step->more = true;
            return;
        }
        finished->places[finished->count++] = place;
    }
}

static void tell_removed(struct retention *retention)
{
    journal_put_count(retention->txn, retention->owner, EVENT_REMOVED, retention->removed, retention->command->at);
    retention->removed = 0;
}

static void count_removed(struct retention *retention, uid_t owner)
{
    if (retention->owner != owner)
        tell_removed(retention);
    retention->owner = owner;
    retention->removed++;
}

static int remove_job(struct retention *retention, uint64_t id, uid_t owner)
{
    const struct command verb = {.type = COMMAND_VERB,
                                 .verb = VERB_REMOVE,
                                 .at = retention->command->at,
                                 .any_owner = true,
                                 .items_count = SIZE_MAX}; /* no event for each */
    struct command *command = retention->command;
    struct command_item item = {.id = id};

    int r = apply_item(retention->store, retention->txn, &verb, NULL, &item);
    if (r == 0 && !item.after)
        count_removed(retention, owner);
    if (r == 0)
        command->items[command->items_count++] = item;
    else
        command_item_done(&item);
    return r;
}

/* A record that makes trouble stays, and stops nothing else. */
static int error_for_all(const struct retention *retention, int error)
{
    return retention->txn->error < 0 ? retention->txn->error : error == -ENOMEM ? error : 0;
}

static int judge(struct retention *retention, const struct retain_place *place)
{
    const struct retain_step *step = &retention->command->retain;
    _cleanup_(job_free_p) struct job *job = NULL;

    int r = schema_get_job(retention->txn, place->id, &job);
    if (r == -EBADMSG)
        store_suspect(retention->store, place->id);
    if (r < 0)
        return error_for_all(retention, r);
    bool ended_well = job->state == JOB_DONE || job->state == JOB_CANCELLED;
    if (!job_state_is_final(job->state))
        return 0;
    if (!is_too_old(step, place->finished_usec) && !(ended_well && retention->excess > 0))
        return 0;
    r = remove_job(retention, place->id, job->owner);
    if (r == 0 && ended_well && retention->excess > 0)
        retention->excess--;
    return error_for_all(retention, r);
}

static uint64_t find_oldest(struct lmdb_txn *txn)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct retain_place place = {0};

    lmdb_cursor_open(txn, TABLE_FINISHED, &cursor);
    for (bool found = lmdb_seek(&cursor, (struct lmdb_bytes){0}); found; found = lmdb_next(&cursor))
        if (get_place(&cursor, &place))
            break;
    return place.finished_usec;
}

int retain_apply(struct store *store, struct lmdb_txn *txn, struct command *command)
{
    _cleanup_free_ struct finished *finished = calloc(1, sizeof(*finished));
    struct retention retention = {.store = store, .txn = txn, .command = command};
    int r = 0;

    assert(command->items_count == 0);
    if (!finished)
        return -ENOMEM;
    retention.excess = count_excess(txn, command->retain.keep_jobs);
    look(&retention, finished);
    if (finished->count > 0) {
        command->items = calloc(finished->count, sizeof(*command->items));
        if (!command->items)
            return -ENOMEM;
    }
    command->retain.reached = command->retain.after;
    for (size_t i = 0; i < finished->count && r == 0; i++) {
        /* The place must not pass those that stay today and make room for others tomorrow. */
        if (has_nothing_to_do(&retention, &finished->places[i])) {
            command->retain.more = false;
            break;
        }
        r = judge(&retention, &finished->places[i]);
        command->retain.reached = finished->places[i];
    }
    /* Some may be gone in the transaction already, and who watches would not hear of it. */
    if (r < 0)
        txn->error = r;
    tell_removed(&retention);
    command->retain.too_many = retention.excess > 0;
    command->retain.oldest_usec = find_oldest(txn);
    return txn->error;
}

void retain_reset(struct command *command)
{
    struct retain_step *step = &command->retain;

    free(TAKE_PTR(command->items));
    command->items_count = 0;
    *step = (struct retain_step){.cutoff_usec = step->cutoff_usec, .keep_jobs = step->keep_jobs, .after = step->after};
}
