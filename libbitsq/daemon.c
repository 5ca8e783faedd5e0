/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon itself: what it says about itself, and its end. */
#include "internal.h"

#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

struct bitsq_daemon {
    char *version, *state_directory, *started_by; /* NULL = not said */
    char **degraded;
    size_t degraded_count;
    int pid;
    uint32_t active_jobs;
    uint64_t rate, next_wakeup, quarantined;
    uint64_t rate_limit, effective_rate_limit, rate_limit_until;
    char *rate_limit_source;
    int is_connected;
    char *network_device, *connectivity, *metered;
};

_public_ bitsq_daemon *bitsq_daemon_free(bitsq_daemon *daemon)
{
    if (!daemon)
        return NULL;
    free(daemon->version);
    free(daemon->state_directory);
    free(daemon->started_by);
    free(daemon->rate_limit_source);
    free(daemon->network_device);
    free(daemon->connectivity);
    free(daemon->metered);
    for (size_t i = 0; i < daemon->degraded_count; i++)
        free(daemon->degraded[i]);
    free(daemon->degraded);
    free(daemon);
    return NULL;
}

static int read_degraded(sd_bus_message *m, bitsq_daemon *daemon)
{
    const char *sentence;

    int r = sd_bus_message_enter_container(m, 'v', "as");
    if (r < 0 || (r = sd_bus_message_enter_container(m, 'a', "s")) < 0)
        return r;
    while ((r = sd_bus_message_read(m, "s", &sentence)) > 0) {
        char **grown = reallocarray(daemon->degraded, daemon->degraded_count + 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        daemon->degraded = grown;
        daemon->degraded[daemon->degraded_count] = strdup(sentence);
        if (!daemon->degraded[daemon->degraded_count++])
            return -ENOMEM;
    }
    if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
        return r;
    return sd_bus_message_exit_container(m);
}

static const struct plain_value network[] = {
    {"connected", "b", offsetof(bitsq_daemon, is_connected)},
    {"device", "s", offsetof(bitsq_daemon, network_device)},
    {"connectivity", "s", offsetof(bitsq_daemon, connectivity)},
    {"metered", "s", offsetof(bitsq_daemon, metered)},
};

static int read_network(sd_bus_message *m, const char *key, void *target)
{
    int r = message_read_plain(m, key, network, ELEMENTS(network), target);

    return r == 0 ? sd_bus_message_skip(m, "v") : r;
}

static const struct plain_value plain[] = {
    {MANAGER_PROPERTY_VERSION, "s", offsetof(bitsq_daemon, version)},
    {MANAGER_PROPERTY_STARTED_BY, "s", offsetof(bitsq_daemon, started_by)},
    {MANAGER_PROPERTY_ACTIVE_JOBS, "u", offsetof(bitsq_daemon, active_jobs)},
    {MANAGER_PROPERTY_RATE, "t", offsetof(bitsq_daemon, rate)},
    {MANAGER_PROPERTY_NEXT_WAKEUP, "t", offsetof(bitsq_daemon, next_wakeup)},
    {MANAGER_PROPERTY_RATE_LIMIT, "t", offsetof(bitsq_daemon, rate_limit)},
    {MANAGER_PROPERTY_EFFECTIVE_RATE_LIMIT, "t", offsetof(bitsq_daemon, effective_rate_limit)},
    {MANAGER_PROPERTY_RATE_LIMIT_SOURCE, "s", offsetof(bitsq_daemon, rate_limit_source)},
    {MANAGER_PROPERTY_RATE_LIMIT_UNTIL, "t", offsetof(bitsq_daemon, rate_limit_until)},
    {MANAGER_PROPERTY_QUARANTINED, "t", offsetof(bitsq_daemon, quarantined)},
};

static int read_property(sd_bus_message *m, const char *name, void *target)
{
    bitsq_daemon *daemon = target;

    int r = message_read_plain(m, name, plain, ELEMENTS(plain), daemon);
    if (r != 0)
        return r;
    if (strcmp(name, MANAGER_PROPERTY_STATE_DIRECTORY) == 0)
        return message_read_path(m, &daemon->state_directory);
    if (strcmp(name, MANAGER_PROPERTY_DEGRADED) == 0)
        return read_degraded(m, daemon);
    if (strcmp(name, MANAGER_PROPERTY_NETWORK) == 0)
        return message_read_inner_dictionary(m, read_network, daemon);
    return sd_bus_message_skip(m, "v");
}

/* The process at the other end; the kernel knows it, whatever the daemon says. */
static int peer_pid(bitsq_client *client, int *ret)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    int fd = sd_bus_get_fd(client->bus);
    if (fd < 0)
        return client_fail_bus(client, fd, NULL);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return client_fail_bus(client, -errno, NULL);
    *ret = peer.pid;
    return 0;
}

_public_ int bitsq_client_get_daemon(bitsq_client *client, bitsq_daemon **ret_daemon)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;
    _cleanup_(bitsq_daemon_free_p) bitsq_daemon *daemon = calloc(1, sizeof(*daemon));

    if (!daemon)
        return client_fail_memory(client);
    daemon->rate_limit = BITSQ_RATE_LIMIT_UNCHOSEN; /* an older daemon has none */
    int r = client_get_all(client, BITSQ_DBUS_PATH, MANAGER_INTERFACE, &reply);
    if (r < 0 || (r = client_check_reply(client, message_read_dictionary(reply, read_property, daemon))) < 0 ||
        (r = peer_pid(client, &daemon->pid)) < 0)
        return r;
    *ret_daemon = TAKE_PTR(daemon);
    return 0;
}

