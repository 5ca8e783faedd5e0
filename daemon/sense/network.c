/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/network.h"

#include "sense/kernel.h"
#include "sense/netmanager.h"

#include "base/moment.h"
#include "base/text.h"

#include <errno.h>
#include <sys/socket.h>

/* A link that comes up is some twenty messages: they are told as one. */
#define SETTLE_USEC (50 * USEC_PER_MSEC)

struct network {
    struct kernel *kernel;
    struct netmanager *manager;
    sd_event_source *timer;
    void (*changed)(void *userdata);
    void *userdata;
};

/* ---- telling ---- */

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct network *network = userdata;

    (void)source, (void)usec;
    network->changed(network->userdata);
    return 0;
}

/* The timer is not put off by what comes after: changes without end are told too. */
static void on_change(void *userdata)
{
    struct network *network = userdata;
    int enabled = SD_EVENT_OFF;

    if (sd_event_source_get_enabled(network->timer, &enabled) > 0)
        return;
    (void)sd_event_source_set_time_relative(network->timer, SETTLE_USEC);
    (void)sd_event_source_set_enabled(network->timer, SD_EVENT_ONESHOT);
}

/* ---- paths ---- */

static enum network_connectivity better_of(enum network_connectivity a, enum network_connectivity b)
{
    return a > b ? a : b;
}

/* It manages the device, but does not look what that one reaches. */
static bool is_unchecked(const struct netmanager_view *view)
{
    return view->ipv4 == CONNECTIVITY_UNKNOWN && view->ipv6 == CONNECTIVITY_UNKNOWN;
}

static bool has_default_route(const struct network *network, uint32_t index)
{
    uint32_t way_out = 0;

    return kernel_way_out(network->kernel, &way_out) >= 0 && way_out == index;
}

/*
 * What leaves by a tunnel that NetworkManager says nothing of leaves over the primary connection in the end; and what
 * it says of the machine as a whole is what the device with the default route reaches. Of any other device that it does
 * not manage, nobody says anything.
 */
static void ask_manager(const struct network *network, int family, struct network_path *path)
{
    struct netmanager_view view, machine;

    bool is_managed = netmanager_device(network->manager, path->device, &view);
    if (!*path->device || link_is_point_to_point(links_find(kernel_links(network->kernel), path->ifindex))) {
        netmanager_machine(network->manager, &machine);
        view.metered = view.metered == METERED_UNKNOWN ? machine.metered : view.metered;
        view.ipv4 = view.ipv4 == CONNECTIVITY_UNKNOWN ? machine.ipv4 : view.ipv4;
        view.ipv6 = view.ipv6 == CONNECTIVITY_UNKNOWN ? machine.ipv6 : view.ipv6;
    }
    if (is_managed && is_unchecked(&view) && has_default_route(network, path->ifindex)) {
        netmanager_machine(network->manager, &machine);
        view.ipv4 = machine.ipv4;
        view.ipv6 = machine.ipv6;
    }
    path->metered = view.metered;
    if (family == AF_UNSPEC)
        path->connectivity = better_of(view.ipv4, view.ipv6);
    else
        path->connectivity = family == AF_INET ? view.ipv4 : view.ipv6;
}

static void set_device(const struct network *network, uint32_t index, struct network_path *path)
{
    const struct link *link = links_find(kernel_links(network->kernel), index);

    path->ifindex = index;
    if (link)
        (void)text_copy(path->device, sizeof(path->device), link->name);
}

/* Where the kernel could not be asked, a route holds nothing back: the attempt will tell. */
static void find_way_out(const struct network *network, struct network_path *path)
{
    uint32_t index = 0;
    int r = kernel_way_out(network->kernel, &index);

    path->has_route = r < 0 || index > 0;
    if (index > 0)
        set_device(network, index, path);
}

static void find_route(const struct network *network, const struct address *address, struct network_path *path)
{
    struct route route = {0};
    int r = kernel_lookup(network->kernel, address, &route);

    path->is_local = route.is_local || address_is_loopback(address);
    path->has_route = r >= 0 || r == -EIO || path->is_local;
    if (r >= 0)
        set_device(network, route.index, path);
}

void network_path(const struct network *network, const char *text, struct network_path *ret)
{
    struct network_path path = {0};
    struct address address = {.family = AF_UNSPEC};

    if (text && address_parse(text, &address) >= 0)
        find_route(network, &address, &path);
    else
        find_way_out(network, &path);
    if (path.has_route && !path.is_local)
        ask_manager(network, address.family, &path);
    *ret = path;
}

bool network_has_address(const struct network *network, const char *text)
{
    struct address address;

    if (!text || address_parse(text, &address) < 0)
        return false;
    return address_is_loopback(&address) || links_have_address(kernel_links(network->kernel), &address);
}

/* ---- its life ---- */

int network_new(const struct network_options *options, struct network **ret)
{
    _cleanup_(network_free_p) struct network *network = calloc(1, sizeof(*network));

    if (!network)
        return -ENOMEM;
    network->changed = options->changed;
    network->userdata = options->userdata;
    /* An accuracy of 0 would mean 250 ms. */
    int r = sd_event_add_time_relative(options->event, &network->timer, CLOCK_MONOTONIC, 0, 1, on_timer, network);
    if (r >= 0)
        r = sd_event_source_set_enabled(network->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = kernel_new(options->event, on_change, network, &network->kernel);
    if (r >= 0)
        r = netmanager_new(options->event, options->bus_address, on_change, network, &network->manager);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(network);
    return 0;
}

struct network *network_free(struct network *network)
{
    if (!network)
        return NULL;
    netmanager_free(network->manager);
    kernel_free(network->kernel);
    sd_event_source_disable_unref(network->timer);
    free(network);
    return NULL;
}
