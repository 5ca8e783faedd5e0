/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/batch.h"
#include "store/bulk.h"
#include "store/group.h"
#include "store/hook.h"
#include "store/internal.h"
#include "store/journal.h"
#include "store/totals.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* What is to become of one job of an ADD. */
struct plan {
    enum { PLAN_NEW, PLAN_KEEP, PLAN_REPLACE } what;
    uint64_t existing; /* the job that holds its key */
    enum job_state existing_state;
};

static int refuse(struct command *command, size_t index, int error)
{
    command->failed_job = index;
    return error;
}

struct keyed {
    const char *key;
    size_t index;
};

static int compare_keyed(const void *left, const void *right)
{
    const struct keyed *a = left, *b = right;
    int order = strcmp(a->key, b->key);

    return order != 0 ? order : a->index < b->index ? -1 : a->index > b->index;
}

/* Two jobs of one command with the same key: which of them should live? */
static int check_keys_differ(struct command *command)
{
    _cleanup_free_ struct keyed *keyed = calloc(command->jobs_count + 1, sizeof(*keyed));
    size_t count = 0;

    if (!keyed)
        return -ENOMEM;
    for (size_t i = 0; i < command->jobs_count; i++) {
        if (command->jobs[i]->key)
            keyed[count++] = (struct keyed){command->jobs[i]->key, i};
    }
    if (count > 1)
        qsort(keyed, count, sizeof(*keyed), compare_keyed);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keyed[i - 1].key, keyed[i].key) == 0)
            return refuse(command, keyed[i].index, -EEXIST);
    }
    return 0;
}

static int plan_existing(struct command *command, size_t index, const struct job *existing, struct plan *plan)
{
    const struct job *job = command->jobs[index];

    assert(existing);
    plan->existing = existing->id;
    plan->existing_state = existing->state;
    switch (command->if_exists) {
    case IF_EXISTS_KEEP:
        if (strcmp(existing->source, job->source) != 0 || strcmp(existing->url, job->url) != 0)
            return refuse(command, index, -EEXIST);
        plan->what = PLAN_KEEP;
        return 0;
    case IF_EXISTS_REPLACE:
        plan->what = PLAN_REPLACE;
        return 0;
    case IF_EXISTS_FAIL:
        return refuse(command, index, -EEXIST);
    }
    assert(false);
    return -EINVAL;
}

/* What an ADD has to know of the queue beside its records. */
struct adding {
    struct hidden hidden;
    struct bulks bulks;  /* what stands there will be changed by them */
    struct batch *batch; /* that the command is a part of; NULL = it stands alone */
};

static void adding_done(struct adding *adding)
{
    hidden_done(&adding->hidden);
    bulks_done(&adding->bulks);
    batch_free(adding->batch);
}

static int adding_begin(struct lmdb_txn *txn, const struct command *command, struct adding *ret)
{
    int r = hidden_load(txn, &ret->hidden);

    if (r == 0)
        r = bulks_load(txn, &ret->bulks);
    if (r == 0 && command->batch_id != 0)
        r = batch_take(txn, command, &ret->batch);
    return r;
}

/* The job that holds a key, as the commands over many jobs will leave it. One that they remove goes now: its key is
 * free. */
static int get_existing(struct lmdb_txn *txn, const struct adding *adding, uint64_t id, struct job **ret)
{
    _cleanup_(job_free_p) struct job *stored = NULL, *existing = NULL;
    uint64_t covering;

    int r = schema_get_job(txn, id, &stored);
    if (r == 0)
        r = job_copy(stored, &existing);
    if (r < 0)
        return r;
    r = bulks_catch_up(&adding->bulks, existing, &covering);
    if (r == -ENOENT)
        schema_remove_job(txn, stored);
    if (r < 0)
        return txn->error < 0 ? txn->error : r;
    *ret = TAKE_PTR(existing);
    return 0;
}

static int plan_job(struct lmdb_txn *txn, const struct adding *adding, struct command *command, size_t index,
                    struct plan *plan)
{
    const struct job *job = command->jobs[index];
    _cleanup_(job_free_p) struct job *existing = NULL;
    uint64_t id;

