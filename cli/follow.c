/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/follow.h"

#include "base/moment.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define REDRAW_USEC (USEC_PER_SEC) /* clocks in the view move even where nothing happens */

static int compare_ids(const void *a, const void *b)
{
    const struct tracked *first = a, *second = b;

    return first->id < second->id ? -1 : first->id > second->id;
}

int follow_init(struct follow *follow, struct cli *cli, const uint64_t *ids, size_t count)
{
    *follow = (struct follow){.cli = cli, .deadline_usec = USEC_INFINITY};
    follow->jobs = calloc(count > 0 ? count : 1, sizeof(*follow->jobs));
    if (!follow->jobs)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        follow->jobs[i].id = ids[i];
    qsort(follow->jobs, count, sizeof(*follow->jobs), compare_ids);
    for (size_t i = 0; i < count; i++)
        if (follow->count == 0 || follow->jobs[follow->count - 1].id != follow->jobs[i].id)
            follow->jobs[follow->count++].id = follow->jobs[i].id;
    return 0;
}

void follow_done(struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++)
        (void)bitsq_job_free(follow->jobs[i].job);
    free(follow->jobs);
    follow->jobs = NULL;
    follow->count = 0;
}

struct tracked *follow_find(const struct follow *follow, uint64_t id)
{
    struct tracked key = {.id = id};

    return follow->count == 0 ? NULL : bsearch(&key, follow->jobs, follow->count, sizeof(*follow->jobs), compare_ids);
}

static void tracked_set(struct tracked *tracked, bitsq_job *job)
{
    (void)bitsq_job_free(tracked->job);
    tracked->job = job;
    if (!job)
        return;
    tracked->acknowledged = bitsq_job_get_acknowledged(job);
    tracked->rate = bitsq_job_get_rate(job);
}

/* A place for a job that was not tracked yet; NULL where there is no room for it. */
static struct tracked *follow_add(struct follow *follow, uint64_t id)
{
    size_t at = follow->count;

    if (follow->count >= FOLLOW_ROWS_MAX)
        return NULL;
    struct tracked *grown = reallocarray(follow->jobs, follow->count + 1, sizeof(*grown));
    if (!grown)
        return NULL;
    follow->jobs = grown;
    while (at > 0 && grown[at - 1].id > id)
        at--;
    memmove(&grown[at + 1], &grown[at], (follow->count - at) * sizeof(*grown));
    grown[at] = (struct tracked){.id = id};
    follow->count++;
    return &grown[at];
}

static void tell(struct follow *follow, struct tracked *tracked)
{
    if (tracked->job && bitsq_job_get_state(tracked->job) != tracked->told) {
        view_tell(follow->view, follow, tracked);
        tracked->told = bitsq_job_get_state(tracked->job);
    }
}

static int fail_follow(struct follow *follow)
{
    follow->code = cli_fail_client(follow->cli, "cannot follow the jobs");
    return -1;
}

static int make_filter(const struct follow *follow, bitsq_filter **ret)
{
    _cleanup_(bitsq_filter_free_p) bitsq_filter *filter = NULL;

    int r = bitsq_filter_new(&filter);
    for (size_t i = 0; r >= 0 && !follow->everything && i < follow->count; i++)
        r = bitsq_filter_add_id(filter, follow->jobs[i].id);
    if (r >= 0 && follow->everything)
        r = bitsq_filter_set_all(filter);
    for (int state = BITSQ_STATE_QUEUED; r >= 0 && follow->everything && state < BITSQ_STATE_DONE; state++)
        r = bitsq_filter_add_state(filter, (bitsq_state)state);
    if (r >= 0 && follow->everything)
        r = bitsq_filter_add_state(filter, BITSQ_STATE_REPLYING);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(filter);
    return 0;
}

/* Asks for every job anew. 0; -ENOTCONN: the connection went; -1: said already. */
static int load(struct follow *follow)
{
    _cleanup_(bitsq_filter_free_p) bitsq_filter *filter = NULL;
    _cleanup_(bitsq_query_free_p) bitsq_query *query = NULL;
    bitsq_job *job;
    size_t rows = 0;

    if (make_filter(follow, &filter) < 0) {
        follow->code = cli_fail_memory(follow->cli);
        return -1;
    }
    int r = bitsq_client_query(follow->cli->client, filter, &query);
    for (size_t i = 0; r >= 0 && i < follow->count; i++)
        tracked_set(&follow->jobs[i], NULL);
    /* Of all jobs, as many as are kept in view; of those that were named, each. */
    size_t rows_max = follow->everything ? 2 * FOLLOW_ROWS_MAX : SIZE_MAX;
    while (r >= 0 && rows < rows_max && (r = bitsq_query_next(query, &job)) > 0) {
        struct tracked *tracked = follow_find(follow, bitsq_job_get_id(job));
        if (!tracked && follow->everything)
            tracked = follow_add(follow, bitsq_job_get_id(job));
        rows++;
        if (tracked)
            tracked_set(tracked, job);
        else
            (void)bitsq_job_free(job);
    }
    if (r < 0)
        return r == -ENOTCONN ? r : fail_follow(follow);
    for (size_t i = 0; i < follow->count; i++)
        tell(follow, &follow->jobs[i]);
    return 0;
}

/* Until it is there again: a daemon that was restarted, or killed, has every job still. */
static int subscribe_and_load(struct follow *follow, bool connected)
{
    for (int tries = 0; tries < 3; tries++) {
        int r = 0;
        if (!connected) {
            r = bitsq_client_connect(follow->cli->client, 0);
            if (r < 0)
                return fail_follow(follow);
        }
        connected = false;
        r = bitsq_client_subscribe(follow->cli->client);
        if (r >= 0)
            r = load(follow);
        if (r != -ENOTCONN)
            return r < 0 && r != -1 ? fail_follow(follow) : r;
    }
    return fail_follow(follow);
}

