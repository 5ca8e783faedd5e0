/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The a{sv} arguments: every key is known or refused, so that a misspelt option is never silently lost. */
#include "bus/internal.h"

#include "core/limits.h"

#include "base/text.h"

#include <dbus/names.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static int invalid(sd_bus_error *error, const char *key, const char *what)
{
    return sd_bus_error_setf(error, BITSQ_ERROR_INVALID_ARGUMENT, "option \"%s\": %s", key, what);
}

int options_read_dictionary(sd_bus_message *message, options_read_key_t read, void *target, sd_bus_error *error)
{
    const char *key, *reason = NULL;
    int r = sd_bus_message_enter_container(message, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = sd_bus_message_read_basic(message, 's', &key);
        if (r < 0)
            return r;
        r = read(message, key, target, &reason);
        if (r == -ENOKEY)
            return invalid(error, key, "there is no such option; see the interface's description");
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            return invalid(error, key, reason ? reason : "its value is of the wrong type or out of range");
        r = sd_bus_message_exit_container(message);
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_string(sd_bus_message *message, char **ret)
{
    const char *text;
    int r = sd_bus_message_read(message, "v", "s", &text);

    if (r < 0)
        return r;
    free(*ret);
    *ret = strdup(text);
    return *ret ? 0 : -ENOMEM;
}

static int read_u64(sd_bus_message *message, uint64_t *ret)
{
    return sd_bus_message_read(message, "v", "t", ret);
}

static int read_bool(sd_bus_message *message, bool *ret)
{
    int value;
    int r = sd_bus_message_read(message, "v", "b", &value);

    if (r >= 0)
        *ret = value != 0;
    return r;
}

static int read_priority(sd_bus_message *message, enum job_priority *ret)
{
    const char *text;
    int r = sd_bus_message_read(message, "v", "s", &text);

    return r < 0 ? r : job_priority_parse(text, ret);
}

static int read_if_exists(sd_bus_message *message, enum if_exists *ret)
{
    static const char *const names[] = {
        [IF_EXISTS_KEEP] = "keep", [IF_EXISTS_REPLACE] = "replace", [IF_EXISTS_FAIL] = "fail"};
    const char *text;
    int r = sd_bus_message_read(message, "v", "s", &text);

    for (size_t i = 0; r >= 0 && i < ELEMENTS(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum if_exists)i;
            return 0;
        }
    }
    return r < 0 ? r : -EINVAL;
}

/* Bytes without a NUL, not terminated. */
static int read_path(sd_bus_message *message, char **ret)
{
    const void *bytes;
    size_t length;

    int r = sd_bus_message_enter_container(message, 'v', "ay");
    if (r >= 0)
        r = sd_bus_message_read_array(message, 'y', &bytes, &length);
    if (r < 0)
        return r;
    if (length > JOB_SOURCE_MAX || memchr(bytes, '\0', length))
        return -EINVAL;
    free(*ret);
    *ret = length > 0 ? text_duplicate(bytes, length) : NULL;
    if (length > 0 && !*ret)
        return -ENOMEM;
    return sd_bus_message_exit_container(message);
}

static int read_access(sd_bus_message *message, const char *option, struct access *access, const char **ret_reason)
{
    const struct access_key *key = access_find_option(option);
    const char *text;
    bool on;

    if (!key)
        return -ENOKEY;
    if (key->is_flag) {
        int r = read_bool(message, &on);
        if (r >= 0)
            access_set_flag(access, key, on);
        return r;
    }
    int r = sd_bus_message_read(message, "v", "s", &text);
    return r < 0 ? r : access_set_text(access, key, text, ret_reason);
}

static int read_access_key(sd_bus_message *message, const char *key, void *target, const char **ret_reason)
{
    return read_access(message, key, target, ret_reason);
}

int options_read_access(sd_bus_message *message, struct access *ret, sd_bus_error *error)
{
    return options_read_dictionary(message, read_access_key, ret, error);
}

static int read_reply(sd_bus_message *message, struct manager_submission *submission, const char **ret_reason)
{
    int r = read_path(message, &submission->reply_path);

    *ret_reason = "it takes an absolute path of at most 4095 bytes, or nothing: then the daemon keeps the reply";
    if (r >= 0 && submission->reply_path && submission->reply_path[0] != '/')
        return -EINVAL;
    submission->wants_reply = true;
    return r;
}

static int read_empty(sd_bus_message *message, bool *ret_refuse, const char **ret_reason)
{
    const char *text;
    int r = sd_bus_message_read(message, "v", "s", &text);

    if (r < 0)
        return r;
    *ret_reason = "it takes send or refuse";
    if (strcmp(text, "send") != 0 && strcmp(text, "refuse") != 0)
        return -EINVAL;
    *ret_refuse = text[0] == 'r';
    return 0;
}

int options_read_policy(sd_bus_message *message, const char *key, struct policy *policy, const char **ret_reason)
{
    const char *text;
    int r = sd_bus_message_read(message, "v", "s", &text);

    if (r < 0)
        return r;
    bool is_empty = text[0] == '\0';
    if (strcmp(key, "network") == 0) {
        *ret_reason = "it takes any or unmetered, or nothing: then it is not chosen here";
        policy->network = NETWORK_UNCHOSEN;
        return is_empty ? 0 : policy_network_parse(text, &policy->network);
    }
    if (strcmp(key, "power") == 0) {
        *ret_reason = "it takes any, ac, or the charge of the battery from which on jobs may run, as 50%; or nothing: "
                      "then it is not chosen here";
        policy->power = POWER_UNCHOSEN;
        return is_empty ? 0 : policy_power_parse(text, &policy->power);
    }
    return policy_window_set(policy, text, ret_reason);
}

/* "" is no unit: *ret is NULL then, and IS_EMPTY_OK says whether that is an answer. */
static int read_hook(sd_bus_message *message, char **ret, bool is_empty_ok, const char **ret_reason)
{
    char unit[HOOK_UNIT_MAX + 1];
    const char *text;

    int r = sd_bus_message_read(message, "v", "s", &text);
    if (r < 0)
        return r;
    bool is_empty = text[0] == '\0' && is_empty_ok;
    r = is_empty ? 0 : hook_unit_complete(text, unit, ret_reason);
    if (r < 0)
        return r;
    free(*ret);
    *ret = is_empty ? NULL : strdup(unit);
    return is_empty || *ret ? 0 : -ENOMEM;
}

/* The options that say how much, when and over what; *ret_option is which. -ENOKEY for any other. */
static int read_manners(sd_bus_message *message, const char *key, struct job_options *options,
                        enum change_option *ret_option, const char **ret_reason)
{
    const char *text;

    if (job_change_option(key, ret_option) < 0)
        return -ENOKEY;
    switch (*ret_option) {
    case CHANGE_FRAGMENT_SIZE:
        return sd_bus_message_read(message, "v", "(tt)", &options->fragment_min_bytes, &options->fragment_max_bytes);
    case CHANGE_RETRY_DELAY:
        return read_u64(message, &options->retry_delay_usec);
    case CHANGE_NO_PROGRESS_TIMEOUT:
        options->has_no_progress_timeout = true;
        return read_u64(message, &options->no_progress_timeout_usec);
    case CHANGE_RATE:
        return read_u64(message, &options->rate_bytes);
    case CHANGE_NOT_BEFORE:
        return read_u64(message, &options->not_before_usec);
    case CHANGE_DEADLINE:
        return read_u64(message, &options->deadline_usec);
    case CHANGE_SOURCE_CHANGED: {
        int r = sd_bus_message_read(message, "v", "s", &text);
        *ret_reason = "it takes fail or restart";
        if (r < 0 || (strcmp(text, "fail") != 0 && strcmp(text, "restart") != 0))
            return r < 0 ? r : -EINVAL;
        options->source_restart = text[0] == 'r';
        return 0;
    }
    case CHANGE_NETWORK:
    case CHANGE_POWER:
    case CHANGE_WINDOW:
        return options_read_policy(message, key, &options->policy, ret_reason);
    case CHANGE_ON_SUCCESS: /* read_hook() */
    case CHANGE_ON_FAILURE:
        break;
    }
    return -ENOKEY;
}

static int read_submission_key(sd_bus_message *message, const char *key, void *target, const char **ret_reason)
{
    struct manager_submission *submission = target;
    enum change_option option;
    enum hook_outcome outcome;

    if (strcmp(key, "name") == 0)
        return read_string(message, &submission->name);
    if (strcmp(key, "group") == 0)
        return read_string(message, &submission->group);
    if (strcmp(key, "key") == 0)
        return read_string(message, &submission->key);
    if (strcmp(key, "priority") == 0)
        return read_priority(message, &submission->priority);
    if (strcmp(key, "if_exists") == 0)
        return read_if_exists(message, &submission->if_exists);
    if (strcmp(key, "hold") == 0)
        return read_bool(message, &submission->hold);
    if (strcmp(key, "reply") == 0)
        return read_reply(message, submission, ret_reason);
    if (strcmp(key, "empty") == 0)
        return read_empty(message, &submission->refuse_empty, ret_reason);
    if (hook_option_parse(key, &outcome) >= 0)
        return read_hook(message, &submission->hooks[outcome], false, ret_reason);
    int r = read_manners(message, key, &submission->options, &option, ret_reason);
    return r == -ENOKEY ? read_access(message, key, &submission->access, ret_reason) : r;
}

/* "" takes the choice back where an empty one means nothing. */
static int read_access_change(sd_bus_message *message, const char *option, struct job_change *change,
                              const char **ret_reason)
{
    const struct access_key *key = access_find_option(option);
    const char *text = NULL;

    if (!key || key->is_flag || key->text == ACCESS_PROXY || key->text == ACCESS_NOPROXY)
        return read_access(message, option, &change->access, ret_reason);
    int r = sd_bus_message_read(message, "v", "s", &text);
    if (r < 0)
        return r;
    return text[0] == '\0' ? job_change_reset(change, option) : access_set_text(&change->access, key, text, ret_reason);
}

static int read_resets(sd_bus_message *message, struct job_change *change, const char **ret_reason)
{
    const char *name;
    int r = sd_bus_message_enter_container(message, 'v', "as");

    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "s");
    while (r >= 0 && (r = sd_bus_message_read_basic(message, 's', &name)) > 0) {
        r = job_change_reset(change, name);
        if (r < 0)
            *ret_reason = "it lists options that can be taken back: those of how the server is reached, fragment_size, "
                          "retry_delay, no_progress_timeout, rate, not_before, deadline, source_changed, network, "
                          "power, window, on_success and on_failure";
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_change_key(sd_bus_message *message, const char *key, void *target, const char **ret_reason)
{
    struct job_change *change = target;
    enum change_option option;
    enum hook_outcome outcome;

    if (strcmp(key, "name") == 0)
        return read_string(message, &change->name);
    if (strcmp(key, "group") == 0)
        return read_string(message, &change->group);
    if (strcmp(key, "url") == 0)
        return read_string(message, &change->url);
    if (strcmp(key, "reset") == 0)
        return read_resets(message, change, ret_reason);
    if (strcmp(key, "priority") == 0) {
        change->has_priority = true;
        return read_priority(message, &change->priority);
    }
    if (hook_option_parse(key, &outcome) >= 0) {
        int r = read_hook(message, &change->hooks[outcome], true, ret_reason);
        return r < 0 || change->hooks[outcome] ? r : job_change_reset(change, key);
    }
    int r = read_manners(message, key, &change->options, &option, ret_reason);
    if (r == -ENOKEY)
        return read_access_change(message, key, change, ret_reason);
    change->options_given |= (uint32_t)option;
    return r;
}

int options_read_change(sd_bus_message *message, struct job_change *ret, sd_bus_error *error)
{
    *ret = (struct job_change){0};
    return options_read_dictionary(message, read_change_key, ret, error);
}

int options_read_submission(sd_bus_message *message, struct manager_submission *ret, sd_bus_error *error)
{
    const void *path;
    const char *url;
    size_t length;

    *ret = (struct manager_submission){.priority = PRIORITY_NORMAL};
    int r = sd_bus_message_read_array(message, 'y', &path, &length);
    if (r < 0)
        return r;
    if (length == 0 || length > JOB_SOURCE_MAX || memchr(path, '\0', length) || ((const char *)path)[0] != '/')
        return sd_bus_error_set(error, BITSQ_ERROR_INVALID_ARGUMENT,
                                "the source must be an absolute path of at most 4095 bytes");
    r = sd_bus_message_read_basic(message, 's', &url);
    if (r < 0)
        return r;
    ret->source = text_duplicate(path, length);
    ret->url = strdup(url);
    if (!ret->source || !ret->url)
        return -ENOMEM;
    return options_read_dictionary(message, read_submission_key, ret, error);
}

static int read_part_key(sd_bus_message *message, const char *key, void *target, const char **ret_reason)
{
    struct manager_part *part = target;

    if (strcmp(key, "more") == 0)
        return read_bool(message, &part->more);
    if (strcmp(key, "offset") == 0)
        return read_u64(message, &part->offset);
    if (strcmp(key, "batch") != 0)
        return -ENOKEY;
    int r = sd_bus_message_read(message, "v", "s", &part->token);
    *ret_reason = "it takes a name of 1 to 64 bytes, of your own making";
    return r < 0 || (part->token[0] != '\0' && strnlen(part->token, BATCH_TOKEN_MAX + 1) <= BATCH_TOKEN_MAX) ? r
                                                                                                             : -EINVAL;
}

int options_read_part(sd_bus_message *message, struct manager_part *ret, sd_bus_error *error)
{
    *ret = (struct manager_part){.token = NULL};
    int r = options_read_dictionary(message, read_part_key, ret, error);
    if (r >= 0 && !ret->token && (ret->more || ret->offset > 0))
        return invalid(error, ret->more ? "more" : "offset", "it goes with batch; name the batch");
    /* The only part of its batch is a call like any other. */
    if (r >= 0 && ret->token && !ret->more && ret->offset == 0)
        ret->token = NULL;
    return r;
}

static int read_ids(sd_bus_message *message, struct filter_storage *storage)
{
    const void *ids;
    size_t size;
    int r = sd_bus_message_enter_container(message, 'v', "at");

    if (r < 0)
        return r;
    r = sd_bus_message_read_array(message, 't', &ids, &size);
    if (r < 0)
        return r;
    free(storage->ids);
    storage->ids = malloc(size + sizeof(uint64_t));
    if (!storage->ids)
        return -ENOMEM;
    memcpy(storage->ids, ids, size);
    storage->filter.store.ids = storage->ids;
    storage->filter.store.ids_count = size / sizeof(uint64_t);
    return sd_bus_message_exit_container(message);
}

static int add_range(struct filter_storage *storage, struct id_range range)
{
    size_t count = storage->filter.store.ranges_count;
    struct id_range *ranges = reallocarray(storage->ranges, count + 1, sizeof(*ranges));

    if (!ranges)
        return -ENOMEM;
    ranges[count] = range;
    storage->ranges = ranges;
    storage->filter.store.ranges = ranges;
    storage->filter.store.ranges_count = count + 1;
    return 0;
}

static int read_ranges(sd_bus_message *message, struct filter_storage *storage)
{
    struct id_range range;
    int r = sd_bus_message_enter_container(message, 'v', "a(tt)");

    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "(tt)");
    while (r >= 0 && (r = sd_bus_message_read(message, "(tt)", &range.first, &range.last)) > 0) {
        if (range.first > range.last)
            return -EINVAL;
        r = add_range(storage, range);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_states(sd_bus_message *message, struct filter_storage *storage)
{
    const char *name;
    int r = sd_bus_message_enter_container(message, 'v', "as");

    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "s");
    while (r >= 0 && (r = sd_bus_message_read_basic(message, 's', &name)) > 0) {
        enum shown_state state;
        r = shown_state_parse(name, &state);
        if (r >= 0)
            storage->filter.states |= UINT32_C(1) << state;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_filter_key(sd_bus_message *message, const char *key, void *target, const char **ret_reason)
{
    (void)ret_reason;
    struct filter_storage *storage = target;
    struct store_filter *filter = &storage->filter.store;
    uint32_t owner;

    storage->is_empty = false;
    if (strcmp(key, "ids") == 0) {
        storage->names_jobs = true;
        return read_ids(message, storage);
    }
    if (strcmp(key, "ranges") == 0) {
        storage->names_jobs = true;
        return read_ranges(message, storage);
    }
    if (strcmp(key, "state") == 0)
        return read_states(message, storage);
    if (strcmp(key, "all") == 0)
        return read_bool(message, &storage->has_all);
    /* These strings live in the message, which outlives the filter's use. */
    if (strcmp(key, "group") == 0)
        return sd_bus_message_read(message, "v", "s", &filter->group);
    if (strcmp(key, "key") == 0)
        return sd_bus_message_read(message, "v", "s", &filter->key);
    if (strcmp(key, "owner") == 0) {
        int r = sd_bus_message_read(message, "v", "u", &owner);
        /* A caller sees its own jobs only, and this daemon has no others. */
        return r < 0 ? r : owner == geteuid() ? 0 : -EPERM;
    }
    return -ENOKEY;
}

int options_read_filter(sd_bus_message *message, struct filter_storage *ret, sd_bus_error *error)
{
    *ret = (struct filter_storage){.is_empty = true};
    int r = options_read_dictionary(message, read_filter_key, ret, error);
    /* An empty list of ids names no job; to the store it would mean any. */
    ret->matches_nothing = ret->names_jobs && ret->filter.store.ids_count == 0 && ret->filter.store.ranges_count == 0;
    return r;
}

void filter_storage_done(struct filter_storage *storage)
{
    free(storage->ids);
    free(storage->ranges);
}

static int read_no_key(sd_bus_message *message, const char *key, void *target, const char **ret_reason)
{
    (void)message, (void)key, (void)target, (void)ret_reason;
    return -ENOKEY;
}

int options_read_none(sd_bus_message *message, sd_bus_error *error)
{
    return options_read_dictionary(message, read_no_key, NULL, error);
}
