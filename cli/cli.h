/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs share: how a command was called, how it ends, and how it speaks. */
#pragma once

#include <bitsq/bitsq.h>

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdio.h>

/* The exit codes are part of the interface: scripts branch on them. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_NO_JOB = 3,
    EXIT_JOB_FAILED = 4,
    EXIT_JOB_CANCELLED = 5,
    EXIT_TIMEOUT = 6,
    EXIT_NO_DAEMON = 7,
    EXIT_NOT_PERMITTED = 8,
    EXIT_LIMIT = 9,
    EXIT_SOME_FAILED = 10,
    EXIT_SOURCE = 11,
    EXIT_DETACHED = 130,
};

enum json_mode {
    JSON_OFF,
    JSON_OBJECT, /* one object for the whole answer */
    JSON_LINES,  /* one object a line */
};

enum color_mode {
    COLOR_AUTO,
    COLOR_ALWAYS,
    COLOR_NEVER,
};

struct cli {
    enum json_mode json;
    enum color_mode color;
    bool quiet;
    bitsq_client *client; /* NULL until cli_connect() */
};

DEFINE_CLEANUP(bitsq_job_options *, bitsq_job_options_free);
DEFINE_CLEANUP(bitsq_batch *, bitsq_batch_free);
DEFINE_CLEANUP(bitsq_filter *, bitsq_filter_free);
DEFINE_CLEANUP(bitsq_query *, bitsq_query_free);
DEFINE_CLEANUP(bitsq_job *, bitsq_job_free);
DEFINE_CLEANUP(bitsq_event *, bitsq_event_free);
DEFINE_CLEANUP(bitsq_daemon *, bitsq_daemon_free);
DEFINE_CLEANUP(bitsq_probe *, bitsq_probe_free);
DEFINE_CLEANUP(bitsq_gates *, bitsq_gates_free);
DEFINE_CLEANUP(bitsq_totals *, bitsq_totals_free);

/* ---- report.c ---- */

/* Says "bitsq: ..." on standard error, or an error object where JSON was asked for. Returns CODE. */
int cli_fail(const struct cli *cli, enum exit_code code, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "bitsq: WHAT: why; what to do" from the client's last error, with the exit code that belongs to it. */
int cli_fail_client(const struct cli *cli, const char *what, ...) __attribute__((format(printf, 2, 3)));

int cli_fail_memory(const struct cli *cli);

/* One line on standard error; notes are left out with --quiet. */
void cli_warn(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum exit_code exit_code_of_error(const char *name);

/* TEXT as it may stand in a line: what would harm a terminal is escaped. NULL when memory is refused. */
char *safe_text(const char *text);

/* Connects, and says what is wrong with the daemon where WARN. 0, or an exit code. */
int cli_connect(struct cli *cli, unsigned flags, bool warn);

/* Flushes standard output; EXIT_OTHER with a message where the answer could not be written. */
int cli_finish(const struct cli *cli, int code);

/* ---- the verbs ---- */

int verb_add(struct cli *cli, int argc, char **argv);
int verb_list(struct cli *cli, int argc, char **argv);
int verb_show(struct cli *cli, int argc, char **argv);
int verb_why(struct cli *cli, int argc, char **argv);
int verb_run(struct cli *cli, int argc, char **argv);
int verb_watch(struct cli *cli, int argc, char **argv);
int verb_wait(struct cli *cli, int argc, char **argv);
int verb_pause(struct cli *cli, int argc, char **argv);
int verb_resume(struct cli *cli, int argc, char **argv);
int verb_cancel(struct cli *cli, int argc, char **argv);
int verb_retry(struct cli *cli, int argc, char **argv);
int verb_remove(struct cli *cli, int argc, char **argv);
int verb_set(struct cli *cli, int argc, char **argv);
int verb_events(struct cli *cli, int argc, char **argv);
int verb_reply(struct cli *cli, int argc, char **argv);
int verb_doctor(struct cli *cli, int argc, char **argv);
int verb_stats(struct cli *cli, int argc, char **argv);
int verb_probe(struct cli *cli, int argc, char **argv);
int verb_group(struct cli *cli, int argc, char **argv);
int verb_credential(struct cli *cli, int argc, char **argv);
int verb_limit(struct cli *cli, int argc, char **argv);
int verb_daemon(struct cli *cli, int argc, char **argv);
int verb_version(struct cli *cli, int argc, char **argv);
int verb_help(struct cli *cli, int argc, char **argv);
