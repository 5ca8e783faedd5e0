/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line about the daemon, for the service manager: STATUS= of sd_notify(3). */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#define STATUS_MAX 160

struct manager;

struct status {
    struct manager *manager;
    sd_event *event;
    sd_event_source *source;
    uint64_t due_usec; /* CLOCK_MONOTONIC: nothing is told before */
    char text[STATUS_MAX];
};

int status_init(struct status *status, sd_event *event, struct manager *manager);
void status_done(struct status *status);

/* Tells what is new, at once or, where something was told just before, a moment later. */
void status_tell(struct status *status);
