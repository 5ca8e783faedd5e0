/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share, and what its tests look at. */
#pragma once

#include "store/marker.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define QUEUE_NAME         "queue"
#define QUEUE_NEW_NAME     "queue.new"
#define QUEUE_DAMAGED_NAME "queue.damaged-"

#define STORE_SUSPECTS_MAX 1000 /* undecodable records that wait for the writer; what is over is met again */

/* The sizes of the map, smaller in tests. */
struct store_sizes {
    uint64_t map_bytes;
    uint64_t reserve_bytes;
    uint64_t compact_min_bytes; /* 0 = never */
    uint64_t compact_live_max_bytes;
};

struct store {
    int directory_fd;
    char *folder; /* path of the queue */
    uint64_t jobs_max;
    uint64_t jobs_max_per_user;
    struct store_sizes sizes;
    struct mailbox *mailbox;

    /* Readers hold the lock for one transaction; the writer takes it to replace the environment. NULL = it failed. */
    pthread_rwlock_t env_lock;
    struct lmdb *env;

    struct marker marker; /* the writer's */

    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct message_list waiting;
    uint64_t suspects[STORE_SUSPECTS_MAX];
    size_t suspects_count;
    bool stop;

    atomic_uint_fast64_t commits; /* transactions that have landed, for tests */
};

int store_open_sized(const struct store_options *options, const struct store_sizes *sizes, struct store **ret,
                     struct store_report *ret_report);

/* A record that could not be decoded: the writer moves it to quarantine. From any thread. */
void store_suspect(struct store *store, uint64_t id);

/* A read transaction, and the lock that keeps its environment open. */
struct store_read {
    struct store *store; /* NULL = not begun */
    struct lmdb_txn txn;
};
int store_read_begin(struct store *store, struct store_read *read);
void store_read_end(struct store_read *read);
#define _cleanup_read_ _cleanup_(store_read_end)

/*
 * store_query() within a transaction: *ret_next is as there. THROUGH: the commands over many jobs that EACH must find
 * carried out; NULL = the records as they are.
 */
struct bulks;
int query_run(struct store *store, struct lmdb_txn *txn, const struct bulks *through, const struct store_filter *filter,
              uint64_t after, size_t limit, int (*each)(const struct job *job, void *userdata), void *userdata,
              uint64_t *ret_next);

/* migrate.c: brings a queue of schema VERSION, whose tables are open, to SCHEMA_VERSION and opens the rest. */
int migrate_queue(struct lmdb *env, uint64_t version, uint64_t now_usec);

/* recover.c: finds, creates or replaces the queue. */
int recover_queue(const struct store_options *options, const struct store_sizes *sizes, const char *folder,
                  struct lmdb **ret_env, struct marker *ret_marker, struct store_report *report);

/*
 * compact.c: gives the free pages of the queue's file back to the file system where that is worth while. What it did,
 * or why it could not, stands in REPORT; the queue is the same in any case. MARKER: whose queue it is; NULL = not
 * known, and then nothing is made smaller. Only while the queue is not open.
 */
void compact_queue(const struct store_options *options, const struct store_sizes *sizes, const char *folder,
                   const struct marker *marker, struct store_report *report);

/* apply.c: carries COMMAND out in TXN. What concerns it alone is its result; LMDB's error is txn->error. */
/*
 * One item of a verb or of an attempt's command: returns its result; a record that cannot be decoded is as good as not
 * there. BULKS may be NULL: those that COMMAND must find
 * carried out.
 */
int apply_item(struct store *store, struct lmdb_txn *txn, const struct command *command, struct bulks *bulks,
               struct command_item *item);
void apply_command(struct store *store, struct lmdb_txn *txn, struct command *command);
/* As it was before apply_command(), for another try. */
void apply_reset(struct command *command);

/* retain.c: one step of COMMAND_RETAIN in TXN, as apply_command(). */
int retain_apply(struct store *store, struct lmdb_txn *txn, struct command *command);
void retain_reset(struct command *command);

/* COMMAND_EXPIRE. */
int deadline_apply(struct store *store, struct lmdb_txn *txn, struct command *command);
/* drop.c: COMMAND_QUARANTINE_DROP in TXN. The file stays where the transaction fails: a copy too many does no harm. */
int quarantine_apply_drop(struct store *store, struct lmdb_txn *txn, struct command *command);

/* writer.c */
void *writer_run(void *store);
/* What a failed write means to a caller: -ENOSPC, -EIO or -ENOMEM. */
int writer_classify(const struct store *store, int error);
