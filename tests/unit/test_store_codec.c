/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store_random_job.h"

#include "support/unit.h"

#include "store/codec.h"

#include "base/crc32c.h"

#include <errno.h>
#include <string.h>

#define SEED         UINT64_C(20240229)
#define ROUNDS       500
#define HEADER_BYTES 8

static void *encode(const struct job *job, size_t *ret_size)
{
    void *bytes = NULL;

    assert_int_equal(codec_encode_job(job, &bytes, ret_size), 0);
    return bytes;
}

static int decode(const void *bytes, size_t size)
{
    struct job *job = NULL;
    int r = codec_decode_job(bytes, size, &job);

    if (r < 0)
        assert_null(job);
    job_free(job);
    return r;
}

static void assert_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_string_equal(a, b);
}

/* Compares without the codec: by member where padding could differ, as bytes where a struct has none. */
static void assert_same_job(const struct job *a, const struct job *b)
{
    assert_text(a->key, b->key);
    assert_text(a->name, b->name);
    assert_text(a->group, b->group);
    assert_text(a->url, b->url);
    assert_text(a->host, b->host);
    assert_text(a->source, b->source);
    assert_text(a->reply_path, b->reply_path);
    for (size_t i = 0; i < HOOK_OUTCOMES; i++)
        assert_text(a->hooks[i], b->hooks[i]);
    for (size_t i = 0; i < ACCESS_TEXTS; i++)
        assert_text(a->access.texts[i], b->access.texts[i]);
    assert_int_equal(a->source_mount == NULL, b->source_mount == NULL);
    if (a->source_mount)
        assert_string_equal(a->source_mount, b->source_mount);
    assert_string_equal(a->server, b->server);
    assert_string_equal(a->address, b->address);
    assert_string_equal(a->session.session_id, b->session.session_id);
    assert_string_equal(a->session.host_id, b->session.host_id);
    assert_string_equal(a->session.reply_url, b->session.reply_url);
    assert_string_equal(a->session.reply_validator, b->session.reply_validator);
    assert_string_equal(a->failure.name, b->failure.name);
    assert_string_equal(a->failure.text, b->failure.text);
    assert_memory_equal(a->identity.boot_id, b->identity.boot_id, sizeof(a->identity.boot_id));
    assert_int_equal(a->attempt_count, b->attempt_count);
    for (uint32_t i = 0; i < a->attempt_count; i++) {
        assert_int_equal(a->attempt_log[i].at_usec, b->attempt_log[i].at_usec);
        assert_int_equal(a->attempt_log[i].code, b->attempt_log[i].code);
        assert_int_equal(a->attempt_log[i].http_status, b->attempt_log[i].http_status);
        assert_int_equal(a->attempt_log[i].phase, b->attempt_log[i].phase);
        assert_int_equal(a->attempt_log[i].offset, b->attempt_log[i].offset);
        assert_string_equal(a->attempt_log[i].address, b->attempt_log[i].address);
    }
}

/* What is left once strings and texts are taken out: both were made by calloc(), so that padding is 0 in both. */
static void assert_same_rest(const struct job *a, const struct job *b)
{
    struct job left, right;

    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    for (struct job *job = &left; job; job = job == &left ? &right : NULL) {
        job->key = job->name = job->group = job->url = job->host = job->source = job->reply_path = NULL;
        job->source_mount = NULL;
        memset(job->hooks, 0, sizeof(job->hooks));
        memset(job->access.texts, 0, sizeof(job->access.texts));
        memset(job->server, 0, sizeof(job->server));
        memset(job->address, 0, sizeof(job->address));
        memset(job->session.session_id, 0, sizeof(job->session.session_id));
        memset(job->session.host_id, 0, sizeof(job->session.host_id));
        memset(job->session.reply_url, 0, sizeof(job->session.reply_url));
        memset(job->session.reply_validator, 0, sizeof(job->session.reply_validator));
        memset(job->failure.name, 0, sizeof(job->failure.name));
        memset(job->failure.text, 0, sizeof(job->failure.text));
        memset(job->attempt_log, 0, sizeof(job->attempt_log));
    }
    assert_memory_equal(&left, &right, sizeof(left));
}

