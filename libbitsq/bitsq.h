/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libbitsq: hand files to the background upload queue of bitsqd, look at the queue, steer it, follow it.
 *
 *   bitsq_client *client;
 *   uint64_t id;
 *
 *   if (bitsq_client_new(&client) < 0)
 *       return 1;
 *   if (bitsq_client_connect(client, 0) < 0 ||
 *       bitsq_client_add(client, "/home/me/report.iso", "https://up.example.org/in/report.iso", NULL, &id) < 0)
 *       fprintf(stderr, "%s\n", bitsq_client_get_error_message(client));
 *   bitsq_client_free(client);
 *
 * Conventions
 *   - A function that can fail returns 0 (or a positive value where its comment says so), or a negative errno; the
 *     client keeps a stable name and a sentence for people beside it: bitsq_client_get_error_name(), _message().
 *   - Out-parameters come last and stay untouched on failure. What a *_new() or a "ret" of an opaque type gives is the
 *     caller's and is freed with the type's *_free(), which accepts NULL and returns NULL. A string that a getter
 *     returns belongs to the object, is never NULL ("" = none), and lives as long as the object.
 *   - Times are microseconds since 1970 (CLOCK_REALTIME), 0 = not yet; durations microseconds; sizes bytes; rates bytes
 *     a second. Text is UTF-8; file names are bytes.
 *   - No global state, no threads of its own, no signal handlers. One client serves one thread at a time.
 *
 * Errors, with their stable names
 *   NoSuchJob -ENOENT          InvalidArgument -EINVAL    InvalidState -EBUSY     NotPermitted -EACCES
 *   LimitReached -EDQUOT       SourceUnreadable -EBADF    SourceChanged -ESTALE   AlreadyExists -EEXIST
 *   Degraded -EROFS            NoDaemon -ECONNREFUSED     VersionMismatch -EPROTO Disconnected -ENOTCONN
 *   TimedOut -ETIMEDOUT        NoMemory -ENOMEM           Failed: any other errno
 */
#ifndef BITSQ_H
#define BITSQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bitsq_client bitsq_client;               /* a connection to the daemon */
typedef struct bitsq_job_options bitsq_job_options;     /* how an upload is to be done */
typedef struct bitsq_batch bitsq_batch;                 /* uploads that are queued together */
typedef struct bitsq_filter bitsq_filter;               /* which jobs */
typedef struct bitsq_query bitsq_query;                 /* a walk over the jobs that match */
typedef struct bitsq_job bitsq_job;                     /* a snapshot of one job */
typedef struct bitsq_journal bitsq_journal;             /* what happened in the queue, kept and numbered */
typedef struct bitsq_gates bitsq_gates;                 /* why a job waits */
typedef struct bitsq_groups bitsq_groups;               /* a snapshot of the groups and their settings */
typedef struct bitsq_event bitsq_event;                 /* something that happened in the queue */
typedef struct bitsq_daemon bitsq_daemon;               /* a snapshot of what the daemon says about itself */
typedef struct bitsq_configuration bitsq_configuration; /* what the daemon would make of its configuration */
typedef struct bitsq_totals bitsq_totals;               /* what the queue has done so far */
typedef struct bitsq_probe bitsq_probe;                 /* what was found out about a server */

/* The version of this library, "0.1.0". */
const char *bitsq_version(void);

/* ---- States and verbs ------------------------------------------------------------------------------------------- */

typedef enum bitsq_state {
    BITSQ_STATE_UNKNOWN = 0, /* a state that this version of the library has no number for: see its name */
    BITSQ_STATE_QUEUED = 1,
    BITSQ_STATE_BLOCKED = 2,
    BITSQ_STATE_CONNECTING = 3,
    BITSQ_STATE_TRANSFERRING = 4,
    BITSQ_STATE_RETRYING = 5,
    BITSQ_STATE_PAUSED = 6,
    BITSQ_STATE_CANCELLING = 7,
    BITSQ_STATE_DONE = 8,
    BITSQ_STATE_FAILED = 9,
    BITSQ_STATE_CANCELLED = 10,
    BITSQ_STATE_REPLYING = 11 /* all is uploaded; the server's reply is being fetched */
} bitsq_state;

