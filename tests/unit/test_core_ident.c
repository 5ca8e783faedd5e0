/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ident.h"
#include "support/unit.h"

#include "base/moment.h"

static const struct source_identity original = {
    .size_bytes = 4096,
    .mtime_sec = 1700000000,
    .mtime_nsec = 123456789,
    .has_btime = true,
    .btime_sec = 1600000000,
    .btime_nsec = 5,
    .inode = 77,
    .inode_is_stable = true,
    .device = 2049,
    .boot_id = {1, 2, 3},
};

static void the_same_file_is_the_same(void **state)
{
    (void)state;
    assert_int_equal(ident_compare(&original, &original), IDENT_SAME);
}

static void another_size_is_told_before_anything_else(void **state)
{
    struct source_identity now = original;

    (void)state;
    now.size_bytes++;
    now.inode++;
    now.mtime_sec++;
    assert_int_equal(ident_compare(&original, &now), IDENT_SIZE_CHANGED);
}

static void a_change_of_one_nanosecond_is_a_change(void **state)
{
    struct source_identity now = original;

    (void)state;
    now.mtime_nsec++;
    assert_int_equal(ident_compare(&original, &now), IDENT_TIME_CHANGED);
    now = original;
    now.mtime_sec = -1;
    assert_int_equal(ident_compare(&original, &now), IDENT_TIME_CHANGED);
}

static void birth_times_count_where_both_have_one(void **state)
{
    struct source_identity now = original;

    (void)state;
    now.btime_nsec++;
    assert_int_equal(ident_compare(&original, &now), IDENT_TIME_CHANGED);
    now.has_btime = false;
    assert_int_equal(ident_compare(&original, &now), IDENT_SAME);
}

static void a_file_renamed_over_the_old_one_is_a_replacement(void **state)
{
    struct source_identity now = original;

    (void)state;
    now.inode = 78;
    now.mtime_sec++;
    assert_int_equal(ident_compare(&original, &now), IDENT_REPLACED);
}

static void inodes_that_the_file_system_makes_up_do_not_count(void **state)
{
    struct source_identity now = original;

    (void)state;
    now.inode = 78;
    now.inode_is_stable = false;
    assert_int_equal(ident_compare(&original, &now), IDENT_SAME);
}

static void the_device_number_counts_only_within_one_boot(void **state)
{
    struct source_identity before = original, now = original;

    (void)state;
    now.device = 2050;
    assert_int_equal(ident_compare(&before, &now), IDENT_REPLACED);
    now.boot_id[0] = 9;
    assert_int_equal(ident_compare(&before, &now), IDENT_SAME);
    /* two unknown boots are not one boot */
    for (size_t i = 0; i < sizeof(now.boot_id); i++)
        before.boot_id[i] = now.boot_id[i] = 0;
    assert_int_equal(ident_compare(&before, &now), IDENT_SAME);
}

static void a_file_modified_within_two_seconds_of_the_look_is_racy(void **state)
{
    const uint64_t now = UINT64_C(1700000010) * USEC_PER_SEC;

    (void)state;
    assert_true(ident_is_racy(1700000010, 0, now));
    assert_true(ident_is_racy(1700000008, 1000, now));
    assert_false(ident_is_racy(1700000008, 0, now));
    assert_true(ident_is_racy(1700000012, 0, now));
    assert_false(ident_is_racy(1700000013, 0, now));
}

static void times_at_the_ends_of_the_range_are_not_racy(void **state)
{
    (void)state;
    assert_false(ident_is_racy(INT64_MIN, 999999999, UINT64_MAX));
    assert_false(ident_is_racy(INT64_MIN, 0, 0));
    assert_false(ident_is_racy(INT64_MAX, 0, 0));
    assert_false(ident_is_racy(INT64_MAX, 0, UINT64_MAX));
    assert_false(ident_is_racy(-5, 0, 0));
}

static void every_change_has_words(void **state)
{
    (void)state;
    assert_string_equal(ident_change_text(IDENT_SIZE_CHANGED), "the size changed");
    assert_string_equal(ident_change_text(IDENT_TIME_CHANGED), "it was modified");
    assert_string_equal(ident_change_text(IDENT_REPLACED), "it was replaced by another file");
    assert_string_equal(ident_change_text(IDENT_SAME), "it did not change");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_same_file_is_the_same),
    cmocka_unit_test(another_size_is_told_before_anything_else),
    cmocka_unit_test(a_change_of_one_nanosecond_is_a_change),
    cmocka_unit_test(birth_times_count_where_both_have_one),
    cmocka_unit_test(a_file_renamed_over_the_old_one_is_a_replacement),
    cmocka_unit_test(inodes_that_the_file_system_makes_up_do_not_count),
    cmocka_unit_test(the_device_number_counts_only_within_one_boot),
    cmocka_unit_test(a_file_modified_within_two_seconds_of_the_look_is_racy),
    cmocka_unit_test(times_at_the_ends_of_the_range_are_not_racy),
    cmocka_unit_test(every_change_has_words),
};
UNIT_MAIN(tests);
