/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What add is to queue, checked before the daemon is asked: a typing error gets its answer at once, also without a
 * daemon. The daemon checks again; its word counts.
 */
#pragma once

#include "cli/cli.h"

struct upload {
    char *source; /* absolute */
    char *url;    /* complete */
    uint64_t size;
};

struct uploads {
    struct upload *uploads;
    size_t count;
};

void uploads_done(struct uploads *uploads);

/* Checks the file and the URL and appends them. URL as given: where its path ends in /, the file's name is added. */
int uploads_add(const struct cli *cli, struct uploads *uploads, const char *file, const char *url);

/*
 * Reads FILE or, with "-", standard input: records FILE<TAB>URL, or just FILE where URL is given, ended by SEPARATOR.
 */
int uploads_read_list(const struct cli *cli, struct uploads *uploads, const char *list, char separator,
                      const char *url);

/* Two uploads to one URL would overwrite each other: 0 or an exit code with its message. */
int uploads_check_distinct(const struct cli *cli, const struct uploads *uploads);

/* ---- url.c ---- */

#define URL_FILE_MAX 8192 /* bytes read of a --url-file */

/* The first line of FILE, or of standard input for "-". 0, or an exit code with its message. */
int url_read_file(const struct cli *cli, const char *file, char url[static URL_FILE_MAX]);

/* NULL where URL can be right, else what is wrong and what to do. Never repeats the URL, which may hold a secret. */
const char *url_complaint(const char *url);

/* Whether the path of URL ends in /, so that names of files go behind it. */
bool url_keeps_names(const char *url);

/* URL with NAME, percent-encoded byte by byte, at the end of its path. NULL when memory is refused. */
char *url_append_name(const char *url, const char *name);
