/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drives the session of one active job: carries out what session_step() asks for, and tells it what came of it.
 *
 *   SEND    → [wait for the checkpoint before the last] → check the source → window of the file → transfer → OUTCOME
 *   PERSIST → command → durable → PERSISTED
 *   WAIT, DONE, FAIL, GONE, IDLE → command → durable → observer → the runner ends
 */
#pragma once

#include "core/command.h"
#include "core/job.h"
#include "core/session.h"
#include "core/transfer.h"
#include "manager/pacing.h"

#include <sys/queue.h>
#include <systemd/sd-event.h>

struct io_request;
struct manager;
struct reply_file;
struct source;

/* What could not be written yet, while the store refuses. */
enum runner_owed {
    OWED_NOTHING,
    OWED_PERSIST,
    OWED_END,
};

struct runner {
    TAILQ_ENTRY(runner) entry;
    struct manager *manager;
    struct job *job; /* as last committed */
    struct session session;
    struct source *source;
    struct transfer *transfer;
    struct transfer_connection *connection;

    struct exchange_request request; /* the one that is prepared or under way */
    bool preparing;                  /* it waits for a checkpoint or for the source */
    bool check_started;
    sd_event_source *look_source; /* the look at the source takes too long */
    void (*looked)(void *userdata, int result, const struct source_identity *identity);
    bool source_checked;
    unsigned unsynced; /* checkpoints that are not durable yet */

    struct access choices;             /* resolved when the attempt began */
    struct transfer_access *access;    /* what they name; NULL where nothing was chosen */
    struct io_request *access_request; /* being loaded */
    uint64_t renew_usec;               /* CLOCK_BOOTTIME: a token's time to be had anew; USEC_INFINITY = none */
    bool begun;                        /* the session was told START */
    bool forsaken;                     /* paused before it was: the runner goes instead of beginning */
    bool held_back;                    /* nothing may be sent */
    struct exchange_outcome held;      /* that is told when a token was had, or a part of the reply was written */
    struct reply_file *reply;
    char *reply_buffer; /* one range */
    size_t reply_used;

    uint64_t since_usec; /* CLOCK_MONOTONIC: when its time slice began */
    uint32_t ignored;    /* gates that a person sent it past */
    bool is_yielding;    /* it ends at the edge of its fragment, */
    bool goes_to_end;    /* and then stands at the end of its lane */
    bool drops_connection;
    char local_address[64]; /* the machine's own end of its last exchange; "" = not known */

    bool answered;     /* a response has come in this attempt */
    bool ending;       /* the command that ends the attempt is with the writer */
    bool progressed;   /* since the last command */
    bool had_progress; /* in this attempt */
    enum runner_owed owed;
    enum command_type end_type;
    struct job_update update; /* what the next command carries, but for the session's record */

    struct pacing_flow pacing; /* of the body that is under way */

    uint64_t rate;
    uint64_t rate_at_usec; /* CLOCK_MONOTONIC */
    uint64_t rate_offset;
    uint64_t reported_offset; /* of the last Progress */
};

/* Takes JOB over, also on failure. */
int runner_new(struct manager *manager, struct job *job, struct runner **ret);
struct runner *runner_free(struct runner *runner);

void runner_start(struct runner *runner);

/* The record changed under the runner: a verb was applied. Takes JOB over. */
void runner_job_changed(struct runner *runner, struct job *job);

/* A gate closed: the attempt ends now, without an error. Its connection is dropped where the network is gone. */
void runner_hold(struct runner *runner, bool drop_connection);

/* Somebody else needs the slot, or a gate closed: the attempt ends at the edge of its fragment. */
void runner_yield(struct runner *runner, bool goes_to_end);

/* Tries again what is owed to the disk. */
void runner_settle(struct runner *runner);

/* The daemon ends: aborts, and hands a last checkpoint to the writer. */
void runner_stop(struct runner *runner);
