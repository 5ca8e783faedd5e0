/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids of jobs, and ranges of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct id_range {
    uint64_t first, last; /* inclusive */
};

int id_compare(const void *left, const void *right); /* for qsort(3) and bsearch(3) on uint64_t */

/* Sorts and joins: ranges that meet become one. Returns how many are left. */
size_t id_ranges_join(struct id_range *ranges, size_t count);

/* The one that ID is in, of ranges that are sorted and apart; NULL = none. */
const struct id_range *id_ranges_find(const struct id_range *ranges, size_t count, uint64_t id);
