/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /org/bitsq1/jobs/ID: served by prefix, so that a million jobs cost nothing. */
#include "bus/internal.h"

#include "base/parse.h"
#include "base/text.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void job_path(uint64_t id, char path[static JOB_PATH_MAX])
{
    (void)snprintf(path, JOB_PATH_MAX, BITSQ_DBUS_JOBS_PATH "/%" PRIu64, id);
}

int job_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                    sd_bus_error *error)
{
    struct peer *peer = userdata;
    const char *prefix = BITSQ_DBUS_JOBS_PATH "/";
    struct job *job;
    uint64_t id;

    (void)bus, (void)interface, (void)error;
    if (strncmp(path, prefix, strlen(prefix)) != 0 || parse_u64(path + strlen(prefix), &id) < 0)
        return 0;
    if (store_get(manager_store(peer->server->manager), id, &job) < 0)
        return 0;
    job_free(peer->found.job);
    peer->found.peer = peer;
    peer->found.job = job;
    manager_describe(peer->server->manager, job, &peer->found.view);
    *ret_found = &peer->found;
    return 1;
}

/* ---- methods ---- */

static int control(sd_bus_message *m, struct found_job *found, enum job_verb verb, struct job_change *change,
                   sd_bus_error *error)
{
    struct peer *peer = found->peer;
    uint64_t id = found->job->id;
    struct manager_filter filter = {.store = {.ids = &id, .ids_count = 1}};
    struct manager_error fault;
    struct call *call;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    filter.store.owner = caller;
    r = manager_control(peer->server->manager, caller, verb, change, &filter, call_answer, call, &fault);
    return call_wait(call, r, &fault, error);
}

int job_method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return control(m, userdata, VERB_PAUSE, NULL, error);
}

int job_method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return control(m, userdata, VERB_RESUME, NULL, error);
}

int job_method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return control(m, userdata, VERB_CANCEL, NULL, error);
}

int job_method_retry(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return control(m, userdata, VERB_RETRY, NULL, error);
}

int job_method_remove(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return control(m, userdata, VERB_REMOVE, NULL, error);
}

int job_method_set(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    _cleanup_(job_change_done) struct job_change change = {0};

    int r = options_read_change(m, &change, error);
    return r < 0 ? r : control(m, userdata, VERB_SET, &change, error);
}

static int fail_no_job(uint64_t id, sd_bus_error *error)
{
    return sd_bus_error_setf(error, BITSQ_ERROR_NO_SUCH_JOB, "there is no job %" PRIu64 "; \"bitsq list\" shows them",
                             id);
}

int job_get_own(struct peer *peer, sd_bus_message *message, uint64_t id, struct job **ret, sd_bus_error *error)
{
    _cleanup_(job_free_p) struct job *job = NULL;
    uid_t caller;

    int r = auth_caller(peer, message, &caller, error);
    if (r >= 0)
        r = store_get(manager_store(peer->server->manager), id, &job);
    if (r == -ENOENT || (r >= 0 && job->owner != caller))
        return fail_no_job(id, error);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(job);
    return 0;
}

int job_check_own(const struct found_job *found, sd_bus_message *message, sd_bus_error *error)
{
    uid_t caller;
    int r = auth_caller(found->peer, message, &caller, error);

    return r < 0 || found->job->owner == caller ? r : fail_no_job(found->job->id, error);
}

static void on_reply_opened(void *userdata, int fd, const struct manager_error *error)
{
    struct call *call = userdata;
    _cleanup_close_ int owned = fd;

    if (owned < 0) {
        call_fail(call, error);
        return;
    }
    (void)sd_bus_reply_method_return(call->message, "h", owned); /* sent as a duplicate */
    call_free(call);
}

int job_method_open_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct found_job *found = userdata;
    struct peer *peer = found->peer;
    struct manager_error fault;
    struct call *call;

    int r = job_check_own(found, m, error);
    if (r >= 0)
        r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    r = manager_open_reply(peer->server->manager, found->job, on_reply_opened, call, &fault);
    return call_wait(call, r, &fault, error);
}

/* ---- properties ---- */

#define GETTER(name)                                                                               \
    int job_get_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
#define GETTER_FOUND                          \
    const struct found_job *found = userdata; \
    const struct job *job = found->job;       \
    (void)bus, (void)path, (void)interface, (void)property, (void)error, (void)job
#define SIMPLE_GETTER(name, type, value)                  \
    GETTER(name)                                          \
    {                                                     \
        GETTER_FOUND;                                     \
        return sd_bus_message_append(reply, type, value); \
    }

