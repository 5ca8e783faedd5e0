/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How servers are reached: the keys of core/access.h, in [bitsqd] for all hosts and in [Host PATTERN] for some. */
#pragma once

#include "core/access.h"

/* Makes the section of all hosts, which stays the last. */
int config_access_init(struct access_rules *rules);

/* "example.org" of "Host example.org"; NULL where SECTION is of another kind. */
const char *config_access_pattern(const char *section);

/*
 * Sets NAME for PATTERN, or for all hosts where it is NULL. -ENXIO: there is no such key; -EINVAL with a sentence in
 * *ret_reason (malloc'ed), which never holds the value: it might be a secret at the wrong place.
 */
int config_access_set(struct access_rules *rules, const char *pattern, const char *name, const char *text,
                      char **ret_reason);

/* TEXT with the user's home folder in place of a leading ~/ or, as in units, %h/. NULL when memory is refused. */
char *config_expand_home(const char *text);
