/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sleep, as logind announces it, and what holds it up. */
#pragma once

#include "sense/bus.h"

struct logind;

/* A lock of logind's: it holds for as long as its descriptor is open. */
struct inhibitor {
    struct logind *logind;
    const char *what, *why, *mode;
    bool is_wanted;
    int fd; /* -1 = not held */
    sd_bus_slot *call;
};

struct logind {
    struct sense_service service;
    sd_bus *bus; /* while it is up */
    sd_bus_slot *call;
    struct inhibitor delay, idle;
    bool is_asleep; /* or about to be */
    void (*sleeping)(void *userdata, bool asleep);
    void *userdata;
};

void logind_init(struct logind *logind, void (*sleeping)(void *userdata, bool asleep), void *userdata);
void logind_up(struct logind *logind, sd_bus *bus);
void logind_down(struct logind *logind);
/* Releases what is held; nobody is told. */
void logind_done(struct logind *logind);

void logind_allow_sleep(struct logind *logind);
void logind_hold_awake(struct logind *logind, bool held);
