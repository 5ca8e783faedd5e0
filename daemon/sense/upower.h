/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What UPower says of the battery. */
#pragma once

#include "sense/bus.h"
#include "sense/power.h"

struct upower {
    struct sense_service service;
    sd_bus *bus; /* while it is up */
    sd_bus_slot *call, *battery_call;
    struct power_state state; /* what was told */
    bool known, on_battery, is_present;
    double percentage;
    void (*changed)(void *userdata);
    void *userdata;
};

void upower_init(struct upower *upower, void (*changed)(void *userdata), void *userdata);
void upower_up(struct upower *upower, sd_bus *bus);
void upower_down(struct upower *upower);
/* Drops what is under way; nobody is told. */
void upower_done(struct upower *upower);
