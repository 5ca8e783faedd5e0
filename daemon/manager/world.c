/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the machine does to the queue: networks come and go, mains power too, and it falls asleep. None of it is an
 * error of a job.
 */
#include "manager/gates.h"
#include "manager/internal.h"
#include "manager/log.h"
#include "sense/network.h"
#include "sense/power.h"

#include <string.h>

/* Whether packets of RUNNER can still go the way they went: its own address may have vanished with a link or a VPN. */
static bool lost_its_address(const struct manager *manager, const struct runner *runner)
{
    return runner->local_address[0] != '\0' && !network_has_address(manager->network, runner->local_address);
}

void manager_network_changed(struct manager *manager)
{
    struct moment now = manager_now(manager);
    struct network_path path;
    struct runner *runner, *next;

    manager_forget_paths(manager);
    network_path(manager->network, "", &path);
    manager->network_since_usec = now.realtime_usec;
    if (path.has_route && !manager->had_network) {
        manager->network_returned_usec = now.monotonic_usec;
        destinations_forgive(manager);
    }
    manager->had_network = path.has_route;
    for (runner = TAILQ_FIRST(&manager->runners); runner; runner = next) {
        next = TAILQ_NEXT(runner, entry);
        if (lost_its_address(manager, runner))
            runner_hold(runner, true);
    }
    if (manager->observer.world_changed)
        manager->observer.world_changed(manager->observer.userdata);
    manager_reschedule(manager);
}

void manager_power_changed(struct manager *manager)
{
    manager->power_since_usec = manager_now(manager).realtime_usec;
    if (manager->observer.world_changed)
        manager->observer.world_changed(manager->observer.userdata);
    manager_reschedule(manager);
}

void manager_keep_awake(struct manager *manager)
{
    const struct runner *runner;
    bool wanted = false;

    if (!manager->power)
        return;
    TAILQ_FOREACH (runner, &manager->runners, entry)
        wanted |= runner->job->priority == PRIORITY_FOREGROUND;
    power_hold_awake(manager->power, wanted && manager->settings.keep_awake != 0);
}

void manager_settle_for_sleep(struct manager *manager)
{
    if (manager->is_asleep && manager->runners_count == 0 && manager->commands_pending == 0)
        power_allow_sleep(manager->power);
}

void manager_sleeping(struct manager *manager, bool asleep)
{
    struct runner *runner, *next;

    manager->is_asleep = asleep;
    log_message(LOG_INFO, MESSAGE_SLEEP, 0,
                asleep ? "the machine is about to sleep; uploads are put down" : "the machine is awake; uploads go on");
    if (asleep) {
        for (runner = TAILQ_FIRST(&manager->runners); runner; runner = next) {
            next = TAILQ_NEXT(runner, entry);
            runner_hold(runner, true);
        }
        manager_settle_for_sleep(manager);
        return;
    }
    manager->network_returned_usec = manager_now(manager).monotonic_usec;
    destinations_forgive(manager);
    manager_reschedule(manager);
}

void manager_get_world(const struct manager *manager, struct manager_world *ret)
{
    static const char *const connectivity[] = {
        [CONNECTIVITY_UNKNOWN] = "unknown", [CONNECTIVITY_NONE] = "none", [CONNECTIVITY_PORTAL] = "portal",
        [CONNECTIVITY_LIMITED] = "limited", [CONNECTIVITY_FULL] = "full",
    };
    static const char *const metered[] = {[METERED_UNKNOWN] = "unknown", [METERED_NO] = "no", [METERED_YES] = "yes"};
    struct network_path path = {.has_route = true};
    struct power_state power = {.percent = 100};

    if (manager->network)
        network_path(manager->network, "", &path);
    if (manager->power)
        power_get(manager->power, &power);
    *ret = (struct manager_world){
        .network_known = manager->network != NULL,
        .connected = path.has_route,
        .connectivity = connectivity[path.connectivity],
        .metered = metered[path.metered],
        .power_known = power.known,
        .on_battery = power.on_battery,
        .percent = power.percent,
    };
    memcpy(ret->device, path.device, sizeof(ret->device));
}
