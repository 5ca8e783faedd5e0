/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection: made, waited on, lost. */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define CONNECT_TRIES 5 /* a holder may leave between the question for its address and the connection */

_public_ int bitsq_client_new(bitsq_client **ret_client)
{
    bitsq_client *client = calloc(1, sizeof(*client));

    if (!client)
        return -ENOMEM;
    *ret_client = client;
    return 0;
}

_public_ bitsq_client *bitsq_client_free(bitsq_client *client)
{
    if (!client)
        return NULL;
    sd_bus_close_unref(client->bus);
    for (size_t i = 0; i < client->failures_count; i++) {
        free(client->failures[i].name);
        free(client->failures[i].message);
    }
    free(client->failures);
    free(client);
    return NULL;
}

static int open_address(const char *address, sd_bus **ret)
{
    _cleanup_(sd_bus_unref_p) sd_bus *bus = NULL;

    int r = sd_bus_new(&bus);
    if (r < 0 || (r = sd_bus_set_address(bus, address)) < 0 || (r = sd_bus_set_exit_on_disconnect(bus, 0)) < 0 ||
        (r = sd_bus_start(bus)) < 0)
        return r;
    *ret = TAKE_PTR(bus);
    return 0;
}

/* "0.1" of "0.1.7": releases that differ in the last number only speak the same contract. */
static size_t significant_length(const char *version)
{
    const char *dot = strchr(version, '.');
    const char *second = dot ? strchr(dot + 1, '.') : NULL;

    return second ? (size_t)(second - version) : strlen(version);
}

/* The first call on a new connection: proves that the daemon answers, and that it is of our version. */
static int check_version(bitsq_client *client, sd_bus *bus, bool any_version)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;
    const char *version;

    int r = sd_bus_message_new_method_call(bus, &call, NULL, BITSQ_DBUS_PATH, "org.freedesktop.DBus.Properties", "Get");
    if (r >= 0)
        r = sd_bus_message_append(call, "ss", MANAGER_INTERFACE, MANAGER_PROPERTY_VERSION);
    if (r >= 0)
        r = sd_bus_call(bus, call, PROBE_TIMEOUT_USEC, &error, &reply);
    if (r >= 0)
        r = sd_bus_message_read(reply, "v", "s", &version);
    if (r < 0) {
        r = client_fail_bus(client, r, &error);
        sd_bus_error_free(&error);
        return r;
    }
    size_t length = significant_length(BITSQ_VERSION);
    if (any_version || (significant_length(version) == length && strncmp(version, BITSQ_VERSION, length) == 0))
        return 0;
    return client_fail(client, -EPROTO, "VersionMismatch",
                       "the daemon that runs is version %s and this command %s; replace it with `bitsq daemon restart`",
                       version, BITSQ_VERSION);
}

_public_ int bitsq_client_connect(bitsq_client *client, unsigned flags)
{
    int r = 0;

    client->bus = sd_bus_close_unref(client->bus);
    client->started = false;
    for (int try = 0; try < CONNECT_TRIES; try++) {
        _cleanup_(sd_bus_unref_p) sd_bus *bus = NULL;
        _cleanup_free_ char *address = NULL;
        bool started;

        r = discover_daemon(client, !(flags & BITSQ_CONNECT_NO_START), &address, &started);
        if (r < 0)
            return r;
        client->started = client->started || started;
        r = open_address(address, &bus);
        if (r >= 0)
            r = check_version(client, bus, flags & BITSQ_CONNECT_ANY_VERSION);
        else
            r = client_fail_bus(client, r, NULL);
        if (r >= 0) {
            client->bus = TAKE_PTR(bus);
            return 0;
        }
        sd_bus_close(bus);
        if (r != -ENOTCONN)
            return r;
    }
    return client_fail(client, -ECONNREFUSED, "NoDaemon",
                       "the daemon does not accept connections; see `bitsq daemon status` and its log");
}

_public_ int bitsq_client_started_daemon(const bitsq_client *client)
{
    return client->started;
}

static int call_plain(bitsq_client *client, const char *method, bool with_filter)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL;

    int r = client_manager_call(client, method, &call);
    if (r < 0)
        return r;
    if (with_filter)
        r = client_check_append(client, sd_bus_message_append(call, "a{sv}", 0));
    return r < 0 ? r : client_call(client, call, NULL);
}

_public_ int bitsq_client_subscribe(bitsq_client *client)
{
    return call_plain(client, MANAGER_SUBSCRIBE, true);
}

_public_ int bitsq_client_unsubscribe(bitsq_client *client)
{
    return call_plain(client, MANAGER_UNSUBSCRIBE, false);
}

_public_ int bitsq_client_reload(bitsq_client *client)
{
    return call_plain(client, MANAGER_RELOAD, false);
}

_public_ int bitsq_client_get_fd(bitsq_client *client)
{
    return client->bus ? sd_bus_get_fd(client->bus) : -ENOTCONN;
}

_public_ int bitsq_client_get_events(bitsq_client *client)
{
    return client->bus ? sd_bus_get_events(client->bus) : -ENOTCONN;
}

_public_ int bitsq_client_get_timeout(bitsq_client *client, uint64_t *ret_usec)
{
    if (!client->bus)
        return -ENOTCONN;
    int r = sd_bus_get_timeout(client->bus, ret_usec);
    return r < 0 ? r : 0;
}

/* The end of a connection is told once; later calls fail until the caller connects again. */
static int client_lose(bitsq_client *client, bitsq_event **ret_event)
{
    client->bus = sd_bus_close_unref(client->bus);
    int r = event_new_disconnected(ret_event);
    return r < 0 ? client_fail_memory(client) : 1;
}

_public_ int bitsq_client_dispatch(bitsq_client *client, bitsq_event **ret_event)
{
    if (!client->bus)
        return client_fail(client, -ENOTCONN, "Disconnected", "there is no connection to the daemon; connect first");
    for (;;) {
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        int r = sd_bus_process(client->bus, &m);
        if (r < 0 || (r == 0 && sd_bus_is_open(client->bus) <= 0))
            return client_lose(client, ret_event);
        if (r == 0)
            return 0;
        if (!m)
            continue;
        r = event_from_message(m, ret_event);
        if (r > 0 && bitsq_event_get_type(*ret_event) == BITSQ_EVENT_DISCONNECTED)
            client->bus = sd_bus_close_unref(client->bus);
        if (r != 0)
            return r > 0 ? r : client_check_reply(client, r);
    }
}

_public_ int bitsq_client_wait(bitsq_client *client, uint64_t timeout_usec)
{
    if (!client->bus)
        return client_fail(client, -ENOTCONN, "Disconnected", "there is no connection to the daemon; connect first");
    int r = sd_bus_wait(client->bus, timeout_usec);
    if (r == -EINTR)
        return client_fail(client, r, "Failed", "interrupted by a signal");
    return r < 0 ? client_fail_bus(client, r, NULL) : r > 0;
}
