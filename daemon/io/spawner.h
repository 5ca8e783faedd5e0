/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small process that runs helpers and hooks for the daemon. It is forked before there are threads, a store or sockets
 * that a child could inherit, and holds nothing but its end of a socket; the daemon itself never forks again.
 *
 *   daemon ──{id, argv, env, timeout}──▶ bitsq-spawner ── fork, exec ──▶ helper (process group of its own)
 *          ◀──{id, status, output}──────             ◀── stdout, stderr (pipes, bounded)
 *
 * It ends with the daemon, however that ends, and kills what runs then.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct spawner;
struct spawner_run;

/* How a program ended. Texts are the callee's, as long as the call lasts, and end with a NUL that does not count. */
struct spawner_result {
    int error; /* negative errno: it could not be started (-ENOENT, -EACCES, ...) or, -ECONNRESET, the spawner is gone
                */
    bool timed_out;  /* killed at the timeout */
    int exit_status; /* 0 to 255, or -1 */
    int signal;      /* that ended it, 0 = none */
    const char *output;
    size_t output_bytes;
    bool output_cut;        /* it wrote more than SPAWNER_OUTPUT_BYTES: killed */
    const char *error_text; /* the last SPAWNER_ERROR_BYTES of its standard error */
    size_t error_bytes;
};

/* What they ended with, the last line of its standard error, as text_escape() leaves it; the caller frees it. */
char *spawner_last_words(const struct spawner_result *result);

/*
 * What a helper may need to find the user's agents and settings, and nothing else of the daemon's: allocates strings
 * into RET, which has room for so many, and returns how many. -ENOMEM, with some of them set.
 */
#define SPAWNER_ENVIRONMENT_MAX 5
int spawner_environment(char *ret[static SPAWNER_ENVIRONMENT_MAX]);

/* Before there are threads, a store and sockets: forks. What the caller has open does not reach the helpers. */
int spawner_start(struct spawner **ret);
/* From now on answers are read in EVENT. DIED, which may be NULL, runs on the loop if the process ends unasked. */
int spawner_attach(struct spawner *spawner, sd_event *event, void (*died)(void *userdata), void *userdata);
/* Of the process, 0 where it has died. */
pid_t spawner_pid(const struct spawner *spawner);
/* Ends the process and what it runs, waits for it; no done() runs any more. Every run is freed. */
struct spawner *spawner_free(struct spawner *spawner);
DEFINE_CLEANUP(struct spawner *, spawner_free);

/*
 * Runs ARGV[0], an absolute path, with ARGV and exactly ENVIRONMENT (both NULL-terminated, copied), standard input from
 * /dev/null, in /, in a session of its own: no terminal to ask at. At most SPAWNER_PARALLEL run at a time, others wait
 * for their turn; TIMEOUT_USEC counts from the program's start. When it ends, or its time is over, what is left of its
 * process group is killed. done() runs on the loop, once, never from within this call.
 *
 * -E2BIG: more than SPAWNER_STRINGS_MAX strings or SPAWNER_REQUEST_BYTES; -EAGAIN: SPAWNER_QUEUED wait already;
 * -ECONNRESET: the process has died.
 */
int spawner_run(struct spawner *spawner, const char *const *argv, const char *const *environment, uint64_t timeout_usec,
                void (*done)(void *userdata, const struct spawner_result *result), void *userdata,
                struct spawner_run **ret);
/* Kills it; done() does not run. */
void spawner_run_cancel(struct spawner_run *run);
