/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runner's access to its server: what the job, its host and the configuration choose is resolved when an attempt
 * begins, and read from the user's files before the first request. A token that comes to its end is had anew before the
 * next request, and one that the server refuses once, before anybody hears of the refusal.
 */
#include "manager/runner_internal.h"

#include "io/access.h"
#include "manager/internal.h"

#include "base/text.h"

#include <string.h>

static bool has_flag(const struct access *choices, enum access_flag flag)
{
    return (choices->flags & (uint32_t)flag) != 0;
}

static enum session_method method_of(const char *text)
{
    if (text && strcmp(text, "post") == 0)
        return METHOD_POST_OVERRIDE;
    return text && strcmp(text, "post-only") == 0 ? METHOD_POST : METHOD_BITS_POST;
}

void manager_fill_dialect(const struct access *choices, struct session_parameters *parameters)
{
    const char *guid = choices->texts[ACCESS_PROTOCOL_GUID];

    parameters->method = method_of(choices->texts[ACCESS_METHOD_OVERRIDE]);
    (void)text_copy(parameters->protocol_guid, sizeof(parameters->protocol_guid), guid ? guid : "");
    parameters->lenient_ack = has_flag(choices, ACCESS_LENIENT_ACK);
    parameters->restart_on_ambiguous = has_flag(choices, ACCESS_RESTART_ON_AMBIGUOUS);
    parameters->reply_strict = has_flag(choices, ACCESS_REPLY_STRICT);
    parameters->at_most_once = has_flag(choices, ACCESS_AT_MOST_ONCE);
}

bool manager_needs_access(const struct access *choices)
{
    const uint32_t files = ACCESS_NETRC | ACCESS_CREDENTIALS_OVER_HTTP | ACCESS_REPLY_OTHER_HOST;

    if ((choices->flags & files) != 0)
        return true;
    for (size_t i = 0; i < ACCESS_TEXTS; i++)
        if (choices->texts[i])
            return true;
    return false;
}

bool runner_needs_access(const struct runner *runner)
{
    return manager_needs_access(&runner->choices);
}

/* One that lasts shorter than the margin is used up to its end: a helper runs when it has to, not for each request. */
static uint64_t renewal_usec(const struct transfer_secret *secret)
{
    uint64_t now = manager_boot_usec(), end = secret->token_expires_usec;

    if (end <= now)
        return USEC_INFINITY; /* it says no end, or one that makes no sense: a refusal will tell */
    return usec_sub(end, TOKEN_MARGIN_USEC) > now ? usec_sub(end, TOKEN_MARGIN_USEC) : end;
}

static void take_access(struct runner *runner, struct transfer_access *access)
{
    transfer_access_free(runner->access);
    runner->access = access;
    runner->renew_usec = renewal_usec(&access->server);
    runner->session.parameters.ping_first = auth_scheme_binds_connection(access->server.scheme);
}

static void tell_fault(struct runner *runner, const char *fault, bool may_heal)
{
    struct session_input in = {
        .event = SESSION_EVENT_ACCESS_FAILED, .access_fault = fault, .access_may_heal = may_heal};

    runner_feed(runner, &in);
}

/* The session begins, and hears at once why it cannot go on: nothing is sent in between. */
void runner_begin_without_access(struct runner *runner, const char *fault, bool may_heal)
{
    runner->held_back = true;
    if (!runner_begin_now(runner))
        return;
    runner->held_back = false;
    tell_fault(runner, fault, may_heal);
}

static void on_loaded(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal)
{
    struct runner *runner = userdata;

    runner->access_request = NULL;
    if (result >= 0) {
        take_access(runner, access);
        runner_begin(runner);
        return;
    }
    runner_begin_without_access(runner, fault, may_heal);
}

static int load(struct runner *runner, bool fresh_token,
                void (*done)(void *userdata, int result, struct transfer_access *access, const char *fault,
                             bool may_heal))
{
    struct manager *manager = runner->manager;

    return io_load_access(manager->io, &runner->choices, runner->job->host, manager->credential_directory, fresh_token,
                          done, runner, &runner->access_request);
}

int runner_load_access(struct runner *runner)
{
    return load(runner, false, on_loaded);
}

/* ---- a token that ends ---- */

static void on_renewed(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal)
{
    struct runner *runner = userdata;

    runner->access_request = NULL;
    if (result < 0) {
        runner->preparing = false;
        tell_fault(runner, fault, may_heal);
        return;
    }
    take_access(runner, access);
    runner_proceed(runner);
}

bool runner_renew_token(struct runner *runner)
{
    return manager_boot_usec() >= runner->renew_usec && load(runner, false, on_renewed) >= 0;
}

/* ---- a token that was refused ---- */

static bool is_refused(const struct exchange_outcome *outcome)
{
    const struct ack *ack = &outcome->ack;

    /* Some services say it with a 500 when a token ends in the middle of an upload. */
    return outcome->transport == TRANSPORT_OK && !outcome->proxy_answered &&
           (ack->status == 401 || (ack->status == 500 && ack->has_authenticate));
}

static void tell_outcome(struct runner *runner, bool refreshed)
{
    const struct exchange_outcome outcome = runner->held;
    struct session_input in = {.event = SESSION_EVENT_OUTCOME, .outcome = &outcome, .refreshed = refreshed};

    runner_feed(runner, &in);
}

static void on_reloaded(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal)
{
    struct runner *runner = userdata;

    runner->access_request = NULL;
    if (result < 0) { /* says more than the refusal, and time may help where it does not help a refusal */
        tell_fault(runner, fault, may_heal);
        return;
    }
    const char *before = runner->access ? runner->access->server.token : NULL;
    bool is_new = access->server.token && (!before || strcmp(before, access->server.token) != 0);
    take_access(runner, access);
    tell_outcome(runner, is_new);
}

bool runner_refresh_token(struct runner *runner, const struct exchange_outcome *outcome)
{
    if (!runner->access || runner->access->server.scheme != AUTH_BEARER || !is_refused(outcome))
        return false;
    runner->held = *outcome;
    return load(runner, true, on_reloaded) >= 0;
}

void runner_drop_access_request(struct runner *runner)
{
    if (runner->access_request)
        io_request_cancel(runner->access_request);
    runner->access_request = NULL;
}
