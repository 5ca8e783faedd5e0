/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"

enum wait_for {
    WAIT_DONE,    /* a final state */
    WAIT_STARTED, /* the first request was sent */
};

struct wait_options {
    enum wait_for what;
    bool any;              /* one is enough */
    uint64_t timeout_usec; /* USEC_INFINITY: none */
};

/* Follows the jobs of IDS until it is so, and says on standard error what became of them. The exit code. */
int wait_for_jobs(struct cli *cli, const uint64_t *ids, size_t count, const struct wait_options *options);

/* How many jobs ended how; pure. */
struct wait_tally {
    size_t well, failed, cancelled, missing;
};

enum exit_code wait_exit_code(const struct wait_tally *tally);
