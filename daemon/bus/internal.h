/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share. */
#pragma once

#include "bus/server.h"

#include "core/limits.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-bus.h>

#define CALLER_NAME_MAX 255 /* of any name on a bus */

/* A job object that a message is about: valid until the next message on the same connection. */
struct found_job {
    struct peer *peer;
    struct job *job;
    struct manager_view view;
};

struct peer;

/* A method call whose reply waits for the disk. */
struct call {
    TAILQ_ENTRY(call) entry;
    struct peer *peer; /* NULL once the connection is gone */
    sd_bus_message *message;
    /* Where it does not wait for the disk: called instead of clearing PEER once the connection is gone; frees it. */
    void (*gone)(struct call *call);
    void *userdata;
};

/* Somebody on a message bus, whose name there is never given to anybody else. */
struct known_caller {
    char name[CALLER_NAME_MAX + 1]; /* ":1.42"; "" = none */
    uid_t uid;
};

/* One connection: of a client on the private socket, or of ours to a message bus. */
struct peer {
    TAILQ_ENTRY(peer) entry;
    struct bus_server *server;
    sd_bus *bus;
    uid_t uid; /* private socket: from the kernel at accept */
    bool is_broker;
    bool subscribed;           /* wants Progress */
    bool unsubscribed;         /* private socket: wants no signal at all */
    bool begun;                /* private socket: authenticated, and asked for what came with that */
    bool doomed;               /* to be freed at the end of this turn */
    sd_bus_track *subscribers; /* message bus */
    TAILQ_HEAD(, call) calls;
    unsigned calls_count;
    struct found_job found;

    /* Message bus only. */
    char *address;
    bool owns_name;
    struct known_caller callers[BUS_CALLERS_MAX];
    size_t next_caller; /* whose place the next one takes */
    LIST_HEAD(, asked_caller) asked;
    unsigned held_calls; /* of all of those */
    uint64_t retry_usec; /* delay before the next connection */
    sd_event_source *retry_source;
    TAILQ_HEAD(, call) joiners; /* JoinBus calls that wait for the name */
};

struct bus_server {
    sd_event *event;
    struct manager *manager;
    char *state_directory;
    char *started_by;
    int (*reload)(void *userdata, char **ret_message);
    void *userdata;
    int listen_fd;
    char *listen_path;
    sd_event_source *listen_source;
    sd_event_source *listen_again_source;
    sd_event_source *post_source; /* takes what came together with the end of an authentication */
    sd_event_source *reap_source; /* frees the doomed at the end of a turn, never under their own feet */
    TAILQ_HEAD(, peer) peers;
    size_t peers_count;
    TAILQ_HEAD(, peer) brokers;
    bool ending;
};

/* Exports the objects on a connection, and dooms the peer when it ends. */
int peer_export(struct peer *peer);
/* Whether the peer has gone, or reads so slowly that it must be dropped; it goes at the end of the turn then. */
bool peer_is_stuck(struct peer *peer);
/* Whether the peer has replies to read before it may ask for large ones. */
bool peer_is_busy(struct peer *peer);
void peer_doom(struct peer *peer);
struct peer *peer_free(struct peer *peer);
int peer_accept(struct bus_server *server, int fd);
void peer_update_subscriptions(struct bus_server *server);
void peer_forget_calls(struct peer *peer);

int broker_join(struct bus_server *server, const char *address, struct call *joiner);
/* The bus went away: drops the connection, tries again later. */
void broker_lost(struct peer *broker);
struct peer *broker_free(struct peer *peer);

/* Another bus, or the same one started anew, gives the same names to others. */
void auth_forget_callers(struct peer *peer);

/*
 * For every message, before the objects see it: 0 where the caller is known, or need not be; 1 where the message is
 * held until the bus has said who calls; or a negative errno.
 */
int auth_await_caller(struct peer *peer, sd_bus_message *message, sd_bus_error *error);

