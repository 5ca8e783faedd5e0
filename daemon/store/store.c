/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/batch.h"
#include "store/bulk.h"
#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int start_writer(struct store *store)
{
    sigset_t all, before;

    /* Signals are the loop's business. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&store->thread, NULL, writer_run, store);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    store->thread_runs = r == 0;
    return -r;
}

static struct store *store_new(const struct store_options *options, const struct store_sizes *sizes)
{
    struct store *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    if (asprintf(&store->folder, "%s/" QUEUE_NAME, options->directory) < 0) {
        free(store);
        return NULL;
    }
    store->directory_fd = options->directory_fd;
    store->jobs_max = options->jobs_max;
    store->jobs_max_per_user = options->jobs_max_per_user;
    store->sizes = *sizes;
    store->mailbox = options->mailbox;
    TAILQ_INIT(&store->waiting);
    (void)pthread_rwlock_init(&store->env_lock, NULL);
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->wake, NULL);
    return store;
}

int store_open_sized(const struct store_options *options, const struct store_sizes *sizes, struct store **ret,
                     struct store_report *ret_report)
{
    _cleanup_(store_close_p) struct store *store = store_new(options, sizes);

    *ret_report = (struct store_report){0};
    if (!store)
        return -ENOMEM;
    int r = recover_queue(options, sizes, store->folder, &store->env, &store->marker, ret_report);
    if (r < 0)
        return r;
    r = start_writer(store);
    if (r < 0) {
        (void)snprintf(ret_report->reason, sizeof(ret_report->reason), "the store's thread could not be started: %s",
                       strerror(-r));
        return r;
    }
    *ret = TAKE_PTR(store);
    return 0;
}

int store_open(const struct store_options *options, struct store **ret, struct store_report *ret_report)
{
    static const struct store_sizes sizes = {.map_bytes = STORE_MAP_BYTES,
                                             .reserve_bytes = STORE_RESERVE_BYTES,
                                             .compact_min_bytes = STORE_COMPACT_MIN_BYTES,
                                             .compact_live_max_bytes = STORE_COMPACT_LIVE_MAX_BYTES};

    return store_open_sized(options, &sizes, ret, ret_report);
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    if (store->thread_runs) {
        (void)pthread_mutex_lock(&store->lock);
        store->stop = true;
        (void)pthread_cond_signal(&store->wake);
        (void)pthread_mutex_unlock(&store->lock);
        (void)pthread_join(store->thread, NULL);
    }
    assert(TAILQ_EMPTY(&store->waiting));
    lmdb_close(store->env);
    (void)pthread_rwlock_destroy(&store->env_lock);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_cond_destroy(&store->wake);
    free(store->folder);
    free(store);
    return NULL;
}

void store_submit(struct store *store, struct command *command)
{
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);

    TAILQ_INSERT_TAIL(&list, &command->message, entry);
    store_submit_all(store, &list);
}

void store_submit_all(struct store *store, struct message_list *list)
{
    (void)pthread_mutex_lock(&store->lock);
    TAILQ_CONCAT(&store->waiting, list, entry);
    (void)pthread_mutex_unlock(&store->lock);
    /* Behind the lock: the writer that wakes up would only wait for it. */
    (void)pthread_cond_signal(&store->wake);
}

