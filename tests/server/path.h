/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a request target to a name below the root folder. */
#pragma once

#include <stdbool.h>

#define PATH_BYTES_MAX 4096

/* The folder of unfinished uploads, inside the root so that publishing is a rename. No URL reaches into it. */
#define PATH_SESSIONS ".bits-sessions"

/*
 * "/a/b%20c?x=1" or "http://host/a/b%20c" becomes "a/b c", relative to the root. The root itself and everything that
 * ends in a slash keep an empty last part: "" and "a/". -EINVAL for a bad escape or a NUL, -EACCES for a "." or ".."
 * part and for the folder of the sessions, -ENAMETOOLONG past PATH_BYTES_MAX.
 */
int path_from_target(const char *target, char ret[PATH_BYTES_MAX]);

/* What stands at PATH below the root now. The parent's absence is told apart, because the answers differ. */
enum path_state {
    PATH_FREE,
    PATH_FILE,
    PATH_FOLDER,
    PATH_NO_PARENT,
};
enum path_state path_look(int root_fd, const char *path);

/* Makes the folders above PATH that do not exist yet. */
int path_make_parents(int root_fd, const char *path);
