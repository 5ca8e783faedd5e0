/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands for many jobs share. */
#pragma once

#include "cli/select.h"

#define OPTION_STATE (OPTION_LONG + 0)
#define OPTION_GROUP (OPTION_LONG + 1)
#define OPTION_ALL   (OPTION_LONG + 2)

#define SELECT_OPTIONS                                                  \
    {OPTION_STATE, "state", "STATE[,...]", "jobs in these states"},     \
        {OPTION_GROUP, "group", "GROUP", "jobs of this group"},         \
        {OPTION_ALL, "all", NULL, "every job that the command is for"}, \
    {                                                                   \
        'q', "quiet", NULL, "no hints"                                  \
    }

/* What a verb does, and which states it is for where the jobs were not named one by one. */
struct control {
    bitsq_verb verb;
    const char *done; /* "paused" */
    bool asks;
    bitsq_state states[9];
    const bitsq_job_options *settings; /* set these, whatever VERB is; NULL = none */
};

/* One option of SELECT_OPTIONS, or --yes. 0 or an exit code. */
int control_option(struct cli *cli, struct selection *selection, int id, const char *value, bool *yes);

/* Asks where the jobs are many and the control asks, does it, and says how it went: the exit code. */
int control_run(struct cli *cli, const char *verb, const struct control *control, struct selection *selection,
                bool yes);
