/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ~/.netrc: user and password by machine. Pure: text in, values out. (libcurl has such a parser, but it would open and
 * read the file on the loop, where nothing may wait for a disk.)
 *
 *   machine up.example.org login alice password "correct horse"
 *   default login anonymous password guest
 *   macdef init            lines up to the next empty one: skipped
 *
 * Words between blanks and line ends, in any order within an entry; "..." with \" \\ \n \r \t inside is one word; a
 * line that begins with # is a comment. The first entry that fits counts; `default` fits every machine.
 */
#pragma once

#include <stddef.h>

#define NETRC_REASON_MAX 120 /* bytes */

/*
 * For HOST, "host:port" in lower case as in struct job: an entry names no port. Returns 1 and the malloc'ed secrets, 0
 * where no entry fits; -ENOMEM; or -EINVAL with a REASON that holds no word of the file.
 */
int netrc_find(const char *text, size_t length, const char *host, char **ret_user, char **ret_password,
               char reason[static NETRC_REASON_MAX]);
