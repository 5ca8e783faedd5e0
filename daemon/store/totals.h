/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each owner's jobs came to. Written in the transaction in which a job ends, so that a kill counts nothing twice
 * and forgets nothing.
 *
 *   totals      owner u32                                → record "BT"
 *   meta        "totals-since"                           → u64: microseconds since 1970 when the counting began
 *
 * A record that cannot be read counts as none: the figures begin anew, and nothing else of the queue is harmed.
 */
#pragma once

#include "core/totals.h"
#include "store/schema.h"

/* A new queue, or one of a version that did not count. */
void totals_begin(struct lmdb_txn *txn, uint64_t now_usec);

/* schema_put_job() of a job that may have ended by that. */
int totals_put_job(struct lmdb_txn *txn, const struct job *before, struct job *after);
