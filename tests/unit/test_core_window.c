/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/window.h"
#include "support/unit.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIN_PER_DAY 1440
#define FORTNIGHT   (14 * 86400)

/* The zone of the C library, as TZ says. */
static int64_t local_offset(void *userdata, int64_t unix_sec)
{
    time_t at = (time_t)unix_sec;
    struct tm local;

    (void)userdata;
    assert_non_null(localtime_r(&at, &local));
    return local.tm_gmtoff;
}

static const struct window_zone local_zone = {.offset = local_offset};

static void live_in(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static struct window parse(const char *text, bool with_rates)
{
    struct window window;
    const char *reason = "?";

    if (window_parse(text, with_rates, &window, &reason) < 0)
        fail_msg("\"%s\": %s", text, reason);
    return window;
}

/* YEAR-MONTH-DAY HOUR:MINUTE of the zone; IS_SUMMER chooses where the hour comes twice. */
static uint64_t at(int year, int month, int day, int hour, int minute, int is_summer)
{
    struct tm local = {.tm_year = year - 1900,
                       .tm_mon = month - 1,
                       .tm_mday = day,
                       .tm_hour = hour,
                       .tm_min = minute,
                       .tm_isdst = is_summer};

    return (uint64_t)mktime(&local) * USEC_PER_SEC;
}

static void spans_are_read(void **state)
{
    static const struct {
        const char *text;
        bool with_rates;
        struct window_span spans[3];
        size_t count;
    } rows[] = {
        {"", false, {{0}}, 0},
        {"  ", false, {{0}}, 0},
        {"22:00-06:00", false, {{0x7f, 1320, 1800, 0}}, 1},
        {"8:00-18:30", false, {{0x7f, 480, 1110, 0}}, 1},
        {"Mon..Fri 08:00-18:00", false, {{0x1f, 480, 1080, 0}}, 1},
        {"Sat,Sun 00:00-24:00", false, {{0x60, 0, 1440, 0}}, 1},
        {"22:00-00:00", false, {{0x7f, 1320, 1440, 0}}, 1},
        {"22:00-24:00", false, {{0x7f, 1320, 1440, 0}}, 1},
        {"00:00-00:01", false, {{0x7f, 0, 1, 0}}, 1},
        {"23:59-23:58", false, {{0x7f, 1439, 2878, 0}}, 1},
        {"Sun..Mon 10:00-11:00", false, {{0x41, 600, 660, 0}}, 1},
        {"Fri..Tue,Thu 10:00-11:00", false, {{0x7b, 600, 660, 0}}, 1},
        {"Wed..Wed 10:00-11:00", false, {{0x04, 600, 660, 0}}, 1},
        {" Mon\t08:00-09:00 ;Tue  10:00-11:00 ", false, {{0x01, 480, 540, 0}, {0x02, 600, 660, 0}}, 2},
        {"Mon..Fri 08:00-18:00=200K; 22:00-06:00=off", true, {{0x1f, 480, 1080, 200000}, {0x7f, 1320, 1800, 0}}, 2},
        {"08:00-18:00=8Mbit;18:00-19:00=64Ki", true, {{0x7f, 480, 1080, 1000000}, {0x7f, 1080, 1140, 65536}}, 2},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct window window = parse(rows[i].text, rows[i].with_rates);
        print_message("\"%s\"\n", rows[i].text);
        assert_int_equal(window.count, rows[i].count);
        for (size_t j = 0; j < window.count; j++) {
            assert_int_equal(window.spans[j].days, rows[i].spans[j].days);
            assert_int_equal(window.spans[j].begin_min, rows[i].spans[j].begin_min);
            assert_int_equal(window.spans[j].end_min, rows[i].spans[j].end_min);
            assert_int_equal(window.spans[j].rate, rows[i].spans[j].rate);
        }
    }
}

static void what_is_no_window_is_refused_with_the_remedy(void **state)
{
    static const struct {
        const char *text;
        bool with_rates;
        const char *part_of_reason;
    } rows[] = {
        {"08:00..18:00", false, "as 08:00-18:00"},
        {"Mon..Fri 08:00..18:00", false, "as 08:00-18:00"},
        {"08:00..18:00=200K", true, "as 08:00-18:00"},
        {"08:00", false, "as 08:00-18:00"},
        {"08:00-", false, "from 00:00 to 24:00"},
        {"25:00-26:00", false, "from 00:00 to 24:00"},
        {"00:00-24:01", false, "from 00:00 to 24:00"},
        {"08:60-09:00", false, "from 00:00 to 24:00"},
        {"8-18", false, "written as 08:00"},
        {"08:0-18:00", false, "written as 08:00"},
        {"008:00-18:00", false, "written as 08:00"},
        {"24:00-06:00", false, "write 00:00"},
        {"08:00-08:00", false, "00:00-24:00"},
        {"00:00-00:00", false, "00:00-24:00"},
        {"Mon-Fri 08:00-18:00", false, "Mon..Fri 08:00-18:00"},
        {"Mo 08:00-18:00", false, "Mon, Tue"},
        {"Mon..Fry 08:00-18:00", false, "Mon, Tue"},
        {"Mon, 08:00-18:00", false, "Mon, Tue"},
        {"Mon..Fri08:00-18:00", false, "a blank"},
        {"-08:00-18:00", false, "Mon, Tue"},
        {"08:00-18:00 09:00-10:00", false, "separated by ;"},
        {"08:00-18:00; ; 09:00-10:00", false, "Mon, Tue"},
        {"08:00-18:00=200K", false, "separated by ;"},
        {"08:00-18:00", true, "needs its rate"},
        {"08:00-18:00=", true, "200K"},
        {"08:00-18:00=0", true, "off"},
        {"08:00-18:00=7bit", true, "off"}, /* less than a byte a second */
        {"08:00-18:00=fast", true, "200K"},
        {"08:00-18:00=-1", true, "200K"},
        {"08:00-18:00=99999999999999999999", true, "200K"},
        {"08:00-18:00=1000000000000000000000000000000000000000000", true, "200K"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct window window = {.count = 77};
        const char *reason = NULL;
        print_message("\"%s\"\n", rows[i].text);
        assert_int_equal(window_parse(rows[i].text, rows[i].with_rates, &window, &reason), -EINVAL);
        assert_non_null(reason);
        assert_non_null(strstr(reason, rows[i].part_of_reason));
        assert_int_equal(window.count, 77);
    }
}

static void a_window_has_sixteen_spans_and_no_more(void **state)
{
    char text[WINDOW_SPANS_MAX * 13 + 13] = "";
    const char *reason = NULL;
    struct window window;

    (void)state;
    for (size_t i = 0; i < WINDOW_SPANS_MAX; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%02zu:00-%02zu:30", i ? ";" : "", i, i);
    assert_int_equal(parse(text, false).count, WINDOW_SPANS_MAX);
    strcat(text, ";23:00-23:30");
    assert_int_equal(window_parse(text, false, &window, &reason), -EINVAL);
    assert_non_null(strstr(reason, "16"));
}

static void no_span_is_always_open(void **state)
{
    struct window window = parse("", false);
    struct window_state found;

    (void)state;
    window_at(&window, &local_zone, at(2026, 6, 1, 12, 0, 1), &found);
    assert_true(found.is_open);
    assert_int_equal(found.rate, 0);
    assert_int_equal(found.until_usec, USEC_INFINITY);
}

static void a_span_holds_from_its_first_minute_to_before_its_last(void **state)
{
    struct window_state found;
    struct window window = parse("Mon..Fri 08:00-18:00=200K", true);

    (void)state;
    live_in("Europe/Berlin");
    window_at(&window, &local_zone, at(2026, 6, 1, 8, 0, 1) - 1, &found); /* a Monday */
    assert_false(found.is_open);
    assert_int_equal(found.rate, 0);
    assert_int_equal(found.until_usec, at(2026, 6, 1, 8, 0, 1));
    window_at(&window, &local_zone, at(2026, 6, 1, 8, 0, 1), &found);
    assert_true(found.is_open);
    assert_int_equal(found.rate, 200000);
    assert_int_equal(found.until_usec, at(2026, 6, 1, 18, 0, 1));
    window_at(&window, &local_zone, at(2026, 6, 5, 18, 0, 1), &found);
    assert_false(found.is_open);
    assert_int_equal(found.until_usec, at(2026, 6, 8, 8, 0, 1));
}

static void where_spans_overlap_the_first_decides_the_rate(void **state)
{
    struct window_state found;
    struct window window = parse("Mon 09:00-10:00=1K; 08:00-18:00=2K; 00:00-24:00=off", true);

    (void)state;
    live_in("Europe/Berlin");
    static const struct {
        int day, hour, until;
        uint64_t rate;
    } rows[] = {{1, 7, 8, 0}, {1, 8, 9, 2000}, {1, 9, 10, 1000}, {1, 10, 18, 2000}, {1, 18, 24, 0}, {2, 9, 18, 2000}};
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        window_at(&window, &local_zone, at(2026, 6, rows[i].day, rows[i].hour, 0, 1), &found);
        assert_true(found.is_open);
        assert_int_equal(found.rate, rows[i].rate);
        assert_int_equal(found.until_usec, at(2026, 6, rows[i].day, rows[i].until, 0, 1));
    }
}

static void over_a_change_of_the_zone_the_answer_holds_until_then(void **state)
{
    struct window_state found;
    struct window window = parse("22:00-06:00", false);

    (void)state;
    live_in("Europe/Berlin");
    /* 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00. */
    window_at(&window, &local_zone, at(2026, 3, 28, 23, 0, 0), &found);
    assert_true(found.is_open);
    assert_int_equal(found.until_usec, at(2026, 3, 29, 3, 0, 1));
    window_at(&window, &local_zone, found.until_usec, &found);
    assert_true(found.is_open);
    assert_int_equal(found.until_usec, at(2026, 3, 29, 6, 0, 1));
    window_at(&window, &local_zone, at(2026, 10, 24, 23, 0, 1), &found);
    assert_true(found.is_open);
    assert_int_equal(found.until_usec, at(2026, 10, 25, 2, 0, 0));
    window_at(&window, &local_zone, found.until_usec, &found);
    assert_true(found.is_open);
    assert_int_equal(found.until_usec, at(2026, 10, 25, 6, 0, 0));
}

static void a_span_in_the_hour_that_is_left_out_begins_with_the_next(void **state)
{
    struct window_state found;
    struct window window = parse("02:30-05:00", false);

    (void)state;
    live_in("Europe/Berlin");
    window_at(&window, &local_zone, at(2026, 3, 29, 1, 59, 0), &found);
    assert_false(found.is_open);
    assert_int_equal(found.until_usec, at(2026, 3, 29, 3, 0, 1));
    window_at(&window, &local_zone, found.until_usec, &found);
    assert_true(found.is_open);
    assert_int_equal(found.until_usec, at(2026, 3, 29, 5, 0, 1));
}

static void in_the_hour_that_comes_twice_a_window_opens_twice(void **state)
{
    struct window_state found;
    struct window window = parse("02:15-02:45", false);

    (void)state;
    live_in("Europe/Berlin");
    for (int is_summer = 1; is_summer >= 0; is_summer--) {
        window_at(&window, &local_zone, at(2026, 10, 25, 2, 14, is_summer), &found);
        assert_false(found.is_open);
        assert_int_equal(found.until_usec, at(2026, 10, 25, 2, 15, is_summer));
        window_at(&window, &local_zone, at(2026, 10, 25, 2, 15, is_summer), &found);
        assert_true(found.is_open);
        assert_int_equal(found.until_usec, at(2026, 10, 25, 2, 45, is_summer));
    }
}

/* What the clock and the calendar on the wall say, without arithmetic on weeks. */
static const struct window_span *model_open(const struct window *window, time_t now)
{
    struct tm local;

    assert_non_null(localtime_r(&now, &local));
    int today = (local.tm_wday + 6) % 7;
    unsigned minute = (unsigned)(local.tm_hour * 60 + local.tm_min);
    for (size_t i = 0; i < window->count; i++) {
        const struct window_span *span = &window->spans[i];
        bool began_today = span->days & 1U << today;
        bool began_yesterday = span->days & 1U << (today + 6) % 7;
        if (began_today && minute >= span->begin_min && minute < span->end_min)
            return span;
        if (began_yesterday && minute + MIN_PER_DAY >= span->begin_min && minute + MIN_PER_DAY < span->end_min)
            return span;
    }
    return NULL;
}

static void compare_minute_by_minute(const struct window *window, time_t begin)
{
    struct window_state found, before = {.until_usec = 0};

    for (time_t now = begin; now < begin + FORTNIGHT; now += 60) {
        const struct window_span *open = model_open(window, now);
        uint64_t now_usec = (uint64_t)now * USEC_PER_SEC;
        window_at(window, &local_zone, now_usec, &found);
        assert_int_equal(found.is_open, open != NULL);
        assert_int_equal(found.rate, open ? open->rate : 0);
        assert_true(found.until_usec > now_usec);
        /* Whoever slept until the last answer said so has missed nothing. */
        if (now_usec < before.until_usec)
            assert_true(found.is_open == before.is_open && found.rate == before.rate);
        else
            before = found;
    }
}

static void every_minute_of_a_fortnight_is_as_the_wall_clock_says(void **state)
{
    static const char *const texts[] = {
        "22:00-06:00=1K",
        "Mon..Fri 08:00-18:00=1K; Sat,Sun 00:00-24:00=2K",
        "Sat..Mon 23:30-02:30=1K; 02:00-03:00=off; Sun 01:30-01:31=3K",
        "Sun 12:00-11:59=1K; 00:00-24:00=off",
        "Sun..Mon 02:15-02:45=5K",
    };
    static const struct {
        const char *zone;
        int year, month, day;
    } changes[] = {
        {"Europe/Berlin", 2026, 3, 29},       {"Europe/Berlin", 2026, 10, 25},     {"Australia/Sydney", 2026, 4, 5},
        {"Australia/Sydney", 2026, 10, 4},    {"Australia/Lord_Howe", 2026, 4, 5}, {"America/Santiago", 2026, 9, 6},
        {"America/Los_Angeles", 2026, 11, 1}, {"Asia/Kathmandu", 2026, 6, 1},      {"Pacific/Apia", 2011, 12, 30},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(changes); i++) {
        live_in(changes[i].zone);
        time_t begin = (time_t)(at(changes[i].year, changes[i].month, changes[i].day, 12, 0, -1) / USEC_PER_SEC);
        for (size_t j = 0; j < ELEMENTS(texts); j++) {
            struct window window = parse(texts[j], true);
            compare_minute_by_minute(&window, begin - FORTNIGHT / 2);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(spans_are_read),
    cmocka_unit_test(what_is_no_window_is_refused_with_the_remedy),
    cmocka_unit_test(a_window_has_sixteen_spans_and_no_more),
    cmocka_unit_test(no_span_is_always_open),
    cmocka_unit_test(a_span_holds_from_its_first_minute_to_before_its_last),
    cmocka_unit_test(where_spans_overlap_the_first_decides_the_rate),
    cmocka_unit_test(over_a_change_of_the_zone_the_answer_holds_until_then),
    cmocka_unit_test(a_span_in_the_hour_that_is_left_out_begins_with_the_next),
    cmocka_unit_test(in_the_hour_that_comes_twice_a_window_opens_twice),
    cmocka_unit_test(every_minute_of_a_fortnight_is_as_the_wall_clock_says),
};

UNIT_MAIN(tests);
