/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What NetworkManager says of the devices, where it runs. */
#pragma once

#include "sense/network.h"

struct netmanager;

struct netmanager_view {
    enum network_metered metered;
    enum network_connectivity ipv4, ipv6;
};

/* CHANGED runs on the loop, once for each difference. */
int netmanager_new(sd_event *event, const char *bus_address, void (*changed)(void *userdata), void *userdata,
                   struct netmanager **ret);
struct netmanager *netmanager_free(struct netmanager *manager);
DEFINE_CLEANUP(struct netmanager *, netmanager_free);

/* Of DEVICE, as the kernel names it. False: it does not manage it, or know it, and *ret is all unknown. */
bool netmanager_device(const struct netmanager *manager, const char *device, struct netmanager_view *ret);

/* Of the machine as a whole, which is what its primary connection is. All unknown where it does not run. */
void netmanager_machine(const struct netmanager *manager, struct netmanager_view *ret);