SIMPLE_GETTER(id, "t", job->id)
SIMPLE_GETTER(key, "s", job->key ? job->key : "")
SIMPLE_GETTER(name, "s", job->name)
SIMPLE_GETTER(owner, "u", (uint32_t)job->owner)
SIMPLE_GETTER(type, "s", job->type == JOB_UPLOAD_REPLY ? "upload-reply" : "upload")
SIMPLE_GETTER(state, "s", shown_state_name(found->view.state))
SIMPLE_GETTER(priority, "s", job_priority_name(job->priority))
SIMPLE_GETTER(group, "s", job->group)
SIMPLE_GETTER(size, "t", job->identity.size_bytes)
SIMPLE_GETTER(acknowledged, "t", found->view.acknowledged)
SIMPLE_GETTER(resent, "t", job->session.resent_bytes)
SIMPLE_GETTER(rate, "t", found->view.rate)
SIMPLE_GETTER(attempts, "u", job->attempts_total)
SIMPLE_GETTER(next_attempt, "t", manager_wall_usec(found->peer->server->manager, job->next_attempt_usec))
SIMPLE_GETTER(created, "t", job->created_usec)
SIMPLE_GETTER(started, "t", job->started_usec)
SIMPLE_GETTER(finished, "t", job->finished_usec)
SIMPLE_GETTER(host, "s", job->host)
SIMPLE_GETTER(confirmed, "b", job->state == JOB_DONE && job->confirmed)

SIMPLE_GETTER(because, "s", found->view.because)
SIMPLE_GETTER(blocked_until, "t", manager_wall_usec(found->peer->server->manager, found->view.until_usec))

