/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/glue.h"

#include "base/moment.h"
#include "base/parse.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The connection cache of a session holds one connection; its place is in the share of transfer_connection. */
#define IDLE_CONNECTIONS_MAX 1L

struct glue {
    sd_event *event;
    struct glue_events events;
    CURLM *multi;           /* NULL after a renewal that failed */
    sd_event_source *soon;  /* curl wants to be called as soon as it may be */
    sd_event_source *timer; /* armed for ARMED_USEC, which is never later than DEADLINE_USEC */
    uint64_t deadline_usec; /* when curl wants to be called, CLOCK_MONOTONIC; USEC_INFINITY = not at all */
    uint64_t armed_usec;    /* USEC_INFINITY = not armed */
    bool inside;
};

static void glue_act(struct glue *glue, curl_socket_t fd, int mask);

static int on_socket_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    int mask = 0;

    (void)source; /* curl may drop it while it acts: sd-event keeps it alive until this handler returns */
    if (revents & EPOLLIN)
        mask |= CURL_CSELECT_IN;
    if (revents & EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (revents & (EPOLLERR | EPOLLHUP))
        mask |= CURL_CSELECT_ERR;
    glue_act(userdata, fd, mask);
    return 0;
}

static uint32_t poll_events(int what)
{
    switch (what) {
    case CURL_POLL_IN:
        return EPOLLIN;
    case CURL_POLL_OUT:
        return EPOLLOUT;
    case CURL_POLL_INOUT:
        return EPOLLIN | EPOLLOUT;
    default: /* CURL_POLL_NONE; REMOVE does not come here */
        return 0;
    }
}

/*
 * The source is kept as the socket's own pointer within curl, never by descriptor: curl closes a socket and gets the
 * same number for the next one within one call, and the kernel has forgotten the first registration by then.
 */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_userdata)
{
    struct glue *glue = userdata;
    sd_event_source *source = socket_userdata;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(source);
        (void)curl_multi_assign(glue->multi, fd, NULL);
        return 0;
    }
    if (sd_event_get_state(glue->event) == SD_EVENT_FINISHED)
        return 0;
    uint32_t events = poll_events(what);
    if (!source) {
        if (sd_event_add_io(glue->event, &source, fd, events, on_socket_ready, glue) < 0)
            return -1;
        if (curl_multi_assign(glue->multi, fd, source) != CURLM_OK) {
            sd_event_source_disable_unref(source);
            return -1;
        }
    } else if (sd_event_source_set_io_events(source, events) < 0) {
        return -1;
    }
    /* A mask of nothing would still report errors, over and over. */
    return sd_event_source_set_enabled(source, events != 0 ? SD_EVENT_ON : SD_EVENT_OFF) < 0 ? -1 : 0;
}

