/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/power.h"

#include "sense/logind.h"
#include "sense/upower.h"

#include <errno.h>

struct power {
    struct sense_bus *connection;
    struct upower upower;
    struct logind logind;
};

static void on_up(void *userdata, sd_bus *bus)
{
    struct power *power = userdata;

    upower_up(&power->upower, bus);
    logind_up(&power->logind, bus);
}

static void on_down(void *userdata)
{
    struct power *power = userdata;

    upower_down(&power->upower);
    logind_down(&power->logind);
}

int power_new(const struct power_options *options, struct power **ret)
{
    _cleanup_(power_free_p) struct power *power = calloc(1, sizeof(*power));

    if (!power)
        return -ENOMEM;
    upower_init(&power->upower, options->changed, options->userdata);
    logind_init(&power->logind, options->sleeping, options->userdata);
    const struct sense_bus_options bus = {
        .event = options->event, .address = options->bus_address, .up = on_up, .down = on_down, .userdata = power};
    int r = sense_bus_new(&bus, &power->connection);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(power);
    return 0;
}

struct power *power_free(struct power *power)
{
    if (!power)
        return NULL;
    upower_done(&power->upower);
    logind_done(&power->logind);
    sense_bus_free(power->connection);
    free(power);
    return NULL;
}

void power_get(const struct power *power, struct power_state *ret)
{
    *ret = power->upower.state;
}

void power_allow_sleep(struct power *power)
{
    logind_allow_sleep(&power->logind);
}

void power_hold_awake(struct power *power, bool held)
{
    logind_hold_awake(&power->logind, held);
}
