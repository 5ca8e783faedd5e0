/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the runner share: runner.c (the session), runner_exchange.c (the wire), runner_commit.c (the disk).
 */
#pragma once

#include "manager/runner.h"

/* Tells the session what happened and does what it asks for. in->now is filled here. */
void runner_feed(struct runner *runner, struct session_input *in);
void runner_source_failed(struct runner *runner, int error);
void runner_source_changed(struct runner *runner, const char *change);
int runner_open_source(struct runner *runner);

void runner_send(struct runner *runner, const struct exchange_request *request);
/* The next step towards the wire of the request that is prepared. */
void runner_proceed(struct runner *runner);
void runner_drop_exchange(struct runner *runner);

void runner_checkpoint(struct runner *runner);
void runner_persist(struct runner *runner);
/* Ends the attempt with a command of end_type: its result becomes durable, then the runner goes. */
void runner_submit_end(struct runner *runner);
