/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/bus.h"

#include "base/moment.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RECONNECT_MIN_USEC USEC_PER_SEC
#define RECONNECT_GROWTH   8 /* a machine without a bus will hardly get one, and shall not be woken for it */
#define RECONNECT_MAX_USEC (10 * USEC_PER_MIN)
#define MATCH_MAX          512 /* bytes; of names that stand in this box */
#define DBUS_NAME          "org.freedesktop.DBus"
#define DBUS_PATH          "/org/freedesktop/DBus"
#define LOCAL_NAME         "org.freedesktop.DBus.Local"
#define LOCAL_PATH         "/org/freedesktop/DBus/Local"
#define PROPERTIES         "org.freedesktop.DBus.Properties"

struct sense_bus {
    struct sense_bus_options options;
    char *address; /* NULL = the system bus */
    sd_bus *bus;
    sd_event_source *timer;
    uint64_t delay_usec;
    bool is_up;
};

/* ---- the connection ---- */

static void drop_bus(struct sense_bus *bus)
{
    if (!bus->bus)
        return;
    (void)sd_bus_detach_event(bus->bus);
    bus->bus = sd_bus_close_unref(bus->bus); /* not flushed: that would wait */
}

static void retry_later(struct sense_bus *bus)
{
    if (sd_event_source_set_time_relative(bus->timer, bus->delay_usec) < 0 ||
        sd_event_source_set_enabled(bus->timer, SD_EVENT_ONESHOT) < 0)
        return; /* the loop is at its end */
    bus->delay_usec = RECONNECT_GROWTH * bus->delay_usec;
    if (bus->delay_usec > RECONNECT_MAX_USEC)
        bus->delay_usec = RECONNECT_MAX_USEC;
}

static int on_connected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct sense_bus *bus = userdata;

    (void)m, (void)error;
    bus->is_up = true;
    bus->delay_usec = RECONNECT_MIN_USEC;
    bus->options.up(bus->options.userdata, bus->bus);
    return 0;
}

/* The connection itself goes when the next one is made: it cannot be opened again, and this is a call of its own. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct sense_bus *bus = userdata;

    (void)m, (void)error;
    if (bus->is_up) {
        bus->is_up = false;
        bus->options.down(bus->options.userdata);
    }
    retry_later(bus);
    return 0;
}

static int match_local(struct sense_bus *bus, const char *member, sd_bus_message_handler_t handler)
{
    return sd_bus_match_signal(bus->bus, NULL, NULL, LOCAL_PATH, LOCAL_NAME, member, handler, bus);
}

static int set_address(sd_bus *bus, const char *address)
{
    const char *system = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");

    if (!address)
        address = system && *system ? system : "unix:path=/run/dbus/system_bus_socket";
    return sd_bus_set_address(bus, address);
}

static int connect_bus(struct sense_bus *bus)
{
    int r = sd_bus_new(&bus->bus);

    if (r >= 0)
        r = set_address(bus->bus, bus->address);
    if (r >= 0)
        r = sd_bus_set_bus_client(bus->bus, true);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(bus->bus, false);
    if (r >= 0)
        r = sd_bus_negotiate_fds(bus->bus, true); /* an inhibitor is a descriptor */
    if (r >= 0)
        r = sd_bus_set_connected_signal(bus->bus, true);
    if (r >= 0)
        r = match_local(bus, "Connected", on_connected);
    if (r >= 0)
        r = match_local(bus, "Disconnected", on_disconnected);
    if (r >= 0)
        r = sd_bus_attach_event(bus->bus, bus->options.event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_start(bus->bus);
    return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct sense_bus *bus = userdata;

    (void)source, (void)usec;
    drop_bus(bus);
    if (connect_bus(bus) < 0) {
        drop_bus(bus);
        retry_later(bus);
    }
    return 0;
}