/* "queued", "transferring", ...; "unknown" for BITSQ_STATE_UNKNOWN and other numbers. */
const char *bitsq_state_to_name(bitsq_state state);

/* The other way; BITSQ_STATE_UNKNOWN where NAME is none. */
bitsq_state bitsq_state_from_name(const char *name);

/* 1 for done, failed and cancelled. */
int bitsq_state_is_final(bitsq_state state);

typedef enum bitsq_verb {
    BITSQ_PAUSE = 1,  /* every state but the final ones and cancelling */
    BITSQ_RESUME = 2, /* paused */
    BITSQ_CANCEL = 3, /* every state but done and cancelled */
    BITSQ_RETRY = 4,  /* failed, retrying, cancelled */
    BITSQ_REMOVE = 5  /* done, failed, cancelled */
} bitsq_verb;

/* ---- The connection --------------------------------------------------------------------------------------------- */

int bitsq_client_new(bitsq_client **ret_client);
bitsq_client *bitsq_client_free(bitsq_client *client);

#define BITSQ_CONNECT_NO_START    1u /* fail with NoDaemon where none runs, start none */
#define BITSQ_CONNECT_ANY_VERSION 2u /* accept a daemon of another version, to look at it or to stop it */

/*
 * Finds the daemon of the calling user and connects to its private socket; starts one where none runs: over the session
 * bus, by systemd's user manager, or itself. Blocks for at most about 30 seconds, usually for milliseconds. May be
 * called again after the connection was lost. Runs the program "bitsqd" from where it was installed; the environment
 * variable BITSQ_DAEMON names another one, for tests.
 *
 * NoDaemon, VersionMismatch (the daemon is older or newer than the library: `bitsq daemon restart`).
 */
int bitsq_client_connect(bitsq_client *client, unsigned flags);

/* 1 where the last bitsq_client_connect() had to start a daemon by itself: nothing keeps it alive after a logout. */
int bitsq_client_started_daemon(const bitsq_client *client);

/* Of the last function with this client that failed: the stable name, and one sentence for people. */
const char *bitsq_client_get_error_name(const bitsq_client *client);
const char *bitsq_client_get_error_message(const bitsq_client *client);

/* ---- Adding ----------------------------------------------------------------------------------------------------- */

/*
 * Options are set by key; a key that is set again is replaced. The keys are those of org.bitsq1.Manager.AddJob; most
 * are long options of `bitsq add` too, with "-" for "_", and bitsq(1) says what each does. All paths are absolute.
 *
 *   string   name, priority (foreground, high, normal, low), group, key, if_exists (keep, replace, fail),
 *            empty (send, refuse), auth, credential, cert, key_file, cacert, pinned_key, proxy, proxy_credential,
 *            noproxy, header_file, user_agent, method_override, protocol_guid, window, network (any, unmetered),
 *            power (any, ac, 30%), source_changed (fail, restart), on_success, on_failure (units of systemd)
 *   boolean  hold (starts paused), netrc, lenient_ack, restart_on_ambiguous, reply_strict, reply_other_host,
 *            at_most_once, credentials_over_http
 *   path     reply (where the server's reply goes: this makes an upload-reply job; "" = the daemon keeps it)
 *   uint64   retry_delay, no_progress_timeout (microseconds), rate (bytes a second), not_before, deadline
 *            (microseconds of CLOCK_REALTIME)
 *   range    fragment_size (bytes)
 *
 * The daemon refuses keys that it does not know. -ENOMEM, or -EINVAL for text that is not UTF-8.
 */
int bitsq_job_options_new(bitsq_job_options **ret_options);
bitsq_job_options *bitsq_job_options_free(bitsq_job_options *options);
int bitsq_job_options_set_string(bitsq_job_options *options, const char *key, const char *value);
int bitsq_job_options_set_uint64(bitsq_job_options *options, const char *key, uint64_t value);
int bitsq_job_options_set_boolean(bitsq_job_options *options, const char *key, int value);
int bitsq_job_options_set_range(bitsq_job_options *options, const char *key, uint64_t least, uint64_t most);
int bitsq_job_options_set_path(bitsq_job_options *options, const char *key, const char *value); /* bytes */
void bitsq_job_options_unset(bitsq_job_options *options, const char *key);

