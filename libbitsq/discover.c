/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the one daemon of this user, and starts it where none runs.
 *
 *   bitsqd --print-address ──▶ address of whoever holds the lock of the state folder
 *        │ nobody
 *        ▼
 *   session bus: StartServiceByName ──▶ systemd: StartUnit ──▶ bitsqd --background
 *        └─────────────────┴── ask for the address again       └── prints it itself
 *
 * However it was started, the private socket is what a client talks to: the address stands beside the lock, so that
 * nobody ever meets a second, empty queue.
 */
#include "internal.h"

#include "base/moment.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define ASK_TIMEOUT_USEC      (10 * USEC_PER_SEC) /* for --print-address, which only reads two small files */
#define START_TIMEOUT_USEC    (30 * USEC_PER_SEC) /* for a daemon that recovers a large queue */
#define ACTIVATE_TIMEOUT_USEC (25 * USEC_PER_SEC)
#define HOLDER_TIMEOUT_USEC   (10 * USEC_PER_SEC) /* between a holder's lock and its address */
#define ASK_AGAIN_MSEC        20                  /* first pause between two questions; it grows */
#define ASK_AGAIN_MAX_MSEC    200

#define EXIT_NOBODY   3 /* of --print-address: nobody holds the lock */
#define EXIT_STARTING 4 /* somebody does, and has not written its address yet */

int client_fail_launch(bitsq_client *client, int error)
{
    if (error == -ENOENT)
        return client_fail(client, -ECONNREFUSED, "NoDaemon", "%s is not installed; install the package bitsq again",
                           launch_program());
    return client_fail(client, -ECONNREFUSED, "NoDaemon", "%s cannot be run: %s", launch_program(), strerror(-error));
}

/* The last line that the program itself calls its error, else the last one; the others are its log. */
static void last_error(const char *errors, char line[static LAUNCH_OUTPUT_MAX])
{
    static const char prefix[] = "bitsqd: ";
    bool own = false;

    line[0] = '\0';
    while (*errors != '\0') {
        size_t length = strcspn(errors, "\r\n");
        bool is_own = strncmp(errors, prefix, strlen(prefix)) == 0;
        size_t skipped = is_own ? strlen(prefix) : 0;
        if (length > skipped && (is_own || !own)) {
            memcpy(line, errors + skipped, length - skipped);
            line[length - skipped] = '\0';
        }
        own = own || is_own;
        errors += length + (errors[length] != '\0');
    }
}

static int fail_result(bitsq_client *client, const struct launch_result *result)
{
    char error[LAUNCH_OUTPUT_MAX];

    last_error(result->errors, error);
    if (error[0] != '\0')
        return client_fail(client, -ECONNREFUSED, "NoDaemon", "%s", error);
    if (result->timed_out)
        return client_fail(client, -ECONNREFUSED, "NoDaemon", "%s did not answer in time; see its log",
                           launch_program());
    return client_fail(client, -ECONNREFUSED, "NoDaemon", "%s ended with status %d and no message; see its log",
                       launch_program(), result->status);
}

/* 0 and the address; -ENOENT: nobody holds the lock; -EAGAIN: the holder is starting; -ECONNREFUSED with a message. */
static int ask_address(bitsq_client *client, char **ret_address)
{
    struct launch_result result;

    int r = launch_daemon("--print-address", ASK_TIMEOUT_USEC, &result);
    if (r < 0)
        return client_fail_launch(client, r);
    if (result.output[0] != '\0' && (result.status == 0 || result.status == -1)) {
        char *address = strdup(result.output);
        if (!address)
            return client_fail_memory(client);
        *ret_address = address;
        return 0;
    }
    if (result.status == EXIT_NOBODY)
        return -ENOENT;
    if (result.status == EXIT_STARTING)
        return -EAGAIN;
    return fail_result(client, &result);
}

