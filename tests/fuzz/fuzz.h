/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What a fuzz target defines: judges one input, aborts on a finding, returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
