/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A struct as bytes, by a table of its members. Pure.
 *
 *   record  = magic 2 bytes | format u8 | reserved u8 = 0 | crc32c u32 | fields
 *   field   = tag u16 | length u32 | value                all numbers little endian
 *
 * The checksum covers the fields. An unknown tag is skipped and kept out of the struct: an older program may read what
 * a newer one wrote within one schema. A tag that appears twice, a wrong length, or bytes behind the last field make
 * the record undecodable. What is 0, false, "" or NULL is left out, and what is missing has that value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_kind {
    RECORD_NUMBER, /* as wide as the member: 4 or 8 bytes, an enum too */
    RECORD_FLAG,   /* bool */
    RECORD_STRING, /* char *, absent = NULL */
    RECORD_TEXT,   /* char[], absent = "" */
    RECORD_RAW,    /* bytes of the member's size */
};

struct record_field {
    uint16_t tag; /* stands in the store: never reuse one, never change its kind */
    enum record_kind kind;
    size_t offset;
    size_t size;
};

#define RECORD_MEMBER(type, tag, kind, member)                                                \
    {                                                                                         \
        tag, RECORD_##kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
    }

struct record_type {
    char magic[2];
    uint8_t format;
    size_t bytes_max; /* of a whole record */
    const struct record_field *fields;
    size_t fields_count;

    /* One field of a form of its own; tag 0 = none. pack() writes packed_size() bytes, which are more than none. */
    uint16_t packed_tag;
    size_t (*packed_size)(const void *object);
    void (*pack)(const void *object, uint8_t *to);
    int (*unpack)(void *object, const uint8_t *from, size_t size); /* -EBADMSG */
};

/* -E2BIG over bytes_max, -ENOMEM. The caller frees *ret. */
int record_encode(const struct record_type *type, const void *object, void **ret, size_t *ret_size);

/*
 * Fills OBJECT, which is all zeros. -EBADMSG for bytes that are no intact record, -ENOMEM; the caller frees what OBJECT
 * holds then, too.
 */
int record_decode(const struct record_type *type, const void *bytes, size_t size, void *object);

void record_put_number(uint8_t *to, uint64_t value, size_t width);
uint64_t record_get_number(const uint8_t *from, size_t width);

/* For a packed field that is an array of structs of WIDTH numbers of 8 bytes each: ROWS of them. */
#define RECORD_ROW_BYTES(width) ((size_t)8 * (width))
void record_pack_rows(uint8_t *to, const void *rows, size_t width, size_t count);
/* -EBADMSG, -ENOMEM; the caller frees *ret. */
int record_unpack_rows(const uint8_t *from, size_t size, size_t width, void **ret, size_t *ret_count);
