/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include "support/unit.h"

#include <string.h>

static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
    static const char *const good[] = {"",
                                       "plain",
                                       "\xc2\x80",
                                       "gr\xc3\xbc\xc3\x9f",
                                       "\xe2\x82\xac",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\xf0\x90\x80",
                                      "\xc3\x28",
                                      "a\xfe"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(good); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void escaped_text_stays_on_one_line(void **state)
{
    static const struct {
        const char *text, *escaped;
    } table[] = {
        {"", ""},
        {"plain \xc3\xa4", "plain \xc3\xa4"},
        {"a\nb\tc\\d", "a\\nb\\tc\\\\d"},
        {"\x1b[31m", "\\x1b[31m"},
        {"\r\x7f\x01", "\\x0d\\x7f\\x01"},
        {"\xff\xc3", "\\xff\\xc3"},
        {"\xc2\x9b", "\\xc2\\x9b"}, /* a C1 control: terminals take it for ESC [ */
        {"\xe2\x82\xac\xe2\x82", "\xe2\x82\xac\\xe2\\x82"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        _cleanup_free_ char *escaped = text_escape(table[i].text);
        assert_string_equal(escaped, table[i].escaped);
    }
}

static void the_query_of_a_url_is_hidden(void **state)
{
    static const struct {
        const char *url, *redacted;
    } table[] = {
        {"http://h/p", "http://h/p"},
        {"http://h/p?sig=secret", "http://h/p?sig=\xe2\x80\xa6"},
        {"http://h/p?a=1&b=2&c", "http://h/p?a=\xe2\x80\xa6&b=\xe2\x80\xa6&\xe2\x80\xa6"},
        {"http://h/p?token", "http://h/p?\xe2\x80\xa6"},
        {"http://h/p?", "http://h/p?"},
        {"http://h/p?a=", "http://h/p?a=\xe2\x80\xa6"},
        {"http://h/p#secret", "http://h/p"},
        {"http://h/p?a=1#secret", "http://h/p?a=\xe2\x80\xa6"},
        {"http://h/p#x?a=1", "http://h/p"},
        {"http://h/p?a==b=c", "http://h/p?a=\xe2\x80\xa6"},
        {"?&&", "?&&"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        _cleanup_free_ char *redacted = text_redact_url(table[i].url);
        assert_string_equal(redacted, table[i].redacted);
    }
}

static void sizes_have_three_digits_at_most(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } table[] = {
        {0, "0 B"},           {999, "999 B"},           {1000, "1.0 KiB"},      {1024, "1.0 KiB"},
        {1434, "1.4 KiB"},    {102400, "100 KiB"},      {325058560, "310 MiB"}, {1073741824, "1.0 GiB"},
        {1048575, "1.0 MiB"}, {UINT64_MAX, "16.0 EiB"},
    };
    char buffer[SIZE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++)
        assert_string_equal(text_size(table[i].bytes, buffer), table[i].text);
}

static void durations_have_two_units_at_most(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } table[] = {
        {0, "0s"},    {12, "12s"},      {119, "119s"}, {120, "2m"},       {240, "4m"},
        {3600, "1h"}, {4200, "1h 10m"}, {86400, "1d"}, {273600, "3d 4h"}, {14 * 86400, "14d"},
    };
    char buffer[DURATION_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++)
        assert_string_equal(text_duration(table[i].seconds * USEC_PER_SEC, buffer), table[i].text);
    assert_string_equal(text_duration(499999, buffer), "0s");
    assert_string_equal(text_duration(500000, buffer), "1s");
    assert_true(strlen(text_duration(UINT64_MAX, buffer)) < DURATION_TEXT_MAX);
}

static void base64_is_that_of_rfc_4648(void **state)
{
    static const struct {
        const char *text, *encoded;
    } table[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xff\xef\xbe", "/+++"}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        _cleanup_free_ char *encoded = text_base64(table[i].text, strlen(table[i].text));
        assert_string_equal(encoded, table[i].encoded);
    }
}

static void a_copy_is_cut_at_the_edge_of_a_character(void **state)
{
    char buffer[6];

    (void)state;
    assert_true(text_copy(buffer, sizeof(buffer), "12345"));
    assert_string_equal(buffer, "12345");
    assert_false(text_copy(buffer, sizeof(buffer), "123456"));
    assert_string_equal(buffer, "12345");
    assert_false(text_copy(buffer, sizeof(buffer), "123\xe2\x82\xac"));
    assert_string_equal(buffer, "123");
    assert_false(text_copy(buffer, 1, "x"));
    assert_string_equal(buffer, "");
}

static void a_duplicate_has_a_terminator_of_its_own(void **state)
{
    _cleanup_free_ char *copy = text_duplicate("abcdef", 3);

    (void)state;
    assert_string_equal(copy, "abc");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
    cmocka_unit_test(escaped_text_stays_on_one_line),
    cmocka_unit_test(the_query_of_a_url_is_hidden),
    cmocka_unit_test(sizes_have_three_digits_at_most),
    cmocka_unit_test(durations_have_two_units_at_most),
    cmocka_unit_test(base64_is_that_of_rfc_4648),
    cmocka_unit_test(a_copy_is_cut_at_the_edge_of_a_character),
    cmocka_unit_test(a_duplicate_has_a_terminator_of_its_own),
};
UNIT_MAIN(tests);
