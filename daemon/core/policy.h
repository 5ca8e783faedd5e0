/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When, over which network and on which power jobs may run. The configuration chooses for all, a group for its jobs, a
 * job for itself: the choice that is closest to the job counts. Nothing of it is worked out before it is needed: a job
 * carries what was chosen for it, never whether it may run.
 */
#pragma once

#include "core/window.h"

#include <stdbool.h>
#include <stdint.h>

enum policy_network { /* the numbers stand in the store: never renumber */
                      NETWORK_UNCHOSEN = 0,
                      NETWORK_ANY = 1,
                      NETWORK_UNMETERED = 2,
};

/* What power a job asks for: POWER_AC, or the charge in percent from which on a battery will do as well. */
enum {
    POWER_UNCHOSEN = 0,
    POWER_ANY = 101,
    POWER_AC = 102, /* 1 to 100: percent */
};
#define POWER_TEXT_MAX 8

struct policy {
    enum policy_network network;
    uint32_t power;
    char window[WINDOW_TEXT_MAX + 1]; /* "" = none was chosen; "always" = none, whatever the others say */
};

bool policy_is_empty(const struct policy *policy);

bool policy_equal(const struct policy *a, const struct policy *b);

/* What is wrong with it: a literal; NULL = nothing. For records that were read. */
const char *policy_fault(const struct policy *policy);

/* What CLOSE leaves open is taken from FAR. */
struct policy policy_merge(const struct policy *close, const struct policy *far);

/* "any", "unmetered". -EINVAL. */
int policy_network_parse(const char *text, enum policy_network *ret);
const char *policy_network_name(enum policy_network network); /* "" = not chosen */

/* "any", "ac", "1%" to "100%". -EINVAL. */
int policy_power_parse(const char *text, uint32_t *ret);
const char *policy_power_text(uint32_t power, char text[static POWER_TEXT_MAX]); /* "" = not chosen */

/* A window, or "always". -EINVAL with a sentence in *ret_reason (a literal). */
int policy_window_set(struct policy *policy, const char *text, const char **ret_reason);

/* The window as parsed; one that is always open where none was chosen. */
void policy_window(const struct policy *policy, struct window *ret);