static void every_member_of_a_job_survives(void **state)
{
    uint64_t seed = SEED;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        _cleanup_(job_free_p) struct job *job = random_job(&seed), *decoded = NULL;
        size_t size;
        _cleanup_free_ void *bytes = encode(job, &size);
        assert_in_range(size, 1, STORE_RECORD_MAX);
        assert_int_equal(codec_decode_job(bytes, size, &decoded), 0);
        assert_same_job(job, decoded);
        assert_same_rest(job, decoded);
    }
}

/* A member without a tag would be lost at the next restart: give it one in codec.c, a value in random_job(), then this.
 */
static void the_record_knows_every_member(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct job_options), 208);
    assert_int_equal(sizeof(struct job_attempt), 80);
    assert_int_equal(sizeof(struct access), 112);
    assert_int_equal(sizeof(struct source_identity), 88);
    assert_int_equal(sizeof(struct failure), 576);
    assert_int_equal(sizeof(struct session_record), 3064);
    assert_int_equal(sizeof(struct job), 5040);
}

static void a_record_that_was_cut_off_is_refused(void **state)
{
    uint64_t seed = SEED;
    size_t size;
    _cleanup_(job_free_p) struct job *job = random_job(&seed);
    _cleanup_free_ void *bytes = encode(job, &size);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        /* A copy of that length, so that a look behind its end is seen. */
        _cleanup_free_ void *cut = malloc(i > 0 ? i : 1);
        memcpy(cut, bytes, i);
        assert_int_equal(decode(cut, i), -EBADMSG);
    }
}

static void a_record_with_one_wrong_bit_is_refused(void **state)
{
    uint64_t seed = SEED;
    size_t size;
    _cleanup_(job_free_p) struct job *job = random_job(&seed);
    _cleanup_free_ uint8_t *bytes = encode(job, &size);

    (void)state;
    for (size_t i = 0; i < 8 * size; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(decode(bytes, size), -EBADMSG);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(decode(bytes, size), 0);
}

/* Appends a field and makes the checksum right again. */
static void *append(const void *bytes, size_t size, uint16_t tag, uint32_t length, const void *value, size_t *ret_size)
{
    uint8_t *longer = malloc(size + 6 + length);

    assert_non_null(longer);
    memcpy(longer, bytes, size);
    longer[size] = (uint8_t)tag;
    longer[size + 1] = (uint8_t)(tag >> 8);
    for (int i = 0; i < 4; i++)
        longer[size + 2 + (size_t)i] = (uint8_t)(length >> 8 * i);
    memcpy(longer + size + 6, value, length);
    *ret_size = size + 6 + length;
    uint32_t crc = crc32c(longer + HEADER_BYTES, *ret_size - HEADER_BYTES);
    for (int i = 0; i < 4; i++)
        longer[4 + i] = (uint8_t)(crc >> 8 * i);
    return longer;
}

static void a_field_that_is_not_known_is_skipped(void **state)
{
    uint64_t seed = SEED;
    size_t size, longer_size;
    _cleanup_(job_free_p) struct job *job = random_job(&seed), *decoded = NULL;
    _cleanup_free_ void *bytes = encode(job, &size);
    _cleanup_free_ void *longer = append(bytes, size, 60000, 3, "new", &longer_size);

    (void)state;
    assert_int_equal(codec_decode_job(longer, longer_size, &decoded), 0);
    assert_same_job(job, decoded);
}

static void a_field_that_comes_twice_is_refused(void **state)
{
    static const struct {
        uint16_t tag;
        uint32_t length;
    } fields[] = {{1, 8}, {8, 4}, {61, 3}};
    uint64_t seed = SEED;
    size_t size, once_size, twice_size;
    _cleanup_(job_free_p) struct job *job = random_job(&seed);
    _cleanup_free_ void *bytes = encode(job, &size);

    (void)state;
    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        _cleanup_free_ void *twice = append(bytes, size, fields[i].tag, fields[i].length, "12345678", &twice_size);
        assert_int_equal(decode(twice, twice_size), -EBADMSG);
    }
    _cleanup_free_ void *once = append(bytes, size, 60000, 1, "a", &once_size);
    _cleanup_free_ void *unknown = append(once, once_size, 60000, 1, "a", &twice_size);
    assert_int_equal(decode(unknown, twice_size), -EBADMSG);
}