GETTER(gates)
{
    GETTER_FOUND;
    int r = sd_bus_message_open_container(reply, 'a', "s");
    for (size_t i = 0; r >= 0 && i < GATES; i++)
        if (found->view.closed & GATE_BIT(i))
            r = sd_bus_message_append_basic(reply, 's', gate_name((enum gate)i));
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(source)
{
    GETTER_FOUND;
    return sd_bus_message_append_array(reply, 'y', job->source, strlen(job->source));
}

static int append_escaped(sd_bus_message *reply, const char *text)
{
    _cleanup_free_ char *escaped = text_escape(text);

    return escaped ? sd_bus_message_append_basic(reply, 's', escaped) : -ENOMEM;
}

GETTER(url)
{
    GETTER_FOUND;
    _cleanup_free_ char *redacted = text_redact_url(job->url);
    return redacted ? append_escaped(reply, redacted) : -ENOMEM;
}

GETTER(session)
{
    GETTER_FOUND;
    return append_escaped(reply, job->session.session_id);
}

GETTER(attempt_log)
{
    GETTER_FOUND;
    char name[FAILURE_NAME_MAX];
    int r = sd_bus_message_open_container(reply, 'a', "(tsists)");
    for (uint32_t i = 0; r >= 0 && i < job->attempt_count; i++) {
        const struct job_attempt *attempt = &job->attempt_log[i];
        failure_name_code(attempt->code, name);
        r = sd_bus_message_append(reply, "(tsists)", attempt->at_usec, name, attempt->http_status,
                                  failure_phase_text((enum failure_phase)attempt->phase), attempt->offset,
                                  attempt->address);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

int job_append_error(sd_bus_message *message, const struct job *job)
{
    _cleanup_free_ char *text = text_escape(job->failure.text);

    if (!text)
        return -ENOMEM;
    return sd_bus_message_append(message, "(sus)", job->failure.name, job->failure.code, text);
}

GETTER(error)
{
    GETTER_FOUND;
    return job_append_error(reply, job);
}

GETTER(error_details)
{
    GETTER_FOUND;
    const struct failure *failure = &job->failure;
    if (failure->code == 0 && failure->text[0] == '\0')
        return sd_bus_message_append(reply, "a{sv}", 0);
    const char *host = job->session.host_id[0] != '\0' ? job->session.host_id : job->host;
    return sd_bus_message_append(reply, "a{sv}", 6, "host", "s", host, "address", "s", job->address, "http_status", "u",
                                 (uint32_t)failure->http_status, "context", "u", failure->context, "context_text", "s",
                                 failure_context_text((enum failure_context)failure->context), "phase", "s",
                                 failure_phase_text((enum failure_phase)failure->phase));
}

GETTER(server)
{
    GETTER_FOUND;
    _cleanup_free_ char *name = text_escape(job->server);
    if (!name)
        return -ENOMEM;
    return sd_bus_message_append(reply, "a{sv}", 3, "name", "s", name, "address", "s", job->address, "host", "s",
                                 job->session.host_id);
}

/* The address of a reply may be a secret, as that of an upload may. */
static int append_reply_url(sd_bus_message *reply, const char *url)
{
    _cleanup_free_ char *redacted = text_redact_url(url);
    _cleanup_free_ char *escaped = redacted ? text_escape(redacted) : NULL;

    return escaped ? sd_bus_message_append(reply, "{sv}", "url", "s", escaped) : -ENOMEM;
}

static int append_path(sd_bus_message *message, const char *key, const char *path)
{
    int r = sd_bus_message_open_container(message, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(message, 's', key);
    if (r >= 0)
        r = sd_bus_message_open_container(message, 'v', "ay");
    if (r >= 0)
        r = sd_bus_message_append_array(message, 'y', path ? path : "", path ? strlen(path) : 0);
    if (r >= 0)
        r = sd_bus_message_close_container(message);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

GETTER(reply)
{
    GETTER_FOUND;
    const struct session_record *session = &job->session;
    int r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0 && job->type == JOB_UPLOAD_REPLY) {
        r = append_path(reply, "path", job->reply_path);
        if (r >= 0)
            r = append_reply_url(reply, session->reply_url);
        if (r >= 0)
            r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "received", "t", session->reply_offset, "stored", "b",
                                      session->reply_stored, "size", "t",
                                      session->has_reply_total ? session->reply_total : UINT64_MAX);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_access(sd_bus_message *reply, const struct access *access)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < access_keys_count; i++) {
        const struct access_key *key = &access_keys[i];
        if (key->is_flag && (access->flags_chosen & (uint32_t)key->flag) != 0)
            r = sd_bus_message_append(reply, "{sv}", key->option, "b", (access->flags & (uint32_t)key->flag) != 0);
        else if (!key->is_flag && access->texts[key->text])
            r = sd_bus_message_append(reply, "{sv}", key->option, "s", access->texts[key->text]);
    }
    return r;
}

static int append_manners(sd_bus_message *reply, struct manager *manager, const struct job_options *options)
{
    const struct policy *policy = &options->policy;
    char power[POWER_TEXT_MAX];
    int r = 0;

    if (options->rate_bytes != 0)
        r = sd_bus_message_append(reply, "{sv}", "rate", "t", options->rate_bytes);
    if (r >= 0 && options->not_before_usec != 0)
        r = sd_bus_message_append(reply, "{sv}", "not_before", "t",
                                  manager_wall_usec(manager, options->not_before_usec));
    if (r >= 0 && options->deadline_usec != 0)
        r = sd_bus_message_append(reply, "{sv}", "deadline", "t", manager_wall_usec(manager, options->deadline_usec));
    if (r >= 0 && options->source_restart)
        r = sd_bus_message_append(reply, "{sv}", "source_changed", "s", "restart");
    if (r >= 0 && policy->network != NETWORK_UNCHOSEN)
        r = sd_bus_message_append(reply, "{sv}", "network", "s", policy_network_name(policy->network));
    if (r >= 0 && policy->power != POWER_UNCHOSEN)
        r = sd_bus_message_append(reply, "{sv}", "power", "s", policy_power_text(policy->power, power));
    if (r >= 0 && policy->window[0] != '\0')
        r = sd_bus_message_append(reply, "{sv}", "window", "s", policy->window);
    return r;
}

static int append_hooks(sd_bus_message *reply, const struct job *job)
{
    int r = 0;

    for (enum hook_outcome outcome = HOOK_DONE; outcome <= HOOK_FAILED && r >= 0; outcome++)
        if (job->hooks[outcome])
            r = sd_bus_message_append(reply, "{sv}", hook_option_name(outcome), "s", job->hooks[outcome]);
    return r;
}

GETTER(options)
{
    GETTER_FOUND;
    const struct job_options *options = &job->options;
    int r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0 && (options->fragment_min_bytes != 0 || options->fragment_max_bytes != 0))
        r = sd_bus_message_append(reply, "{sv}", "fragment_size", "(tt)", options->fragment_min_bytes,
                                  options->fragment_max_bytes);
    if (r >= 0 && options->retry_delay_usec != 0)
        r = sd_bus_message_append(reply, "{sv}", "retry_delay", "t", options->retry_delay_usec);
    if (r >= 0 && options->has_no_progress_timeout)
        r = sd_bus_message_append(reply, "{sv}", "no_progress_timeout", "t", options->no_progress_timeout_usec);
    if (r >= 0)
        r = append_manners(reply, found->peer->server->manager, options);
    if (r >= 0)
        r = append_hooks(reply, job);
    if (r >= 0 && job->type == JOB_UPLOAD_REPLY)
        r = append_path(reply, "reply", job->reply_path);
    if (r >= 0)
        r = append_access(reply, &job->access);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* What a page of the queue leaves out: it is long, or of interest for one job only. */
static bool is_in_rows(const char *name)
{
    return strcmp(name, JOB_PROPERTY_OPTIONS) != 0 && strcmp(name, JOB_PROPERTY_ATTEMPT_LOG) != 0 &&
           strcmp(name, JOB_PROPERTY_SESSION) != 0;
}

int job_append_row(sd_bus *bus, sd_bus_message *reply, struct peer *peer, const struct job *job,
                   const struct manager_view *view)
{
    /* The getters read only; the record is borrowed. */
    struct found_job found = {.peer = peer, .job = (struct job *)job, .view = *view};

    int r = sd_bus_message_open_container(reply, 'a', "{sv}");
    for (const struct dbus_property *property = job_properties; r >= 0 && property->name; property++) {
        if (!is_in_rows(property->name))
            continue;
        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
            r = sd_bus_message_append_basic(reply, 's', property->name);
        if (r >= 0)
            r = sd_bus_message_open_container(reply, 'v', property->type);
        if (r >= 0)
            r = property->get(bus, NULL, JOB_INTERFACE, property->name, reply, &found, NULL);
        if (r >= 0)
            r = sd_bus_message_close_container(reply);
        if (r >= 0)
            r = sd_bus_message_close_container(reply);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}
