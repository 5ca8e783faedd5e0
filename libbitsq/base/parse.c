/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/parse.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int parse_u64_n(const char *text, size_t length, uint64_t *ret)
{
    uint64_t value = 0;

    if (length == 0)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(text[i]))
            return -EINVAL;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return -ERANGE;
    }
    *ret = value;
    return 0;
}

int parse_u64(const char *text, uint64_t *ret)
{
    return parse_u64_n(text, strlen(text), ret);
}

int parse_u32(const char *text, uint32_t *ret)
{
    uint64_t value;

    int r = parse_u64(text, &value);
    if (r < 0)
        return r;
    if (value > UINT32_MAX)
        return -ERANGE;
    *ret = (uint32_t)value;
    return 0;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int parse_hex32_n(const char *text, size_t length, uint32_t *ret)
{
    uint32_t value = 0;

    if (length == 0)
        return -EINVAL;
    if (length > 8)
        return -ERANGE;
    for (size_t i = 0; i < length; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return -EINVAL;
        value = (value << 4) | (uint32_t)digit;
    }
    *ret = value;
    return 0;
}

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Reads one "NUMBER UNIT" at *text and moves *text behind it; the longest suffix of the table that fits wins. */
static int parse_term(const char **text, const struct unit *units, size_t units_count, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t value;
    const struct unit *unit = NULL;

    while (is_digit((*text)[digits]))
        digits++;
    int r = parse_u64_n(*text, digits, &value);
    if (r < 0)
        return r;
    const char *suffix = *text + digits;
    for (size_t i = 0; i < units_count; i++) {
        size_t length = strlen(units[i].suffix);
        if (strncmp(suffix, units[i].suffix, length) == 0 && (!unit || length > strlen(unit->suffix)))
            unit = &units[i];
    }
    if (!unit)
        return -EINVAL;
    if (__builtin_mul_overflow(value, unit->factor, &value))
        return -ERANGE;
    *text = suffix + strlen(unit->suffix);
    *ret = value;
    return 0;
}

#define KI ((uint64_t)1024)

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", 1000},
    {"k", 1000},
    {"KB", 1000},
    {"kB", 1000},
    {"Ki", KI},
    {"KiB", KI},
    {"M", 1000000},
    {"MB", 1000000},
    {"Mi", KI *KI},
    {"MiB", KI *KI},
    {"G", 1000000000},
    {"GB", 1000000000},
    {"Gi", KI *KI *KI},
    {"GiB", KI *KI *KI},
    {"T", 1000000000000},
    {"TB", 1000000000000},
    {"Ti", KI *KI *KI *KI},
    {"TiB", KI *KI *KI *KI},
};

static const struct unit bit_units[] = {
    {"bit", 1}, {"kbit", 1000}, {"Kbit", 1000}, {"Mbit", 1000000}, {"Gbit", 1000000000},
};

static const struct unit duration_units[] = {
    {"us", 1},           {"ms", USEC_PER_MSEC}, {"s", USEC_PER_SEC},  {"sec", USEC_PER_SEC},
    {"m", USEC_PER_MIN}, {"min", USEC_PER_MIN}, {"h", USEC_PER_HOUR}, {"d", USEC_PER_DAY},
};

int parse_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t value;

    int r = parse_term(&text, size_units, ELEMENTS(size_units), &value);
    if (r < 0)
        return r;
    if (*text != '\0')
        return -EINVAL;
    *ret_bytes = value;
    return 0;
}

int parse_rate(const char *text, uint64_t *ret_bytes_per_second)
{
    uint64_t bits;
    const char *rest = text;

    if (strlen(text) < 3 || strcmp(text + strlen(text) - 3, "bit") != 0)
        return parse_size(text, ret_bytes_per_second);
    int r = parse_term(&rest, bit_units, ELEMENTS(bit_units), &bits);
    if (r < 0)
        return r;
    if (*rest != '\0')
        return -EINVAL;
    *ret_bytes_per_second = bits / 8;
    return 0;
}

int parse_duration(const char *text, uint64_t *ret_usec)
{
    uint64_t sum = 0;

    if (strcmp(text, "0") == 0) {
        *ret_usec = 0;
        return 0;
    }
    if (*text == '\0')
        return -EINVAL;
    while (*text != '\0') {
        uint64_t term;
        int r = parse_term(&text, duration_units, ELEMENTS(duration_units), &term);
        if (r < 0)
            return r;
        if (__builtin_add_overflow(sum, term, &sum))
            return -ERANGE;
    }
    *ret_usec = sum;
    return 0;
}

int parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};

    for (size_t i = 0; i < ELEMENTS(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0) {
            *ret = true;
            return 0;
        }
        if (strcasecmp(text, no[i]) == 0) {
            *ret = false;
            return 0;
        }
    }
    return -EINVAL;
}
