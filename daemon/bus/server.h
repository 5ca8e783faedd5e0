/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The contract of dbus/ on the wire: always on a private socket, and on a message bus where there is one.
 *
 *   private socket ──accept──▶ peer (one sd_bus each, uid known from the kernel)  ─┐
 *   session bus    ──────────▶ peer (one sd_bus for all its clients)              ─┴▶ handlers ──▶ manager
 *
 * A handler is short: arguments → authorise → one call of the manager → reply now, or when it is durable.
 */
#pragma once

#include "manager/manager.h"

#include "base/cleanup.h"

#include <systemd/sd-event.h>

struct bus_server;

struct bus_server_options {
    sd_event *event;
    struct manager *manager;
    const char *state_directory;
    const char *started_by; /* systemd, bus, client, command */
    /* Reads the configuration again: 0, or a negative errno with a sentence (malloc'ed). */
    int (*reload)(void *userdata, char **ret_message);
    void *userdata;
};

/* Registers itself as the manager's observer. */
int bus_server_new(const struct bus_server_options *options, struct bus_server **ret);
struct bus_server *bus_server_free(struct bus_server *server); /* sends what is queued, as far as the peers read */
DEFINE_CLEANUP(struct bus_server *, bus_server_free);

/* Listens on PATH, which fits into AF_UNIX. *ret_address: the D-Bus address of it; the caller frees it. */
int bus_server_listen(struct bus_server *server, const char *path, char **ret_address);

/* Joins the message bus at ADDRESS and owns org.bitsq1 there; keeps trying when the bus goes away. */
int bus_server_join(struct bus_server *server, const char *address);

/* Clients on the private socket. */
size_t bus_server_peers(const struct bus_server *server);

/* The address of the user's session bus, NULL where there is none. The caller frees it. */
char *bus_session_address(void);

/*
 * For a daemon that was started though another one runs: asks the holder at HOLDER_ADDRESS to own org.bitsq1 on the bus
 * at BUS_ADDRESS, and waits until it does. Blocks; at most 25 s.
 */
int bus_hand_over(const char *holder_address, const char *bus_address, char **ret_message);
