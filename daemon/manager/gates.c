/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which gates are closed: what the manager knows of the world, for the pure decision of core/gates. */
#include "manager/gates.h"

#include "manager/internal.h"
#include "manager/runner.h"
#include "sense/network.h"
#include "sense/power.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t zone_offset(void *userdata, int64_t unix_sec)
{
    time_t seconds = (time_t)unix_sec;
    struct tm local;

    (void)userdata;
    return localtime_r(&seconds, &local) ? local.tm_gmtoff : 0;
}

const struct window_zone manager_zone = {.offset = zone_offset};

/* "127.0.0.1:8080" as "127.0.0.1", "[::1]:8080" as "::1", "up.example:443" as "up.example". */
static void without_port(const char *host, char *bare, size_t size)
{
    const char *colon = strrchr(host, ':');
    size_t length = colon ? (size_t)(colon - host) : strlen(host);

    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    (void)snprintf(bare, size, "%.*s", (int)length, host);
}

/* FNV-1a */
static uint32_t hash(const char *text)
{
    uint32_t sum = 2166136261;

    for (; *text != '\0'; text++)
        sum = (sum ^ (uint8_t)*text) * 16777619;
    return sum;
}

/* Where packets for HOST go: to the address under which it was reached, or the numeric one that stands in its URL. */
static void find_path(struct manager *manager, const char *host, struct network_path *ret)
{
    const char *address = destination_address(manager, host);
    char bare[JOB_HOST_MAX + 1];

    without_port(address[0] != '\0' ? address : host, bare, sizeof(bare));
    struct known_path *known = &manager->paths[hash(bare) % KNOWN_PATHS_MAX];
    if (!known->path || strcmp(known->host, bare) != 0) {
        if (!known->path)
            known->path = calloc(1, sizeof(*known->path));
        network_path(manager->network, strcmp(bare, "localhost") == 0 ? "127.0.0.1" : bare, ret);
        if (known->path && text_copy(known->host, sizeof(known->host), bare))
            *known->path = *ret;
        return;
    }
    *ret = *known->path;
}

void manager_forget_paths(struct manager *manager)
{
    for (size_t i = 0; i < KNOWN_PATHS_MAX; i++) {
        free(manager->paths[i].path);
        manager->paths[i] = (struct known_path){.path = NULL};
    }
}

static enum gate_network judge(const struct network_path *path)
{
    if (!path->has_route)
        return NETWORK_NO_ROUTE;
    if (path->is_local)
        return NETWORK_THERE;
    if (path->connectivity == CONNECTIVITY_PORTAL)
        return NETWORK_PORTAL;
    return path->connectivity == CONNECTIVITY_NONE ? NETWORK_OFFLINE : NETWORK_THERE;
}

void manager_look(struct manager *manager, const char *host, struct gate_world *ret, struct network_path *ret_path)
{
    struct network_path path = {.has_route = true};
    struct power_state power = {.percent = 100};

    if (manager->network)
        find_path(manager, host, &path);
    if (manager->power)
        power_get(manager->power, &power);
    if (ret_path)
        *ret_path = path;
    *ret = (struct gate_world){
        .now = moment_now(), /* windows go by the clock on the wall */
        .zone = &manager_zone,
        .network = judge(&path),
        .is_metered = !path.is_local && path.metered == METERED_YES,
        .network_since_usec = manager->network_since_usec,
        .on_battery = power.on_battery,
        .battery_percent = power.percent,
        .power_since_usec = manager->power_since_usec,
        .disk_fails = manager->write_error != 0,
        .disk_since_usec = manager->write_error_since_usec,
    };
}

static void judge_lane(struct manager *manager, uid_t owner, const char *group_name, const char *host,
                       const struct policy *of_job, struct gate_policy *ret_policy, struct gate_states *ret)
{
    static const struct policy none = {.network = NETWORK_UNCHOSEN};
    const struct group *group = manager_find_group(manager, owner, group_name);
    struct gate_world world;

    gate_policy_init(ret_policy, of_job, group ? &group->policy : &none, &manager->settings.policy);
    manager_look(manager, host, &world, NULL);
    world.group_is_paused = group && group->paused;
    gates_of_lane(ret_policy, &world, ret);
    ret->since_usec[GATE_WINDOW] = manager_queue_usec(manager, ret->since_usec[GATE_WINDOW]);
    ret->until_usec[GATE_WINDOW] = manager_queue_usec(manager, ret->until_usec[GATE_WINDOW]);
}

void manager_lane_gates(struct manager *manager, const struct store_lane *lane, struct gate_states *ret)
{
    struct gate_policy policy;

    judge_lane(manager, lane->owner, lane->group, lane->host, &lane->policy, &policy, ret);
}

static void close_gate(struct gate_states *states, enum gate gate, uint64_t since_usec, uint64_t until_usec)
{
    states->closed |= GATE_BIT(gate);
    states->since_usec[gate] = since_usec;
    states->until_usec[gate] = until_usec;
}

static void pass_gates(struct gate_states *states, uint32_t ignored)
{
    states->passed = states->closed & ignored;
    states->closed &= ~ignored;
    for (size_t i = 0; i < GATES; i++) {
        if (!(states->passed & GATE_BIT(i)))
            continue;
        states->since_usec[i] = 0;
        states->until_usec[i] = USEC_INFINITY;
    }
}

/* A job that waits for its next attempt says behind which gate by what its last attempt failed at. */
static enum gate gate_of_failure(const struct failure *failure)
{
    if (failure->phase == PHASE_CREDENTIAL)
        return GATE_CREDENTIAL;
    return failure->phase == PHASE_SOURCE ? GATE_SOURCE : GATE_RETRY;
}

void manager_job_gates(struct manager *manager, const struct job *job, const struct runner *runner,
                       struct gate_policy *ret_policy, struct gate_states *ret)
{
    uint64_t now = manager_now(manager).realtime_usec, since, probe;
    struct gate_states states;

    judge_lane(manager, job->owner, job->group, job->host, &job->options.policy, ret_policy, &states);
    if (job->options.not_before_usec > now)
        close_gate(&states, GATE_TIME, job->queued_usec, job->options.not_before_usec);
    if (job->state == JOB_RETRYING && job->next_attempt_usec > now)
        close_gate(&states, gate_of_failure(&job->failure), usec_sub(job->next_attempt_usec, job->retry_delay_usec),
                   job->next_attempt_usec);
    else if (!runner && destination_is_down(manager, job->host, &since, &probe))
        close_gate(&states, GATE_RETRY, since, probe);
    pass_gates(&states, runner ? runner->ignored : schedule_ignored(manager, job->id));
    if (states.closed == 0 && !runner)
        close_gate(&states, GATE_SLOT, job_due_usec(job), USEC_INFINITY);
    *ret = states;
}
