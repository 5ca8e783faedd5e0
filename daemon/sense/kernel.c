/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/kernel.h"

#include <errno.h>
#include <stdlib.h>

#define IPV6_RULES (1U << (RTNLGRP_IPV6_RULE - 1)) /* the one without a name of this kind */
#define GROUPS                                                                                       \
    (RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | \
     RTMGRP_IPV4_RULE | IPV6_RULES)
/* Read in one turn of the loop, which others share. */
#define DATAGRAMS_MAX 256
#define TRIES_MAX     5

struct kernel {
    struct mnl_socket *groups;
    struct rtnetlink questions;
    sd_event_source *source;
    struct links links;
    bool is_lost; /* messages were: the table is to be listed anew */
    bool way_out_known;
    uint32_t way_out;
    void (*changed)(void *userdata);
    void *userdata;
};

/* ---- the table ---- */

struct listing {
    struct links links;
    int error;
};

static void take_listed(void *userdata, const struct nlmsghdr *message)
{
    struct listing *listing = userdata;
    int r = links_apply(&listing->links, message);

    if (r < 0)
        listing->error = r;
}

/* Until both lists were read while nothing changed. The old table stays where that cannot be had. */
static int list_anew(struct kernel *kernel)
{
    int r = -EINTR;

    for (unsigned tries = 0; r == -EINTR && tries < TRIES_MAX; tries++) {
        struct listing listing = {0};
        r = rtnetlink_list(&kernel->questions, RTM_GETLINK, AF_UNSPEC, take_listed, &listing);
        if (r >= 0)
            r = rtnetlink_list(&kernel->questions, RTM_GETADDR, AF_UNSPEC, take_listed, &listing);
        if (r >= 0)
            r = listing.error;
        if (r < 0) {
            links_done(&listing.links);
            continue;
        }
        links_done(&kernel->links);
        kernel->links = listing.links;
    }
    return r;
}

/* ---- what it tells ---- */

/* A rule chooses the table in which a route is looked for: a VPN may change nothing else. */
static bool is_rule(const struct nlmsghdr *message)
{
    return message->nlmsg_type == RTM_NEWRULE || message->nlmsg_type == RTM_DELRULE;
}

static bool take_message(struct kernel *kernel, const struct nlmsghdr *message)
{
    int r = links_apply(&kernel->links, message);

    if (r < 0)
        kernel->is_lost = true;
    return r > 0 || is_rule(message) || routes_message_counts(message);
}

/* 1: something is different; 0: nothing is; negative: no more for now. */
static int read_datagram(struct kernel *kernel)
{
    _Alignas(struct nlmsghdr) char buffer[RTNETLINK_BYTES];
    bool is_different = false;

    ssize_t received = mnl_socket_recvfrom(kernel->groups, buffer, sizeof(buffer));
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (received < 0) {
        /* ENOBUFS: the socket was full; ENOSPC: a message that is longer than any should be. */
        if (errno != ENOBUFS && errno != ENOSPC)
            return -errno;
        kernel->is_lost = true;
        return 0;
    }
    int left = (int)received;
    for (const struct nlmsghdr *m = (const void *)buffer; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
        is_different |= take_message(kernel, m);
    return is_different;
}

static int on_groups(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct kernel *kernel = userdata;
    bool is_different = false;
    int r = 0;

    (void)fd, (void)revents;
    for (unsigned i = 0; r >= 0 && i < DATAGRAMS_MAX; i++) {
        r = read_datagram(kernel);
        is_different |= r > 0;
    }
    /* What came before the loss would undo what the list says: it is listed once all of that was read. */
    if (r == -EAGAIN && kernel->is_lost) {
        kernel->is_lost = list_anew(kernel) < 0; /* if so, again with the next message */
        is_different = true;
    }
    if (r < 0 && r != -EAGAIN)
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF); /* it would come back at once, forever */
    if (is_different) {
        kernel->way_out_known = false;
        kernel->changed(kernel->userdata);
    }
    return 0;
}

/* ---- questions ---- */

const struct links *kernel_links(const struct kernel *kernel)
{
    return &kernel->links;
}

int kernel_lookup(struct kernel *kernel, const struct address *address, struct route *ret)
{
    return routes_lookup(&kernel->questions, &kernel->links, address, ret);
}

int kernel_way_out(struct kernel *kernel, uint32_t *ret_index)
{
    if (!kernel->way_out_known) {
        int r = routes_way_out(&kernel->questions, &kernel->links, &kernel->way_out);
        if (r < 0)
            return r;
        kernel->way_out_known = true;
    }
    *ret_index = kernel->way_out;
    return 0;
}

/* ---- its life ---- */

static int open_sockets(struct kernel *kernel)
{
    kernel->groups = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!kernel->groups || mnl_socket_bind(kernel->groups, GROUPS, MNL_SOCKET_AUTOPID) < 0)
        return -errno;
    return rtnetlink_open(&kernel->questions);
}

int kernel_new(sd_event *event, void (*changed)(void *userdata), void *userdata, struct kernel **ret)
{
    _cleanup_(kernel_free_p) struct kernel *kernel = calloc(1, sizeof(*kernel));

    if (!kernel)
        return -ENOMEM;
    kernel->changed = changed;
    kernel->userdata = userdata;
    /* Subscribed before the list is read: what changes in between is told of. */
    int r = open_sockets(kernel);
    if (r >= 0)
        r = list_anew(kernel);
    if (r >= 0)
        r = sd_event_add_io(event, &kernel->source, mnl_socket_get_fd(kernel->groups), EPOLLIN, on_groups, kernel);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(kernel);
    return 0;
}

struct kernel *kernel_free(struct kernel *kernel)
{
    if (!kernel)
        return NULL;
    sd_event_source_disable_unref(kernel->source);
    if (kernel->groups)
        (void)mnl_socket_close(kernel->groups);
    rtnetlink_close(&kernel->questions);
    links_done(&kernel->links);
    free(kernel);
    return NULL;
}
