/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /org/bitsq1: the methods and properties of org.bitsq1.Manager. */
#include "bus/internal.h"

#include "core/limits.h"

#include <dbus/names.h>
#include <dbus/vtables.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct manager *manager_of(struct peer *peer)
{
    return peer->server->manager;
}

/* ---- adding ---- */

static void on_added(void *userdata, const struct manager_result *result)
{
    struct call *call = userdata;
    char path[JOB_PATH_MAX];

    if (result->error.fault != FAULT_NONE) {
        call_fail(call, &result->error);
        return;
    }
    job_path(result->ids[0], path);
    (void)sd_bus_reply_method_return(call->message, "to", result->ids[0], path);
    call_free(call);
}

static void on_batch_added(void *userdata, const struct manager_result *result)
{
    struct call *call = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

    if (result->error.fault != FAULT_NONE) {
        call_fail(call, &result->error);
        return;
    }
    int r = sd_bus_message_new_method_return(call->message, &reply);
    if (r >= 0)
        r = sd_bus_message_append_array(reply, 't', result->ids, result->ids_count * sizeof(uint64_t));
    if (r >= 0)
        (void)sd_bus_send(NULL, reply, NULL);
    call_free(call);
}

static int submit(struct peer *peer, sd_bus_message *message, uid_t caller, struct manager_submission *submissions,
                  size_t count, const struct manager_part *part, manager_done_t done, sd_bus_error *error)
{
    struct manager_error fault;
    struct call *call;

    int r = call_new(peer, message, &call, error);
    if (r < 0)
        return r;
    r = manager_add(manager_of(peer), caller, submissions, count, part, done, call, &fault);
    return call_wait(call, r, &fault, error);
}

int manager_method_add_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(manager_submission_done) struct manager_submission submission = {0};
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = options_read_submission(m, &submission, error);
    return r < 0 ? r : submit(peer, m, caller, &submission, 1, NULL, on_added, error);
}

struct batch {
    struct manager_submission *submissions;
    size_t count;
    struct manager_part part; /* its token is NULL where the call stands alone */
};

static void batch_done(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        manager_submission_done(&batch->submissions[i]);
    free(batch->submissions);
}

static int read_batch(sd_bus_message *m, struct batch *batch, sd_bus_error *error)
{
    batch->submissions = calloc(BATCH_JOBS_MAX, sizeof(*batch->submissions));
    if (!batch->submissions)
        return -ENOMEM;
    int r = sd_bus_message_enter_container(m, 'a', "(aysa{sv})");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "aysa{sv}")) > 0) {
        if (batch->count == BATCH_JOBS_MAX)
            return sd_bus_error_setf(error, BITSQ_ERROR_LIMIT_REACHED,
                                     "one call takes at most %d jobs; split the list, e.g. with \"split -l %d\"",
                                     BATCH_JOBS_MAX, BATCH_JOBS_MAX);
        r = options_read_submission(m, &batch->submissions[batch->count++], error);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    return r < 0 ? r : options_read_part(m, &batch->part, error);
}

int manager_method_add_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(batch_done) struct batch batch = {0};
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = read_batch(m, &batch, error);
    return r < 0 ? r
                 : submit(peer, m, caller, batch.submissions, batch.count, batch.part.token ? &batch.part : NULL,
                          on_batch_added, error);
}

/* ---- finding ---- */

static int reply_job(sd_bus_message *m, uint64_t id)
{
    char path[JOB_PATH_MAX];

    job_path(id, path);
    return sd_bus_reply_method_return(m, "o", path);
}

int manager_method_get_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    _cleanup_(job_free_p) struct job *job = NULL;
    uint64_t id;

    int r = sd_bus_message_read(m, "t", &id);
    if (r >= 0)
        r = job_get_own(userdata, m, id, &job, error);
    return r < 0 ? r : reply_job(m, id);
}

int manager_method_find_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    const char *key;
    uint64_t id;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = sd_bus_message_read(m, "s", &key);
    if (r < 0)
        return r;
    if (store_find_key(manager_store(manager_of(peer)), caller, key, &id) < 0)
        return sd_bus_error_setf(error, BITSQ_ERROR_NO_SUCH_JOB, "there is no job with the key \"%s\"", key);
    return reply_job(m, id);
}