    if (job_validate(job, NULL) < 0)
        return refuse(command, index, -EINVAL);
    if (!job->key)
        return 0;
    int r = schema_find_key(txn, job->owner, job->key, &id);
    /* Of a batch that is still being added, this one or another: nobody can say yet whether that job will be. */
    if (r == 0 && hidden_until(&adding->hidden, id) != 0)
        return refuse(command, index, -EEXIST);
    if (r == 0)
        r = get_existing(txn, adding, id, &existing);
    if (r == -ENOENT)
        return 0;
    if (r == -EBADMSG) {
        /* Nobody can say what holds the key: it goes to quarantine, and the key is free. */
        schema_quarantine(txn, &id, 1);
        return txn->error;
    }
    return r < 0 ? r : plan_existing(command, index, existing, plan);
}

static int check_quota(const struct store *store, struct lmdb_txn *txn, struct command *command,
                       const struct plan *plans)
{
    uint64_t counts[JOB_STATES], owned, total = lmdb_entries(txn, TABLE_JOBS);
    uid_t owner = command->jobs[0]->owner;
    bool has_new = false;

    int r = batch_count_owned(txn, owner, &owned);
    if (r < 0)
        return r;
    schema_count(txn, false, owner, counts);
    for (size_t i = 0; i < JOB_STATES; i++)
        owned += counts[i];
    for (size_t i = 0; i < command->jobs_count; i++) {
        assert(command->jobs[i]->owner == owner);
        if (plans[i].what == PLAN_KEEP)
            continue;
        has_new = true;
        if (++total > store->jobs_max)
            return refuse(command, i, -EDQUOT);
        if (++owned > store->jobs_max_per_user)
            return refuse(command, i, -EUSERS);
    }
    /* What deletes and ends jobs must still fit when the map is full of jobs. */
    if (has_new && !lmdb_has_room(txn, store->sizes.reserve_bytes))
        return txn->error < 0 ? txn->error : -EFBIG;
    return txn->error;
}

/* Ids up to LAST may be given out once the marker says so on disk. */
static int reserve_ids(struct store *store, uint64_t last)
{
    struct marker marker = store->marker;

    if (last <= marker.reserved)
        return 0;
    marker.reserved = last + STORE_ID_BLOCK;
    int r = marker_write(store->directory_fd, &marker);
    if (r < 0)
        return writer_classify(store, r);
    store->marker = marker;
    return 0;
}

/* The job that holds a key which another one takes over: cancelled where it is not over, and without its key. */
static int give_key_up(struct lmdb_txn *txn, const struct command *command, struct bulks *bulks, uint64_t id,
                       struct command_item *item)
{
    struct command cancel = {.type = COMMAND_VERB, .verb = VERB_CANCEL, .at = command->at};
    _cleanup_(job_free_p) struct job *before = NULL, *after = NULL;
    enum job_effect effect;
    uint64_t covering = 0;

    int r = schema_get_job(txn, id, &before);
    if (r == 0)
        r = job_copy(before, &after);
    if (r == 0)
        r = bulks_catch_up(bulks, after, &covering);
    if (r < 0)
        return r;
    assert(after);
    if (job_state_is_final(after->state))
        after->revision++;
    else if ((r = job_apply(after, &cancel, &effect, &item->reason)) < 0)
        return r;
    free(TAKE_PTR(after->key));
    r = totals_put_job(txn, before, after);
    if (r < 0)
        return r;
    bulks_touch(txn, bulks, covering, id);
    if (before->state != after->state)
        (void)journal_put_change(txn, &cancel, before, after);
    *item = (struct command_item){.id = id, .before = before->state, .after = TAKE_PTR(after)};
    return 0;
}

static int write_job(struct lmdb_txn *txn, struct job *job, uint64_t id, struct batch *batch, struct command_item *item)
{
    job->id = id;
    int r = batch ? schema_put_staged(txn, job) : schema_put_job(txn, NULL, job);
    if (r == 0 && batch)
        r = batch_note(batch, job);
    /* What nobody sees is not announced. */
    if (r == 0 && !batch)
        r = job_copy(job, &item->after);
    if (r < 0)
        return r;
    item->id = id;
    item->before = job->state;
    return 0;
}

