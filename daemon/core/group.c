/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/group.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

void group_init(struct group *group, const char *name)
{
    *group = (struct group){.max_active = 0};
    (void)text_copy(group->name, sizeof(group->name), name);
}

bool group_is_default(const char *name)
{
    return strcmp(name, GROUP_DEFAULT) == 0;
}

static bool has_control_characters(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

int group_name_check(const char *name, const char **ret_reason)
{
    size_t length = strnlen(name, JOB_GROUP_MAX + 1);

    if (length > 0 && length <= JOB_GROUP_MAX && text_is_utf8(name, length) && !has_control_characters(name))
        return 0;
    if (ret_reason)
        *ret_reason = "the name of a group must be 1 to 64 bytes of UTF-8 without line breaks or other control "
                      "characters";
    return -EINVAL;
}

static const char *find_fault(const struct group *group)
{
    const char *reason = NULL;

    if (!memchr(group->name, '\0', sizeof(group->name)) || group_name_check(group->name, &reason) < 0)
        return reason ? reason : "the name of the group is too long";
    if (group->max_active > GROUP_ACTIVE_MAX)
        return "a group may let 1 to 64 of its jobs run at a time; 0 is no limit of its own";
    if (group->rate_bytes != 0 && (group->rate_bytes < RATE_MIN_BYTES || group->rate_bytes > GROUP_RATE_MAX))
        return "the rate must be 64 bytes to 1 TB a second; 0 is no limit";
    return policy_fault(&group->policy);
}

int group_validate(const struct group *group, const char **ret_reason)
{
    const char *fault = find_fault(group);

    if (!fault)
        return 0;
    if (ret_reason)
        *ret_reason = fault;
    return -EINVAL;
}

int group_setting_parse(const char *text, enum group_setting *ret)
{
    static const char *const names[] = {"max_active", "rate", "network", "power", "window", "paused"};

    for (unsigned i = 0; i < ELEMENTS(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum group_setting)(1U << i);
            return 0;
        }
    }
    return -EINVAL;
}

static void take(struct group *group, const struct group *from, enum group_setting setting)
{
    switch (setting) {
    case GROUP_MAX_ACTIVE:
        group->max_active = from->max_active;
        return;
    case GROUP_RATE:
        group->rate_bytes = from->rate_bytes;
        return;
    case GROUP_NETWORK:
        group->policy.network = from->policy.network;
        return;
    case GROUP_POWER:
        group->policy.power = from->policy.power;
        return;
    case GROUP_WINDOW:
        memcpy(group->policy.window, from->policy.window, sizeof(group->policy.window));
        return;
    case GROUP_PAUSED:
        group->paused = from->paused;
        return;
    }
}

void group_change_reset(struct group_change *change, enum group_setting setting)
{
    static const struct group nothing = {.max_active = 0};

    change->given |= (uint32_t)setting;
    take(&change->to, &nothing, setting);
}

int group_change_apply(const struct group_change *change, struct group *group, const char **ret_reason)
{
    struct group changed = *group;

    for (uint32_t setting = GROUP_MAX_ACTIVE; setting <= GROUP_PAUSED; setting <<= 1)
        if ((change->given & setting) != 0)
            take(&changed, &change->to, (enum group_setting)setting);
    int r = group_validate(&changed, ret_reason);
    if (r == 0)
        *group = changed;
    return r;
}
