/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <string.h>

static const char *const state_names[] = {
    [BITSQ_STATE_UNKNOWN] = "unknown",
    [BITSQ_STATE_QUEUED] = "queued",
    [BITSQ_STATE_BLOCKED] = "blocked",
    [BITSQ_STATE_CONNECTING] = "connecting",
    [BITSQ_STATE_TRANSFERRING] = "transferring",
    [BITSQ_STATE_RETRYING] = "retrying",
    [BITSQ_STATE_PAUSED] = "paused",
    [BITSQ_STATE_CANCELLING] = "cancelling",
    [BITSQ_STATE_DONE] = "done",
    [BITSQ_STATE_FAILED] = "failed",
    [BITSQ_STATE_CANCELLED] = "cancelled",
    [BITSQ_STATE_REPLYING] = "replying",
};

_public_ const char *bitsq_version(void)
{
    return BITSQ_VERSION;
}

_public_ const char *bitsq_state_to_name(bitsq_state state)
{
    return (size_t)state < ELEMENTS(state_names) ? state_names[state] : state_names[BITSQ_STATE_UNKNOWN];
}

_public_ bitsq_state bitsq_state_from_name(const char *name)
{
    for (size_t i = BITSQ_STATE_QUEUED; i < ELEMENTS(state_names); i++)
        if (strcmp(state_names[i], name) == 0)
            return (bitsq_state)i;
    return BITSQ_STATE_UNKNOWN;
}

_public_ int bitsq_state_is_final(bitsq_state state)
{
    return state == BITSQ_STATE_DONE || state == BITSQ_STATE_FAILED || state == BITSQ_STATE_CANCELLED;
}
