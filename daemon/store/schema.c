/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/schema.h"

#include "store/codec.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define MAGIC "bitsq queue"

#define LITERAL(text) ((struct lmdb_bytes){(text), sizeof(text) - 1})

static const struct lmdb_bytes nothing = {"", 0};

static void key_add_number(struct schema_key *key, uint64_t number, size_t width)
{
    assert(key->size + width <= sizeof(key->bytes));
    for (size_t i = 0; i < width; i++)
        key->bytes[key->size + i] = (uint8_t)(number >> (8 * (width - 1 - i)));
    key->size += width;
}

static void key_add_bytes(struct schema_key *key, const char *bytes, size_t size)
{
    assert(key->size + size <= sizeof(key->bytes));
    memcpy(key->bytes + key->size, bytes, size);
    key->size += size;
}

void schema_key_u64(struct schema_key *key, uint64_t number)
{
    key->size = 0;
    key_add_number(key, number, 8);
}

void schema_key_state(struct schema_key *key, uid_t owner, enum job_state state, uint64_t id)
{
    key->size = 0;
    key_add_number(key, owner, 4);
    key_add_number(key, state, 1);
    key_add_number(key, id, 8);
}

static void key_count(struct schema_key *key, uid_t owner, enum job_state state)
{
    key->size = 0;
    key_add_number(key, owner, 4);
    key_add_number(key, state, 1);
}

void schema_key_sched(struct schema_key *key, uint64_t lane, uint64_t due_usec, uint64_t id)
{
    key->size = 0;
    key_add_number(key, lane, 8);
    key_add_number(key, due_usec, 8);
    key_add_number(key, id, 8);
}

void schema_key_key(struct schema_key *key, uid_t owner, const char *text)
{
    key->size = 0;
    key_add_number(key, owner, 4);
    key_add_bytes(key, text, strlen(text));
}

void schema_key_group(struct schema_key *key, uid_t owner, const char *group, uint64_t id)
{
    key->size = 0;
    key_add_number(key, owner, 4);
    key_add_bytes(key, group, strlen(group) + 1);
    key_add_number(key, id, 8);
}

bool schema_has_group_entry(const struct job *job)
{
    return strcmp(job->group, "default") != 0;
}

void schema_key_owner(struct schema_key *key, uid_t owner)
{
    key->size = 0;
    key_add_number(key, owner, 4);
}

void schema_key_group_settings(struct schema_key *key, uid_t owner, const char *group)
{
    key->size = 0;
    key_add_number(key, owner, 4);
    key_add_bytes(key, group, strlen(group));
}

void schema_key_finished(struct schema_key *key, uint64_t finished_usec, uint64_t id)
{
    key->size = 0;
    key_add_number(key, finished_usec, 8);
    key_add_number(key, id, 8);
}

void schema_key_deadline(struct schema_key *key, uint64_t deadline_usec, uint64_t id)
{
    key->size = 0;
    key_add_number(key, deadline_usec, 8);
    key_add_number(key, id, 8);
}

static void key_lane(struct schema_key *key, const struct job *job)
{
    const struct policy *policy = &job->options.policy;

    key->size = 0;
    key_add_number(key, job->owner, 4);
    key_add_number(key, job->priority, 1);
    key_add_number(key, policy_is_empty(policy) ? 0 : 1, 1);
    key_add_bytes(key, job->group, strlen(job->group) + 1);
    key_add_bytes(key, job->host, strlen(job->host));
    if (policy_is_empty(policy))
        return;
    key_add_bytes(key, "", 1);
    key_add_number(key, policy->network, 1);
    key_add_number(key, policy->power, 1);
    key_add_bytes(key, policy->window, strlen(policy->window));
}

struct lmdb_bytes schema_key_bytes(const struct schema_key *key)
{
    return (struct lmdb_bytes){key->bytes, key->size};
}

