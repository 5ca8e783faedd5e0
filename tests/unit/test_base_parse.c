/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/parse.h"

#include "base/moment.h"

#include "support/unit.h"

#include <errno.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void decimal_numbers_are_read_up_to_64_bits(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } table[] = {
        {"0", 0},
        {"007", 7},
        {"4294967296", UINT64_C(4294967296)},
        {"18446744073709551615", UINT64_MAX},
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(parse_u64(table[i].text, &value), 0);
        assert_int_equal(value, table[i].value);
    }
}

static void what_is_not_wholly_a_number_is_refused_and_leaves_the_result(void **state)
{
    static const char *const texts[] = {"", " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "one", "12\n", "\xd9\xa1"};
    uint64_t value = 42;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(parse_u64(texts[i], &value), -EINVAL);
    assert_int_equal(parse_u64("18446744073709551616", &value), -ERANGE);
    assert_int_equal(parse_u64("99999999999999999999999", &value), -ERANGE);
    assert_int_equal(value, 42);
}

static void numbers_of_32_bits_end_where_they_should(void **state)
{
    uint32_t value = 42;

    (void)state;
    assert_int_equal(parse_u32("4294967295", &value), 0);
    assert_int_equal(value, UINT32_MAX);
    assert_int_equal(parse_u32("4294967296", &value), -ERANGE);
    assert_int_equal(parse_u32("x", &value), -EINVAL);
    assert_int_equal(value, UINT32_MAX);
}

static void a_part_of_a_text_needs_no_terminator(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(parse_u64_n("1234", 2, &value), 0);
    assert_int_equal(value, 12);
    assert_int_equal(parse_u64_n("1234", 0, &value), -EINVAL);
}

static void hexadecimal_has_up_to_8_digits(void **state)
{
    uint32_t value;

    (void)state;
    assert_int_equal(parse_hex32_n("8020001F", 8, &value), 0);
    assert_int_equal(value, 0x8020001F);
    assert_int_equal(parse_hex32_n("ff", 2, &value), 0);
    assert_int_equal(value, 0xff);
    assert_int_equal(parse_hex32_n("123456789", 9, &value), -ERANGE);
    assert_int_equal(parse_hex32_n("0x1", 3, &value), -EINVAL);
    assert_int_equal(parse_hex32_n("", 0, &value), -EINVAL);
    assert_int_equal(parse_hex32_n("fg", 2, &value), -EINVAL);
}

static void sizes_know_powers_of_1000_and_of_1024(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } table[] = {
        {"0", 0},
        {"1500", 1500},
        {"1500B", 1500},
        {"5K", 5000},
        {"5k", 5000},
        {"5KB", 5000},
        {"5Ki", 5120},
        {"5KiB", 5120},
        {"2M", 2000000},
        {"24Mi", 24 * 1048576},
        {"1G", 1000000000},
        {"1GiB", 1073741824},
        {"1T", UINT64_C(1000000000000)},
        {"1Ti", UINT64_C(1099511627776)},
        {"16777215Ti", UINT64_C(16777215) << 40},
    };
    uint64_t bytes;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(parse_size(table[i].text, &bytes), 0);
        assert_int_equal(bytes, table[i].bytes);
    }
}

static void sizes_that_are_none_are_refused(void **state)
{
    static const char *const texts[] = {"", "K", "1.5M", "5 K", "5X", "5Kibi", "-1K", "5K5K", "5Kbit"};
    uint64_t bytes = 42;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(parse_size(texts[i], &bytes), -EINVAL);
    assert_int_equal(parse_size("16777216Ti", &bytes), -ERANGE);
    assert_int_equal(bytes, 42);
}

static void rates_are_bytes_or_bits_a_second(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } table[] = {{"200K", 200000}, {"2M", 2000000}, {"800kbit", 100000}, {"8Mbit", 1000000}, {"1Gbit", 125000000},
                 {"8bit", 1},      {"0", 0},        {"1Mi", 1048576}};
    uint64_t bytes;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(parse_rate(table[i].text, &bytes), 0);
        assert_int_equal(bytes, table[i].bytes);
    }
    assert_int_equal(parse_rate("bit", &bytes), -EINVAL);
    assert_int_equal(parse_rate("8Mibit", &bytes), -EINVAL);
    assert_int_equal(parse_rate("8mbit", &bytes), -EINVAL);
}

static void durations_add_up(void **state)
{
    static const struct {
        const char *text;
        uint64_t usec;
    } table[] = {
        {"0", 0},
        {"1us", 1},
        {"500ms", 500000},
        {"90s", 90 * USEC_PER_SEC},
        {"90sec", 90 * USEC_PER_SEC},
        {"15m", 15 * USEC_PER_MIN},
        {"15min", 15 * USEC_PER_MIN},
        {"2h", 2 * USEC_PER_HOUR},
        {"3d", 3 * USEC_PER_DAY},
        {"1h30m", 90 * USEC_PER_MIN},
        {"1m500ms", USEC_PER_MIN + 500000},
    };
    uint64_t usec;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(parse_duration(table[i].text, &usec), 0);
        assert_int_equal(usec, table[i].usec);
    }
}

static void durations_without_a_unit_are_refused(void **state)
{
    static const char *const texts[] = {"", "5", "5 m", "m", "-5m", "5y", "5m3", "1.5h", "00"};
    uint64_t usec = 42;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(parse_duration(texts[i], &usec), -EINVAL);
    assert_int_equal(parse_duration("213503983d", &usec), -ERANGE);
    assert_int_equal(parse_duration("213503982d1d", &usec), -ERANGE);
    assert_int_equal(usec, 42);
}

static void truth_is_told_in_four_ways(void **state)
{
    static const char *const yes[] = {"yes", "true", "on", "1", "YES"};
    static const char *const no[] = {"no", "false", "off", "0", "Off"};
    bool value;

    (void)state;
    for (size_t i = 0; i < COUNT(yes); i++) {
        value = false;
        assert_int_equal(parse_bool(yes[i], &value), 0);
        assert_true(value);
        assert_int_equal(parse_bool(no[i], &value), 0);
        assert_false(value);
    }
    assert_int_equal(parse_bool("y", &value), -EINVAL);
    assert_int_equal(parse_bool("", &value), -EINVAL);
    assert_int_equal(parse_bool("2", &value), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(decimal_numbers_are_read_up_to_64_bits),
    cmocka_unit_test(what_is_not_wholly_a_number_is_refused_and_leaves_the_result),
    cmocka_unit_test(numbers_of_32_bits_end_where_they_should),
    cmocka_unit_test(a_part_of_a_text_needs_no_terminator),
    cmocka_unit_test(hexadecimal_has_up_to_8_digits),
    cmocka_unit_test(sizes_know_powers_of_1000_and_of_1024),
    cmocka_unit_test(sizes_that_are_none_are_refused),
    cmocka_unit_test(rates_are_bytes_or_bits_a_second),
    cmocka_unit_test(durations_add_up),
    cmocka_unit_test(durations_without_a_unit_are_refused),
    cmocka_unit_test(truth_is_told_in_four_ways),
};
UNIT_MAIN(tests);
