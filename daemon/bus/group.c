/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SetGroup, RemoveGroup and ListGroups of org.bitsq1.Manager. */
#include "bus/internal.h"

#include "core/group.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>
#include <string.h>

static int read_resets(sd_bus_message *message, struct group_change *change, const char **ret_reason)
{
    enum group_setting setting;
    const char *name;

    int r = sd_bus_message_enter_container(message, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "s");
    while (r >= 0 && (r = sd_bus_message_read_basic(message, 's', &name)) > 0) {
        r = group_setting_parse(name, &setting);
        if (r == 0)
            group_change_reset(change, setting);
        else
            *ret_reason = "it lists settings: max_active, rate, network, power, window, paused";
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_value(sd_bus_message *message, const char *key, enum group_setting setting, struct group_change *change,
                      const char **ret_reason)
{
    int on, r;

    change->given |= (uint32_t)setting;
    switch (setting) {
    case GROUP_MAX_ACTIVE:
        return sd_bus_message_read(message, "v", "t", &change->to.max_active);
    case GROUP_RATE:
        return sd_bus_message_read(message, "v", "t", &change->to.rate_bytes);
    case GROUP_PAUSED:
        r = sd_bus_message_read(message, "v", "b", &on);
        if (r >= 0)
            change->to.paused = on != 0;
        return r;
    case GROUP_NETWORK:
    case GROUP_POWER:
    case GROUP_WINDOW:
        return options_read_policy(message, key, &change->to.policy, ret_reason);
    }
    return -EINVAL;
}

static int read_setting(sd_bus_message *message, const char *key, void *target, const char **ret_reason)
{
    struct group_change *change = target;
    enum group_setting setting;
    int r;

    if (strcmp(key, "reset") == 0)
        r = read_resets(message, change, ret_reason);
    else if (group_setting_parse(key, &setting) < 0)
        return -ENOKEY;
    else
        r = read_value(message, key, setting, change, ret_reason);
    return r;
}

static int read_name(sd_bus_message *message, const char **ret_name, sd_bus_error *error)
{
    const char *name, *reason = NULL;

    int r = sd_bus_message_read(message, "s", &name);
    if (r < 0)
        return r;
    if (group_name_check(name, &reason) < 0)
        return sd_bus_error_set(error, BITSQ_ERROR_INVALID_ARGUMENT, reason);
    *ret_name = name;
    return 0;
}

int manager_method_set_group(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct group_change change = {.given = 0};
    struct peer *peer = userdata;
    struct manager_error fault;
    struct call *call;
    const char *name = "";
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = read_name(m, &name, error);
    if (r < 0)
        return r;
    group_init(&change.to, name);
    r = options_read_dictionary(m, read_setting, &change, error);
    if (r >= 0)
        r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    r = manager_set_group(peer->server->manager, caller, &change, call_answer, call, &fault);
    return call_wait(call, r, &fault, error);
}

int manager_method_remove_group(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    struct manager_error fault;
    struct call *call;
    const char *name = "";
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = read_name(m, &name, error);
    if (r >= 0)
        r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    r = manager_remove_group(peer->server->manager, caller, name, call_answer, call, &fault);
    return call_wait(call, r, &fault, error);
}

static int append_settings(sd_bus_message *reply, const struct group *group)
{
    const struct policy *policy = &group->policy;
    char power[POWER_TEXT_MAX];

    int r = sd_bus_message_append(reply, "{sv}", "paused", "b", (int)group->paused);
    if (r >= 0 && group->max_active != 0)
        r = sd_bus_message_append(reply, "{sv}", "max_active", "t", group->max_active);
    if (r >= 0 && group->rate_bytes != 0)
        r = sd_bus_message_append(reply, "{sv}", "rate", "t", group->rate_bytes);
    if (r >= 0 && policy->network != NETWORK_UNCHOSEN)
        r = sd_bus_message_append(reply, "{sv}", "network", "s", policy_network_name(policy->network));
    if (r >= 0 && policy->power != POWER_UNCHOSEN)
        r = sd_bus_message_append(reply, "{sv}", "power", "s", policy_power_text(policy->power, power));
    if (r >= 0 && policy->window[0] != '\0')
        r = sd_bus_message_append(reply, "{sv}", "window", "s", policy->window);
    return r;
}

static int append_group(const struct group *group, void *userdata)
{
    sd_bus_message *reply = userdata;

    int r = sd_bus_message_open_container(reply, 'e', "sa{sv}");
    if (r >= 0)
        r = sd_bus_message_append_basic(reply, 's', group->name);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0)
        r = append_settings(reply, group);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

int manager_method_list_groups(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    uid_t caller;

    if (!peer->is_broker && peer_is_busy(peer))
        return sd_bus_error_set(error, BITSQ_ERROR_LIMIT_REACHED, "read the replies that wait before asking for more");
    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
    if (r >= 0)
        r = manager_list_groups(peer->server->manager, caller, append_group, reply);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
