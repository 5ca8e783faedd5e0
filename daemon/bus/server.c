/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/server.h"

#include "bus/internal.h"
#include "core/limits.h"
#include "manager/log.h"

#include <dbus/names.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LISTEN_BACKLOG       128
#define ACCEPT_PAUSE_USEC    USEC_PER_SEC /* after accept4() ran out of descriptors */
#define ACCEPT_BURST         100          /* connections in ACCEPT_INTERVAL_USEC before the listener rests */
#define AUTH_AHEAD_MAX       4096         /* messages in the 64 KiB that sd-bus may read ahead */
#define ACCEPT_INTERVAL_USEC (100 * USEC_PER_MSEC)

static int on_reap(sd_event_source *source, void *userdata)
{
    struct bus_server *server = userdata;
    struct peer *peer, *next;

    (void)source;
    for (peer = TAILQ_FIRST(&server->peers); peer; peer = next) {
        next = TAILQ_NEXT(peer, entry);
        if (!peer->doomed)
            continue;
        TAILQ_REMOVE(&server->peers, peer, entry);
        server->peers_count--;
        peer_free(peer);
    }
    for (peer = TAILQ_FIRST(&server->brokers); peer; peer = TAILQ_NEXT(peer, entry))
        if (peer->doomed)
            broker_lost(peer);
    peer_update_subscriptions(server);
    return 0;
}

/*
 * sd-bus reads ahead while a client authenticates; a call that came with the last line of that stays in its buffer,
 * where neither the socket nor sd-bus would wake the loop for it. So each connection is asked once more when it has
 * begun.
 */
static int on_post(sd_event_source *source, void *userdata)
{
    struct bus_server *server = userdata;
    struct peer *peer;
    bool waits = false;

    TAILQ_FOREACH (peer, &server->peers, entry) {
        if (peer->begun || peer->doomed)
            continue;
        if (sd_bus_is_ready(peer->bus) <= 0) {
            waits = true;
            continue;
        }
        peer->begun = true;
        for (int i = 0; i < AUTH_AHEAD_MAX && sd_bus_process(peer->bus, NULL) > 0; i++)
            ;
    }
    if (!waits)
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF); /* until the next one connects */
    return 0;
}

static void pause_listener(struct bus_server *server)
{
    uint64_t now;

    (void)sd_event_source_set_enabled(server->listen_source, SD_EVENT_OFF);
    (void)sd_event_now(server->event, CLOCK_MONOTONIC, &now);
    (void)sd_event_source_set_time(server->listen_again_source, now + ACCEPT_PAUSE_USEC);
    (void)sd_event_source_set_enabled(server->listen_again_source, SD_EVENT_ONESHOT);
}

static int on_listen_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct bus_server *server = userdata;

    (void)source, (void)usec;
    (void)sd_event_source_set_enabled(server->listen_source, SD_EVENT_ON);
    return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct bus_server *server = userdata;
    int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)source, (void)revents;
    if (connection < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            pause_listener(server);
        return 0;
    }
    if (server->peers_count >= BUS_PEERS_MAX) {
        (void)close(connection);
        log_message(LOG_WARNING, MESSAGE_BUS, 0, "refused a client: %d are connected already", BUS_PEERS_MAX);
        return 0;
    }
    int r = peer_accept(server, connection);
    if (r < 0)
        log_message(LOG_WARNING, MESSAGE_BUS, 0, "refused a client: %s", strerror(-r));
    return 0;
}

int bus_server_new(const struct bus_server_options *options, struct bus_server **ret)
{
    _cleanup_(bus_server_free_p) struct bus_server *server = calloc(1, sizeof(*server));

    if (!server)
        return -ENOMEM;
    TAILQ_INIT(&server->peers);
    TAILQ_INIT(&server->brokers);
    server->listen_fd = -1;
    server->event = sd_event_ref(options->event);
    server->manager = options->manager;
    server->reload = options->reload;
    server->userdata = options->userdata;
    server->state_directory = strdup(options->state_directory);
    server->started_by = strdup(options->started_by);
    if (!server->state_directory || !server->started_by)
        return -ENOMEM;
    int r = sd_event_add_defer(server->event, &server->reap_source, on_reap, server);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(server->reap_source, SD_EVENT_OFF);
    r = sd_event_add_post(server->event, &server->post_source, on_post, server);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(server->post_source, SD_EVENT_OFF);
    r = sd_event_add_time(server->event, &server->listen_again_source, CLOCK_MONOTONIC, 0, USEC_PER_MSEC,
                          on_listen_again, server);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(server->listen_again_source, SD_EVENT_OFF);
    signals_observe(server);
    *ret = TAKE_PTR(server);
    return 0;
}

/* sd-bus escapes what a D-Bus address may not hold as it stands. */
static char *address_of(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/.\\*";
    char *address = malloc(strlen("unix:path=") + strlen(path) * 3 + 1);
    char *out;

    if (!address)
        return NULL;
    out = stpcpy(address, "unix:path=");
    for (; *path != '\0'; path++) {
        if (strchr(plain, *path))
            *out++ = *path;
        else
            out += sprintf(out, "%%%02x", (unsigned char)*path);
    }
    *out = '\0';
    return address;
}

int bus_server_listen(struct bus_server *server, const char *path, char **ret_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_free_ char *text = address_of(path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    server->listen_path = strdup(path);
    if (!text || !server->listen_path)
        return -ENOMEM;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    int r = sd_event_add_io(server->event, &server->listen_source, fd, EPOLLIN, on_connection, server);
    if (r < 0)
        return r;
    (void)sd_event_source_set_ratelimit(server->listen_source, ACCEPT_INTERVAL_USEC, ACCEPT_BURST);
    server->listen_fd = TAKE_FD(fd);
    *ret_address = TAKE_PTR(text);
    return 0;
}

int bus_server_join(struct bus_server *server, const char *address)
{
    return broker_join(server, address, NULL);
}

size_t bus_server_peers(const struct bus_server *server)
{
    return server->peers_count;
}

struct bus_server *bus_server_free(struct bus_server *server)
{
    struct peer *peer;

    if (!server)
        return NULL;
    server->ending = true;
    if (server->manager)
        manager_set_observer(server->manager, &(struct manager_observer){0});
    sd_event_source_disable_unref(server->listen_source);
    sd_event_source_disable_unref(server->listen_again_source);
    if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    if (server->listen_path)
        (void)unlink(server->listen_path);
    while ((peer = TAILQ_FIRST(&server->peers)) != NULL) {
        TAILQ_REMOVE(&server->peers, peer, entry);
        peer_free(peer);
    }
    while ((peer = TAILQ_FIRST(&server->brokers)) != NULL) {
        TAILQ_REMOVE(&server->brokers, peer, entry);
        broker_free(peer);
    }
    sd_event_source_disable_unref(server->reap_source);
    sd_event_source_disable_unref(server->post_source);
    sd_event_unref(server->event);
    free(server->listen_path);
    free(server->state_directory);
    free(server->started_by);
    free(server);
    return NULL;
}
