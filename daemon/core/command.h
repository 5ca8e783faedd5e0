/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A change of the queue as a value. The writer applies it inside its write transaction, so that it always sees the
 * newest record, and the result goes back to the loop once it is durable.
 */
#pragma once

#include "core/change.h"
#include "core/group.h"
#include "core/job.h"

#include "base/mailbox.h"
#include "base/moment.h"

#include <stddef.h>

enum job_verb {
    VERB_PAUSE,
    VERB_RESUME,
    VERB_CANCEL,
    VERB_RETRY,
    VERB_REMOVE,
    VERB_SET, /* `change` */
};

enum command_type {
    COMMAND_ADD,          /* jobs[]: all or none */
    COMMAND_VERB,         /* verb on items[] */
    COMMAND_CHECKPOINT,   /* items[0]: session record, and what goes with it, in the background */
    COMMAND_RETRY_AT,     /* items[0]: a transient error; the next attempt at a known time */
    COMMAND_DONE,         /* items[0] */
    COMMAND_FAIL,         /* items[0] */
    COMMAND_GONE,         /* items[0]: cancelled for good */
    COMMAND_BATCH_DROP,   /* takes jobs of a batch back that never became visible; items[]: room for those of a step */
    COMMAND_BULK_BEGIN,   /* `bulk`; items[]: jobs that it reaches at once */
    COMMAND_BULK_STEP,    /* the next step of the first bulk; items[]: room for the jobs of a step */
    COMMAND_PROVE,        /* no items: writes again what stands there, which shows whether the queue can be written */
    COMMAND_EXPIRE,       /* fails jobs whose deadline has passed; items[] are those that it failed, none before */
    COMMAND_RETAIN,       /* one step of `retain`; items[] are those that it changed */
    COMMAND_GROUP_SET,    /* `group` of the caller */
    COMMAND_GROUP_REMOVE, /* the settings of the caller's group of the name in `group` */
    COMMAND_LIMIT,        /* no items: `rate_limit` is what a person chose */
    COMMAND_QUARANTINE_DROP, /* copies what lies in quarantine to a file, and drops it */
    COMMAND_HOOK_DONE,       /* no items: the hook of `hook_sequence` is nobody's business any more */
};

enum if_exists {
    IF_EXISTS_KEEP,    /* the same key with the same file and URL answers with the job that is there */
    IF_EXISTS_REPLACE, /* the job that is there is cancelled and loses the key */
    IF_EXISTS_FAIL,
};

/* What an attempt learnt: the payload of CHECKPOINT, RETRY_AT, DONE, FAIL and GONE. */
struct job_update {
    struct session_record session;
    struct source_identity identity; /* taken anew where the first one was racy */
    bool has_identity;
    bool retakes_identity; /* the source changed, and what it is at the next attempt shall be uploaded */
    bool is_away;          /* with RETRY_AT: no error, the source's file system is not mounted */
    bool progress;         /* clears the failure and the attempts */
    bool confirmed;
    struct failure failure;
    uint64_t retry_delay_usec;
    uint64_t next_attempt_usec;
    uint64_t started_usec;
    uint64_t queued_usec; /* its new place in the lane, behind those who waited; 0 = the one that it has */
    uint64_t run;
    char server[64];
    char address[64];
};

/* A place among the finished jobs in the order of time, then id. */
struct retain_place {
    uint64_t finished_usec, id;
};

/*
 * One step through the finished jobs, oldest first: those that finished before the cutoff are removed, and of those
 * that are done or cancelled the oldest, until no more than keep_jobs of them are left. Nothing else ever is. A failed
 * job whose session is still open at its server is cancelled first, as by `remove`.
 */
struct retain_step {
    uint64_t cutoff_usec;      /* 0 = age is no reason */
    uint64_t keep_jobs;        /* UINT64_MAX = their number is no reason */
    struct retain_place after; /* where the step before ended; 0, 0 = at the beginning */

    struct retain_place reached; /* the answer: where this one ended, */
    bool more;                   /* whether there is more to look at, */
    bool too_many;               /* whether more than keep_jobs are left, */
    uint64_t oldest_usec;        /* and when the oldest that is left finished; 0 = none is left */
};

