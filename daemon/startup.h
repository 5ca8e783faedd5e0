/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is the daemon: the lock of the state folder decides, and whoever comes second hands over to the one that has it.
 */
#pragma once

#include "io/statedir.h"

enum startup_role {
    STARTUP_HOLDER, /* the lock is ours */
    STARTUP_SECOND, /* another daemon serves this queue: *ret_address is its address */
};

/* Takes the lock, or waits until its holder can be reached; a holder that is just ending is waited for. -ETIMEDOUT. */
int startup_take_role(struct statedir *dir, enum startup_role *ret_role, char **ret_address);

/* How this process was started: "systemd", "bus", "client" or "command". */
const char *startup_origin(int background);

/* As many descriptors as the system allows. */
void startup_raise_limits(void);

/*
 * Leaves the caller's session: forks, and the parent exits at once with 0. To be called before any thread exists.
 * Standard input becomes /dev/null; standard output stays open for the address.
 */
int startup_detach(void);

/* Writes the address into the pipe of a waiting client, and lets go of it. */
void startup_report_address(const char *address);
