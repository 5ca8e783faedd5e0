/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "status.h"

#include "manager/manager.h"

#include "base/moment.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

/* Each text wakes the service manager, and small files would do so a thousand times a second. */
#define STATUS_EVERY_USEC (250 * USEC_PER_MSEC)

void status_tell(struct status *status)
{
    char text[STATUS_MAX];
    const char *degraded[4];
    uint64_t now;

    if (manager_degraded(status->manager, degraded) > 0)
        (void)snprintf(text, sizeof(text), "STATUS=degraded: %.120s", degraded[0]);
    else
        (void)snprintf(text, sizeof(text), "STATUS=%zu uploads active", manager_active_jobs(status->manager));
    if (strcmp(text, status->text) == 0)
        return;
    (void)sd_event_now(status->event, CLOCK_MONOTONIC, &now);
    if (now < status->due_usec) {
        (void)sd_event_source_set_enabled(status->source, SD_EVENT_ONESHOT);
        return;
    }
    memcpy(status->text, text, sizeof(text));
    (void)sd_notify(0, text);
    status->due_usec = now + STATUS_EVERY_USEC;
    (void)sd_event_source_set_time(status->source, status->due_usec);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    status_tell(userdata);
    return 0;
}

int status_init(struct status *status, sd_event *event, struct manager *manager)
{
    status->manager = manager;
    status->event = sd_event_ref(event);
    int r = sd_event_add_time(event, &status->source, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_due, status);
    return r < 0 ? r : sd_event_source_set_enabled(status->source, SD_EVENT_OFF);
}

void status_done(struct status *status)
{
    status->source = sd_event_source_disable_unref(status->source);
    status->event = sd_event_unref(status->event);
}
