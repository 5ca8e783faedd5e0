/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/hook.h"

#include "store/record.h"
#include "store/schema.h"

#include "base/text.h"

#include <errno.h>

#define HOOK_BYTES_MAX 512

/* A hook as its record has it: members are as wide as records take them. Its key is the sequence. */
struct stored_hook {
    uint64_t sequence;
    uint64_t job_id;
    uint32_t outcome;
    char unit[HOOK_UNIT_MAX + 1];
};

#define MEMBER(tag, kind, member) RECORD_MEMBER(stored_hook, tag, kind, member)

static const struct record_field fields[] = {
    MEMBER(1, NUMBER, sequence),
    MEMBER(2, NUMBER, job_id),
    MEMBER(3, NUMBER, outcome),
    MEMBER(4, TEXT, unit),
};

static const struct record_type hook_record = {
    .magic = {'B', 'H'},
    .format = 1,
    .bytes_max = HOOK_BYTES_MAX,
    .fields = fields,
    .fields_count = ELEMENTS(fields),
};

int hook_note(struct lmdb_txn *txn, uint64_t sequence, const struct job *after)
{
    struct stored_hook stored = {.sequence = sequence, .job_id = after->id};
    _cleanup_free_ void *record = NULL;
    struct schema_key key;
    size_t size = 0;

    if (sequence == 0 || (after->state != JOB_DONE && after->state != JOB_FAILED))
        return 0;
    stored.outcome = after->state == JOB_DONE ? HOOK_DONE : HOOK_FAILED;
    if (!after->hooks[stored.outcome])
        return 0;
    if (lmdb_entries(txn, TABLE_HOOKS) >= HOOKS_PENDING_MAX)
        return -EDQUOT;
    (void)text_copy(stored.unit, sizeof(stored.unit), after->hooks[stored.outcome]);
    int r = record_encode(&hook_record, &stored, &record, &size);
    if (r < 0) {
        txn->error = r;
        return r;
    }
    schema_key_u64(&key, sequence);
    lmdb_put(txn, TABLE_HOOKS, schema_key_bytes(&key), (struct lmdb_bytes){record, size});
    return 1;
}

void hook_apply_done(struct lmdb_txn *txn, const struct command *command)
{
    struct schema_key key;

    schema_key_u64(&key, command->hook_sequence);
    (void)lmdb_delete(txn, TABLE_HOOKS, schema_key_bytes(&key));
}

static int decode(const struct lmdb_cursor *cursor, struct hook *ret)
{
    struct stored_hook stored = {.sequence = 0};
    uint64_t sequence = schema_get_u64(cursor->key.data);

    int r = record_decode(&hook_record, cursor->value.data, cursor->value.size, &stored);
    if (r < 0)
        return r;
    if (stored.sequence != sequence || stored.outcome >= HOOK_OUTCOMES || hook_unit_fault(stored.unit))
        return -EBADMSG;
    *ret = (struct hook){.sequence = sequence, .job_id = stored.job_id, .outcome = (enum hook_outcome)stored.outcome};
    (void)text_copy(ret->unit, sizeof(ret->unit), stored.unit);
    return 0;
}

int store_hooks(struct store *store, uint64_t after, size_t limit,
                int (*each)(const struct hook *hook, bool is_known, void *userdata), void *userdata)
{
    _cleanup_read_ struct store_read read;
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    struct schema_key key;
    size_t count = 0;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    schema_key_u64(&key, after + 1);
    lmdb_cursor_open(&read.txn, TABLE_HOOKS, &cursor);
    for (bool more = lmdb_seek(&cursor, schema_key_bytes(&key)); more && r == 0 && count < limit;
         more = lmdb_next(&cursor)) {
        struct hook hook = {0};
        if (!schema_is_u64(cursor.key))
            continue;
        count++;
        r = decode(&cursor, &hook);
        bool is_known = r == 0;
        if (r == -EBADMSG) {
            hook.sequence = schema_get_u64(cursor.key.data);
            r = 0;
        }
        if (r == 0)
            r = each(&hook, is_known, userdata);
    }
    if (r < 0 || read.txn.error < 0)
        return r < 0 ? r : read.txn.error;
    return (int)count;
}
