/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ids.h"

#include <stdlib.h>

int id_compare(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return *a < *b ? -1 : *a > *b;
}

static int compare_ranges(const void *left, const void *right)
{
    const struct id_range *a = left, *b = right;

    return a->first < b->first ? -1 : a->first > b->first;
}

size_t id_ranges_join(struct id_range *ranges, size_t count)
{
    size_t kept = 0;

    if (count == 0)
        return 0;
    qsort(ranges, count, sizeof(*ranges), compare_ranges);
    for (size_t i = 1; i < count; i++) {
        if (ranges[kept].last == UINT64_MAX || ranges[i].first <= ranges[kept].last + 1) {
            if (ranges[i].last > ranges[kept].last)
                ranges[kept].last = ranges[i].last;
        } else {
            ranges[++kept] = ranges[i];
        }
    }
    return kept + 1;
}

static int compare_with_range(const void *key, const void *element)
{
    const uint64_t *id = key;
    const struct id_range *range = element;

    return *id < range->first ? -1 : *id > range->last;
}

const struct id_range *id_ranges_find(const struct id_range *ranges, size_t count, uint64_t id)
{
    return count > 0 ? bsearch(&id, ranges, count, sizeof(*ranges), compare_with_range) : NULL;
}
