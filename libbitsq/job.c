/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A job as the daemon describes it: an a{sv} with the properties of org.bitsq1.Job. */
#include "job.h"

#include "internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

_public_ bitsq_job *bitsq_job_free(bitsq_job *job)
{
    if (!job)
        return NULL;
    char *owned[] = {job->key,           job->name,        job->type,        job->state,       job->priority,
                     job->group,         job->source,      job->url,         job->session,     job->host,
                     job->error_name,    job->error_text,  job->error_host,  job->error_phase, job->error_context,
                     job->error_address, job->server_name, job->server_host, job->reply_path,  job->server_address,
                     job->because};

    for (size_t i = 0; i < ELEMENTS(owned); i++)
        free(owned[i]);
    for (size_t i = 0; i < job->gates_count; i++)
        free(job->gates[i]);
    free(job->gates);
    for (size_t i = 0; i < job->attempts_count; i++) {
        free(job->attempts_log[i].name);
        free(job->attempts_log[i].phase);
        free(job->attempts_log[i].address);
    }
    free(job->attempts_log);
    (void)bitsq_job_options_free(job->options);
    free(job);
    return NULL;
}

static int replace(char **place, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return -ENOMEM;
    free(*place);
    *place = copy;
    return 0;
}

static int read_gates(sd_bus_message *m, bitsq_job *job)
{
    const char *gate;

    int r = sd_bus_message_enter_container(m, 'v', "as");
    if (r < 0 || (r = sd_bus_message_enter_container(m, 'a', "s")) < 0)
        return r;
    while ((r = sd_bus_message_read(m, "s", &gate)) > 0) {
        char **grown = reallocarray(job->gates, job->gates_count + 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        job->gates = grown;
        job->gates[job->gates_count] = strdup(gate);
        if (!job->gates[job->gates_count++])
            return -ENOMEM;
    }
    if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
        return r;
    return sd_bus_message_exit_container(m);
}

static int read_error(sd_bus_message *m, bitsq_job *job)
{
    const char *name, *text;

    int r = sd_bus_message_read(m, "v", "(sus)", &name, &job->error_code, &text);
    if (r >= 0)
        r = replace(&job->error_name, name);
    return r < 0 ? r : replace(&job->error_text, text);
}

static int read_detail(sd_bus_message *m, const char *key, void *target)
{
    bitsq_job *job = target;

    if (strcmp(key, "http_status") == 0)
        return sd_bus_message_read(m, "v", "u", &job->error_http_status);
    if (strcmp(key, "context_text") == 0)
        return message_read_text(m, &job->error_context);
    if (strcmp(key, "phase") == 0)
        return message_read_text(m, &job->error_phase);
    if (strcmp(key, "host") == 0)
        return message_read_text(m, &job->error_host);
    if (strcmp(key, "address") == 0)
        return message_read_text(m, &job->error_address);
    return sd_bus_message_skip(m, "v");
}

static int read_server(sd_bus_message *m, const char *key, void *target)
{
    bitsq_job *job = target;

    if (strcmp(key, "name") == 0)
        return message_read_text(m, &job->server_name);
    if (strcmp(key, "address") == 0)
        return message_read_text(m, &job->server_address);
    if (strcmp(key, "host") == 0)
        return message_read_text(m, &job->server_host);
    return sd_bus_message_skip(m, "v");
}

static int read_reply(sd_bus_message *m, const char *key, void *target)
{
    bitsq_job *job = target;

    if (strcmp(key, "path") == 0)
        return message_read_path(m, &job->reply_path);
    if (strcmp(key, "received") == 0)
        return sd_bus_message_read(m, "v", "t", &job->reply_received);
    if (strcmp(key, "stored") == 0)
        return sd_bus_message_read(m, "v", "b", &job->reply_stored);
    if (strcmp(key, "size") == 0)
        return sd_bus_message_read(m, "v", "t", &job->reply_size);
    return sd_bus_message_skip(m, "v");
}

static int read_attempts(sd_bus_message *m, bitsq_job *job)
{
    struct attempt attempt;
    const char *name, *phase, *address;

    int r = sd_bus_message_enter_container(m, 'v', JOB_PROPERTY_ATTEMPT_LOG_TYPE);
    if (r < 0 || (r = sd_bus_message_enter_container(m, 'a', "(tsists)")) < 0)
        return r;
    while ((r = sd_bus_message_read(m, "(tsists)", &attempt.time, &name, &attempt.http_status, &phase,
                                    &attempt.acknowledged, &address)) > 0) {
        struct attempt *grown = reallocarray(job->attempts_log, job->attempts_count + 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        job->attempts_log = grown;
        attempt.name = strdup(name);
        attempt.phase = strdup(phase);
        attempt.address = strdup(address);
        job->attempts_log[job->attempts_count++] = attempt;
        if (!attempt.name || !attempt.phase || !attempt.address)
            return -ENOMEM;
    }
    if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
        return r;
    return sd_bus_message_exit_container(m);
}

static int read_options(sd_bus_message *m, bitsq_job *job)
{
    bitsq_job_options *options;

    int r = sd_bus_message_enter_container(m, 'v', "a{sv}");
    if (r < 0 || (r = options_read(m, &options)) < 0)
        return r;
    (void)bitsq_job_options_free(job->options);
    job->options = options;
    return sd_bus_message_exit_container(m);
}

/* The plain properties: where they go in the struct. */
static const struct plain_value plain[] = {
    {JOB_PROPERTY_ID, "t", offsetof(bitsq_job, id)},
    {JOB_PROPERTY_KEY, "s", offsetof(bitsq_job, key)},
    {JOB_PROPERTY_NAME, "s", offsetof(bitsq_job, name)},
    {JOB_PROPERTY_OWNER, "u", offsetof(bitsq_job, owner)},
    {JOB_PROPERTY_TYPE, "s", offsetof(bitsq_job, type)},
    {JOB_PROPERTY_STATE, "s", offsetof(bitsq_job, state)},
    {JOB_PROPERTY_PRIORITY, "s", offsetof(bitsq_job, priority)},
    {JOB_PROPERTY_GROUP, "s", offsetof(bitsq_job, group)},
    {JOB_PROPERTY_URL, "s", offsetof(bitsq_job, url)},
    {JOB_PROPERTY_SIZE, "t", offsetof(bitsq_job, size)},
    {JOB_PROPERTY_ACKNOWLEDGED, "t", offsetof(bitsq_job, acknowledged)},
    {JOB_PROPERTY_RESENT, "t", offsetof(bitsq_job, resent)},
    {JOB_PROPERTY_RATE, "t", offsetof(bitsq_job, rate)},
    {JOB_PROPERTY_ATTEMPTS, "u", offsetof(bitsq_job, attempts)},
    {JOB_PROPERTY_BECAUSE, "s", offsetof(bitsq_job, because)},
    {JOB_PROPERTY_BLOCKED_UNTIL, "t", offsetof(bitsq_job, blocked_until)},
    {JOB_PROPERTY_NEXT_ATTEMPT, "t", offsetof(bitsq_job, next_attempt)},
    {JOB_PROPERTY_CREATED, "t", offsetof(bitsq_job, created)},
    {JOB_PROPERTY_STARTED, "t", offsetof(bitsq_job, started)},
    {JOB_PROPERTY_FINISHED, "t", offsetof(bitsq_job, finished)},
    {JOB_PROPERTY_SESSION, "s", offsetof(bitsq_job, session)},
    {JOB_PROPERTY_HOST, "s", offsetof(bitsq_job, host)},
    {JOB_PROPERTY_CONFIRMED, "b", offsetof(bitsq_job, confirmed)},
};

static int read_property(sd_bus_message *m, const char *name, void *target)
{
    bitsq_job *job = target;

    int r = message_read_plain(m, name, plain, ELEMENTS(plain), job);
    if (r != 0)
        return r;
    if (strcmp(name, JOB_PROPERTY_SOURCE) == 0)
        return message_read_path(m, &job->source);
    if (strcmp(name, JOB_PROPERTY_GATES) == 0)
        return read_gates(m, job);
    if (strcmp(name, JOB_PROPERTY_ERROR) == 0)
        return read_error(m, job);
    if (strcmp(name, JOB_PROPERTY_ERROR_DETAILS) == 0)
        return message_read_inner_dictionary(m, read_detail, job);
    if (strcmp(name, JOB_PROPERTY_SERVER) == 0)
        return message_read_inner_dictionary(m, read_server, job);
    if (strcmp(name, JOB_PROPERTY_REPLY) == 0)
        return message_read_inner_dictionary(m, read_reply, job);
    if (strcmp(name, JOB_PROPERTY_ATTEMPT_LOG) == 0)
        return read_attempts(m, job);
    if (strcmp(name, JOB_PROPERTY_OPTIONS) == 0)
        return read_options(m, job);
    return sd_bus_message_skip(m, "v");
}

int job_read(sd_bus_message *m, bitsq_job **ret)
{
    _cleanup_(bitsq_job_free_p) bitsq_job *job = calloc(1, sizeof(*job));

    if (!job)
        return -ENOMEM;
    job->reply_size = REPLY_SIZE_UNKNOWN;
    int r = message_read_dictionary(m, read_property, job);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(job);
    return 0;
}
