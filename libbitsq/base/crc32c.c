/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/crc32c.h"

#include <string.h>

#if defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <immintrin.h>
#endif

/* Half a byte at a time: enough for machines without an instruction for it. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_portable(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return crc ^ 0xffffffff;
}

#if defined(__x86_64__) || defined(__aarch64__)

#if defined(__x86_64__)
#define WITH_CRC          __attribute__((target("sse4.2")))
#define CRC_OF_8(crc, at) ((uint32_t)_mm_crc32_u64((crc), (at)))
#define CRC_OF_1(crc, at) _mm_crc32_u8((crc), (at))
#else
#define WITH_CRC          __attribute__((target("+crc")))
#define CRC_OF_8(crc, at) __crc32cd((crc), (at))
#define CRC_OF_1(crc, at) __crc32cb((crc), (at))
#endif

WITH_CRC static uint32_t crc32c_instruction(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint32_t crc = 0xffffffff;
    uint64_t word;

    for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        crc = CRC_OF_8(crc, word);
    }
    for (; length > 0; at++, length--)
        crc = CRC_OF_1(crc, *at);
    return crc ^ 0xffffffff;
}

static int has_instruction(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("sse4.2");
#else
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
}

uint32_t crc32c(const void *bytes, size_t length)
{
    return has_instruction() ? crc32c_instruction(bytes, length) : crc32c_portable(bytes, length);
}

#else

uint32_t crc32c(const void *bytes, size_t length)
{
    return crc32c_portable(bytes, length);
}

#endif
