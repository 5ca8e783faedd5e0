/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/spawner_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t measure(const char *const *strings, uint32_t *ret_count)
{
    size_t bytes = 0;
    uint32_t count = 0;

    for (; strings[count] && count <= SPAWNER_STRINGS_MAX && bytes <= SPAWNER_REQUEST_BYTES; count++)
        bytes += strlen(strings[count]) + 1;
    *ret_count = count;
    return bytes;
}

static char *append(char *to, const char *const *strings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to = stpcpy(to, strings[i]) + 1;
    return to;
}

int spawner_request_build(uint64_t id, const char *const *argv, const char *const *environment, uint64_t timeout_usec,
                          void **ret_message, size_t *ret_size)
{
    struct spawner_request request = {.id = id, .timeout_usec = timeout_usec};

    if (!argv[0] || argv[0][0] != '/')
        return -EINVAL;
    size_t bytes = measure(argv, &request.arguments) + measure(environment, &request.environment);
    if (bytes > SPAWNER_REQUEST_BYTES || request.arguments + request.environment > SPAWNER_STRINGS_MAX)
        return -E2BIG;
    char *message = malloc(sizeof(request) + bytes);
    if (!message)
        return -ENOMEM;
    memcpy(message, &request, sizeof(request));
    append(append(message + sizeof(request), argv, request.arguments), environment, request.environment);
    *ret_message = message;
    *ret_size = sizeof(request) + bytes;
    return 0;
}

static const char *take_strings(const char *at, const char *end, uint32_t count, char **strings)
{
    for (uint32_t i = 0; i < count && at; i++) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        strings[i] = (char *)at;
        at = nul ? nul + 1 : NULL;
    }
    strings[count] = NULL;
    return at;
}

bool spawner_request_read(const void *message, size_t size, struct spawner_request *ret, char **argv,
                          char **environment)
{
    const char *end = (const char *)message + size;

    if (size < sizeof(*ret))
        return false;
    memcpy(ret, message, sizeof(*ret));
    if (ret->arguments > SPAWNER_STRINGS_MAX || ret->environment > SPAWNER_STRINGS_MAX)
        return false;
    const char *at = take_strings((const char *)message + sizeof(*ret), end, ret->arguments, argv);
    if (at)
        at = take_strings(at, end, ret->environment, environment);
    return at == end;
}

bool spawner_answer_read(const void *message, size_t size, struct spawner_answer *ret)
{
    if (size < sizeof(*ret))
        return false;
    memcpy(ret, message, sizeof(*ret));
    return ret->output_bytes <= SPAWNER_OUTPUT_BYTES && ret->error_bytes <= SPAWNER_ERROR_BYTES &&
           size == sizeof(*ret) + ret->output_bytes + ret->error_bytes;
}
