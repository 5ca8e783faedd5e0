/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks: a job may name a unit of systemd for each way in which it can end, and that unit is started when it does.
 *
 *   backup-done.service   is started as it is
 *   backup-done@.service  is a template: of job 42, whose end was event 1007, backup-done@42-1007.service is started
 *
 * At least once for each event: whoever must not do a thing twice tells two starts of one event by its sequence.
 */
#pragma once

#include "core/limits.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hook_outcome { /* the numbers stand in the store: never renumber */
                    HOOK_DONE = 0,
                    HOOK_FAILED = 1,
};
#define HOOK_OUTCOMES 2

/* One end of one job whose unit has not been started yet. */
struct hook {
    uint64_t sequence; /* of the journal's event */
    uint64_t job_id;
    enum hook_outcome outcome;
    char unit[HOOK_UNIT_MAX + 1]; /* as the job named it */
};

/* "done", "failed" */
const char *hook_outcome_name(enum hook_outcome outcome);

/* "on_success", "on_failure". -EINVAL for any other. */
int hook_option_parse(const char *option, enum hook_outcome *ret);
const char *hook_option_name(enum hook_outcome outcome);

/*
 * Whether UNIT is the full name of a unit, as systemd has it, and, where it is a template, leaves room for an instance.
 * NULL, or what is wrong as an English sentence (a literal).
 */
const char *hook_unit_fault(const char *unit);

/* TEXT as a person writes it: without a suffix it is a service. -EINVAL with a sentence in *ret_reason (a literal). */
int hook_unit_complete(const char *text, char ret[static HOOK_UNIT_MAX + 1], const char **ret_reason);

/* The unit that is started for HOOK. */
void hook_unit_start(const struct hook *hook, char ret[static HOOK_UNIT_MAX + 1]);

/* The pause before the next try, after so many (1 or more) of them failed; 0 = there is none. */
uint64_t hook_retry_delay(unsigned tries, uint64_t first_usec);
