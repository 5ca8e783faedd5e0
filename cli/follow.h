/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Follows jobs until a condition holds: the engine of wait, add --wait and watch.
 *
 *   load (subscribe, then ask for all) ──▶ event ──▶ refresh the job it names ──▶ show ──▶ finished?
 *     ▲                                      │ disconnected
 *     └────────── connect again ◀────────────┘
 *
 * On a terminal the jobs stand as bars that are redrawn in place, else each change of a state is one line.
 */
#pragma once

#include "cli/cli.h"

#include <termios.h>

#define FOLLOW_ROWS_MAX ((size_t)500) /* jobs that watch without IDs keeps in view */

struct tracked {
    uint64_t id;
    bitsq_job *job;        /* NULL: not there */
    uint64_t acknowledged; /* newer than the job's: of the last Progress */
    uint64_t rate;
    bitsq_state told; /* the state that was said last */
};

enum follow_end {
    FOLLOW_GOES_ON = 0,
    FOLLOW_FINISHED, /* the condition holds */
    FOLLOW_TIMEOUT,
    FOLLOW_INTERRUPTED, /* Ctrl-C, or a signal that asks to end */
    FOLLOW_QUIT,        /* the key q */
    FOLLOW_ERROR,       /* said already; code has the exit code */
};

struct view;

struct follow {
    struct cli *cli;
    struct tracked *jobs; /* in the order of their ids */
    size_t count;
    bool everything;        /* not some jobs, but all that are not final */
    uint64_t deadline_usec; /* CLOCK_MONOTONIC; USEC_INFINITY: none */
    bool (*finished)(const struct follow *follow);
    struct view *view;
    int code;
};

/* Tracks the jobs of IDS, in any order, doubles allowed. 0 or -ENOMEM. */
int follow_init(struct follow *follow, struct cli *cli, const uint64_t *ids, size_t count);
void follow_done(struct follow *follow);

enum follow_end follow_run(struct follow *follow);

/* The job with this id, or NULL. */
struct tracked *follow_find(const struct follow *follow, uint64_t id);

/* ---- view.c ---- */

enum view_mode {
    VIEW_SILENT,
    VIEW_LINES,  /* one line a change */
    VIEW_JSON,   /* one object a change */
    VIEW_BARS,   /* redrawn in place, below what the terminal shows already */
    VIEW_SCREEN, /* a screen of its own, with keys */
};

struct view {
    enum view_mode mode;
    FILE *stream;
    unsigned lines;        /* drawn last time */
    bool raw;              /* the terminal gives single keys now */
    struct termios cooked; /* what it was before */
};

/* Takes the terminal over where the mode needs it; view_close() gives it back. */
void view_open(struct view *view);
void view_close(struct view *view, const struct follow *follow);

/* A job has another state than was told. */
void view_tell(struct view *view, const struct follow *follow, struct tracked *tracked);

/* Something has changed, or time has passed. */
void view_draw(struct view *view, const struct follow *follow);
