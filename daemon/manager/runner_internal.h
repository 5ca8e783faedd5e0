/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the runner share: runner.c (the session), runner_exchange.c (the wire), runner_commit.c (the disk).
 */
#pragma once

#include "manager/runner.h"

/* Tells the session what happened and does what it asks for. in->now is filled here. */
void runner_feed(struct runner *runner, struct session_input *in);
void runner_source_failed(struct runner *runner, int error);
void runner_source_changed(struct runner *runner, const char *change);
/*
 * Opens the source and looks at it, for DONE: within a time, as nothing may wait for ever for a file system that does
 * not answer. -ETIMEDOUT then, also at once where an earlier look hangs still.
 */
int runner_look_at_source(struct runner *runner,
                          void (*done)(void *userdata, int result, const struct source_identity *identity));
void runner_end_look(struct runner *runner); /* done() never runs where it has not */

void runner_send(struct runner *runner, const struct exchange_request *request);
/* The next step towards the wire of the request that is prepared. */
void runner_proceed(struct runner *runner);
void runner_drop_exchange(struct runner *runner);

/* What must come before START: a look at a source that may have changed unseen. _now: without. */
void runner_begin(struct runner *runner);
bool runner_begin_now(struct runner *runner); /* whether the runner is still there */

/* runner_access.c */
bool runner_needs_access(const struct runner *runner);
/* Ends in runner_begin(), or in START and ACCESS_FAILED. */
int runner_load_access(struct runner *runner);
void runner_begin_without_access(struct runner *runner, const char *fault, bool may_heal);
/* Whether the token comes to its end and is being had anew: the request that is prepared waits for it. */
bool runner_renew_token(struct runner *runner);
/* Whether OUTCOME refuses a token that is being had anew: the session hears of it then, later. */
bool runner_refresh_token(struct runner *runner, const struct exchange_outcome *outcome);
void runner_drop_access_request(struct runner *runner);

/* runner_reply.c */
int runner_prepare_sink(struct runner *runner, struct transfer_sink *ret);
/* Whether OUTCOME brought bytes that are being written: the session hears of it then, later. */
bool runner_keep_reply(struct runner *runner, const struct exchange_outcome *outcome);
void runner_store_reply(struct runner *runner);
void runner_drop_reply(struct runner *runner);
/* The job is cancelled: what there is of its reply goes. */
void runner_forget_reply(const struct runner *runner);

void runner_checkpoint(struct runner *runner);
void runner_persist(struct runner *runner);
/* Ends the attempt with a command of end_type: its result becomes durable, then the runner goes. */
void runner_submit_end(struct runner *runner);