uint64_t schema_get_u64(const void *bytes)
{
    const uint8_t *at = bytes;
    uint64_t number = 0;

    for (size_t i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

bool schema_is_u64(struct lmdb_bytes bytes)
{
    return bytes.size == 8;
}

static uint64_t get_number(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key)
{
    struct lmdb_bytes value;

    return lmdb_get(txn, table, key, &value) && schema_is_u64(value) ? schema_get_u64(value.data) : 0;
}

static void put_number(struct lmdb_txn *txn, enum lmdb_table table, struct lmdb_bytes key, uint64_t number)
{
    struct schema_key value;

    schema_key_u64(&value, number);
    lmdb_put(txn, table, key, schema_key_bytes(&value));
}

size_t schema_tables(uint64_t version)
{
    return version < 2 ? TABLE_GROUPS : version < 3 ? TABLE_GROUPS_SETTINGS : LMDB_TABLES;
}

void schema_set_version(struct lmdb_txn *txn, uint64_t version)
{
    put_number(txn, TABLE_META, LITERAL("schema"), version);
}

void schema_create(struct lmdb_txn *txn, const uint8_t uuid[static SCHEMA_UUID_BYTES], uint64_t first_id,
                   uint64_t first_event)
{
    lmdb_put(txn, TABLE_META, LITERAL("magic"), LITERAL(MAGIC));
    schema_set_version(txn, SCHEMA_VERSION);
    lmdb_put(txn, TABLE_META, LITERAL("uuid"), (struct lmdb_bytes){uuid, SCHEMA_UUID_BYTES});
    put_number(txn, TABLE_META, LITERAL("next-id"), first_id);
    put_number(txn, TABLE_META, LITERAL("next-lane"), 1);
    put_number(txn, TABLE_META, LITERAL("first-event"), first_event);
}

int schema_check(struct lmdb_txn *txn, uint8_t ret_uuid[static SCHEMA_UUID_BYTES], uint64_t *ret_version)
{
    struct lmdb_bytes magic, uuid;

    if (!lmdb_get(txn, TABLE_META, LITERAL("magic"), &magic))
        return txn->error < 0 ? txn->error : -EUCLEAN;
    if (magic.size != strlen(MAGIC) || memcmp(magic.data, MAGIC, magic.size) != 0)
        return -EUCLEAN;
    uint64_t version = get_number(txn, TABLE_META, LITERAL("schema"));
    if (version > SCHEMA_VERSION)
        return -EPROTO;
    if (version == 0 || get_number(txn, TABLE_META, LITERAL("next-id")) == 0)
        return txn->error < 0 ? txn->error : -EUCLEAN;
    if (!lmdb_get(txn, TABLE_META, LITERAL("uuid"), &uuid) || uuid.size != SCHEMA_UUID_BYTES)
        return txn->error < 0 ? txn->error : -EUCLEAN;
    memcpy(ret_uuid, uuid.data, SCHEMA_UUID_BYTES);
    *ret_version = version;
    return 0;
}

uint64_t schema_first_event(struct lmdb_txn *txn)
{
    uint64_t first = get_number(txn, TABLE_META, LITERAL("first-event"));

    return first > 0 ? first : 1;
}

uint64_t schema_rate_limit(struct lmdb_txn *txn)
{
    struct lmdb_bytes value;

    if (!lmdb_get(txn, TABLE_META, LITERAL("rate-limit"), &value) || !schema_is_u64(value))
        return RATE_LIMIT_UNCHOSEN;
    return schema_get_u64(value.data);
}

void schema_set_rate_limit(struct lmdb_txn *txn, uint64_t rate_limit)
{
    if (rate_limit == RATE_LIMIT_UNCHOSEN)
        (void)lmdb_delete(txn, TABLE_META, LITERAL("rate-limit"));
    else
        put_number(txn, TABLE_META, LITERAL("rate-limit"), rate_limit);
}

uint64_t schema_totals_since(struct lmdb_txn *txn)
{
    return get_number(txn, TABLE_META, LITERAL("totals-since"));
}

void schema_set_totals_since(struct lmdb_txn *txn, uint64_t usec)
{
    put_number(txn, TABLE_META, LITERAL("totals-since"), usec);
}

uint64_t schema_next_id(struct lmdb_txn *txn)
{
    return get_number(txn, TABLE_META, LITERAL("next-id"));
}

void schema_set_next_id(struct lmdb_txn *txn, uint64_t id)
{
    put_number(txn, TABLE_META, LITERAL("next-id"), id);
}

int schema_decode(struct lmdb_bytes record, uint64_t id, struct job **ret)
{
    _cleanup_(job_free_p) struct job *job = NULL;
    int r = codec_decode_job(record.data, record.size, &job);

    if (r < 0)
        return r;
    if (job->id != id)
        return -EBADMSG;
    *ret = TAKE_PTR(job);
    return 0;
}

int schema_get_job(struct lmdb_txn *txn, uint64_t id, struct job **ret)
{
    struct schema_key key;
    struct lmdb_bytes record;

    schema_key_u64(&key, id);
    if (!lmdb_get(txn, TABLE_JOBS, schema_key_bytes(&key), &record))
        return txn->error < 0 ? txn->error : -ENOENT;
    return schema_decode(record, id, ret);
}

int schema_find_key(struct lmdb_txn *txn, uid_t owner, const char *text, uint64_t *ret_id)
{
    struct schema_key key;
    struct lmdb_bytes value;

    schema_key_key(&key, owner, text);
    if (!lmdb_get(txn, TABLE_KEYS, schema_key_bytes(&key), &value) || !schema_is_u64(value))
        return txn->error < 0 ? txn->error : -ENOENT;
    *ret_id = schema_get_u64(value.data);
    return 0;
}

static void add_count(struct lmdb_txn *txn, uid_t owner, enum job_state state, bool up)
{
    struct schema_key key;

    key_count(&key, owner, state);
    uint64_t count = get_number(txn, TABLE_COUNTS, schema_key_bytes(&key));
    if (!up && count <= 1)
        (void)lmdb_delete(txn, TABLE_COUNTS, schema_key_bytes(&key));
    else
        put_number(txn, TABLE_COUNTS, schema_key_bytes(&key), up ? count + 1 : count - 1);
}

void schema_add_counts(struct lmdb_txn *txn, uid_t owner, enum job_state state, uint64_t more)
{
    struct schema_key key;

    key_count(&key, owner, state);
    if (more > 0)
        put_number(txn, TABLE_COUNTS, schema_key_bytes(&key),
                   get_number(txn, TABLE_COUNTS, schema_key_bytes(&key)) + more);
}

void schema_uncount(struct lmdb_txn *txn, const uint8_t state_key[static 5])
{
    uid_t owner =
        (uid_t)state_key[0] << 24 | (uid_t)state_key[1] << 16 | (uid_t)state_key[2] << 8 | (uid_t)state_key[3];

    add_count(txn, owner, state_key[4], false);
}

void schema_count(struct lmdb_txn *txn, bool any_owner, uid_t owner, uint64_t ret_counts[static JOB_STATES])
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct schema_key key;

    for (size_t i = 0; i < JOB_STATES; i++)
        ret_counts[i] = 0;
    key_count(&key, any_owner ? 0 : owner, 0);
    lmdb_cursor_open(txn, TABLE_COUNTS, &cursor);
    for (bool more = lmdb_seek(&cursor, schema_key_bytes(&key)); more; more = lmdb_next(&cursor)) {
        const uint8_t *at = cursor.key.data;
        if (!any_owner && memcmp(at, key.bytes, 4) != 0)
            break;
        if (cursor.key.size == 5 && at[4] < JOB_STATES && schema_is_u64(cursor.value))
            ret_counts[at[4]] += schema_get_u64(cursor.value.data);
    }
}

static uint64_t lane_take(struct lmdb_txn *txn, const struct job *job)
{
    struct schema_key key, id;

    key_lane(&key, job);
    uint64_t lane = get_number(txn, TABLE_LANE_IDS, schema_key_bytes(&key));
    if (lane != 0)
        return lane;
    lane = get_number(txn, TABLE_META, LITERAL("next-lane"));
    put_number(txn, TABLE_META, LITERAL("next-lane"), lane + 1);
    put_number(txn, TABLE_LANE_IDS, schema_key_bytes(&key), lane);
    schema_key_u64(&id, lane);
    lmdb_put(txn, TABLE_LANES, schema_key_bytes(&id), schema_key_bytes(&key));
    return lane;
}

static bool lane_is_empty(struct lmdb_txn *txn, uint64_t lane)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    struct schema_key first;

    schema_key_sched(&first, lane, 0, 0);
    lmdb_cursor_open(txn, TABLE_SCHED, &cursor);
    return !lmdb_seek(&cursor, schema_key_bytes(&first)) || memcmp(cursor.key.data, first.bytes, 8) != 0;
}