static int refresh(struct follow *follow, uint64_t id, bool is_new)
{
    bitsq_job *job;

    struct tracked *tracked = follow_find(follow, id);
    if (!tracked && !(follow->everything && is_new))
        return 0;
    int r = bitsq_client_get_job(follow->cli->client, id, &job);
    if (r == -ENOENT || r == -ENOTCONN)
        return 0; /* a JobRemoved follows, or a Disconnected */
    if (r < 0)
        return fail_follow(follow);
    if (!tracked)
        tracked = follow_add(follow, id);
    if (!tracked) {
        (void)bitsq_job_free(job);
        return 0;
    }
    tracked_set(tracked, job);
    tell(follow, tracked);
    return 0;
}

static void note_progress(struct follow *follow, const bitsq_event *event)
{
    uint64_t id, acknowledged, rate;

    for (size_t i = 0; bitsq_event_get_progress(event, i, &id, &acknowledged, NULL, &rate); i++) {
        struct tracked *tracked = follow_find(follow, id);
        if (!tracked)
            continue;
        tracked->acknowledged = acknowledged;
        tracked->rate = rate;
    }
}

static int handle_event(struct follow *follow, const bitsq_event *event)
{
    struct tracked *tracked;

    switch (bitsq_event_get_type(event)) {
    case BITSQ_EVENT_JOB_ADDED:
        return refresh(follow, bitsq_event_get_id(event), true);
    case BITSQ_EVENT_JOB_CHANGED:
        return refresh(follow, bitsq_event_get_id(event), true);
    case BITSQ_EVENT_JOB_REMOVED:
        /* what was known of it last stays: the end of a job that is taken off the list is its end still */
        tracked = follow_find(follow, bitsq_event_get_id(event));
        if (tracked && (!tracked->job || !bitsq_state_is_final(bitsq_job_get_state(tracked->job))))
            tracked_set(tracked, NULL);
        return 0;
    case BITSQ_EVENT_JOBS_CHANGED:
        return load(follow) == -1 ? -1 : 0;
    case BITSQ_EVENT_PROGRESS:
        note_progress(follow, event);
        return 0;
    case BITSQ_EVENT_DISCONNECTED:
        cli_note(follow->cli, "the daemon went away; connecting again");
        return subscribe_and_load(follow, false);
    }
    return 0;
}

static int drain_events(struct follow *follow)
{
    for (;;) {
        _cleanup_(bitsq_event_free_p) bitsq_event *event = NULL;
        int r = bitsq_client_dispatch(follow->cli->client, &event);
        if (r == 0)
            return 0;
        if (r < 0)
            return fail_follow(follow);
        if (handle_event(follow, event) < 0)
            return -1;
    }
}

/* How long the next poll() may take, in milliseconds. */
static int next_timeout(struct follow *follow)
{
    uint64_t now = moment_now().monotonic_usec, bus = USEC_INFINITY;
    uint64_t until = follow->deadline_usec;

    if (bitsq_client_get_timeout(follow->cli->client, &bus) >= 0 && bus < until)
        until = bus;
    if (follow->view->mode >= VIEW_BARS && now + REDRAW_USEC < until)
        until = now + REDRAW_USEC;
    uint64_t msec = (usec_sub(until, now) + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return until == USEC_INFINITY ? -1 : msec > INT_MAX ? INT_MAX : (int)msec;
}

/* Waits for the bus, a signal or a key. */
static enum follow_end wait_for_news(struct follow *follow, int signals)
{
    struct pollfd fds[] = {
        {.fd = bitsq_client_get_fd(follow->cli->client), .events = (short)bitsq_client_get_events(follow->cli->client)},
        {.fd = signals, .events = POLLIN},
        {.fd = follow->view->mode == VIEW_SCREEN ? STDIN_FILENO : -1, .events = POLLIN},
    };
    struct signalfd_siginfo info;
    char key;

    if (poll(fds, ELEMENTS(fds), next_timeout(follow)) < 0 && errno != EINTR) {
        follow->code = cli_fail(follow->cli, EXIT_OTHER, "Failed", "cannot wait: %s", strerror(errno));
        return FOLLOW_ERROR;
    }
    if (fds[1].revents && read(signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGWINCH)
        return FOLLOW_INTERRUPTED;
    if (fds[2].revents && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
        return FOLLOW_QUIT;
    return FOLLOW_GOES_ON;
}

static enum follow_end follow_loop(struct follow *follow, int signals)
{
    if (subscribe_and_load(follow, true) < 0)
        return FOLLOW_ERROR;
    for (;;) {
        view_draw(follow->view, follow);
        if (follow->finished && follow->finished(follow))
            return FOLLOW_FINISHED;
        if (moment_now().monotonic_usec >= follow->deadline_usec)
            return FOLLOW_TIMEOUT;
        enum follow_end end = wait_for_news(follow, signals);
        if (end != FOLLOW_GOES_ON)
            return end;
        if (drain_events(follow) < 0)
            return FOLLOW_ERROR;
    }
}

enum follow_end follow_run(struct follow *follow)
{
    sigset_t caught, before;

    (void)sigemptyset(&caught);
    (void)sigaddset(&caught, SIGINT);
    (void)sigaddset(&caught, SIGTERM);
    (void)sigaddset(&caught, SIGHUP);
    (void)sigaddset(&caught, SIGWINCH);
    (void)sigprocmask(SIG_BLOCK, &caught, &before);
    _cleanup_close_ int signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);

    view_open(follow->view);
    enum follow_end end = follow_loop(follow, signals);
    view_close(follow->view, follow);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return end;
}
