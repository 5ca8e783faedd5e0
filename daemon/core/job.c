/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/job.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

struct job *job_new(void)
{
    return calloc(1, sizeof(struct job));
}

struct job *job_free(struct job *job)
{
    if (!job)
        return NULL;
    free(job->key);
    free(job->name);
    free(job->group);
    free(job->url);
    free(job->host);
    free(job->source);
    free(job->source_mount);
    free(job->reply_path);
    for (size_t i = 0; i < HOOK_OUTCOMES; i++)
        free(job->hooks[i]);
    access_done(&job->access);
    free(job);
    return NULL;
}

static int copy_string(const char *from, char **to)
{
    if (!from)
        return 0;
    *to = strdup(from);
    return *to ? 0 : -ENOMEM;
}

int job_copy(const struct job *job, struct job **ret)
{
    _cleanup_(job_free_p) struct job *copy = job_new();

    if (!copy)
        return -ENOMEM;
    *copy = *job;
    copy->key = copy->name = copy->group = copy->url = copy->host = copy->source = copy->reply_path = NULL;
    copy->source_mount = NULL;
    memset(copy->hooks, 0, sizeof(copy->hooks));
    copy->access = (struct access){0};
    if (copy_string(job->key, &copy->key) < 0 || copy_string(job->name, &copy->name) < 0 ||
        copy_string(job->group, &copy->group) < 0 || copy_string(job->url, &copy->url) < 0 ||
        copy_string(job->host, &copy->host) < 0 || copy_string(job->source, &copy->source) < 0 ||
        copy_string(job->source_mount, &copy->source_mount) < 0 ||
        copy_string(job->reply_path, &copy->reply_path) < 0 || access_copy(&job->access, &copy->access) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < HOOK_OUTCOMES; i++)
        if (copy_string(job->hooks[i], &copy->hooks[i]) < 0)
            return -ENOMEM;
    *ret = TAKE_PTR(copy);
    return 0;
}

