/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/format.h"
#include "support/unit.h"

#include "base/moment.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void a_bar_is_full_only_when_all_is_there(void **state)
{
    char bar[BAR_TEXT_MAX];

    (void)state;
    assert_string_equal(bar_text(0, 100, false, false, bar), "░░░░░░░░░░░░");
    assert_string_equal(bar_text(71, 100, false, false, bar), "████████▌░░░");
    assert_string_equal(bar_text(100, 100, false, false, bar), "████████████");
    assert_string_equal(bar_text(UINT64_MAX - 1, UINT64_MAX, false, false, bar), "███████████▉");
}

static void a_bar_is_empty_only_when_nothing_is_there(void **state)
{
    char bar[BAR_TEXT_MAX];

    (void)state;
    assert_string_equal(bar_text(1, UINT64_MAX, false, false, bar), "▏░░░░░░░░░░░");
    assert_string_equal(bar_text(1, 100, false, true, bar), "-...........");
}

static void the_bar_of_an_empty_file_is_full_once_it_is_done(void **state)
{
    char bar[BAR_TEXT_MAX];

    (void)state;
    assert_string_equal(bar_text(0, 0, false, true, bar), "............");
    assert_string_equal(bar_text(0, 0, true, true, bar), "############");
    assert_int_equal(percent_of(0, 0, false), 0);
    assert_int_equal(percent_of(0, 0, true), 100);
}

static void percent_is_rounded_down_and_does_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(percent_of(999, 1000, false), 99);
    assert_int_equal(percent_of(UINT64_MAX - 1, UINT64_MAX, false), 99);
    assert_int_equal(percent_of(UINT64_MAX / 2, UINT64_MAX, false), 50);
}

static void rates_have_units_of_a_thousand(void **state)
{
    char rate[RATE_TEXT_MAX];

    (void)state;
    assert_string_equal(text_rate(1, rate), "1 B/s");
    assert_string_equal(text_rate(999, rate), "999 B/s");
    assert_string_equal(text_rate(1900000, rate), "1.9 MB/s");
    assert_string_equal(text_rate(310000000, rate), "310 MB/s");
}

static void a_time_of_today_is_shown_without_its_date(void **state)
{
    char clock[CLOCK_TEXT_MAX];
    const uint64_t noon = UINT64_C(1700000000) / 86400 * 86400 + 43200;

    (void)state;
    (void)setenv("TZ", "UTC", 1);
    tzset();
    assert_string_equal(clock_text(noon * USEC_PER_SEC, noon * USEC_PER_SEC, clock), "12:00:00");
    assert_string_equal(clock_text(noon * USEC_PER_SEC, (noon + 86400) * USEC_PER_SEC, clock), "Nov 14 12:00");
}

static void columns_are_counted_as_a_terminal_does(void **state)
{
    (void)state;
    assert_int_equal(text_columns("report.iso"), 10);
    assert_int_equal(text_columns("Grüße"), 5);
    assert_int_equal(text_columns("日本語"), 6);
    assert_int_equal(text_columns("e\xcc\x81"), 1);
    assert_int_equal(text_columns("cut \xe6"), 5);
}

static void check_cut(const char *text, size_t columns, const char *expected)
{
    char *printed;
    size_t size;
    FILE *out = open_memstream(&printed, &size);

    assert_non_null(out);
    size_t used = text_print_cut(out, text, columns, false);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, expected);
    assert_true(used <= columns);
    free(printed);
}

static void long_text_is_cut_with_an_ellipsis(void **state)
{
    (void)state;
    check_cut("report.iso", 10, "report.iso");
    check_cut("report.iso", 9, "report.i…");
    check_cut("日本語日本語", 6, "日本…");
    check_cut("report.iso", 0, "");
}

static void a_row_stands_under_its_headings_and_fits_the_terminal(void **state)
{
    struct table table = {.columns = 100};
    struct row row = {.id = 1042,
                      .state = "transferring",
                      .acknowledged = 71,
                      .size = 100,
                      .rate = 1900000,
                      .eta = "10m",
                      .name = "a name that is much longer than any column should be",
                      .note = "up.example.org"};
    char *printed;
    size_t size;

    (void)state;
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    table_measure(&table, &row);
    table_print_head(out, &table);
    table_print_row(out, &table, &row);
    assert_int_equal(fclose(out), 0);
    char *second = strchr(printed, '\n') + 1;
    second[strcspn(second, "\n")] = '\0';
    assert_true(text_columns(second) <= 100);
    assert_non_null(strstr(second, "1042  transferring  ████████▌░░░  71 %     100 B  1.9 MB/s      10m  a name"));
    assert_null(strstr(second, "\033"));
    free(printed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_bar_is_full_only_when_all_is_there),
    cmocka_unit_test(a_bar_is_empty_only_when_nothing_is_there),
    cmocka_unit_test(the_bar_of_an_empty_file_is_full_once_it_is_done),
    cmocka_unit_test(percent_is_rounded_down_and_does_not_overflow),
    cmocka_unit_test(rates_have_units_of_a_thousand),
    cmocka_unit_test(a_time_of_today_is_shown_without_its_date),
    cmocka_unit_test(columns_are_counted_as_a_terminal_does),
    cmocka_unit_test(long_text_is_cut_with_an_ellipsis),
    cmocka_unit_test(a_row_stands_under_its_headings_and_fits_the_terminal),
};
UNIT_MAIN(tests);
