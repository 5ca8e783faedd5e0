/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share. */
#pragma once

#include "manager/manager.h"

#include "core/breaker.h"
#include "manager/hooks.h"
#include "manager/pacing.h"
#include "manager/runner.h"

#include <limits.h>
#include <sys/queue.h>

/*
 * A connection whose session ended, kept until the scheduling decision that follows gives it to the next job that goes
 * to the same host in the same way. Where the credentials that both name have changed meanwhile, the transport takes a
 * new one by itself.
 */
struct spare_connection {
    LIST_ENTRY(spare_connection) entry;
    struct transfer_connection *connection;
    char host[JOB_HOST_MAX + 1];
    struct access choices;
};

/* See destination.c. */
struct destination {
    TAILQ_ENTRY(destination) entry;
    char host[JOB_HOST_MAX + 1];
    char address[64];
    struct breaker breaker;
};

/* What a decision found before a lane: the gates that were closed, and those that had changed since the one before. */
struct lane_note {
    uint64_t lane;
    uid_t owner;
    uint32_t closed, changed;
};
struct lane_notes {
    struct lane_note *notes;
    size_t count, size;
};

/* Which way packets for a host go, until something changes: a decision asks for every lane. */
struct known_path {
    char host[JOB_HOST_MAX + 1];
    struct network_path *path; /* NULL = not known */
};
#define KNOWN_PATHS_MAX 128

/* A job that a person wants to run now, past the gates in IGNORED. */
struct forced_job {
    uint64_t id;
    uint32_t ignored;
};

/* The settings of a group of OWNER. */
struct known_group {
    uid_t owner;
    struct group group;
    bool is_readable; /* false: its record is damaged, and GROUP is one without any */
};

struct away_mount;

#define QUARANTINED_NAMED 5 /* jobs in quarantine that are named, before "and N more" */

struct manager {
    sd_event *event;
    struct store *store;
    struct io *io;
    struct mailbox *mailbox;
    const struct transfer_ops *transfer_ops;
    void *transport;
    struct settings settings;
    const char *(*check_url)(const char *url, char **ret_host, char **ret_name);
    struct manager_observer observer;
    char *state_directory;      /* for messages */
    char *state_path;           /* as it is */
    char *credential_directory; /* NULL = the default */
    struct access_rules access_rules;

    sd_event_source *mailbox_source;
    sd_event_source *submit_source;   /* one-shot: commands wait to be handed to the writer together */
    sd_event_source *schedule_source; /* one-shot: a decision is due at the end of this turn */
    sd_event_source *wake_source;     /* the next job becomes due */
    sd_event_source *progress_source;
    sd_event_source *unsaved_source;  /* tries again what could not be written */
    sd_event_source *batch_source;    /* a batch may have been left alone */
    sd_event_source *counting_source; /* one page of a selection that is being counted */

    struct pacing pacing;
    struct manager_limit limit; /* as last evaluated */
    int clock_fd;               /* fires when the limit may be another one, and when the wall clock is set; -1 = none */
    sd_event_source *clock_source;

    TAILQ_HEAD(, runner) runners;
    size_t runners_count;
    LIST_HEAD(, spare_connection) spares;
    LIST_HEAD(, farewell) farewells;
    size_t farewells_count;
    LIST_HEAD(, addition) additions; /* whose files are being looked at, or whose commit is under way */
    LIST_HEAD(, probing) probings;   /* also those that nobody waits for any more */
    size_t probings_count;
    bool stopping;
    unsigned starts_held;            /* by commands that are not durable yet */
    LIST_HEAD(, batching) batchings; /* batches in parts, also those that are taken back */
    size_t batchings_count;
    TAILQ_HEAD(, addition) waiting_additions; /* until there is room */
    size_t adding_jobs, waiting_jobs;
    LIST_HEAD(, control) countings; /* selections that are being counted */
    size_t bulks_count;             /* commands over many jobs that are under way */
    uint32_t bulk_verbs;            /* their verbs, bit 1 << enum job_verb */
    bool bulk_step_is_out;          /* with the writer */
    struct message_list submitted;  /* commands that the writer does not have yet */
    size_t commands_pending;        /* those, with the writer, or on their way back */
    bool progress_wanted;
    uint64_t wake_usec;
    uint64_t revision;
    uint64_t run; /* random number of this run of the daemon */

