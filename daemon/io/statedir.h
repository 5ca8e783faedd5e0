/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state folder: whoever holds its lock is the daemon.
 *
 *   ~/.local/state/bitsq/        0700
 *     lock                       an open file description lock (fcntl(2)) on its first byte, for the life of the
 *                                daemon: unlike flock(2) it can be asked for without being taken
 *     address                    D-Bus address of the holder's private socket; written by rename, removed at the end
 *     socket                     the private socket (elsewhere where this path is too long for AF_UNIX)
 *     queue/data.mdb lock.mdb    the store's
 *     marker                     the store's
 *     bitsqd.log                 of a daemon that a client started
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>

struct statedir;

/*
 * Opens the folder, and creates it (mode 0700, parents too, each synced). -ENOTSUP: on a network file system, whose
 * locks and maps cannot be trusted; -EACCES: not ours or open to others (where it cannot be mended); *ret_message
 * (malloc'ed) says what and what to do, also for other errors.
 */
int statedir_open(const char *path, struct statedir **ret, char **ret_message);
struct statedir *statedir_free(struct statedir *dir); /* gives the lock up, removes address and socket if it was held */
DEFINE_CLEANUP(struct statedir *, statedir_free);

/* -EWOULDBLOCK: another process holds it. Never waits. */
int statedir_lock(struct statedir *dir);

/* Whether somebody holds the lock, without taking it. */
int statedir_is_held(struct statedir *dir, bool *ret);

int statedir_fd(const struct statedir *dir);
const char *statedir_path(const struct statedir *dir);

/* A path for the private socket that fits into AF_UNIX; a stale one is removed. Holder only. The caller frees *ret. */
int statedir_socket_path(struct statedir *dir, char **ret);

/* Atomically and durably. Holder only. */
int statedir_write_address(struct statedir *dir, const char *address);
/* The holder's address: -ENOENT where nobody holds the lock, -EAGAIN where the holder has not written it yet. */
int statedir_read_address(struct statedir *dir, char **ret);