static int make_room_for_replaced(struct command *command, size_t replaced)
{
    size_t count = command->jobs_count + replaced;
    struct command_item *items = reallocarray(command->items, count > 0 ? count : 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    memset(items + command->jobs_count, 0, replaced * sizeof(*items));
    command->items = items;
    command->items_count = count;
    return 0;
}

static void note_added(struct lmdb_txn *txn, const struct command *command, const struct plan *plans, size_t new_count)
{
    if (journal_counts(command->jobs_count)) {
        journal_put_count(txn, command->jobs[0]->owner, EVENT_ADDED, new_count, command->at);
        return;
    }
    for (size_t i = 0; i < command->jobs_count; i++)
        if (plans[i].what != PLAN_KEEP)
            (void)journal_put_change(txn, command, NULL, command->jobs[i]);
}

static int write_jobs(struct store *store, struct lmdb_txn *txn, struct command *command, const struct plan *plans,
                      size_t new_count, size_t replaced_count, struct adding *adding)
{
    uint64_t id = schema_next_id(txn);
    size_t replaced = command->jobs_count;

    int r = make_room_for_replaced(command, replaced_count);
    if (r == 0 && new_count > 0)
        r = reserve_ids(store, id + new_count - 1);
    if (r < 0)
        return r;
    for (size_t i = 0; i < command->jobs_count; i++) {
        struct command_item *item = &command->items[i];
        if (plans[i].what == PLAN_KEEP) {
            *item = (struct command_item){.id = plans[i].existing, .before = plans[i].existing_state};
            continue;
        }
        if (plans[i].what == PLAN_REPLACE)
            r = give_key_up(txn, command, &adding->bulks, plans[i].existing, &command->items[replaced++]);
        if (r == 0)
            r = write_job(txn, command->jobs[i], id++, adding->batch, item);
        /* Half of the command is in the transaction already: it must not be committed. */
        if (r < 0)
            txn->error = r;
        if (txn->error < 0)
            return txn->error;
    }
    if (new_count > 0)
        schema_set_next_id(txn, id);
    bulks_save(txn, &adding->bulks);
    if (adding->batch)
        batch_put(txn, command, adding->batch);
    else
        note_added(txn, command, plans, new_count);
    return txn->error;
}

static int apply_add(struct store *store, struct lmdb_txn *txn, struct command *command)
{
    _cleanup_free_ struct plan *plans = calloc(command->jobs_count + 1, sizeof(*plans));
    size_t new_count = 0, replaced_count = 0;
    _cleanup_(adding_done) struct adding adding = {.batch = NULL};

    assert(command->items_count >= command->jobs_count);
    if (!plans)
        return -ENOMEM;
    if (command->jobs_count == 0)
        return 0;
    int r = check_keys_differ(command);
    if (r == 0)
        r = adding_begin(txn, command, &adding);
    for (size_t i = 0; i < command->jobs_count && r == 0; i++) {
        r = plan_job(txn, &adding, command, i, &plans[i]);
        new_count += plans[i].what != PLAN_KEEP;
        replaced_count += plans[i].what == PLAN_REPLACE;
    }
    if (r == 0)
        r = check_quota(store, txn, command, plans);
    return r < 0 ? r : write_jobs(store, txn, command, plans, new_count, replaced_count, &adding);
}

static bool leaves_session(const struct command *command, const struct job *before, const struct job *after)
{
    return command->type == COMMAND_VERB && command->verb == VERB_SET && before->session.session_id[0] != '\0' &&
           after->session.session_id[0] == '\0';
}

int apply_item(struct store *store, struct lmdb_txn *txn, const struct command *command, struct bulks *bulks,
               struct command_item *item)
{
    _cleanup_(job_free_p) struct job *before = NULL, *after = NULL;
    enum job_effect effect = JOB_UNCHANGED;
    uint64_t covering = 0;

    int r = batch_check_visible(txn, item->id);
    if (r == 0)
        r = schema_get_job(txn, item->id, &before);
    if (r == -EBADMSG) {
        store_suspect(store, item->id);
        return -ENOENT;
    }
    if (r < 0)
        return r;
    assert(before);
    if (command->type == COMMAND_VERB && !command->any_owner && before->owner != command->caller)
        return -EKEYREJECTED;
    item->type = before->type;
    r = job_copy(before, &after);
    if (r == 0 && bulks)
        r = bulks_catch_up(bulks, after, &covering);
    if (r < 0)
        return r;
    item->before = after->state;
    r = job_apply(after, command, &effect, &item->reason);
    if (r == 0 && effect == JOB_UPDATED)
        r = totals_put_job(txn, before, after);
    if (r == 0 && effect == JOB_REMOVED)
        schema_remove_job(txn, before);
    if (r == 0 && effect != JOB_UNCHANGED && !journal_counts(command->items_count)) {
        uint64_t sequence = journal_put_change(txn, command, before, effect == JOB_REMOVED ? NULL : after);
        /* Only verbs come for so many jobs that they are one event, and no verb makes a job done or failed. */
        if (effect == JOB_UPDATED && before->state != after->state)
            item->hook = hook_note(txn, sequence, after);
    }
    if (r == 0 && covering != 0)
        bulks_touch(txn, bulks, covering, item->id);
    if (r != 0 || effect == JOB_REMOVED)
        return r;
    if (leaves_session(command, before, after))
        item->left = TAKE_PTR(before);
    item->after = TAKE_PTR(after);
    return 0;
}

/* All that a new job takes: the marker, and a transaction that writes. One without a change would prove nothing.
 */
static int apply_prove(struct store *store, struct lmdb_txn *txn)
{
    int r = marker_write(store->directory_fd, &store->marker);

    if (r < 0)
        return writer_classify(store, r);
    schema_set_next_id(txn, schema_next_id(txn));
    return 0;
}

void apply_command(struct store *store, struct lmdb_txn *txn, struct command *command)
{
    _cleanup_(bulks_done) struct bulks bulks = {.count = 0};
    bool is_verb = command->type == COMMAND_VERB;
    uint64_t changed = 0;

    switch (command->type) {
    case COMMAND_PROVE:
        command->result = apply_prove(store, txn);
        return;
    case COMMAND_LIMIT:
        schema_set_rate_limit(txn, command->rate_limit);
        return;
    case COMMAND_HOOK_DONE:
        hook_apply_done(txn, command);
        return;
    case COMMAND_BATCH_DROP:
        command->result = batch_apply_drop(txn, command);
        return;
    case COMMAND_ADD:
        command->result = apply_add(store, txn, command);
        return;
    case COMMAND_BULK_BEGIN:
        command->result = bulk_apply_begin(store, txn, command);
        return;
    case COMMAND_BULK_STEP:
        command->result = bulk_apply_step(store, txn, command);
        return;
    case COMMAND_RETAIN:
        command->result = retain_apply(store, txn, command);
        return;
    case COMMAND_EXPIRE:
        command->result = deadline_apply(store, txn, command);
        return;
    case COMMAND_GROUP_SET:
        command->result = group_apply_set(txn, command);
        return;
    case COMMAND_GROUP_REMOVE:
        command->result = group_apply_remove(txn, command);
        return;
    case COMMAND_QUARANTINE_DROP:
        command->result = quarantine_apply_drop(store, txn, command);
        return;
    case COMMAND_VERB:
        command->result = bulks_load(txn, &bulks);
        break;
    case COMMAND_CHECKPOINT:
    case COMMAND_RETRY_AT:
    case COMMAND_DONE:
    case COMMAND_FAIL:
    case COMMAND_GONE:
        break;
    }
    for (size_t i = 0; i < command->items_count && command->result == 0 && txn->error == 0; i++) {
        int r = apply_item(store, txn, command, is_verb ? &bulks : NULL, &command->items[i]);
        command->items[i].result = r;
        changed += r == 0;
        /* What an attempt learnt could not be put into the record: whoever waits for it to be durable must hear. */
        if (r < 0 && r != -ENOENT && !is_verb)
            command->result = r;
    }
    bulks_save(txn, &bulks);
    if (is_verb && journal_counts(command->items_count))
        journal_put_count(txn, command->caller, event_of_verb(command->verb), changed, command->at);
}

void apply_reset(struct command *command)
{
    bool adds = command->type == COMMAND_ADD, steps = command->type == COMMAND_BULK_STEP;

    for (size_t i = 0; i < command->items_count; i++) {
        struct command_item *item = &command->items[i];
        command_item_done(item);
        *item = (struct command_item){.id = adds || steps ? 0 : item->id};
    }
    if (adds && command->items_count > command->jobs_count)
        command->items_count = command->jobs_count;
    if (steps)
        command->items_count = command->items_size;
    command->bulk_was_lost = false;
    if (command->type == COMMAND_RETAIN)
        retain_reset(command);
    if (command->type == COMMAND_EXPIRE) {
        free(TAKE_PTR(command->items));
        command->items_count = 0;
    }
    for (size_t i = 0; i < command->jobs_count; i++)
        command->jobs[i]->id = 0;
    command->failed_job = 0;
    command->dropped = 0; /* but not `saved`: the next try writes the same file */
    command->result = 0;
}