/* For bitsq_client_set(): takes the job's own choice of KEY back, so that the configuration's counts. */
int bitsq_job_options_reset(bitsq_job_options *options, const char *key);

/* 1 and the value where the key is set with that type, 0 where it is not. */
int bitsq_job_options_get_string(const bitsq_job_options *options, const char *key, const char **ret_value);
int bitsq_job_options_get_uint64(const bitsq_job_options *options, const char *key, uint64_t *ret_value);
int bitsq_job_options_get_boolean(const bitsq_job_options *options, const char *key, int *ret_value);
int bitsq_job_options_get_range(const bitsq_job_options *options, const char *key, uint64_t *ret_least,
                                uint64_t *ret_most);
int bitsq_job_options_get_path(const bitsq_job_options *options, const char *key, const char **ret_value);

/* The keys that are set, in no certain order; NULL past the last. */
const char *bitsq_job_options_get_key(const bitsq_job_options *options, size_t index);

/*
 * Queues the upload of the file SOURCE to URL. A relative SOURCE is taken from the working folder. OPTIONS may be NULL.
 * When it returns 0 the job is on disk: neither a crash nor a power cut loses it. Without a `key` option it must not be
 * repeated after Disconnected or TimedOut without a look at the queue; with one it may.
 */
int bitsq_client_add(bitsq_client *client, const char *source, const char *url, const bitsq_job_options *options,
                     uint64_t *ret_id);

#define BITSQ_BATCH_MAX 2000000 /* uploads of one batch; the daemon's MaxJobs may allow fewer */

int bitsq_batch_new(bitsq_batch **ret_batch);
bitsq_batch *bitsq_batch_free(bitsq_batch *batch);

/* -EDQUOT beyond BITSQ_BATCH_MAX. The strings and options are copied. */
int bitsq_batch_append(bitsq_batch *batch, const char *source, const char *url, const bitsq_job_options *options);

/*
 * Queues all of them, or none: where it fails, or this process ends in between, nothing of it is ever listed. RET_IDS
 * has room for as many ids as were appended; they are valid where 0 is returned.
 */
int bitsq_client_add_batch(bitsq_client *client, const bitsq_batch *batch, uint64_t *ret_ids);

/* ---- Looking ---------------------------------------------------------------------------------------------------- */

/*
 * Which jobs: all conditions that are set must hold; several ids (or ranges, or states) are alternatives. Where both
 * ids and ranges are set, a job that is in either matches. An empty filter matches nothing.
 */
int bitsq_filter_new(bitsq_filter **ret_filter);
bitsq_filter *bitsq_filter_free(bitsq_filter *filter);
int bitsq_filter_add_id(bitsq_filter *filter, uint64_t id);
int bitsq_filter_add_range(bitsq_filter *filter, uint64_t first, uint64_t last); /* both included */
int bitsq_filter_add_state(bitsq_filter *filter, bitsq_state state);
int bitsq_filter_set_group(bitsq_filter *filter, const char *group);
int bitsq_filter_set_key(bitsq_filter *filter, const char *key);
int bitsq_filter_set_all(bitsq_filter *filter); /* every job of the caller that meets the other conditions */

/*
 * Walks over the jobs that match, in the order of their ids; pages are fetched as they are needed, so that jobs may
 * come and go meanwhile. FILTER may be freed at once. CLIENT must outlive the query.
 */
int bitsq_client_query(bitsq_client *client, const bitsq_filter *filter, bitsq_query **ret_query);
bitsq_query *bitsq_query_free(bitsq_query *query);

/* 1 and the next job, 0 at the end. Options, the session and the log of attempts are left out: bitsq_client_get_job().
 */
int bitsq_query_next(bitsq_query *query, bitsq_job **ret_job);

/* Everything about one job. NoSuchJob. */
int bitsq_client_get_job(bitsq_client *client, uint64_t id, bitsq_job **ret_job);

/* The id of the caller's job with this key. NoSuchJob. */
int bitsq_client_find_job(bitsq_client *client, const char *key, uint64_t *ret_id);

/*
 * Counts the caller's jobs by state: COUNTS[state] for each bitsq_state below SIZE. COUNTS[0] has those whose state
 * this version of the library does not know.
 */
