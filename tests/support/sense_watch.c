/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Says what the box "sense" says: sense-watch network|power|mounts [BUS-ADDRESS|system]. Commands come as lines on
 * standard input, and each has one line "= ..." for an answer; what happens is told as "! ...". It ends with its input.
 */
#include "sense/mounts.h"
#include "sense/network.h"
#include "sense/power.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

struct watch {
    sd_event *event;
    struct network *network;
    struct power *power;
    struct mounts *mounts;
    char input[4096];
    size_t length;
};

static void on_changed(void *userdata)
{
    (void)userdata;
    puts("! changed");
}

static void on_sleeping(void *userdata, bool asleep)
{
    (void)userdata;
    puts(asleep ? "! asleep" : "! awake");
}

static void say_path(const struct watch *watch, const char *address)
{
    static const char *const connectivities[] = {"unknown", "none", "portal", "limited", "full"};
    static const char *const metereds[] = {"unknown", "no", "yes"};
    struct network_path path;

    network_path(watch->network, address, &path);
    assert(*path.device ? path.ifindex > 0 : path.ifindex == 0);
    printf("= %s %s %s %s\n", !path.has_route ? "none" : (path.is_local ? "local" : "route"),
           *path.device ? path.device : "-", connectivities[path.connectivity], metereds[path.metered]);
}

static void say_power(const struct watch *watch)
{
    struct power_state state;
    char percent[8];

    power_get(watch->power, &state);
    (void)snprintf(percent, sizeof(percent), "%u", state.percent);
    printf("= %s %s %s\n", state.known ? "known" : "unknown", state.on_battery ? "battery" : "mains",
           state.percent_known ? percent : "-");
    assert(state.percent_known || state.percent == 100);
}

static void act(struct watch *watch, const char *command)
{
    if (strncmp(command, "path ", 5) == 0)
        say_path(watch, command + 5);
    else if (strcmp(command, "path") == 0)
        say_path(watch, NULL);
    else if (strncmp(command, "has ", 4) == 0)
        puts(network_has_address(watch->network, command + 4) ? "= yes" : "= no");
    else if (strcmp(command, "power") == 0)
        say_power(watch);
    else if (strcmp(command, "allow") == 0)
        power_allow_sleep(watch->power), puts("= ok");
    else if (strcmp(command, "hold") == 0)
        power_hold_awake(watch->power, true), puts("= ok");
    else if (strcmp(command, "release") == 0)
        power_hold_awake(watch->power, false), puts("= ok");
    else
        puts("= what?");
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct watch *watch = userdata;
    char *end;

    (void)source, (void)revents;
    ssize_t received = read(fd, watch->input + watch->length, sizeof(watch->input) - watch->length);
    if (received <= 0)
        return sd_event_exit(watch->event, received < 0);
    watch->length += (size_t)received;
    while ((end = memchr(watch->input, '\n', watch->length)) != NULL) {
        size_t used = (size_t)(end - watch->input) + 1;
        *end = '\0';
        act(watch, watch->input);
        watch->length -= used;
        memmove(watch->input, end + 1, watch->length);
    }
    return 0;
}

static int begin(struct watch *watch, const char *what, const char *address)
{
    const struct network_options network = {.event = watch->event, .bus_address = address, .changed = on_changed};
    const struct power_options power = {
        .event = watch->event, .bus_address = address, .changed = on_changed, .sleeping = on_sleeping};

    if (strcmp(what, "network") == 0)
        return network_new(&network, &watch->network);
    if (strcmp(what, "power") == 0)
        return power_new(&power, &watch->power);
    return mounts_new(watch->event, on_changed, NULL, &watch->mounts);
}

int main(int argc, char **argv)
{
    struct watch watch = {0};

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || sd_event_new(&watch.event) < 0)
        return 2;
    const char *address = argc > 2 ? argv[2] : "";
    int r = begin(&watch, argv[1], strcmp(address, "system") == 0 ? NULL : address);
    if (r >= 0)
        r = sd_event_add_io(watch.event, NULL, STDIN_FILENO, EPOLLIN, on_input, &watch);
    if (r >= 0) {
        puts("= ready");
        r = sd_event_loop(watch.event);
    }
    if (r < 0)
        (void)fprintf(stderr, "sense-watch: %s\n", strerror(-r));
    network_free(watch.network);
    power_free(watch.power);
    mounts_free(watch.mounts);
    sd_event_unref(watch.event);
    return r != 0;
}
