/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bulk *bulk_free(struct bulk *bulk)
{
    if (!bulk)
        return NULL;
    job_change_done(&bulk->change);
    free(bulk->group);
    free(bulk->ranges);
    free(bulk->touched);
    free(bulk);
    return NULL;
}

static bool is_named(const struct bulk *bulk, uint64_t id)
{
    return bulk->ranges_count == 0 || id_ranges_find(bulk->ranges, bulk->ranges_count, id);
}

static bool is_touched(const struct bulk *bulk, uint64_t id)
{
    return bulk->touched_count > 0 &&
           bsearch(&id, bulk->touched, bulk->touched_count, sizeof(*bulk->touched), id_compare);
}

static bool has_state(const struct bulk *bulk, const struct job *job)
{
    if (bulk->states != 0 && (bulk->states >> job->state & 1) == 0)
        return false;
    if (job->state != JOB_RETRYING)
        return true;
    switch (bulk->retrying) {
    case BULK_RETRYING_ALL:
        return true;
    case BULK_RETRYING_WAITING:
        return job->next_attempt_usec > bulk->at_usec;
    case BULK_RETRYING_DUE:
        return job->next_attempt_usec <= bulk->at_usec;
    }
    return false;
}

bool bulk_covers(const struct bulk *bulk, const struct job *job)
{
    if (job->id <= bulk->after || job->id > bulk->last_id)
        return false;
    if (!bulk->any_owner && job->owner != bulk->caller)
        return false;
    if (bulk->group && strcmp(bulk->group, job->group) != 0)
        return false;
    return has_state(bulk, job) && is_named(bulk, job->id) && !is_touched(bulk, job->id);
}

int bulk_touch(struct bulk *bulk, uint64_t id)
{
    size_t at = 0;

    if (id <= bulk->after || is_touched(bulk, id))
        return 0;
    if (bulk->touched_count == BULK_TOUCHED_MAX)
        return -EDQUOT;
    uint64_t *touched = reallocarray(bulk->touched, bulk->touched_count + 1, sizeof(*touched));
    if (!touched)
        return -ENOMEM;
    bulk->touched = touched;
    while (at < bulk->touched_count && touched[at] < id)
        at++;
    memmove(&touched[at + 1], &touched[at], (bulk->touched_count - at) * sizeof(*touched));
    touched[at] = id;
    bulk->touched_count++;
    return 0;
}

void bulk_advance(struct bulk *bulk, uint64_t after)
{
    size_t passed = 0;

    bulk->after = after;
    while (passed < bulk->touched_count && bulk->touched[passed] <= after)
        passed++;
    if (passed == 0)
        return;
    bulk->touched_count -= passed;
    memmove(bulk->touched, bulk->touched + passed, bulk->touched_count * sizeof(*bulk->touched));
}

/* What is left of RANGE without HOLES goes to OUT. Returns how many that are: at most one more than holes. */
static size_t subtract(struct id_range range, const struct id_range *holes, size_t count, struct id_range *out)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (holes[i].last < range.first)
            continue;
        if (holes[i].first > range.last)
            break;
        if (holes[i].first > range.first)
            out[kept++] = (struct id_range){range.first, holes[i].first - 1};
        if (holes[i].last >= range.last)
            return kept;
        range.first = holes[i].last + 1;
    }
    out[kept++] = range;
    return kept;
}

int bulk_exclude(struct bulk *bulk, const struct id_range *holes, size_t count)
{
    const struct id_range all = {1, bulk->last_id};
    const struct id_range *ranges = bulk->ranges_count > 0 ? bulk->ranges : &all;
    size_t ranges_count = bulk->ranges_count > 0 ? bulk->ranges_count : 1, kept = 0;
    struct id_range *left;

    if (count == 0)
        return 0;
    /* Each hole splits one range at most; nothing left is a range that no id is in. */
    left = calloc(ranges_count + count + 1, sizeof(*left));
    if (!left)
        return -ENOMEM;
    for (size_t i = 0; i < ranges_count; i++)
        kept += subtract(ranges[i], holes, count, left + kept);
    if (kept == 0)
        left[kept++] = (struct id_range){0, 0};
    free(bulk->ranges);
    bulk->ranges = left;
    bulk->ranges_count = kept;
    return 0;
}
