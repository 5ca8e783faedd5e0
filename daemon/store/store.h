/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The durable queue behind a domain API. LMDB underneath; nobody above this header knows.
 *
 *   loop ──store_submit(command)──▶ [ writer's queue ] ──▶ writer thread: one transaction for all that waits
 *   loop ◀─completion mailbox────── [ command, applied, durable ] ◀── commit
 *
 * While one commit is being synced the next batch gathers: group commit needs no timer. Reads are short transactions
 * of the caller's thread (the loop) and see what has been committed.
 */
#pragma once

#include "core/command.h"
#include "core/event.h"
#include "core/group.h"
#include "core/ids.h"
#include "core/job.h"
#include "core/settings.h"
#include "core/totals.h"

#include "base/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct store_options {
    int directory_fd;      /* the state folder, locked by the caller; borrowed */
    const char *directory; /* its path, for messages and LMDB */
    uint64_t jobs_max;     /* MaxJobs */
    uint64_t jobs_max_per_user;
    struct mailbox *mailbox; /* where applied commands come back, as struct message */
    struct moment now;
};

/* What store_open() found and did; for the log and for Degraded. Fixed text, no ownership. */
struct store_report {
    bool created;         /* a new queue */
    char set_aside[256];  /* name of the folder that a damaged or emptied queue was moved to; "" = none */
    char reason[256];     /* why it was */
    uint64_t quarantined; /* records that could not be decoded, in all */
    uint64_t jobs;
    uint64_t compacted_from_bytes, compacted_to_bytes; /* the file was made smaller; 0 = it was not */
    int compact_error;                                 /* why that failed; 0 = it did not */
};

/*
 * Opens or creates the queue and starts the writer. -EUCLEAN cannot happen for a damaged file: that is set aside and
 * reported. -EPROTO: written by a newer version, left untouched. *ret_report is filled also on failure.
 */
int store_open(const struct store_options *options, struct store **ret, struct store_report *ret_report);

/* Waits for what was submitted, stops the writer, closes. Completions not yet taken stay in the mailbox. */
struct store *store_close(struct store *store);
DEFINE_CLEANUP(struct store *, store_close);

/*
 * Hands COMMAND to the writer, which owns it until it comes back through the mailbox with `result` and `items` filled;
 * order is kept. A command that failed as a whole changed nothing. Never blocks, never fails.
 */
void store_submit(struct store *store, struct command *command);

/* All of LIST, each the message of a command; it is empty afterwards. What is submitted together is committed together,
 * up to STORE_BATCH_MAX records. */
void store_submit_all(struct store *store, struct message_list *list);

/*
 * 0 and a copy; -ENOENT. Here and in store_query() a job is as the commands over many jobs that are under way will
 * leave it: to everybody they count from their answer on. Only store_count() comes after them.
 */
int store_get(struct store *store, uint64_t id, struct job **ret);
int store_find_key(struct store *store, uid_t owner, const char *key, uint64_t *ret_id);

struct store_filter {
    bool any_owner;
    uid_t owner;
    const char *group;   /* NULL = any */
    const char *key;     /* NULL = any */
    uint32_t states;     /* bit 1 << enum job_state; 0 = any */
    const uint64_t *ids; /* sorted or not; ids_count == 0 && ranges_count == 0 = any */
    size_t ids_count;
    const struct id_range *ranges;
    size_t ranges_count;
};

/*
 * Calls EACH for the jobs that match, in the order of their ids, starting behind AFTER. EACH owns nothing; it returns 0
 * to go on, a positive value to stop, a negative errno to fail. At most LIMIT rows are reported and at most
 * STORE_SCAN_ROWS_MAX looked at; *ret_next is the cursor for the next call, 0 at the end. Returns the number of rows or
 * a negative errno.
 */
int store_query(struct store *store, const struct store_filter *filter, uint64_t after, size_t limit,
                int (*each)(const struct job *job, void *userdata), void *userdata, uint64_t *ret_next);

