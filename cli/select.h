/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SELECTION: ids, ranges 12-20, a group, states, or all. */
#pragma once

#include "cli/cli.h"

#define SELECT_IDS_MAX 10000 /* ids named one by one in a command */

struct selection {
    bitsq_filter *filter;
    size_t ids, ranges;
    const char *group;
    bool states, all;
};

void selection_done(struct selection *selection);

/* Options that say which jobs; each 0 or an exit code with its message said. */
int selection_init(const struct cli *cli, struct selection *selection);
int selection_add_operand(const struct cli *cli, struct selection *selection, const char *text);
int selection_add_states(const struct cli *cli, struct selection *selection, const char *text);
int selection_set_group(const struct cli *cli, struct selection *selection, const char *group);

bool selection_is_empty(const struct selection *selection);

/* One id; 0 or an exit code. */
int parse_job_id(const struct cli *cli, const char *text, uint64_t *ret);

/* "12" or "12-20". 0, -EINVAL or -ERANGE. Pure. */
int parse_job_range(const char *text, uint64_t *ret_first, uint64_t *ret_last);
