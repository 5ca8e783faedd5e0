/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/pace.h"
#include "support/unit.h"

#include "base/moment.h"

#include <string.h>

#define START_USEC (1000 * USEC_PER_SEC)

/* Bytes that get out from BEGIN to END for somebody who always wants WANTED and wakes up LATE after each time. */
static uint64_t drain(struct pace *pace, size_t wanted, uint64_t begin, uint64_t end, uint64_t late)
{
    uint64_t sent = 0;

    for (uint64_t now = begin; now < end;) {
        size_t allowed = pace_allow(pace, wanted, now);
        sent += allowed;
        pace_take(pace, allowed);
        if (allowed == 0) {
            uint64_t next = pace_next_usec(pace, wanted);
            assert_true(next > now);
            now = next + late;
        }
    }
    return sent;
}

static void without_a_rate_everything_goes(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_int_equal(pace_allow(&pace, 1 << 20, START_USEC), 1 << 20);
    pace_take(&pace, 1 << 20);
    assert_int_equal(pace_allow(&pace, 1 << 20, START_USEC), 1 << 20);
}

static void every_second_carries_the_rate(void **state)
{
    static const uint64_t rates[] = {1, 7, 100, 8192, 100000, 12345678, UINT64_C(1) << 30};

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct pace pace = {0};
        pace_set_rate(&pace, rates[i], START_USEC);
        for (uint64_t second = 0; second < 10; second++) {
            uint64_t begin = START_USEC + second * USEC_PER_SEC;
            uint64_t sent = drain(&pace, (size_t)512 << 10, begin, begin + USEC_PER_SEC, 0);
            assert_true(sent <= rates[i] + rates[i] / 10 + 1);
            assert_true(second == 0 || sent + rates[i] / 10 + 1 >= rates[i]);
        }
    }
}

static void waking_up_late_does_not_cost_the_rate(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_set_rate(&pace, 100000, START_USEC);
    uint64_t sent = drain(&pace, (size_t)512 << 10, START_USEC, START_USEC + 10 * USEC_PER_SEC, 30 * USEC_PER_MSEC);
    assert_true(sent >= 980000 && sent <= 1010000);
}

static void a_pause_saves_up_no_more_than_a_burst(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_set_rate(&pace, 100000, START_USEC);
    uint64_t begin = START_USEC + 3600 * USEC_PER_SEC;
    assert_true(drain(&pace, (size_t)512 << 10, begin, begin + 1, 0) <= 10000);
}

static void the_end_of_a_body_goes_although_it_is_small(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_set_rate(&pace, 100000, START_USEC);
    assert_int_equal(pace_allow(&pace, 3, START_USEC), 0);
    assert_int_equal(pace_next_usec(&pace, 3), START_USEC + 30);
    assert_int_equal(pace_allow(&pace, 3, START_USEC + 30), 3);
}

static void a_new_rate_counts_at_once(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_set_rate(&pace, 10, START_USEC);
    assert_int_equal(pace_allow(&pace, 1000, START_USEC), 0);
    pace_set_rate(&pace, 1000000, START_USEC);
    assert_true(pace_next_usec(&pace, 1000) <= START_USEC + 1000);
    pace_set_rate(&pace, 0, START_USEC);
    assert_int_equal(pace_allow(&pace, 1000, START_USEC), 1000);
}

static void no_rate_is_too_large(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_set_rate(&pace, UINT64_MAX, START_USEC);
    assert_int_equal(pace_allow(&pace, 1 << 20, START_USEC + USEC_PER_SEC), 1 << 20);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_a_rate_everything_goes),
    cmocka_unit_test(every_second_carries_the_rate),
    cmocka_unit_test(waking_up_late_does_not_cost_the_rate),
    cmocka_unit_test(a_pause_saves_up_no_more_than_a_burst),
    cmocka_unit_test(the_end_of_a_body_goes_although_it_is_small),
    cmocka_unit_test(a_new_rate_counts_at_once),
    cmocka_unit_test(no_rate_is_too_large),
};

UNIT_MAIN(tests);