static int on_soon(sd_event_source *source, void *userdata)
{
    (void)source;
    glue_act(userdata, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

static int arm(struct glue *glue)
{
    int r = sd_event_source_set_time(glue->timer, glue->deadline_usec);

    if (r >= 0)
        r = sd_event_source_set_enabled(glue->timer, SD_EVENT_ONESHOT);
    if (r >= 0)
        glue->armed_usec = glue->deadline_usec;
    return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct glue *glue = userdata;
    uint64_t now;

    (void)source, (void)usec;
    glue->armed_usec = USEC_INFINITY;
    (void)sd_event_now(glue->event, CLOCK_MONOTONIC, &now);
    if (now >= glue->deadline_usec)
        glue_act(glue, CURL_SOCKET_TIMEOUT, 0);
    else if (glue->deadline_usec != USEC_INFINITY)
        (void)arm(glue);
    return 0;
}

/*
 * Rounded up: curl does not ask again for a deadline that it has asked for already, so it must not be called before.
 * Zero means "soon, but not from in here". A deadline that moves away, as it does with each request of a busy daemon,
 * leaves the timer as it is, since setting one costs more than the call that it may make in vain.
 */
static int on_curl_timer(CURLM *multi, long timeout_ms, void *userdata)
{
    struct glue *glue = userdata;
    uint64_t now;

    (void)multi;
    glue->deadline_usec = USEC_INFINITY;
    bool is_off = timeout_ms < 0 || sd_event_get_state(glue->event) == SD_EVENT_FINISHED;
    if (sd_event_source_set_enabled(glue->soon, !is_off && timeout_ms == 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF) < 0)
        return -1;
    if (is_off) {
        glue->armed_usec = USEC_INFINITY;
        return sd_event_source_set_enabled(glue->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    }
    if (timeout_ms == 0)
        return 0;
    (void)sd_event_now(glue->event, CLOCK_MONOTONIC, &now);
    glue->deadline_usec = now + (uint64_t)timeout_ms * USEC_PER_MSEC + USEC_PER_MSEC - 1;
    return glue->armed_usec > glue->deadline_usec && arm(glue) < 0 ? -1 : 0;
}

/* The handlers may start and cancel transfers: a message is copied before anything else happens to its handle. */
static void take_completions(struct glue *glue)
{
    CURLMsg *message;
    int left;

    while (glue->multi && (message = curl_multi_info_read(glue->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        glue_remove(glue, easy);
        glue->events.completed(glue->events.userdata, easy, code);
    }
}

static void glue_act(struct glue *glue, curl_socket_t fd, int mask)
{
    int running;

    assert(!glue->inside);
    if (!glue->multi)
        return;
    glue->inside = true;
    CURLMcode code = curl_multi_socket_action(glue->multi, fd, mask, &running);
    glue->inside = false;
    if (code != CURLM_OK) {
        glue->events.broken(glue->events.userdata);
        return;
    }
    take_completions(glue);
}

int glue_add(struct glue *glue, CURL *easy)
{
    assert(!glue->inside);
    if (!glue->multi) {
        int r = glue_renew(glue);
        if (r < 0)
            return r;
    }
    CURLMcode code = curl_multi_add_handle(glue->multi, easy);
    if (code == CURLM_OK)
        return 0;
    return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

void glue_remove(struct glue *glue, CURL *easy)
{
    assert(!glue->inside);
    if (glue->multi)
        (void)curl_multi_remove_handle(glue->multi, easy);
}

bool glue_is_inside(const struct glue *glue)
{
    return glue->inside;
}

static void drop_multi(struct glue *glue)
{
    /* Calls on_curl_socket() and on_curl_timer() for what it closes. */
    if (glue->multi)
        (void)curl_multi_cleanup(glue->multi);
    glue->multi = NULL;
}

/* libcurl opens the socket pair of its multi handle without SOCK_CLOEXEC, and says of it neither number nor name. */
static void close_all_on_exec(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint64_t fd;

    while (folder && (entry = readdir(folder)) != NULL)
        if (parse_u64(entry->d_name, &fd) == 0 && fd > STDERR_FILENO && fd <= INT_MAX)
            (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    if (folder)
        (void)closedir(folder);
}

int glue_renew(struct glue *glue)
{
    drop_multi(glue);
    CURLM *multi = curl_multi_init();
    if (!multi)
        return -ENOMEM;
    close_all_on_exec();
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, glue);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, glue);
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
    (void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    glue->multi = multi;
    return 0;
}

int glue_new(sd_event *event, const struct glue_events *events, struct glue **ret)
{
    _cleanup_(glue_free_p) struct glue *glue = calloc(1, sizeof(*glue));

    if (!glue)
        return -ENOMEM;
    glue->event = sd_event_ref(event);
    glue->events = *events;
    glue->deadline_usec = glue->armed_usec = USEC_INFINITY;
    /* An accuracy of 0 would mean 250 ms. */
    int r = sd_event_add_time_relative(event, &glue->timer, CLOCK_MONOTONIC, 0, 1, on_timer, glue);
    if (r >= 0)
        r = sd_event_source_set_enabled(glue->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_defer(event, &glue->soon, on_soon, glue);
    if (r >= 0)
        r = sd_event_source_set_enabled(glue->soon, SD_EVENT_OFF);
    if (r < 0)
        return r;
    r = glue_renew(glue);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(glue);
    return 0;
}

struct glue *glue_free(struct glue *glue)
{
    if (!glue)
        return NULL;
    drop_multi(glue);
    sd_event_source_disable_unref(glue->soon);
    sd_event_source_disable_unref(glue->timer);
    sd_event_unref(glue->event);
    free(glue);
    return NULL;
}
