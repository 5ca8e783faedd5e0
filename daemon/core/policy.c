/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/policy.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ALWAYS "always"

static const char *const network_names[] = {
    [NETWORK_UNCHOSEN] = "",
    [NETWORK_ANY] = "any",
    [NETWORK_UNMETERED] = "unmetered",
};

bool policy_is_empty(const struct policy *policy)
{
    return policy->network == NETWORK_UNCHOSEN && policy->power == POWER_UNCHOSEN && policy->window[0] == '\0';
}

bool policy_equal(const struct policy *a, const struct policy *b)
{
    return a->network == b->network && a->power == b->power && strcmp(a->window, b->window) == 0;
}

const char *policy_fault(const struct policy *policy)
{
    struct policy copy = {.network = NETWORK_UNCHOSEN};
    const char *reason = NULL;

    if ((unsigned)policy->network > NETWORK_UNMETERED)
        return "the network is unknown";
    if (policy->power > POWER_AC)
        return "the power is unknown";
    if (!memchr(policy->window, '\0', sizeof(policy->window)))
        return "the window is too long";
    return policy->window[0] != '\0' && policy_window_set(&copy, policy->window, &reason) < 0 ? reason : NULL;
}

struct policy policy_merge(const struct policy *close, const struct policy *far)
{
    struct policy merged = *close;

    if (merged.network == NETWORK_UNCHOSEN)
        merged.network = far->network;
    if (merged.power == POWER_UNCHOSEN)
        merged.power = far->power;
    if (merged.window[0] == '\0')
        memcpy(merged.window, far->window, sizeof(merged.window));
    return merged;
}

int policy_network_parse(const char *text, enum policy_network *ret)
{
    for (int i = NETWORK_ANY; i <= NETWORK_UNMETERED; i++) {
        if (strcmp(text, network_names[i]) == 0) {
            *ret = (enum policy_network)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *policy_network_name(enum policy_network network)
{
    return (unsigned)network <= NETWORK_UNMETERED ? network_names[network] : "";
}

int policy_power_parse(const char *text, uint32_t *ret)
{
    size_t length = strlen(text);
    uint64_t percent;

    if (strcmp(text, "any") == 0) {
        *ret = POWER_ANY;
        return 0;
    }
    if (strcmp(text, "ac") == 0) {
        *ret = POWER_AC;
        return 0;
    }
    if (length < 2 || text[length - 1] != '%' || parse_u64_n(text, length - 1, &percent) < 0 || percent < 1 ||
        percent > 100)
        return -EINVAL;
    *ret = (uint32_t)percent;
    return 0;
}

const char *policy_power_text(uint32_t power, char text[static POWER_TEXT_MAX])
{
    if (power == POWER_UNCHOSEN || power > POWER_AC)
        return "";
    if (power == POWER_ANY)
        return "any";
    if (power == POWER_AC)
        return "ac";
    (void)snprintf(text, POWER_TEXT_MAX, "%u%%", power);
    return text;
}

int policy_window_set(struct policy *policy, const char *text, const char **ret_reason)
{
    size_t length = strnlen(text, WINDOW_TEXT_MAX + 1);
    struct window window;

    if (length > WINDOW_TEXT_MAX) {
        *ret_reason = "a window may have at most 127 characters";
        return -EINVAL;
    }
    if (strcmp(text, ALWAYS) != 0) {
        int r = window_parse(text, false, &window, ret_reason);
        if (r < 0)
            return r;
    }
    memcpy(policy->window, text, length);
    memset(policy->window + length, 0, sizeof(policy->window) - length);
    return 0;
}

void policy_window(const struct policy *policy, struct window *ret)
{
    const char *reason;

    if (strcmp(policy->window, ALWAYS) == 0 || window_parse(policy->window, false, ret, &reason) < 0)
        *ret = (struct window){.count = 0};
}
