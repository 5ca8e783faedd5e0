/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has the source file changed? The identity of a file is what stat says of it, as a value.
 *
 * Size, mtime, birth time (where the file system has one) and inode are compared; the device number only within one
 * boot, since it changes with every mount; the inode not on file systems that make it up (vfat, exfat, FUSE).
 * ctime is left out: chmod, link and rename change it, and none of them changes what would be uploaded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct source_identity {
    uint64_t size_bytes;
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    bool has_btime;
    int64_t btime_sec;
    uint32_t btime_nsec;
    uint64_t inode;
    bool inode_is_stable;
    uint64_t device;
    uint8_t boot_id[16];
    /*
     * The file was modified within two seconds of the look at it: coarse time stamps could hide a write that came
     * after. A racy identity is taken anew before the first byte is sent.
     */
    bool racy;
};

enum ident_change {
    IDENT_SAME,
    IDENT_SIZE_CHANGED,
    IDENT_TIME_CHANGED, /* mtime or birth time */
    IDENT_REPLACED,     /* another inode or device */
};

enum ident_change ident_compare(const struct source_identity *before, const struct source_identity *now);

/* Whether a file with this mtime, looked at NOW (both CLOCK_REALTIME), may still change without its mtime telling. */
bool ident_is_racy(int64_t mtime_sec, uint32_t mtime_nsec, uint64_t now_realtime_usec);

/* "the size changed", "it was modified", "it was replaced by another file" */
const char *ident_change_text(enum ident_change change);
