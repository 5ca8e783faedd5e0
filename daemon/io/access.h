/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads what struct access names: the credential, the header file, netrc, certificates, the token of a helper. Files
 * are read on the pool, helpers run by the spawner; nothing of it waits on the loop.
 *
 *   choices ──▶ pool: CREDENTIAL, PROXY CREDENTIAL, header file, ~/.netrc, PEM ──▶ helper, unless its token is known
 *                                                                              ──▶ struct transfer_access ──▶ done()
 *
 * An explicit credential wins over netrc. Tokens of helpers are kept in memory until they expire; loads that need the
 * same one at the same time share one run.
 */
#pragma once

#include "core/access.h"
#include "core/transfer_access.h"
#include "io/source.h"

#include <stdbool.h>

struct spawner;

/*
 * Who runs helpers. It lives longer than IO; without one a credential with token_command= is a fault.
 */
void io_set_spawner(struct io *io, struct spawner *spawner);

/*
 * Loads what CHOICES (of access_resolve()) name, for HOST ("host:port"). FOLDER holds the credentials, NULL = the
 * default, $XDG_CONFIG_HOME/bitsq/credentials. FRESH_TOKEN: the token that is known was refused, have a new one.
 *
 * done() runs on the loop, never from within this call, once unless the request was cancelled:
 *   RESULT 0             ACCESS is the receiver's, who frees it;
 *   a negative errno     ACCESS is NULL, and FAULT, which lives as long as the call, a sentence without secrets that
 *                        says what is wrong and what to do. MAY_HEAL: time may help (a helper timed out, a file server
 *                        did not answer); else it waits for the user.
 */
int io_load_access(struct io *io, const struct access *choices, const char *host, const char *folder, bool fresh_token,
                   void (*done)(void *userdata, int result, struct transfer_access *access, const char *fault,
                                bool may_heal),
                   void *userdata, struct io_request **ret);