int bitsq_client_count(bitsq_client *client, uint64_t *counts, size_t size);

bitsq_job *bitsq_job_free(bitsq_job *job);

uint64_t bitsq_job_get_id(const bitsq_job *job);
const char *bitsq_job_get_key(const bitsq_job *job);
const char *bitsq_job_get_name(const bitsq_job *job);
uint32_t bitsq_job_get_owner(const bitsq_job *job);   /* user id */
const char *bitsq_job_get_type(const bitsq_job *job); /* "upload" or "upload-reply" */
bitsq_state bitsq_job_get_state(const bitsq_job *job);
const char *bitsq_job_get_state_name(const bitsq_job *job);
const char *bitsq_job_get_gate(const bitsq_job *job, size_t index); /* what keeps it from running; NULL past the last */
const char *bitsq_job_get_because(const bitsq_job *job);    /* the same as one sentence; "" where nothing does */
uint64_t bitsq_job_get_blocked_until(const bitsq_job *job); /* when that ends by itself; 0: not known */
const char *bitsq_job_get_priority(const bitsq_job *job);
const char *bitsq_job_get_group(const bitsq_job *job);
const char *bitsq_job_get_source(const bitsq_job *job); /* absolute path; bytes, not always UTF-8 */
const char *bitsq_job_get_url(const bitsq_job *job);    /* with the values of its query left out */
const char *bitsq_job_get_host(const bitsq_job *job);   /* "host:port" */
uint64_t bitsq_job_get_size(const bitsq_job *job);
uint64_t bitsq_job_get_acknowledged(const bitsq_job *job); /* bytes that the server has confirmed */
uint64_t bitsq_job_get_resent(const bitsq_job *job);       /* bytes sent more than once */
uint64_t bitsq_job_get_rate(const bitsq_job *job);
uint32_t bitsq_job_get_attempts(const bitsq_job *job);     /* errors so far */
uint64_t bitsq_job_get_next_attempt(const bitsq_job *job); /* 0 = none is planned */
uint64_t bitsq_job_get_created(const bitsq_job *job);
uint64_t bitsq_job_get_started(const bitsq_job *job);
uint64_t bitsq_job_get_finished(const bitsq_job *job);
const char *bitsq_job_get_session(const bitsq_job *job);
const char *bitsq_job_get_server_name(const bitsq_job *job);
const char *bitsq_job_get_server_address(const bitsq_job *job);
const char *bitsq_job_get_server_host(const bitsq_job *job); /* where the server sent the job on to (BITS-Host-Id) */
int bitsq_job_get_confirmed(const bitsq_job *job);           /* 1: the server itself said that it has the whole file */

/* The reply of a job of type upload-reply; bitsq_client_open_reply() reads it. */
const char *bitsq_job_get_reply_path(const bitsq_job *job); /* bytes; where it goes, or lies */
uint64_t bitsq_job_get_reply_received(const bitsq_job *job);
int bitsq_job_get_reply_size(const bitsq_job *job,
                             uint64_t *ret_size);     /* 0 where the server has not told it yet, else 1 */
int bitsq_job_get_reply_stored(const bitsq_job *job); /* 1: complete, on disk and in its place */

/* The error that the job failed with, or that it retries after; an empty name = none. */
const char *bitsq_job_get_error_name(const bitsq_job *job);
uint32_t bitsq_job_get_error_code(const bitsq_job *job); /* HRESULT */
const char *bitsq_job_get_error_message(const bitsq_job *job);
uint32_t bitsq_job_get_error_http_status(const bitsq_job *job); /* 0 where no response came */
const char *bitsq_job_get_error_context(const bitsq_job *job);  /* where it arose, in words */
const char *bitsq_job_get_error_phase(const bitsq_job *job);    /* what the job was doing */
const char *bitsq_job_get_error_host(const bitsq_job *job);     /* "host:port" that was spoken to */
const char *bitsq_job_get_error_address(const bitsq_job *job);  /* "" where no address was reached */