void schema_drop_empty_lane(struct lmdb_txn *txn, uint64_t lane)
{
    struct schema_key id, key = {.size = 0};
    struct lmdb_bytes value;

    if (!lane_is_empty(txn, lane))
        return;
    schema_key_u64(&id, lane);
    if (!lmdb_get(txn, TABLE_LANES, schema_key_bytes(&id), &value) || value.size > sizeof(key.bytes))
        return;
    key_add_bytes(&key, value.data, value.size);
    (void)lmdb_delete(txn, TABLE_LANE_IDS, schema_key_bytes(&key));
    (void)lmdb_delete(txn, TABLE_LANES, schema_key_bytes(&id));
}

/* Host, NUL, and what its jobs chose. */
static int get_policy(const uint8_t *bytes, size_t size, size_t *ret_host_size, struct policy *ret)
{
    const uint8_t *nul = memchr(bytes, '\0', size);
    size_t host_size = nul ? (size_t)(nul - bytes) : size;
    struct policy policy = {.network = NETWORK_UNCHOSEN};

    if (size - host_size < 3 || size - host_size - 3 > WINDOW_TEXT_MAX)
        return -EUCLEAN;
    policy.network = nul[1];
    policy.power = nul[2];
    memcpy(policy.window, nul + 3, size - host_size - 3);
    if (policy_fault(&policy))
        return -EUCLEAN;
    *ret_host_size = host_size;
    *ret = policy;
    return 0;
}

