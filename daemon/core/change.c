/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/change.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

void job_change_done(struct job_change *change)
{
    free(change->name);
    free(change->group);
    free(change->url);
    free(change->host);
    for (size_t i = 0; i < HOOK_OUTCOMES; i++)
        free(change->hooks[i]);
    access_done(&change->access);
    *change = (struct job_change){0};
}

static const struct {
    const char *option;
    enum change_option bit;
} options[] = {
    {"fragment_size", CHANGE_FRAGMENT_SIZE},
    {"retry_delay", CHANGE_RETRY_DELAY},
    {"no_progress_timeout", CHANGE_NO_PROGRESS_TIMEOUT},
    {"rate", CHANGE_RATE},
    {"not_before", CHANGE_NOT_BEFORE},
    {"deadline", CHANGE_DEADLINE},
    {"source_changed", CHANGE_SOURCE_CHANGED},
    {"network", CHANGE_NETWORK},
    {"power", CHANGE_POWER},
    {"window", CHANGE_WINDOW},
    {"on_success", CHANGE_ON_SUCCESS},
    {"on_failure", CHANGE_ON_FAILURE},
};

int job_change_option(const char *name, enum change_option *ret)
{
    for (size_t i = 0; i < ELEMENTS(options); i++) {
        if (strcmp(options[i].option, name) == 0) {
            *ret = options[i].bit;
            return 0;
        }
    }
    return -EINVAL;
}

int job_change_reset(struct job_change *change, const char *option)
{
    const struct access_key *key = access_find_option(option);

    if (key && key->is_flag)
        change->flags_reset |= (uint32_t)key->flag;
    else if (key)
        change->texts_reset |= UINT32_C(1) << key->text;
    if (key)
        return 0;
    enum change_option bit;
    int r = job_change_option(option, &bit);
    if (r >= 0)
        change->options_reset |= (uint32_t)bit;
    return r;
}

static bool changes_access(const struct job_change *change)
{
    if (change->access.flags_chosen != 0 || change->texts_reset != 0 || change->flags_reset != 0)
        return true;
    for (size_t i = 0; i < ACCESS_TEXTS; i++)
        if (change->access.texts[i])
            return true;
    return false;
}

bool job_change_is_empty(const struct job_change *change)
{
    for (size_t i = 0; i < HOOK_OUTCOMES; i++)
        if (change->hooks[i])
            return false;
    return !change->has_priority && !change->name && !change->group && !change->url && change->options_given == 0 &&
           change->options_reset == 0 && !changes_access(change);
}

static int replace(char **text, const char *value)
{
    if (!value)
        return 0;
    char *copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    free(*text);
    *text = copy;
    return 0;
}

/* The courtesies: how much, when, and over what. */
static void change_manners(struct job_options *options_of_job, const struct job_change *change)
{
    const struct job_options none = {0};

    for (uint32_t bit = CHANGE_RATE; bit <= CHANGE_WINDOW; bit <<= 1) {
        const struct job_options *from = change->options_given & bit ? &change->options : &none;
        if (!((change->options_given | change->options_reset) & bit))
            continue;
        switch ((enum change_option)bit) {
        case CHANGE_RATE:
            options_of_job->rate_bytes = from->rate_bytes;
            break;
        case CHANGE_NOT_BEFORE:
            options_of_job->not_before_usec = from->not_before_usec;
            break;
        case CHANGE_DEADLINE:
            options_of_job->deadline_usec = from->deadline_usec;
            break;
        case CHANGE_SOURCE_CHANGED:
            options_of_job->source_restart = from->source_restart;
            break;
        case CHANGE_NETWORK:
            options_of_job->policy.network = from->policy.network;
            break;
        case CHANGE_POWER:
            options_of_job->policy.power = from->policy.power;
            break;
        case CHANGE_WINDOW:
            memcpy(options_of_job->policy.window, from->policy.window, sizeof(from->policy.window));
            break;
        case CHANGE_FRAGMENT_SIZE:
        case CHANGE_RETRY_DELAY:
        case CHANGE_NO_PROGRESS_TIMEOUT:
        case CHANGE_ON_SUCCESS:
        case CHANGE_ON_FAILURE:
            break;
        }
    }
}

