/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "text.h"

#include <errno.h>
#include <string.h>
#include <time.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

static int parse_digits(const char *text, uint64_t *ret, const char **ret_end)
{
    uint64_t value = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return -ERANGE;
    if (p == text)
        return -EINVAL;
    *ret = value;
    *ret_end = p;
    return 0;
}

static int parse_with_unit(const char *text, const struct unit *units, uint64_t *ret)
{
    const char *end;
    uint64_t value;
    int r = parse_digits(text, &value, &end);

    if (r < 0)
        return r;
    for (const struct unit *unit = units; unit->suffix != NULL; unit++) {
        if (strcmp(end, unit->suffix) != 0)
            continue;
        if (__builtin_mul_overflow(value, unit->factor, &value))
            return -ERANGE;
        *ret = value;
        return 0;
    }
    return -EINVAL;
}

int text_parse_u64(const char *text, uint64_t *ret)
{
    static const struct unit units[] = {{"", 1}, {NULL, 0}};

    return parse_with_unit(text, units, ret);
}

int text_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"K", 1000},
        {"M", UINT64_C(1000000)},
        {"G", UINT64_C(1000000000)},
        {"Ki", UINT64_C(1) << 10},
        {"Mi", UINT64_C(1) << 20},
        {"Gi", UINT64_C(1) << 30},
        {NULL, 0},
    };

    return parse_with_unit(text, units, ret_bytes);
}

int text_parse_duration(const char *text, uint64_t *ret_usec)
{
    static const struct unit units[] = {
        {"", USEC_PER_SEC}, {"ms", USEC_PER_MSEC}, {"s", USEC_PER_SEC}, {"m", 60 * USEC_PER_SEC}, {NULL, 0},
    };

    return parse_with_unit(text, units, ret_usec);
}

uint64_t clock_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}
