/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) of LENGTH bytes, by the processor's own instruction where it has one. */
uint32_t crc32c(const void *bytes, size_t length);

/* The same without it. */
uint32_t crc32c_portable(const void *bytes, size_t length);
