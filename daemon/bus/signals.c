/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the manager's observer to the wire. On the private socket each connection gets its own copy, since no bus fans
 * out; a peer that does not read is left out of Progress first and dropped later. An error here concerns one listener
 * and never a job.
 */
#include "bus/internal.h"

#include "core/limits.h"

#include <dbus/names.h>
#include <errno.h>

typedef int (*append_t)(sd_bus_message *message, const void *data);

static bool wants(struct peer *peer, bool progress)
{
    uint64_t queued = 0;

    if (peer->unsubscribed)
        return false;
    if (!progress)
        return true;
    (void)sd_bus_get_n_queued_write(peer->bus, &queued);
    return peer->subscribed && queued <= BUS_QUEUE_DROP;
}

/* What is sent to many is built once, and the same message goes to each: sd-bus gives no serial twice for that. */
struct broadcast {
    const char *member;
    append_t append;
    const void *data;
    sd_bus_message *message;
};

static int emit(struct broadcast *broadcast, struct peer *peer)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    int r = 0;

    if (!broadcast->message) {
        r = sd_bus_message_new_signal(peer->bus, &message, BITSQ_DBUS_PATH, MANAGER_INTERFACE, broadcast->member);
        if (r >= 0)
            r = broadcast->append(message, broadcast->data);
        if (r >= 0)
            broadcast->message = TAKE_PTR(message);
    }
    return r < 0 ? r : sd_bus_send(peer->bus, broadcast->message, NULL);
}

/* Sends one signal to every connection that wants it. PROGRESS: only to those that asked, and that keep up. */
static void broadcast(struct bus_server *server, const char *member, append_t append, const void *data, bool progress)
{
    struct broadcast broadcast = {.member = member, .append = append, .data = data};
    struct peer *peer;

    TAILQ_FOREACH (peer, &server->peers, entry)
        if (!peer_is_stuck(peer) && wants(peer, progress))
            (void)emit(&broadcast, peer);
    TAILQ_FOREACH (peer, &server->brokers, entry)
        if (peer->bus && peer->owns_name && wants(peer, progress))
            (void)emit(&broadcast, peer);
    sd_bus_message_unref(broadcast.message);
}

static int append_id(sd_bus_message *message, const void *data)
{
    const uint64_t *id = data;
    char path[JOB_PATH_MAX];

    job_path(*id, path);
    return sd_bus_message_append(message, "to", *id, path);
}

static void on_added(void *userdata, const struct job *job)
{
    broadcast(userdata, MANAGER_SIGNAL_JOB_ADDED, append_id, &job->id, false);
}

static void on_removed(void *userdata, uint64_t id)
{
    broadcast(userdata, MANAGER_SIGNAL_JOB_REMOVED, append_id, &id, false);
}

struct change {
    struct manager *manager;
    const struct job *job;
    struct manager_view view;
};

