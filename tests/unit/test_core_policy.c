/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/policy.h"
#include "support/unit.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static struct policy policy_of(enum policy_network network, uint32_t power, const char *window)
{
    struct policy policy = {.network = network, .power = power};
    const char *reason = "?";

    if (policy_window_set(&policy, window, &reason) < 0)
        fail_msg("\"%s\": %s", window, reason);
    return policy;
}

static void the_choice_that_is_closest_to_the_job_counts(void **state)
{
    struct policy far = policy_of(NETWORK_UNMETERED, POWER_AC, "22:00-06:00");
    struct policy nothing = {0};
    struct policy close = policy_of(NETWORK_ANY, 30, "always");
    struct policy half = policy_of(NETWORK_UNCHOSEN, POWER_ANY, "");

    (void)state;
    struct policy merged = policy_merge(&nothing, &far);
    assert_true(policy_equal(&merged, &far));
    merged = policy_merge(&close, &far);
    assert_true(policy_equal(&merged, &close));
    merged = policy_merge(&half, &far);
    assert_int_equal(merged.network, NETWORK_UNMETERED);
    assert_int_equal(merged.power, POWER_ANY);
    assert_string_equal(merged.window, "22:00-06:00");
    merged = policy_merge(&half, &nothing);
    assert_true(policy_equal(&merged, &half));
    assert_true(policy_is_empty(&nothing));
    assert_false(policy_is_empty(&half));
    assert_false(policy_is_empty(&close));
}

static void networks_are_read_and_named(void **state)
{
    enum policy_network network = NETWORK_UNCHOSEN;
    static const char *const bad[] = {"", "Any", "metered", "any ", "unmeteredx"};

    (void)state;
    assert_int_equal(policy_network_parse("any", &network), 0);
    assert_int_equal(network, NETWORK_ANY);
    assert_string_equal(policy_network_name(network), "any");
    assert_int_equal(policy_network_parse("unmetered", &network), 0);
    assert_int_equal(network, NETWORK_UNMETERED);
    assert_string_equal(policy_network_name(network), "unmetered");
    assert_string_equal(policy_network_name(NETWORK_UNCHOSEN), "");
    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_int_equal(policy_network_parse(bad[i], &network), -EINVAL);
    assert_int_equal(network, NETWORK_UNMETERED);
}

static void powers_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        uint32_t power;
    } good[] = {{"any", POWER_ANY}, {"ac", POWER_AC}, {"1%", 1}, {"30%", 30}, {"100%", 100}};
    static const char *const bad[] = {
        "", "%", "0%", "101%", "30", "-1%", "3.5%", "30 %", "AC", "battery", "99999999999999999999%"};
    char text[POWER_TEXT_MAX];
    uint32_t power = 7;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(good); i++) {
        assert_int_equal(policy_power_parse(good[i].text, &power), 0);
        assert_int_equal(power, good[i].power);
        assert_string_equal(policy_power_text(power, text), good[i].text);
    }
    power = 7;
    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_int_equal(policy_power_parse(bad[i], &power), -EINVAL);
    assert_int_equal(power, 7);
    assert_string_equal(policy_power_text(POWER_UNCHOSEN, text), "");
    assert_string_equal(policy_power_text(200, text), "");
}

static void a_window_is_kept_as_it_was_written(void **state)
{
    struct policy policy = policy_of(NETWORK_ANY, POWER_ANY, "Mon..Fri 08:00-18:00");
    const char *reason = NULL;
    struct window window;

    (void)state;
    assert_string_equal(policy.window, "Mon..Fri 08:00-18:00");
    policy_window(&policy, &window);
    assert_int_equal(window.count, 1);
    assert_int_equal(policy_window_set(&policy, "08:00..18:00", &reason), -EINVAL);
    assert_non_null(strstr(reason, "08:00-18:00"));
    assert_int_equal(policy_window_set(&policy, "Always", &reason), -EINVAL);
    assert_string_equal(policy.window, "Mon..Fri 08:00-18:00");
    /* What a shorter one leaves over would make two equal keys of a lane differ. */
    assert_int_equal(policy_window_set(&policy, "always", &reason), 0);
    struct policy fresh = policy_of(NETWORK_ANY, POWER_ANY, "always");
    assert_memory_equal(policy.window, fresh.window, sizeof(policy.window));
    policy_window(&policy, &window);
    assert_int_equal(window.count, 0);
}

static void a_window_may_be_as_long_as_the_bound_and_no_longer(void **state)
{
    char text[WINDOW_TEXT_MAX + 2];
    struct policy policy = {0};
    const char *reason = NULL;

    (void)state;
    memset(text, ' ', sizeof(text));
    memcpy(text, "08:00-18:00", strlen("08:00-18:00"));
    text[WINDOW_TEXT_MAX] = '\0';
    assert_int_equal(policy_window_set(&policy, text, &reason), 0);
    assert_string_equal(policy.window, text);
    text[WINDOW_TEXT_MAX] = ' ';
    text[WINDOW_TEXT_MAX + 1] = '\0';
    assert_int_equal(policy_window_set(&policy, text, &reason), -EINVAL);
    assert_non_null(strstr(reason, "127"));
}

static void what_was_read_and_cannot_be_is_told(void **state)
{
    struct policy policy = policy_of(NETWORK_UNMETERED, POWER_AC, "22:00-06:00");

    (void)state;
    assert_null(policy_fault(&policy));
    policy.network = (enum policy_network)9;
    assert_non_null(policy_fault(&policy));
    policy.network = NETWORK_ANY;
    policy.power = 103;
    assert_non_null(policy_fault(&policy));
    policy.power = 0;
    memcpy(policy.window, "22:00-6", 8);
    assert_non_null(policy_fault(&policy));
    memset(policy.window, 'x', sizeof(policy.window));
    assert_non_null(policy_fault(&policy));
    memset(&policy, 0, sizeof(policy));
    assert_null(policy_fault(&policy));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_choice_that_is_closest_to_the_job_counts),
    cmocka_unit_test(networks_are_read_and_named),
    cmocka_unit_test(powers_are_read_and_written),
    cmocka_unit_test(a_window_is_kept_as_it_was_written),
    cmocka_unit_test(a_window_may_be_as_long_as_the_bound_and_no_longer),
    cmocka_unit_test(what_was_read_and_cannot_be_is_told),
};

UNIT_MAIN(tests);
