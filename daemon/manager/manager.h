/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The use cases: add, control, query, run. Owns the queue's life between the store, the scheduler and the runners.
 *
 *   bus ──manager_add/control/query──▶ manager ──command──▶ store writer
 *                                        ▲  │
 *          one mailbox for all that ─────┘  └──plan──▶ runner ──▶ transfer_ops, io
 *          comes back later
 *
 * Once round the loop: what came back → session steps → commands to the writer → replies and signals → one scheduling
 * decision → starts. The manager reads the clock and hands it down.
 */
#pragma once

#include "core/command.h"
#include "core/gates.h"
#include "core/group.h"
#include "core/job.h"
#include "core/settings.h"
#include "core/transfer.h"
#include "store/store.h"

#include "base/cleanup.h"

#include <systemd/sd-event.h>

struct manager;
struct io;
struct spawner;
struct network;
struct power;

/* Why a request of a caller was refused; the bus maps each to a named error. */
#define GATE_TEXT_MAX 200 /* bytes of a sentence about a gate */

enum manager_fault {
    FAULT_NONE = 0,
    FAULT_NO_SUCH_JOB,
    FAULT_INVALID_ARGUMENT,
    FAULT_INVALID_STATE,
    FAULT_LIMIT_REACHED,
    FAULT_SOURCE_UNREADABLE,
    FAULT_ALREADY_EXISTS,
    FAULT_DEGRADED,
    FAULT_NO_MEMORY,
};

struct manager_error {
    enum manager_fault fault;
    char text[FAILURE_TEXT_MAX]; /* one sentence: what failed, why, what to do */
};

/* The states that people see: the stored ones, with `ready` told apart by what is in flight. */
enum shown_state {
    SHOWN_QUEUED,
    SHOWN_BLOCKED,
    SHOWN_CONNECTING,
    SHOWN_TRANSFERRING,
    SHOWN_REPLYING, /* all bytes are acknowledged: the reply is being fetched */
    SHOWN_RETRYING,
    SHOWN_PAUSED,
    SHOWN_CANCELLING,
    SHOWN_DONE,
    SHOWN_FAILED,
    SHOWN_CANCELLED,
    SHOWN_STATES,
};
const char *shown_state_name(enum shown_state state);
int shown_state_parse(const char *text, enum shown_state *ret);

struct manager_view {
    enum shown_state state;
    uint32_t closed;             /* gates, GATE_BIT(enum gate); none of a job that is under way */
    uint64_t until_usec;         /* when the last of them opens by itself, as far as that is known; 0 = it is not */
    char because[GATE_TEXT_MAX]; /* why it waits; "" = it does not */
    uint64_t acknowledged;
    uint64_t rate; /* bytes a second */
};

struct manager_progress {
    uint64_t id, acknowledged, size, rate;
};

/* The only upward path. Called after the commit. */
struct manager_observer {
    void (*job_added)(void *userdata, const struct job *job);
    void (*job_changed)(void *userdata, const struct job *job);
    void (*job_removed)(void *userdata, uint64_t id);
    void (*jobs_changed)(void *userdata, uint64_t count); /* one for a command with many items */
    void (*progress)(void *userdata, const struct manager_progress *rows, size_t count);
    void (*degraded_changed)(void *userdata);
    /* Gates that opened or closed (GATE_BIT), those of them that are closed now, and the jobs behind them: counted up
     * to 50,000. */
    void (*gates_changed)(void *userdata, uint32_t changed, uint32_t closed, uint64_t jobs);
    void (*world_changed)(void *userdata); /* network or power */
    void (*limit_changed)(void *userdata);
    void *userdata;
};

struct manager_options {
    sd_event *event;
    struct store *store;
    struct io *io;
    struct spawner *spawner; /* NULL = no program can be run */
    struct mailbox *mailbox;
    const struct transfer_ops *transfer_ops;
    void *transport;
    struct settings settings;
    struct network *network; /* borrowed; NULL = nothing is known of it. As the next one */
    struct power *power;
    const struct store_report *store_report;
    const char *state_directory; /* for messages */
    /* Host ("host:port") and file name of a URL; main binds it to net's. Returns NULL or what is wrong with it. */
    const char *(*check_url)(const char *url, char **ret_host, char **ret_name);
};

int manager_new(const struct manager_options *options, struct manager **ret);
/*
 * The end: aborts what is under way and hands what it learnt to the writer. The loop goes on until
 * manager_has_stopped(), which is when all of it is durable and answered; only then may the bus, the manager and the
 * store be freed, in this order.
 */
void manager_stop(struct manager *manager);
bool manager_has_stopped(const struct manager *manager);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager *, manager_free);

void manager_set_observer(struct manager *manager, const struct manager_observer *observer);
/* Also the beginning: the first scheduling decision becomes due, and the first look for jobs that nobody needs. */
void manager_set_settings(struct manager *manager, const struct settings *settings);
/*
 * Takes RULES over and leaves none; a copy of CREDENTIAL_DIRECTORY, NULL = the default. They count from the next
 * attempt of each job on.
 */
