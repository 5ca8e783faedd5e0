/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Credentials: files of mode 0600 in $XDG_CONFIG_HOME/bitsq/credentials, one each, which the daemon reads when a job
 * needs them. Lines of KEY=VALUE; all that stands behind the first "=" is the value, byte for byte:
 *
 *   # bitsq credential
 *   user=alice
 *   password=correct horse
 *   hosts=up.example.org *.example.com
 *
 * or token=, token_file=, token_command= in place of user= and password=. Nothing here speaks with the daemon.
 */
#pragma once

#include "cli/cli.h"

#include <stdbool.h>
#include <stddef.h>

#define CREDENTIAL_NAME_RULE "a credential's name has letters, digits, and . _ - @, and does not begin with a dot"
#define CREDENTIAL_BYTES_MAX 32768 /* of a file; the daemon reads no more */
#define TOKEN_BYTES_MAX      15872 /* with its header it stays below what common servers take */

bool credential_name_is_valid(const char *name);

/* ---- store ---- */

/* The folder of the calling user. 0, or an exit code with its message; the caller frees *ret. */
int credential_folder(const struct cli *cli, char **ret);

/* Says so where the calling user has no credential NAME: it may be stored later, or be a typing error. */
void credential_note_missing(const struct cli *cli, const char *name);

/* Writes SIZE bytes as the credential NAME: all of it or nothing, mode 0600, durable; folders are made where missing.
 */
int credential_write(const struct cli *cli, const char *folder, const char *name, const char *text, size_t size);

/* What `list` tells of one: no secret. */
struct credential_look {
    const char *kind; /* "password", "token", "token-file", "token-command", "negotiate"; "unusable" */
    char *user, *hosts, *scheme, *source; /* "" = none; source: path or command of the token */
    char problem[256];                    /* what keeps the daemon from using it, and the remedy; "" = nothing */
};
int credential_look(const char *folder, const char *name, struct credential_look *ret); /* 0 or -ENOMEM */
void credential_look_done(struct credential_look *look);

/* ---- secret ---- */

struct secret {
    char *text; /* terminated; no line break, no NUL within */
    size_t length;
};

/*
 * Reads a secret from standard input: all of it, without the line break at its end; on a terminal one line, without
 * echo, after PROMPT. 0, or an exit code with its message.
 */
int secret_read(const struct cli *cli, const char *prompt, size_t max, struct secret *ret);
void secret_done(struct secret *secret);