struct command_item {
    uint64_t id;
    int result;         /* 0, -ENOENT no such job, -EBUSY not allowed in its state, -EKEYREJECTED not the caller's, */
    const char *reason; /* -EINVAL: SET would break the rule that this literal states */
    enum job_state before; /* valid where the job was found, as is */
    enum job_type type;
    int hook;          /* 1: this end of the job has a hook, which is pending now; -EDQUOT: there was no room for it */
    struct job *after; /* the record as committed; NULL where it was removed or not found */
    struct job *left;  /* SET of another URL: the record before, whose session nobody goes on with; NULL = none */
};

void command_item_done(struct command_item *item);

struct bulk;

struct command {
    struct message message; /* first: a command travels to the writer and back */
    enum command_type type;
    struct moment at;
    uid_t caller;
    bool any_owner; /* the caller may touch the jobs of others */

    struct job **jobs; /* ADD: owned; ids are assigned by the writer */
    enum if_exists if_exists;
    size_t jobs_count; /* ADD */
    size_t failed_job; /* ADD: index of the job that made the whole fail */
    /*
     * ADD: the jobs are a part of this batch (0 = they stand alone): invisible until the part that is the last one is
     * durable. batch_offset counts the jobs of the parts before; where the batch has others, -ESTALE.
     */
    uint64_t batch_id;
    uint64_t batch_offset;
    bool batch_is_last;
    bool batch_is_left; /* BATCH_DROP: another step is due */

    enum job_verb verb;
    bool nothing_flies;              /* CANCEL: none of the jobs is under way, and none starts before this is durable */
    const struct job_change *change; /* SET: lives as long as the command */
    /*
     * Owned. ADD answers here too: id, and after = NULL where an old job was kept; behind the items of the new jobs
     * stands one more for each job that had to give its key up.
     */
    struct command_item *items;
    size_t items_count;
    size_t items_size; /* BULK_STEP: room for so many */

    struct job_update update;
    struct retain_step retain;

    uint64_t rate_limit; /* LIMIT: bytes a second, 0 = none, RATE_LIMIT_UNCHOSEN = as the configuration says */

    uint64_t hook_sequence; /* HOOK_DONE */

    struct bulk *bulk;  /* BULK_BEGIN: owned */
    uint64_t bulk_jobs; /* BULK_BEGIN: so many will change, for the journal */
    bool bulk_was_lost; /* BULK_STEP: its record could not be read, and is gone */

    struct group_change group; /* GROUP_SET, GROUP_REMOVE */
    struct group group_after;  /* GROUP_SET: as it is now */

    uint64_t dropped; /* QUARANTINE_DROP: so many records, */
    char saved[64];   /* which lie in this file of the state folder now; "" = there were none */

    /* 0 once durable; -ENOENT no such group; -EEXIST key in use by another upload, -EDQUOT the queue is full: of jobs,
     * -EUSERS: of the owner's (GROUP_SET: of groups), -EFBIG: of bytes; -ENOSPC/-EIO not written */
    int result;

    void (*done)(struct command *command, void *userdata); /* on the loop; the command is freed behind it */
    void *userdata;
};

struct command *command_new(enum command_type type, size_t items_count);
struct command *command_free(struct command *command);
DEFINE_CLEANUP(struct command *, command_free);

/* What the store must do with a record after job_apply(). */
enum job_effect {
    JOB_UNCHANGED,
    JOB_UPDATED,
    JOB_REMOVED,
};

/* Whether VERB may be applied to JOB in its state. SET may still break a rule of its own. */
bool job_verb_is_allowed(const struct job *job, enum job_verb verb);

/*
 * Applies a command other than ADD to one record. Pure. Returns 0 and what became of it, or -EBUSY where the verb is
 * not allowed in this state, or -EINVAL with *ret_reason where SET would break a rule (the record is untouched then). A
 * CHECKPOINT or RETRY_AT that comes late, for a job that has been paused, cancelled or finished meanwhile, never moves
 * its state back.
 */
int job_apply(struct job *job, const struct command *command, enum job_effect *ret_effect, const char **ret_reason);
