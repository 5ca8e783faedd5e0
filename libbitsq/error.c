/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERROR_PREFIX "org.bitsq1.Error."

static const struct {
    const char *name;
    int error;
} known_errors[] = {
    {"NoSuchJob", -ENOENT},    {"InvalidArgument", -EINVAL}, {"InvalidState", -EBUSY},     {"NotPermitted", -EACCES},
    {"LimitReached", -EDQUOT}, {"SourceUnreadable", -EBADF}, {"SourceChanged", -ESTALE},   {"AlreadyExists", -EEXIST},
    {"Degraded", -EROFS},      {"NoDaemon", -ECONNREFUSED},  {"VersionMismatch", -EPROTO}, {"Disconnected", -ENOTCONN},
    {"TimedOut", -ETIMEDOUT},  {"NoMemory", -ENOMEM},
};

int error_from_name(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(known_errors); i++)
        if (strcmp(known_errors[i].name, name) == 0)
            return known_errors[i].error;
    return -EIO;
}

const char *error_short_name(const char *bus_name)
{
    const char *name = bus_name && strncmp(bus_name, ERROR_PREFIX, strlen(ERROR_PREFIX)) == 0
                           ? bus_name + strlen(ERROR_PREFIX)
                           : "Failed";

    return *name == '\0' ? "Failed" : name;
}

int client_fail(bitsq_client *client, int error, const char *name, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    (void)text_copy(client->error_name, sizeof(client->error_name), name);
    (void)text_copy(client->error_message, sizeof(client->error_message), message);
    return error;
}

int client_fail_memory(bitsq_client *client)
{
    return client_fail(client, -ENOMEM, "NoMemory", "no memory is left; end other programs and try again");
}

static bool is_disconnect(int error)
{
    return error == -ENOTCONN || error == -ECONNRESET || error == -EPIPE || error == -ECONNREFUSED ||
           error == -ESHUTDOWN;
}

int client_fail_bus(bitsq_client *client, int error, const sd_bus_error *bus_error)
{
    const char *bus_name = bus_error && bus_error->name ? bus_error->name : "";

    if (strncmp(bus_name, ERROR_PREFIX, strlen(ERROR_PREFIX)) == 0) {
        const char *name = error_short_name(bus_name);
        return client_fail(client, error_from_name(name), name, "%s", bus_error->message ? bus_error->message : name);
    }
    if (error == -ENOMEM)
        return client_fail_memory(client);
    if (is_disconnect(error) || strcmp(bus_name, SD_BUS_ERROR_NO_REPLY) == 0 ||
        strcmp(bus_name, SD_BUS_ERROR_DISCONNECTED) == 0)
        return client_fail(client, -ENOTCONN, "Disconnected",
                           "the daemon went away before it answered; see `bitsq list`, then try again");
    if (error == -ETIMEDOUT || strcmp(bus_name, SD_BUS_ERROR_TIMEOUT) == 0)
        return client_fail(client, -ETIMEDOUT, "TimedOut",
                           "the daemon did not answer in time; see `bitsq daemon status`");
    if (strcmp(bus_name, SD_BUS_ERROR_UNKNOWN_METHOD) == 0 || strcmp(bus_name, SD_BUS_ERROR_UNKNOWN_INTERFACE) == 0 ||
        strcmp(bus_name, SD_BUS_ERROR_UNKNOWN_PROPERTY) == 0)
        return client_fail(client, -EPROTO, "VersionMismatch",
                           "the daemon that runs does not know this command; replace it with `bitsq daemon restart`");
    if (strcmp(bus_name, SD_BUS_ERROR_UNKNOWN_OBJECT) == 0)
        return client_fail(client, -ENOENT, "NoSuchJob", "there is no such job; `bitsq list` shows those there are");
    if (bus_error && bus_error->message)
        return client_fail(client, error, "Failed", "%s", bus_error->message);
    return client_fail(client, error, "Failed", "%s", strerror(-error));
}

_public_ const char *bitsq_client_get_error_name(const bitsq_client *client)
{
    return client->error_name;
}

_public_ const char *bitsq_client_get_error_message(const bitsq_client *client)
{
    return client->error_message;
}
