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
};

int job_change_reset(struct job_change *change, const char *option)
{
    const struct access_key *key = access_find_option(option);

    if (key && key->is_flag)
        change->flags_reset |= (uint32_t)key->flag;
    else if (key)
        change->texts_reset |= UINT32_C(1) << key->text;
    if (key)
        return 0;
    for (size_t i = 0; i < ELEMENTS(options); i++) {
        if (strcmp(options[i].option, option) == 0) {
            change->options_reset |= (uint32_t)options[i].bit;
            return 0;
        }
    }
    return -EINVAL;
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
