/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Credentials: files of mode 0600 in $XDG_CONFIG_HOME/bitsq/credentials, one each, which the daemon reads when a job
 * needs them (base/credential.h has their format). Nothing here speaks with the daemon.
 */
#pragma once

#include "cli/cli.h"

#include "base/credential.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- store ---- */

/* The folder of the calling user. 0, or an exit code with its message; the caller frees *ret. */
int credential_folder(const struct cli *cli, char **ret);

/* Says so where the calling user has no credential NAME: it may be stored later, or be a typing error. */
void credential_note_missing(const struct cli *cli, const char *name);

/* Writes SIZE bytes as the credential NAME: all of it or nothing, mode 0600, durable; folders are made where missing.
 */
int credential_write(const struct cli *cli, const char *folder, const char *name, const char *text, size_t size);

/* What `list` tells of one: of CREDENTIAL only what is no secret. */
struct credential_look {
    const char *kind; /* "password", "token", "token-file", "token-command", "negotiate"; "unusable" */
    struct credential credential;
    char problem[CREDENTIAL_REASON_MAX + 64]; /* what keeps the daemon from using it, and the remedy; "" = nothing */
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
