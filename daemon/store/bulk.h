/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verbs over many jobs, in the table of bulks (core/bulk.h has the idea). The intent is written once; what moves with
 * each step is a record of its own.
 *
 *   bulks       bulk u64 | 0                             → intent    record "BB"
 *   bulks       bulk u64 | 1                             → progress  record "BP"
 */
#pragma once

#include "core/bulk.h"
#include "store/internal.h"

/* Those that are under way, in their order. */
struct bulks {
    struct bulk *list[BULKS_MAX];
    size_t count;
    uint64_t changed; /* bit i: the progress of list[i] is to be written */
};
void bulks_done(struct bulks *bulks);

/* 0 or -ENOMEM, or an error of the transaction. What cannot be read is skipped; a step drops it. */
int bulks_load(struct lmdb_txn *txn, struct bulks *ret);

/*
 * Makes of JOB what those that have not reached it yet will. -ENOENT where they will remove it, -ENOMEM. *ret_covering:
 * bit i stands for list[i]; once JOB is written as it is then, they have to be told that they may pass it by.
 */
int bulks_catch_up(const struct bulks *bulks, struct job *job, uint64_t *ret_covering);
void bulks_touch(struct lmdb_txn *txn, struct bulks *bulks, uint64_t covering, uint64_t id);
/* Once a transaction, after the last bulks_touch(). */
void bulks_save(struct lmdb_txn *txn, struct bulks *bulks);

/* The commands of their names. What they change otherwise is in the items, as with a verb. */
int bulk_apply_begin(struct store *store, struct lmdb_txn *txn, struct command *command);
int bulk_apply_step(struct store *store, struct lmdb_txn *txn, struct command *command);
