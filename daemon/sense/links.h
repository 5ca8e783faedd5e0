/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The links of the machine and their addresses: a table that messages of the kernel keep up to date. */
#pragma once

#include "sense/address.h"

#include <linux/netlink.h>

struct link {
    uint32_t index;
    uint32_t flags; /* IFF_*: those that count here */
    char name[ADDRESS_ZONE_MAX + 1];
};

struct link_address {
    uint32_t index;
    uint8_t prefix;
    struct address address;
};

struct links {
    struct link *links;
    struct link_address *addresses;
    size_t links_count, addresses_count;
};

void links_done(struct links *links);

/* What MESSAGE says, of whatever kind it is. 1: something is different; 0: nothing is; -ENOMEM. */
int links_apply(struct links *links, const struct nlmsghdr *message);

/* NULL where there is none. */
const struct link *links_find(const struct links *links, uint32_t index);
const struct link *links_find_name(const struct links *links, const char *name);

/* Packets can leave over it: up, with a carrier, and no network on the machine itself. NULL cannot. */
bool link_is_way_out(const struct link *link);
/* Its packets leave over another link in the end, or over a line of its own. */
bool link_is_point_to_point(const struct link *link);

bool links_have_address(const struct links *links, const struct address *address);