    sd_event_source *retain_source;   /* the oldest finished job becomes too old */
    uint64_t retain_since_usec;       /* nothing counts as finished before this; see retain.c */
    struct retain_place retain_place; /* up to here only failed jobs are left that are young enough */
    uint64_t retain_removed;          /* by the pass that is under way */
    bool retaining, retain_from_start, retain_again;

    struct network *network; /* NULL = nothing is known, and nothing is held back for it; as the next one */
    struct power *power;
    uint64_t network_since_usec, power_since_usec; /* the last change, in the queue's time */
    uint64_t network_returned_usec;                /* CLOCK_MONOTONIC: jobs start one after the other; 0 = long ago */
    bool expiring;                                 /* jobs whose deadline has passed are with the writer */
    bool had_network;                              /* at the last look: a way out of the machine */
    bool is_asleep;                                /* or about to be: nothing starts */
    struct known_path paths[KNOWN_PATHS_MAX];      /* see gates.c */
    TAILQ_HEAD(destinations, destination) destinations;
    size_t destinations_count;
    struct lane_notes lanes, lanes_before; /* see lanes.c */
    size_t lanes_compared;
    struct away_mount *away[AWAY_MOUNTS_MAX]; /* see mounts.c */
    size_t away_count;
    bool away_before_start; /* jobs may wait for a file system since before this start */
    struct forced_job forced[FORCED_JOBS_MAX];
    size_t forced_count;
    sd_event_source *slice_source; /* a time slice is used up */

    uint64_t write_error_since_usec;
    int write_error;    /* of the last commit that failed; 0 = the store can be written */
    bool proof_pending; /* that it can again */
    char write_error_text[PATH_MAX + 128];
    char set_aside_text[PATH_MAX + 700];
    char quarantine_text[PATH_MAX + 512];

    struct hooks hooks;

    struct known_group *groups; /* sorted by owner, then name */
    size_t groups_count, groups_size;
    size_t groups_pending; /* with the writer: there is room for each */
    char groups_text[512];

    uint64_t anchor_wall_usec, anchor_boot_usec; /* see clock.c */
    uint64_t awake_since_usec; /* in the queue's time: the daemon ran and the machine was awake ever since */
    uint64_t asleep_usec;      /* of this boot, as far as it was noticed */
};

/* A decision is due; many calls in one turn make one decision. */
void manager_reschedule(struct manager *manager);

/* writing.c: submits a command, at the end of this turn and with all others of it; it comes back by the mailbox. */
void manager_submit(struct manager *manager, struct command *command);
/* What the writer does not have yet, it never will: as if the daemon had ended before. */
void manager_drop_submitted(struct manager *manager);
int writing_add_sources(struct manager *manager);

/* groups.c */
int manager_load_groups(struct manager *manager);
void manager_drop_groups(struct manager *manager);
/* Which groups have settings that cannot be read; NULL = none. Valid until the next call. */
const char *manager_groups_sentence(struct manager *manager);

/* batch.c: gives up the batches whose next part did not come. */
void manager_expire_batches(struct manager *manager);

/* The daemon ends: what has not been queued yet never will be. */
void manager_refuse_additions(struct manager *manager);

/* submission.c: a job of CALLER, not added yet; a negative errno, with *error, where a value is none that it may have.
 */
int submission_make_job(struct manager *manager, uid_t caller, const struct manager_submission *submission,
                        struct job **ret, struct manager_error *error);

/* The daemon ends: whoever waits for a probe is told so. */
void manager_stop_probes(struct manager *manager);

/* What CHOICES say of how the server is spoken to. */
void manager_fill_dialect(const struct access *choices, struct session_parameters *parameters);

/* bulk.c: carries commands over many jobs further; at start, and whenever one has come. */
void manager_run_bulks(struct manager *manager);
bool manager_bulks_hold_starts(const struct manager *manager);

/* The stored states in which a job may be shown as one of STATES, bit 1 << enum shown_state. */
uint32_t manager_stored_states(uint32_t states);

/* The outcome of a commit: a failing store is shown; one that seems to work again has to prove it. */
void manager_note_commit(struct manager *manager, int result);

/* A commit that has certainly written something: the store can be written. */
void manager_note_written(struct manager *manager);

/* In a few seconds what could not be written is tried again, and the next jobs are chosen anew. */
void manager_retry_unsaved(struct manager *manager);

