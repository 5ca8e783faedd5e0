/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies in the tables, and the only code that writes them: an index entry changes in the same transaction as the
 * record that it comes from. Numbers in keys are big endian, so that their order is the order of the numbers.
 *
 *   meta        "magic", "schema", "uuid", "next-id", "next-lane", "first-event" (absent: 1),
 *               "rate-limit" (absent: none was chosen), "totals-since"
 *   counts      owner u32 | state u8                     → jobs u64
 *   jobs        id u64                                   → record (codec.h)
 *   lanes       lane u64                                 → owner u32 | priority u8 | policy u8 | group NUL | host;
 *                                                          where policy is 1: NUL | network u8 | power u8 | window
 *   lane-ids    owner … host or window, as above         → lane u64
 *   sched       lane u64 | due u64 | id u64              → ""       runnable jobs; due in CLOCK_REALTIME microseconds
 *   state       owner u32 | state u8 | id u64            → ""
 *   keys        owner u32 | key                          → id u64
 *   groups      owner u32 | group NUL | id u64           → ""       but of the group "default", which is everybody's
 *   finished    time u64 | id u64                        → ""
 *   deadlines   time u64 | id u64                        → ""       of jobs that are neither over nor being cancelled
 *   quarantine  id u64                                   → the bytes of a record that could not be decoded
 *   events      sequence u64                             → record
 *   batches     batch u64                                → record
 *   bulks       bulk u64                                 → record
 *   groups-settings   owner u32 | name                   → record (group.h)
 *   totals      owner u32                                → record (totals.h)
 *   hooks       sequence u64                             → record (hook.h)
 *
 * Example: job 7 of user 1000, ready since t, group "default", normal priority, for host "up.example:443":
 *   jobs[7], state[1000|1|7], counts[1000|1] + 1, lane-ids[1000|2|0|default\0up.example:443] = 3, sched[3|t|7]
 *
 * A lane exists as long as it has runnable jobs, so that hosts that are not used any more leave nothing behind.
 * Functions on a transaction leave LMDB's errors in txn->error.
 */
#pragma once

#include "store/lmdb.h"
#include "store/store.h"

#define SCHEMA_VERSION \
    3 /* 1 had no groups, events, batches and bulks; 2 no groups-settings, deadlines, hooks and totals */
#define SCHEMA_UUID_BYTES 16

struct schema_key {
    uint8_t bytes[512]; /* LMDB takes 511 */
    size_t size;
};

void schema_key_u64(struct schema_key *key, uint64_t number);
void schema_key_state(struct schema_key *key, uid_t owner, enum job_state state, uint64_t id);
void schema_key_sched(struct schema_key *key, uint64_t lane, uint64_t due_usec, uint64_t id);
void schema_key_key(struct schema_key *key, uid_t owner, const char *text);
void schema_key_group(struct schema_key *key, uid_t owner, const char *group, uint64_t id);
void schema_key_owner(struct schema_key *key, uid_t owner);
void schema_key_group_settings(struct schema_key *key, uid_t owner, const char *group);
void schema_key_deadline(struct schema_key *key, uint64_t deadline_usec, uint64_t id);
void schema_key_finished(struct schema_key *key, uint64_t finished_usec, uint64_t id);
bool schema_has_group_entry(const struct job *job);
struct lmdb_bytes schema_key_bytes(const struct schema_key *key);
uint64_t schema_get_u64(const void *bytes);
bool schema_is_u64(struct lmdb_bytes bytes);

void schema_create(struct lmdb_txn *txn, const uint8_t uuid[static SCHEMA_UUID_BYTES], uint64_t first_id,
                   uint64_t first_event);
/* -EPROTO: written by a newer version; -EUCLEAN: what makes a queue is not there. *ret_version may be an older one. */
int schema_check(struct lmdb_txn *txn, uint8_t ret_uuid[static SCHEMA_UUID_BYTES], uint64_t *ret_version);
/* The first so many tables are those of VERSION. */
size_t schema_tables(uint64_t version);
void schema_set_version(struct lmdb_txn *txn, uint64_t version);

/* The sequence of the first event that this queue ever had. */
uint64_t schema_first_event(struct lmdb_txn *txn);
/* RATE_LIMIT_UNCHOSEN = none was. */
uint64_t schema_rate_limit(struct lmdb_txn *txn);
void schema_set_rate_limit(struct lmdb_txn *txn, uint64_t rate_limit);
/* When its totals began to be counted. */
uint64_t schema_totals_since(struct lmdb_txn *txn);
void schema_set_totals_since(struct lmdb_txn *txn, uint64_t usec);
uint64_t schema_next_id(struct lmdb_txn *txn);
void schema_set_next_id(struct lmdb_txn *txn, uint64_t id);

/* -ENOENT, -EBADMSG for a record that cannot be decoded, or an error of the transaction. */
int schema_get_job(struct lmdb_txn *txn, uint64_t id, struct job **ret);
/* Decodes the record that stands under the key of ID. -EBADMSG also where it belongs to another id. */
int schema_decode(struct lmdb_bytes record, uint64_t id, struct job **ret);

/* Writes AFTER in the place of BEFORE (NULL = a new job). -EINVAL, -E2BIG or -ENOMEM before anything was written. */
int schema_put_job(struct lmdb_txn *txn, const struct job *before, const struct job *after);
/* The same for a job of a batch that is not visible yet: it counts in no state. */
int schema_put_staged(struct lmdb_txn *txn, const struct job *job);
void schema_remove_staged(struct lmdb_txn *txn, const struct job *job);
/* It becomes visible: so many jobs more in STATE. */
void schema_add_counts(struct lmdb_txn *txn, uid_t owner, enum job_state state, uint64_t more);

void schema_remove_job(struct lmdb_txn *txn, const struct job *job);

/* -ENOENT or an error of the transaction. */
int schema_find_key(struct lmdb_txn *txn, uid_t owner, const char *key, uint64_t *ret_id);

void schema_count(struct lmdb_txn *txn, bool any_owner, uid_t owner, uint64_t ret_counts[static JOB_STATES]);

/* -ENOENT, -EUCLEAN where its value makes no sense, or an error of the transaction. */
int schema_get_lane(struct lmdb_txn *txn, uint64_t lane, struct store_lane *ret);

/* For the quarantine, which knows a job by its index entries only: one less in the count that begins a key of state. */
void schema_uncount(struct lmdb_txn *txn, const uint8_t state_key[static 5]);
/* Forgets a lane that has no runnable jobs. */
void schema_drop_empty_lane(struct lmdb_txn *txn, uint64_t lane);

/*
 * Moves records byte for byte to quarantine and takes their ids out of every index: what the record said is not known,
 * so each index is walked once. IDS is sorted in place.
 */
void schema_quarantine(struct lmdb_txn *txn, uint64_t *ids, size_t ids_count);
