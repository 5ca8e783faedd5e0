/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of libbitsq share. */
#pragma once

#include <bitsq/bitsq.h>

#include "base/cleanup.h"

#include <dbus/names.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

#define CALL_TIMEOUT_USEC  UINT64_C(120000000) /* a reply waits for the disk, which may be slow */
#define PROBE_TIMEOUT_USEC UINT64_C(10000000)  /* of the first call, which no disk delays */
#define PAGE_ROWS          500u                /* jobs of one page of a query */
#define JOB_PATH_MAX       64                  /* bytes of the path of a job on the bus */
#define ERROR_NAME_MAX     64
#define ERROR_MESSAGE_MAX  1024

#define _public_ __attribute__((visibility("default")))

/* A job that a bulk command could not change. */
struct control_failure {
    uint64_t id;
    char *name;
    char *message;
};

struct bitsq_client {
    sd_bus *bus;  /* NULL: not connected */
    bool started; /* the last connect started a daemon by itself */
    char error_name[ERROR_NAME_MAX];
    char error_message[ERROR_MESSAGE_MAX];
    struct control_failure *failures;
    size_t failures_count;
};

DEFINE_CLEANUP(bitsq_client *, bitsq_client_free);
DEFINE_CLEANUP(bitsq_job_options *, bitsq_job_options_free);
DEFINE_CLEANUP(bitsq_batch *, bitsq_batch_free);
DEFINE_CLEANUP(bitsq_filter *, bitsq_filter_free);
DEFINE_CLEANUP(bitsq_query *, bitsq_query_free);
DEFINE_CLEANUP(bitsq_job *, bitsq_job_free);
DEFINE_CLEANUP(bitsq_event *, bitsq_event_free);
DEFINE_CLEANUP(bitsq_daemon *, bitsq_daemon_free);
DEFINE_CLEANUP(bitsq_probe *, bitsq_probe_free);
DEFINE_CLEANUP(bitsq_gates *, bitsq_gates_free);
DEFINE_CLEANUP(sd_bus *, sd_bus_unref);
DEFINE_CLEANUP(sd_bus *, sd_bus_close_unref);
DEFINE_CLEANUP(sd_bus_message *, sd_bus_message_unref);

/* ---- error.c ---- */

/* Keeps name and sentence in CLIENT and returns ERROR (a negative errno). */
int client_fail(bitsq_client *client, int error, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* As client_fail(), for what a call over the bus gave. */
int client_fail_bus(bitsq_client *client, int error, const sd_bus_error *bus_error);

int client_fail_memory(bitsq_client *client);

/* The errno of a stable name ("NoSuchJob"); -EIO for others. */
int error_from_name(const char *name);

/* "org.bitsq1.Error.NoSuchJob" gives "NoSuchJob"; names of others give "Failed". */
const char *error_short_name(const char *bus_name);

/* ---- call.c ---- */

/* A call of the Manager; -ENOTCONN without a connection. */
int client_manager_call(bitsq_client *client, const char *method, sd_bus_message **ret);

/* A call of the job with ID. */
int client_job_call(bitsq_client *client, uint64_t id, const char *method, sd_bus_message **ret);

/* Sends and waits; the reply may be left out. */
int client_call(bitsq_client *client, sd_bus_message *call, sd_bus_message **ret_reply);
int client_call_for(bitsq_client *client, sd_bus_message *call, uint64_t timeout_usec, sd_bus_message **ret_reply);

/* Reads all properties of an interface. */
int client_get_all(bitsq_client *client, const char *path, const char *interface, sd_bus_message **ret_reply);

/* A call that writes a property: interface, name and a variant are still to be appended. */
int client_set_call(bitsq_client *client, const char *path, sd_bus_message **ret);

/* A result of sd_bus_message_append() or _read(): keeps "what" and passes R on. */
int client_check_append(bitsq_client *client, int r);
int client_check_reply(bitsq_client *client, int r);

/* ---- options.c ---- */

/* Appends OPTIONS (NULL = none) as a{sv}. */
int options_append(const bitsq_job_options *options, sd_bus_message *m);

/* Reads an a{sv} into new options; types that the library has no name for are left out. */
int options_read(sd_bus_message *m, bitsq_job_options **ret);

int options_copy(const bitsq_job_options *options, bitsq_job_options **ret);

/* ---- message.c ---- */

/*
 * Walks an a{sv}. READ takes the value of KEY, or skips it (sd_bus_message_skip(m, "v")); a negative errno ends the
 * walk.
 */
typedef int (*message_read_value_t)(sd_bus_message *m, const char *key, void *target);
int message_read_dictionary(sd_bus_message *m, message_read_value_t read, void *target);
/* One that is itself a value. */
int message_read_inner_dictionary(sd_bus_message *m, message_read_value_t read, void *target);

/* Reads a variant of ay, or of s, into *ret, which is replaced. */
int message_read_path(sd_bus_message *m, char **ret);
int message_read_text(sd_bus_message *m, char **ret);

/* Where the value of a key goes in a struct: a char * for "s", and otherwise what sd_bus_message_read() writes. */
struct plain_value {
    const char *key, *type;
    size_t offset;
};

/* 1: KEY is one of VALUES, and was read into OBJECT. 0: it is another. */
int message_read_plain(sd_bus_message *m, const char *key, const struct plain_value *values, size_t count,
                       void *object);

/* ---- filter.c ---- */

enum filter_part {
    FILTER_WHOLE,       /* ids become ranges where both are set */
    FILTER_WITHOUT_IDS, /* for commands, which treat ids and ranges in two calls, as a missing id is an error */
    FILTER_WITHOUT_RANGES,
};

int filter_append(const bitsq_filter *filter, enum filter_part part, sd_bus_message *m);
bool filter_has_ids(const bitsq_filter *filter);
bool filter_has_ranges(const bitsq_filter *filter);

/* ---- job.c ---- */

/* Reads an a{sv} of job properties; names that the library does not know are skipped. */
int job_read(sd_bus_message *m, bitsq_job **ret);

/* ---- event.c ---- */

/* 1 and an event, 0 where the message is none. */
int event_from_message(sd_bus_message *m, bitsq_event **ret);
int event_new_disconnected(bitsq_event **ret);

/* ---- launch.c ---- */

#define LAUNCH_OUTPUT_MAX 2048 /* bytes kept of what the daemon prints */

struct launch_result {
    int status; /* exit status; -1: killed by a signal, or not known */
    bool timed_out;
    char output[LAUNCH_OUTPUT_MAX]; /* first line of standard output, without its end */
    char errors[LAUNCH_OUTPUT_MAX]; /* standard error */
};

/* The program to run: BITSQ_DAEMON, or where it was installed. */
const char *launch_program(void);

/* Runs "bitsqd OPTION" in an environment of its own, until it exits or has printed a line. -ENOENT and others: not run.
 */
int launch_daemon(const char *option, uint64_t timeout_usec, struct launch_result *ret);

/* ---- discover.c ---- */

/* launch_daemon() gave ERROR: a sentence about it, as NoDaemon. */
int client_fail_launch(bitsq_client *client, int error);

/* The address of the running daemon, or of one that this started (*ret_started: by itself). The caller frees *ret. */
int discover_daemon(bitsq_client *client, bool may_start, char **ret_address, bool *ret_started);
