/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place where numbers are read from text.
 *
 * Every function takes the whole string: leading blanks, a sign, or anything behind the value are -EINVAL, a value
 * that does not fit is -ERANGE. On failure *ret is untouched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only. */
int parse_u64(const char *text, uint64_t *ret);
int parse_u32(const char *text, uint32_t *ret);

/* As parse_u64(), over the first LENGTH bytes, which need no terminator. */
int parse_u64_n(const char *text, size_t length, uint64_t *ret);

/* Up to 8 hexadecimal digits, no prefix. */
int parse_hex32_n(const char *text, size_t length, uint32_t *ret);

/* Bytes: "1500", "5K", "2M", "1G", "1T" (powers of 1000), "64Ki", "24Mi", "1Gi", "1Ti"; a trailing B is accepted. */
int parse_size(const char *text, uint64_t *ret_bytes);

/* Bytes a second: a size ("200K", "2M"), or bits a second ("800kbit", "8Mbit", "1Gbit"), which are divided by 8. */
int parse_rate(const char *text, uint64_t *ret_bytes_per_second);

/* Microseconds: one or more of "500ms", "90s", "15m"/"15min", "2h", "3d", added up ("1h30m"). No bare number but 0. */
int parse_duration(const char *text, uint64_t *ret_usec);

/* yes/no, true/false, on/off, 1/0. */
int parse_bool(const char *text, bool *ret);
