/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probe of org.bitsq1.Manager: its reply waits for a server, and the probe ends with whoever asked for it. */
#include "bus/internal.h"

#include "core/probe.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>

struct probe_call {
    struct call *call;
    sd_bus_track *caller; /* message bus only: the connection outlives those who call over it */
    struct probing *probing;
};

static struct probe_call *probe_call_free(struct probe_call *waiting)
{
    if (!waiting)
        return NULL;
    sd_bus_track_unref(waiting->caller);
    call_free(waiting->call);
    free(waiting);
    return NULL;
}
DEFINE_CLEANUP(struct probe_call *, probe_call_free);

static const char *verdict_name(enum probe_verdict verdict)
{
    switch (verdict) {
    case PROBE_OK:
        return "ok";
    case PROBE_NOTE:
        return "note";
    case PROBE_PROBLEM:
        return "problem";
    }
    return "problem";
}

static int append_findings(sd_bus_message *reply, const struct probe *probe)
{
    int r = sd_bus_message_open_container(reply, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(reply, 's', "findings");
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'v', "a(ssss)");
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ssss)");
    for (size_t i = 0; r >= 0 && i < probe->findings_count; i++) {
        const struct probe_finding *finding = &probe->findings[i];
        r = sd_bus_message_append(reply, "(ssss)", finding->name, verdict_name(finding->verdict), finding->text,
                                  finding->remedy);
    }
    for (unsigned depth = 0; r >= 0 && depth < 3; depth++)
        r = sd_bus_message_close_container(reply);
    return r;
}

static int send_result(sd_bus_message *call, const struct manager_probe_result *result)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0)
        r = append_findings(reply, result->probe);
    if (r >= 0)
        r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "usable", "b", (int)result->is_usable, "latency", "t",
                                  result->probe->latency_usec, "address", "s", result->address);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void on_probed(void *userdata, const struct manager_probe_result *result)
{
    struct probe_call *waiting = userdata;
    int r = 0;

    if (result->error.fault != FAULT_NONE)
        call_fail(TAKE_PTR(waiting->call), &result->error);
    else
        r = send_result(waiting->call->message, result);
    if (r < 0)
        (void)sd_bus_reply_method_errno(waiting->call->message, r, NULL);
    probe_call_free(waiting);
}

static void abandon(struct probe_call *waiting)
{
    manager_abandon_probe(waiting->probing);
    probe_call_free(waiting);
}

static int on_caller_gone(sd_bus_track *track, void *userdata)
{
    (void)track;
    abandon(userdata);
    return 0;
}

static void on_connection_gone(struct call *call)
{
    abandon(call->userdata);
}

static int wait_for(struct peer *peer, sd_bus_message *message, struct probe_call **ret, sd_bus_error *error)
{
    _cleanup_(probe_call_free_p) struct probe_call *waiting = calloc(1, sizeof(*waiting));

    if (!waiting)
        return -ENOMEM;
    int r = call_new(peer, message, &waiting->call, error);
    if (r >= 0 && peer->is_broker)
        r = sd_bus_track_new(peer->bus, &waiting->caller, on_caller_gone, waiting);
    if (r >= 0 && peer->is_broker)
        r = sd_bus_track_add_sender(waiting->caller, message);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(waiting);
    return 0;
}

int manager_method_probe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(probe_call_free_p) struct probe_call *waiting = NULL;
    _cleanup_(access_done) struct access access = {0};
    struct manager_error fault;
    const char *url;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = sd_bus_message_read(m, "s", &url);
    if (r >= 0)
        r = options_read_access(m, &access, error);
    if (r >= 0)
        r = wait_for(peer, m, &waiting, error);
    if (r < 0)
        return r;
    if (manager_probe(peer->server->manager, url, &access, on_probed, waiting, &waiting->probing, &fault) < 0)
        return error_set(error, &fault);
    waiting->call->gone = on_connection_gone;
    waiting->call->userdata = waiting;
    (void)TAKE_PTR(waiting);
    return 1;
}
