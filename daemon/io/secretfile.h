/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a file that holds a secret of the user's, which nobody else can read. May block: on pool threads only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct secret_file {
    const char *path;
    const char *what;   /* names it in a fault: "the header file" */
    const char *remedy; /* where it does not exist: "create it with ..." */
    size_t max;         /* bytes */
    bool may_be_link;   /* a link that leads to such a file will do */
    bool is_public;     /* no secret after all: whoever owns and reads it */
};

struct secret_text {
    char *text; /* with a NUL behind that does not count */
    size_t length;
};

/*
 * Reads a regular file; unless it is public, of this user and with no permission for group and others. Where the result
 * is negative, *ret_fault (malloc'ed; NULL when memory is refused) is a sentence that says which file, why, and what to
 * do:
 *
 *   the header file /home/a/headers is open to others (mode 0644); run: chmod 600 /home/a/headers
 */
int secret_file_read(const struct secret_file *file, struct secret_text *ret, char **ret_fault);
void secret_text_done(struct secret_text *secret); /* overwrites it */

/* Whether RESULT may go away by itself: a file server that does not answer, a lack of memory or descriptors. */
bool secret_error_may_heal(int result);
