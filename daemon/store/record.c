/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/record.h"

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define HEADER_BYTES   8 /* magic, format, reserved, checksum */
#define FIELD_BYTES    6 /* tag and length before each value */
#define TAGS_SEEN_LONG (65536 / 64)

void record_put_number(uint8_t *to, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

uint64_t record_get_number(const uint8_t *from, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

/* Members are 1, 2, 4 or 8 bytes wide, signed or not: their bits travel. */
static uint64_t load_member(const void *member, size_t width)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;

    if (width == sizeof(wide)) {
        memcpy(&wide, member, sizeof(wide));
        return wide;
    }
    assert(width == sizeof(narrow));
    memcpy(&narrow, member, sizeof(narrow));
    return narrow;
}

static void store_member(void *member, uint64_t value, size_t width)
{
    uint32_t narrow = (uint32_t)value;

    if (width == sizeof(value))
        memcpy(member, &value, sizeof(value));
    else
        memcpy(member, &narrow, sizeof(narrow));
}

struct encoder {
    uint8_t *bytes; /* bytes_max */
    size_t size, bytes_max;
    bool full;
};

static uint8_t *encode_field(struct encoder *encoder, uint16_t tag, size_t length)
{
    if (encoder->full || length > encoder->bytes_max - FIELD_BYTES ||
        encoder->size > encoder->bytes_max - FIELD_BYTES - length) {
        encoder->full = true;
        return NULL;
    }
    uint8_t *at = encoder->bytes + encoder->size;
    record_put_number(at, tag, 2);
    record_put_number(at + 2, length, 4);
    encoder->size += FIELD_BYTES + length;
    return at + FIELD_BYTES;
}

static void encode_bytes(struct encoder *encoder, uint16_t tag, const void *bytes, size_t length)
{
    uint8_t *at = encode_field(encoder, tag, length);

    if (at)
        memcpy(at, bytes, length);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* What is 0 is left out: most of a fresh record is. */
static void encode_member(struct encoder *encoder, const struct record_field *field, const void *object)
{
    const char *member = (const char *)object + field->offset;
    const char *string;
    uint8_t *at;

    switch (field->kind) {
    case RECORD_NUMBER:
        if (!is_zero((const uint8_t *)member, field->size) && (at = encode_field(encoder, field->tag, field->size)))
            record_put_number(at, load_member(member, field->size), field->size);
        return;
    case RECORD_FLAG:
        if (*(const bool *)member)
            encode_bytes(encoder, field->tag, &(const uint8_t){1}, 1);
        return;
    case RECORD_STRING:
        memcpy(&string, member, sizeof(string));
        if (string)
            encode_bytes(encoder, field->tag, string, strlen(string));
        return;
    case RECORD_TEXT:
        assert(memchr(member, '\0', field->size));
        if (member[0] != '\0')
            encode_bytes(encoder, field->tag, member, strlen(member));
        return;
    case RECORD_RAW:
        if (!is_zero((const uint8_t *)member, field->size))
            encode_bytes(encoder, field->tag, member, field->size);
        return;
    }
    assert(false);
}

int record_encode(const struct record_type *type, const void *object, void **ret, size_t *ret_size)
{
    _cleanup_free_ uint8_t *bytes = malloc(type->bytes_max);
    struct encoder encoder = {.bytes = bytes, .size = HEADER_BYTES, .bytes_max = type->bytes_max};

    if (!bytes)
        return -ENOMEM;
    for (size_t i = 0; i < type->fields_count; i++)
        encode_member(&encoder, &type->fields[i], object);
    size_t packed = type->packed_tag != 0 ? type->packed_size(object) : 0;
    uint8_t *at = packed > 0 ? encode_field(&encoder, type->packed_tag, packed) : NULL;
    if (at)
        type->pack(object, at);
    if (encoder.full)
        return -E2BIG;
    memcpy(bytes, type->magic, 2);
    bytes[2] = type->format;
    bytes[3] = 0;
    record_put_number(bytes + 4, crc32c(bytes + HEADER_BYTES, encoder.size - HEADER_BYTES), 4);
    *ret = TAKE_PTR(bytes);
    *ret_size = encoder.size;
    return 0;
}

static int decode_string(void *member, const uint8_t *value, size_t length)
{
    if (memchr(value, '\0', length))
        return -EBADMSG;
    char *string = text_duplicate(value, length);
    if (!string)
        return -ENOMEM;
    memcpy(member, &string, sizeof(string));
    return 0;
}

static int decode_member(const struct record_field *field, const uint8_t *value, size_t length, void *object)
{
    char *member = (char *)object + field->offset;

    switch (field->kind) {
    case RECORD_NUMBER:
        if (length != field->size)
            return -EBADMSG;
        store_member(member, record_get_number(value, length), length);
        return 0;
    case RECORD_FLAG:
        if (length != 1 || value[0] > 1)
            return -EBADMSG;
        *(bool *)member = value[0] == 1;
        return 0;
    case RECORD_STRING:
        return decode_string(member, value, length);
    case RECORD_TEXT:
        if (length >= field->size || memchr(value, '\0', length))
            return -EBADMSG;
        memcpy(member, value, length);
        return 0;
    case RECORD_RAW:
        if (length != field->size)
            return -EBADMSG;
        memcpy(member, value, length);
        return 0;
    }
    assert(false);
    return -EBADMSG;
}

/* The encoder writes in the order of the table, so that the search begins where the last one ended. */
static const struct record_field *find_field(const struct record_type *type, uint16_t tag, size_t *hint)
{
    for (size_t i = 0; i < type->fields_count; i++) {
        size_t at = (*hint + i) % type->fields_count;
        if (type->fields[at].tag == tag) {
            *hint = at + 1;
            return &type->fields[at];
        }
    }
    return NULL;
}

static int decode_fields(const struct record_type *type, const uint8_t *at, size_t left, void *object)
{
    uint64_t seen[TAGS_SEEN_LONG] = {0};
    size_t hint = 0;

    while (left > 0) {
        if (left < FIELD_BYTES)
            return -EBADMSG;
        uint16_t tag = (uint16_t)record_get_number(at, 2);
        size_t length = record_get_number(at + 2, 4);
        at += FIELD_BYTES;
        left -= FIELD_BYTES;
        if (length > left || (seen[tag / 64] >> (tag % 64) & 1) != 0)
            return -EBADMSG;
        seen[tag / 64] |= UINT64_C(1) << (tag % 64);
        const struct record_field *field = find_field(type, tag, &hint);
        int r = 0;
        if (field)
            r = decode_member(field, at, length, object);
        else if (type->packed_tag != 0 && tag == type->packed_tag)
            r = type->unpack(object, at, length);
        if (r < 0)
            return r;
        at += length;
        left -= length;
    }
    return 0;
}

int record_decode(const struct record_type *type, const void *bytes, size_t size, void *object)
{
    const uint8_t *at = bytes;

    if (size < HEADER_BYTES || size > type->bytes_max || memcmp(at, type->magic, 2) != 0 || at[2] != type->format ||
        at[3] != 0)
        return -EBADMSG;
    if (record_get_number(at + 4, 4) != crc32c(at + HEADER_BYTES, size - HEADER_BYTES))
        return -EBADMSG;
    return decode_fields(type, at + HEADER_BYTES, size - HEADER_BYTES, object);
}

void record_pack_rows(uint8_t *to, const void *rows, size_t width, size_t count)
{
    const uint64_t *numbers = rows;

    for (size_t i = 0; i < width * count; i++)
        record_put_number(to + 8 * i, numbers[i], 8);
}

int record_unpack_rows(const uint8_t *from, size_t size, size_t width, void **ret, size_t *ret_count)
{
    uint64_t *numbers;

    if (size == 0 || size % RECORD_ROW_BYTES(width) != 0)
        return -EBADMSG;
    numbers = malloc(size);
    if (!numbers)
        return -ENOMEM;
    for (size_t i = 0; i < size / 8; i++)
        numbers[i] = record_get_number(from + 8 * i, 8);
    *ret = numbers;
    *ret_count = size / RECORD_ROW_BYTES(width);
    return 0;
}
