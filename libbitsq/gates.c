/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <string.h>

struct gate {
    const char *name, *text, *remedy; /* they live in the message */
    int is_open;
    uint64_t since, until;
};

struct bitsq_gates {
    sd_bus_message *message;
    struct gate *gates;
    size_t count;
};

_public_ bitsq_gates *bitsq_gates_free(bitsq_gates *gates)
{
    if (!gates)
        return NULL;
    sd_bus_message_unref(gates->message);
    free(gates->gates);
    free(gates);
    return NULL;
}

static int read_detail(sd_bus_message *m, const char *key, void *target)
{
    struct gate *gate = target;

    if (strcmp(key, "since") == 0)
        return sd_bus_message_read(m, "v", "t", &gate->since);
    if (strcmp(key, "remedy") == 0)
        return sd_bus_message_read(m, "v", "s", &gate->remedy);
    return sd_bus_message_skip(m, "v");
}

static int read_gates(sd_bus_message *m, bitsq_gates *gates)
{
    int r = sd_bus_message_enter_container(m, 'a', "(sbtsa{sv})");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sbtsa{sv}")) > 0) {
        struct gate *grown = reallocarray(gates->gates, gates->count + 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        gates->gates = grown;
        struct gate *gate = &grown[gates->count++];
        *gate = (struct gate){.remedy = ""};
        r = sd_bus_message_read(m, "sbts", &gate->name, &gate->is_open, &gate->until, &gate->text);
        if (r >= 0)
            r = message_read_dictionary(m, read_detail, gate);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

_public_ int bitsq_client_explain(bitsq_client *client, uint64_t id, bitsq_gates **ret_gates)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL;
    _cleanup_(bitsq_gates_free_p) bitsq_gates *gates = calloc(1, sizeof(*gates));

    if (!gates)
        return client_fail_memory(client);
    int r = client_manager_call(client, MANAGER_EXPLAIN, &call);
    if (r >= 0)
        r = client_check_append(client, sd_bus_message_append(call, "t", id));
    if (r < 0 || (r = client_call(client, call, &gates->message)) < 0)
        return r;
    r = client_check_reply(client, read_gates(gates->message, gates));
    if (r < 0)
        return r;
    *ret_gates = TAKE_PTR(gates);
    return 0;
}

_public_ int bitsq_gates_get(const bitsq_gates *gates, size_t index, const char **ret_name, int *ret_open,
                             uint64_t *ret_since, uint64_t *ret_until)
{
    if (index >= gates->count)
        return 0;
    if (ret_name)
        *ret_name = gates->gates[index].name;
    if (ret_open)
        *ret_open = gates->gates[index].is_open;
    if (ret_since)
        *ret_since = gates->gates[index].since;
    if (ret_until)
        *ret_until = gates->gates[index].until;
    return 1;
}

_public_ const char *bitsq_gates_get_text(const bitsq_gates *gates, size_t index)
{
    return index < gates->count ? gates->gates[index].text : NULL;
}

_public_ const char *bitsq_gates_get_remedy(const bitsq_gates *gates, size_t index)
{
    return index < gates->count ? gates->gates[index].remedy : NULL;
}

_public_ int bitsq_client_run(bitsq_client *client, uint64_t id, const char *const *ignore)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;

    int r = client_job_call(client, id, JOB_RUN, &call);
    if (r < 0)
        return r;
    r = sd_bus_message_open_container(call, 'a', "s");
    for (; r >= 0 && ignore && *ignore; ignore++)
        r = sd_bus_message_append(call, "s", *ignore);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    r = client_check_append(client, r);
    return r < 0 ? r : client_call(client, call, &reply);
}
