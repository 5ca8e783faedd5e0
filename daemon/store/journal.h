/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal of events. Each is written in the transaction of its change, so that none is lost and none is told that
 * did not happen. The oldest go when there are EVENTS_MAX.
 *
 *   events      sequence u64                             → record "BE"
 *   meta        "first-event"                            → u64: the sequence that the first event of this queue has
 *
 * A queue that takes the place of a lost one begins at the microseconds since 1970, far above every number that the
 * lost one can have reached: who comes with an old number learns that something is missing.
 */
#pragma once

#include "core/event.h"
#include "store/internal.h"

/* One change of one job. AFTER is NULL where it is gone, BEFORE where it is new. Returns the last event's sequence. */
uint64_t journal_put_change(struct lmdb_txn *txn, const struct command *command, const struct job *before,
                            const struct job *after);
/* One event for COUNT jobs. */
void journal_put_count(struct lmdb_txn *txn, uid_t owner, enum event_type type, uint64_t count, struct moment at);

/* Whether a command over COUNT jobs is one event, and not one for each. */
bool journal_counts(size_t count);
