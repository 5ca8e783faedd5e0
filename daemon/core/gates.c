/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/gates.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static const char *const names[GATES] = {
    [GATE_TIME] = "time",
    [GATE_WINDOW] = "window",
    [GATE_NETWORK] = "network",
    [GATE_METERED] = "metered",
    [GATE_POWER] = "power",
    [GATE_GROUP] = "group",
    [GATE_SLOT] = "slot",
    [GATE_RATE] = "rate",
    [GATE_RETRY] = "retry",
    [GATE_SOURCE] = "source",
    [GATE_CREDENTIAL] = "credential",
    [GATE_DISK] = "disk",
};

const char *gate_name(enum gate gate)
{
    return names[gate];
}

int gate_parse(const char *name, enum gate *ret)
{
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum gate)i;
            return 0;
        }
    }
    return -EINVAL;
}

static enum gate_chooser chooser(bool job_chose, bool group_chose, bool configuration_chose)
{
    if (job_chose)
        return CHOSEN_BY_JOB;
    if (group_chose)
        return CHOSEN_BY_GROUP;
    return configuration_chose ? CHOSEN_BY_CONFIGURATION : CHOSEN_BY_NOBODY;
}

void gate_policy_init(struct gate_policy *policy, const struct policy *of_job, const struct policy *of_group,
                      const struct policy *of_configuration)
{
    struct policy near = policy_merge(of_job, of_group);

    *policy = (struct gate_policy){
        .policy = policy_merge(&near, of_configuration),
        .network_by = chooser(of_job->network != NETWORK_UNCHOSEN, of_group->network != NETWORK_UNCHOSEN,
                              of_configuration->network != NETWORK_UNCHOSEN),
        .power_by = chooser(of_job->power != POWER_UNCHOSEN, of_group->power != POWER_UNCHOSEN,
                            of_configuration->power != POWER_UNCHOSEN),
        .window_by =
            chooser(of_job->window[0] != '\0', of_group->window[0] != '\0', of_configuration->window[0] != '\0'),
    };
    policy_window(&policy->policy, &policy->window);
}

static void set(struct gate_states *states, enum gate gate, bool is_open, uint64_t since_usec, uint64_t until_usec)
{
    if (!is_open)
        states->closed |= GATE_BIT(gate);
    states->since_usec[gate] = since_usec;
    states->until_usec[gate] = until_usec;
}

static bool power_suffices(uint32_t power, const struct gate_world *world)
{
    if (!world->on_battery || power == POWER_UNCHOSEN || power == POWER_ANY)
        return true;
    return power != POWER_AC && world->battery_percent >= power;
}

void gates_of_lane(const struct gate_policy *policy, const struct gate_world *world, struct gate_states *ret)
{
    struct gate_states states = {.closed = 0};
    struct window_state window;
    bool may_cost = policy->policy.network != NETWORK_UNMETERED;

    for (size_t i = 0; i < GATES; i++)
        states.until_usec[i] = USEC_INFINITY;
    window_at(&policy->window, world->zone, world->now.realtime_usec, &window);
    set(&states, GATE_WINDOW, window.is_open, window.since_usec, window.until_usec);
    set(&states, GATE_NETWORK, world->network == NETWORK_THERE, world->network_since_usec, USEC_INFINITY);
    set(&states, GATE_METERED, may_cost || !world->is_metered, world->network_since_usec, USEC_INFINITY);
    set(&states, GATE_POWER, power_suffices(policy->policy.power, world), world->power_since_usec, USEC_INFINITY);
    set(&states, GATE_GROUP, !world->group_is_paused, 0, USEC_INFINITY);
    set(&states, GATE_DISK, !world->disk_fails, world->disk_since_usec, USEC_INFINITY);
    *ret = states;
}

uint64_t gates_wake_usec(const struct gate_states *states)
{
    uint64_t wake = USEC_INFINITY;

    for (size_t i = 0; i < GATES; i++)
        if (states->until_usec[i] < wake)
            wake = states->until_usec[i];
    return wake;
}