static void change_options(struct job_options *options_of_job, const struct job_change *change)
{
    uint32_t touched = change->options_given | change->options_reset;
    const struct job_options none = {0};
    const struct job_options *from;

    if (touched & CHANGE_FRAGMENT_SIZE) {
        from = change->options_given & CHANGE_FRAGMENT_SIZE ? &change->options : &none;
        options_of_job->fragment_min_bytes = from->fragment_min_bytes;
        options_of_job->fragment_max_bytes = from->fragment_max_bytes;
    }
    if (touched & CHANGE_RETRY_DELAY) {
        from = change->options_given & CHANGE_RETRY_DELAY ? &change->options : &none;
        options_of_job->retry_delay_usec = from->retry_delay_usec;
    }
    if (touched & CHANGE_NO_PROGRESS_TIMEOUT) {
        from = change->options_given & CHANGE_NO_PROGRESS_TIMEOUT ? &change->options : &none;
        options_of_job->no_progress_timeout_usec = from->no_progress_timeout_usec;
        options_of_job->has_no_progress_timeout = from == &change->options;
    }
    change_manners(options_of_job, change);
}

/* What is taken back is so first: a key may be in both. */
static int change_access(struct access *access, const struct job_change *change)
{
    _cleanup_(access_done) struct access changed = {0};

    int r = access_merge(&changed, &change->access);
    for (size_t i = 0; i < ACCESS_TEXTS; i++) {
        if (change->texts_reset & UINT32_C(1) << i) {
            free(access->texts[i]);
            access->texts[i] = NULL;
        }
    }
    access->flags_chosen &= ~change->flags_reset;
    access->flags &= ~change->flags_reset;
    if (r >= 0)
        r = access_merge(&changed, access);
    if (r < 0)
        return r;
    struct access old = *access;
    *access = changed;
    changed = old; /* freed */
    return 0;
}

/* A key that is both taken back and given is given. */
static int change_hooks(struct job *job, const struct job_change *change)
{
    static const enum change_option bits[HOOK_OUTCOMES] = {
        [HOOK_DONE] = CHANGE_ON_SUCCESS, [HOOK_FAILED] = CHANGE_ON_FAILURE};

    for (size_t i = 0; i < HOOK_OUTCOMES; i++) {
        if (change->options_reset & (uint32_t)bits[i]) {
            free(job->hooks[i]);
            job->hooks[i] = NULL;
        }
        int r = replace(&job->hooks[i], change->hooks[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What is at the old server is no part of what goes to the new one. */
static int change_url(struct job *job, const struct job_change *change)
{
    if (!change->url)
        return 0;
    int r = replace(&job->url, change->url);
    if (r >= 0)
        r = replace(&job->host, change->host);
    if (r < 0)
        return r;
    job->session =
        (struct session_record){.resent_bytes = job->session.resent_bytes, .sent_bytes = job->session.sent_bytes};
    job->counted_uploaded_bytes = 0;
    job->attempts = 0;
    job->retry_delay_usec = 0;
    if (job->state == JOB_RETRYING) {
        job->state = JOB_READY;
        job->next_attempt_usec = 0;
    }
    return 0;
}

static int change_copy(struct job *job, const struct job_change *change)
{
    if (change->has_priority)
        job->priority = change->priority;
    change_options(&job->options, change);
    int r = replace(&job->name, change->name);
    if (r >= 0)
        r = replace(&job->group, change->group);
    if (r >= 0)
        r = change_hooks(job, change);
    if (r >= 0)
        r = change_access(&job->access, change);
    return r < 0 ? r : change_url(job, change);
}

int job_change_apply(struct job *job, const struct job_change *change, const char **ret_reason)
{
    _cleanup_(job_free_p) struct job *copy = NULL;

    if (job->state == JOB_DONE || job->state == JOB_CANCELLED || job->state == JOB_CANCELLING)
        return -EBUSY;
    int r = job_copy(job, &copy);
    if (r >= 0)
        r = change_copy(copy, change);
    if (r >= 0)
        r = job_validate(copy, ret_reason);
    if (r < 0)
        return r;
    struct job old = *job;
    *job = *copy;
    *copy = old; /* freed */
    return 0;
}
