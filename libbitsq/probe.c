/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <string.h>

struct finding {
    char *name, *verdict, *text, *remedy;
};

struct bitsq_probe {
    struct finding *findings;
    size_t count;
    int usable;
    uint64_t latency;
    char *address; /* NULL = none */
};

_public_ bitsq_probe *bitsq_probe_free(bitsq_probe *probe)
{
    if (!probe)
        return NULL;
    for (size_t i = 0; i < probe->count; i++) {
        free(probe->findings[i].name);
        free(probe->findings[i].verdict);
        free(probe->findings[i].text);
        free(probe->findings[i].remedy);
    }
    free(probe->findings);
    free(probe->address);
    free(probe);
    return NULL;
}

static int read_findings(sd_bus_message *m, bitsq_probe *probe)
{
    const char *name, *verdict, *text, *remedy;

    int r = sd_bus_message_enter_container(m, 'v', "a(ssss)");
    if (r < 0 || (r = sd_bus_message_enter_container(m, 'a', "(ssss)")) < 0)
        return r;
    while ((r = sd_bus_message_read(m, "(ssss)", &name, &verdict, &text, &remedy)) > 0) {
        struct finding *grown = reallocarray(probe->findings, probe->count + 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        probe->findings = grown;
        struct finding *finding = &grown[probe->count++];
        *finding = (struct finding){strdup(name), strdup(verdict), strdup(text), strdup(remedy)};
        if (!finding->name || !finding->verdict || !finding->text || !finding->remedy)
            return -ENOMEM;
    }
    if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
        return r;
    return sd_bus_message_exit_container(m);
}

static int read_member(sd_bus_message *m, const char *key, void *target)
{
    bitsq_probe *probe = target;
    const char *text;

    if (strcmp(key, "findings") == 0)
        return read_findings(m, probe);
    if (strcmp(key, "usable") == 0)
        return sd_bus_message_read(m, "v", "b", &probe->usable);
    if (strcmp(key, "latency") == 0)
        return sd_bus_message_read(m, "v", "t", &probe->latency);
    if (strcmp(key, "address") != 0)
        return sd_bus_message_skip(m, "v");
    int r = sd_bus_message_read(m, "v", "s", &text);
    if (r < 0)
        return r;
    free(probe->address);
    probe->address = strdup(text);
    return probe->address ? 0 : -ENOMEM;
}

static int read_probe(sd_bus_message *m, bitsq_probe **ret)
{
    _cleanup_(bitsq_probe_free_p) bitsq_probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        return -ENOMEM;
    int r = message_read_dictionary(m, read_member, probe);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(probe);
    return 0;
}

_public_ int bitsq_client_probe(bitsq_client *client, const char *url, const bitsq_job_options *options,
                                uint64_t timeout_usec, bitsq_probe **ret_probe)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;

    int r = client_manager_call(client, MANAGER_PROBE, &call);
    if (r < 0)
        return r;
    r = sd_bus_message_append(call, "s", url);
    if (r >= 0)
        r = options_append(options, call);
    r = client_check_append(client, r);
    if (r < 0 || (r = client_call_for(client, call, timeout_usec, &reply)) < 0)
        return r;
    return client_check_reply(client, read_probe(reply, ret_probe));
}

_public_ int bitsq_probe_is_usable(const bitsq_probe *probe)
{
    return probe->usable != 0;
}

_public_ uint64_t bitsq_probe_get_latency(const bitsq_probe *probe)
{
    return probe->latency;
}

_public_ const char *bitsq_probe_get_address(const bitsq_probe *probe)
{
    return probe->address ? probe->address : "";
}

_public_ int bitsq_probe_get_finding(const bitsq_probe *probe, size_t index, const char **ret_name,
                                     const char **ret_verdict, const char **ret_text, const char **ret_remedy)
{
    if (index >= probe->count)
        return 0;
    const struct finding *finding = &probe->findings[index];
    if (ret_name)
        *ret_name = finding->name;
    if (ret_verdict)
        *ret_verdict = finding->verdict;
    if (ret_text)
        *ret_text = finding->text;
    if (ret_remedy)
        *ret_remedy = finding->remedy;
    return 1;
}