int sense_bus_new(const struct sense_bus_options *options, struct sense_bus **ret)
{
    _cleanup_(sense_bus_free_p) struct sense_bus *bus = calloc(1, sizeof(*bus));

    if (!bus)
        return -ENOMEM;
    bus->options = *options;
    bus->options.event = sd_event_ref(options->event);
    bus->delay_usec = RECONNECT_MIN_USEC;
    if (options->address && !(bus->address = strdup(options->address)))
        return -ENOMEM;
    if (!bus->address || *bus->address) {
        /* The first attempt is the loop's as well: nobody is told from within this call. */
        int r = sd_event_add_time_relative(options->event, &bus->timer, CLOCK_MONOTONIC, 0, 1, on_timer, bus);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(bus);
    return 0;
}

struct sense_bus *sense_bus_free(struct sense_bus *bus)
{
    if (!bus)
        return NULL;
    drop_bus(bus);
    sd_event_source_disable_unref(bus->timer);
    sd_event_unref(bus->options.event);
    free(bus->address);
    free(bus);
    return NULL;
}

/* ---- services ---- */

static void set_owner(struct sense_service *service, const char *owner)
{
    if (strcmp(service->owner, owner) == 0)
        return;
    if (*service->owner) {
        *service->owner = '\0';
        service->moved(service->userdata, false);
    }
    if (*owner && text_copy(service->owner, sizeof(service->owner), owner))
        service->moved(service->userdata, true);
}

void sense_service_lost(struct sense_service *service)
{
    set_owner(service, "");
}

bool sense_service_sent(const struct sense_service *service, sd_bus_message *m)
{
    const char *sender = sd_bus_message_get_sender(m);

    return *service->owner && sender && strcmp(sender, service->owner) == 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *name, *old, *new, *sender = sd_bus_message_get_sender(m);
    struct sense_service *service = userdata;

    (void)error;
    if (sender && strcmp(sender, DBUS_NAME) == 0 && sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 &&
        strcmp(name, service->name) == 0)
        set_owner(service, new);
    return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *owner;

    (void)error;
    if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "s", &owner) >= 0)
        set_owner(userdata, owner);
    return 0;
}

int sense_service_follow(sd_bus *bus, struct sense_service *service)
{
    char match[MATCH_MAX];

    *service->owner = '\0';
    int n = snprintf(match, sizeof(match),
                     "type='signal',sender='" DBUS_NAME "',path='" DBUS_PATH "',interface='" DBUS_NAME
                     "',member='NameOwnerChanged',arg0='%s'",
                     service->name);
    assert(n > 0 && (size_t)n < sizeof(match));
    /* Followed first, asked then: an owner that comes in between is told of twice, and none is missed. */
    int r = sd_bus_add_match_async(bus, NULL, match, on_owner_changed, NULL, service);
    if (r < 0)
        return r;
    return sd_bus_call_method_async(bus, NULL, DBUS_NAME, DBUS_PATH, DBUS_NAME, "GetNameOwner", on_owner, service, "s",
                                    service->name);
}

int sense_call(sd_bus *bus, sd_bus_slot **ret_slot, const struct sense_service *service, const char *path,
               const char *interface, const char *method, sd_bus_message_handler_t answered, void *userdata,
               const char *types, ...)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    va_list arguments;

    int r = sd_bus_message_new_method_call(bus, &m, service->name, path, interface, method);
    if (r >= 0)
        r = sd_bus_message_set_auto_start(m, false);
    if (r < 0)
        return r;
    va_start(arguments, types);
    r = sd_bus_message_appendv(m, types, arguments);
    va_end(arguments);
    return r < 0 ? r : sd_bus_call_async(bus, ret_slot, m, answered, userdata, 0);
}

int sense_get_all(sd_bus *bus, sd_bus_slot **ret_slot, const struct sense_service *service, const char *path,
                  const char *interface, sd_bus_message_handler_t answered, void *userdata)
{
    return sense_call(bus, ret_slot, service, path, PROPERTIES, "GetAll", answered, userdata, "s", interface);
}

int sense_match_properties(sd_bus *bus, const struct sense_service *service, const char *path, const char *interface,
                           sd_bus_message_handler_t changed, void *userdata)
{
    char match[MATCH_MAX];

    int n = snprintf(match, sizeof(match),
                     "type='signal',sender='%s',path_namespace='%s',interface='" PROPERTIES
                     "',member='PropertiesChanged',arg0='%s'",
                     service->name, path, interface);
    assert(n > 0 && (size_t)n < sizeof(match));
    return sd_bus_add_match_async(bus, NULL, match, changed, NULL, userdata);
}

/* ---- properties ---- */

static int read_property(sd_bus_message *m, sense_property_t property, void *userdata)
{
    const char *name, *type;

    int r = sd_bus_message_read_basic(m, 's', &name);
    if (r >= 0)
        r = sd_bus_message_peek_type(m, NULL, &type);
    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'v', type);
    if (r < 0)
        return r;
    r = property(userdata, name, m, type);
    if (r >= 0 && sd_bus_message_at_end(m, false) == 0)
        r = sd_bus_message_skip(m, NULL);
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    return r;
}

int sense_read_properties(sd_bus_message *m, sense_property_t property, void *userdata)
{
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = read_property(m, property, userdata);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}
