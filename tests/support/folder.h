/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of its own for a test, and files in it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A new folder below $TMPDIR or /tmp; folder_remove() removes it with all that is in it. */
char *folder_new(void);
void folder_remove(char *folder);

/* FOLDER/NAME; the caller frees it. */
char *folder_path(const char *folder, const char *name);

/* Byte at OFFSET of the files that folder_file() makes; every 64 KiB differ. */
unsigned char folder_byte(uint64_t offset);

/* A file with SIZE bytes of that pattern, last modified long ago. The caller frees the path. */
char *folder_file(const char *folder, const char *name, uint64_t size);
