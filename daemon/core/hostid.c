/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/hostid.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_port(const char *text)
{
    uint32_t port;

    return strlen(text) <= 5 && parse_u32(text, &port) == 0 && port >= 1 && port <= 65535;
}

static bool is_ipv6(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET6, text, &address) == 1;
}

/* A name or an IPv4 address: labels of letters, digits, "-" and "_" (Windows machines have it), none of them empty. */
static bool is_name(const char *text)
{
    size_t label = 0;

    if (text[0] == '-')
        return false;
    for (; *text != '\0'; text++) {
        bool is_letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        if (*text == '.' && label > 0)
            label = 0;
        else if (is_letter || (*text >= '0' && *text <= '9') || *text == '-' || *text == '_')
            label++;
        else
            return false;
    }
    return label > 0;
}

/* "[2001:db8::7]" or "[2001:db8::7]:8080" */
static bool is_bracketed(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    const char *end = strchr(text, ']');
    size_t length = end ? (size_t)(end - text - 1) : 0;

    if (length == 0 || length >= sizeof(address) || (end[1] != '\0' && (end[1] != ':' || !is_port(end + 2))))
        return false;
    memcpy(address, text + 1, length);
    address[length] = '\0';
    return is_ipv6(address);
}

static bool is_name_with_port(char *text)
{
    char *colon = strchr(text, ':');

    if (!colon)
        return is_name(text);
    *colon = '\0';
    bool is_valid = is_name(text) && is_port(colon + 1);
    *colon = ':';
    return is_valid;
}

int host_id_read(const char *text, size_t length, char ret[static HOST_ID_MAX + 1])
{
    char copy[HOST_ID_MAX + 1];

    if (length == 0 || length > HOST_ID_MAX || memchr(text, '\0', length))
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (is_ipv6(copy))
        (void)snprintf(ret, HOST_ID_MAX + 1, "[%.*s]", INET6_ADDRSTRLEN, copy);
    else if (copy[0] == '[' ? is_bracketed(copy) : is_name_with_port(copy))
        memcpy(ret, copy, length + 1);
    else
        return -EINVAL;
    return 0;
}