int schema_get_lane(struct lmdb_txn *txn, uint64_t lane, struct store_lane *ret)
{
    struct schema_key id;
    struct lmdb_bytes value;
    struct store_lane out = {.lane = lane};

    schema_key_u64(&id, lane);
    if (!lmdb_get(txn, TABLE_LANES, schema_key_bytes(&id), &value))
        return txn->error < 0 ? txn->error : -ENOENT;
    const uint8_t *at = value.data;
    const uint8_t *nul = value.size > 6 ? memchr(at + 6, '\0', value.size - 6) : NULL;
    if (!nul || at[4] > PRIORITY_LOW)
        return -EUCLEAN;
    size_t group_size = (size_t)(nul - (at + 6)), host_size = value.size - 6 - group_size - 1;
    const uint8_t *host = nul + 1;
    if (at[5] != 0) {
        int r = get_policy(host, host_size, &host_size, &out.policy);
        if (r < 0)
            return r;
    }
    if (group_size > JOB_GROUP_MAX || host_size > JOB_HOST_MAX)
        return -EUCLEAN;
    out.owner = (uid_t)at[0] << 24 | (uid_t)at[1] << 16 | (uid_t)at[2] << 8 | (uid_t)at[3];
    out.priority = at[4];
    memcpy(out.group, at + 6, group_size);
    memcpy(out.host, host, host_size);
    *ret = out;
    return 0;
}

/* The entry of JOB in the scheduler's index. False where it has none. */
static bool sched_due(const struct job *job, uint64_t *ret_due_usec)
{
    if (!job_state_is_runnable(job->state))
        return false;
    *ret_due_usec = job_due_usec(job);
    return true;
}

static void sched_remove(struct lmdb_txn *txn, const struct job *job, uint64_t *ret_lane)
{
    struct schema_key key, lane_key;
    uint64_t due;

    if (!sched_due(job, &due))
        return;
    key_lane(&lane_key, job);
    uint64_t lane = get_number(txn, TABLE_LANE_IDS, schema_key_bytes(&lane_key));
    schema_key_sched(&key, lane, due, job->id);
    if (lane != 0 && lmdb_delete(txn, TABLE_SCHED, schema_key_bytes(&key)))
        *ret_lane = lane;
}

