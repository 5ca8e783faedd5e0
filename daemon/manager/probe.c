/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Probes of servers: the machine of core/probe.h, driven over the wire with what a job for that URL would choose. A
 * probe has no job and leaves nothing in the queue. One that nobody waits for any more sends what cancels the session
 * that it may have opened, and nothing else.
 */
#include "core/probe.h"
#include "io/access.h"
#include "io/source.h"
#include "manager/internal.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PROBE_TIMEOUT_USEC (20 * USEC_PER_SEC) /* of one request: somebody sits and waits */

struct probing {
    LIST_ENTRY(probing) entry;
    struct manager *manager;
    char *url, *host;
    struct access choices;
    struct transfer_access *access;
    struct io_request *access_request; /* while the user's files are read */
    struct transfer_connection *connection;
    struct transfer *transfer; /* while an exchange is under way */
    struct probe probe;
    struct exchange_request request;
    char address[sizeof(((struct exchange_outcome *)NULL)->address)];
    manager_probed_t done; /* NULL: nobody waits any more */
    void *userdata;
};

static struct probing *probing_free(struct probing *probing)
{
    if (!probing)
        return NULL;
    struct manager *manager = probing->manager;
    if (probing->access_request)
        io_request_cancel(probing->access_request);
    if (probing->transfer)
        manager->transfer_ops->cancel(manager->transport, probing->transfer);
    if (probing->connection)
        manager->transfer_ops->connection_free(manager->transport, probing->connection);
    transfer_access_free(probing->access);
    access_done(&probing->choices);
    free(probing->url);
    free(probing->host);
    free(probing);
    return NULL;
}
DEFINE_CLEANUP(struct probing *, probing_free);

static void forget(struct probing *probing)
{
    LIST_REMOVE(probing, entry);
    probing->manager->probings_count--;
    probing_free(probing);
}

static void finish(struct probing *probing, const struct manager_error *error)
{
    struct manager_probe_result result = {
        .probe = &probing->probe, .is_usable = probe_is_usable(&probing->probe), .address = probing->address};

    if (error)
        result.error = *error;
    if (probing->done)
        probing->done(probing->userdata, &result);
    forget(probing);
}

static ssize_t read_zeros(void *userdata, uint64_t offset, void *buffer, size_t size)
{
    (void)userdata, (void)offset;
    memset(buffer, 0, size);
    return (ssize_t)size;
}

static void on_outcome(void *userdata, const struct exchange_outcome *outcome);

static int start(struct probing *probing)
{
    struct manager *manager = probing->manager;
    struct transfer_job job = {
        .url = probing->url,
        .request = &probing->request,
        .connection = probing->connection,
        .access = probing->access,
        .origin = probing->host,
        .done = on_outcome,
        .userdata = probing,
    };

    if (probing->request.body_bytes > 0)
        job.body.read = read_zeros;
    return manager->transfer_ops->start(manager->transport, &job, &probing->transfer);
}

/* The machine has few steps: a request that cannot even be started is an outcome as well. */
static void advance(struct probing *probing, const struct exchange_outcome *outcome)
{
    struct exchange_outcome lacking = {.transport = TRANSPORT_LOCAL};

    while (probe_step(&probing->probe, outcome, &probing->request) == PROBE_SEND) {
        if (!probing->done && probing->request.kind != EXCHANGE_CANCEL)
            break;
        int r = start(probing);
        if (r >= 0)
            return;
        (void)text_copy(lacking.text, sizeof(lacking.text), strerror(-r));
        outcome = &lacking;
    }
    finish(probing, NULL);
}

static void on_outcome(void *userdata, const struct exchange_outcome *outcome)
{
    struct probing *probing = userdata;

    probing->transfer = NULL;
    if (outcome->address[0] != '\0')
        (void)text_copy(probing->address, sizeof(probing->address), outcome->address);
    advance(probing, outcome);
}