/* As ask_address(), but waits for a holder to write its address; with EXPECTED, for one to appear as well. */
static int await_address(bitsq_client *client, bool expected, char **ret_address)
{
    uint64_t deadline = usec_add(moment_now().monotonic_usec, HOLDER_TIMEOUT_USEC);
    int pause = ASK_AGAIN_MSEC;

    for (;;) {
        int r = ask_address(client, ret_address);
        if (r != -EAGAIN && !(r == -ENOENT && expected))
            return r;
        if (moment_now().monotonic_usec >= deadline)
            return r == -ENOENT ? r
                                : client_fail(client, -ECONNREFUSED, "NoDaemon",
                                              "a daemon is starting, but has not opened its socket in %d seconds; see "
                                              "its log",
                                              (int)(HOLDER_TIMEOUT_USEC / USEC_PER_SEC));
        (void)poll(NULL, 0, pause);
        pause = pause * 2 > ASK_AGAIN_MAX_MSEC ? ASK_AGAIN_MAX_MSEC : pause * 2;
    }
}

/* Calls one method with arguments "su" or "ss"; whether it worked. */
static bool bus_start(sd_bus *bus, const char *destination, const char *path, const char *interface, const char *method,
                      const char *name, const char *mode)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;

    int r = sd_bus_message_new_method_call(bus, &call, destination, path, interface, method);
    if (r >= 0)
        r = mode ? sd_bus_message_append(call, "ss", name, mode) : sd_bus_message_append(call, "su", name, 0);
    if (r >= 0)
        r = sd_bus_call(bus, call, ACTIVATE_TIMEOUT_USEC, NULL, &reply);
    return r >= 0;
}

static bool activate_by_bus(sd_bus *bus)
{
    return bus_start(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "StartServiceByName",
                     BITSQ_DBUS_NAME, NULL);
}

static bool activate_by_systemd(sd_bus *bus, bool direct)
{
    return bus_start(bus, direct ? NULL : "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                     "org.freedesktop.systemd1.Manager", "StartUnit", "bitsqd.service", "replace");
}

/* The socket of systemd's user manager, for where it runs without a session bus. */
static int open_systemd(sd_bus **ret)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/.";
    _cleanup_(sd_bus_unref_p) sd_bus *bus = NULL;
    _cleanup_free_ char *address = NULL;
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");

    /* other characters would have to be escaped in an address; systemd uses /run/user/UID */
    if (!runtime || *runtime != '/' || runtime[strspn(runtime, plain)] != '\0')
        return -ENOENT;
    if (asprintf(&address, "unix:path=%s/systemd/private", runtime) < 0)
        return -ENOMEM;
    if (access(strchr(address, '/'), F_OK) < 0)
        return -errno;
    int r = sd_bus_new(&bus);
    if (r < 0 || (r = sd_bus_set_address(bus, address)) < 0 || (r = sd_bus_start(bus)) < 0)
        return r;
    *ret = TAKE_PTR(bus);
    return 0;
}

/* 0 and the address; -ENOENT where neither bus nor systemd can start it; other errors have a message. */
static int activate(bitsq_client *client, char **ret_address)
{
    _cleanup_(sd_bus_close_unref_p) sd_bus *bus = NULL;

    if (sd_bus_open_user(&bus) >= 0) {
        /* a daemon that owns the name has opened its socket; if it is not ours, it serves another state folder */
        if (activate_by_bus(bus)) {
            int r = await_address(client, false, ret_address);
            if (r != -ENOENT)
                return r;
        } else if (activate_by_systemd(bus, false)) {
            return await_address(client, true, ret_address);
        }
        return -ENOENT;
    }
    if (open_systemd(&bus) >= 0 && activate_by_systemd(bus, true))
        return await_address(client, true, ret_address);
    return -ENOENT;
}

static int start(bitsq_client *client, char **ret_address)
{
    struct launch_result result;

    int r = launch_daemon("--background", START_TIMEOUT_USEC, &result);
    if (r < 0)
        return client_fail_launch(client, r);
    if (result.output[0] == '\0')
        return fail_result(client, &result);
    char *address = strdup(result.output);
    if (!address)
        return client_fail_memory(client);
    *ret_address = address;
    return 0;
}

int discover_daemon(bitsq_client *client, bool may_start, char **ret_address, bool *ret_started)
{
    bool started = false;

    int r = await_address(client, false, ret_address);
    if (r == -ENOENT && !may_start)
        return client_fail(client, -ECONNREFUSED, "NoDaemon",
                           "no daemon is running; start it with `bitsq daemon start`");
    if (r == -ENOENT)
        r = activate(client, ret_address);
    if (r == -ENOENT) {
        r = start(client, ret_address);
        started = r >= 0;
    }
    if (r < 0)
        return r;
    *ret_started = started;
    return 0;
}
