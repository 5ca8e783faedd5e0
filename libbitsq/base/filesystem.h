/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kind of file system a file is on: values of statfs(2), as decisions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The name of a file system whose locks and memory maps cannot be trusted, or NULL. */
const char *filesystem_network_name(uint32_t type);

/*
 * Whether what stat(2) says of a file that is open is in memory, and asked of no disk or server: of the file systems
 * that are known for it. Such a look waits for nothing.
 */
bool filesystem_is_local(uint32_t type);

/* Whether a file keeps its inode number: file systems without such numbers make them up when a file is looked at. */
bool filesystem_keeps_inodes(uint32_t type);
