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

/* First thing in main(): forks. NULL-terminated environment and descriptors of the caller do not reach helpers. */
int spawner_start(struct spawner **ret);
/* From now on answers are read in EVENT. */
int spawner_attach(struct spawner *spawner, sd_event *event);
/* Ends the process and what it runs, waits for it; no done() runs any more. Every run is freed. */
struct spawner *spawner_free(struct spawner *spawner);
DEFINE_CLEANUP(struct spawner *, spawner_free);

/*
 * Runs ARGV[0], an absolute path, with ARGV and exactly ENVIRONMENT (both NULL-terminated, copied), standard input from
 * /dev/null, in /. At most SPAWNER_PARALLEL run at a time, others wait for their turn; TIMEOUT_USEC counts from the
 * program's start, and whatever of its process group is left then is killed. done() runs on the loop, once, never from
 * within this call. -E2BIG: argv and environment are over SPAWNER_REQUEST_BYTES; -EAGAIN: SPAWNER_QUEUED wait already.
 */
int spawner_run(struct spawner *spawner, const char *const *argv, const char *const *environment, uint64_t timeout_usec,
                void (*done)(void *userdata, const struct spawner_result *result), void *userdata,
                struct spawner_run **ret);
/* Kills it; done() does not run. */
void spawner_run_cancel(struct spawner_run *run);
