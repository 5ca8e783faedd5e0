/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Headers of the user's that go with every request. Pure: text in, a list out.
 *
 *   # for the gateway
 *   X-Api-Key: 5f3a
 *
 * "Name: value" lines; empty lines, and those that begin with #, are skipped. Headers that the protocol or the
 * transport sets itself are refused: two of one name, or another value, would break the upload in ways that nobody
 * could explain.
 */
#pragma once

#include <stddef.h>

#define HEADER_FILE_REASON_MAX 200 /* bytes */

/*
 * *ret as transfer_access.headers: "Name: value" lines, each with its NUL, an empty one last; NULL where there are
 * none. The caller frees it. -ENOMEM; or -EINVAL with a REASON that names the line and the header, never the value.
 */
int header_file_parse(const char *text, size_t length, char **ret, char reason[static HEADER_FILE_REASON_MAX]);
