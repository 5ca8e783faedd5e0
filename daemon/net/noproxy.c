/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/noproxy.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS     ", \t"
#define NAME_MAX_BYTES 256 /* a host name has at most 253 */

struct address {
    unsigned char bytes[16];
    unsigned bits; /* 32, 128; 0 = no address */
};

static struct address parse_address(const char *text)
{
    struct address address = {0};

    if (inet_pton(AF_INET, text, address.bytes) == 1)
        address.bits = 32;
    else if (inet_pton(AF_INET6, text, address.bytes) == 1)
        address.bits = 128;
    return address;
}

/* Without port and brackets. */
static bool take_host(const char *host, size_t length, char name[static NAME_MAX_BYTES])
{
    if (length > 0 && host[0] == '[') {
        const char *end = memchr(host, ']', length);
        if (!end)
            return false;
        host++;
        length = (size_t)(end - host);
    }
    if (length == 0 || length >= NAME_MAX_BYTES)
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    return true;
}

static bool same_bits(const struct address *a, const struct address *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

/* "10.0.0.0/8", "10.1.2.3" */
static bool network_matches(char *pattern, const struct address *address)
{
    char *slash = strchr(pattern, '/');
    uint64_t bits = address->bits;

    if (slash) {
        *slash = '\0';
        if (parse_u64(slash + 1, &bits) < 0 || bits > address->bits)
            return false;
    }
    struct address network = parse_address(pattern);
    return network.bits == address->bits && same_bits(&network, address, (unsigned)bits);
}

static bool name_matches(const char *pattern, const char *name)
{
    if (pattern[0] == '.')
        pattern++;
    size_t length = strlen(name), suffix = strlen(pattern);
    if (suffix == 0 || suffix > length || strcasecmp(name + length - suffix, pattern) != 0)
        return false;
    return suffix == length || name[length - suffix - 1] == '.';
}

bool noproxy_matches(const char *list, const char *host)
{
    const char *colon = strrchr(host, ':');
    char name[NAME_MAX_BYTES], pattern[NAME_MAX_BYTES];

    if (!list || !take_host(host, colon ? (size_t)(colon - host) : strlen(host), name))
        return false;
    const struct address address = parse_address(name);
    while (*(list += strspn(list, SEPARATORS)) != '\0') {
        size_t length = strcspn(list, SEPARATORS);
        if (length == 1 && *list == '*')
            return true;
        if (take_host(list, length, pattern) &&
            (address.bits != 0 ? network_matches(pattern, &address) : name_matches(pattern, name)))
            return true;
        list += length;
    }
    return false;
}
