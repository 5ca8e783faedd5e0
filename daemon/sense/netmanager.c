/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/netmanager.h"

#include "sense/bus.h"

#include "base/text.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/queue.h>

#define MANAGER_NAME     "org.freedesktop.NetworkManager"
#define MANAGER_PATH     "/org/freedesktop/NetworkManager"
#define DEVICE_INTERFACE "org.freedesktop.NetworkManager.Device"
#define STATE_UNMANAGED  10   /* it leaves the device to others; below is only "unknown" */
#define DEVICES_MAX      1024 /* more than that are asked for nothing */

struct device {
    TAILQ_ENTRY(device) entry;
    struct netmanager *manager;
    char *path;
    char interface[IF_NAMESIZE];
    char ip_interface[IF_NAMESIZE]; /* of a modem: the one with the addresses */
    struct netmanager_view view;
    sd_bus_slot *call;
    bool is_unmanaged;
    bool is_listed;
};

struct netmanager {
    struct sense_bus *connection;
    sd_bus *bus; /* while it is up */
    struct sense_service service;
    struct netmanager_view view;
    TAILQ_HEAD(device_list, device) devices;
    size_t devices_count;
    sd_bus_slot *call;
    void (*changed)(void *userdata);
    void *userdata;
};

/* ---- values ---- */

static enum network_connectivity connectivity_of(uint32_t value)
{
    switch (value) {
    case 1:
        return CONNECTIVITY_NONE;
    case 2:
        return CONNECTIVITY_PORTAL;
    case 3:
        return CONNECTIVITY_LIMITED;
    case 4:
        return CONNECTIVITY_FULL;
    default:
        return CONNECTIVITY_UNKNOWN;
    }
}

static enum network_metered metered_of(uint32_t value)
{
    switch (value) {
    case 1: /* yes */
    case 3: /* a guess */
        return METERED_YES;
    case 2:
    case 4:
        return METERED_NO;
    default:
        return METERED_UNKNOWN;
    }
}

static bool is_number(const char *name, const char *type, const char *wanted)
{
    return strcmp(name, wanted) == 0 && strcmp(type, "u") == 0;
}

static int read_metered(sd_bus_message *m, enum network_metered *ret)
{
    uint32_t value;
    int r = sd_bus_message_read_basic(m, 'u', &value);

    if (r >= 0)
        *ret = metered_of(value);
    return r;
}

static int read_connectivity(sd_bus_message *m, enum network_connectivity *ret)
{
    uint32_t value;
    int r = sd_bus_message_read_basic(m, 'u', &value);

    if (r >= 0)
        *ret = connectivity_of(value);
    return r;
}

/* ---- devices ---- */

static struct device *find_device(const struct netmanager *manager, const char *path)
{
    struct device *device;

    TAILQ_FOREACH (device, &manager->devices, entry)
        if (strcmp(device->path, path) == 0)
            return device;
    return NULL;
}

static void remove_device(struct device *device)
{
    TAILQ_REMOVE(&device->manager->devices, device, entry);
    device->manager->devices_count--;
    sd_bus_slot_unref(device->call);
    free(device->path);
    free(device);
}

static int read_name(sd_bus_message *m, char name[static IF_NAMESIZE])
{
    const char *text;
    int r = sd_bus_message_read_basic(m, 's', &text);

    if (r >= 0)
        (void)text_copy(name, IF_NAMESIZE, text);
    return r;
}

static int read_state(sd_bus_message *m, bool *ret_unmanaged)
{
    uint32_t value;
    int r = sd_bus_message_read_basic(m, 'u', &value);

    if (r >= 0)
        *ret_unmanaged = value <= STATE_UNMANAGED;
    return r;
}

static int device_property(void *userdata, const char *name, sd_bus_message *m, const char *type)
{
    struct device *device = userdata;

    if (is_number(name, type, "Metered"))
        return read_metered(m, &device->view.metered);
    if (is_number(name, type, "Ip4Connectivity"))
        return read_connectivity(m, &device->view.ipv4);
    if (is_number(name, type, "Ip6Connectivity"))
        return read_connectivity(m, &device->view.ipv6);
    if (is_number(name, type, "State"))
        return read_state(m, &device->is_unmanaged);
    if (strcmp(name, "Interface") == 0 && strcmp(type, "s") == 0)
        return read_name(m, device->interface);
    if (strcmp(name, "IpInterface") == 0 && strcmp(type, "s") == 0)
        return read_name(m, device->ip_interface);
    return 0;
}

static bool is_same_view(const struct netmanager_view *a, const struct netmanager_view *b)
{
    return a->metered == b->metered && a->ipv4 == b->ipv4 && a->ipv6 == b->ipv6;
}

static void take_device(struct device *device, sd_bus_message *m)
{
    const struct device before = *device;

    (void)sense_read_properties(m, device_property, device);
    if (!is_same_view(&before.view, &device->view) || before.is_unmanaged != device->is_unmanaged ||
        strcmp(before.interface, device->interface) != 0 || strcmp(before.ip_interface, device->ip_interface) != 0)
        device->manager->changed(device->manager->userdata);
}

static int on_device(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct device *device = userdata;

    (void)error;
    device->call = sd_bus_slot_unref(device->call);
    if (!sd_bus_message_is_method_error(m, NULL))
        take_device(device, m);
    return 0;
}

static int on_device_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct netmanager *manager = userdata;
    struct device *device = find_device(manager, sd_bus_message_get_path(m));

    (void)error;
    if (device && sense_service_sent(&manager->service, m) && sd_bus_message_skip(m, "s") >= 0)
        take_device(device, m);
    return 0;
}

