/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/hook.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DELAY_FACTOR 3

const char *hook_outcome_name(enum hook_outcome outcome)
{
    return outcome == HOOK_DONE ? "done" : "failed";
}

const char *hook_option_name(enum hook_outcome outcome)
{
    return outcome == HOOK_DONE ? "on_success" : "on_failure";
}

int hook_option_parse(const char *option, enum hook_outcome *ret)
{
    for (enum hook_outcome outcome = HOOK_DONE; outcome <= HOOK_FAILED; outcome++) {
        if (strcmp(option, hook_option_name(outcome)) == 0) {
            *ret = outcome;
            return 0;
        }
    }
    return -EINVAL;
}

/* Where the suffix begins that says what kind of unit it is; NULL = there is none that is known. */
static const char *find_suffix(const char *unit)
{
    static const char *const suffixes[] = {".service",   ".target", ".timer", ".path",  ".socket", ".mount",
                                           ".automount", ".swap",   ".slice", ".scope", ".device"};
    const char *dot = strrchr(unit, '.');

    for (size_t i = 0; dot && i < ELEMENTS(suffixes); i++)
        if (strcmp(dot, suffixes[i]) == 0)
            return dot;
    return NULL;
}

static bool is_template(const char *unit)
{
    const char *at = strchr(unit, '@'), *suffix = find_suffix(unit);

    return at && at + 1 == suffix;
}

static bool has_only_legal_characters(const char *unit)
{
    for (; *unit != '\0'; unit++) {
        bool is_letter = (*unit >= 'a' && *unit <= 'z') || (*unit >= 'A' && *unit <= 'Z');
        if (!is_letter && !(*unit >= '0' && *unit <= '9') && !strchr(":_.\\-@", *unit))
            return false;
    }
    return true;
}

const char *hook_unit_fault(const char *unit)
{
    size_t length = strnlen(unit, HOOK_UNIT_MAX + 1);

    if (length == 0)
        return "a unit is missing; give the name of one, as upload-done.service";
    if (length > HOOK_UNIT_MAX)
        return "the name of a unit has at most 255 characters, its suffix included";
    if (!has_only_legal_characters(unit))
        return "the name of a unit has letters, digits and : _ . \\ - @ only; a path or a command is none: put it into "
               "a service";
    const char *suffix = find_suffix(unit);
    if (!suffix)
        return "the name of a unit ends in what it is, as .service";
    if (suffix == unit || unit[0] == '@')
        return "the name of a unit is missing before its suffix or @";
    if (is_template(unit) && length > HOOK_UNIT_MAX - HOOK_INSTANCE_MAX)
        return "the name of a template has at most 214 characters, so that the job's id and its event's number fit";
    return NULL;
}

int hook_unit_complete(const char *text, char ret[static HOOK_UNIT_MAX + 1], const char **ret_reason)
{
    char unit[HOOK_UNIT_MAX + sizeof(".service")];
    bool is_whole = text[0] == '\0' || find_suffix(text) || strnlen(text, HOOK_UNIT_MAX + 1) > HOOK_UNIT_MAX;

    if (!is_whole)
        (void)snprintf(unit, sizeof(unit), "%s.service", text);
    const char *fault = hook_unit_fault(is_whole ? text : unit);
    if (fault) {
        *ret_reason = fault;
        return -EINVAL;
    }
    (void)text_copy(ret, HOOK_UNIT_MAX + 1, is_whole ? text : unit);
    return 0;
}

void hook_unit_start(const struct hook *hook, char ret[static HOOK_UNIT_MAX + 1])
{
    const char *suffix = find_suffix(hook->unit);
    int n;

    if (suffix && is_template(hook->unit))
        n = snprintf(ret, HOOK_UNIT_MAX + 1, "%.*s%" PRIu64 "-%" PRIu64 "%s", (int)(suffix - hook->unit), hook->unit,
                     hook->job_id, hook->sequence, suffix);
    else
        n = snprintf(ret, HOOK_UNIT_MAX + 1, "%s", hook->unit);
    assert(n >= 0 && n <= HOOK_UNIT_MAX);
}

uint64_t hook_retry_delay(unsigned tries, uint64_t first_usec)
{
    uint64_t delay = first_usec;

    if (tries >= HOOK_TRIES_MAX)
        return 0;
    while (--tries > 0)
        delay *= DELAY_FACTOR;
    return delay;
}