struct page {
    struct peer *peer;
    sd_bus_message *reply;
};

static int append_row(const struct job *job, const struct manager_view *view, void *userdata)
{
    struct page *page = userdata;

    return job_append_row(page->peer->bus, page->reply, page->peer, job, view);
}

int manager_method_query_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(filter_storage_done) struct filter_storage storage = {0};
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    uint64_t after, next = 0;
    uint32_t limit;
    uid_t caller;

    if (!peer->is_broker && peer_is_busy(peer))
        return sd_bus_error_set(error, BITSQ_ERROR_LIMIT_REACHED, "read the replies that wait before asking for more");
    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = options_read_filter(m, &storage, error);
    if (r >= 0)
        r = sd_bus_message_read(m, "tu", &after, &limit);
    if (r < 0)
        return r;
    if (limit == 0 || limit > STORE_PAGE_ROWS_MAX)
        return sd_bus_error_setf(error, BITSQ_ERROR_INVALID_ARGUMENT, "the limit must be 1 to %d rows",
                                 STORE_PAGE_ROWS_MAX);
    storage.filter.store.owner = caller;
    struct page page = {.peer = peer};
    r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    page.reply = reply;
    if (r >= 0 && !storage.matches_nothing)
        r = manager_query(manager_of(peer), &storage.filter, after, limit, append_row, &page, &next);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "tt", next, manager_revision(manager_of(peer)));
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int manager_method_count_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(filter_storage_done) struct filter_storage storage = {0};
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    uint64_t counts[SHOWN_STATES];
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = options_read_filter(m, &storage, error);
    if (r < 0)
        return r;
    if (storage.names_jobs || storage.filter.states != 0 || storage.filter.store.group || storage.filter.store.key)
        return sd_bus_error_set(error, BITSQ_ERROR_INVALID_ARGUMENT,
                                "CountJobs takes only \"all\" and \"owner\"; use QueryJobs");
    r = manager_count(manager_of(peer), caller, counts);
    if (r >= 0)
        r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{st}");
    for (unsigned state = 0; r >= 0 && state < SHOWN_STATES; state++)
        r = sd_bus_message_append(reply, "{st}", shown_state_name((enum shown_state)state), counts[state]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---- controlling ---- */

static void on_controlled(void *userdata, const struct manager_result *result)
{
    struct call *call = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

    if (result->error.fault != FAULT_NONE) {
        call_fail(call, &result->error);
        return;
    }
    int r = sd_bus_message_new_method_return(call->message, &reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "tt", result->matched, result->failed);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(tss)");
    for (size_t i = 0; r >= 0 && i < result->failures_count; i++)
        r = sd_bus_message_append(reply, "(tss)", result->failures[i].id, error_name(result->failures[i].error.fault),
                                  result->failures[i].error.text);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        (void)sd_bus_send(NULL, reply, NULL);
    call_free(call);
}

static int read_control(struct peer *peer, sd_bus_message *m, enum job_verb *verb, struct filter_storage *storage,
                        struct job_change *change, sd_bus_error *error)
{
    const char *name;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = sd_bus_message_read(m, "s", &name);
    if (r < 0)
        return r;
    if (manager_verb_parse(name, verb) < 0)
        return sd_bus_error_setf(error, BITSQ_ERROR_INVALID_ARGUMENT,
                                 "there is no verb \"%s\"; it is pause, resume, cancel, retry, remove or set", name);
    r = options_read_filter(m, storage, error);
    if (r >= 0)
        r = *verb == VERB_SET ? options_read_change(m, change, error) : options_read_none(m, error);
    if (r < 0)
        return r;
    bool selects = storage->names_jobs || storage->has_all || storage->filter.states != 0 ||
                   storage->filter.store.group || storage->filter.store.key;
    if (!selects)
        return sd_bus_error_set(error, BITSQ_ERROR_INVALID_ARGUMENT,
                                "the filter selects nothing; name jobs, or give \"all\"");
    storage->filter.store.owner = caller;
    return 0;
}

int manager_method_control_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_(filter_storage_done) struct filter_storage storage = {0};
    _cleanup_(job_change_done) struct job_change change = {0};
    struct manager_error fault;
    enum job_verb verb;
    struct call *call;

    int r = read_control(peer, m, &verb, &storage, &change, error);
    if (r < 0)
        return r;
    if (storage.matches_nothing)
        return sd_bus_reply_method_return(m, "tta(tss)", (uint64_t)0, (uint64_t)0, 0);
    r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    r = manager_control(manager_of(peer), storage.filter.store.owner, verb, &change, &storage.filter, on_controlled,
                        call, &fault);
    return call_wait(call, r, &fault, error);
}

