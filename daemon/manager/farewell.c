/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job that goes to another server leaves a session behind. Once that is durable, the old server is told once that the
 * session may go, and whatever comes back changes nothing: it would forget it by itself, after a fortnight.
 */
#include "core/proto.h"
#include "io/access.h"
#include "manager/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define FAREWELLS_MAX         32 /* at a time; beyond it servers are left to their own timeouts */
#define FAREWELL_TIMEOUT_USEC (30 * USEC_PER_SEC)

struct farewell {
    LIST_ENTRY(farewell) entry;
    struct manager *manager;
    char *url, *host;
    struct access choices;
    struct io_request *loading;
    struct transfer_access *access; /* NULL where nothing was chosen */
    struct exchange_request request;
    struct transfer_connection *connection;
    struct transfer *transfer;
};

static struct farewell *farewell_free(struct farewell *farewell)
{
    if (!farewell)
        return NULL;
    const struct transfer_ops *ops = farewell->manager->transfer_ops;
    if (farewell->loading)
        io_request_cancel(farewell->loading);
    if (farewell->transfer)
        ops->cancel(farewell->manager->transport, farewell->transfer);
    if (farewell->connection)
        ops->connection_free(farewell->manager->transport, farewell->connection);
    transfer_access_free(farewell->access);
    access_done(&farewell->choices);
    free(farewell->url);
    free(farewell->host);
    free(farewell);
    return NULL;
}
DEFINE_CLEANUP(struct farewell *, farewell_free);

static void end(struct farewell *farewell)
{
    farewell->manager->farewells_count--;
    LIST_REMOVE(farewell, entry);
    farewell_free(farewell);
}

static void on_answered(void *userdata, const struct exchange_outcome *outcome)
{
    struct farewell *farewell = userdata;

    (void)outcome;
    farewell->transfer = NULL;
    end(farewell);
}

static int start_exchange(struct farewell *farewell)
{
    struct manager *manager = farewell->manager;
    const struct transfer_job exchange = {
        .url = farewell->url,
        .origin = farewell->host,
        .request = &farewell->request,
        .connection = farewell->connection,
        .access = farewell->access,
        .done = on_answered,
        .userdata = farewell,
    };

    return manager->transfer_ops->start(manager->transport, &exchange, &farewell->transfer);
}

static void on_loaded(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal)
{
    struct farewell *farewell = userdata;

    (void)fault, (void)may_heal;
    farewell->loading = NULL;
    farewell->access = access;
    if (result < 0 || start_exchange(farewell) < 0)
        end(farewell);
}

static int build(const struct job *job, const struct access *choices, struct exchange_request *request)
{
    struct session_parameters dialect = {0};

    manager_fill_dialect(choices, &dialect);
    const struct proto_packet packet = {
        .kind = EXCHANGE_CANCEL,
        .method = dialect.method,
        .protocol_guid = dialect.protocol_guid,
        .session_id = job->session.session_id,
    };
    int r = proto_build(&packet, request);
    if (r < 0)
        return r;
    request->target = job->session.host_id[0] != '\0' ? TARGET_HOST : TARGET_ORIGIN;
    (void)text_copy(request->host, sizeof(request->host), job->session.host_id);
    request->connect_timeout_usec = FAREWELL_TIMEOUT_USEC;
    request->send_timeout_usec = FAREWELL_TIMEOUT_USEC;
    request->response_timeout_usec = FAREWELL_TIMEOUT_USEC;
    return 0;
}

static int prepare(struct farewell *farewell, const struct job *job)
{
    struct manager *manager = farewell->manager;

    farewell->url = strdup(job->url);
    farewell->host = strdup(job->host);
    if (!farewell->url || !farewell->host)
        return -ENOMEM;
    int r = access_resolve(&job->access, &manager->access_rules, job->host, &farewell->choices);
    if (r >= 0)
        r = build(job, &farewell->choices, &farewell->request);
    return r < 0 ? r : manager->transfer_ops->connection_new(manager->transport, &farewell->connection);
}

static int begin(struct farewell *farewell)
{
    struct manager *manager = farewell->manager;

    if (!manager_needs_access(&farewell->choices))
        return start_exchange(farewell);
    return io_load_access(manager->io, &farewell->choices, farewell->host, manager->credential_directory, false,
                          on_loaded, farewell, &farewell->loading);
}

void manager_bid_farewell(struct manager *manager, const struct job *job)
{
    _cleanup_(farewell_free_p) struct farewell *farewell = NULL;

    if (manager->farewells_count == FAREWELLS_MAX || manager->stopping)
        return;
    farewell = calloc(1, sizeof(*farewell));
    if (!farewell)
        return;
    farewell->manager = manager;
    if (prepare(farewell, job) < 0 || begin(farewell) < 0)
        return;
    LIST_INSERT_HEAD(&manager->farewells, farewell, entry);
    manager->farewells_count++;
    (void)TAKE_PTR(farewell);
}

void manager_drop_farewells(struct manager *manager)
{
    struct farewell *farewell;

    while ((farewell = LIST_FIRST(&manager->farewells)) != NULL) {
        LIST_REMOVE(farewell, entry);
        farewell_free(farewell);
    }
    manager->farewells_count = 0;
}
