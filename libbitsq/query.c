/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct bitsq_query {
    bitsq_client *client;
    sd_bus_message *filter; /* a call that is never sent: keeps the filter as the wire wants it */
    sd_bus_message *page;   /* inside its array of jobs; NULL before the first */
    uint64_t after;
    bool last; /* no page behind this one */
};

_public_ bitsq_query *bitsq_query_free(bitsq_query *query)
{
    if (!query)
        return NULL;
    sd_bus_message_unref(query->filter);
    sd_bus_message_unref(query->page);
    free(query);
    return NULL;
}

_public_ int bitsq_client_query(bitsq_client *client, const bitsq_filter *filter, bitsq_query **ret_query)
{
    _cleanup_(bitsq_query_free_p) bitsq_query *query = calloc(1, sizeof(*query));

    if (!query)
        return client_fail_memory(client);
    query->client = client;
    int r = client_manager_call(client, MANAGER_QUERY_JOBS, &query->filter);
    if (r < 0)
        return r;
    r = filter_append(filter, FILTER_WHOLE, query->filter);
    if (r >= 0)
        r = sd_bus_message_seal(query->filter, 1, 0);
    r = client_check_append(client, r);
    if (r < 0)
        return r;
    *ret_query = TAKE_PTR(query);
    return 0;
}

/* Fetches the page behind the last one and stands at its first job. */
static int query_turn_page(bitsq_query *query)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *page = NULL;
    uint64_t next = 0;

    int r = client_manager_call(query->client, MANAGER_QUERY_JOBS, &call);
    if (r < 0)
        return r;
    r = sd_bus_message_rewind(query->filter, 1);
    if (r >= 0)
        r = sd_bus_message_copy(call, query->filter, 1);
    if (r >= 0)
        r = sd_bus_message_append(call, "tu", query->after, PAGE_ROWS);
    r = client_check_append(query->client, r);
    if (r < 0 || (r = client_call(query->client, call, &page)) < 0)
        return r;

    /* the cursor stands behind the jobs: read it first, then go back to them */
    r = sd_bus_message_skip(page, "aa{sv}");
    if (r >= 0)
        r = sd_bus_message_read(page, "tt", &next, NULL);
    if (r >= 0)
        r = sd_bus_message_rewind(page, 1);
    if (r >= 0)
        r = sd_bus_message_enter_container(page, 'a', "a{sv}");
    if (r >= 0 && next != 0 && next <= query->after)
        r = -EBADMSG; /* a cursor that does not move would walk for ever */
    r = client_check_reply(query->client, r);
    if (r < 0)
        return r;
    sd_bus_message_unref(query->page);
    query->page = TAKE_PTR(page);
    query->after = next;
    query->last = next == 0;
    return 0;
}

_public_ int bitsq_query_next(bitsq_query *query, bitsq_job **ret_job)
{
    for (;;) {
        if (query->page) {
            int r = sd_bus_message_at_end(query->page, 0);
            if (r == 0) {
                r = job_read(query->page, ret_job);
                return r < 0 ? client_check_reply(query->client, r) : 1;
            }
            if (r < 0)
                return client_check_reply(query->client, r);
            if (query->last)
                return 0;
        }
        int r = query_turn_page(query);
        if (r < 0)
            return r;
    }
}

_public_ int bitsq_client_get_job(bitsq_client *client, uint64_t id, bitsq_job **ret_job)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;
    char path[JOB_PATH_MAX];

    (void)snprintf(path, sizeof(path), BITSQ_DBUS_JOBS_PATH "/%" PRIu64, id);
    int r = client_get_all(client, path, JOB_INTERFACE, &reply);
    if (r < 0 && strcmp(client->error_name, "NoSuchJob") == 0)
        return client_fail(client, -ENOENT, "NoSuchJob",
                           "there is no job %" PRIu64 "; `bitsq list` shows those there are", id);
    if (r < 0)
        return r;
    return client_check_reply(client, job_read(reply, ret_job));
}

_public_ int bitsq_client_find_job(bitsq_client *client, const char *key, uint64_t *ret_id)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;
    const char *path;

    int r = client_manager_call(client, MANAGER_FIND_JOB, &call);
    if (r < 0 || (r = client_check_append(client, sd_bus_message_append(call, "s", key))) < 0 ||
        (r = client_call(client, call, &reply)) < 0 ||
        (r = client_check_reply(client, sd_bus_message_read(reply, "o", &path))) < 0)
        return r;
    return client_check_reply(client, parse_u64(strrchr(path, '/') + 1, ret_id));
}

_public_ int bitsq_client_count(bitsq_client *client, uint64_t *counts, size_t size)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;
    const char *name;
    uint64_t count;

    int r = client_manager_call(client, MANAGER_COUNT_JOBS, &call);
    if (r < 0 || (r = client_check_append(client, sd_bus_message_append(call, "a{sv}", 0))) < 0 ||
        (r = client_call(client, call, &reply)) < 0)
        return r;
    memset(counts, 0, size * sizeof(*counts));
    r = sd_bus_message_enter_container(reply, 'a', "{st}");
    while (r >= 0 && (r = sd_bus_message_read(reply, "{st}", &name, &count)) > 0) {
        size_t state = (size_t)bitsq_state_from_name(name);
        if (state < size)
            counts[state] += count;
    }
    return client_check_reply(client, r);
}
