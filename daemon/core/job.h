/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job: what is stored of it, the states that it may be in, and the commands that change it.
 *
 *   ready ⇄ paused      retrying ──time──▶ runs again      cancelling ──▶ cancelled
 *     │        ▲            ▲
 *     └── any attempt ──────┘──▶ done | failed (retry ▶ ready)
 *
 * Stored are intent and results only. That a job is queued, blocked, connecting or transferring is derived by the
 * manager from what is in flight: after a crash every job is simply ready again.
 */
#pragma once

#include "core/access.h"
#include "core/failure.h"
#include "core/hook.h"
#include "core/ident.h"
#include "core/limits.h"
#include "core/policy.h"
#include "core/session.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum job_type {
    JOB_UPLOAD = 0,
    JOB_UPLOAD_REPLY = 1,
};

enum job_priority {
    PRIORITY_FOREGROUND = 0,
    PRIORITY_HIGH = 1,
    PRIORITY_NORMAL = 2,
    PRIORITY_LOW = 3,
};

enum job_state { /* the numbers stand in the store: never renumber */
                 JOB_READY = 1,
                 JOB_PAUSED = 2,
                 JOB_RETRYING = 3,
                 JOB_CANCELLING = 4,
                 JOB_DONE = 5,
                 JOB_FAILED = 6,
                 JOB_CANCELLED = 7,
};
#define JOB_STATES 8 /* one past the last, for arrays */

/* What the submitter chose; 0 = the configuration's value when it is looked at. */
struct job_options {
    uint64_t fragment_min_bytes;
    uint64_t fragment_max_bytes;
    uint64_t retry_delay_usec;
    uint64_t no_progress_timeout_usec;
    bool has_no_progress_timeout; /* 0 is a choice: every error is final */
    uint64_t rate_bytes;          /* a second; 0 = no limit of its own */
    uint64_t not_before_usec;     /* CLOCK_REALTIME; 0 = at once */
    uint64_t deadline_usec;       /* CLOCK_REALTIME: what is not done then has failed; 0 = none */
    bool source_restart;          /* a source that changed is uploaded anew instead of failing the job */
    struct policy policy;
};

/* One attempt that ended in an error, for `show`. */
struct job_attempt {
    uint64_t at_usec; /* CLOCK_REALTIME */
    uint32_t code;
    int32_t http_status;
    uint32_t phase;
    uint64_t offset;
    char address[48]; /* of the peer; "" = none was reached */
};

struct job {
    uint64_t id; /* 0 = not assigned yet */
    uid_t owner;
    enum job_type type;
    enum job_priority priority;
    enum job_state state;
    bool remove_when_cancelled; /* `remove` of a failed job whose session is still to be cancelled */
    char *key;                  /* NULL = none */
    char *name;                 /* never NULL; UTF-8 */
    char *group;                /* never NULL; "default" */
    char *url;                  /* as given; its query may be a secret */
    char *host;                 /* "host:port" in lower case, without user or path; part of the lane */
    char *source;               /* absolute path: bytes, not always UTF-8 */
    char *source_mount; /* where its file system was mounted when it was added; NULL = it cannot go, or not known */
    struct source_identity identity;
    bool identity_wanted; /* after `retry` of a changed source: what the path names now is what shall be uploaded */
    char *reply_path;     /* where the reply of an upload-reply job goes: absolute; NULL = into the state folder */
    char *hooks[HOOK_OUTCOMES]; /* the units that are started when it has ended so; NULL = none */
    struct job_options options;
    struct access access;
    struct session_record session;
    struct failure failure; /* the last one; kept while retrying and in failed, cleared by progress and retry */
    bool confirmed;         /* done: the server said so itself */
    uint32_t attempts;      /* errors since the last progress, 0 = none */
    uint32_t attempts_total;
    uint64_t retry_delay_usec;                             /* the last delay of the back-off */
    uint64_t next_attempt_usec;                            /* CLOCK_REALTIME, while retrying */
    uint64_t created_usec;                                 /* CLOCK_REALTIME */
    uint64_t queued_usec;                                  /* its place in the lane */
    uint64_t started_usec;                                 /* first request; 0 = never */
    uint64_t finished_usec;                                /* final state reached; 0 = not */
    uint64_t counted_uploaded_bytes, counted_resent_bytes; /* what the totals have of it already; see totals.h */
    uint64_t revision;                                     /* counts the changes of this record */
    uint64_t run;           /* random number of the daemon run that last worked on it: another one = restarted since */
    char server[64];        /* what the server called itself */
    char address[64];       /* of the last connection */
    uint32_t attempt_count; /* used entries of attempt_log, oldest first */
    struct job_attempt attempt_log[JOB_ATTEMPTS_KEPT];
};

struct job *job_new(void);
struct job *job_free(struct job *job);
DEFINE_CLEANUP(struct job *, job_free);

int job_copy(const struct job *job, struct job **ret);

/*
 * Whether JOB keeps the rules that the store and the wire rely on (lengths, enums in range, required strings, no NUL).
 * 0, or -EINVAL with one English sentence in *ret_reason (a literal).
 */
int job_validate(const struct job *job, const char **ret_reason);

bool job_state_is_final(enum job_state state);
/* When a runnable job may be tried: its next attempt, its turn, or the time that its owner wants it to wait for. */
uint64_t job_due_usec(const struct job *job);

/* It waits for the file system of its source to be mounted. */
bool job_is_away(const struct job *job);

/*
 * How its source, which is NOW so, differs from what is to be uploaded. The device says nothing where the file system
 * comes and goes: it gets another number each time.
 */
enum ident_change job_source_change(const struct job *job, const struct source_identity *now);

/* It may still miss its deadline. */
bool job_has_deadline(const struct job *job);

bool job_state_is_runnable(enum job_state state); /* ready, retrying, cancelling: the scheduler's business */

const char *job_state_name(enum job_state state); /* "ready", "paused", ... */
const char *job_priority_name(enum job_priority priority);
int job_priority_parse(const char *text, enum job_priority *ret);
