/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>

static int client_new_call(bitsq_client *client, const char *path, const char *interface, const char *method,
                           sd_bus_message **ret)
{
    if (!client->bus)
        return client_fail(client, -ENOTCONN, "Disconnected", "there is no connection to the daemon; connect first");

    /* no destination: nobody stands between the two ends of the private socket */
    int r = sd_bus_message_new_method_call(client->bus, ret, NULL, path, interface, method);
    return r < 0 ? client_fail_bus(client, r, NULL) : 0;
}

int client_manager_call(bitsq_client *client, const char *method, sd_bus_message **ret)
{
    return client_new_call(client, BITSQ_DBUS_PATH, MANAGER_INTERFACE, method, ret);
}

int client_job_call(bitsq_client *client, uint64_t id, const char *method, sd_bus_message **ret)
{
    char path[JOB_PATH_MAX];

    (void)snprintf(path, sizeof(path), BITSQ_DBUS_JOBS_PATH "/%" PRIu64, id);
    return client_new_call(client, path, JOB_INTERFACE, method, ret);
}

int client_call(bitsq_client *client, sd_bus_message *call, sd_bus_message **ret_reply)
{
    return client_call_for(client, call, CALL_TIMEOUT_USEC, ret_reply);
}

int client_call_for(bitsq_client *client, sd_bus_message *call, uint64_t timeout_usec, sd_bus_message **ret_reply)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;

    int r = sd_bus_call(client->bus, call, timeout_usec, &error, ret_reply);
    if (r < 0)
        r = client_fail_bus(client, r, &error);
    sd_bus_error_free(&error);
    return r < 0 ? r : 0;
}

int client_get_all(bitsq_client *client, const char *path, const char *interface, sd_bus_message **ret_reply)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL;

    int r = client_new_call(client, path, "org.freedesktop.DBus.Properties", "GetAll", &call);
    if (r < 0)
        return r;
    r = client_check_append(client, sd_bus_message_append(call, "s", interface));
    if (r < 0)
        return r;
    return client_call(client, call, ret_reply);
}

int client_set_call(bitsq_client *client, const char *path, sd_bus_message **ret)
{
    return client_new_call(client, path, "org.freedesktop.DBus.Properties", "Set", ret);
}

int client_check_append(bitsq_client *client, int r)
{
    if (r >= 0)
        return 0;
    if (r == -EINVAL)
        return client_fail(client, r, "InvalidArgument",
                           "a text is not valid UTF-8; only file names may be other bytes");
    return client_fail_bus(client, r, NULL);
}

int client_check_reply(bitsq_client *client, int r)
{
    if (r >= 0)
        return 0;
    if (r == -ENOMEM)
        return client_fail_memory(client);
    return client_fail(client, -EPROTO, "VersionMismatch",
                       "the daemon's answer cannot be read; replace the daemon with `bitsq daemon restart`");
}
