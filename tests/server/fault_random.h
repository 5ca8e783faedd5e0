/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Faults drawn at random, of those that a client must survive. What a request draws follows from the seed, the number
 * of the request and its packet alone, so that a run can be repeated. A packet whose last of its kind had a fault has
 * none, and there is an end to them: a right client comes through.
 */
#pragma once

#include <stdint.h>

#include "fault.h"

struct fault_random;
struct fault_rule;

/* PERCENT of the requests draw a fault until there were MAX. NULL if there is no memory. */
struct fault_random *fault_random_new(uint64_t seed, unsigned percent, uint64_t max);
struct fault_random *fault_random_free(struct fault_random *random);

/* The fault of request N, or NULL. *RET_TEXT says which, for the log. Not to be called by two threads at once. */
const struct fault_rule *fault_random_draw(struct fault_random *random, const struct fault_facts *facts, uint64_t n,
                                           const char **ret_text);
