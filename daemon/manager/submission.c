/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a caller asks for, and the job that becomes of it. */
#include "manager/internal.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void manager_submission_done(struct manager_submission *submission)
{
    free(submission->source);
    free(submission->url);
    free(submission->name);
    free(submission->group);
    free(submission->key);
    free(submission->reply_path);
    for (size_t i = 0; i < HOOK_OUTCOMES; i++)
        free(submission->hooks[i]);
    access_done(&submission->access);
    *submission = (struct manager_submission){0};
}

static int duplicate(const char *from, const char *otherwise, char **to)
{
    if (!from && !otherwise)
        return 0;
    *to = strdup(from ? from : otherwise);
    return *to ? 0 : -ENOMEM;
}

static char *default_name(const char *source)
{
    const char *slash = strrchr(source, '/');
    char *name = text_escape(slash ? slash + 1 : source);

    if (name && strlen(name) > JOB_NAME_MAX) {
        char cut[JOB_NAME_MAX + 1];
        (void)text_copy(cut, sizeof(cut), name);
        memcpy(name, cut, sizeof(cut));
    }
    return name;
}

int submission_make_job(struct manager *manager, uid_t caller, const struct manager_submission *submission,
                        struct job **ret, struct manager_error *error)
{
    _cleanup_(job_free_p) struct job *job = job_new();
    _cleanup_free_ char *url_name = NULL;
    const char *fault;

    if (!job)
        return -ENOMEM;
    fault = manager->check_url(submission->url, &job->host, &url_name);
    if (fault)
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL, "%s", fault);
    job->owner = caller;
    job->priority = submission->priority;
    job->state = submission->hold ? JOB_PAUSED : JOB_READY;
    job->type = submission->wants_reply ? JOB_UPLOAD_REPLY : JOB_UPLOAD;
    job->options = submission->options;
    job->options.not_before_usec = manager_queue_usec(manager, job->options.not_before_usec);
    job->options.deadline_usec = manager_queue_usec(manager, job->options.deadline_usec);
    if (access_copy(&submission->access, &job->access) < 0 ||
        duplicate(submission->reply_path, NULL, &job->reply_path) < 0 ||
        duplicate(submission->hooks[HOOK_DONE], NULL, &job->hooks[HOOK_DONE]) < 0 ||
        duplicate(submission->hooks[HOOK_FAILED], NULL, &job->hooks[HOOK_FAILED]) < 0)
        return -ENOMEM;
    job->name = submission->name ? strdup(submission->name) : default_name(submission->source);
    if (!job->name || duplicate(submission->source, NULL, &job->source) < 0 ||
        duplicate(submission->url, NULL, &job->url) < 0 || duplicate(submission->key, NULL, &job->key) < 0 ||
        duplicate(submission->group, "default", &job->group) < 0)
        return -ENOMEM;
    if (job_validate(job, &fault) < 0)
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL, "%s", fault);
    if (job->options.fragment_min_bytes != 0 &&
        job->options.fragment_min_bytes < manager->settings.fragment_floor_bytes)
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL,
                                 "the smallest fragment may not be under %" PRIu64
                                 " bytes; raise MIN of --fragment-size",
                                 manager->settings.fragment_floor_bytes);
    *ret = TAKE_PTR(job);
    return 0;
}
