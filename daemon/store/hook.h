/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks that are pending: units that are to be started because a job has ended. Each is written in the transaction of
 * that end, and stands until somebody says that it is delivered; the job itself may be gone before.
 *
 *   hooks       sequence u64 (of the journal's event)    → record "BH"
 */
#pragma once

#include "core/hook.h"
#include "store/internal.h"

/*
 * AFTER has come to its end with the event SEQUENCE. Returns 1 where that has a hook, which is pending now, else 0;
 * -EDQUOT where HOOKS_PENDING_MAX are: the job ends all the same.
 */
int hook_note(struct lmdb_txn *txn, uint64_t sequence, const struct job *after);

/* Carries a HOOK_DONE out in TXN. */
void hook_apply_done(struct lmdb_txn *txn, const struct command *command);
