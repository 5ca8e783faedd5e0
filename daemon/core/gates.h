/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gates of a job: conditions that must all be open for it to run. Nothing of this is stored; it is worked out
 * whenever somebody asks, from what is chosen and from what the world is like at that moment.
 *
 *   of its lane   window, network, metered, power, group, disk
 *   of the job    time, retry, source, credential, slot, rate
 *
 * Example: a job with the window 22:00-06:00 at noon on a telephone's network: window is closed until 22:00, metered is
 * closed until the network is another one; it runs when both are open.
 */
#pragma once

#include "core/policy.h"

#include "base/moment.h"

#include <stdbool.h>
#include <stdint.h>

enum gate {
    GATE_TIME,       /* the job is to wait for a certain moment */
    GATE_WINDOW,     /* hours of the week */
    GATE_NETWORK,    /* there is a way to the server */
    GATE_METERED,    /* and it costs nothing */
    GATE_POWER,      /* mains, or enough battery */
    GATE_GROUP,      /* its group is not paused */
    GATE_SLOT,       /* one of MaxActive, of its host, its group, its user */
    GATE_RATE,       /* always open: how fast it may go */
    GATE_RETRY,      /* the time of the next attempt has come, and its server is not known to be down */
    GATE_SOURCE,     /* its file can be read */
    GATE_CREDENTIAL, /* what it needs to be let in can be had */
    GATE_DISK,       /* the queue can be written */
    GATES,
};
#define GATE_BIT(gate) (UINT32_C(1) << (gate))

/* Those that `run` may pass. A slot, the rate and the disk are not for anybody to ignore. */
#define GATES_PASSABLE                                                                               \
    (GATE_BIT(GATE_TIME) | GATE_BIT(GATE_WINDOW) | GATE_BIT(GATE_NETWORK) | GATE_BIT(GATE_METERED) | \
     GATE_BIT(GATE_POWER) | GATE_BIT(GATE_GROUP) | GATE_BIT(GATE_RETRY) | GATE_BIT(GATE_SOURCE) |    \
     GATE_BIT(GATE_CREDENTIAL))

/* Behind these a job is `queued`, behind any other it is `blocked`. */
#define GATES_OF_TURN (GATE_BIT(GATE_SLOT) | GATE_BIT(GATE_RATE))

const char *gate_name(enum gate gate);
int gate_parse(const char *name, enum gate *ret); /* -EINVAL */

/* Who chose what counts for a job: it says how that is taken back. */
enum gate_chooser {
    CHOSEN_BY_NOBODY,
    CHOSEN_BY_JOB,
    CHOSEN_BY_GROUP,
    CHOSEN_BY_CONFIGURATION,
};

/* The policy that counts for a lane, and who chose each part of it. */
struct gate_policy {
    struct policy policy;
    struct window window;
    enum gate_chooser network_by, power_by, window_by;
};

void gate_policy_init(struct gate_policy *policy, const struct policy *of_job, const struct policy *of_group,
                      const struct policy *of_configuration);

enum gate_network {
    NETWORK_THERE,
    NETWORK_NO_ROUTE,
    NETWORK_PORTAL,  /* a sign-in page stands between */
    NETWORK_OFFLINE, /* a route, but nothing behind it */
};

/* What all jobs of a lane meet. Times are CLOCK_REALTIME of the queue; 0 = not known since when. */
struct gate_world {
    struct moment now;
    const struct window_zone *zone;

    enum gate_network network;
    bool is_metered;
    uint64_t network_since_usec;

    bool on_battery;
    uint8_t battery_percent;
    uint64_t power_since_usec;

    bool group_is_paused;
    bool disk_fails;
    uint64_t disk_since_usec;
};

/* Of one lane or job: which are closed, since when, and when each may be otherwise (USEC_INFINITY = nobody knows). */
struct gate_states {
    uint32_t closed;
    uint32_t passed; /* of one job: these would be closed, but a person sends it past them; nothing is told of when */
    uint64_t since_usec[GATES];
    uint64_t until_usec[GATES];
};

void gates_of_lane(const struct gate_policy *policy, const struct gate_world *world, struct gate_states *ret);

/* When the first of the gates of a lane may change by itself: USEC_INFINITY = none will. */
uint64_t gates_wake_usec(const struct gate_states *states);