/*
 * Calls EACH for the events of OWNER, or of everybody, behind the sequence AFTER. As store_query(); *ret_next is where
 * to go on, also when more has happened: it is AFTER where nothing has. *ret_gap: events behind AFTER are not kept any
 * more, or one of them cannot be read, or AFTER is of a queue that was lost; EACH begins with the oldest one
 * then.
 */
int store_events(struct store *store, bool any_owner, uid_t owner, uint64_t after, size_t limit,
                 int (*each)(const struct event *event, void *userdata), void *userdata, uint64_t *ret_next,
                 bool *ret_gap);

/*
 * Batches that are not visible: up to IDS_MAX of their numbers. Those that an earlier run of the daemon left are to be
 * dropped with COMMAND_BATCH_DROP. Returns how many, or a negative errno.
 */
int store_batches(struct store *store, uint64_t *ids, size_t ids_max);

/*
 * Verbs over many jobs that are under way (core/bulk.h): how many, and which verbs, bit 1 << enum job_verb. A
 * COMMAND_BULK_STEP carries the first one further.
 */
int store_bulks(struct store *store, size_t *ret_count, uint32_t *ret_verbs);

/*
 * Calls EACH for the settings of every group of everybody, in the order of owner and name. IS_KNOWN is false where they
 * cannot be read: the group is one without any then. EACH returns 0 or a negative errno, which ends the walk.
 */
int store_groups(struct store *store,
                 int (*each)(uid_t owner, const struct group *group, bool is_known, void *userdata), void *userdata);

/*
 * Calls EACH for the hooks that are pending, in the order of their sequences, behind AFTER; at most LIMIT of them.
 * IS_KNOWN is false where the record cannot be read: only the sequence is known then. EACH returns 0 or a negative
 * errno, which ends the walk. Returns how many there were, or a negative errno.
 */
int store_hooks(struct store *store, uint64_t after, size_t limit,
                int (*each)(const struct hook *hook, bool is_known, void *userdata), void *userdata);

/* Jobs by stored state of OWNER, or of everybody: kept by the writer, so that counting costs nothing. */
int store_count(struct store *store, bool any_owner, uid_t owner, uint64_t ret_counts[static JOB_STATES]);

/* The limit of rate that a person chose; RATE_LIMIT_UNCHOSEN where nobody did. */
int store_rate_limit(struct store *store, uint64_t *ret);
/* What the jobs of OWNER came to since the queue was made, those that are not listed any more, too. */
int store_totals(struct store *store, uid_t owner, struct totals *ret);

/* Records that could not be decoded and lie in quarantine. */
int store_quarantined(struct store *store, uint64_t *ret);
/* The ids of the first IDS_MAX of them. Returns how many it found, or a negative errno. */
int store_quarantined_ids(struct store *store, uint64_t *ret_ids, size_t ids_max);

/*
 * A lane: the jobs that are alike to the scheduler. Runnable jobs (ready, retrying, cancelling) stand in the index that
 * the scheduler reads by (lane, due time, id); the due time is the next attempt's of a retrying job, else when it was
 * queued.
 */
struct store_lane {
    uint64_t lane;
    uid_t owner;
    enum job_priority priority;
    char group[JOB_GROUP_MAX + 1];
    char host[JOB_HOST_MAX + 1];
    struct policy policy; /* that its jobs chose for themselves */
};

struct store_candidate {
    uint64_t id;
    uint64_t due_usec; /* CLOCK_REALTIME */
};

/* The earliest deadline of a job that may still miss it; USEC_INFINITY = none has one. */
uint64_t store_next_deadline(struct store *store);

/* Runnable jobs of a lane, counted up to MAX. */
uint64_t store_lane_jobs(struct store *store, uint64_t lane, uint64_t max);

/*
 * Calls EACH once a lane that has runnable jobs, with up to HEADS_MAX of its first candidates in the order of their due
 * time, whether due or not. Cost: the number of lanes, not of jobs. EACH returns 0 or a negative errno, which ends the
 * walk.
 */
int store_lanes(struct store *store, size_t heads_max,
                int (*each)(const struct store_lane *lane, const struct store_candidate *heads, size_t heads_count,
                            void *userdata),
                void *userdata);