void store_suspect(struct store *store, uint64_t id)
{
    bool known = false;

    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < store->suspects_count && !known; i++)
        known = store->suspects[i] == id;
    if (!known && store->suspects_count < STORE_SUSPECTS_MAX) {
        store->suspects[store->suspects_count++] = id;
        (void)pthread_cond_signal(&store->wake);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

int store_read_begin(struct store *store, struct store_read *read)
{
    *read = (struct store_read){0};
    (void)pthread_rwlock_rdlock(&store->env_lock);
    if (!store->env) {
        (void)pthread_rwlock_unlock(&store->env_lock);
        return -EIO;
    }
    read->store = store;
    lmdb_begin_read(store->env, &read->txn);
    return read->txn.error;
}

void store_read_end(struct store_read *read)
{
    if (!read->store)
        return;
    lmdb_abort(&read->txn);
    (void)pthread_rwlock_unlock(&read->store->env_lock);
    read->store = NULL;
}

int store_get(struct store *store, uint64_t id, struct job **ret)
{
    _cleanup_read_ struct store_read read;
    _cleanup_(bulks_done) struct bulks bulks = {.count = 0};
    _cleanup_(job_free_p) struct job *job = NULL;
    uint64_t covering;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    r = batch_check_visible(&read.txn, id);
    if (r == 0)
        r = schema_get_job(&read.txn, id, &job);
    if (r == 0)
        r = bulks_load(&read.txn, &bulks);
    if (r == 0)
        r = bulks_catch_up(&bulks, job, &covering);
    if (r == 0)
        *ret = TAKE_PTR(job);
    if (r == -EBADMSG) {
        store_suspect(store, id);
        return -ENOENT;
    }
    return r;
}

int store_find_key(struct store *store, uid_t owner, const char *key, uint64_t *ret_id)
{
    _cleanup_read_ struct store_read read;
    uint64_t id = 0;

    if (key[0] == '\0' || strnlen(key, JOB_KEY_MAX + 1) > JOB_KEY_MAX)
        return -ENOENT;
    int r = store_read_begin(store, &read);
    if (r == 0)
        r = schema_find_key(&read.txn, owner, key, &id);
    if (r == 0)
        r = batch_check_visible(&read.txn, id);
    if (r == 0)
        *ret_id = id;
    return r;
}

int store_count(struct store *store, bool any_owner, uid_t owner, uint64_t ret_counts[static JOB_STATES])
{
    _cleanup_read_ struct store_read read;
    uint64_t counts[JOB_STATES];

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    schema_count(&read.txn, any_owner, owner, counts);
    if (read.txn.error < 0)
        return read.txn.error;
    memcpy(ret_counts, counts, sizeof(counts));
    return 0;
}

int store_quarantined(struct store *store, uint64_t *ret)
{
    _cleanup_read_ struct store_read read;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    uint64_t count = lmdb_entries(&read.txn, TABLE_QUARANTINE);
    if (read.txn.error < 0)
        return read.txn.error;
    *ret = count;
    return 0;
}

int store_quarantined_ids(struct store *store, uint64_t *ret_ids, size_t ids_max)
{
    _cleanup_read_ struct store_read read;
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    size_t count = 0;

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    lmdb_cursor_open(&read.txn, TABLE_QUARANTINE, &cursor);
    for (bool found = lmdb_seek(&cursor, (struct lmdb_bytes){0}); found && count < ids_max; found = lmdb_next(&cursor))
        if (schema_is_u64(cursor.key))
            ret_ids[count++] = schema_get_u64(cursor.key.data);
    return read.txn.error < 0 ? read.txn.error : (int)count;
}

int store_rate_limit(struct store *store, uint64_t *ret)
{
    _cleanup_read_ struct store_read read = {0};

    int r = store_read_begin(store, &read);
    if (r < 0)
        return r;
    uint64_t rate_limit = schema_rate_limit(&read.txn);
    if (read.txn.error < 0)
        return read.txn.error;
    *ret = rate_limit;
    return 0;
}

/* Up to HEADS_MAX entries of the lane on which CURSOR stands. */
static size_t read_heads(struct lmdb_cursor *cursor, const struct hidden *hidden, uint64_t lane,
                         struct store_candidate *heads, size_t heads_max)
{
    size_t count = 0;
    bool more = true;

    while (more && count < heads_max && cursor->key.size == 24 && schema_get_u64(cursor->key.data) == lane) {
        const uint8_t *at = cursor->key.data;
        const struct store_candidate head = {.due_usec = schema_get_u64(at + 8), .id = schema_get_u64(at + 16)};
        uint64_t until = hidden_until(hidden, head.id);
        if (until != 0) {
            struct schema_key key;
            schema_key_sched(&key, lane, head.due_usec, until + 1);
            more = lmdb_seek(cursor, schema_key_bytes(&key));
            continue;
        }
        heads[count++] = head;
        more = lmdb_next(cursor);
    }
    return count;
}

uint64_t store_lane_jobs(struct store *store, uint64_t lane, uint64_t max)
{
    _cleanup_read_ struct store_read read = {0};
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    struct schema_key key;
    uint64_t count = 0;

    if (max == 0 || store_read_begin(store, &read) < 0)
        return 0;
    lmdb_cursor_open(&read.txn, TABLE_SCHED, &cursor);
    schema_key_sched(&key, lane, 0, 0);
    for (bool more = lmdb_seek(&cursor, schema_key_bytes(&key)); more && count < max; more = lmdb_next(&cursor)) {
        if (cursor.key.size != 24 || schema_get_u64(cursor.key.data) != lane)
            break;
        count++;
    }
    return count;
}

int store_lanes(struct store *store, size_t heads_max,
                int (*each)(const struct store_lane *lane, const struct store_candidate *heads, size_t heads_count,
                            void *userdata),
                void *userdata)
{
    _cleanup_free_ struct store_candidate *heads = calloc(heads_max > 0 ? heads_max : 1, sizeof(*heads));
    _cleanup_read_ struct store_read read = {0};
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};
    _cleanup_(hidden_done) struct hidden hidden = {.count = 0};
    struct schema_key key;

    if (!heads)
        return -ENOMEM;
    int r = store_read_begin(store, &read);
    if (r == 0)
        r = hidden_load(&read.txn, &hidden);
    if (r < 0)
        return r;
    lmdb_cursor_open(&read.txn, TABLE_SCHED, &cursor);
    schema_key_sched(&key, 0, 0, 0);
    while (lmdb_seek(&cursor, schema_key_bytes(&key))) {
        struct store_lane lane;
        uint64_t number = cursor.key.size == 24 ? schema_get_u64(cursor.key.data) : 0;
        size_t count = read_heads(&cursor, &hidden, number, heads, heads_max);
        r = schema_get_lane(&read.txn, number, &lane);
        if (r == 0 && (count > 0 || heads_max == 0))
            r = each(&lane, heads, count, userdata);
        /* An entry whose lane is unknown stops nothing else. */
        else if (r == -ENOENT || r == -EUCLEAN)
            r = 0;
        if (r < 0)
            return r;
        if (number == UINT64_MAX)
            break;
        schema_key_sched(&key, number + 1, 0, 0);
    }
    return read.txn.error;
}
