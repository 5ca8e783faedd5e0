/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ident.h"

#include "base/moment.h"

#include <string.h>

/* Coarse time stamps step by up to 10 ms, vfat's by 2 s. */
#define IDENT_RACY_SEC 2

static bool same_boot(const struct source_identity *a, const struct source_identity *b)
{
    static const uint8_t unknown[sizeof(a->boot_id)];

    return memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0 && memcmp(a->boot_id, unknown, sizeof(unknown)) != 0;
}

static bool is_another_file(const struct source_identity *before, const struct source_identity *now)
{
    if (!before->inode_is_stable || !now->inode_is_stable)
        return false;
    return before->inode != now->inode || (same_boot(before, now) && before->device != now->device);
}

enum ident_change ident_compare(const struct source_identity *before, const struct source_identity *now)
{
    if (before->size_bytes != now->size_bytes)
        return IDENT_SIZE_CHANGED;
    /* Before the times: a file that was renamed over the old one has other times too, but that says less. */
    if (is_another_file(before, now))
        return IDENT_REPLACED;
    if (before->mtime_sec != now->mtime_sec || before->mtime_nsec != now->mtime_nsec)
        return IDENT_TIME_CHANGED;
    if (before->has_btime && now->has_btime &&
        (before->btime_sec != now->btime_sec || before->btime_nsec != now->btime_nsec))
        return IDENT_TIME_CHANGED;
    return IDENT_SAME;
}

bool ident_is_racy(int64_t mtime_sec, uint32_t mtime_nsec, uint64_t now_realtime_usec)
{
    int64_t now_sec = (int64_t)(now_realtime_usec / USEC_PER_SEC);
    int64_t now_nsec = (int64_t)(now_realtime_usec % USEC_PER_SEC) * 1000;
    int64_t age_sec;

    if (__builtin_sub_overflow(now_sec, mtime_sec, &age_sec))
        return false;
    if (now_nsec < (int64_t)mtime_nsec)
        age_sec--;
    /*
     * A time ahead of the clock by more than the window is safe: a write would set it back to now. Within the window
     * it counts as racy on both sides, since the file system's clock may run a tick beside ours.
     */
    return age_sec >= -IDENT_RACY_SEC && age_sec < IDENT_RACY_SEC;
}

const char *ident_change_text(enum ident_change change)
{
    switch (change) {
    case IDENT_SAME:
        return "it did not change";
    case IDENT_SIZE_CHANGED:
        return "the size changed";
    case IDENT_TIME_CHANGED:
        return "it was modified";
    case IDENT_REPLACED:
        return "it was replaced by another file";
    }
    return "it changed";
}
