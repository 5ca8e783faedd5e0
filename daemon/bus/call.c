/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Method calls whose reply waits: parked here, answered exactly once, harmless when the caller has gone meanwhile. */
#include "bus/internal.h"

#include "core/limits.h"

#include <dbus/names.h>
#include <errno.h>

int call_new(struct peer *peer, sd_bus_message *message, struct call **ret, sd_bus_error *error)
{
    struct call *call;

    if (peer->calls_count >= BUS_PENDING_MAX)
        return sd_bus_error_set(error, BITSQ_ERROR_LIMIT_REACHED,
                                "too many calls of this client wait for the disk; wait for their replies first");
    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    call->peer = peer;
    call->message = sd_bus_message_ref(message);
    TAILQ_INSERT_TAIL(&peer->calls, call, entry);
    peer->calls_count++;
    *ret = call;
    return 0;
}

struct call *call_free(struct call *call)
{
    if (!call)
        return NULL;
    if (call->peer) {
        TAILQ_REMOVE(&call->peer->calls, call, entry);
        call->peer->calls_count--;
    }
    sd_bus_message_unref(call->message);
    free(call);
    return NULL;
}

void call_fail(struct call *call, const struct manager_error *fault)
{
    /* A failure to reply means that the caller has gone: nobody is left to tell. */
    (void)sd_bus_reply_method_errorf(call->message, error_name(fault->fault), "%s", fault->text);
    call_free(call);
}

void peer_forget_calls(struct peer *peer)
{
    struct call *call;

    while ((call = TAILQ_FIRST(&peer->calls)) != NULL) {
        TAILQ_REMOVE(&peer->calls, call, entry);
        peer->calls_count--;
        call->peer = NULL;
        if (call->gone)
            call->gone(call);
    }
}
