/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/bulk.h"

#include "store/batch.h"
#include "store/codec.h"
#include "store/journal.h"
#include "store/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The ranges of a batch that is not whole may cut those that were named once more. */
#define INTENT_BYTES_MAX   (2 * sizeof(struct id_range) * BULK_RANGES_MAX + STORE_RECORD_MAX)
#define PROGRESS_BYTES_MAX (BULK_TOUCHED_MAX * sizeof(uint64_t) + STORE_RECORD_MAX)

enum part {
    PART_INTENT = 0,
    PART_PROGRESS = 1,
};

#define MEMBER(tag, kind, member) RECORD_MEMBER(bulk, tag, kind, member)

static const struct record_field intent_fields[] = {
    MEMBER(1, NUMBER, caller),
    MEMBER(2, FLAG, any_owner),
    MEMBER(3, NUMBER, verb),
    MEMBER(4, STRING, group),
    MEMBER(5, NUMBER, states),
    MEMBER(6, NUMBER, retrying),
    MEMBER(7, NUMBER, at_usec),
    MEMBER(8, NUMBER, last_id),

    MEMBER(20, FLAG, change.has_priority),
    MEMBER(21, NUMBER, change.priority),
    MEMBER(22, STRING, change.name),
    MEMBER(23, STRING, change.group),
    MEMBER(24, STRING, change.url),
    MEMBER(25, STRING, change.host),
    MEMBER(26, NUMBER, change.options_given),
    MEMBER(27, NUMBER, change.options_reset),
    MEMBER(28, NUMBER, change.options.fragment_min_bytes),
    MEMBER(29, NUMBER, change.options.fragment_max_bytes),
    MEMBER(30, NUMBER, change.options.retry_delay_usec),
    MEMBER(31, NUMBER, change.options.no_progress_timeout_usec),
    MEMBER(32, FLAG, change.options.has_no_progress_timeout),
    MEMBER(33, NUMBER, change.texts_reset),
    MEMBER(34, NUMBER, change.flags_reset),
    MEMBER(35, NUMBER, change.options.rate_bytes),
    MEMBER(36, NUMBER, change.options.not_before_usec),
    MEMBER(37, NUMBER, change.options.deadline_usec),
    MEMBER(38, FLAG, change.options.source_restart),
    MEMBER(39, NUMBER, change.options.policy.network),

    RECORD_ACCESS_MEMBERS(bulk, 40, change.access),

    MEMBER(72, NUMBER, change.options.policy.power),
    MEMBER(73, TEXT, change.options.policy.window),
    MEMBER(80, STRING, change.hooks[HOOK_DONE]),
    MEMBER(81, STRING, change.hooks[HOOK_FAILED]),
};

static const struct record_field progress_fields[] = {
    MEMBER(1, NUMBER, after),
};

static size_t ranges_size(const void *object)
{
    const struct bulk *bulk = object;

    return bulk->ranges_count * RECORD_ROW_BYTES(2);
}

static void pack_ranges(const void *object, uint8_t *to)
{
    const struct bulk *bulk = object;

    record_pack_rows(to, bulk->ranges, 2, bulk->ranges_count);
}

static int unpack_ranges(void *object, const uint8_t *from, size_t size)
{
    struct bulk *bulk = object;
    void *ranges;

    int r = record_unpack_rows(from, size, 2, &ranges, &bulk->ranges_count);
    if (r == 0)
        bulk->ranges = ranges;
    return r;
}

static size_t touched_size(const void *object)
{
    const struct bulk *bulk = object;

    return bulk->touched_count * RECORD_ROW_BYTES(1);
}

static void pack_touched(const void *object, uint8_t *to)
{
    const struct bulk *bulk = object;

    record_pack_rows(to, bulk->touched, 1, bulk->touched_count);
}

