/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the machine says of its networks, as values: routes and addresses from the kernel (rtnetlink), and, where
 * NetworkManager runs, whether a device is metered and what it reaches.
 *
 *   kernel ──link, address, route changed──▶ ┐
 *   NetworkManager ──PropertiesChanged─────▶ ┴─ changed() ──▶ the manager asks network_path() for each host
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct network;

enum network_connectivity {
    CONNECTIVITY_UNKNOWN, /* nobody says: there is a route, and that has to do */
    CONNECTIVITY_NONE,
    CONNECTIVITY_PORTAL, /* a sign-in page stands between */
    CONNECTIVITY_LIMITED,
    CONNECTIVITY_FULL,
};

enum network_metered {
    METERED_UNKNOWN, /* counts as unmetered */
    METERED_NO,
    METERED_YES, /* also a guess of NetworkManager's */
};

/* How packets for one address would leave the machine. */
struct network_path {
    bool has_route;
    bool is_local; /* the machine itself: no network is in between */
    uint32_t ifindex;
    char device[16]; /* "" = none */
    enum network_connectivity connectivity;
    enum network_metered metered;
};

struct network_options {
    sd_event *event;
    const char *bus_address; /* of the bus where NetworkManager is; NULL = the system bus; "" = do without */
    /* Something is different; several changes come as one. From the loop, never from within a call. */
    void (*changed)(void *userdata);
    void *userdata;
};

int network_new(const struct network_options *options, struct network **ret);
struct network *network_free(struct network *network);
DEFINE_CLEANUP(struct network *, network_free);

/*
 * ADDRESS: a numeric IPv4 or IPv6 address, with "%zone" or without; anything else, NULL and "" = not known yet: then
 * any route out of the machine will do, the default route's device first. Waits for nobody: the kernel is asked, and
 * answers at once; what NetworkManager says is known already. Where the kernel cannot be asked, has_route is true and
 * device "": that nobody knows holds nothing back.
 */
void network_path(const struct network *network, const char *address, struct network_path *ret);

/* Whether ADDRESS is one of the machine's own, or of its loopback: a socket that was bound to one that vanished is
 * dead. */
bool network_has_address(const struct network *network, const char *address);