/* The last errors, oldest first: 1 and the attempt, 0 past the last. Every out-parameter may be NULL. */
int bitsq_job_get_attempt(const bitsq_job *job, size_t index, uint64_t *ret_time, const char **ret_error_name,
                          int32_t *ret_http_status, const char **ret_phase, uint64_t *ret_acknowledged);

/* Of the same error: the address of the server or proxy. "" where none was reached, and past the last. */
const char *bitsq_job_get_attempt_address(const bitsq_job *job, size_t index);

/* The options that the job was added with; they belong to the job. NULL, which the getters accept, where it has none.
 */
const bitsq_job_options *bitsq_job_get_options(const bitsq_job *job);

/* ---- Steering --------------------------------------------------------------------------------------------------- */

/*
 * Does VERB to every job that matches. Returns 0 when the intent is durable: *RET_MATCHED jobs, of which *RET_FAILED
 * could not (ids that do not exist count too); both may be NULL. bitsq_client_get_failure() has the first of them.
 */
int bitsq_client_control(bitsq_client *client, bitsq_verb verb, const bitsq_filter *filter, uint64_t *ret_matched,
                         uint64_t *ret_failed);

/* Of the last bitsq_client_control(): 1 and a job that could not, 0 past the last. Strings live until the next one. */
int bitsq_client_get_failure(const bitsq_client *client, size_t index, uint64_t *ret_id, const char **ret_error_name,
                             const char **ret_message);

/* Does VERB to one job. NoSuchJob, InvalidState. */
int bitsq_client_control_job(bitsq_client *client, bitsq_verb verb, uint64_t id);

/*
 * Changes SETTINGS of every job that matches, as bitsq_client_control(). The keys are those of bitsq_job_options, but
 * for key, if_exists, hold, empty and reply; with url too, which starts the upload from zero. bitsq_job_options_reset()
 * takes choices back.
 */
int bitsq_client_set(bitsq_client *client, const bitsq_filter *filter, const bitsq_job_options *settings,
                     uint64_t *ret_matched, uint64_t *ret_failed);

/* ---- Groups ----------------------------------------------------------------------------------------------------- */

/*
 * A group is a named set of jobs (their option "group") with limits of its own. "default" always exists: it has the
 * jobs that name none. Any other name is a group too; without settings it limits nothing.
 *
 * Changes settings of a group, whether it had any or not; what is not given stays. Returns 0 when they are durable.
 *
 *   uint64   max_active (jobs that run at a time, 1 to 64), rate (bytes a second of all of them together)
 *   string   window (hours of the week, "Mon..Fri 22:00-06:00; Sat,Sun 00:00-24:00", or "always"),
 *            network (any, unmetered), power (any, ac, or a charge of the battery as "50%")
 *   boolean  paused (none of its jobs starts)
 *
 * bitsq_job_options_reset() takes a setting back. InvalidArgument, LimitReached, Degraded.
 */
int bitsq_client_set_group(bitsq_client *client, const char *name, const bitsq_job_options *settings);

/*
 * Forgets the settings of a group; its jobs stay in it, and go on as those of a group without any. InvalidArgument
 * where it has none; "default" may be removed at any time.
 */
int bitsq_client_remove_group(bitsq_client *client, const char *name);

/* The groups that have settings, by name, behind "default", which is always there. */
int bitsq_client_list_groups(bitsq_client *client, bitsq_groups **ret_groups);
bitsq_groups *bitsq_groups_free(bitsq_groups *groups);

/* Both are NULL past the last, and belong to GROUPS. Settings that are not set are not there; paused always is. */
const char *bitsq_groups_get_name(const bitsq_groups *groups, size_t index);
const bitsq_job_options *bitsq_groups_get_settings(const bitsq_groups *groups, size_t index);

/* ---- Replies and servers ---------------------------------------------------------------------------------------- */

/*
 * Opens the stored reply of a job of type upload-reply for reading. The caller closes the descriptor. NoSuchJob,
 * InvalidState (there is none, or not yet: the message says why), Failed (its file is gone).
 */
int bitsq_client_open_reply(bitsq_client *client, uint64_t id, int *ret_fd);

/*
 * Finds out whether the server at URL takes uploads, without leaving anything there: speaks with it as a job with
 * OPTIONS (NULL = none) would, and cancels. Blocks for as long as the server takes, at most TIMEOUT_USEC: TimedOut.
 */
