/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which file system a user's file lies on, by the place where that is mounted, and whether it still is. A stick that
 * was pulled out, or a server of files that is not there today, takes its files along; they come back as they were. All
 * of it may block: on pool threads only.
 */
#pragma once

#include "core/limits.h"

#include <stdbool.h>

/*
 * Where the file system of the open file FD is mounted, or "" where that is the root, or cannot be told (then its files
 * count as those of a file system that is always there).
 */
void mountpoint_of(int fd, char path[static SOURCE_MOUNT_MAX + 1]);

/* Whether ERROR, of opening or reading a file, is what one sees where its file system has gone. */
bool mountpoint_may_explain(int error);

/* Whether nothing is mounted at PATH any more, or what is there does not answer. */
bool mountpoint_is_gone(const char *path);
