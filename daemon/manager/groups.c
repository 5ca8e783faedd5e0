/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The settings of groups: in memory for whoever decides what may run, changed by way of the writer, and in force from
 * the moment that they are durable.
 */
#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct grouping {
    struct manager *manager;
    manager_done_t done;
    void *userdata;
};

static int compare(const struct known_group *known, uid_t owner, const char *name)
{
    if (known->owner != owner)
        return known->owner < owner ? -1 : 1;
    return strcmp(known->group.name, name);
}

/* Where the group stands, or would have to stand. */
static size_t find_place(const struct manager *manager, uid_t owner, const char *name)
{
    size_t low = 0, high = manager->groups_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&manager->groups[middle], owner, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct known_group *find_known(const struct manager *manager, uid_t owner, const char *name)
{
    size_t place = find_place(manager, owner, name);

    return place < manager->groups_count && compare(&manager->groups[place], owner, name) == 0 ? &manager->groups[place]
                                                                                               : NULL;
}

const struct group *manager_find_group(const struct manager *manager, uid_t owner, const char *name)
{
    const struct known_group *known = find_known(manager, owner, name);

    return known && known->is_readable ? &known->group : NULL;
}

int manager_list_groups(const struct manager *manager, uid_t owner,
                        int (*each)(const struct group *group, void *userdata), void *userdata)
{
    const struct known_group *known = find_known(manager, owner, GROUP_DEFAULT);
    struct group plain;

    group_init(&plain, GROUP_DEFAULT);
    int r = each(known ? &known->group : &plain, userdata);
    for (size_t i = find_place(manager, owner, ""); r >= 0 && i < manager->groups_count; i++) {
        known = &manager->groups[i];
        if (known->owner != owner)
            break;
        if (!group_is_default(known->group.name))
            r = each(&known->group, userdata);
    }
    return r < 0 ? r : 0;
}

/* Room for so many more: what is durable must not fail to be in force for want of memory. */
static int make_room(struct manager *manager, size_t more)
{
    size_t wanted = manager->groups_count + more, size = manager->groups_size > 0 ? manager->groups_size : 8;

    while (size < wanted)
        size *= 2;
    if (size == manager->groups_size)
        return 0;
    struct known_group *groups = reallocarray(manager->groups, size, sizeof(*groups));
    if (!groups)
        return -ENOMEM;
    manager->groups = groups;
    manager->groups_size = size;
    return 0;
}

static void put_known(struct manager *manager, const struct known_group *known)
{
    size_t place = find_place(manager, known->owner, known->group.name);
    struct known_group *at = &manager->groups[place];

    if (place == manager->groups_count || compare(at, known->owner, known->group.name) != 0) {
        assert(manager->groups_count < manager->groups_size);
        memmove(at + 1, at, (manager->groups_count - place) * sizeof(*at));
        manager->groups_count++;
    }
    *at = *known;
}

static void drop_known(struct manager *manager, uid_t owner, const char *name)
{
    struct known_group *at = find_known(manager, owner, name);

    if (!at)
        return;
    memmove(at, at + 1, (size_t)(manager->groups + manager->groups_count - (at + 1)) * sizeof(*at));
    manager->groups_count--;
}

static size_t count_unreadable(const struct manager *manager)
{
    size_t count = 0;

    for (size_t i = 0; i < manager->groups_count; i++)
        count += !manager->groups[i].is_readable;
    return count;
}

const char *manager_groups_sentence(struct manager *manager)
{
    size_t count = count_unreadable(manager), i = 0;

    if (count == 0)
        return NULL;
    while (manager->groups[i].is_readable)
        i++;
    _cleanup_free_ char *name = text_escape(manager->groups[i].group.name);
    (void)snprintf(
        manager->groups_text, sizeof(manager->groups_text),
        "the settings of the group %s%s could not be read, so that %s jobs run without limits of a group; set "
        "them again with \"bitsq group set\", or drop them with \"bitsq group remove\"",
        name ? name : "", count > 1 ? " and of others" : "", count > 1 ? "their" : "its");
    return manager->groups_text;
}

static int load_one(uid_t owner, const struct group *group, bool is_known, void *userdata)
{
    const struct known_group known = {.owner = owner, .group = *group, .is_readable = is_known};
    struct manager *manager = userdata;

    int r = make_room(manager, 1);
    if (r == 0)
        put_known(manager, &known);
    return r;
}

int manager_load_groups(struct manager *manager)
{
    int r = store_groups(manager->store, load_one, manager);
    const char *unreadable = r == 0 ? manager_groups_sentence(manager) : NULL;

    if (unreadable)
        log_message(LOG_ERR, MESSAGE_DEGRADED, 0, "%s", unreadable);
    return r;
}

void manager_drop_groups(struct manager *manager)
{
    free(manager->groups);
    manager->groups = NULL;
    manager->groups_count = manager->groups_size = 0;
}

static void group_fault(struct manager *manager, const struct command *command, struct manager_error *error)
{
    _cleanup_free_ char *name = text_escape(command->group.to.name);

    switch (-command->result) {
    case ENOENT:
        (void)manager_fault_set(error, FAULT_INVALID_ARGUMENT, 0,
                                "there are no settings of a group %s; \"bitsq group list\" shows those there are",
                                name ? name : "");
        return;
    case EUSERS:
        (void)manager_fault_set(error, FAULT_LIMIT_REACHED, 0,
                                "%d groups have settings, and more cannot; drop some with \"bitsq group remove\"",
                                GROUPS_MAX_PER_USER);
        return;
    case EDQUOT:
        (void)manager_fault_set(error, FAULT_LIMIT_REACHED, 0,
                                "the groups of all users together have reached their limit of %d; drop some with "
                                "\"bitsq group remove\"",
                                GROUPS_MAX);
        return;
    default:
        manager_write_fault(manager, command->result, error);
    }
}

static void on_changed(struct command *command, void *userdata)
{
    struct grouping *grouping = userdata;
    struct manager *manager = grouping->manager;
    struct manager_result result = {.matched = 0};
    size_t unreadable = count_unreadable(manager);

    manager_note_commit(manager, command->result);
    if (command->type == COMMAND_GROUP_SET)
        manager->groups_pending--;
    if (command->result < 0)
        group_fault(manager, command, &result.error);
    else if (command->type == COMMAND_GROUP_REMOVE)
        drop_known(manager, command->caller, command->group.to.name);
    else
        put_known(manager,
                  &(struct known_group){.owner = command->caller, .group = command->group_after, .is_readable = true});
    if (count_unreadable(manager) != unreadable && manager->observer.degraded_changed)
        manager->observer.degraded_changed(manager->observer.userdata);
    grouping->done(grouping->userdata, &result);
    free(grouping);
    manager_reschedule(manager);
    pacing_limits_changed(manager);
}

static int submit(struct manager *manager, uid_t caller, enum command_type type, const struct group_change *change,
                  manager_done_t done, void *userdata, struct manager_error *ret_error)
{
    _cleanup_(command_free_p) struct command *command = command_new(type, 0);
    struct grouping *grouping = calloc(1, sizeof(*grouping));

    if (!command || !grouping) {
        free(grouping);
        return manager_fault_set(ret_error, FAULT_NO_MEMORY, -ENOMEM, "memory ran out; try again later");
    }
    *grouping = (struct grouping){.manager = manager, .done = done, .userdata = userdata};
    command->at = manager_now(manager);
    command->caller = caller;
    command->group = *change;
    command->done = on_changed;
    command->userdata = grouping;
    manager_submit(manager, TAKE_PTR(command));
    return 0;
}

int manager_set_group(struct manager *manager, uid_t caller, const struct group_change *change, manager_done_t done,
                      void *userdata, struct manager_error *ret_error)
{
    const char *reason = NULL;
    struct group group;

    if (manager->stopping)
        return manager_fault_stopping(ret_error);
    if (change->given == 0)
        return manager_fault_set(ret_error, FAULT_INVALID_ARGUMENT, -EINVAL, "there is nothing to set; give a setting");
    group_init(&group, change->to.name);
    if (group_change_apply(change, &group, &reason) < 0)
        return manager_fault_set(ret_error, FAULT_INVALID_ARGUMENT, -EINVAL, "%s", reason);
    if (make_room(manager, manager->groups_pending + 1) < 0)
        return manager_fault_set(ret_error, FAULT_NO_MEMORY, -ENOMEM, "memory ran out; try again later");
    int r = submit(manager, caller, COMMAND_GROUP_SET, change, done, userdata, ret_error);
    manager->groups_pending += r == 0;
    return r;
}

int manager_remove_group(struct manager *manager, uid_t caller, const char *name, manager_done_t done, void *userdata,
                         struct manager_error *ret_error)
{
    struct group_change change = {.given = 0};
    const char *reason = NULL;

    if (manager->stopping)
        return manager_fault_stopping(ret_error);
    if (group_name_check(name, &reason) < 0)
        return manager_fault_set(ret_error, FAULT_INVALID_ARGUMENT, -EINVAL, "%s", reason);
    group_init(&change.to, name);
    return submit(manager, caller, COMMAND_GROUP_REMOVE, &change, done, userdata, ret_error);
}