static int unpack_touched(void *object, const uint8_t *from, size_t size)
{
    struct bulk *bulk = object;
    void *touched;

    int r = record_unpack_rows(from, size, 1, &touched, &bulk->touched_count);
    if (r == 0)
        bulk->touched = touched;
    return r;
}

static const struct record_type parts[] = {
    [PART_INTENT] = {.magic = {'B', 'B'},
                     .format = 1,
                     .bytes_max = INTENT_BYTES_MAX,
                     .fields = intent_fields,
                     .fields_count = ELEMENTS(intent_fields),
                     .packed_tag = 9,
                     .packed_size = ranges_size,
                     .pack = pack_ranges,
                     .unpack = unpack_ranges},
    [PART_PROGRESS] = {.magic = {'B', 'P'},
                       .format = 1,
                       .bytes_max = PROGRESS_BYTES_MAX,
                       .fields = progress_fields,
                       .fields_count = ELEMENTS(progress_fields),
                       .packed_tag = 2,
                       .packed_size = touched_size,
                       .pack = pack_touched,
                       .unpack = unpack_touched},
};

static void part_key(struct schema_key *key, uint64_t id, enum part part)
{
    schema_key_u64(key, id);
    key->bytes[key->size++] = (uint8_t)part;
}

static void put_part(struct lmdb_txn *txn, const struct bulk *bulk, enum part part)
{
    _cleanup_free_ void *record = NULL;
    struct schema_key key;
    size_t size = 0;

    int r = record_encode(&parts[part], bulk, &record, &size);
    if (r < 0) {
        txn->error = r;
        return;
    }
    part_key(&key, bulk->id, part);
    lmdb_put(txn, TABLE_BULKS, schema_key_bytes(&key), (struct lmdb_bytes){record, size});
}

static int get_part(struct lmdb_txn *txn, struct bulk *bulk, enum part part)
{
    struct schema_key key;
    struct lmdb_bytes record;

    part_key(&key, bulk->id, part);
    if (!lmdb_get(txn, TABLE_BULKS, schema_key_bytes(&key), &record))
        return txn->error < 0 ? txn->error : -EBADMSG;
    return record_decode(&parts[part], record.data, record.size, bulk);
}

static void remove_bulk(struct lmdb_txn *txn, uint64_t id)
{
    for (enum part part = PART_INTENT; part <= PART_PROGRESS; part++) {
        struct schema_key key;
        part_key(&key, id, part);
        (void)lmdb_delete(txn, TABLE_BULKS, schema_key_bytes(&key));
    }
}

static int get_bulk(struct lmdb_txn *txn, uint64_t id, struct bulk **ret)
{
    _cleanup_(bulk_free_p) struct bulk *bulk = calloc(1, sizeof(*bulk));

    if (!bulk)
        return -ENOMEM;
    bulk->id = id;
    int r = get_part(txn, bulk, PART_INTENT);
    if (r == 0)
        r = get_part(txn, bulk, PART_PROGRESS);
    if (r == 0 && (bulk->verb > VERB_SET || bulk->retrying > BULK_RETRYING_DUE))
        r = -EBADMSG;
    if (r < 0)
        return r;
    *ret = TAKE_PTR(bulk);
    return 0;
}

/* The first bulk behind AFTER; 0 = there is none. */
static uint64_t next_id(struct lmdb_txn *txn, uint64_t after)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct schema_key key;

    schema_key_u64(&key, after + 1);
    lmdb_cursor_open(txn, TABLE_BULKS, &cursor);
    if (!lmdb_seek(&cursor, schema_key_bytes(&key)) || cursor.key.size != 9)
        return 0;
    return schema_get_u64(cursor.key.data);
}

void bulks_done(struct bulks *bulks)
{
    for (size_t i = 0; i < bulks->count; i++)
        bulk_free(bulks->list[i]);
    bulks->count = 0;
}