int bitsq_client_probe(bitsq_client *client, const char *url, const bitsq_job_options *options, uint64_t timeout_usec,
                       bitsq_probe **ret_probe);
bitsq_probe *bitsq_probe_free(bitsq_probe *probe);
int bitsq_probe_is_usable(const bitsq_probe *probe); /* 1: an upload can work as things are */
uint64_t bitsq_probe_get_latency(
    const bitsq_probe *probe); /* microseconds from a request to its response; 0 = none came */
const char *bitsq_probe_get_address(const bitsq_probe *probe);

/*
 * What was looked at, in order: 1 and a finding, 0 past the last. NAME is stable; VERDICT is "ok", "note" or "problem";
 * REMEDY is "" where nothing is to be done. Every out-parameter may be NULL.
 */
int bitsq_probe_get_finding(const bitsq_probe *probe, size_t index, const char **ret_name, const char **ret_verdict,
                            const char **ret_text, const char **ret_remedy);

/* ---- Gates ------------------------------------------------------------------------------------------------------ */

/*
 * Why a job waits. Its gates are conditions that must all be open for it to run: time, window, network, metered, power,
 * group, slot, rate, retry, source, credential, disk. NoSuchJob; InvalidState for a job that is over.
 */
int bitsq_client_explain(bitsq_client *client, uint64_t id, bitsq_gates **ret_gates);
bitsq_gates *bitsq_gates_free(bitsq_gates *gates);

/* 1 and a gate, 0 past the last. Times are microseconds of CLOCK_REALTIME, 0: not known; UNTIL: when it may be
 * otherwise.
 */
int bitsq_gates_get(const bitsq_gates *gates, size_t index, const char **ret_name, int *ret_open, uint64_t *ret_since,
                    uint64_t *ret_until);
const char *bitsq_gates_get_text(const bitsq_gates *gates, size_t index);   /* why it is as it is */
const char *bitsq_gates_get_remedy(const bitsq_gates *gates, size_t index); /* how it is lifted; "" where it is open */

/*
 * Has a job tried now, once, past the gates that IGNORE names (NULL-terminated); NULL or none: past all that can be
 * ignored, which slot, rate and disk cannot. A paused job is resumed. InvalidState where it does not wait.
 */
int bitsq_client_run(bitsq_client *client, uint64_t id, const char *const *ignore);

/* ---- The journal ------------------------------------------------------------------------------------------------ */

/*
 * What happened in the queue, kept by the daemon under growing numbers, also over its restarts: who remembers the
 * number of the last entry misses nothing. Stands before the first entry behind AFTER; 0: before the oldest that is
 * kept. It belongs to this connection.
 */
int bitsq_client_open_journal(bitsq_client *client, uint64_t after, bitsq_journal **ret_journal);
bitsq_journal *bitsq_journal_free(bitsq_journal *journal);

/* 1: it stands on the next entry; 0: nothing more has happened. It may be called again whenever an event has come. */
int bitsq_journal_next(bitsq_journal *journal);

/* Of the entry on which it stands. Texts are valid until the next call of bitsq_journal_next(). */
int bitsq_journal_has_gap(const bitsq_journal *journal); /* 1: entries between it and the one before are not kept */
uint64_t bitsq_journal_get_sequence(const bitsq_journal *journal);
uint64_t bitsq_journal_get_time(const bitsq_journal *journal); /* microseconds of CLOCK_REALTIME */
/*
 * "added", "started", "paused", "resumed", "retrying", "retried", "changed", "cancelling", "done", "failed",
 * "cancelled", "removed"; a newer daemon may know others
 */
const char *bitsq_journal_get_type(const bitsq_journal *journal);
uint64_t bitsq_journal_get_id(const bitsq_journal *journal);            /* of the job; 0: a command over many */
uint64_t bitsq_journal_get_count(const bitsq_journal *journal);         /* jobs: 1, or those of a command over many */
const char *bitsq_journal_get_name(const bitsq_journal *journal);       /* of the job, or "" */
uint64_t bitsq_journal_get_next_attempt(const bitsq_journal *journal);  /* as the time; 0: none */
const char *bitsq_journal_get_error_name(const bitsq_journal *journal); /* or "" */
const char *bitsq_journal_get_error_message(const bitsq_journal *journal); /* or "" */