int manager_set_access(struct manager *manager, struct access_rules *rules, const char *credential_directory);
/*
 * What hooks run: copies. COMMAND, where systemd cannot start the unit, NULL = nothing; SYSTEMCTL, NULL = the machine's
 * own, where systemd runs. They count from the next try of each hook on.
 */
int manager_set_hook_programs(struct manager *manager, const char *command, const char *systemctl);
/* Whether anybody wants Progress: without, no timer runs for it. */
void manager_want_progress(struct manager *manager, bool wanted);

struct manager_submission {
    char *source; /* absolute path */
    char *url;
    char *name;  /* NULL: the file's name */
    char *group; /* NULL: default */
    char *key;   /* NULL: none */
    enum if_exists if_exists;
    enum job_priority priority;
    bool hold;
    bool wants_reply;  /* an upload-reply job */
    char *reply_path;  /* absolute; NULL = the daemon keeps it */
    bool refuse_empty; /* an empty file is an error */
    char *hooks[HOOK_OUTCOMES];
    struct job_options options;
    struct access access;
};
void manager_submission_done(struct manager_submission *submission);

struct manager_result {
    struct manager_error error;
    const uint64_t *ids; /* add: in the order of the submissions */
    size_t ids_count;
    uint64_t matched, failed;               /* control */
    const struct manager_failure *failures; /* control: the first ones */
    size_t failures_count;
    uint64_t dropped;  /* drop of the quarantine: so many records, */
    const char *saved; /* which lie in this file now, an absolute path; "" = there were none */
};

struct manager_failure {
    uint64_t id;
    struct manager_error error;
};
#define MANAGER_FAILURES_MAX 100

typedef void (*manager_done_t)(void *userdata, const struct manager_result *result);

/* Of a batch in several calls. */
struct manager_part {
    const char *token; /* the caller's name for the batch, of its own making: 1 to BATCH_TOKEN_MAX bytes */
    uint64_t offset;   /* jobs of the calls before */
    bool more;         /* others follow: until the last is durable, nobody sees any of them */
};

/*
 * Queues jobs, all or none. 0: DONE runs exactly once, later, when the answer is durable or the jobs were refused. A
 * negative errno: refused at once, *ret_error says why, DONE will not run. SUBMISSIONS may be emptied. PART is NULL
 * where they stand alone.
 */
int manager_add(struct manager *manager, uid_t caller, struct manager_submission *submissions, size_t count,
                const struct manager_part *part, manager_done_t done, void *userdata, struct manager_error *ret_error);

struct manager_filter {
    struct store_filter store;
    uint32_t states; /* bit 1 << enum shown_state; 0 = any */
};

/*
 * Applies VERB to the jobs of CALLER that match, in steps of one transaction each; DONE runs when the last is durable.
 * CHANGE, without its host, is given with SET alone, and is taken over where 0 is returned.
 * Ids that FILTER names and that do not exist count as failed. FILTER is used within the call only. As manager_add().
 */
int manager_control(struct manager *manager, uid_t caller, enum job_verb verb, struct job_change *change,
                    const struct manager_filter *filter, manager_done_t done, void *userdata,
                    struct manager_error *ret_error);

/*
 * Opens the reply that is stored for JOB: DONE runs once, later, with a descriptor that is the receiver's, or -1 and
 * why. A negative errno: refused at once, *ret_error says why.
 */
int manager_open_reply(struct manager *manager, const struct job *job,
                       void (*done)(void *userdata, int fd, const struct manager_error *error), void *userdata,
                       struct manager_error *ret_error);

struct probe;
struct probing; /* a probe that somebody waits for */
struct manager_probe_result {
    struct manager_error error; /* where the daemon ends meanwhile */
    const struct probe *probe;
    bool is_usable;
    const char *address; /* of the server; "" = none was reached */
};
typedef void (*manager_probed_t)(void *userdata, const struct manager_probe_result *result);

/*
 * Finds out whether the server of URL takes uploads, with ACCESS and what the configuration adds to it. As
 * manager_add(), but *ret can be abandoned until DONE runs: then DONE never does.
 */
int manager_probe(struct manager *manager, const char *url, const struct access *access, manager_probed_t done,
                  void *userdata, struct probing **ret, struct manager_error *ret_error);
void manager_abandon_probe(struct probing *probing);

/*
 * Changes the settings of a group of CALLER, whether it had any or not; what CHANGE does not give stays. CHANGE is used
 * within the call only. As manager_add().
 */
int manager_set_group(struct manager *manager, uid_t caller, const struct group_change *change, manager_done_t done,
                      void *userdata, struct manager_error *ret_error);
/*
 * Forgets the settings of a group. Its jobs stay in it, and run as those of a group that has none; the group "default"
 * can be removed at any time, which takes its settings back. As manager_add().
 */
int manager_remove_group(struct manager *manager, uid_t caller, const char *name, manager_done_t done, void *userdata,
                         struct manager_error *ret_error);