int bulks_load(struct lmdb_txn *txn, struct bulks *ret)
{
    *ret = (struct bulks){.count = 0};
    if (lmdb_entries(txn, TABLE_BULKS) == 0)
        return txn->error;
    for (uint64_t id = next_id(txn, 0); id != 0 && ret->count < BULKS_MAX; id = next_id(txn, id)) {
        int r = get_bulk(txn, id, &ret->list[ret->count]);
        if (r == 0)
            ret->count++;
        else if (r != -EBADMSG)
            return r;
    }
    return txn->error;
}

/* As it was said when it was said, though its turn may come later. */
static struct command verb_of(const struct bulk *bulk, bool flies)
{
    return (struct command){.type = COMMAND_VERB,
                            .verb = bulk->verb,
                            .change = &bulk->change,
                            .caller = bulk->caller,
                            .any_owner = bulk->any_owner,
                            .at = {.realtime_usec = bulk->at_usec},
                            .nothing_flies = !flies,
                            .items_count = SIZE_MAX}; /* one event for all stands with the intent */
}

int bulks_catch_up(const struct bulks *bulks, struct job *job, uint64_t *ret_covering)
{
    uint64_t covering = 0;

    for (size_t i = 0; i < bulks->count; i++) {
        const struct bulk *bulk = bulks->list[i];
        const struct command verb = verb_of(bulk, false);
        enum job_effect effect = JOB_UNCHANGED;
        const char *reason;
        if (!bulk_covers(bulk, job))
            continue;
        covering |= UINT64_C(1) << i;
        /* What the verb may not do to this job, it would not do in its step either. */
        int r = job_apply(job, &verb, &effect, &reason);
        if (r == -ENOMEM)
            return r;
        if (r == 0 && effect == JOB_REMOVED)
            return -ENOENT;
    }
    *ret_covering = covering;
    return 0;
}

void bulks_touch(struct lmdb_txn *txn, struct bulks *bulks, uint64_t covering, uint64_t id)
{
    for (size_t i = 0; i < bulks->count && txn->error == 0; i++) {
        if (covering >> i & 1)
            txn->error = bulk_touch(bulks->list[i], id);
    }
    bulks->changed |= covering;
}

void bulks_save(struct lmdb_txn *txn, struct bulks *bulks)
{
    for (size_t i = 0; i < bulks->count; i++) {
        if (bulks->changed >> i & 1)
            put_part(txn, bulks->list[i], PART_PROGRESS);
    }
    bulks->changed = 0;
}

static uint64_t newest_id(struct lmdb_txn *txn, size_t *ret_count)
{
    uint64_t newest = 0;

    *ret_count = 0;
    for (uint64_t id = next_id(txn, 0); id != 0; id = next_id(txn, id)) {
        newest = id;
        ++*ret_count;
    }
    return newest;
}

int bulk_apply_begin(struct store *store, struct lmdb_txn *txn, struct command *command)
{
    struct bulk *bulk = command->bulk;
    _cleanup_(bulks_done) struct bulks earlier = {.count = 0};
    _cleanup_(hidden_done) struct hidden hidden = {.count = 0};
    uint64_t refused = 0; /* that had ended when it came to them */
    size_t count;

    uint64_t newest = newest_id(txn, &count);
    if (count >= BULKS_MAX)
        return -EAGAIN;
    int r = bulks_load(txn, &earlier);
    if (r == 0)
        r = hidden_load(txn, &hidden);
    if (r < 0)
        return r;
    bulk->id = newest + 1;
    bulk->last_id = schema_next_id(txn) - 1;
    bulk->at_usec = command->at.realtime_usec;
    bulk->after = 0;
    /* A batch that is not whole yet comes later, though it has its ids. */
    r = bulk_exclude(bulk, hidden.ranges, hidden.count);
    if (r < 0)
        return r;
    /* What flies is stopped or changed with the intent, and not when its turn comes. */
    const struct command verb = verb_of(bulk, true);
    for (size_t i = 0; i < command->items_count && txn->error == 0; i++) {
        struct command_item *item = &command->items[i];
        item->result = apply_item(store, txn, &verb, &earlier, item);
        refused += item->result < 0;
        r = bulk_touch(bulk, item->id);
        if (r < 0)
            return txn->error = r;
    }
    bulks_save(txn, &earlier);
    journal_put_count(txn, bulk->caller, event_of_verb(bulk->verb), command->bulk_jobs - refused, command->at);
    put_part(txn, bulk, PART_INTENT);
    put_part(txn, bulk, PART_PROGRESS);
    return txn->error;
}

