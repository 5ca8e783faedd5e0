/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command reads from its arguments, and how it names the end of a wait. */
#include "cli/args.h"
#include "cli/select.h"
#include "cli/upload.h"
#include "cli/wait.h"
#include "support/unit.h"

#include <errno.h>
#include <string.h>

static void an_id_or_a_range_is_read(void **state)
{
    uint64_t first, last;

    (void)state;
    assert_int_equal(parse_job_range("12", &first, &last), 0);
    assert_int_equal(first, 12);
    assert_int_equal(last, 12);
    assert_int_equal(parse_job_range("12-20", &first, &last), 0);
    assert_int_equal(first, 12);
    assert_int_equal(last, 20);
    assert_int_equal(parse_job_range("18446744073709551615", &first, &last), 0);
}

static void what_is_neither_an_id_nor_a_range_is_refused(void **state)
{
    static const char *const wrong[] = {
        "", "0", "-", "-5", "5-", "20-12", "0-3", "1-2-3", "12x", " 12", "+1", "0x10", "18446744073709551616"};
    uint64_t first, last;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(wrong); i++)
        assert_true(parse_job_range(wrong[i], &first, &last) < 0);
}

static void typing_errors_are_recognised(void **state)
{
    (void)state;
    assert_true(word_is_near("lsit", "list"));
    assert_true(word_is_near("priorty", "priority"));
    assert_true(word_is_near("retry-dealy", "retry-delay"));
    assert_true(word_is_near("cancle", "cancel"));
    assert_false(word_is_near("relpy", "help"));
    assert_false(word_is_near("upload", "add"));
    assert_false(word_is_near("", "add"));
    assert_int_equal(word_distance("ab", "ba", 5), 1);
    assert_int_equal(word_distance("kitten", "sitting", 5), 3);
    assert_int_equal(word_distance("kitten", "sitting", 1), 2);
}

static void good_urls_are_accepted(void **state)
{
    static const char *const good[] = {
        "http://h/x",
        "https://up.example.org/in/",
        "HTTPS://h:8443/x?sig=a%2Fb&t=9",
        "http://[::1]:8080/x",
        "http://h/a%20b",
        "http://127.0.0.1/",
        "http://h/a@b",
        "http://h:/x",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(good); i++)
        assert_null(url_complaint(good[i]));
}

static void wrong_urls_get_their_complaint(void **state)
{
    static const char *const wrong[][2] = {
        {"", "no URL"},
        {"report.iso", "no URL"},
        {"ftp://h/x", "scheme"},
        {"file:///etc/passwd", "scheme"},
        {"http:///x", "no host"},
        {"http://:80/x", "no host"},
        {"http://user:secret@h/x", "password"},
        {"http://user@h/x", "password"},
        {"http://h:99999/x", "port"},
        {"http://h:8x/x", "port"},
        {"http://h/x#part", "#"},
        {"http://h", "no path"},
        {"http://h?x=1", "no path"},
        {"http://h/a b", "blank"},
        {"http://h/\xc3\xa4", "ASCII"},
        {"http://h/100%", "hexadecimal"},
        {"http://h/%zz", "hexadecimal"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        const char *complaint = url_complaint(wrong[i][0]);
        assert_non_null(complaint);
        assert_non_null(strstr(complaint, wrong[i][1]));
        assert_null(strstr(complaint, "secret"));
    }
}

static void a_url_may_have_the_documented_length_and_no_more(void **state)
{
    char url[2202] = "http://h/";

    (void)state;
    memset(url + 9, 'a', 2200 - 9);
    assert_null(url_complaint(url));
    url[2200] = 'a';
    assert_non_null(url_complaint(url));
}

static void a_name_goes_behind_the_path_byte_by_byte(void **state)
{
    static const char *const cases[][3] = {
        {"http://h/up/", "report.iso", "http://h/up/report.iso"},
        {"http://h/up/?sig=a/b", "x", "http://h/up/x?sig=a/b"},
        {"http://h/", "a b%?#/c", "http://h/a%20b%25%3F%23%2Fc"},
        {"http://h/", "caf\xe9", "http://h/caf%E9"},
        {"http://h/", "Gr\xc3\xbc\xc3\x9f\x65\n", "http://h/Gr%C3%BC%C3%9Fe%0A"},
        {"http://h/", "A-z_0.9~", "http://h/A-z_0.9~"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        assert_true(url_keeps_names(cases[i][0]));
        _cleanup_free_ char *joined = url_append_name(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
    }
    assert_false(url_keeps_names("http://h/up"));
    assert_false(url_keeps_names("http://h/up?x=/"));
}

static void the_exit_code_of_a_wait_says_how_the_jobs_ended(void **state)
{
    (void)state;
    assert_int_equal(wait_exit_code(&(struct wait_tally){.well = 2}), 0);
    assert_int_equal(wait_exit_code(&(struct wait_tally){.failed = 1}), 4);
    assert_int_equal(wait_exit_code(&(struct wait_tally){.failed = 3}), 4);
    assert_int_equal(wait_exit_code(&(struct wait_tally){.cancelled = 1}), 5);
    assert_int_equal(wait_exit_code(&(struct wait_tally){.missing = 1}), 3);
    assert_int_equal(wait_exit_code(&(struct wait_tally){.well = 1, .failed = 1}), 10);
    assert_int_equal(wait_exit_code(&(struct wait_tally){.cancelled = 1, .failed = 1}), 10);
}

static void what_harms_a_terminal_is_escaped(void **state)
{
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"back\\slash", "back\\slash"},
        {"new\nline", "new\\nline"},
        {"\033[31mred", "\\x1b[31mred"},
        {"caf\xe9", "caf\\xe9"},
        {"Grüße", "Grüße"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_free_ char *safe = safe_text(cases[i][0]);
        assert_string_equal(safe, cases[i][1]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_id_or_a_range_is_read),
    cmocka_unit_test(what_is_neither_an_id_nor_a_range_is_refused),
    cmocka_unit_test(typing_errors_are_recognised),
    cmocka_unit_test(good_urls_are_accepted),
    cmocka_unit_test(wrong_urls_get_their_complaint),
    cmocka_unit_test(a_url_may_have_the_documented_length_and_no_more),
    cmocka_unit_test(a_name_goes_behind_the_path_byte_by_byte),
    cmocka_unit_test(the_exit_code_of_a_wait_says_how_the_jobs_ended),
    cmocka_unit_test(what_harms_a_terminal_is_escaped),
};
UNIT_MAIN(tests);
