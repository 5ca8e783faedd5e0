/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one thread that writes. All that waits goes into one transaction, up to STORE_BATCH_MAX records; a command that
 * fails alone has changed nothing in it. When the transaction itself fails, it is given up and its commands are tried
 * one by one, so that one too large does not sink the others.
 */
#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

/* Commands of a failed batch that fail again in a row before the rest of it is given up: a dead disk is slow to ask. */
#define RETRY_FAILURES_MAX 8

#define DISK_FULL_BYTES (256 * KIB) /* less free space than this explains a write that was cut short */

static struct command *command_of(struct message *message)
{
    static_assert(offsetof(struct command, message) == 0, "a command is its message");
    return (struct command *)message;
}

int writer_classify(const struct store *store, int error)
{
    struct statvfs st;

    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return -ENOSPC;
    case -ENOMEM:
        return -ENOMEM;
    default:
        /* LMDB calls a short write an I/O error. */
        if (fstatvfs(store->directory_fd, &st) == 0 && st.f_bavail * st.f_frsize < DISK_FULL_BYTES)
            return -ENOSPC;
        return -EIO;
    }
}

/* A new environment for one that a failed write has left in doubt. -EIO while that cannot be had. */
static int reopen(struct store *store)
{
    struct lmdb *env = NULL;

    (void)pthread_rwlock_wrlock(&store->env_lock);
    store->env = lmdb_close(store->env);
    int r = lmdb_open(store->folder, LMDB_WRITE, store->sizes.map_bytes, &env);
    if (r == 0)
        r = lmdb_open_tables(env, LMDB_TABLES);
    if (r == 0)
        store->env = env;
    else
        lmdb_close(env);
    (void)pthread_rwlock_unlock(&store->env_lock);
    return r < 0 ? -EIO : 0;
}

static void give_up(struct command *command, int error)
{
    apply_reset(command);
    command->result = error;
}

/*
 * Everything in LIST in one transaction. 0 or the error of the transaction, which has changed nothing then, but for
 * -ENOTRECOVERABLE: what was being committed may or may not be there.
 */
static int try_commands(struct store *store, struct message_list *list)
{
    _cleanup_txn_ struct lmdb_txn txn;
    struct message *message;

    lmdb_begin_write(store->env, &txn);
    TAILQ_FOREACH (message, list, entry) {
        if (txn.error < 0)
            return txn.error;
        apply_command(store, &txn, command_of(message));
    }
    int r = lmdb_commit(&txn);
    if (r == 0)
        (void)atomic_fetch_add(&store->commits, 1);
    return r;
}

/* Whether the head of the file could not be written: LMDB refuses every transaction from then on. */
static bool is_unusable(struct store *store)
{
    _cleanup_txn_ struct lmdb_txn txn;

    lmdb_begin_write(store->env, &txn);
    return txn.error == -ENOTRECOVERABLE;
}

/* try_commands(), with what an error asks for: *ret_lost says that nobody knows what became of the commands. */
static int commit_commands(struct store *store, struct message_list *list, bool *ret_lost)
{
    *ret_lost = false;
    if (!store->env && reopen(store) < 0)
        return -EIO;
    int r = try_commands(store, list);
    if (r == 0)
        return 0;
    if (r == -ENOTRECOVERABLE || is_unusable(store)) {
        *ret_lost = true;
        (void)reopen(store);
        return -EIO;
    }
    r = writer_classify(store, r);
    /* After an error of the disk the kernel may have dropped what it could not write: begin from what is there. */
    if (r == -EIO)
        (void)reopen(store);
    return r;
}

static void commit_one_by_one(struct store *store, struct message_list *list)
{
    struct message_list tried = TAILQ_HEAD_INITIALIZER(tried);
    unsigned failures = 0;
    struct message *message;
    int r = 0;

    while ((message = TAILQ_FIRST(list))) {
        struct message_list one = TAILQ_HEAD_INITIALIZER(one);
        bool lost;
        TAILQ_REMOVE(list, message, entry);
        TAILQ_INSERT_TAIL(&one, message, entry);
        apply_reset(command_of(message));
        if (failures < RETRY_FAILURES_MAX)
            r = commit_commands(store, &one, &lost);
        failures = r < 0 ? failures + 1 : 0;
        if (r < 0)
            give_up(command_of(message), r);
        TAILQ_CONCAT(&tried, &one, entry);
    }
    TAILQ_CONCAT(list, &tried, entry);
}

static void commit_batch(struct store *store, struct message_list *list)
{
    struct message *message = TAILQ_FIRST(list);
    bool lost;

    int r = commit_commands(store, list, &lost);
    if (r == 0)
        return;
    if (!lost && TAILQ_NEXT(message, entry)) {
        commit_one_by_one(store, list);
        return;
    }
    TAILQ_FOREACH (message, list, entry)
        give_up(command_of(message), r);
}

static void commit_quarantine(struct store *store, uint64_t *ids, size_t ids_count)
{
    _cleanup_txn_ struct lmdb_txn txn = {.handle = NULL};

    if (ids_count == 0 || (!store->env && reopen(store) < 0))
        return;
    lmdb_begin_write(store->env, &txn);
    schema_quarantine(&txn, ids, ids_count);
    /* Where this fails, they stay where they are and are met again. */
    (void)lmdb_commit(&txn);
}

static size_t records_of(const struct command *command)
{
    if (command->type == COMMAND_RETAIN)
        return STORE_BATCH_MAX;
    return command->type == COMMAND_ADD ? command->jobs_count : command->items_count;
}

struct batch {
    struct message_list commands;
    uint64_t suspects[STORE_SUSPECTS_MAX];
    size_t suspects_count;
};

/* Waits for work. False at the end: all is done and store_close() waits. */
static bool take_batch(struct store *store, struct batch *batch)
{
    struct message *message;
    size_t records = 0;

    (void)pthread_mutex_lock(&store->lock);
    while (TAILQ_EMPTY(&store->waiting) && store->suspects_count == 0 && !store->stop)
        (void)pthread_cond_wait(&store->wake, &store->lock);
    while ((message = TAILQ_FIRST(&store->waiting))) {
        records += records_of(command_of(message));
        if (records > STORE_BATCH_MAX && !TAILQ_EMPTY(&batch->commands))
            break;
        TAILQ_REMOVE(&store->waiting, message, entry);
        TAILQ_INSERT_TAIL(&batch->commands, message, entry);
    }
    memcpy(batch->suspects, store->suspects, store->suspects_count * sizeof(batch->suspects[0]));
    batch->suspects_count = store->suspects_count;
    store->suspects_count = 0;
    (void)pthread_mutex_unlock(&store->lock);
    return !TAILQ_EMPTY(&batch->commands) || batch->suspects_count > 0;
}

void *writer_run(void *userdata)
{
    struct store *store = userdata;
    struct batch batch = {.suspects_count = 0};

    TAILQ_INIT(&batch.commands);
    while (take_batch(store, &batch)) {
        if (!TAILQ_EMPTY(&batch.commands))
            commit_batch(store, &batch.commands);
        commit_quarantine(store, batch.suspects, batch.suspects_count);
        mailbox_post_all(store->mailbox, &batch.commands);
    }
    return NULL;
}
