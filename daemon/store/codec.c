/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/codec.h"

#include "base/crc32c.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define FORMAT         1
#define HEADER_BYTES   8  /* magic, format, reserved, checksum */
#define FIELD_BYTES    6  /* tag and length before each value */
#define ATTEMPT_BYTES  28 /* without the address, which stands in a field of its own */
#define TAG_ATTEMPTS   95
#define TAGS_SEEN_LONG (65536 / 64)

enum field_kind {
    FIELD_NUMBER, /* as wide as the member */
    FIELD_FLAG,   /* bool */
    FIELD_STRING, /* char *, absent = NULL */
    FIELD_TEXT,   /* char[], absent = "" */
    FIELD_RAW,    /* bytes */
};

struct field {
    uint16_t tag;
    enum field_kind kind;
    size_t offset;
    size_t size;
};

#define MEMBER(tag, kind, member)                                                          \
    {                                                                                      \
        tag, FIELD_##kind, offsetof(struct job, member), sizeof(((struct job *)0)->member) \
    }

/* Every member of struct job but the log of attempts. A tag stands in the store: never reuse one, never change a kind.
 */
static const struct field fields[] = {
    MEMBER(1, NUMBER, id),
    MEMBER(2, NUMBER, owner),
    MEMBER(3, NUMBER, type),
    MEMBER(4, NUMBER, priority),
    MEMBER(5, NUMBER, state),
    MEMBER(6, FLAG, remove_when_cancelled),
    MEMBER(7, STRING, key),
    MEMBER(8, STRING, name),
    MEMBER(9, STRING, group),
    MEMBER(10, STRING, url),
    MEMBER(11, STRING, host),
    MEMBER(12, STRING, source),
    MEMBER(13, FLAG, confirmed),
    MEMBER(14, NUMBER, attempts),
    MEMBER(15, NUMBER, attempts_total),
    MEMBER(16, NUMBER, retry_delay_usec),
    MEMBER(17, NUMBER, next_attempt_usec),
    MEMBER(18, NUMBER, created_usec),
    MEMBER(19, NUMBER, queued_usec),
    MEMBER(20, NUMBER, started_usec),
    MEMBER(21, NUMBER, finished_usec),
    MEMBER(22, NUMBER, revision),
    MEMBER(23, TEXT, server),
    MEMBER(24, TEXT, address),
    MEMBER(25, NUMBER, run),

    MEMBER(30, NUMBER, identity.size_bytes),
    MEMBER(31, NUMBER, identity.mtime_sec),
    MEMBER(32, NUMBER, identity.mtime_nsec),
    MEMBER(33, FLAG, identity.has_btime),
    MEMBER(34, NUMBER, identity.btime_sec),
    MEMBER(35, NUMBER, identity.btime_nsec),
    MEMBER(36, NUMBER, identity.inode),
    MEMBER(37, FLAG, identity.inode_is_stable),
    MEMBER(38, NUMBER, identity.device),
    MEMBER(39, RAW, identity.boot_id),
    MEMBER(40, FLAG, identity.racy),
    MEMBER(41, FLAG, identity_wanted),

    MEMBER(45, NUMBER, options.fragment_min_bytes),
    MEMBER(46, NUMBER, options.fragment_max_bytes),
    MEMBER(47, NUMBER, options.retry_delay_usec),
    MEMBER(48, NUMBER, options.no_progress_timeout_usec),
    MEMBER(49, FLAG, options.has_no_progress_timeout),

    MEMBER(50, STRING, reply_path),

    MEMBER(60, NUMBER, session.phase),
    MEMBER(61, TEXT, session.session_id),
    MEMBER(62, NUMBER, session.offset),
    MEMBER(63, NUMBER, session.high_offset),
    MEMBER(64, NUMBER, session.session_high_offset),
    MEMBER(65, NUMBER, session.fragment_bytes),
    MEMBER(66, NUMBER, session.fragment_ceiling_bytes),
    MEMBER(67, NUMBER, session.fragment_acked_bytes),
    MEMBER(68, NUMBER, session.no_progress_usec),
    MEMBER(69, NUMBER, session.cancel_requested_usec),
    MEMBER(70, NUMBER, session.resent_bytes),
    MEMBER(71, NUMBER, session.sent_bytes),
    MEMBER(72, NUMBER, session.sent_high_offset),
    MEMBER(73, NUMBER, session.restarts),
    MEMBER(74, NUMBER, session.looping_sessions),
    MEMBER(75, NUMBER, session.invalid_responses),
    MEMBER(76, NUMBER, session.create_conflicts),
    MEMBER(77, NUMBER, session.stalled_acks),
    MEMBER(78, FLAG, session.lost_session_tried),
    MEMBER(79, FLAG, session.close_attempted),
    MEMBER(80, FLAG, session.source_error_tried),

    MEMBER(85, TEXT, failure.name),
    MEMBER(86, NUMBER, failure.code),
    MEMBER(87, NUMBER, failure.context),
    MEMBER(88, NUMBER, failure.phase),
    MEMBER(89, NUMBER, failure.http_status),
    MEMBER(90, TEXT, failure.text),

    MEMBER(100, TEXT, session.host_id),
    MEMBER(101, NUMBER, session.host_fallback_usec),
    MEMBER(102, NUMBER, session.host_down_usec),
    MEMBER(103, FLAG, session.host_down),
    MEMBER(104, TEXT, session.reply_url),
    MEMBER(105, FLAG, session.reply_from_origin),
    MEMBER(106, FLAG, session.reply_tail_sent),
    MEMBER(107, FLAG, session.reply_stored),
    MEMBER(108, FLAG, session.has_reply_total),
    MEMBER(109, NUMBER, session.reply_total),
    MEMBER(110, NUMBER, session.reply_offset),
    MEMBER(111, TEXT, session.reply_validator),
    MEMBER(112, NUMBER, session.reply_restarts),
    MEMBER(113, FLAG, session.fragment_is_ambiguous),

    MEMBER(120, STRING, access.texts[ACCESS_AUTH]),
    MEMBER(121, STRING, access.texts[ACCESS_CREDENTIAL]),
    MEMBER(122, STRING, access.texts[ACCESS_CERT]),
    MEMBER(123, STRING, access.texts[ACCESS_KEY_FILE]),
    MEMBER(124, STRING, access.texts[ACCESS_CACERT]),
    MEMBER(125, STRING, access.texts[ACCESS_PINNED_KEY]),
    MEMBER(126, STRING, access.texts[ACCESS_PROXY]),
    MEMBER(127, STRING, access.texts[ACCESS_PROXY_CREDENTIAL]),
    MEMBER(128, STRING, access.texts[ACCESS_NOPROXY]),
    MEMBER(129, STRING, access.texts[ACCESS_HEADER_FILE]),
    MEMBER(130, STRING, access.texts[ACCESS_USER_AGENT]),
    MEMBER(131, STRING, access.texts[ACCESS_METHOD_OVERRIDE]),
    MEMBER(132, STRING, access.texts[ACCESS_PROTOCOL_GUID]),
    MEMBER(150, NUMBER, access.flags),
    MEMBER(151, NUMBER, access.flags_chosen),

    MEMBER(160, TEXT, attempt_log[0].address),
    MEMBER(161, TEXT, attempt_log[1].address),
    MEMBER(162, TEXT, attempt_log[2].address),
    MEMBER(163, TEXT, attempt_log[3].address),
    MEMBER(164, TEXT, attempt_log[4].address),
    MEMBER(165, TEXT, attempt_log[5].address),
    MEMBER(166, TEXT, attempt_log[6].address),
    MEMBER(167, TEXT, attempt_log[7].address),
};

