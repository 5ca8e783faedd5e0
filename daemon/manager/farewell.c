/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job that goes to another server leaves a session behind. The old server is told once that it may go, and whatever
 * comes back changes nothing: it would forget it by itself, after a fortnight.
 */
#include "core/proto.h"
#include "manager/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define FAREWELLS_MAX         32 /* at a time; beyond it servers are left to their own timeouts */
#define FAREWELL_TIMEOUT_USEC (30 * USEC_PER_SEC)

struct farewell {
    LIST_ENTRY(farewell) entry;
    struct manager *manager;
    struct transfer_connection *connection;
    struct transfer *transfer;
    char *host;
};

static struct farewell *farewell_free(struct farewell *farewell)
{
    if (!farewell)
        return NULL;
    const struct transfer_ops *ops = farewell->manager->transfer_ops;
    if (farewell->transfer)
        ops->cancel(farewell->manager->transport, farewell->transfer);
    if (farewell->connection)
        ops->connection_free(farewell->manager->transport, farewell->connection);
    free(farewell->host);
    free(farewell);
    return NULL;
}
DEFINE_CLEANUP(struct farewell *, farewell_free);

static void on_answered(void *userdata, const struct exchange_outcome *outcome)
{
    struct farewell *farewell = userdata;

    (void)outcome;
    farewell->transfer = NULL;
    farewell->manager->farewells_count--;
    LIST_REMOVE(farewell, entry);
    farewell_free(farewell);
}

static int build(const struct job *job, struct exchange_request *request)
{
    const struct proto_packet packet = {.kind = EXCHANGE_CANCEL, .session_id = job->session.session_id};

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

static bool needs_access(struct manager *manager, const struct job *job)
{
    _cleanup_(access_done) struct access choices = {0};

    if (access_resolve(&job->access, &manager->access_rules, job->host, &choices) < 0)
        return true;
    for (size_t i = 0; i < ACCESS_TEXTS; i++)
        if (choices.texts[i])
            return true;
    return choices.flags != 0;
}

void manager_bid_farewell(struct manager *manager, const struct job *job)
{
    _cleanup_(farewell_free_p) struct farewell *farewell = NULL;
    struct exchange_request request = {0};

    /* Not worth the user's secrets: a server that wants them is left to its timeout. */
    if (job->session.session_id[0] == '\0' || manager->farewells_count >= FAREWELLS_MAX || needs_access(manager, job) ||
        build(job, &request) < 0)
        return;
    farewell = calloc(1, sizeof(*farewell));
    if (!farewell)
        return;
    farewell->manager = manager;
    farewell->host = strdup(job->host);
    if (!farewell->host || manager->transfer_ops->connection_new(manager->transport, &farewell->connection) < 0)
        return;
    const struct transfer_job exchange = {
        .url = job->url,
        .origin = farewell->host,
        .request = &request,
        .connection = farewell->connection,
        .done = on_answered,
        .userdata = farewell,
    };
    if (manager->transfer_ops->start(manager->transport, &exchange, &farewell->transfer) < 0)
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
