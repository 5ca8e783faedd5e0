/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The settings of groups.
 *
 *   groups-settings   owner u32 | name                   → record "BG"
 *
 * The record names its owner and group too: bytes that stand under a foreign key are no settings of that group. One
 * that cannot be decoded stays where it is until its group is set anew or removed, and stops nothing else.
 */
#pragma once

#include "core/group.h"
#include "store/internal.h"

/* -EINVAL for what group_validate() refuses. The caller frees *ret. */
int group_encode(uid_t owner, const struct group *group, void **ret, size_t *ret_size);
/* -EBADMSG for bytes that are no intact record, or that group_validate() refuses; -ENOMEM. */
int group_decode(const void *bytes, size_t size, uid_t *ret_owner, struct group *ret);

/* Carries a GROUP_SET or GROUP_REMOVE out in TXN, as apply_command(). */
int group_apply_set(struct lmdb_txn *txn, struct command *command);
int group_apply_remove(struct lmdb_txn *txn, const struct command *command);