static void put_number(uint8_t *to, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_number(const uint8_t *from, size_t width)
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
    uint8_t *bytes; /* STORE_RECORD_MAX */
    size_t size;
    bool full;
};

static uint8_t *encode_field(struct encoder *encoder, uint16_t tag, size_t length)
{
    if (encoder->full || length > STORE_RECORD_MAX - FIELD_BYTES ||
        encoder->size > STORE_RECORD_MAX - FIELD_BYTES - length) {
        encoder->full = true;
        return NULL;
    }
    uint8_t *at = encoder->bytes + encoder->size;
    put_number(at, tag, 2);
    put_number(at + 2, length, 4);
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

/* What is 0 is left out: most of a fresh job's record is. */
static void encode_member(struct encoder *encoder, const struct field *field, const struct job *job)
{
    const char *member = (const char *)job + field->offset;
    const char *string;
    uint8_t *at;

    switch (field->kind) {
    case FIELD_NUMBER:
        if (!is_zero((const uint8_t *)member, field->size) && (at = encode_field(encoder, field->tag, field->size)))
            put_number(at, load_member(member, field->size), field->size);
        return;
    case FIELD_FLAG:
        if (*(const bool *)member)
            encode_bytes(encoder, field->tag, &(const uint8_t){1}, 1);
        return;
    case FIELD_STRING:
        memcpy(&string, member, sizeof(string));
        if (string)
            encode_bytes(encoder, field->tag, string, strlen(string));
        return;
    case FIELD_TEXT:
        assert(memchr(member, '\0', field->size));
        if (member[0] != '\0')
            encode_bytes(encoder, field->tag, member, strlen(member));
        return;
    case FIELD_RAW:
        if (!is_zero((const uint8_t *)member, field->size))
            encode_bytes(encoder, field->tag, member, field->size);
        return;
    }
    assert(false);
}

static void encode_attempts(struct encoder *encoder, const struct job *job)
{
    if (job->attempt_count == 0)
        return;
    uint8_t *at = encode_field(encoder, TAG_ATTEMPTS, job->attempt_count * (size_t)ATTEMPT_BYTES);
    if (!at)
        return;
    for (uint32_t i = 0; i < job->attempt_count; i++, at += ATTEMPT_BYTES) {
        const struct job_attempt *attempt = &job->attempt_log[i];
        put_number(at, attempt->at_usec, 8);
        put_number(at + 8, attempt->code, 4);
        put_number(at + 12, (uint32_t)attempt->http_status, 4);
        put_number(at + 16, attempt->phase, 4);
        put_number(at + 20, attempt->offset, 8);
    }
}

int codec_encode_job(const struct job *job, void **ret, size_t *ret_size)
{
    _cleanup_free_ uint8_t *bytes = NULL;

    if (job_validate(job, NULL) < 0)
        return -EINVAL;
    bytes = malloc(STORE_RECORD_MAX);
    if (!bytes)
        return -ENOMEM;
    struct encoder encoder = {.bytes = bytes, .size = HEADER_BYTES};
    for (size_t i = 0; i < ELEMENTS(fields); i++)
        encode_member(&encoder, &fields[i], job);
    encode_attempts(&encoder, job);
    if (encoder.full)
        return -E2BIG;
    memcpy(bytes, "BQ", 2);
    bytes[2] = FORMAT;
    bytes[3] = 0;
    put_number(bytes + 4, crc32c(bytes + HEADER_BYTES, encoder.size - HEADER_BYTES), 4);
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

static int decode_member(const struct field *field, const uint8_t *value, size_t length, struct job *job)
{
    char *member = (char *)job + field->offset;

    switch (field->kind) {
    case FIELD_NUMBER:
        if (length != field->size)
            return -EBADMSG;
        store_member(member, get_number(value, length), length);
        return 0;
    case FIELD_FLAG:
        if (length != 1 || value[0] > 1)
            return -EBADMSG;
        *(bool *)member = value[0] == 1;
        return 0;
    case FIELD_STRING:
        return decode_string(member, value, length);
    case FIELD_TEXT:
        if (length >= field->size || memchr(value, '\0', length))
            return -EBADMSG;
        memcpy(member, value, length);
        return 0;
    case FIELD_RAW:
        if (length != field->size)
            return -EBADMSG;
        memcpy(member, value, length);
        return 0;
    }
    assert(false);
    return -EBADMSG;
}

static int decode_attempts(const uint8_t *value, size_t length, struct job *job)
{
    if (length % ATTEMPT_BYTES != 0 || length / ATTEMPT_BYTES > JOB_ATTEMPTS_KEPT)
        return -EBADMSG;
    job->attempt_count = (uint32_t)(length / ATTEMPT_BYTES);
    for (uint32_t i = 0; i < job->attempt_count; i++, value += ATTEMPT_BYTES) {
        struct job_attempt *attempt = &job->attempt_log[i];
        attempt->at_usec = get_number(value, 8);
        attempt->code = (uint32_t)get_number(value + 8, 4);
        attempt->http_status = (int32_t)(uint32_t)get_number(value + 12, 4);
        attempt->phase = (uint32_t)get_number(value + 16, 4);
        attempt->offset = get_number(value + 20, 8);
    }
    return 0;
}

/* The encoder writes in the order of the table, so that the search begins where the last one ended. */
static const struct field *find_field(uint16_t tag, size_t *hint)
{
    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        size_t at = (*hint + i) % ELEMENTS(fields);
        if (fields[at].tag == tag) {
            *hint = at + 1;
            return &fields[at];
        }
    }
    return NULL;
}

static int decode_fields(const uint8_t *at, size_t left, struct job *job)
{
    uint64_t seen[TAGS_SEEN_LONG] = {0};
    size_t hint = 0;

    while (left > 0) {
        if (left < FIELD_BYTES)
            return -EBADMSG;
        uint16_t tag = (uint16_t)get_number(at, 2);
        size_t length = get_number(at + 2, 4);
        at += FIELD_BYTES;
        left -= FIELD_BYTES;
        if (length > left || (seen[tag / 64] >> (tag % 64) & 1) != 0)
            return -EBADMSG;
        seen[tag / 64] |= UINT64_C(1) << (tag % 64);
        const struct field *field = find_field(tag, &hint);
        int r = 0;
        if (field)
            r = decode_member(field, at, length, job);
        else if (tag == TAG_ATTEMPTS)
            r = decode_attempts(at, length, job);
        if (r < 0)
            return r;
        at += length;
        left -= length;
    }
    return 0;
}

int codec_decode_job(const void *bytes, size_t size, struct job **ret)
{
    const uint8_t *at = bytes;
    _cleanup_(job_free_p) struct job *job = NULL;

    if (size < HEADER_BYTES || size > STORE_RECORD_MAX || memcmp(at, "BQ", 2) != 0 || at[2] != FORMAT || at[3] != 0)
        return -EBADMSG;
    if (get_number(at + 4, 4) != crc32c(at + HEADER_BYTES, size - HEADER_BYTES))
        return -EBADMSG;
    job = job_new();
    if (!job)
        return -ENOMEM;
    int r = decode_fields(at + HEADER_BYTES, size - HEADER_BYTES, job);
    if (r < 0)
        return r;
    if (job_validate(job, NULL) < 0)
        return -EBADMSG;
    *ret = TAKE_PTR(job);
    return 0;
}
