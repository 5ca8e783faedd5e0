/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Files up to this size are read through at every start; larger ones only where they are shorter than they should be.
 */
#define CHECK_WALK_BYTES (UINT64_C(64) << 20)

/*
 * Whether FOLDER/data.mdb can be used at all. LMDB maps the file and trusts it: a page that was cut off is a SIGBUS, a
 * page of garbage an abort. So a child process looks first, and its end is the verdict. 0, -EUCLEAN, or an error that
 * says nothing about the file. Only while the file is not open in this process.
 */
int check_file(const char *folder, uint64_t map_bytes);