static void sched_add(struct lmdb_txn *txn, const struct job *job)
{
    struct schema_key key;
    uint64_t due;

    if (!sched_due(job, &due))
        return;
    schema_key_sched(&key, lane_take(txn, job), due, job->id);
    lmdb_put(txn, TABLE_SCHED, schema_key_bytes(&key), nothing);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_lane(const struct job *a, const struct job *b)
{
    return a->priority == b->priority && strcmp(a->group, b->group) == 0 && strcmp(a->host, b->host) == 0 &&
           policy_equal(&a->options.policy, &b->options.policy);
}

static void index_group(struct lmdb_txn *txn, const struct job *before, const struct job *after)
{
    struct schema_key key;

    if (before && after && strcmp(before->group, after->group) == 0)
        return;
    if (before && schema_has_group_entry(before)) {
        schema_key_group(&key, before->owner, before->group, before->id);
        (void)lmdb_delete(txn, TABLE_GROUPS, schema_key_bytes(&key));
    }
    if (after && schema_has_group_entry(after)) {
        schema_key_group(&key, after->owner, after->group, after->id);
        lmdb_put(txn, TABLE_GROUPS, schema_key_bytes(&key), nothing);
    }
}

static uint64_t deadline_of(const struct job *job)
{
    return job && job_has_deadline(job) ? job->options.deadline_usec : 0;
}

static void index_deadline(struct lmdb_txn *txn, const struct job *before, const struct job *after)
{
    uint64_t old = deadline_of(before), new = deadline_of(after);
    struct schema_key key;

    if (old == new)
        return;
    if (old != 0) {
        schema_key_deadline(&key, old, before->id);
        (void)lmdb_delete(txn, TABLE_DEADLINES, schema_key_bytes(&key));
    }
    if (new != 0) {
        schema_key_deadline(&key, new, after->id);
        lmdb_put(txn, TABLE_DEADLINES, schema_key_bytes(&key), nothing);
    }
}

/* Entries that stay as they are cost nothing: a checkpoint writes the record alone. */
static void index_change(struct lmdb_txn *txn, const struct job *before, const struct job *after, bool counts)
{
    const struct job *job = after ? after : before;
    struct schema_key key;
    uint64_t due_before = 0, due_after = 0, lane = 0;
    bool was_runnable = before && sched_due(before, &due_before), is_runnable = after && sched_due(after, &due_after);

    if (!before || !after || before->state != after->state) {
        if (before) {
            schema_key_state(&key, before->owner, before->state, before->id);
            (void)lmdb_delete(txn, TABLE_STATE, schema_key_bytes(&key));
            if (counts)
                add_count(txn, before->owner, before->state, false);
        }
        if (after) {
            schema_key_state(&key, after->owner, after->state, after->id);
            lmdb_put(txn, TABLE_STATE, schema_key_bytes(&key), nothing);
            if (counts)
                add_count(txn, after->owner, after->state, true);
        }
    }
    index_group(txn, before, after);
    index_deadline(txn, before, after);
    if (!same_text(before ? before->key : NULL, after ? after->key : NULL)) {
        if (before && before->key) {
            schema_key_key(&key, before->owner, before->key);
            (void)lmdb_delete(txn, TABLE_KEYS, schema_key_bytes(&key));
        }
        if (after && after->key) {
            schema_key_key(&key, after->owner, after->key);
            put_number(txn, TABLE_KEYS, schema_key_bytes(&key), after->id);
        }
    }
    if ((before ? before->finished_usec : 0) != (after ? after->finished_usec : 0)) {
        schema_key_finished(&key, before ? before->finished_usec : 0, job->id);
        if (before && before->finished_usec != 0)
            (void)lmdb_delete(txn, TABLE_FINISHED, schema_key_bytes(&key));
        schema_key_finished(&key, after ? after->finished_usec : 0, job->id);
        if (after && after->finished_usec != 0)
            lmdb_put(txn, TABLE_FINISHED, schema_key_bytes(&key), nothing);
    }
    if (was_runnable != is_runnable || due_before != due_after || (before && after && !same_lane(before, after))) {
        /* The new entry first, so that a lane with one job does not come and go. */
        if (after)
            sched_add(txn, after);
        if (before)
            sched_remove(txn, before, &lane);
        if (lane != 0)
            schema_drop_empty_lane(txn, lane);
    }
}

static int put_job(struct lmdb_txn *txn, const struct job *before, const struct job *after, bool counts)
{
    _cleanup_free_ void *record = NULL;
    struct schema_key key;
    size_t size = 0;

    int r = codec_encode_job(after, &record, &size);
    if (r < 0)
        return r;
    assert(!before || (before->id == after->id && before->owner == after->owner));
    index_change(txn, before, after, counts);
    schema_key_u64(&key, after->id);
    lmdb_put(txn, TABLE_JOBS, schema_key_bytes(&key), (struct lmdb_bytes){record, size});
    return 0;
}

int schema_put_job(struct lmdb_txn *txn, const struct job *before, const struct job *after)
{
    return put_job(txn, before, after, true);
}

int schema_put_staged(struct lmdb_txn *txn, const struct job *job)
{
    return put_job(txn, NULL, job, false);
}

static void remove_job(struct lmdb_txn *txn, const struct job *job, bool counts)
{
    struct schema_key key;

    index_change(txn, job, NULL, counts);
    schema_key_u64(&key, job->id);
    (void)lmdb_delete(txn, TABLE_JOBS, schema_key_bytes(&key));
}

void schema_remove_job(struct lmdb_txn *txn, const struct job *job)
{
    remove_job(txn, job, true);
}

void schema_remove_staged(struct lmdb_txn *txn, const struct job *job)
{
    remove_job(txn, job, false);
}