/* Calls EACH for "default", and then for the groups of OWNER that have settings, by name, until it is negative. */
int manager_list_groups(const struct manager *manager, uid_t owner,
                        int (*each)(const struct group *group, void *userdata), void *userdata);
/*
 * The settings of the group NAME of OWNER as they are durable; NULL = it has none, and limits nothing. Valid until the
 * next turn of the loop. A change makes a scheduling decision due.
 */
const struct group *manager_find_group(const struct manager *manager, uid_t owner, const char *name);

/* As store_query(), with what is in flight. */
int manager_query(struct manager *manager, const struct manager_filter *filter, uint64_t after, size_t limit,
                  int (*each)(const struct job *job, const struct manager_view *view, void *userdata), void *userdata,
                  uint64_t *ret_next);

/*
 * Has JOB, of CALLER, tried now, once, past the gates in IGNORED (GATES_PASSABLE at most). As manager_control(), but
 * DONE may run within the call.
 */
int manager_run_job(struct manager *manager, uid_t caller, const struct job *job, uint32_t ignored, manager_done_t done,
                    void *userdata, struct manager_error *ret_error);

/* Each gate of a job, for people. */
struct manager_gate {
    enum gate gate;
    bool is_open;
    uint64_t since_usec; /* 0 = not known */
    uint64_t until_usec; /* when it may be otherwise; 0 = not known */
    char text[GATE_TEXT_MAX], remedy[GATE_TEXT_MAX];
};
void manager_explain(struct manager *manager, const struct job *job, struct manager_gate ret[static GATES]);

int manager_verb_parse(const char *text, enum job_verb *ret);

/* As store_totals(), with times as the wall clock shows them. */
int manager_totals(struct manager *manager, uid_t owner, struct totals *ret);

/* Jobs of OWNER by the state that people see. */
int manager_count(struct manager *manager, uid_t owner, uint64_t ret_counts[static SHOWN_STATES]);

/* What the machine says has changed: routes, addresses, what NetworkManager knows; or power. */
void manager_network_changed(struct manager *manager);
void manager_power_changed(struct manager *manager);
void manager_mounts_changed(struct manager *manager); /* something was mounted or unmounted */
/* For people. */
struct manager_world {
    bool network_known, connected;
    char device[16];
    const char *connectivity, *metered; /* "unknown", "none", "portal", "limited", "full"; "unknown", "no", "yes" */
    bool power_known, on_battery;
    uint32_t percent;
};
void manager_get_world(const struct manager *manager, struct manager_world *ret);
/* The machine is about to sleep, or has woken up. When all is put down, power_allow_sleep() is called. */
void manager_sleeping(struct manager *manager, bool asleep);

/* Who decided the limit of rate that is in force. */
enum limit_source {
    LIMIT_OF_CONFIGURATION, /* RateLimit=, or that there is none */
    LIMIT_OF_SCHEDULE,      /* RateSchedule= */
    LIMIT_OF_COMMAND,       /* a person, until they say otherwise */
};
const char *limit_source_name(enum limit_source source);

struct manager_limit {
    uint64_t rate; /* bytes a second for all jobs together; 0 = none */
    enum limit_source source;
    uint64_t until_usec; /* CLOCK_REALTIME, when it will be another one; 0 = that is not known */
    uint64_t chosen;     /* by a person; RATE_LIMIT_UNCHOSEN = by nobody */
};
void manager_get_limit(const struct manager *manager, struct manager_limit *ret);

/*
 * Chooses a limit: 0 = none, RATE_LIMIT_UNCHOSEN = as the configuration and its schedule say. It outlives the daemon,
 * and counts from when it is durable. As manager_add().
 */
int manager_set_limit(struct manager *manager, uint64_t rate, manager_done_t done, void *userdata,
                      struct manager_error *ret_error);

struct store *manager_store(struct manager *manager);
void manager_describe(struct manager *manager, const struct job *job, struct manager_view *ret);
size_t manager_active_jobs(const struct manager *manager);
uint64_t manager_rate(const struct manager *manager);
/* A time of the queue as the wall clock will show it; 0 and infinity stay. */
uint64_t manager_wall_usec(struct manager *manager, uint64_t usec);
/* The other way round: a time that a person gave, as the queue reckons. */
uint64_t manager_queue_usec(struct manager *manager, uint64_t usec);
uint64_t manager_next_wakeup(struct manager *manager);    /* CLOCK_REALTIME, 0 = none */
uint64_t manager_revision(const struct manager *manager); /* counts changes of the queue in this process */
/* Sentences; valid until the next turn of the loop. */
size_t manager_degraded(struct manager *manager, const char *ret_sentences[static 4]);
/*
 * Empties the quarantine, after a copy of it was written to a file in the state folder. Degraded ends with that. As
 * manager_add().
 */
int manager_drop_quarantine(struct manager *manager, manager_done_t done, void *userdata,
                            struct manager_error *ret_error);
/* Records in quarantine. */
uint64_t manager_quarantined(struct manager *manager);
/* No job runs or waits for its time. */
bool manager_is_idle(struct manager *manager);
