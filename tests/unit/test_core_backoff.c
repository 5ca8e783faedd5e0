/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/backoff.h"
#include "core/limits.h"
#include "support/unit.h"

#include "base/moment.h"

static const struct backoff_rule rule = {.min_usec = 5 * USEC_PER_SEC, .max_usec = 600 * USEC_PER_SEC};

static void the_first_delay_lies_between_the_minimum_and_three_times_it(void **state)
{
    (void)state;
    assert_int_equal(backoff_delay(&rule, 0, 0, 0), 5 * USEC_PER_SEC);
    assert_int_equal(backoff_delay(&rule, 0, 0, 10 * USEC_PER_SEC), 15 * USEC_PER_SEC);
    assert_int_equal(backoff_delay(&rule, 0, 0, 10 * USEC_PER_SEC + 1), 5 * USEC_PER_SEC);
}

static void the_next_one_reaches_up_to_three_times_the_one_before(void **state)
{
    (void)state;
    assert_int_equal(backoff_delay(&rule, 20 * USEC_PER_SEC, 0, 55 * USEC_PER_SEC), 60 * USEC_PER_SEC);
    assert_int_equal(backoff_delay(&rule, 20 * USEC_PER_SEC, 0, 0), 5 * USEC_PER_SEC);
}

static void no_delay_exceeds_the_maximum(void **state)
{
    (void)state;
    assert_int_equal(backoff_delay(&rule, 500 * USEC_PER_SEC, 0, 595 * USEC_PER_SEC), 600 * USEC_PER_SEC);
    assert_int_equal(backoff_delay(&rule, UINT64_MAX, 0, 595 * USEC_PER_SEC), 600 * USEC_PER_SEC);
}

static void every_draw_stays_within_its_bounds(void **state)
{
    uint64_t random = 88172645463325252u, previous = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        previous = backoff_delay(&rule, previous, 0, random);
        assert_in_range(previous, rule.min_usec, rule.max_usec);
    }
}

static void the_servers_wish_is_a_floor(void **state)
{
    (void)state;
    assert_int_equal(backoff_delay(&rule, 0, 120 * USEC_PER_SEC, 0), 120 * USEC_PER_SEC);
    assert_int_equal(backoff_delay(&rule, 0, 2 * USEC_PER_SEC, 0), 5 * USEC_PER_SEC);
    assert_int_equal(backoff_delay(&rule, 0, 900 * USEC_PER_SEC, 0), 900 * USEC_PER_SEC);
}

static void the_servers_wish_is_honoured_up_to_a_day(void **state)
{
    (void)state;
    assert_int_equal(backoff_delay(&rule, 0, RETRY_AFTER_MAX_USEC, 0), RETRY_AFTER_MAX_USEC);
    assert_int_equal(backoff_delay(&rule, 0, RETRY_AFTER_MAX_USEC + 1, 0), RETRY_AFTER_MAX_USEC);
    assert_int_equal(backoff_delay(&rule, 0, UINT64_MAX, 0), RETRY_AFTER_MAX_USEC);
}

static void odd_rules_do_not_overflow(void **state)
{
    const struct backoff_rule whole = {.min_usec = 0, .max_usec = UINT64_MAX};
    const struct backoff_rule swapped = {.min_usec = 9, .max_usec = 3};
    const struct backoff_rule zero = {0};

    (void)state;
    assert_int_equal(backoff_delay(&whole, UINT64_MAX, 0, 12345), 12345);
    assert_int_equal(backoff_delay(&whole, UINT64_MAX / 2, 0, UINT64_MAX), UINT64_MAX);
    assert_int_equal(backoff_delay(&swapped, 0, 0, 77), 9);
    assert_int_equal(backoff_delay(&zero, 0, 0, 77), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_delay_lies_between_the_minimum_and_three_times_it),
    cmocka_unit_test(the_next_one_reaches_up_to_three_times_the_one_before),
    cmocka_unit_test(no_delay_exceeds_the_maximum),
    cmocka_unit_test(every_draw_stays_within_its_bounds),
    cmocka_unit_test(the_servers_wish_is_a_floor),
    cmocka_unit_test(the_servers_wish_is_honoured_up_to_a_day),
    cmocka_unit_test(odd_rules_do_not_overflow),
};
UNIT_MAIN(tests);
