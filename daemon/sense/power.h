/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Power and sleep, as UPower and logind tell of them on the system bus. Where they are not there, the machine counts as
 * one on mains power that does not sleep.
 *
 *   UPower ──OnBattery, DisplayDevice.Percentage──▶ changed()
 *   logind ──PrepareForSleep(true)──▶ sleeping(true): everything is put down ──▶ power_allow_sleep() releases the
 *            delay inhibitor; PrepareForSleep(false) ──▶ sleeping(false), and the inhibitor is taken anew
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct power;

struct power_state {
    bool known; /* UPower answers */
    bool on_battery;
    uint8_t percent; /* of the battery, 0 to 100; 100 where it is not known */
    bool percent_known;
};

struct power_options {
    sd_event *event;
    const char *bus_address; /* NULL = the system bus; "" = do without */
    void (*changed)(void *userdata);
    /* The machine is about to sleep, or has woken up. */
    void (*sleeping)(void *userdata, bool asleep);
    void *userdata;
};

int power_new(const struct power_options *options, struct power **ret);
struct power *power_free(struct power *power);
DEFINE_CLEANUP(struct power *, power_free);

void power_get(const struct power *power, struct power_state *ret);

/* What had to be put down before the machine sleeps has been. */
void power_allow_sleep(struct power *power);

/* While HELD, the machine does not fall asleep for being idle (logind's "idle" inhibitor, block mode). */
void power_hold_awake(struct power *power, bool held);
