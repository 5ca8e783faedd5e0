/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection: its objects, and its end. */
#include "bus/internal.h"

#include "core/limits.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define QUEUE_BUSY 16 /* unread replies of a peer above which it gets no more pages: a page is large */

void peer_doom(struct peer *peer)
{
    peer->doomed = true;
    (void)sd_event_source_set_enabled(peer->server->reap_source, SD_EVENT_ONESHOT);
}

bool peer_is_stuck(struct peer *peer)
{
    uint64_t queued = 0;

    if (peer->doomed || peer->is_broker)
        return peer->doomed;
    if (sd_bus_get_n_queued_write(peer->bus, &queued) < 0 || queued > BUS_QUEUE_CLOSE)
        peer_doom(peer);
    return peer->doomed;
}

bool peer_is_busy(struct peer *peer)
{
    uint64_t queued = 0;

    (void)sd_bus_get_n_queued_write(peer->bus, &queued);
    return queued > QUEUE_BUSY;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)message, (void)error;
    peer_doom(userdata);
    return 0;
}

/* Sees every message before the objects do: a client that sends and never reads is dropped here. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    if (peer_is_stuck(userdata))
        return 1;
    int r = auth_await_caller(userdata, message, error);
    return r != 0 ? r : limit_catch_write(userdata, message, error);
}

int peer_export(struct peer *peer)
{
    int r = sd_bus_add_object_vtable(peer->bus, NULL, BITSQ_DBUS_PATH, MANAGER_INTERFACE, manager_vtable, peer);
    if (r < 0)
        return r;
    r = sd_bus_add_fallback_vtable(peer->bus, NULL, BITSQ_DBUS_JOBS_PATH, JOB_INTERFACE, job_vtable, job_object_find,
                                   peer);
    if (r < 0)
        return r;
    r = sd_bus_add_filter(peer->bus, NULL, on_message, peer);
    if (r < 0)
        return r;
    return sd_bus_match_signal(peer->bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                               "Disconnected", on_disconnected, peer);
}

struct peer *peer_free(struct peer *peer)
{
    if (!peer)
        return NULL;
    peer_forget_calls(peer);
    auth_forget_callers(peer);
    sd_bus_track_unref(peer->subscribers);
    sd_bus_close_unref(peer->bus);
    job_free(peer->found.job);
    free(peer);
    return NULL;
}
DEFINE_CLEANUP(struct peer *, peer_free);

static int start_server_side(struct peer *peer, int *fd)
{
    sd_id128_t id;

    int r = sd_id128_randomize(&id);
    if (r < 0)
        return r;
    r = sd_bus_new(&peer->bus);
    if (r < 0)
        return r;
    r = sd_bus_set_fd(peer->bus, *fd, *fd);
    if (r < 0)
        return r;
    (void)TAKE_FD(*fd); /* the connection owns it from here on, and closes it where it cannot start */
    (void)sd_bus_set_description(peer->bus, "private");
    r = sd_bus_set_server(peer->bus, true, id);
    if (r >= 0)
        r = sd_bus_set_sender(peer->bus, BITSQ_DBUS_NAME);
    if (r >= 0)
        r = peer_export(peer);
    if (r >= 0)
        r = sd_bus_start(peer->bus);
    if (r >= 0)
        r = sd_bus_attach_event(peer->bus, peer->server->event, SD_EVENT_PRIORITY_NORMAL);
    return r;
}

int peer_accept(struct bus_server *server, int fd)
{
    _cleanup_(peer_free_p) struct peer *peer = calloc(1, sizeof(*peer));
    _cleanup_close_ int owned = fd;
    struct ucred ucred;
    socklen_t size = sizeof(ucred);

    if (!peer)
        return -ENOMEM;
    TAILQ_INIT(&peer->calls);
    TAILQ_INIT(&peer->joiners);
    LIST_INIT(&peer->asked);
    peer->server = server;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) < 0)
        return -errno;
    peer->uid = ucred.uid;
    if (peer->uid != geteuid() && peer->uid != 0)
        return -EPERM;
    int r = start_server_side(peer, &owned);
    if (r < 0)
        return r;
    TAILQ_INSERT_TAIL(&server->peers, peer, entry);
    server->peers_count++;
    (void)sd_event_source_set_enabled(server->post_source, SD_EVENT_ON);
    (void)TAKE_PTR(peer);
    return 0;
}
