/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The getters of a job. */
#include "internal.h"
#include "job.h"

static const char *text(const char *string)
{
    return string ? string : "";
}

_public_ const char *bitsq_job_get_key(const bitsq_job *job)
{
    return text(job->key);
}

_public_ const char *bitsq_job_get_name(const bitsq_job *job)
{
    return text(job->name);
}

_public_ const char *bitsq_job_get_type(const bitsq_job *job)
{
    return text(job->type);
}

_public_ const char *bitsq_job_get_priority(const bitsq_job *job)
{
    return text(job->priority);
}

_public_ const char *bitsq_job_get_group(const bitsq_job *job)
{
    return text(job->group);
}

_public_ const char *bitsq_job_get_source(const bitsq_job *job)
{
    return text(job->source);
}

_public_ const char *bitsq_job_get_url(const bitsq_job *job)
{
    return text(job->url);
}

_public_ const char *bitsq_job_get_host(const bitsq_job *job)
{
    return text(job->host);
}

_public_ const char *bitsq_job_get_session(const bitsq_job *job)
{
    return text(job->session);
}

_public_ const char *bitsq_job_get_server_name(const bitsq_job *job)
{
    return text(job->server_name);
}

_public_ const char *bitsq_job_get_server_address(const bitsq_job *job)
{
    return text(job->server_address);
}

_public_ const char *bitsq_job_get_server_host(const bitsq_job *job)
{
    return text(job->server_host);
}

_public_ const char *bitsq_job_get_error_host(const bitsq_job *job)
{
    return text(job->error_host);
}

_public_ const char *bitsq_job_get_error_address(const bitsq_job *job)
{
    return text(job->error_address);
}

_public_ const char *bitsq_job_get_reply_path(const bitsq_job *job)
{
    return text(job->reply_path);
}

_public_ const char *bitsq_job_get_error_name(const bitsq_job *job)
{
    return text(job->error_name);
}

_public_ const char *bitsq_job_get_error_message(const bitsq_job *job)
{
    return text(job->error_text);
}

_public_ const char *bitsq_job_get_error_context(const bitsq_job *job)
{
    return text(job->error_context);
}

_public_ const char *bitsq_job_get_error_phase(const bitsq_job *job)
{
    return text(job->error_phase);
}

_public_ const char *bitsq_job_get_state_name(const bitsq_job *job)
{
    return text(job->state);
}

_public_ bitsq_state bitsq_job_get_state(const bitsq_job *job)
{
    return bitsq_state_from_name(text(job->state));
}

_public_ const char *bitsq_job_get_gate(const bitsq_job *job, size_t index)
{
    return index < job->gates_count ? job->gates[index] : NULL;
}

_public_ uint64_t bitsq_job_get_id(const bitsq_job *job)
{
    return job->id;
}

_public_ uint64_t bitsq_job_get_size(const bitsq_job *job)
{
    return job->size;
}

_public_ uint64_t bitsq_job_get_acknowledged(const bitsq_job *job)
{
    return job->acknowledged;
}

_public_ uint64_t bitsq_job_get_resent(const bitsq_job *job)
{
    return job->resent;
}

_public_ uint64_t bitsq_job_get_rate(const bitsq_job *job)
{
    return job->rate;
}

_public_ const char *bitsq_job_get_because(const bitsq_job *job)
{
    return text(job->because);
}

_public_ uint64_t bitsq_job_get_blocked_until(const bitsq_job *job)
{
    return job->blocked_until;
}

_public_ uint64_t bitsq_job_get_next_attempt(const bitsq_job *job)
{
    return job->next_attempt;
}

_public_ uint64_t bitsq_job_get_created(const bitsq_job *job)
{
    return job->created;
}

_public_ uint64_t bitsq_job_get_started(const bitsq_job *job)
{
    return job->started;
}

_public_ uint64_t bitsq_job_get_finished(const bitsq_job *job)
{
    return job->finished;
}

_public_ uint32_t bitsq_job_get_owner(const bitsq_job *job)
{
    return job->owner;
}

_public_ uint32_t bitsq_job_get_attempts(const bitsq_job *job)
{
    return job->attempts;
}

_public_ uint32_t bitsq_job_get_error_code(const bitsq_job *job)
{
    return job->error_code;
}

_public_ uint32_t bitsq_job_get_error_http_status(const bitsq_job *job)
{
    return job->error_http_status;
}

_public_ int bitsq_job_get_confirmed(const bitsq_job *job)
{
    return job->confirmed != 0;
}

_public_ int bitsq_job_get_attempt(const bitsq_job *job, size_t index, uint64_t *ret_time, const char **ret_error_name,
                                   int32_t *ret_http_status, const char **ret_phase, uint64_t *ret_acknowledged)
{
    if (index >= job->attempts_count)
        return 0;
    const struct attempt *attempt = &job->attempts_log[index];
    if (ret_time)
        *ret_time = attempt->time;
    if (ret_error_name)
        *ret_error_name = attempt->name;
    if (ret_http_status)
        *ret_http_status = attempt->http_status;
    if (ret_phase)
        *ret_phase = attempt->phase;
    if (ret_acknowledged)
        *ret_acknowledged = attempt->acknowledged;
    return 1;
}

_public_ const char *bitsq_job_get_attempt_address(const bitsq_job *job, size_t index)
{
    return index < job->attempts_count ? job->attempts_log[index].address : "";
}

_public_ uint64_t bitsq_job_get_reply_received(const bitsq_job *job)
{
    return job->reply_received;
}

_public_ int bitsq_job_get_reply_size(const bitsq_job *job, uint64_t *ret_size)
{
    if (job->reply_size == REPLY_SIZE_UNKNOWN)
        return 0;
    *ret_size = job->reply_size;
    return 1;
}

_public_ int bitsq_job_get_reply_stored(const bitsq_job *job)
{
    return job->reply_stored != 0;
}

_public_ const bitsq_job_options *bitsq_job_get_options(const bitsq_job *job)
{
    return job->options;
}
