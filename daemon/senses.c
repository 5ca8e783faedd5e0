/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "senses.h"

#include "manager/log.h"
#include "manager/manager.h"
#include "sense/mounts.h"
#include "sense/network.h"
#include "sense/power.h"

#include <string.h>

static void on_network(void *userdata)
{
    const struct senses *senses = userdata;

    manager_network_changed(*senses->manager);
}

static void on_power(void *userdata)
{
    const struct senses *senses = userdata;

    manager_power_changed(*senses->manager);
}

static void on_mounts(void *userdata)
{
    const struct senses *senses = userdata;

    manager_mounts_changed(*senses->manager);
}

static void on_sleep(void *userdata, bool asleep)
{
    const struct senses *senses = userdata;

    manager_sleeping(*senses->manager, asleep);
}

void senses_build(struct senses *senses, sd_event *event, struct manager *const *manager)
{
    const struct network_options network = {.event = event, .changed = on_network, .userdata = senses};
    const struct power_options power = {.event = event, .changed = on_power, .sleeping = on_sleep, .userdata = senses};

    senses->manager = manager;
    int r = network_new(&network, &senses->network);
    if (r < 0)
        log_message(LOG_WARNING, MESSAGE_WORLD, 0,
                    "cannot follow the state of the network: %s; jobs find out by trying", strerror(-r));
    r = power_new(&power, &senses->power);
    if (r < 0)
        log_message(LOG_WARNING, MESSAGE_WORLD, 0, "cannot follow power and sleep: %s; jobs run as on mains power",
                    strerror(-r));
    r = mounts_new(event, on_mounts, senses, &senses->mounts);
    if (r < 0)
        log_message(LOG_WARNING, MESSAGE_WORLD, 0,
                    "cannot follow what is mounted: %s; jobs that wait for a file system look for it now and then",
                    strerror(-r));
}

void senses_done(struct senses *senses)
{
    senses->mounts = mounts_free(senses->mounts);
    senses->power = power_free(senses->power);
    senses->network = network_free(senses->network);
}
