/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/upower.h"

#include <string.h>

#define UPOWER_NAME       "org.freedesktop.UPower"
#define UPOWER_PATH       "/org/freedesktop/UPower"
#define BATTERY_PATH      "/org/freedesktop/UPower/devices/DisplayDevice" /* all batteries as one */
#define BATTERY_INTERFACE "org.freedesktop.UPower.Device"
#define PERCENT_MAX       100

/* ---- values ---- */

static uint8_t percent_of(double percentage)
{
    if (!(percentage > 0)) /* nor a number */
        return 0;
    return percentage >= PERCENT_MAX ? PERCENT_MAX : (uint8_t)percentage;
}

static struct power_state state_of(const struct upower *upower)
{
    struct power_state state = {.percent = PERCENT_MAX};

    if (!upower->known)
        return state;
    state.known = true;
    state.on_battery = upower->on_battery;
    state.percent_known = upower->is_present;
    if (upower->is_present)
        state.percent = percent_of(upower->percentage);
    return state;
}

static void look(struct upower *upower)
{
    struct power_state state = state_of(upower);
    const struct power_state *before = &upower->state;
    bool is_same = state.known == before->known && state.on_battery == before->on_battery &&
                   state.percent == before->percent && state.percent_known == before->percent_known;

    upower->state = state;
    if (!is_same)
        upower->changed(upower->userdata);
}

static int read_bool(sd_bus_message *m, bool *ret)
{
    int value;
    int r = sd_bus_message_read_basic(m, 'b', &value);

    if (r >= 0)
        *ret = value != 0;
    return r;
}

static int machine_property(void *userdata, const char *name, sd_bus_message *m, const char *type)
{
    struct upower *upower = userdata;

    if (strcmp(name, "OnBattery") != 0 || strcmp(type, "b") != 0)
        return 0;
    upower->known = true;
    return read_bool(m, &upower->on_battery);
}

static int battery_property(void *userdata, const char *name, sd_bus_message *m, const char *type)
{
    struct upower *upower = userdata;

    if (strcmp(name, "IsPresent") == 0 && strcmp(type, "b") == 0)
        return read_bool(m, &upower->is_present);
    if (strcmp(name, "Percentage") == 0 && strcmp(type, "d") == 0)
        return sd_bus_message_read_basic(m, 'd', &upower->percentage);
    return 0;
}

/* ---- messages ---- */

/* The battery was asked for first: what is told at first is the whole. */
static int on_machine(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct upower *upower = userdata;

    (void)error;
    upower->call = sd_bus_slot_unref(upower->call);
    if (!sd_bus_message_is_method_error(m, NULL))
        (void)sense_read_properties(m, machine_property, upower);
    look(upower);
    return 0;
}

static int on_battery(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct upower *upower = userdata;

    (void)error;
    upower->battery_call = sd_bus_slot_unref(upower->battery_call);
    if (!sd_bus_message_is_method_error(m, NULL))
        (void)sense_read_properties(m, battery_property, upower);
    look(upower);
    return 0;
}

static int on_machine_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct upower *upower = userdata;

    (void)error;
    if (!sense_service_sent(&upower->service, m) || sd_bus_message_skip(m, "s") < 0)
        return 0;
    (void)sense_read_properties(m, machine_property, upower);
    look(upower);
    return 0;
}

static int on_battery_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct upower *upower = userdata;

    (void)error;
    if (!sense_service_sent(&upower->service, m) || sd_bus_message_skip(m, "s") < 0)
        return 0;
    (void)sense_read_properties(m, battery_property, upower);
    look(upower);
    return 0;
}

static void forget(struct upower *upower)
{
    upower->call = sd_bus_slot_unref(upower->call);
    upower->battery_call = sd_bus_slot_unref(upower->battery_call);
    upower->known = upower->on_battery = upower->is_present = false;
    upower->percentage = 0;
}

static void on_moved(void *userdata, bool is_there)
{
    struct upower *upower = userdata;

    forget(upower);
    if (!is_there) {
        look(upower);
        return;
    }
    (void)sense_get_all(upower->bus, &upower->battery_call, &upower->service, BATTERY_PATH, BATTERY_INTERFACE,
                        on_battery, upower);
    (void)sense_get_all(upower->bus, &upower->call, &upower->service, UPOWER_PATH, UPOWER_NAME, on_machine, upower);
}

/* ---- its life ---- */

void upower_init(struct upower *upower, void (*changed)(void *userdata), void *userdata)
{
    *upower = (struct upower){.changed = changed, .userdata = userdata};
    upower->service = (struct sense_service){.name = UPOWER_NAME, .moved = on_moved, .userdata = upower};
    upower->state = state_of(upower);
}

void upower_up(struct upower *upower, sd_bus *bus)
{
    upower->bus = bus;
    (void)sense_match_properties(bus, &upower->service, UPOWER_PATH, UPOWER_NAME, on_machine_changed, upower);
    (void)sense_match_properties(bus, &upower->service, BATTERY_PATH, BATTERY_INTERFACE, on_battery_changed, upower);
    (void)sense_service_follow(bus, &upower->service);
}

void upower_down(struct upower *upower)
{
    sense_service_lost(&upower->service);
    upower->bus = NULL;
}

void upower_done(struct upower *upower)
{
    forget(upower);
}
