/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a job to a line of the table. */
#pragma once

#include "cli/format.h"

#include "base/cleanup.h"

#include <bitsq/bitsq.h>

#define NOTE_MAX 1024

struct job_row {
    struct row row;
    char *name; /* what row.name points to */
    char note[NOTE_MAX];
};

/*
 * 0 or -ENOMEM. ACKNOWLEDGED and RATE may be newer than the job's; NOW is CLOCK_REALTIME. The job must outlive the row.
 */
int job_row_init(struct job_row *job_row, const bitsq_job *job, uint64_t acknowledged, uint64_t rate,
                 uint64_t now_usec);
void job_row_done(struct job_row *job_row);

/*
 * The daemon's sentences end with the remedy, which knows no job: "bitsq set ID auth=SCHEME, then: bitsq retry". Here
 * that becomes a line that can be copied. CREDENTIAL is the one that the job names; NULL = none, or it is not known.
 */
void remedy_text(const char *message, uint64_t job_id, const char *credential, char text[static NOTE_MAX]);

/* The error of the job in one sentence, with the remedy in full. */
void job_error_text(const bitsq_job *job, char text[static NOTE_MAX]);

/* The table as it suits the stream: its width, colour, and whether it knows block characters. */
struct cli;
void table_init(struct table *table, const struct cli *cli, FILE *stream);

/* Whether lines on STREAM can be redrawn: a terminal that is not dumb. */
bool stream_is_live(FILE *stream);
