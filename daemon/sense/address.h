/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An IPv4 or IPv6 address as a value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_BYTES_MAX 16
#define ADDRESS_ZONE_MAX  15 /* of the name of a device */

struct address {
    uint8_t family; /* AF_INET or AF_INET6 */
    uint8_t bytes[ADDRESS_BYTES_MAX];
    char zone[ADDRESS_ZONE_MAX + 1]; /* of "fe80::1%eth0"; "" = none */
};

/* 4 or 16; 0 for any other family. */
size_t address_size(uint8_t family);

/*
 * "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; an IPv4 address within IPv6 ("::ffff:192.0.2.1") becomes the former.
 * -EINVAL for anything else.
 */
int address_parse(const char *text, struct address *ret);

/* 127.0.0.0/8 and ::1. */
bool address_is_loopback(const struct address *address);