static bool has_control_characters(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* Text that is shown on one line and sent over the bus: UTF-8, at most MAX bytes, and not empty. */
static bool is_text(const char *text, size_t max)
{
    size_t length = text ? strnlen(text, max + 1) : 0;

    return length > 0 && length <= max && text_is_utf8(text, length) && !has_control_characters(text);
}

static const char *find_fault(const struct job *job)
{
    if ((unsigned)job->type > JOB_UPLOAD_REPLY)
        return "the job's type is unknown";
    if ((unsigned)job->priority > PRIORITY_LOW)
        return "the priority is unknown";
    if (job->state < JOB_READY || job->state > JOB_CANCELLED)
        return "the job's state is unknown";
    if (job->key && !is_text(job->key, JOB_KEY_MAX))
        return "the key must be 1 to 255 bytes of UTF-8 without line breaks or other control characters";
    if (!is_text(job->name, JOB_NAME_MAX))
        return "the name must be 1 to 256 bytes of UTF-8 without line breaks or other control characters";
    if (!is_text(job->group, JOB_GROUP_MAX))
        return "the group must be 1 to 64 bytes of UTF-8 without line breaks or other control characters";
    if (!is_text(job->url, JOB_URL_MAX))
        return "the URL must be 1 to 2200 bytes of UTF-8 without line breaks or other control characters";
    if (!is_text(job->host, JOB_HOST_MAX))
        return "the URL has no host";
    if (!job->source || job->source[0] != '/' || strnlen(job->source, JOB_SOURCE_MAX + 1) > JOB_SOURCE_MAX)
        return "the source must be an absolute path of at most 4095 bytes";
    if (job->source_mount &&
        (job->source_mount[0] != '/' || strnlen(job->source_mount, SOURCE_MOUNT_MAX + 1) > SOURCE_MOUNT_MAX))
        return "the place of the source's file system must be an absolute path of at most 1023 bytes";
    if (job->options.fragment_min_bytes > FRAGMENT_CEILING_BYTES ||
        job->options.fragment_max_bytes > FRAGMENT_CEILING_BYTES)
        return "a fragment may have at most 1 GiB";
    if (job->options.fragment_max_bytes != 0 && job->options.fragment_min_bytes > job->options.fragment_max_bytes)
        return "the smallest fragment is larger than the largest";
    if (job->options.rate_bytes != 0 && job->options.rate_bytes < RATE_MIN_BYTES)
        return "a rate must be at least 64 bytes a second; to hold a job back, pause it";
    if (policy_fault(&job->options.policy))
        return policy_fault(&job->options.policy);
    if (job->reply_path && (job->reply_path[0] != '/' || strnlen(job->reply_path, JOB_SOURCE_MAX + 1) > JOB_SOURCE_MAX))
        return "the reply's path must be absolute and have at most 4095 bytes";
    const char *fault = access_fault(&job->access);
    for (size_t i = 0; i < HOOK_OUTCOMES && !fault; i++)
        fault = job->hooks[i] ? hook_unit_fault(job->hooks[i]) : NULL;
    if (fault)
        return fault;
    if ((unsigned)job->session.phase > SESSION_REPLY)
        return "the session's phase is unknown";
    if (job->attempt_count > JOB_ATTEMPTS_KEPT)
        return "the log of attempts is too long";
    return NULL;
}

int job_validate(const struct job *job, const char **ret_reason)
{
    const char *fault = find_fault(job);

    if (!fault)
        return 0;
    if (ret_reason)
        *ret_reason = fault;
    return -EINVAL;
}

bool job_state_is_final(enum job_state state)
{
    return state == JOB_DONE || state == JOB_FAILED || state == JOB_CANCELLED;
}

bool job_state_is_runnable(enum job_state state)
{
    return state == JOB_READY || state == JOB_RETRYING || state == JOB_CANCELLING;
}

bool job_has_deadline(const struct job *job)
{
    return job->options.deadline_usec != 0 && !job_state_is_final(job->state) && job->state != JOB_CANCELLING;
}

uint64_t job_due_usec(const struct job *job)
{
    uint64_t due = job->state != JOB_READY && job->next_attempt_usec != 0 ? job->next_attempt_usec : job->queued_usec;

    /* What is being cancelled has nothing to wait for. */
    return job->state != JOB_CANCELLING && job->options.not_before_usec > due ? job->options.not_before_usec : due;
}

bool job_is_away(const struct job *job)
{
    return job->state == JOB_RETRYING && job->failure.phase == PHASE_SOURCE && job->failure.code == HR_NOT_READY;
}

enum ident_change job_source_change(const struct job *job, const struct source_identity *now)
{
    struct source_identity before = job->identity;

    if (job->source_mount)
        before.device = now->device;
    return ident_compare(&before, now);
}

const char *job_state_name(enum job_state state)
{
    switch (state) {
    case JOB_READY:
        return "ready";
    case JOB_PAUSED:
        return "paused";
    case JOB_RETRYING:
        return "retrying";
    case JOB_CANCELLING:
        return "cancelling";
    case JOB_DONE:
        return "done";
    case JOB_FAILED:
        return "failed";
    case JOB_CANCELLED:
        return "cancelled";
    }
    return "unknown";
}

static const char *const priority_names[] = {
    [PRIORITY_FOREGROUND] = "foreground",
    [PRIORITY_HIGH] = "high",
    [PRIORITY_NORMAL] = "normal",
    [PRIORITY_LOW] = "low",
};

const char *job_priority_name(enum job_priority priority)
{
    return (size_t)priority < ELEMENTS(priority_names) ? priority_names[priority] : "unknown";
}

int job_priority_parse(const char *text, enum job_priority *ret)
{
    for (size_t i = 0; i < ELEMENTS(priority_names); i++) {
        if (strcmp(text, priority_names[i]) == 0) {
            *ret = (enum job_priority)i;
            return 0;
        }
    }
    return -EINVAL;
}
