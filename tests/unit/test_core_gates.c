/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/gates.h"

#include "support/unit.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static int64_t at_utc(void *userdata, int64_t unix_sec)
{
    (void)userdata, (void)unix_sec;
    return 0;
}

static const struct window_zone utc = {.offset = at_utc};
static const struct policy none = {.network = NETWORK_UNCHOSEN};

#define NOON (UINT64_C(1800014400) * USEC_PER_SEC) /* Friday, 2027-01-15 12:00 UTC */

static struct gate_world at_home(void)
{
    return (struct gate_world){.now = {.realtime_usec = NOON}, .zone = &utc, .battery_percent = 100};
}

static struct gate_states judge(const struct policy *job, const struct policy *group,
                                const struct policy *configuration, const struct gate_world *world)
{
    struct gate_policy policy;
    struct gate_states states;

    gate_policy_init(&policy, job, group, configuration);
    gates_of_lane(&policy, world, &states);
    return states;
}

static struct policy with_window(const char *text)
{
    struct policy policy = none;
    const char *reason;

    assert_int_equal(policy_window_set(&policy, text, &reason), 0);
    return policy;
}

static void without_a_choice_all_gates_of_a_lane_are_open(void **state)
{
    struct gate_world world = at_home();

    (void)state;
    world.is_metered = world.on_battery = true;
    world.battery_percent = 1;
    struct gate_states states = judge(&none, &none, &none, &world);
    assert_int_equal(states.closed, 0);
    assert_true(gates_wake_usec(&states) == USEC_INFINITY);
}

static void a_window_closes_its_gate_until_it_begins(void **state)
{
    struct policy night = with_window("22:00-06:00");
    struct gate_world world = at_home();

    (void)state;
    struct gate_states states = judge(&night, &none, &none, &world);
    assert_int_equal(states.closed, GATE_BIT(GATE_WINDOW));
    assert_true(states.until_usec[GATE_WINDOW] == NOON + 10 * USEC_PER_HOUR);
    assert_true(states.since_usec[GATE_WINDOW] == NOON - 6 * USEC_PER_HOUR);
    assert_true(gates_wake_usec(&states) == NOON + 10 * USEC_PER_HOUR);
    world.now.realtime_usec += 11 * USEC_PER_HOUR;
    states = judge(&night, &none, &none, &world);
    assert_int_equal(states.closed, 0);
    assert_true(states.until_usec[GATE_WINDOW] == NOON + 18 * USEC_PER_HOUR);
}

static void the_choice_that_is_closest_to_the_job_counts(void **state)
{
    struct policy night = with_window("22:00-06:00"), always = with_window("always");
    struct gate_world world = at_home();
    struct gate_policy policy;

    (void)state;
    assert_int_equal(judge(&none, &none, &night, &world).closed, GATE_BIT(GATE_WINDOW));
    assert_int_equal(judge(&none, &night, &none, &world).closed, GATE_BIT(GATE_WINDOW));
    assert_int_equal(judge(&none, &always, &night, &world).closed, 0);
    assert_int_equal(judge(&always, &night, &night, &world).closed, 0);
    gate_policy_init(&policy, &none, &night, &always);
    assert_int_equal(policy.window_by, CHOSEN_BY_GROUP);
    gate_policy_init(&policy, &none, &none, &always);
    assert_int_equal(policy.window_by, CHOSEN_BY_CONFIGURATION);
}

static void a_metered_network_holds_those_alone_that_do_not_want_one(void **state)
{
    struct policy careful = {.network = NETWORK_UNMETERED}, lavish = {.network = NETWORK_ANY};
    struct gate_world world = at_home();

    (void)state;
    world.is_metered = true;
    world.network_since_usec = 7;
    struct gate_states states = judge(&none, &none, &careful, &world);
    assert_int_equal(states.closed, GATE_BIT(GATE_METERED));
    assert_true(states.since_usec[GATE_METERED] == 7 && states.until_usec[GATE_METERED] == USEC_INFINITY);
    assert_int_equal(judge(&lavish, &none, &careful, &world).closed, 0);
    world.is_metered = false;
    assert_int_equal(judge(&none, &none, &careful, &world).closed, 0);
}

static void without_a_way_to_the_server_everybody_waits(void **state)
{
    static const enum gate_network closed[] = {NETWORK_NO_ROUTE, NETWORK_PORTAL, NETWORK_OFFLINE};
    struct gate_world world = at_home();

    (void)state;
    for (size_t i = 0; i < ELEMENTS(closed); i++) {
        world.network = closed[i];
        assert_int_equal(judge(&none, &none, &none, &world).closed, GATE_BIT(GATE_NETWORK));
    }
}

static void a_battery_does_where_its_charge_does(void **state)
{
    struct policy mains = {.power = POWER_AC}, third = {.power = 33}, any = {.power = POWER_ANY};
    struct gate_world world = at_home();

    (void)state;
    world.on_battery = true;
    world.battery_percent = 33;
    assert_int_equal(judge(&mains, &none, &none, &world).closed, GATE_BIT(GATE_POWER));
    assert_int_equal(judge(&third, &none, &none, &world).closed, 0);
    world.battery_percent = 32;
    assert_int_equal(judge(&third, &none, &none, &world).closed, GATE_BIT(GATE_POWER));
    assert_int_equal(judge(&any, &none, &mains, &world).closed, 0);
    world.on_battery = false;
    assert_int_equal(judge(&mains, &none, &none, &world).closed, 0);
}

static void a_paused_group_and_a_full_disk_are_gates_of_their_own(void **state)
{
    struct gate_world world = at_home();

    (void)state;
    world.group_is_paused = true;
    assert_int_equal(judge(&none, &none, &none, &world).closed, GATE_BIT(GATE_GROUP));
    world.disk_fails = true;
    assert_int_equal(judge(&none, &none, &none, &world).closed, GATE_BIT(GATE_GROUP) | GATE_BIT(GATE_DISK));
}

static void names_are_read_as_they_are_written(void **state)
{
    enum gate gate;

    (void)state;
    for (size_t i = 0; i < GATES; i++) {
        assert_int_equal(gate_parse(gate_name((enum gate)i), &gate), 0);
        assert_int_equal(gate, i);
    }
    assert_int_equal(gate_parse("door", &gate), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_a_choice_all_gates_of_a_lane_are_open),
    cmocka_unit_test(a_window_closes_its_gate_until_it_begins),
    cmocka_unit_test(the_choice_that_is_closest_to_the_job_counts),
    cmocka_unit_test(a_metered_network_holds_those_alone_that_do_not_want_one),
    cmocka_unit_test(without_a_way_to_the_server_everybody_waits),
    cmocka_unit_test(a_battery_does_where_its_charge_does),
    cmocka_unit_test(a_paused_group_and_a_full_disk_are_gates_of_their_own),
    cmocka_unit_test(names_are_read_as_they_are_written),
};

UNIT_MAIN(tests);
