/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of jobs, as text. Pure: what it prints follows from its arguments alone.
 *
 *   ID  STATE         PROGRESS               SIZE      RATE    ETA  NAME        NOTE
 * 1042  transferring  ████████▌░░░  71 %   4.2 GiB  1.9 MB/s    10m  report.iso  up.example.org
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BAR_CELLS        12
#define BAR_TEXT_MAX     (BAR_CELLS * 3 + 1) /* bytes; a block character has three */
#define CLOCK_TEXT_MAX   32
#define NAME_COLUMNS_MAX 32 /* of the table on a terminal; longer names are cut */

enum row_tone {
    TONE_PLAIN,
    TONE_ACTIVE,
    TONE_WAITING,
    TONE_GOOD,
    TONE_BAD,
};

/* One line of the table. The strings belong to the caller. */
struct row {
    uint64_t id;
    const char *state;
    enum row_tone tone;
    uint64_t acknowledged;
    uint64_t size;
    bool finished; /* the bar of an empty file is full when it is done */
    uint64_t rate; /* 0 = shown as - */
    char eta[CLOCK_TEXT_MAX];
    const char *name;
    const char *note;
};

struct table {
    size_t id_columns, state_columns, name_columns;
    size_t columns; /* of the terminal; 0 = unlimited */
    bool color;
    bool ascii; /* the terminal knows no block characters */
};

/* Columns that TEXT takes on a terminal: wide characters two, combining ones none. */
size_t text_columns(const char *text);

/* Prints at most COLUMNS columns of TEXT, with an ellipsis where it was cut; returns the columns used. */
size_t text_print_cut(FILE *out, const char *text, size_t columns, bool ascii);

/* A bar of BAR_CELLS cells. Full only when all is there, empty only when nothing is. */
const char *bar_text(uint64_t done, uint64_t size, bool finished, bool ascii, char buffer[static BAR_TEXT_MAX]);

/* Whole percent, rounded down: 100 only when all is there. */
unsigned percent_of(uint64_t done, uint64_t size, bool finished);

/* "14:32:10" today, "Nov 23 14:32" else; local time. */
const char *clock_text(uint64_t usec, uint64_t now_usec, char buffer[static CLOCK_TEXT_MAX]);

/* Makes the columns wide enough for ROW. */
void table_measure(struct table *table, const struct row *row);

void table_print_head(FILE *out, const struct table *table);
void table_print_row(FILE *out, const struct table *table, const struct row *row);
