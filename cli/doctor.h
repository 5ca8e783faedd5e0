/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What on this machine would stop a job, or lose it from view. Each check looks at one thing and adds its findings; a
 * new one is a function, and a row in the table of doctor.c.
 */
#pragma once

#include "cli/cli.h"
#include "cli/finding.h"

#define DOCTOR_TEXT_MAX 2048 /* bytes of a sentence or a remedy */

struct doctor {
    struct cli *cli;
    bitsq_daemon *daemon;               /* NULL = none runs, or it cannot be asked */
    bitsq_configuration *configuration; /* NULL = nobody can be asked about it */
    const char *state_directory;        /* NULL = not known */

    struct {
        const char *name; /* a literal, as the verdict */
        const char *verdict;
        char *text;
        const char *remedy; /* a literal; "" = nothing is to be done */
    } findings[64];
    size_t count, problems, notes;
};

/* Of the check that runs; what is beyond the array's end is left out, but counts. */
void doctor_add(struct doctor *doctor, const char *name, const char *verdict, const char *remedy, const char *format,
                ...) __attribute__((format(printf, 5, 6)));

/* doctor_daemon.c: the daemon, its queue, and what keeps it alive */
void doctor_check_daemon(struct doctor *doctor);
void doctor_check_configuration(struct doctor *doctor);
void doctor_check_queue(struct doctor *doctor);
void doctor_check_bus(struct doctor *doctor);
void doctor_check_start(struct doctor *doctor);
void doctor_check_linger(struct doctor *doctor);

/* doctor_machine.c: the machine, and the environment of the caller */
void doctor_check_disk(struct doctor *doctor);
void doctor_check_network(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
void doctor_check_proxy(struct doctor *doctor);
void doctor_check_locale(struct doctor *doctor);
void doctor_check_timezone(struct doctor *doctor);
