/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/links.h"

#include "base/text.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* IFF_RUNNING is the kernel's word for an operational state of "up", or of "unknown", which tunnels have. */
#define FLAGS_THAT_COUNT (IFF_UP | IFF_RUNNING | IFF_LOOPBACK | IFF_POINTOPOINT)

void links_done(struct links *links)
{
    free(links->links);
    free(links->addresses);
    *links = (struct links){0};
}

/* An array with room for row AT, which may be the one behind the last of COUNT. */
static void *with_room(void *array, size_t count, size_t at, size_t size)
{
    return at < count ? array : reallocarray(array, count + 1, size);
}

/* 1, or 0 where the row says it already. */
static int set_row(void *array, size_t *count, size_t at, const void *row, size_t size)
{
    if (at == *count)
        (*count)++;
    else if (memcmp((char *)array + at * size, row, size) == 0)
        return 0;
    memcpy((char *)array + at * size, row, size);
    return 1;
}

/* The last row takes the place of the one that goes. */
static int remove_row(void *array, size_t *count, size_t at, size_t size)
{
    if (at == *count)
        return 0;
    (*count)--;
    memmove((char *)array + at * size, (char *)array + *count * size, size);
    return 1;
}

/* ---- links ---- */

static size_t link_place(const struct links *links, uint32_t index)
{
    size_t at = 0;

    while (at < links->links_count && links->links[at].index != index)
        at++;
    return at;
}

static int apply_link(struct links *links, const struct nlmsghdr *message)
{
    const struct ifinfomsg *about = mnl_nlmsg_get_payload(message);
    const struct nlattr *attribute;
    struct link link;

    /* A bridge tells of its ports in messages of its own, and of one that left it as of a link that is gone. */
    if (mnl_nlmsg_get_payload_len(message) < sizeof(*about) || about->ifi_family != AF_UNSPEC)
        return 0;
    memset(&link, 0, sizeof(link)); /* rows are compared as bytes */
    link.index = (uint32_t)about->ifi_index;
    link.flags = about->ifi_flags & FLAGS_THAT_COUNT;
    size_t at = link_place(links, link.index);
    if (message->nlmsg_type == RTM_DELLINK)
        return remove_row(links->links, &links->links_count, at, sizeof(link));
    mnl_attr_for_each (attribute, message, sizeof(*about))
        if (mnl_attr_get_type(attribute) == IFLA_IFNAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
            (void)text_copy(link.name, sizeof(link.name), mnl_attr_get_str(attribute));
    struct link *rows = with_room(links->links, links->links_count, at, sizeof(link));
    if (!rows)
        return -ENOMEM;
    links->links = rows;
    return set_row(rows, &links->links_count, at, &link, sizeof(link));
}

const struct link *links_find(const struct links *links, uint32_t index)
{
    size_t at = link_place(links, index);

    return at < links->links_count ? &links->links[at] : NULL;
}

const struct link *links_find_name(const struct links *links, const char *name)
{
    for (size_t i = 0; i < links->links_count; i++)
        if (strcmp(links->links[i].name, name) == 0)
            return &links->links[i];
    return NULL;
}

bool link_is_way_out(const struct link *link)
{
    return link && (link->flags & (IFF_UP | IFF_RUNNING | IFF_LOOPBACK)) == (IFF_UP | IFF_RUNNING);
}

bool link_is_point_to_point(const struct link *link)
{
    return link && (link->flags & IFF_POINTOPOINT);
}

/* ---- addresses ---- */

static bool is_same_address(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, address_size(a->family)) == 0;
}

static size_t address_place(const struct links *links, const struct link_address *wanted)
{
    size_t at = 0;

    for (; at < links->addresses_count; at++) {
        const struct link_address *row = &links->addresses[at];
        if (row->index == wanted->index && row->prefix == wanted->prefix &&
            is_same_address(&row->address, &wanted->address))
            break;
    }
    return at;
}

/* IFA_LOCAL is the machine's own; without it, IFA_ADDRESS is: else that is the other end of a line. */
static bool read_address(const struct nlmsghdr *message, const struct ifaddrmsg *about, struct address *ret)
{
    const struct nlattr *attribute, *own = NULL;
    size_t size = address_size(about->ifa_family);

    mnl_attr_for_each (attribute, message, sizeof(*about))
        if (mnl_attr_get_type(attribute) == IFA_LOCAL || (mnl_attr_get_type(attribute) == IFA_ADDRESS && !own))
            own = attribute;
    if (!own || size == 0 || mnl_attr_get_payload_len(own) != size)
        return false;
    ret->family = about->ifa_family;
    memcpy(ret->bytes, mnl_attr_get_payload(own), size);
    return true;
}

static int apply_address(struct links *links, const struct nlmsghdr *message)
{
    const struct ifaddrmsg *about = mnl_nlmsg_get_payload(message);
    struct link_address row;

    memset(&row, 0, sizeof(row)); /* rows are compared as bytes */
    if (mnl_nlmsg_get_payload_len(message) < sizeof(*about) || !read_address(message, about, &row.address))
        return 0;
    row.index = about->ifa_index;
    row.prefix = about->ifa_prefixlen;
    size_t at = address_place(links, &row);
    if (message->nlmsg_type == RTM_DELADDR)
        return remove_row(links->addresses, &links->addresses_count, at, sizeof(row));
    struct link_address *rows = with_room(links->addresses, links->addresses_count, at, sizeof(row));
    if (!rows)
        return -ENOMEM;
    links->addresses = rows;
    return set_row(rows, &links->addresses_count, at, &row, sizeof(row));
}

bool links_have_address(const struct links *links, const struct address *address)
{
    for (size_t i = 0; i < links->addresses_count; i++)
        if (is_same_address(&links->addresses[i].address, address))
            return true;
    return false;
}

int links_apply(struct links *links, const struct nlmsghdr *message)
{
    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        return apply_link(links, message);
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return apply_address(links, message);
    default: /* the kernel has many more */
        return 0;
    }
}
