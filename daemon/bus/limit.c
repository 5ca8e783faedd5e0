/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The limit of rate as properties of org.bitsq1.Manager. sd-bus answers a write as soon as its setter returns, which is
 * before anything is on disk: so a write is taken before the objects see it, and answered when it is durable.
 */
#include "bus/internal.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>
#include <string.h>

#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

static int set_limit(struct peer *peer, sd_bus_message *message, uint64_t rate, sd_bus_error *error)
{
    struct manager_error fault;
    struct call *call;

    int r = call_new(peer, message, &call, error);
    if (r < 0)
        return r;
    r = manager_set_limit(peer->server->manager, rate, call_answer, call, &fault);
    return call_wait(call, r, &fault, error);
}

int limit_catch_write(struct peer *peer, sd_bus_message *message, sd_bus_error *error)
{
    const char *interface, *property;
    uint64_t rate;
    uid_t caller;

    if (!sd_bus_message_is_method_call(message, PROPERTIES_INTERFACE, "Set") ||
        strcmp(sd_bus_message_get_path(message), BITSQ_DBUS_PATH) != 0 || !sd_bus_message_has_signature(message, "ssv"))
        return 0;
    int r = sd_bus_message_read(message, "ss", &interface, &property);
    if (r < 0 || strcmp(interface, MANAGER_INTERFACE) != 0 || strcmp(property, MANAGER_PROPERTY_RATE_LIMIT) != 0) {
        (void)sd_bus_message_rewind(message, true);
        return r < 0 ? r : 0;
    }
    r = auth_caller(peer, message, &caller, error);
    if (r < 0)
        return r;
    r = sd_bus_message_read(message, "v", MANAGER_PROPERTY_RATE_LIMIT_TYPE, &rate);
    if (r < 0)
        return sd_bus_error_set(error, BITSQ_ERROR_INVALID_ARGUMENT,
                                "RateLimit is a number of type t: bytes a second, 0 for no limit");
    return set_limit(peer, message, rate, error);
}

#define GETTER(name)                                                                                   \
    int manager_get_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
#define GETTER_UNUSED (void)bus, (void)path, (void)interface, (void)property, (void)error

static struct manager_limit limit_of(const struct peer *peer)
{
    struct manager_limit limit;

    manager_get_limit(peer->server->manager, &limit);
    return limit;
}

GETTER(rate_limit)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "t", limit_of(userdata).chosen);
}

/* For the introspection alone: limit_catch_write() comes first. */
int manager_set_rate_limit(sd_bus *bus, const char *path, const char *interface, const char *property,
                           sd_bus_message *value, void *userdata, sd_bus_error *error)
{
    GETTER_UNUSED;
    (void)value, (void)userdata;
    return -EOPNOTSUPP;
}

GETTER(effective_rate_limit)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "t", limit_of(userdata).rate);
}

GETTER(rate_limit_source)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "s", limit_source_name(limit_of(userdata).source));
}

GETTER(rate_limit_until)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "t", limit_of(userdata).until_usec);
}