/* What a person can do where a commit failed with RESULT; what waits is then written. */
const char *manager_write_remedy(int result);

/* A message for a store that refused RESULT. */
void manager_write_fault(struct manager *manager, int result, struct manager_error *ret);

/* Which jobs lie in quarantine, where, and what to do; NULL = none. Valid until the next call. */
const char *manager_quarantine_sentence(struct manager *manager);

struct runner *manager_find_runner(struct manager *manager, uint64_t id);

/* Whether CHOICES, as resolved, name anything that has to be loaded before a request is sent. */
bool manager_needs_access(const struct access *choices);

/* The runner's job has left its hands; frees it. */
void manager_runner_ended(struct manager *manager, struct runner *runner);

/* retain.c: looks for finished jobs that have to go; a pass that is under way is followed by another one. */
int manager_retain_init(struct manager *manager);
void manager_retain(struct manager *manager);
/* COMMAND came back: it may have finished a job. */
void manager_retain_after(struct manager *manager, const struct command *command);
/* The queue's time was set from BEFORE to AFTER. */
void manager_retain_clock_set(struct manager *manager, uint64_t before_usec, uint64_t after_usec);

/* limit.c: the limit of rate for all. */
int limit_init(struct manager *manager);
void limit_done(struct manager *manager);
/* Looks anew what the settings, the schedule and the wall clock say. */
void limit_evaluate(struct manager *manager);

/* clock.c */
struct moment manager_now(struct manager *manager);
uint64_t manager_boot_usec(void);
void manager_read_wall_clock(struct manager *manager);
uint64_t manager_random(void);

int manager_fault_set(struct manager_error *error, enum manager_fault fault, int result, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The answer to whatever comes while the daemon ends. */
int manager_fault_stopping(struct manager_error *error);

int manager_take_connection(struct manager *manager, const char *host, const struct access *choices,
                            struct transfer_connection **ret);
void manager_spare_connection(struct manager *manager, const char *host, const struct access *choices,
                              struct transfer_connection *connection);
void manager_purge_connections(struct manager *manager);

/* farewell.c: JOB is the record of before; its URL was changed, and its session stays behind. */
void manager_bid_farewell(struct manager *manager, const struct job *job);
void manager_drop_farewells(struct manager *manager);

void manager_runner_started(struct manager *manager, struct runner *runner);
int schedule_run(struct manager *manager);
/* The job is to run past the gates in IGNORED, once. False where too many others are. */
bool schedule_force(struct manager *manager, uint64_t id, uint32_t ignored);
/* Those gates of a job that has not started since; 0 = none. */
uint32_t schedule_ignored(struct manager *manager, uint64_t id);

/* mounts.c: a job waits for the file system that was mounted at PATH. */
void manager_note_away(struct manager *manager, const char *path);
/* Whether jobs may be due because their file system is back; and whether JOB is one of them. */
bool manager_expects_mounts(const struct manager *manager);
bool manager_mount_is_back(struct manager *manager, const struct job *job);
/* All jobs of those that are back have been found. */
void manager_settle_mounts(struct manager *manager);
void manager_free_mounts(struct manager *manager);

/* world.c: lets the machine sleep when nothing is under way any more. */
void manager_settle_for_sleep(struct manager *manager);

/* gates.c: the network is another one. */
void manager_forget_paths(struct manager *manager);

/* The machine stays awake while foreground jobs run, where that was configured. */
void manager_keep_awake(struct manager *manager);

/* lanes.c: a decision begins, looks at one lane, and has looked at all. */
void manager_begin_lanes(struct manager *manager);
void manager_note_lane(struct manager *manager, const struct store_lane *lane, uint32_t closed);
void manager_tell_lanes(struct manager *manager);
/* Runnable jobs of OWNER in lanes with a closed gate; counted up to a bound. */
uint64_t manager_count_blocked(struct manager *manager, uid_t owner);
void manager_free_lanes(struct manager *manager);

/* What people see of the job changed though its record did not. */
void manager_shown_changed(struct manager *manager, const struct job *job);

/* Records changed under their runners: a verb was applied, or a key was taken away. */
void manager_tell_runners(struct manager *manager, const struct command *command);

/* Tells the observer that COUNT jobs of a batch have become visible. */
void manager_announce_batch(struct manager *manager, uint64_t count);

/* Tells the observer what a command changed. */
void manager_announce(struct manager *manager, const struct command *command);
