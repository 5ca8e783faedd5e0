/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What add was asked for, and how it is queued. */
#pragma once

#include "cli/proxy.h"
#include "cli/upload.h"

struct add {
    bitsq_job_options *options;
    const char *list, *url_file;
    const char *reply; /* NULL = none is wanted; "" = the daemon keeps it */
    char separator;
    bool has_name, has_key, has_if_exists, wait, dry_run, refuses_empty;
    struct proxy_taker proxy;
    char url[URL_FILE_MAX]; /* of --url-file */
    struct uploads uploads;
};

/* Both return the exit code of the command. */
int add_print_plan(const struct cli *cli, struct add *add);
int add_submit(struct cli *cli, struct add *add);