/* ---- Following -------------------------------------------------------------------------------------------------- */

typedef enum bitsq_event_type {
    BITSQ_EVENT_JOB_ADDED = 1,    /* id */
    BITSQ_EVENT_JOB_CHANGED = 2,  /* id, state; error in retrying and failed, next attempt in retrying */
    BITSQ_EVENT_JOB_REMOVED = 3,  /* id */
    BITSQ_EVENT_JOBS_CHANGED = 4, /* many at once: look again */
    BITSQ_EVENT_PROGRESS = 5,     /* of one or more jobs, at most twice a second */
    BITSQ_EVENT_DISCONNECTED = 6  /* the daemon went away; jobs go on when one runs again: connect, subscribe, look */
} bitsq_event_type;

/* Asks for progress events too; the others come without. Lasts as long as the connection. */
int bitsq_client_subscribe(bitsq_client *client);
/* No more events, of whatever kind, until it subscribes again: for whoever only adds jobs, and many of them. */
int bitsq_client_unsubscribe(bitsq_client *client);

/*
 * For a loop of the caller's own: wait until the descriptor has one of the events (as in poll(2)), or until the time
 * has come (microseconds of CLOCK_MONOTONIC; 0 = at once, UINT64_MAX = never), then call bitsq_client_dispatch() until
 * it returns 0. All three are asked anew before each wait: a blocking call may have read events already. They return
 * -ENOTCONN without a connection. A new connection has a new descriptor.
 */
int bitsq_client_get_fd(bitsq_client *client);
int bitsq_client_get_events(bitsq_client *client);
int bitsq_client_get_timeout(bitsq_client *client, uint64_t *ret_usec);

/* Never blocks. 1 and an event, 0 where nothing more has come. */
int bitsq_client_dispatch(bitsq_client *client, bitsq_event **ret_event);

/* Blocks until there is something to dispatch (1), TIMEOUT_USEC has passed (0), or a signal came (-EINTR). */
int bitsq_client_wait(bitsq_client *client, uint64_t timeout_usec);

bitsq_event *bitsq_event_free(bitsq_event *event);
bitsq_event_type bitsq_event_get_type(const bitsq_event *event);
uint64_t bitsq_event_get_id(const bitsq_event *event);
bitsq_state bitsq_event_get_state(const bitsq_event *event);
const char *bitsq_event_get_state_name(const bitsq_event *event);
const char *bitsq_event_get_error_name(const bitsq_event *event);
const char *bitsq_event_get_error_message(const bitsq_event *event);
uint64_t bitsq_event_get_next_attempt(const bitsq_event *event);

/* Of a progress event: 1 and the progress of a job, 0 past the last. */
int bitsq_event_get_progress(const bitsq_event *event, size_t index, uint64_t *ret_id, uint64_t *ret_acknowledged,
                             uint64_t *ret_size, uint64_t *ret_rate);

/* ---- The daemon ------------------------------------------------------------------------------------------------- */

int bitsq_client_get_daemon(bitsq_client *client, bitsq_daemon **ret_daemon);
bitsq_daemon *bitsq_daemon_free(bitsq_daemon *daemon);
const char *bitsq_daemon_get_version(const bitsq_daemon *daemon);
int bitsq_daemon_get_pid(const bitsq_daemon *daemon);
const char *bitsq_daemon_get_state_directory(const bitsq_daemon *daemon); /* bytes */
const char *bitsq_daemon_get_started_by(const bitsq_daemon *daemon);      /* systemd, bus, client, command */
uint32_t bitsq_daemon_get_active_jobs(const bitsq_daemon *daemon);
uint64_t bitsq_daemon_get_rate(const bitsq_daemon *daemon);
uint64_t bitsq_daemon_get_next_wakeup(const bitsq_daemon *daemon);
uint64_t bitsq_daemon_get_quarantined(const bitsq_daemon *daemon); /* jobs whose records could not be read */
const char *bitsq_daemon_get_degraded(const bitsq_daemon *daemon, size_t index); /* a sentence; NULL past the last */

