/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings of a group: what may be chosen, and what a change leaves as it was. */
#include "support/unit.h"

#include "core/group.h"

#include <errno.h>
#include <string.h>

static struct group photos(void)
{
    struct group group;
    const char *reason;

    group_init(&group, "photos");
    group.max_active = 2;
    group.rate_bytes = 200000;
    group.policy.network = NETWORK_UNMETERED;
    group.policy.power = 50;
    assert_int_equal(policy_window_set(&group.policy, "22:00-06:00", &reason), 0);
    group.paused = true;
    return group;
}

static void assert_same(const struct group *a, const struct group *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->max_active, b->max_active);
    assert_int_equal(a->rate_bytes, b->rate_bytes);
    assert_true(policy_equal(&a->policy, &b->policy));
    assert_int_equal(a->paused, b->paused);
}

static void a_new_group_limits_nothing(void **state)
{
    struct group group;

    (void)state;
    group_init(&group, "photos");
    assert_string_equal(group.name, "photos");
    assert_int_equal(group_validate(&group, NULL), 0);
    assert_true(group.max_active == 0 && group.rate_bytes == 0 && !group.paused && policy_is_empty(&group.policy));
}

static void a_name_is_short_text_on_one_line(void **state)
{
    char name[JOB_GROUP_MAX + 2];
    const char *reason = NULL;

    (void)state;
    memset(name, 'x', sizeof(name));
    name[JOB_GROUP_MAX] = '\0';
    assert_int_equal(group_name_check(name, &reason), 0);
    assert_null(reason);
    name[JOB_GROUP_MAX] = 'x';
    name[JOB_GROUP_MAX + 1] = '\0';
    assert_int_equal(group_name_check(name, &reason), -EINVAL);
    assert_non_null(strstr(reason, "1 to 64 bytes"));
    assert_int_equal(group_name_check("Fotos für Oma", NULL), 0);
    assert_int_equal(group_name_check("", NULL), -EINVAL);
    assert_int_equal(group_name_check("a\nb", NULL), -EINVAL);
    assert_int_equal(group_name_check("a\x7f", NULL), -EINVAL);
    assert_int_equal(group_name_check("\xff", NULL), -EINVAL);
}

struct limit {
    uint64_t max_active, rate_bytes;
    bool is_good;
};

static void each_limit_has_its_bounds(void **state)
{
    static const struct limit limits[] = {
        {GROUP_ACTIVE_MAX, 0, true}, {GROUP_ACTIVE_MAX + 1, 0, false}, {1, 0, true},
        {0, RATE_MIN_BYTES, true},   {0, RATE_MIN_BYTES - 1, false},   {0, GROUP_RATE_MAX, true},
        {0, UINT64_MAX, false},      {0, GROUP_RATE_MAX + 1, false},   {UINT64_MAX, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const char *reason = NULL;
        struct group group;
        group_init(&group, "g");
        group.max_active = limits[i].max_active;
        group.rate_bytes = limits[i].rate_bytes;
        assert_int_equal(group_validate(&group, &reason), limits[i].is_good ? 0 : -EINVAL);
        assert_true(limits[i].is_good == !reason);
    }
}

static void a_policy_that_makes_no_sense_is_refused(void **state)
{
    struct group group = photos();

    (void)state;
    group.policy.power = POWER_AC + 1;
    assert_int_equal(group_validate(&group, NULL), -EINVAL);
    group = photos();
    memcpy(group.policy.window, "never", sizeof("never"));
    assert_int_equal(group_validate(&group, NULL), -EINVAL);
    group = photos();
    memset(group.name, 'x', sizeof(group.name));
    assert_int_equal(group_validate(&group, NULL), -EINVAL);
}

static void what_a_change_does_not_give_stays(void **state)
{
    static const uint32_t all =
        GROUP_MAX_ACTIVE | GROUP_RATE | GROUP_NETWORK | GROUP_POWER | GROUP_WINDOW | GROUP_PAUSED;
    struct group before = photos(), group = before, plain;
    struct group_change change = {.given = 0};

    (void)state;
    group_init(&change.to, "photos");
    assert_int_equal(group_change_apply(&change, &group, NULL), 0);
    assert_same(&group, &before);
    change.given = GROUP_RATE;
    change.to.rate_bytes = 5000;
    assert_int_equal(group_change_apply(&change, &group, NULL), 0);
    before.rate_bytes = 5000;
    assert_same(&group, &before);

    group_init(&plain, "photos");
    change.given = all;
    change.to = before;
    assert_int_equal(group_change_apply(&change, &plain, NULL), 0);
    assert_same(&plain, &before);
}

static void a_choice_is_taken_back_by_its_name(void **state)
{
    static const char *const names[] = {"max_active", "rate", "network", "power", "window", "paused"};
    struct group group = photos(), plain;
    struct group_change change = {.given = 0, .to = photos()};
    enum group_setting setting;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(group_setting_parse(names[i], &setting), 0);
        group_change_reset(&change, setting);
    }
    assert_int_equal(group_setting_parse("colour", &setting), -EINVAL);
    assert_int_equal(group_change_apply(&change, &group, NULL), 0);
    group_init(&plain, "photos");
    assert_same(&group, &plain);
}

static void a_change_that_is_refused_changes_nothing(void **state)
{
    struct group before = photos(), group = before;
    struct group_change change = {.given = GROUP_RATE | GROUP_MAX_ACTIVE, .to = {.rate_bytes = 1, .max_active = 7}};
    const char *reason = NULL;

    (void)state;
    assert_int_equal(group_change_apply(&change, &group, &reason), -EINVAL);
    assert_non_null(strstr(reason, "the rate"));
    assert_same(&group, &before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_new_group_limits_nothing),
    cmocka_unit_test(a_name_is_short_text_on_one_line),
    cmocka_unit_test(each_limit_has_its_bounds),
    cmocka_unit_test(a_policy_that_makes_no_sense_is_refused),
    cmocka_unit_test(what_a_change_does_not_give_stays),
    cmocka_unit_test(a_choice_is_taken_back_by_its_name),
    cmocka_unit_test(a_change_that_is_refused_changes_nothing),
};

UNIT_MAIN(tests);