_public_ const char *bitsq_daemon_get_version(const bitsq_daemon *daemon)
{
    return daemon->version ? daemon->version : "";
}

_public_ int bitsq_daemon_get_pid(const bitsq_daemon *daemon)
{
    return daemon->pid;
}

_public_ const char *bitsq_daemon_get_state_directory(const bitsq_daemon *daemon)
{
    return daemon->state_directory ? daemon->state_directory : "";
}

_public_ const char *bitsq_daemon_get_started_by(const bitsq_daemon *daemon)
{
    return daemon->started_by ? daemon->started_by : "";
}

_public_ uint32_t bitsq_daemon_get_active_jobs(const bitsq_daemon *daemon)
{
    return daemon->active_jobs;
}

_public_ uint64_t bitsq_daemon_get_rate(const bitsq_daemon *daemon)
{
    return daemon->rate;
}

_public_ uint64_t bitsq_daemon_get_next_wakeup(const bitsq_daemon *daemon)
{
    return daemon->next_wakeup;
}

_public_ uint64_t bitsq_daemon_get_rate_limit(const bitsq_daemon *daemon)
{
    return daemon->rate_limit;
}

_public_ uint64_t bitsq_daemon_get_effective_rate_limit(const bitsq_daemon *daemon)
{
    return daemon->effective_rate_limit;
}

_public_ const char *bitsq_daemon_get_rate_limit_source(const bitsq_daemon *daemon)
{
    return daemon->rate_limit_source ? daemon->rate_limit_source : "";
}

_public_ uint64_t bitsq_daemon_get_rate_limit_until(const bitsq_daemon *daemon)
{
    return daemon->rate_limit_until;
}

_public_ int bitsq_daemon_is_connected(const bitsq_daemon *daemon)
{
    return daemon->is_connected;
}

_public_ const char *bitsq_daemon_get_network_device(const bitsq_daemon *daemon)
{
    return daemon->network_device ? daemon->network_device : "";
}

_public_ const char *bitsq_daemon_get_connectivity(const bitsq_daemon *daemon)
{
    return daemon->connectivity ? daemon->connectivity : "";
}

_public_ const char *bitsq_daemon_get_metered(const bitsq_daemon *daemon)
{
    return daemon->metered ? daemon->metered : "";
}

_public_ int bitsq_client_set_rate_limit(bitsq_client *client, uint64_t rate_limit)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL;

    int r = client_set_call(client, BITSQ_DBUS_PATH, &call);
    if (r < 0)
        return r;
    r = client_check_append(client, sd_bus_message_append(call, "ssv", MANAGER_INTERFACE, MANAGER_PROPERTY_RATE_LIMIT,
                                                          MANAGER_PROPERTY_RATE_LIMIT_TYPE, rate_limit));
    return r < 0 ? r : client_call(client, call, NULL);
}

_public_ uint64_t bitsq_daemon_get_quarantined(const bitsq_daemon *daemon)
{
    return daemon->quarantined;
}

_public_ const char *bitsq_daemon_get_degraded(const bitsq_daemon *daemon, size_t index)
{
    return index < daemon->degraded_count ? daemon->degraded[index] : NULL;
}

_public_ int bitsq_client_drop_quarantine(bitsq_client *client, uint64_t *ret_dropped, char **ret_saved)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_free_ char *saved = NULL;
    uint64_t dropped = 0;
    const void *bytes;
    size_t length = 0;

    int r = client_manager_call(client, MANAGER_DROP_QUARANTINE, &call);
    if (r < 0 || (r = client_call(client, call, &reply)) < 0)
        return r;
    r = sd_bus_message_read(reply, "t", &dropped);
    if (r >= 0)
        r = sd_bus_message_read_array(reply, 'y', &bytes, &length);
    if (r >= 0 && length > 0 && !(saved = text_duplicate(bytes, length)))
        r = -ENOMEM;
    r = client_check_reply(client, r);
    if (r < 0)
        return r;
    if (ret_dropped)
        *ret_dropped = dropped;
    if (ret_saved)
        *ret_saved = TAKE_PTR(saved);
    return 0;
}

/* Waits until the process is gone, and its lock with it. */
static int await_exit(int pidfd, uint64_t timeout_usec)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    uint64_t msec = timeout_usec / 1000;

    int r = poll(&gone, 1, msec > INT_MAX ? INT_MAX : (int)msec);
    return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

_public_ int bitsq_client_stop_daemon(bitsq_client *client, uint64_t timeout_usec)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;
    int pid = 0;

    if (!client->bus)
        return client_fail(client, -ENOTCONN, "Disconnected", "there is no connection to the daemon; connect first");
    int r = peer_pid(client, &pid);
    if (r < 0)
        return r;
    _cleanup_close_ int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return client_fail(client, -errno, "Failed", "process %d, the daemon's, cannot be found: %s", pid,
                           strerror(errno));
    /* it still answers: so the number has not gone to another process before we held it */
    r = client_get_all(client, BITSQ_DBUS_PATH, MANAGER_INTERFACE, &reply);
    if (r < 0)
        return r;
    if (pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0)
        return client_fail(client, -errno, "NotPermitted", "process %d, the daemon's, cannot be ended: %s", pid,
                           strerror(errno));
    r = await_exit(pidfd, timeout_usec);
    if (r == -ETIMEDOUT)
        return client_fail(client, r, "TimedOut",
                           "the daemon, process %d, has not ended yet; see its log, or end it with `kill -9 %d`", pid,
                           pid);
    if (r < 0)
        return client_fail(client, r, "Failed", "waiting for its end: %s", strerror(-r));
    client->bus = sd_bus_close_unref(client->bus);
    return 0;
}