/*
 * The limit of rate for all jobs together, in bytes a second: the one that was chosen by bitsq_client_set_rate_limit(),
 * and the one that is in force (0 = none), who decided it (command, schedule, configuration) and when it will be
 * another one (microseconds since 1970; 0 = that is not known).
 */
#define BITSQ_RATE_LIMIT_UNCHOSEN UINT64_MAX
uint64_t bitsq_daemon_get_rate_limit(const bitsq_daemon *daemon);
uint64_t bitsq_daemon_get_effective_rate_limit(const bitsq_daemon *daemon);
const char *bitsq_daemon_get_rate_limit_source(const bitsq_daemon *daemon);
uint64_t bitsq_daemon_get_rate_limit_until(const bitsq_daemon *daemon);

/*
 * The way out of the machine: 1 where there is one, the device that it goes over, or "", what NetworkManager says it
 * reaches (unknown, none, portal, limited, full), and whether it is metered (unknown, no, yes).
 */
int bitsq_daemon_is_connected(const bitsq_daemon *daemon);
const char *bitsq_daemon_get_network_device(const bitsq_daemon *daemon);
const char *bitsq_daemon_get_connectivity(const bitsq_daemon *daemon);
const char *bitsq_daemon_get_metered(const bitsq_daemon *daemon);

/*
 * Chooses the limit, until another is chosen: 0 = none, BITSQ_RATE_LIMIT_UNCHOSEN = as the configuration and its
 * schedule say. It is in force, and durable, when this returns. InvalidArgument; Degraded where it cannot be written.
 */
int bitsq_client_set_rate_limit(bitsq_client *client, uint64_t rate_limit);

/*
 * What the caller's jobs came to since the queue was made. The figures grow when jobs end, and removing jobs lowers
 * none; they outlive the daemon.
 */
int bitsq_client_get_totals(bitsq_client *client, bitsq_totals **ret_totals);
bitsq_totals *bitsq_totals_free(bitsq_totals *totals);
uint64_t bitsq_totals_get_since(const bitsq_totals *totals); /* when the counting began */
/* How often jobs ended so; one that is tried again ends again. */
uint64_t bitsq_totals_get_done(const bitsq_totals *totals);
uint64_t bitsq_totals_get_failed(const bitsq_totals *totals);
uint64_t bitsq_totals_get_cancelled(const bitsq_totals *totals);
/* Bytes of jobs that have ended: those that servers have acknowledged, and those that were sent more than once. */
uint64_t bitsq_totals_get_uploaded(const bitsq_totals *totals);
uint64_t bitsq_totals_get_resent(const bitsq_totals *totals);

/* Makes the daemon read its configuration again. InvalidArgument with file and line; the old one stays in force then.
 */
int bitsq_client_reload(bitsq_client *client);

/*
 * Drops the records that could not be read (bitsq_daemon_get_quarantined()), so that nothing is said of them any more.
 * *RET_SAVED is the file that a copy was written to before, which the caller frees with free(); NULL where there were
 * none. Both may be NULL. Degraded: nothing was dropped.
 */
int bitsq_client_drop_quarantine(bitsq_client *client, uint64_t *ret_dropped, char **ret_saved);

/*
 * Has the configuration read as the next start of a daemon would, whether one runs or not; nothing is changed by that.
 * NoDaemon (bitsqd is not installed), Failed.
 */
int bitsq_client_check_configuration(bitsq_client *client, bitsq_configuration **ret_configuration);
bitsq_configuration *bitsq_configuration_free(bitsq_configuration *configuration);
/* With file and line: why no daemon would start with it; "" = nothing. */
const char *bitsq_configuration_get_error(const bitsq_configuration *configuration);
/* A key that nobody knows and the like; NULL past the last. */
const char *bitsq_configuration_get_warning(const bitsq_configuration *configuration, size_t index);
/* Where the queue is, or would be: bytes. "" where even that cannot be read. */
const char *bitsq_configuration_get_state_directory(const bitsq_configuration *configuration);

/* Ends the daemon (SIGTERM) and returns when it is gone, so that another may start; TimedOut. Jobs stay queued. */
int bitsq_client_stop_daemon(bitsq_client *client, uint64_t timeout_usec);

#ifdef __cplusplus
}
#endif

#endif
