/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

_Static_assert(ADDRESS_ZONE_MAX + 1 == IF_NAMESIZE, "a zone is the name of a device");

size_t address_size(uint8_t family)
{
    if (family == AF_INET)
        return sizeof(struct in_addr);
    return family == AF_INET6 ? sizeof(struct in6_addr) : 0;
}

static int parse_ipv6(const char *text, struct address *ret)
{
    char bare[INET6_ADDRSTRLEN];
    struct in6_addr ipv6;
    const char *zone = strchrnul(text, '%');
    size_t length = (size_t)(zone - text);
    struct address address = {.family = AF_INET6};

    if (length >= sizeof(bare) || strlen(zone) > sizeof(address.zone))
        return -EINVAL;
    memcpy(bare, text, length);
    bare[length] = '\0';
    if (*zone)
        memcpy(address.zone, zone + 1, strlen(zone));
    if (inet_pton(AF_INET6, bare, &ipv6) != 1)
        return -EINVAL;
    if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
        address.family = AF_INET;
        memcpy(address.bytes, ipv6.s6_addr + 12, 4);
    } else {
        memcpy(address.bytes, ipv6.s6_addr, sizeof(ipv6));
    }
    *ret = address;
    return 0;
}

int address_parse(const char *text, struct address *ret)
{
    struct address address = {.family = AF_INET};

    if (inet_pton(AF_INET, text, address.bytes) != 1)
        return parse_ipv6(text, ret);
    *ret = address;
    return 0;
}

bool address_is_loopback(const struct address *address)
{
    struct in6_addr ipv6;

    if (address->family == AF_INET)
        return address->bytes[0] == IN_LOOPBACKNET;
    memcpy(&ipv6, address->bytes, sizeof(ipv6));
    return IN6_IS_ADDR_LOOPBACK(&ipv6);
}
