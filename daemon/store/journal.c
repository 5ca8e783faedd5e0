/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/journal.h"

#include "store/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define EVENT_BYTES_MAX 4096
#define TRIMMED_AT_ONCE 2 /* more than one, so that a journal that is too long becomes shorter */

#define MEMBER(tag, kind, member) RECORD_MEMBER(event, tag, kind, member)

static const struct record_field fields[] = {
    MEMBER(1, NUMBER, at_usec),
    MEMBER(2, NUMBER, owner),
    MEMBER(3, NUMBER, type),
    MEMBER(4, NUMBER, job_id),
    MEMBER(5, NUMBER, count),
    MEMBER(6, STRING, name),
    MEMBER(7, NUMBER, next_attempt_usec),
    MEMBER(8, NUMBER, error_code),
    MEMBER(9, STRING, error_name),
    MEMBER(10, STRING, error_text),
};

static const struct record_type event_record = {
    .magic = {'B', 'E'},
    .format = 1,
    .bytes_max = EVENT_BYTES_MAX,
    .fields = fields,
    .fields_count = ELEMENTS(fields),
};

bool journal_counts(size_t count)
{
    return count > EVENTS_OF_COMMAND_MAX;
}

static uint64_t last_sequence(struct lmdb_txn *txn)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;

    lmdb_cursor_open(txn, TABLE_EVENTS, &cursor);
    if (lmdb_last(&cursor) && schema_is_u64(cursor.key))
        return schema_get_u64(cursor.key.data);
    return schema_first_event(txn) - 1;
}

static uint64_t first_sequence(struct lmdb_txn *txn)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;

    lmdb_cursor_open(txn, TABLE_EVENTS, &cursor);
    if (lmdb_seek(&cursor, (struct lmdb_bytes){0}) && schema_is_u64(cursor.key))
        return schema_get_u64(cursor.key.data);
    return schema_first_event(txn);
}

static void trim(struct lmdb_txn *txn)
{
    struct schema_key key;

    for (unsigned i = 0; i < TRIMMED_AT_ONCE && lmdb_entries(txn, TABLE_EVENTS) > EVENTS_MAX; i++) {
        schema_key_u64(&key, first_sequence(txn));
        (void)lmdb_delete(txn, TABLE_EVENTS, schema_key_bytes(&key));
    }
}

static uint64_t put(struct lmdb_txn *txn, const struct event *event)
{
    _cleanup_free_ void *record = NULL;
    struct schema_key key;
    size_t size = 0;

    int r = record_encode(&event_record, event, &record, &size);
    if (r < 0) {
        txn->error = r;
        return 0;
    }
    uint64_t sequence = last_sequence(txn) + 1;
    schema_key_u64(&key, sequence);
    lmdb_put(txn, TABLE_EVENTS, schema_key_bytes(&key), (struct lmdb_bytes){record, size});
    trim(txn);
    return sequence;
}

/* The texts are the job's own, and are not freed here. */
static struct event event_of(const struct command *command, const struct job *job, enum event_type type)
{
    const struct failure *failure = &job->failure;
    struct event event = {.at_usec = command->at.realtime_usec,
                          .owner = job->owner,
                          .type = type,
                          .job_id = job->id,
                          .count = 1,
                          .name = job->name};

    if (type == EVENT_RETRYING)
        event.next_attempt_usec = job->next_attempt_usec;
    if ((type == EVENT_RETRYING || type == EVENT_FAILED || type == EVENT_DONE) && failure->text[0] != '\0') {
        event.error_code = failure->code;
        event.error_name = (char *)(uintptr_t)failure->name;
        event.error_text = (char *)(uintptr_t)failure->text;
    }
    return event;
}

uint64_t journal_put_change(struct lmdb_txn *txn, const struct command *command, const struct job *before,
                            const struct job *after)
{
    const struct job *job = after ? after : before;
    enum event_type types[EVENTS_OF_CHANGE_MAX] = {EVENT_ADDED};
    size_t count = before ? events_of_change(command, before, after, types) : 1;
    uint64_t sequence = 0;

    assert(job);
    for (size_t i = 0; i < count; i++) {
        const struct event event = event_of(command, job, types[i]);
        sequence = put(txn, &event);
    }
    return sequence;
}

void journal_put_count(struct lmdb_txn *txn, uid_t owner, enum event_type type, uint64_t count, struct moment at)
{
    const struct event event = {.at_usec = at.realtime_usec, .owner = owner, .type = type, .count = count};

    if (count > 0)
        (void)put(txn, &event);
}

static int decode(const struct lmdb_cursor *cursor, struct event *ret)
{
    struct event event = {0};

    int r = record_decode(&event_record, cursor->value.data, cursor->value.size, &event);
    if (r == 0 && (event.type < EVENT_ADDED || event.type >= EVENT_TYPES))
        r = -EBADMSG;
    if (r < 0) {
        event_done(&event);
        return r;
    }
    event.sequence = schema_get_u64(cursor->key.data);
    *ret = event;
    return 0;
}

int store_events(struct store *store, bool any_owner, uid_t owner, uint64_t after, size_t limit,
                 int (*each)(const struct event *event, void *userdata), void *userdata, uint64_t *ret_next,
                 bool *ret_gap)
{
    _cleanup_read_ struct store_read read;
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    struct schema_key key;
    size_t rows = 0, looked_at = 0;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    uint64_t first = first_sequence(&read.txn), last = last_sequence(&read.txn);
    bool gap = after + 1 < first || after > last;
    if (gap)
        after = first - 1;
    schema_key_u64(&key, after + 1);
    lmdb_cursor_open(&read.txn, TABLE_EVENTS, &cursor);
    for (bool more = lmdb_seek(&cursor, schema_key_bytes(&key));
         more && r == 0 && rows < limit && looked_at < STORE_SCAN_ROWS_MAX; more = lmdb_next(&cursor)) {
        struct event event;
        looked_at++;
        after = schema_is_u64(cursor.key) ? schema_get_u64(cursor.key.data) : after;
        r = decode(&cursor, &event);
        if (r == -EBADMSG) { /* stops nothing else, but nobody will ever know what it told */
            gap = true;
            r = 0;
            continue;
        }
        if (r < 0)
            break;
        if (any_owner || event.owner == owner) {
            r = each(&event, userdata);
            rows++;
        }
        event_done(&event);
    }
    if (r < 0 || read.txn.error < 0)
        return r < 0 ? r : read.txn.error;
    *ret_next = after;
    *ret_gap = gap;
    return (int)rows;
}
