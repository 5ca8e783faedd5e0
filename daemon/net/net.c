/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/net.h"

#include "net/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static void on_completed(void *userdata, CURL *easy, CURLcode code)
{
    struct transfer *transfer = NULL;

    (void)userdata;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    assert(transfer);
    transfer_completed(transfer, code);
}

static struct transfer *find_doomed(struct net *net)
{
    struct transfer *transfer;

    TAILQ_FOREACH (transfer, &net->transfers, entry) {
        if (transfer->doomed)
            return transfer;
    }
    return NULL;
}

/* Those that are told may start and cancel others: each round looks anew. */
static void on_broken(void *userdata)
{
    struct net *net = userdata;
    struct transfer *transfer;

    TAILQ_FOREACH (transfer, &net->transfers, entry) {
        glue_remove(net->glue, transfer->connection->easy);
        transfer->doomed = true;
        transfer->connection->stale = true;
    }
    (void)glue_renew(net->glue); /* without memory now: the next start() tries again */
    while ((transfer = find_doomed(net)) != NULL)
        transfer_fail(transfer, "the event loop refused a socket: no descriptor or no memory is left");
}

int net_new(sd_event *event, const struct net_options *options, struct net **ret)
{
    struct glue_events events = {.completed = on_completed, .broken = on_broken};

    /* Not safe against other threads: whoever calls this has none yet. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -ENOMEM;
    _cleanup_(net_free_p) struct net *net = calloc(1, sizeof(*net));
    if (!net) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    TAILQ_INIT(&net->transfers);
    net->event = sd_event_ref(event);
    net->keep_alive_usec = options->keep_alive_usec;
    net->user_agent = strdup(options->user_agent ? options->user_agent : "bitsq/" BITSQ_VERSION);
    if (!net->user_agent)
        return -ENOMEM;
    events.userdata = net;
    int r = glue_new(event, &events, &net->glue);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(net);
    return 0;
}

struct net *net_free(struct net *net)
{
    if (!net)
        return NULL;
    assert(TAILQ_EMPTY(&net->transfers));
    glue_free(net->glue);
    sd_event_unref(net->event);
    free(net->user_agent);
    free(net);
    curl_global_cleanup();
    return NULL;
}

const struct transfer_ops net_transfer_ops = {
    .connection_new = connection_new,
    .connection_free = connection_free,
    .start = transfer_start,
    .cancel = transfer_cancel,
    .resume = transfer_resume,
    .set_rate = transfer_set_rate,
};