static void on_loaded(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal)
{
    struct probing *probing = userdata;

    (void)may_heal;
    probing->access_request = NULL;
    if (result < 0) {
        probe_set_obstacle(&probing->probe, "access", fault);
        finish(probing, NULL);
        return;
    }
    probing->access = access;
    advance(probing, NULL);
}

static int check(struct manager *manager, const char *url, const struct access *access, char **ret_host,
                 struct manager_error *error)
{
    _cleanup_free_ char *host = NULL, *name = NULL;

    if (manager->stopping)
        return manager_fault_stopping(error);
    const char *fault = manager->check_url(url, &host, &name);
    if (!fault)
        fault = access_fault(access);
    if (fault)
        return manager_fault_set(error, FAULT_INVALID_ARGUMENT, -EINVAL, "%s", fault);
    if (manager->probings_count >= PROBES_MAX)
        return manager_fault_set(error, FAULT_LIMIT_REACHED, -EBUSY,
                                 "%d probes are under way already; try again when one of them is through", PROBES_MAX);
    *ret_host = TAKE_PTR(host);
    return 0;
}

static void set_up_machine(struct probing *probing)
{
    uint64_t limit = probing->manager->settings.response_timeout_usec;

    if (limit > PROBE_TIMEOUT_USEC)
        limit = PROBE_TIMEOUT_USEC;
    struct session_parameters parameters = {
        .connect_timeout_usec = limit, .send_timeout_usec = limit, .response_timeout_usec = limit};
    manager_fill_dialect(&probing->choices, &parameters);
    probe_init(&probing->probe, &parameters);
}

int manager_probe(struct manager *manager, const char *url, const struct access *access, manager_probed_t done,
                  void *userdata, struct probing **ret, struct manager_error *ret_error)
{
    _cleanup_(probing_free_p) struct probing *probing = NULL;
    _cleanup_free_ char *host = NULL;

    assert(done);
    int r = check(manager, url, access, &host, ret_error);
    if (r < 0)
        return r;
    *ret_error = (struct manager_error){.fault = FAULT_NO_MEMORY, .text = "memory ran out; try again later"};
    probing = calloc(1, sizeof(*probing));
    if (!probing)
        return -ENOMEM;
    probing->manager = manager;
    probing->host = TAKE_PTR(host);
    probing->done = done;
    probing->userdata = userdata;
    probing->url = strdup(url);
    if (!probing->url)
        return -ENOMEM;
    r = access_resolve(access, &manager->access_rules, probing->host, &probing->choices);
    if (r >= 0)
        r = manager->transfer_ops->connection_new(manager->transport, &probing->connection);
    if (r < 0)
        return r;
    set_up_machine(probing);
    r = io_load_access(manager->io, &probing->choices, probing->host, manager->credential_directory, false, on_loaded,
                       probing, &probing->access_request);
    if (r < 0)
        return r;
    LIST_INSERT_HEAD(&manager->probings, probing, entry);
    manager->probings_count++;
    *ret = TAKE_PTR(probing);
    return 0;
}

void manager_abandon_probe(struct probing *probing)
{
    const struct exchange_outcome given_up = {.transport = TRANSPORT_LOCAL};

    probing->done = NULL;
    probing->probe.sizes_done = true; /* the session under way, if there is one, is the last */
    switch (probing->probe.stage) {
    case PROBE_STAGE_START:
    case PROBE_STAGE_PING:
    case PROBE_STAGE_END:
        forget(probing);
        return;
    case PROBE_STAGE_CREATE: /* who knows whether it opens one? */
    case PROBE_STAGE_CANCEL:
        return;
    case PROBE_STAGE_FRAGMENT:
        probing->manager->transfer_ops->cancel(probing->manager->transport, probing->transfer);
        probing->transfer = NULL;
        advance(probing, &given_up);
        return;
    }
}

void manager_stop_probes(struct manager *manager)
{
    struct manager_error error;
    struct probing *probing;

    (void)manager_fault_stopping(&error);
    while ((probing = LIST_FIRST(&manager->probings)) != NULL)
        finish(probing, &error);
}
