/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where packets go: the kernel is asked, with its rules, tables and metrics; nothing of them is kept here. */
#pragma once

#include "sense/links.h"
#include "sense/rtnetlink.h"

/* The way to one address. */
struct route {
    bool is_local;
    uint32_t index; /* of the link */
};

/*
 * How packets for ADDRESS leave. -ENETUNREACH: they do not. -EIO: the kernel could not be asked, and nobody knows.
 */
int routes_lookup(struct rtnetlink *rtnetlink, const struct links *links, const struct address *address,
                  struct route *ret);

/*
 * The link by which packets for anywhere leave: of the default routes over a link that is a way out the one with the
 * lowest metric, else any route over one. *ret_index 0: there is none. -EIO as above.
 */
int routes_way_out(struct rtnetlink *rtnetlink, const struct links *links, uint32_t *ret_index);

/* Whether a message that the kernel sent unasked is of a route that may matter. */
bool routes_message_counts(const struct nlmsghdr *message);
