/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/group.h"

#include "store/record.h"
#include "store/schema.h"

#include <errno.h>
#include <string.h>

#define GROUP_BYTES_MAX 512
#define OWNER_BYTES     4 /* of a key, before the name */

/* A group as its record has it: members are as wide as records take them. */
struct stored_group {
    uint32_t owner;
    char name[JOB_GROUP_MAX + 1];
    uint64_t max_active;
    uint64_t rate_bytes;
    uint32_t network;
    uint32_t power;
    char window[WINDOW_TEXT_MAX + 1];
    bool paused;
};

#define MEMBER(tag, kind, member) RECORD_MEMBER(stored_group, tag, kind, member)

static const struct record_field fields[] = {
    MEMBER(1, NUMBER, owner),   MEMBER(2, TEXT, name),    MEMBER(3, NUMBER, max_active), MEMBER(4, NUMBER, rate_bytes),
    MEMBER(5, NUMBER, network), MEMBER(6, NUMBER, power), MEMBER(7, TEXT, window),       MEMBER(8, FLAG, paused),
};

static const struct record_type group_record = {
    .magic = {'B', 'G'},
    .format = 1,
    .bytes_max = GROUP_BYTES_MAX,
    .fields = fields,
    .fields_count = ELEMENTS(fields),
};

int group_encode(uid_t owner, const struct group *group, void **ret, size_t *ret_size)
{
    struct stored_group stored = {.owner = owner,
                                  .max_active = group->max_active,
                                  .rate_bytes = group->rate_bytes,
                                  .network = group->policy.network,
                                  .power = group->policy.power,
                                  .paused = group->paused};

    if (group_validate(group, NULL) < 0)
        return -EINVAL;
    memcpy(stored.name, group->name, sizeof(stored.name));
    memcpy(stored.window, group->policy.window, sizeof(stored.window));
    return record_encode(&group_record, &stored, ret, ret_size);
}

int group_decode(const void *bytes, size_t size, uid_t *ret_owner, struct group *ret)
{
    struct stored_group stored = {.owner = 0};

    int r = record_decode(&group_record, bytes, size, &stored);
    if (r < 0)
        return r;
    if (stored.network > NETWORK_UNMETERED || stored.power > UINT8_MAX)
        return -EBADMSG;
    struct group group = {.max_active = stored.max_active,
                          .rate_bytes = stored.rate_bytes,
                          .policy = {.network = (enum policy_network)stored.network, .power = (uint8_t)stored.power},
                          .paused = stored.paused};
    memcpy(group.name, stored.name, sizeof(group.name));
    memcpy(group.policy.window, stored.window, sizeof(group.policy.window));
    if (group_validate(&group, NULL) < 0)
        return -EBADMSG;
    *ret_owner = stored.owner;
    *ret = group;
    return 0;
}

static uid_t key_owner(struct lmdb_bytes key)
{
    const uint8_t *at = key.data;

    return (uid_t)at[0] << 24 | (uid_t)at[1] << 16 | (uid_t)at[2] << 8 | (uid_t)at[3];
}

/* What stands under KEY. -EBADMSG also where that is the record of another group. */
static int decode_entry(struct lmdb_bytes key, struct lmdb_bytes record, struct group *ret)
{
    struct group group;
    uid_t owner;

    int r = group_decode(record.data, record.size, &owner, &group);
    if (r < 0)
        return r;
    size_t length = strlen(group.name);
    if (owner != key_owner(key) || key.size != OWNER_BYTES + length ||
        memcmp((const char *)key.data + OWNER_BYTES, group.name, length) != 0)
        return -EBADMSG;
    *ret = group;
    return 0;
}

static bool is_entry(struct lmdb_bytes key)
{
    return key.size > OWNER_BYTES && key.size <= OWNER_BYTES + JOB_GROUP_MAX;
}

/* Room for one more: -EUSERS where the owner has too many, -EDQUOT where all together have. */
static int check_room(struct lmdb_txn *txn, uid_t owner)
{
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    struct schema_key first;
    size_t count = 0;

    if (lmdb_entries(txn, TABLE_GROUPS_SETTINGS) >= GROUPS_MAX)
        return -EDQUOT;
    schema_key_group_settings(&first, owner, "");
    lmdb_cursor_open(txn, TABLE_GROUPS_SETTINGS, &cursor);
    for (bool more = lmdb_seek(&cursor, schema_key_bytes(&first));
         more && is_entry(cursor.key) && key_owner(cursor.key) == owner; more = lmdb_next(&cursor))
        if (++count >= GROUPS_MAX_PER_USER)
            return -EUSERS;
    return txn->error;
}

int group_apply_set(struct lmdb_txn *txn, struct command *command)
{
    _cleanup_free_ void *bytes = NULL;
    struct schema_key key;
    struct lmdb_bytes record;
    struct group group;
    size_t size = 0;
    int r = 0;

    group_init(&group, command->group.to.name);
    schema_key_group_settings(&key, command->caller, group.name);
    if (!lmdb_get(txn, TABLE_GROUPS_SETTINGS, schema_key_bytes(&key), &record))
        r = txn->error < 0 ? txn->error : check_room(txn, command->caller);
    else if (decode_entry(schema_key_bytes(&key), record, &group) == -EBADMSG)
        group_init(&group, command->group.to.name); /* nobody knows what it said: it begins anew */
    if (r == 0)
        r = group_change_apply(&command->group, &group, NULL);
    if (r == 0)
        r = group_encode(command->caller, &group, &bytes, &size);
    if (r < 0)
        return r;
    lmdb_put(txn, TABLE_GROUPS_SETTINGS, schema_key_bytes(&key), (struct lmdb_bytes){bytes, size});
    command->group_after = group;
    return txn->error;
}

int group_apply_remove(struct lmdb_txn *txn, const struct command *command)
{
    struct schema_key key;

    schema_key_group_settings(&key, command->caller, command->group.to.name);
    if (lmdb_delete(txn, TABLE_GROUPS_SETTINGS, schema_key_bytes(&key)))
        return 0;
    if (txn->error < 0)
        return txn->error;
    /* It exists also without settings: there is nothing to take back. */
    return group_is_default(command->group.to.name) ? 0 : -ENOENT;
}

int store_groups(struct store *store,
                 int (*each)(uid_t owner, const struct group *group, bool is_known, void *userdata), void *userdata)
{
    _cleanup_read_ struct store_read read;
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    size_t count = 0;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    lmdb_cursor_open(&read.txn, TABLE_GROUPS_SETTINGS, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more && r == 0 && count < GROUPS_MAX;
         more = lmdb_next(&cursor)) {
        struct group group;
        if (!is_entry(cursor.key))
            continue;
        count++;
        r = decode_entry(cursor.key, cursor.value, &group);
        bool is_known = r == 0;
        if (r == -EBADMSG) {
            char name[JOB_GROUP_MAX + 1] = "";
            memcpy(name, (const char *)cursor.key.data + OWNER_BYTES, cursor.key.size - OWNER_BYTES);
            group_init(&group, name);
            r = 0;
        }
        if (r == 0)
            r = each(key_owner(cursor.key), &group, is_known, userdata);
    }
    return r < 0 ? r : read.txn.error;
}
