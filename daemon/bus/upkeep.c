/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What concerns the queue as a whole. */
#include "bus/internal.h"

#include <dbus/vtables.h>
#include <string.h>

int manager_method_get_totals(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    struct totals totals = {0};
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = manager_totals(peer->server->manager, caller, &totals);
    return r < 0 ? r
                 : sd_bus_reply_method_return(m, "a{st}", 6, "since", totals.since_usec, "done", totals.done, "failed",
                                              totals.failed, "cancelled", totals.cancelled, "uploaded",
                                              totals.uploaded_bytes, "resent", totals.resent_bytes);
}

static void on_dropped(void *userdata, const struct manager_result *result)
{
    struct call *call = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

    if (result->error.fault != FAULT_NONE) {
        call_fail(call, &result->error);
        return;
    }
    int r = sd_bus_message_new_method_return(call->message, &reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "t", result->dropped);
    if (r >= 0)
        r = sd_bus_message_append_array(reply, 'y', result->saved, strlen(result->saved));
    if (r >= 0)
        (void)sd_bus_send(NULL, reply, NULL);
    call_free(call);
}

int manager_method_drop_quarantine(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    struct manager_error fault;
    struct call *call;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    r = manager_drop_quarantine(peer->server->manager, on_dropped, call, &fault);
    return call_wait(call, r, &fault, error);
}
