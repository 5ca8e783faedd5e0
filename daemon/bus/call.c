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

void call_answer(void *userdata, const struct manager_result *result)
{
    struct call *call = userdata;

    if (result->error.fault != FAULT_NONE) {
        call_fail(call, &result->error);
    } else if (result->failures_count > 0) {
        call_fail(call, &result->failures[0].error);
    } else {
        (void)sd_bus_reply_method_return(call->message, NULL);
        call_free(call);
    }
}

int call_wait(struct call *call, int r, const struct manager_error *fault, sd_bus_error *error)
{
    if (r >= 0)
        return 1;
    call_free(call);
    return error_set(error, fault);
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