static int append_change(sd_bus_message *message, const void *data)
{
    const struct change *change = data;
    const struct job *job = change->job;

    int r = append_id(message, &job->id);
    if (r >= 0)
        r = sd_bus_message_append(message, "s", shown_state_name(change->view.state));
    if (r >= 0)
        r = sd_bus_message_open_container(message, 'a', "{sv}");
    if (r >= 0 && job->failure.text[0] != '\0') {
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
            r = sd_bus_message_append_basic(message, 's', "error");
        if (r >= 0)
            r = sd_bus_message_open_container(message, 'v', "(sus)");
        if (r >= 0)
            r = job_append_error(message, job);
        if (r >= 0)
            r = sd_bus_message_close_container(message);
        if (r >= 0)
            r = sd_bus_message_close_container(message);
    }
    if (r >= 0 && job->state == JOB_RETRYING)
        r = sd_bus_message_append(message, "{sv}", "next_attempt", "t",
                                  manager_wall_usec(change->manager, job->next_attempt_usec));
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static void emit_properties(struct bus_server *server, uint64_t id)
{
    char *names[] = {JOB_PROPERTY_STATE,    JOB_PROPERTY_ERROR,  JOB_PROPERTY_ATTEMPTS,  JOB_PROPERTY_STARTED,
                     JOB_PROPERTY_FINISHED, JOB_PROPERTY_RESENT, JOB_PROPERTY_CONFIRMED, NULL};
    char path[JOB_PATH_MAX];
    struct peer *peer;

    job_path(id, path);
    /* The library follows JobStateChanged: only a message bus has listeners of the standard signal. */
    TAILQ_FOREACH (peer, &server->brokers, entry)
        if (peer->bus && peer->owns_name)
            (void)sd_bus_emit_properties_changed_strv(peer->bus, path, JOB_INTERFACE, names);
}

static void on_changed(void *userdata, const struct job *job)
{
    struct bus_server *server = userdata;
    struct change change = {.manager = server->manager, .job = job};

    manager_describe(server->manager, job, &change.view);
    broadcast(server, MANAGER_SIGNAL_JOB_STATE_CHANGED, append_change, &change, false);
    emit_properties(server, job->id);
}

struct bulk {
    uint64_t revision, count;
};

static int append_bulk(sd_bus_message *message, const void *data)
{
    const struct bulk *bulk = data;

    return sd_bus_message_append(message, "tt", bulk->revision, bulk->count);
}

static void on_bulk(void *userdata, uint64_t count)
{
    struct bus_server *server = userdata;
    struct bulk bulk = {.revision = manager_revision(server->manager), .count = count};

    broadcast(server, MANAGER_SIGNAL_JOBS_CHANGED, append_bulk, &bulk, false);
}

struct gates_change {
    uint32_t changed, closed;
    uint64_t jobs;
};

static int append_gates(sd_bus_message *message, const void *data)
{
    const struct gates_change *change = data;

    int r = sd_bus_message_open_container(message, 'a', "(sb)");
    for (size_t i = 0; r >= 0 && i < GATES; i++)
        if (change->changed & GATE_BIT(i))
            r = sd_bus_message_append(message, "(sb)", gate_name((enum gate)i), !(change->closed & GATE_BIT(i)));
    if (r >= 0)
        r = sd_bus_message_close_container(message);
    return r < 0 ? r : sd_bus_message_append(message, "t", change->jobs);
}

static void on_gates(void *userdata, uint32_t changed, uint32_t closed, uint64_t jobs)
{
    const struct gates_change change = {.changed = changed, .closed = closed, .jobs = jobs};

    broadcast(userdata, MANAGER_SIGNAL_GATES_CHANGED, append_gates, &change, false);
}

struct rows {
    const struct manager_progress *rows;
    size_t count;
};

static int append_rows(sd_bus_message *message, const void *data)
{
    const struct rows *rows = data;

    int r = sd_bus_message_open_container(message, 'a', "(tttt)");
    for (size_t i = 0; r >= 0 && i < rows->count; i++)
        r = sd_bus_message_append(message, "(tttt)", rows->rows[i].id, rows->rows[i].acknowledged, rows->rows[i].size,
                                  rows->rows[i].rate);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static void on_progress(void *userdata, const struct manager_progress *progress, size_t count)
{
    struct rows rows = {.rows = progress, .count = count};

    broadcast(userdata, MANAGER_SIGNAL_PROGRESS, append_rows, &rows, true);
}

static void emit_manager_properties(struct bus_server *server, char **names)
{
    struct peer *peer;

    TAILQ_FOREACH (peer, &server->peers, entry)
        if (!peer_is_stuck(peer) && wants(peer, false))
            (void)sd_bus_emit_properties_changed_strv(peer->bus, BITSQ_DBUS_PATH, MANAGER_INTERFACE, names);
    TAILQ_FOREACH (peer, &server->brokers, entry)
        if (peer->bus && peer->owns_name)
            (void)sd_bus_emit_properties_changed_strv(peer->bus, BITSQ_DBUS_PATH, MANAGER_INTERFACE, names);
}

static void on_degraded(void *userdata)
{
    char *names[] = {MANAGER_PROPERTY_DEGRADED, NULL};

    emit_manager_properties(userdata, names);
}

static void on_limit(void *userdata)
{
    char *names[] = {MANAGER_PROPERTY_RATE_LIMIT, MANAGER_PROPERTY_EFFECTIVE_RATE_LIMIT,
                     MANAGER_PROPERTY_RATE_LIMIT_SOURCE, MANAGER_PROPERTY_RATE_LIMIT_UNTIL, NULL};

    emit_manager_properties(userdata, names);
}

static void on_world(void *userdata)
{
    char *names[] = {MANAGER_PROPERTY_NETWORK, MANAGER_PROPERTY_POWER, NULL};

    emit_manager_properties(userdata, names);
}

void signals_observe(struct bus_server *server)
{
    manager_set_observer(server->manager, &(struct manager_observer){
                                              .job_added = on_added,
                                              .job_changed = on_changed,
                                              .job_removed = on_removed,
                                              .jobs_changed = on_bulk,
                                              .progress = on_progress,
                                              .gates_changed = on_gates,
                                              .degraded_changed = on_degraded,
                                              .limit_changed = on_limit,
                                              .world_changed = on_world,
                                              .userdata = server,
                                          });
}

void peer_update_subscriptions(struct bus_server *server)
{
    struct peer *peer;
    bool wanted = false;

    TAILQ_FOREACH (peer, &server->brokers, entry)
        peer->subscribed = peer->subscribers && sd_bus_track_count(peer->subscribers) > 0;
    TAILQ_FOREACH (peer, &server->peers, entry)
        wanted |= peer->subscribed;
    TAILQ_FOREACH (peer, &server->brokers, entry)
        wanted |= peer->subscribed;
    manager_want_progress(server->manager, wanted);
}
