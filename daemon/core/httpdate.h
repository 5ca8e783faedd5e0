/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Reads a date of HTTP (RFC 9110, 5.6.7) in any of its three forms, without looking at a clock:
 *
 *     Sun, 06 Nov 1994 08:49:37 GMT      Sunday, 06-Nov-94 08:49:37 GMT      Sun Nov  6 08:49:37 1994
 *
 * Microseconds of CLOCK_REALTIME, or -EINVAL. The name of the day is not checked against the date. Two digits of a year
 * below 70 stand for 20xx.
 */
int http_date_parse(const char *text, size_t length, uint64_t *ret_realtime_usec);
