/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A credential as the user keeps it: one file of the name in ~/.config/bitsq/credentials, mode 0600, written by
 * "bitsq credential set" or with an editor, and read by the daemon. Pure: text in, values out.
 *
 *   # bitsq credential
 *   user=alice
 *   password=correct horse
 *   hosts=up.example.org *.example.com
 *
 * Lines of KEY=VALUE. The value is all that stands behind the first "=", byte for byte: blanks at its ends, quotes, "#"
 * and "=" belong to it. Empty lines and lines that begin with "#" are skipped; CR before LF too. Every key once:
 *
 *   user=, password=     both, or neither
 *   token=               a bearer token, or
 *   token_file=          absolute path of a file whose first line is one, or
 *   token_command=       a helper that prints one: words between blanks, no shell, the first an absolute path
 *   scheme=              basic, digest, ntlm, negotiate or bearer; the job's own `auth` wins; a token means bearer, and
 *                        negotiate without a user the user's Kerberos ticket
 *   hosts=               patterns, as of [Host PATTERN], of the hosts that may get it; else that of the job's URL
 *
 * The helper prints the token on its first line and, if it likes, "expires=SECONDS" (from now) on its second. It finds
 * the server in BITSQ_HOST ("up.example.org:443").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CREDENTIAL_NAME_MAX      255
#define CREDENTIAL_BYTES_MAX     32768 /* of a file: a token at its longest and a comment fit */
#define CREDENTIAL_TOKEN_MAX     15872 /* bytes; with its header below the 16 KiB of common servers */
#define CREDENTIAL_HOST_MAX      303   /* bytes of a pattern; a DNS name has 253 */
#define CREDENTIAL_COMMAND_WORDS 64    /* of token_command= at most */
#define CREDENTIAL_REASON_MAX    160   /* bytes of what credential_parse() says */

#define CREDENTIAL_NAME_RULE "a credential's name has letters, digits, and . _ - @, and does not begin with a dot"

struct credential {
    char *user, *password;
    char *token, *token_file, *token_command; /* at most one of them */
    char *hosts;
    char *scheme; /* one of those above; "bearer" also where only a token says so; NULL = it says none */
};

/* Its name is that of its file, and leads nowhere else. */
bool credential_name_is_valid(const char *name);

/*
 * Parses LENGTH bytes. -ENOMEM; or -EINVAL with a sentence in REASON that says where and why, and holds no value:
 * "line 3: the key \"pasword\" is unknown; ...".
 */
int credential_parse(const char *text, size_t length, struct credential *ret,
                     char reason[static CREDENTIAL_REASON_MAX]);
void credential_done(struct credential *credential); /* overwrites the secrets */

/* Of visible ASCII characters, CREDENTIAL_TOKEN_MAX at most: it becomes part of a header. */
bool credential_token_is_valid(const char *token);

/* The words of token_command=, NULL-terminated, in one allocation that the caller frees; -EINVAL, -E2BIG, -ENOMEM. */
int credential_split_command(const char *command, char ***ret);