struct step {
    const struct bulk *bulk;
    struct command *command;
    size_t room;
    uint64_t reached; /* looked at up to here */
    bool is_last;     /* what follows is not meant */
};

static int take_job(const struct job *job, void *userdata)
{
    struct step *step = userdata;

    if (job->id > step->bulk->last_id) {
        step->is_last = true;
        return 1;
    }
    if (bulk_covers(step->bulk, job))
        step->command->items[step->command->items_count++].id = job->id;
    return 0;
}

static int collect(struct store *store, struct lmdb_txn *txn, struct step *step)
{
    const struct bulk *bulk = step->bulk;
    struct store_filter filter = {
        .any_owner = bulk->any_owner, .owner = bulk->caller, .group = bulk->group, .states = bulk->states};
    filter.ranges = bulk->ranges;
    filter.ranges_count = bulk->ranges_count;
    step->room = step->command->items_count;
    step->command->items_count = 0;
    int r = query_run(store, txn, NULL, &filter, bulk->after, step->room, take_job, step, &step->reached);
    if (r >= 0 && step->reached == 0)
        step->is_last = true;
    return r < 0 ? r : 0;
}

static int apply_items(struct store *store, struct lmdb_txn *txn, struct command *command, const struct bulk *bulk)
{
    /* What flew had its turn with the intent, and nothing starts before the last step. */
    const struct command verb = verb_of(bulk, false);

    for (size_t i = 0; i < command->items_count && txn->error == 0; i++) {
        int r = apply_item(store, txn, &verb, NULL, &command->items[i]);
        command->items[i].result = r;
        if (r == -ENOMEM)
            return txn->error = r;
    }
    return txn->error;
}

int bulk_apply_step(struct store *store, struct lmdb_txn *txn, struct command *command)
{
    _cleanup_(bulk_free_p) struct bulk *bulk = NULL;
    uint64_t id = next_id(txn, 0);

    if (id == 0) {
        command->items_count = 0;
        return txn->error;
    }
    int r = get_bulk(txn, id, &bulk);
    if (r == -EBADMSG) {
        command->bulk_was_lost = true;
        command->items_count = 0;
        remove_bulk(txn, id);
        return txn->error;
    }
    if (r < 0)
        return r;
    struct step step = {.bulk = bulk, .command = command};
    r = collect(store, txn, &step);
    if (r == 0)
        r = apply_items(store, txn, command, bulk);
    if (r < 0)
        return r;
    if (step.is_last) {
        remove_bulk(txn, id);
        return txn->error;
    }
    bulk_advance(bulk, step.reached);
    put_part(txn, bulk, PART_PROGRESS);
    return txn->error;
}

int store_bulks(struct store *store, size_t *ret_count, uint32_t *ret_verbs)
{
    _cleanup_read_ struct store_read read;
    _cleanup_(bulks_done) struct bulks bulks = {.count = 0};
    uint32_t verbs = 0;

    int r = store_read_begin(store, &read);
    if (r == 0)
        r = bulks_load(&read.txn, &bulks);
    if (r < 0)
        return r;
    for (size_t i = 0; i < bulks.count; i++)
        verbs |= UINT32_C(1) << bulks.list[i]->verb;
    *ret_count = lmdb_entries(&read.txn, TABLE_BULKS) / 2;
    *ret_verbs = verbs;
    return read.txn.error;
}
