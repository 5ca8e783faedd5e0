/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The marker beside the queue: it says that a queue was here, which one, and up to which number job ids may have been
 * given out. It is small, is written seldom, and does not share the queue's fate: when the queue is lost, its ids are
 * still never given to another job.
 *
 *   bitsq-marker 1
 *   queue 3f0c…            16 bytes in hexadecimal: the queue's uuid
 *   reserved 2000          the highest id that may be in use
 *   checksum 1a2b3c4d      CRC-32C of the lines above
 */
#pragma once

#include "store/schema.h"

#define MARKER_NAME "marker"

struct marker {
    uint8_t uuid[SCHEMA_UUID_BYTES];
    uint64_t reserved;
};

/* -ENOENT, or -EBADMSG where it is damaged. */
int marker_read(int directory_fd, struct marker *ret);
/* Atomically and durably. */
int marker_write(int directory_fd, const struct marker *marker);
