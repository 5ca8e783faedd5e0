/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <string.h>

static const char *verb_name(bitsq_verb verb)
{
    switch (verb) {
    case BITSQ_PAUSE:
        return "pause";
    case BITSQ_RESUME:
        return "resume";
    case BITSQ_CANCEL:
        return "cancel";
    case BITSQ_RETRY:
        return "retry";
    case BITSQ_REMOVE:
        return "remove";
    }
    return NULL;
}

static void failures_clear(bitsq_client *client)
{
    for (size_t i = 0; i < client->failures_count; i++) {
        free(client->failures[i].name);
        free(client->failures[i].message);
    }
    free(client->failures);
    client->failures = NULL;
    client->failures_count = 0;
}

static int failures_read(bitsq_client *client, sd_bus_message *reply)
{
    const char *name, *message;
    uint64_t id;

    int r = sd_bus_message_enter_container(reply, 'a', "(tss)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(tss)", &id, &name, &message)) > 0) {
        struct control_failure failure = {.id = id, .name = strdup(error_short_name(name)), .message = strdup(message)};
        struct control_failure *grown = reallocarray(client->failures, client->failures_count + 1, sizeof(*grown));
        if (grown)
            client->failures = grown;
        if (!grown || !failure.name || !failure.message) {
            free(failure.name);
            free(failure.message);
            return -ENOMEM;
        }
        client->failures[client->failures_count++] = failure;
    }
    return r;
}

/* One call; adds to both counts. */
static int control_part(bitsq_client *client, const char *verb, const bitsq_filter *filter, enum filter_part part,
                        const bitsq_job_options *settings, uint64_t *matched, uint64_t *failed)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;
    uint64_t part_matched, part_failed;

    int r = client_manager_call(client, MANAGER_CONTROL_JOBS, &call);
    if (r < 0)
        return r;
    r = sd_bus_message_append(call, "s", verb);
    if (r >= 0)
        r = filter_append(filter, part, call);
    if (r >= 0)
        r = options_append(settings, call);
    r = client_check_append(client, r);
    if (r < 0 || (r = client_call(client, call, &reply)) < 0)
        return r;
    r = sd_bus_message_read(reply, "tt", &part_matched, &part_failed);
    if (r >= 0)
        r = failures_read(client, reply);
    if (r < 0)
        return client_check_reply(client, r);
    *matched += part_matched;
    *failed += part_failed;
    return 0;
}

static int control(bitsq_client *client, const char *verb, const bitsq_filter *filter,
                   const bitsq_job_options *settings, uint64_t *ret_matched, uint64_t *ret_failed)
{
    uint64_t matched = 0, failed = 0;

    bool both = filter_has_ids(filter) && filter_has_ranges(filter);
    int r =
        control_part(client, verb, filter, both ? FILTER_WITHOUT_RANGES : FILTER_WHOLE, settings, &matched, &failed);
    if (r >= 0 && both)
        r = control_part(client, verb, filter, FILTER_WITHOUT_IDS, settings, &matched, &failed);
    if (r < 0)
        return r;
    if (ret_matched)
        *ret_matched = matched;
    if (ret_failed)
        *ret_failed = failed;
    return 0;
}

_public_ int bitsq_client_control(bitsq_client *client, bitsq_verb verb, const bitsq_filter *filter,
                                  uint64_t *ret_matched, uint64_t *ret_failed)
{
    const char *name = verb_name(verb);

    failures_clear(client);
    if (!name)
        return client_fail(client, -EINVAL, "InvalidArgument", "there is no verb with the number %d", (int)verb);
    return control(client, name, filter, NULL, ret_matched, ret_failed);
}

_public_ int bitsq_client_set(bitsq_client *client, const bitsq_filter *filter, const bitsq_job_options *settings,
                              uint64_t *ret_matched, uint64_t *ret_failed)
{
    failures_clear(client);
    return control(client, "set", filter, settings, ret_matched, ret_failed);
}

_public_ int bitsq_client_get_failure(const bitsq_client *client, size_t index, uint64_t *ret_id,
                                      const char **ret_error_name, const char **ret_message)
{
    if (index >= client->failures_count)
        return 0;
    if (ret_id)
        *ret_id = client->failures[index].id;
    if (ret_error_name)
        *ret_error_name = client->failures[index].name;
    if (ret_message)
        *ret_message = client->failures[index].message;
    return 1;
}

_public_ int bitsq_client_control_job(bitsq_client *client, bitsq_verb verb, uint64_t id)
{
    _cleanup_(bitsq_filter_free_p) bitsq_filter *filter = NULL;
    const char *name = NULL, *message = NULL;

    if (bitsq_filter_new(&filter) < 0 || bitsq_filter_add_id(filter, id) < 0)
        return client_fail_memory(client);
    int r = bitsq_client_control(client, verb, filter, NULL, NULL);
    if (r < 0)
        return r;
    if (bitsq_client_get_failure(client, 0, NULL, &name, &message) > 0)
        return client_fail(client, error_from_name(name), name, "%s", message);
    return 0;
}
