/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells when something was mounted or unmounted: /proc/self/mountinfo becomes readable with POLLPRI. */
#pragma once

#include "base/cleanup.h"

#include <systemd/sd-event.h>

struct mounts;

/* CHANGED runs on the loop. */
int mounts_new(sd_event *event, void (*changed)(void *userdata), void *userdata, struct mounts **ret);
struct mounts *mounts_free(struct mounts *mounts);
DEFINE_CLEANUP(struct mounts *, mounts_free);
