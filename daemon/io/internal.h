/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of io/ share. */
#pragma once

#include "io/pool.h"

#include <stddef.h>
#include <stdint.h>

struct io {
    struct pool *pool;
    size_t sources_count;
    uint8_t boot_id[16];
};
