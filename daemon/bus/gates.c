/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a job waits, and the way past it: Explain, Run, and what is told of network and power. */
#include "bus/internal.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>
#include <inttypes.h>

static int append_gate(sd_bus_message *reply, struct manager *manager, const struct manager_gate *gate)
{
    int r = sd_bus_message_open_container(reply, 'r', "sbtsa{sv}");

    if (r >= 0)
        r = sd_bus_message_append(reply, "sbts", gate_name(gate->gate), gate->is_open,
                                  manager_wall_usec(manager, gate->until_usec), gate->text);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0 && gate->since_usec != 0)
        r = sd_bus_message_append(reply, "{sv}", "since", "t", manager_wall_usec(manager, gate->since_usec));
    if (r >= 0 && gate->remedy[0] != '\0')
        r = sd_bus_message_append(reply, "{sv}", "remedy", "s", gate->remedy);
    if (r >= 0 && (GATES_PASSABLE & GATE_BIT(gate->gate)))
        r = sd_bus_message_append(reply, "{sv}", "passable", "b", 1);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

int manager_method_explain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(job_free_p) struct job *job = NULL;
    struct manager_gate gates[GATES];
    uint64_t id;

    int r = sd_bus_message_read(m, "t", &id);
    if (r >= 0)
        r = job_get_own(peer, m, id, &job, error);
    if (r < 0)
        return r;
    if (job_state_is_final(job->state) || job->state == JOB_CANCELLING)
        return sd_bus_error_setf(error, BITSQ_ERROR_INVALID_STATE,
                                 "job %" PRIu64 " is %s: no gate holds it; see bitsq show", id,
                                 job_state_name(job->state));
    manager_explain(peer->server->manager, job, gates);
    r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(sbtsa{sv})");
    for (size_t i = 0; r >= 0 && i < GATES; i++)
        r = append_gate(reply, peer->server->manager, &gates[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* No names mean all that may be passed. */
static int read_ignored(sd_bus_message *m, uint32_t *ret, sd_bus_error *error)
{
    const char *name;
    uint32_t ignored = 0;
    enum gate gate;

    int r = sd_bus_message_enter_container(m, 'a', "s");
    while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &name)) > 0) {
        if (gate_parse(name, &gate) < 0 || !(GATES_PASSABLE & GATE_BIT(gate)))
            return sd_bus_error_setf(error, BITSQ_ERROR_INVALID_ARGUMENT,
                                     "\"%s\" is no gate that can be ignored; name some of time, window, network, "
                                     "metered, power, group, retry, source, credential",
                                     name);
        ignored |= GATE_BIT(gate);
    }
    *ret = ignored != 0 ? ignored : GATES_PASSABLE;
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

int job_method_run(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct found_job *found = userdata;
    struct peer *peer = found->peer;
    const struct job *job = found->job;
    struct manager_error fault = {.fault = FAULT_NONE};
    struct call *call;
    uint32_t ignored = 0;

    int r = read_ignored(m, &ignored, error);
    if (r >= 0)
        r = job_check_own(found, m, error);
    if (r >= 0)
        r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    r = manager_run_job(peer->server->manager, job->owner, job, ignored, call_answer, call, &fault);
    return call_wait(call, r, &fault, error);
}

int manager_get_network(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const struct peer *peer = userdata;
    struct manager_world world;

    (void)bus, (void)path, (void)interface, (void)property, (void)error;
    manager_get_world(peer->server->manager, &world);
    return sd_bus_message_append(reply, "a{sv}", 5, "known", "b", world.network_known, "connected", "b",
                                 world.connected, "device", "s", world.device, "connectivity", "s", world.connectivity,
                                 "metered", "s", world.metered);
}

int manager_get_power(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *error)
{
    const struct peer *peer = userdata;
    struct manager_world world;

    (void)bus, (void)path, (void)interface, (void)property, (void)error;
    manager_get_world(peer->server->manager, &world);
    return sd_bus_message_append(reply, "a{sv}", 3, "known", "b", world.power_known, "on_battery", "b",
                                 world.on_battery, "percent", "u", world.percent);
}