/* ---- the daemon ---- */

static int on_subscriber_gone(sd_bus_track *track, void *userdata)
{
    struct peer *peer = userdata;

    (void)track;
    peer_update_subscriptions(peer->server);
    return 0;
}

int manager_method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = options_read_none(m, error);
    if (r < 0)
        return r;
    if (peer->is_broker && !peer->subscribers) {
        r = sd_bus_track_new(peer->bus, &peer->subscribers, on_subscriber_gone, peer);
        if (r < 0)
            return r;
    }
    if (peer->is_broker) {
        r = sd_bus_track_add_sender(peer->subscribers, m);
        if (r < 0)
            return r;
    }
    peer->subscribed = true;
    peer->unsubscribed = false;
    peer_update_subscriptions(peer->server);
    return sd_bus_reply_method_return(m, "t", manager_revision(manager_of(peer)));
}

int manager_method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;

    (void)error;
    if (peer->is_broker && peer->subscribers)
        (void)sd_bus_track_remove_sender(peer->subscribers, m);
    if (!peer->is_broker) {
        peer->subscribed = false;
        peer->unsubscribed = true;
    }
    peer_update_subscriptions(peer->server);
    return sd_bus_reply_method_return(m, NULL);
}

int manager_method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    _cleanup_free_ char *message = NULL;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r < 0)
        return r;
    r = peer->server->reload(peer->server->userdata, &message);
    if (r < 0)
        return sd_bus_error_set(error, BITSQ_ERROR_INVALID_ARGUMENT,
                                message ? message : "the configuration cannot be read; the old one stays in force");
    return sd_bus_reply_method_return(m, NULL);
}

int manager_method_join_bus(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct peer *peer = userdata;
    const char *address;
    struct call *call;
    uid_t caller;

    int r = auth_caller(peer, m, &caller, error);
    if (r >= 0)
        r = sd_bus_message_read(m, "s", &address);
    if (r >= 0)
        r = call_new(peer, m, &call, error);
    if (r < 0)
        return r;
    r = broker_join(peer->server, address, call);
    if (r < 0) {
        call_free(call);
        return sd_bus_error_setf(error, BITSQ_ERROR_INVALID_ARGUMENT, "cannot join the bus at that address: %s",
                                 strerror(-r));
    }
    return 1;
}

/* ---- properties ---- */

#define GETTER(name)                                                                                   \
    int manager_get_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
#define GETTER_UNUSED (void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)error

GETTER(version)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "s", BITSQ_VERSION);
}

GETTER(features)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "as", 4, "upload", "batch", "events", "groups");
}

GETTER(active_jobs)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "u", (uint32_t)manager_active_jobs(manager_of(userdata)));
}

GETTER(rate)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "t", manager_rate(manager_of(userdata)));
}

GETTER(next_wakeup)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "t", manager_next_wakeup(manager_of(userdata)));
}

GETTER(degraded)
{
    const char *sentences[4];

    GETTER_UNUSED;
    size_t count = manager_degraded(manager_of(userdata), sentences);
    int r = sd_bus_message_open_container(reply, 'a', "s");
    for (size_t i = 0; r >= 0 && i < count; i++)
        r = sd_bus_message_append_basic(reply, 's', sentences[i]);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(quarantined)
{
    GETTER_UNUSED;
    return sd_bus_message_append(reply, "t", manager_quarantined(manager_of(userdata)));
}

GETTER(state_directory)
{
    const struct peer *peer = userdata;

    GETTER_UNUSED;
    return sd_bus_message_append_array(reply, 'y', peer->server->state_directory,
                                       strlen(peer->server->state_directory));
}

GETTER(started_by)
{
    const struct peer *peer = userdata;

    GETTER_UNUSED;
    return sd_bus_message_append(reply, "s", peer->server->started_by);
}
