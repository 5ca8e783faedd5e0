/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our connection to a message bus. An sd_bus cannot be opened again: when the bus goes away the object is dropped and a
 * new one is made after a delay that grows; the jobs go on meanwhile.
 */
#include "bus/internal.h"

#include "manager/log.h"

#include <dbus/names.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BROKERS_MAX         4
#define RETRY_MIN_USEC      USEC_PER_SEC
#define RETRY_MAX_USEC      USEC_PER_MIN
#define HAND_OVER_WAIT_USEC (25 * USEC_PER_SEC)

static void answer_joiners(struct peer *broker, const char *failure)
{
    struct call *call;

    while ((call = TAILQ_FIRST(&broker->joiners)) != NULL) {
        TAILQ_REMOVE(&broker->joiners, call, entry);
        if (failure)
            (void)sd_bus_reply_method_errorf(call->message, SD_BUS_ERROR_FAILED, "%s", failure);
        else
            (void)sd_bus_reply_method_return(call->message, NULL);
        sd_bus_message_unref(call->message);
        free(call);
    }
}

static int on_name(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    struct peer *broker = userdata;
    const sd_bus_error *refused = sd_bus_message_get_error(message);
    uint32_t answer = 0;

    (void)error;
    if (!refused && sd_bus_message_read(message, "u", &answer) >= 0 && (answer == 1 || answer == 4)) {
        broker->owns_name = true;
        broker->retry_usec = RETRY_MIN_USEC;
        answer_joiners(broker, NULL);
        return 0;
    }
    log_message(LOG_WARNING, MESSAGE_BUS, 0, "cannot own %s on the message bus: %s; clients use the private socket",
                BITSQ_DBUS_NAME, refused ? refused->message : "another program has it");
    answer_joiners(broker, "another program owns org.bitsq1 on that bus");
    return 0;
}

static int broker_connect(struct peer *broker)
{
    int r = sd_bus_new(&broker->bus);
    if (r < 0)
        return r;
    (void)sd_bus_set_description(broker->bus, "message-bus");
    r = sd_bus_set_address(broker->bus, broker->address);
    if (r >= 0)
        r = sd_bus_set_bus_client(broker->bus, true);
    if (r >= 0)
        r = peer_export(broker);
    if (r >= 0)
        r = sd_bus_start(broker->bus);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(broker->bus, false);
    if (r >= 0)
        r = sd_bus_attach_event(broker->bus, broker->server->event, SD_EVENT_PRIORITY_NORMAL);
    /* After the objects are there, so that whoever sees the name can call. */
    if (r >= 0)
        r = sd_bus_request_name_async(broker->bus, NULL, BITSQ_DBUS_NAME, 0, on_name, broker);
    if (r < 0)
        broker->bus = sd_bus_close_unref(broker->bus);
    return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct peer *broker = userdata;

    (void)source, (void)usec;
    if (broker_connect(broker) < 0)
        peer_doom(broker);
    return 0;
}

void broker_lost(struct peer *broker)
{
    uint64_t now;

    broker->doomed = broker->owns_name = broker->subscribed = false;
    auth_forget_callers(broker);
    broker->subscribers = sd_bus_track_unref(broker->subscribers);
    peer_forget_calls(broker);
    broker->bus = sd_bus_close_unref(broker->bus);
    answer_joiners(broker, "the bus at that address went away");
    (void)sd_event_now(broker->server->event, CLOCK_MONOTONIC, &now);
    (void)sd_event_source_set_time(broker->retry_source, now + broker->retry_usec);
    (void)sd_event_source_set_enabled(broker->retry_source, SD_EVENT_ONESHOT);
    broker->retry_usec = broker->retry_usec * 2 < RETRY_MAX_USEC ? broker->retry_usec * 2 : RETRY_MAX_USEC;
}

struct peer *broker_free(struct peer *broker)
{
    if (!broker)
        return NULL;
    answer_joiners(broker, "the daemon ends");
    sd_event_source_disable_unref(broker->retry_source);
    if (broker->bus)
        (void)sd_bus_flush(broker->bus);
    free(broker->address);
    return peer_free(broker);
}
DEFINE_CLEANUP(struct peer *, broker_free);

static int broker_new(struct bus_server *server, const char *address, struct peer **ret)
{
    _cleanup_(broker_free_p) struct peer *broker = calloc(1, sizeof(*broker));

    if (!broker)
        return -ENOMEM;
    TAILQ_INIT(&broker->calls);
    TAILQ_INIT(&broker->joiners);
    LIST_INIT(&broker->asked);
    broker->server = server;
    broker->is_broker = true;
    broker->retry_usec = RETRY_MIN_USEC;
    broker->address = strdup(address);
    if (!broker->address)
        return -ENOMEM;
    int r = sd_event_add_time(server->event, &broker->retry_source, CLOCK_MONOTONIC, 0, 0, on_retry, broker);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(broker->retry_source, SD_EVENT_OFF);
    r = broker_connect(broker);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(broker);
    return 0;
}

static struct peer *broker_find(struct bus_server *server, const char *address)
{
    struct peer *broker;

    TAILQ_FOREACH (broker, &server->brokers, entry)
        if (strcmp(broker->address, address) == 0)
            return broker;
    return NULL;
}

/* The call no longer waits for the disk but for the bus. */
static void move_to_joiners(struct peer *broker, struct call *call)
{
    if (call->peer) {
        TAILQ_REMOVE(&call->peer->calls, call, entry);
        call->peer->calls_count--;
        call->peer = NULL;
    }
    TAILQ_INSERT_TAIL(&broker->joiners, call, entry);
}

int broker_join(struct bus_server *server, const char *address, struct call *joiner)
{
    struct peer *broker = broker_find(server, address);
    size_t count = 0;

    if (!broker) {
        TAILQ_FOREACH (broker, &server->brokers, entry)
            count++;
        if (count >= BROKERS_MAX)
            return -EMFILE;
        int r = broker_new(server, address, &broker);
        if (r < 0)
            return r;
        TAILQ_INSERT_TAIL(&server->brokers, broker, entry);
    } else if (!broker->bus && broker_connect(broker) < 0) {
        return -ECONNREFUSED;
    }
    if (joiner) {
        move_to_joiners(broker, joiner);
        if (broker->owns_name)
            answer_joiners(broker, NULL);
    }
    return 0;
}

char *bus_session_address(void)
{
    const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    char *path;

    if (address && address[0] != '\0')
        return strdup(address);
    if (!runtime || asprintf(&path, "unix:path=%s/bus", runtime) < 0)
        return NULL;
    if (stat(path + strlen("unix:path="), &st) < 0 || !S_ISSOCK(st.st_mode)) {
        free(path);
        return NULL;
    }
    return path;
}

int bus_hand_over(const char *holder_address, const char *bus_address, char **ret_message)
{
    _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, holder_address);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        r = sd_bus_set_method_call_timeout(bus, HAND_OVER_WAIT_USEC);
    if (r >= 0)
        r = sd_bus_call_method(bus, NULL, BITSQ_DBUS_PATH, MANAGER_INTERFACE, MANAGER_JOIN_BUS, &error, NULL,
                               MANAGER_JOIN_BUS_IN, bus_address);
    if (r < 0)
        *ret_message = strdup(error.message ? error.message : strerror(-r));
    return r < 0 ? r : 0;
}