struct bad_field {
    const char *what;
    uint16_t tag;
    uint32_t length;
    const char *value;
};

static void a_field_of_the_wrong_shape_is_refused(void **state)
{
    static const struct bad_field fields[] = {
        {"a number that is too short", 16, 7, "1234567"},
        {"a number that is too long", 14, 8, "12345678"},
        {"a flag that is neither yes nor no", 13, 1, "\2"},
        {"a flag of two bytes", 13, 2, "\1\1"},
        {"a text with a NUL in it", 23, 3, "a\0b"},
        {"a text without room for its end", 23, 64, "0123456789012345678901234567890123456789012345678901234567890123"},
        {"bytes that are too few", 39, 15, "123456789012345"},
        {"an attempt that is cut off", 95, 27, "123456789012345678901234567"},
        {"a key with a NUL in it", 7, 3, "a\0b"},
        {"an empty key", 7, 0, ""},
        {"a phase that does not exist", 60, 4, "\5\0\0\0"},
    };
    _cleanup_(job_free_p) struct job *job = job_new();
    size_t size, longer_size;

    (void)state;
    job->state = JOB_READY;
    job->name = strdup("n");
    job->group = strdup("g");
    job->url = strdup("http://h/");
    job->host = strdup("h:80");
    job->source = strdup("/f");
    _cleanup_free_ void *bytes = encode(job, &size);
    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        const struct bad_field *field = &fields[i];
        _cleanup_free_ void *longer = append(bytes, size, field->tag, field->length, field->value, &longer_size);
        if (decode(longer, longer_size) != -EBADMSG)
            fail_msg("%s was accepted", field->what);
    }
}

static void the_largest_job_fits_into_a_record(void **state)
{
    uint64_t seed = SEED;
    size_t largest = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        _cleanup_(job_free_p) struct job *job = random_job(&seed);
        size_t size;
        free(encode(job, &size));
        largest = size > largest ? size : largest;
    }
    assert_in_range(largest, STORE_RECORD_MAX / 3, STORE_RECORD_MAX);
}

static void a_job_that_breaks_the_rules_is_not_written(void **state)
{
    uint64_t seed = SEED;
    _cleanup_(job_free_p) struct job *job = random_job(&seed);
    void *bytes = NULL;
    size_t size = 0;

    (void)state;
    job->source[0] = 'x';
    assert_int_equal(codec_encode_job(job, &bytes, &size), -EINVAL);
    assert_null(bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_member_of_a_job_survives),
    cmocka_unit_test(the_record_knows_every_member),
    cmocka_unit_test(a_record_that_was_cut_off_is_refused),
    cmocka_unit_test(a_record_with_one_wrong_bit_is_refused),
    cmocka_unit_test(a_field_that_is_not_known_is_skipped),
    cmocka_unit_test(a_field_that_comes_twice_is_refused),
    cmocka_unit_test(a_field_of_the_wrong_shape_is_refused),
    cmocka_unit_test(the_largest_job_fits_into_a_record),
    cmocka_unit_test(a_job_that_breaks_the_rules_is_not_written),
};

UNIT_MAIN(tests);
