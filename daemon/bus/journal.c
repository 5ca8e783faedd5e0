/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GetEvents: the journal, a page at a time. */
#include "bus/internal.h"

#include "core/limits.h"

#include "base/text.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>

static int append_error(sd_bus_message *reply, const struct event *event)
{
    _cleanup_free_ char *text = text_escape(event->error_text);

    if (!text)
        return -ENOMEM;
    return sd_bus_message_append(reply, "{sv}", "error", "(sus)", event->error_name ? event->error_name : "",
                                 event->error_code, text);
}

static int append_details(sd_bus_message *reply, const struct event *event)
{
    int r = sd_bus_message_append(reply, "{sv}", "count", "t", event->count);

    if (r >= 0 && event->job_id != 0)
        r = sd_bus_message_append(reply, "{sv}", "job", "t", event->job_id);
    if (r >= 0 && event->name)
        r = sd_bus_message_append(reply, "{sv}", "name", "s", event->name);
    if (r >= 0 && event->next_attempt_usec != 0)
        r = sd_bus_message_append(reply, "{sv}", "next_attempt", "t", event->next_attempt_usec);
    return r >= 0 && event->error_text ? append_error(reply, event) : r;
}

static int append_event(const struct event *event, void *userdata)
{
    sd_bus_message *reply = userdata;

    int r = sd_bus_message_open_container(reply, 'r', "ttsa{sv}");
    if (r >= 0)
        r = sd_bus_message_append(reply, "tts", event->sequence, event->at_usec, event_type_name(event->type));
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0)
        r = append_details(reply, event);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    r = r < 0 ? r : sd_bus_message_close_container(reply);
    return r < 0 ? r : 0;
}

int manager_method_get_events(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    uint64_t after, next = 0;
    uint32_t limit;
    bool gap = false;
    uid_t caller;

    if (!peer->is_broker && peer_is_busy(peer))
        return sd_bus_error_set(error, BITSQ_ERROR_LIMIT_REACHED, "read the replies that wait before asking for more");
    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = sd_bus_message_read(m, "tu", &after, &limit);
    if (r < 0)
        return r;
    if (limit == 0 || limit > STORE_PAGE_ROWS_MAX)
        return sd_bus_error_setf(error, BITSQ_ERROR_INVALID_ARGUMENT, "the limit must be 1 to %d events",
                                 STORE_PAGE_ROWS_MAX);
    r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ttsa{sv})");
    if (r >= 0)
        r = store_events(manager_store(peer->server->manager), false, caller, after, limit, append_event, reply, &next,
                         &gap);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "tb", next, gap);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