/* -EPERM, with the error set, where the caller may not use this daemon; else 0 and whose jobs it acts on. */
int auth_caller(struct peer *peer, sd_bus_message *message, uid_t *ret_uid, sd_bus_error *error);

int error_set(sd_bus_error *error, const struct manager_error *fault);
const char *error_name(enum manager_fault fault);

/* Parks MESSAGE until its answer is durable. -EDQUOT with the error set over BUS_PENDING_MAX. */
/* The caller's job ID, in *ret; NoSuchJob also where it is somebody else's. */
int job_get_own(struct peer *peer, sd_bus_message *message, uint64_t id, struct job **ret, sd_bus_error *error);
/* Whether FOUND is the caller's job: 0, or NoSuchJob. */
int job_check_own(const struct found_job *found, sd_bus_message *message, sd_bus_error *error);

int call_new(struct peer *peer, sd_bus_message *message, struct call **ret, sd_bus_error *error);
struct call *call_free(struct call *call);
/* Sends the error and frees the call. */
void call_fail(struct call *call, const struct manager_error *fault);
/* A manager_done_t: answers with nothing, or with what went wrong; of a command over several jobs, with the first. */
void call_answer(void *userdata, const struct manager_result *result);
/* R is what the manager said of a call that waits for it: a handler's return value, and no CALL where it is negative.
 */
int call_wait(struct call *call, int r, const struct manager_error *fault, sd_bus_error *error);

/* Arguments. All return 0, or a negative errno with the error set to InvalidArgument. */
int options_read_submission(sd_bus_message *message, struct manager_submission *ret, sd_bus_error *error);
struct filter_storage {
    struct manager_filter filter;
    uint64_t *ids;
    struct id_range *ranges;
    bool has_all;
    bool is_empty;        /* no key at all */
    bool names_jobs;      /* ids or ranges were given, */
    bool matches_nothing; /* but empty ones */
};
int options_read_filter(sd_bus_message *message, struct filter_storage *ret, sd_bus_error *error);
void filter_storage_done(struct filter_storage *storage);
/* Of AddJobs; the token lives in the message, and is NULL where the call is no part of a batch. */
int options_read_part(sd_bus_message *message, struct manager_part *ret, sd_bus_error *error);
/* The settings of `set`. */
int options_read_change(sd_bus_message *message, struct job_change *ret, sd_bus_error *error);
/* How a server is reached, and nothing else. */
int options_read_access(sd_bus_message *message, struct access *ret, sd_bus_error *error);
/*
 * An a{sv}: READ takes the value of a key and returns 0, -ENOKEY for an unknown key, or another negative errno for a
 * wrong type or value; *ret_reason may say, with -EINVAL, what a value must be; a literal.
 */
typedef int (*options_read_key_t)(sd_bus_message *message, const char *key, void *target, const char **ret_reason);
int options_read_dictionary(sd_bus_message *message, options_read_key_t read, void *target, sd_bus_error *error);
/* The value of network, power or window; "" takes the choice back. As options_read_key_t. */
int options_read_policy(sd_bus_message *message, const char *key, struct policy *policy, const char **ret_reason);
/* An a{sv} that has no keys yet. */
int options_read_none(sd_bus_message *message, sd_bus_error *error);

/* "/org/bitsq1/jobs/12" */
#define JOB_PATH_MAX 48
void job_path(uint64_t id, char path[static JOB_PATH_MAX]);
int job_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                    sd_bus_error *error);
/* Appends a{sv} with the properties of JOB that a row of QueryJobs has. */
int job_append_row(sd_bus *bus, sd_bus_message *reply, struct peer *peer, const struct job *job,
                   const struct manager_view *view);
int job_append_error(sd_bus_message *message, const struct job *job);

/* limit.c: whether MESSAGE writes RateLimit: it is answered later then. Else 0, or an error for the caller. */
int limit_catch_write(struct peer *peer, sd_bus_message *message, sd_bus_error *error);

void signals_observe(struct bus_server *server);
