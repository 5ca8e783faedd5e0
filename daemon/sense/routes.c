/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/routes.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#define TRIES_MAX 5 /* a list that changes while it is read is read again */

static const struct rtmsg *route_of(const struct nlmsghdr *message)
{
    if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE)
        return NULL;
    return mnl_nlmsg_get_payload_len(message) >= sizeof(struct rtmsg) ? mnl_nlmsg_get_payload(message) : NULL;
}

static uint32_t number_of(const struct nlmsghdr *message, uint16_t type)
{
    const struct nlattr *attribute;

    mnl_attr_for_each (attribute, message, sizeof(struct rtmsg))
        if (mnl_attr_get_type(attribute) == type && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
            return mnl_attr_get_u32(attribute);
    return 0;
}

/* ---- to one address ---- */

struct lookup {
    struct route route;
    uint8_t type;
};

static void take_lookup(void *userdata, const struct nlmsghdr *message)
{
    struct lookup *lookup = userdata;
    const struct rtmsg *about = route_of(message);

    if (!about)
        return;
    lookup->type = about->rtm_type;
    lookup->route.is_local = about->rtm_type == RTN_LOCAL;
    lookup->route.index = number_of(message, RTA_OIF);
}

static int ask_kernel(struct rtnetlink *rtnetlink, const struct address *address, uint32_t index, struct lookup *lookup)
{
    _Alignas(struct nlmsghdr) char buffer[256];
    struct nlmsghdr *question = mnl_nlmsg_put_header(buffer);
    struct rtmsg *about = mnl_nlmsg_put_extra_header(question, sizeof(*about));

    question->nlmsg_type = RTM_GETROUTE;
    about->rtm_family = address->family;
    about->rtm_dst_len = (uint8_t)(8 * address_size(address->family));
    mnl_attr_put(question, RTA_DST, address_size(address->family), address->bytes);
    if (index > 0)
        mnl_attr_put_u32(question, RTA_OIF, index);
    return rtnetlink_ask(rtnetlink, question, 0, take_lookup, lookup);
}

int routes_lookup(struct rtnetlink *rtnetlink, const struct links *links, const struct address *address,
                  struct route *ret)
{
    struct lookup lookup = {.type = RTN_UNSPEC};
    const struct link *zone = *address->zone ? links_find_name(links, address->zone) : NULL;

    int r = ask_kernel(rtnetlink, address, zone ? zone->index : 0, &lookup);
    if (r == -EIO || r == -ENOMEM || r == -ENOBUFS)
        return -EIO;
    /* Everything else that the kernel says in place of a route is one way of saying that there is none. */
    if (r < 0 || (lookup.type != RTN_LOCAL && lookup.type != RTN_UNICAST && lookup.type != RTN_ANYCAST))
        return -ENETUNREACH;
    if (lookup.type != RTN_LOCAL && !link_is_way_out(links_find(links, lookup.route.index)))
        return -ENETUNREACH;
    *ret = lookup.route;
    return 0;
}

/* ---- to anywhere ---- */

struct way_out {
    const struct links *links;
    uint32_t index; /* 0 = none was found yet */
    bool is_default;
    uint32_t metric;
};

/* Every link has a route to its neighbours by their link-local addresses: that is no way to anywhere. */
static bool is_link_local(const struct nlmsghdr *message, const struct rtmsg *about)
{
    const struct nlattr *attribute;

    if (about->rtm_family != AF_INET6 || about->rtm_dst_len == 0)
        return false;
    mnl_attr_for_each (attribute, message, sizeof(*about)) {
        const uint8_t *bytes = mnl_attr_get_payload(attribute);
        if (mnl_attr_get_type(attribute) == RTA_DST && mnl_attr_get_payload_len(attribute) == ADDRESS_BYTES_MAX)
            return bytes[0] == 0xff || (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
    }
    return false;
}

static uint32_t usable_hop(const struct links *links, const struct nlattr *hops)
{
    int left = mnl_attr_get_payload_len(hops);

    for (const struct rtnexthop *hop = mnl_attr_get_payload(hops); RTNH_OK(hop, left);) {
        if (link_is_way_out(links_find(links, (uint32_t)hop->rtnh_ifindex)))
            return (uint32_t)hop->rtnh_ifindex;
        left -= (int)RTNH_ALIGN(hop->rtnh_len);
        hop = RTNH_NEXT(hop);
    }
    return 0;
}

/* The link that the route goes over; 0 where that is no way out. */
static uint32_t usable_link(const struct links *links, const struct nlmsghdr *message)
{
    const struct nlattr *attribute;
    uint32_t index = number_of(message, RTA_OIF);

    if (index > 0)
        return link_is_way_out(links_find(links, index)) ? index : 0;
    mnl_attr_for_each (attribute, message, sizeof(struct rtmsg))
        if (mnl_attr_get_type(attribute) == RTA_MULTIPATH)
            return usable_hop(links, attribute);
    return 0;
}

static bool is_better(const struct way_out *route, const struct way_out *best)
{
    if (best->index == 0 || route->is_default != best->is_default)
        return best->index == 0 || route->is_default;
    return route->is_default && route->metric < best->metric;
}

static void take_route(void *userdata, const struct nlmsghdr *message)
{
    struct way_out *best = userdata;
    const struct rtmsg *about = route_of(message);

    if (!about || about->rtm_type != RTN_UNICAST || (about->rtm_flags & RTM_F_CLONED) || is_link_local(message, about))
        return;
    struct way_out route = {.links = best->links, .is_default = about->rtm_dst_len == 0};
    route.metric = number_of(message, RTA_PRIORITY);
    if (!is_better(&route, best))
        return;
    route.index = usable_link(best->links, message);
    if (route.index > 0)
        *best = route;
}

/* A machine without IPv6 refuses its list, and has no such routes. */
static bool is_lost(int r)
{
    return r == -EINTR || r == -EIO || r == -ENOMEM || r == -ENOBUFS;
}

int routes_way_out(struct rtnetlink *rtnetlink, const struct links *links, uint32_t *ret_index)
{
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        struct way_out best = {.links = links};
        int r = rtnetlink_list(rtnetlink, RTM_GETROUTE, AF_INET, take_route, &best);
        if (!is_lost(r))
            r = rtnetlink_list(rtnetlink, RTM_GETROUTE, AF_INET6, take_route, &best);
        if (r == -EINTR)
            continue;
        if (is_lost(r))
            return -EIO;
        *ret_index = best.index;
        return 0;
    }
    return -EIO;
}

bool routes_message_counts(const struct nlmsghdr *message)
{
    const struct rtmsg *about = route_of(message);

    /* What the kernel learnt about a path is no route; those to the machine itself come and go with its addresses. */
    if (!about || (about->rtm_flags & RTM_F_CLONED))
        return false;
    return about->rtm_type != RTN_LOCAL && about->rtm_type != RTN_BROADCAST && about->rtm_type != RTN_MULTICAST &&
           about->rtm_type != RTN_ANYCAST;
}
