/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/internal.h"

#include <assert.h>
#include <errno.h>

static void drop_handles(struct transfer_connection *connection)
{
    /* The easy handle first: a share that is in use cannot be cleaned up. The share closes the connection. */
    curl_easy_cleanup(connection->easy);
    connection->easy = NULL;
    if (connection->share) {
        CURLSHcode code = curl_share_cleanup(connection->share);
        assert(code == CURLSHE_OK);
    }
    connection->share = NULL;
}

static int make_handles(struct transfer_connection *connection)
{
    connection->easy = curl_easy_init();
    connection->share = curl_share_init();
    if (!connection->easy || !connection->share ||
        curl_share_setopt(connection->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) != CURLSHE_OK) {
        drop_handles(connection);
        return -ENOMEM;
    }
    connection->upload_buffer_bytes = 0;
    connection->stale = false;
    connection->authenticated_number = 0;
    connection->any_is_ntlm = false;
    return 0;
}

int connection_prepare(struct transfer_connection *connection, const struct transfer_job *job, const char *host)
{
    _cleanup_(identity_done) struct identity identity = {0};

    int r = identity_of(job->access, job->origin, host, &identity);
    if (r < 0)
        return r;
    if (!identity_equal(&connection->identity, &identity)) {
        if (connection->identity.bytes)
            connection->stale = true;
        struct identity before = connection->identity;
        connection->identity = identity;
        identity = before;
    }
    if (connection->easy && !connection->stale)
        return 0;
    drop_handles(connection);
    return make_handles(connection);
}

int connection_new(void *transport, struct transfer_connection **ret)
{
    _cleanup_free_ struct transfer_connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return -ENOMEM;
    connection->net = transport;
    for (size_t i = 0; i < CONNECTION_FDS; i++)
        connection->fds[i] = -1;
    int r = make_handles(connection);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(connection);
    return 0;
}

void connection_free(void *transport, struct transfer_connection *connection)
{
    (void)transport;
    if (!connection)
        return;
    assert(!connection->transfer);
    drop_handles(connection);
    identity_done(&connection->identity);
    free(connection);
}
