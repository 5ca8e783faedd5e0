/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What concerns the queue as a whole. */
#include "bus/internal.h"

#include <dbus/vtables.h>

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
