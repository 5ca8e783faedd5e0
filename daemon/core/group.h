/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A group: a named set of jobs with limits of its own. A job names the group that it belongs to, which needs no
 * settings for that: a group that has none limits nothing. "default" always exists; it is where jobs are that name
 * none.
 *
 * What a group does not choose, the configuration does; what a job chooses for itself wins over its group (policy.h).
 */
#pragma once

#include "core/limits.h"
#include "core/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROUP_DEFAULT "default"

struct group {
    char name[JOB_GROUP_MAX + 1];
    uint64_t max_active; /* jobs of the group that run at a time; 0 = no limit of its own */
    uint64_t rate_bytes; /* a second, of all its jobs together; 0 = none */
    struct policy policy;
    bool paused; /* none of its jobs starts; they keep their own states */
};

/* Which settings a change gives, so that the others stay as they are. */
enum group_setting {
    GROUP_MAX_ACTIVE = 1 << 0,
    GROUP_RATE = 1 << 1,
    GROUP_NETWORK = 1 << 2,
    GROUP_POWER = 1 << 3,
    GROUP_WINDOW = 1 << 4,
    GROUP_PAUSED = 1 << 5,
};

struct group_change {
    uint32_t given;  /* of enum group_setting; given as 0, "" or false is taken back */
    struct group to; /* with the name of the group */
};

/* A group of that name without any limit. NAME is a valid one. */
void group_init(struct group *group, const char *name);

bool group_is_default(const char *name);

/* Whether NAME, which may be of any length, can be the name of a group: as those that jobs name. */
int group_name_check(const char *name, const char **ret_reason);

/* 0, or -EINVAL with one English sentence in *ret_reason (a literal). */
int group_validate(const struct group *group, const char **ret_reason);

/* "max_active", "rate", "network", "power", "window", "paused". -EINVAL. */
int group_setting_parse(const char *text, enum group_setting *ret);

/* Takes SETTING back. */
void group_change_reset(struct group_change *change, enum group_setting setting);

/* Puts what CHANGE gives into GROUP. -EINVAL as group_validate(), and then GROUP is as it was. */
int group_change_apply(const struct group_change *change, struct group *group, const char **ret_reason);
