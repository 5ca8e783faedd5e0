/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_GROUP "default"

struct named_group {
    char *name;
    bitsq_job_options *settings;
};

struct bitsq_groups {
    struct named_group *groups;
    size_t count;
};

_public_ bitsq_groups *bitsq_groups_free(bitsq_groups *groups)
{
    if (!groups)
        return NULL;
    for (size_t i = 0; i < groups->count; i++) {
        free(groups->groups[i].name);
        (void)bitsq_job_options_free(groups->groups[i].settings);
    }
    free(groups->groups);
    free(groups);
    return NULL;
}

static int read_group(sd_bus_message *m, bitsq_groups *groups)
{
    struct named_group group = {.name = NULL};
    const char *name;

    int r = sd_bus_message_read(m, "s", &name);
    if (r < 0)
        return r;
    struct named_group *grown = reallocarray(groups->groups, groups->count + 1, sizeof(*grown));
    if (grown)
        groups->groups = grown;
    group.name = strdup(name);
    r = grown && group.name ? options_read(m, &group.settings) : -ENOMEM;
    if (r < 0) {
        free(group.name);
        return r;
    }
    groups->groups[groups->count++] = group;
    return 0;
}

static int read_groups(sd_bus_message *m, bitsq_groups *groups)
{
    int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
        r = read_group(m, groups);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* "default" first, as it is there always and is looked for most. */
static int compare_groups(const void *left, const void *right)
{
    const struct named_group *a = left, *b = right;
    int is_default = (strcmp(b->name, DEFAULT_GROUP) == 0) - (strcmp(a->name, DEFAULT_GROUP) == 0);

    return is_default != 0 ? is_default : strcmp(a->name, b->name);
}

DEFINE_CLEANUP(bitsq_groups *, bitsq_groups_free);

_public_ int bitsq_client_list_groups(bitsq_client *client, bitsq_groups **ret_groups)
{
    _cleanup_(bitsq_groups_free_p) bitsq_groups *groups = calloc(1, sizeof(*groups));
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;

    if (!groups)
        return client_fail_memory(client);
    int r = client_manager_call(client, MANAGER_LIST_GROUPS, &call);
    if (r < 0 || (r = client_call(client, call, &reply)) < 0 ||
        (r = client_check_reply(client, read_groups(reply, groups))) < 0)
        return r;
    if (groups->count > 1)
        qsort(groups->groups, groups->count, sizeof(*groups->groups), compare_groups);
    *ret_groups = TAKE_PTR(groups);
    return 0;
}

_public_ const char *bitsq_groups_get_name(const bitsq_groups *groups, size_t index)
{
    return index < groups->count ? groups->groups[index].name : NULL;
}

_public_ const bitsq_job_options *bitsq_groups_get_settings(const bitsq_groups *groups, size_t index)
{
    return index < groups->count ? groups->groups[index].settings : NULL;
}

_public_ int bitsq_client_set_group(bitsq_client *client, const char *name, const bitsq_job_options *settings)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL;

    int r = client_manager_call(client, MANAGER_SET_GROUP, &call);
    if (r < 0)
        return r;
    r = sd_bus_message_append(call, "s", name);
    if (r >= 0)
        r = options_append(settings, call);
    r = client_check_append(client, r);
    return r < 0 ? r : client_call(client, call, NULL);
}

_public_ int bitsq_client_remove_group(bitsq_client *client, const char *name)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL;

    int r = client_manager_call(client, MANAGER_REMOVE_GROUP, &call);
    if (r < 0 || (r = client_check_append(client, sd_bus_message_append(call, "s", name))) < 0)
        return r;
    return client_call(client, call, NULL);
}