static int add_device(struct netmanager *manager, const char *path)
{
    struct device *device = calloc(1, sizeof(*device));

    if (!device || !(device->path = strdup(path))) {
        free(device);
        return -ENOMEM;
    }
    device->manager = manager;
    device->is_listed = true;
    TAILQ_INSERT_TAIL(&manager->devices, device, entry);
    manager->devices_count++;
    return sense_get_all(manager->bus, &device->call, &manager->service, path, DEVICE_INTERFACE, on_device, device);
}

static int read_devices(struct netmanager *manager, sd_bus_message *m)
{
    struct device *device, *next;
    const char *path;

    TAILQ_FOREACH (device, &manager->devices, entry)
        device->is_listed = false;
    int r = sd_bus_message_enter_container(m, 'a', "o");
    while (r >= 0 && (r = sd_bus_message_read_basic(m, 'o', &path)) > 0) {
        device = find_device(manager, path);
        if (device)
            device->is_listed = true;
        else if (manager->devices_count < DEVICES_MAX)
            r = add_device(manager, path);
    }
    if (r < 0)
        return r;
    for (device = TAILQ_FIRST(&manager->devices); device; device = next) {
        next = TAILQ_NEXT(device, entry);
        if (!device->is_listed)
            remove_device(device);
    }
    manager->changed(manager->userdata);
    return sd_bus_message_exit_container(m);
}

/* ---- the manager ---- */

static int manager_property(void *userdata, const char *name, sd_bus_message *m, const char *type)
{
    struct netmanager *manager = userdata;

    if (is_number(name, type, "Connectivity"))
        return read_connectivity(m, &manager->view.ipv4);
    if (is_number(name, type, "Metered"))
        return read_metered(m, &manager->view.metered);
    if (strcmp(name, "Devices") == 0 && strcmp(type, "ao") == 0)
        return read_devices(manager, m);
    return 0;
}

static void take_manager(struct netmanager *manager, sd_bus_message *m)
{
    const struct netmanager_view before = manager->view;

    (void)sense_read_properties(m, manager_property, manager);
    manager->view.ipv6 = manager->view.ipv4; /* it is one for both */
    if (!is_same_view(&before, &manager->view))
        manager->changed(manager->userdata);
}

static int on_manager(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct netmanager *manager = userdata;

    (void)error;
    manager->call = sd_bus_slot_unref(manager->call);
    if (!sd_bus_message_is_method_error(m, NULL))
        take_manager(manager, m);
    return 0;
}

static int on_manager_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct netmanager *manager = userdata;

    (void)error;
    if (sense_service_sent(&manager->service, m) && sd_bus_message_skip(m, "s") >= 0)
        take_manager(manager, m);
    return 0;
}

static void forget_all(struct netmanager *manager)
{
    struct device *device;

    manager->call = sd_bus_slot_unref(manager->call);
    manager->view = (struct netmanager_view){0};
    while ((device = TAILQ_FIRST(&manager->devices)) != NULL)
        remove_device(device);
}

static void on_moved(void *userdata, bool is_there)
{
    struct netmanager *manager = userdata;

    forget_all(manager);
    if (is_there)
        (void)sense_get_all(manager->bus, &manager->call, &manager->service, MANAGER_PATH, MANAGER_NAME, on_manager,
                            manager);
    else
        manager->changed(manager->userdata);
}

static void on_up(void *userdata, sd_bus *bus)
{
    struct netmanager *manager = userdata;

    manager->bus = bus;
    (void)sense_match_properties(bus, &manager->service, MANAGER_PATH, MANAGER_NAME, on_manager_changed, manager);
    (void)sense_match_properties(bus, &manager->service, MANAGER_PATH, DEVICE_INTERFACE, on_device_changed, manager);
    (void)sense_service_follow(bus, &manager->service);
}

static void on_down(void *userdata)
{
    struct netmanager *manager = userdata;

    sense_service_lost(&manager->service);
    manager->bus = NULL;
}

int netmanager_new(sd_event *event, const char *bus_address, void (*changed)(void *userdata), void *userdata,
                   struct netmanager **ret)
{
    _cleanup_(netmanager_free_p) struct netmanager *manager = calloc(1, sizeof(*manager));

    if (!manager)
        return -ENOMEM;
    TAILQ_INIT(&manager->devices);
    manager->changed = changed;
    manager->userdata = userdata;
    manager->service = (struct sense_service){.name = MANAGER_NAME, .moved = on_moved, .userdata = manager};
    const struct sense_bus_options options = {
        .event = event, .address = bus_address, .up = on_up, .down = on_down, .userdata = manager};
    int r = sense_bus_new(&options, &manager->connection);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(manager);
    return 0;
}

struct netmanager *netmanager_free(struct netmanager *manager)
{
    if (!manager)
        return NULL;
    forget_all(manager);
    sense_bus_free(manager->connection);
    free(manager);
    return NULL;
}

bool netmanager_device(const struct netmanager *manager, const char *name, struct netmanager_view *ret)
{
    const struct device *device;

    *ret = (struct netmanager_view){0};
    if (!*name) /* as devices without an address have it for their second name */
        return false;
    TAILQ_FOREACH (device, &manager->devices, entry)
        if (strcmp(device->interface, name) == 0 || strcmp(device->ip_interface, name) == 0) {
            if (device->is_unmanaged)
                return false;
            *ret = device->view;
            return true;
        }
    return false;
}

void netmanager_machine(const struct netmanager *manager, struct netmanager_view *ret)
{
    *ret = manager->view;
}
