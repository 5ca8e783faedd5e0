/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A batch of more jobs than one transaction takes: all of them or none. Its parts are written as any jobs are, with all
 * their index entries, but a record says which ids they have, and whoever reads passes these by. The transaction of the
 * last part removes the record, and with it all become visible at once. What never came so far is taken back.
 *
 *   batches     batch u64                                → record "BA": owner, jobs by state, ranges of ids
 *
 * Jobs of one part stand side by side in every index that is ordered by id, and, as they were queued in the same
 * moment, in the scheduler's too: passing by costs one seek for a part and not one for a job.
 */
#pragma once

#include "core/bulk.h"
#include "store/internal.h"

struct batch {
    uint64_t id;
    uid_t owner;
    uint64_t count; /* jobs of all parts so far, with those that were there already and are kept */
    uint64_t ready, paused;
    struct id_range *ranges; /* in the order of the ids */
    size_t ranges_count;
};
struct batch *batch_free(struct batch *batch);
DEFINE_CLEANUP(struct batch *, batch_free);

/*
 * The batch that an ADD is a part of, as it was before it; a new one for the first part. -ESTALE where parts are
 * missing, -ENOMEM, or an error of the transaction.
 */
int batch_take(struct lmdb_txn *txn, const struct command *command, struct batch **ret);
/* Notes a job that was written as a part of it. -ENOMEM. */
int batch_note(struct batch *batch, const struct job *job);
/* Behind the jobs of the command. */
void batch_put(struct lmdb_txn *txn, const struct command *command, struct batch *batch);

/* The ids of all batches that are not visible, for one transaction. */
struct hidden {
    struct id_range *ranges; /* sorted */
    size_t count;
    uint64_t jobs;
};
int hidden_load(struct lmdb_txn *txn, struct hidden *ret);
void hidden_done(struct hidden *hidden);
/* 0 where ID may be seen; else the last id of those that may not, from ID on. */
uint64_t hidden_until(const struct hidden *hidden, uint64_t id);

/* 0, or -ENOENT for a job of a batch that is not whole yet. */
int batch_check_visible(struct lmdb_txn *txn, uint64_t id);

/* Jobs of OWNER that are in no count yet. */
int batch_count_owned(struct lmdb_txn *txn, uid_t owner, uint64_t *ret);

int batch_apply_drop(struct lmdb_txn *txn, struct command *command);
