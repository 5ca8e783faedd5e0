/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Batches in parts: several calls that are to be all or none. Each part is looked at and staged like any addition, in
 * the order of the calls; the last one makes all of them visible. A part that fails gives the batch up, and so does a
 * caller that does not come back: what was staged is taken back then, in steps.
 *
 *   call 1 ──▶ looks ──▶ staged ──▶ reply
 *   call 2 ──▶ looks ──▶ staged ──▶ reply
 *   last   ──▶ looks ──▶ staged and visible ──▶ reply
 */
#pragma once

#include "manager/internal.h"

struct batching;

/* One call, in the addition that carries it out. */
struct batch_part {
    TAILQ_ENTRY(batch_part) entry;
    struct batching *batching; /* NULL = the addition stands alone */
    uint64_t offset;
    bool is_last, is_ready, is_submitted;
};

/* Accepts COUNT jobs as the next part. A negative errno, with *error, where they cannot be. */
int batch_accept(struct manager *manager, uid_t owner, const struct manager_part *wanted, size_t count,
                 struct batch_part *part, struct manager_error *error);

/* All files of it were looked at: it is submitted in its turn. -ECANCELED, with *error, where the batch was given up.
 */
int batch_part_ready(struct batch_part *part, struct manager_error *error);

/* It was committed, or it has failed, or was never submitted: the batch goes on without it, or is given up. */
void batch_part_ended(struct batch_part *part, bool committed);

uint64_t batch_id(const struct batching *batching);

/* -ECANCELED, and that the batch was given up. */
int batch_fault_given_up(struct manager_error *error);

/* submit.c: hands the addition of PART to the writer, or ends it, as its batch was given up. */
void addition_submit_part(struct batch_part *part);
void addition_refuse_part(struct batch_part *part);

/* At start: takes back what an earlier run left. Later: tries again what could not be written. */
void batch_drop_leftovers(struct manager *manager);
void batch_free_all(struct manager *manager);
