/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which limit of rate is in force for all jobs together: what a person chose by command, else the rate of the span of
 * RateSchedule= that is open, else RateLimit=.
 *
 * Spans open by the clock on the wall, of which this is the one user: retries go by the queue's own time (clock.c). A
 * timer of the kernel fires at the next boundary, at the latest an hour from now, as the zone of the machine may have
 * been changed, and at once when the clock is set.
 */
#include "manager/gates.h"
#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NEVER_SEC       INT64_C(7258118400)             /* the year 2200 */
#define EDGES_MAX       (2 * 7 * WINDOW_SPANS_MAX + 16) /* of a schedule in a week, and changes of the zone */
#define LOOK_AGAIN_USEC USEC_PER_HOUR

const char *limit_source_name(enum limit_source source)
{
    switch (source) {
    case LIMIT_OF_CONFIGURATION:
        return "configuration";
    case LIMIT_OF_SCHEDULE:
        return "schedule";
    case LIMIT_OF_COMMAND:
        return "command";
    }
    return "";
}

/* What the configuration says at USEC, and until when that is certain. */
static void configured_at(const struct settings *settings, uint64_t usec, struct manager_limit *ret)
{
    struct window_state state = {.until_usec = USEC_INFINITY};

    if (settings->rate_schedule.count > 0)
        window_at(&settings->rate_schedule, &manager_zone, usec, &state);
    ret->rate = state.is_open ? state.rate : settings->rate_limit;
    ret->source = state.is_open ? LIMIT_OF_SCHEDULE : LIMIT_OF_CONFIGURATION;
    ret->until_usec = state.until_usec;
}

/* When the limit will be another one than NOW; 0 = it stays. Two spans side by side may have the same. */
static uint64_t until_usec(const struct settings *settings, const struct manager_limit *now)
{
    struct manager_limit next = *now;

    for (unsigned i = 0; i < EDGES_MAX; i++) {
        uint64_t at = next.until_usec;
        if (at == USEC_INFINITY)
            return 0;
        configured_at(settings, at, &next);
        if (next.rate != now->rate || next.source != now->source)
            return at;
    }
    return 0;
}

static void arm_clock(struct manager *manager, uint64_t now_usec, uint64_t until)
{
    /* Also where no boundary comes: that the clock was set is news for the windows of jobs. */
    struct itimerspec when = {.it_value = {.tv_sec = NEVER_SEC}};

    if (until != USEC_INFINITY) {
        uint64_t latest = usec_add(now_usec, LOOK_AGAIN_USEC);
        uint64_t at = until < latest ? until : latest;
        when.it_value.tv_sec = (time_t)(at / USEC_PER_SEC);
        when.it_value.tv_nsec = (long)(at % USEC_PER_SEC) * 1000;
    }
    (void)timerfd_settime(manager->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

static void tell(struct manager *manager, const struct manager_limit *before)
{
    const struct manager_limit *now = &manager->limit;
    char rate[RATE_TEXT_MAX];

    if (now->rate != before->rate)
        log_message(LOG_INFO, MESSAGE_LIMIT, 0, "the rate limit is %s now, by the %s",
                    now->rate > 0 ? text_rate(now->rate, rate) : "off", limit_source_name(now->source));
    bool is_same = now->rate == before->rate && now->source == before->source &&
                   now->until_usec == before->until_usec && now->chosen == before->chosen;
    if (!is_same && manager->observer.limit_changed)
        manager->observer.limit_changed(manager->observer.userdata);
}

static void evaluate(struct manager *manager, uint64_t chosen)
{
    struct manager_limit before = manager->limit, now = {.chosen = chosen};
    uint64_t wall_usec = moment_now().realtime_usec, until = USEC_INFINITY;

    if (chosen != RATE_LIMIT_UNCHOSEN) {
        now.rate = chosen;
        now.source = LIMIT_OF_COMMAND;
    } else {
        tzset(); /* the zone of the machine may be another one than when this was called last */
        configured_at(&manager->settings, wall_usec, &now);
        until = now.until_usec;
        now.until_usec = until_usec(&manager->settings, &now);
    }
    arm_clock(manager, wall_usec, until);
    manager->limit = now;
    pacing_set(manager, now.rate);
    tell(manager, &before);
}

void limit_evaluate(struct manager *manager)
{
    evaluate(manager, manager->limit.chosen);
}

void manager_get_limit(const struct manager *manager, struct manager_limit *ret)
{
    *ret = manager->limit;
}

/* ---- the clock on the wall ---- */

static int on_clock(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    uint64_t times;

    (void)source, (void)revents;
    /* ECANCELED says that the clock was set: all the same, what holds is looked at anew. */
    (void)!read(fd, &times, sizeof(times));
    limit_evaluate(userdata);
    manager_reschedule(userdata); /* windows of jobs go by that clock, too */
    return 0;
}

int limit_init(struct manager *manager)
{
    manager->limit.chosen = RATE_LIMIT_UNCHOSEN;
    int r = store_rate_limit(manager->store, &manager->limit.chosen);
    if (r < 0)
        log_message(LOG_WARNING, MESSAGE_LIMIT, 0,
                    "the rate limit that was chosen by command cannot be read: %s; the configuration counts",
                    strerror(-r));
    manager->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (manager->clock_fd < 0)
        return -errno;
    return sd_event_add_io(manager->event, &manager->clock_source, manager->clock_fd, EPOLLIN, on_clock, manager);
}

void limit_done(struct manager *manager)
{
    manager->clock_source = sd_event_source_disable_unref(manager->clock_source);
    if (manager->clock_fd >= 0)
        (void)close(manager->clock_fd);
    manager->clock_fd = -1;
}

/* ---- the choice of a person ---- */

struct choice {
    struct manager *manager;
    manager_done_t done;
    void *userdata;
};

static void on_chosen(struct command *command, void *userdata)
{
    _cleanup_free_ struct choice *choice = userdata;
    struct manager *manager = choice->manager;
    struct manager_result result = {.error = {.fault = FAULT_NONE}};

    manager_note_commit(manager, command->result);
    if (command->result < 0) {
        manager_write_fault(manager, command->result, &result.error);
    } else {
        evaluate(manager, command->rate_limit);
    }
    choice->done(choice->userdata, &result);
}

int manager_set_limit(struct manager *manager, uint64_t rate, manager_done_t done, void *userdata,
                      struct manager_error *ret_error)
{
    if (manager->stopping)
        return manager_fault_stopping(ret_error);
    if (rate > RATE_LIMIT_MAX && rate != RATE_LIMIT_UNCHOSEN)
        return manager_fault_set(ret_error, FAULT_INVALID_ARGUMENT, -EINVAL,
                                 "%" PRIu64 " bytes a second are more than a limit can be; use 0 for no limit", rate);
    struct choice *choice = calloc(1, sizeof(*choice));
    struct command *command = command_new(COMMAND_LIMIT, 0);
    if (!choice || !command) {
        free(choice);
        command_free(command);
        return manager_fault_set(ret_error, FAULT_NO_MEMORY, -ENOMEM, "memory ran out; try again later");
    }
    *choice = (struct choice){.manager = manager, .done = done, .userdata = userdata};
    command->rate_limit = rate;
    command->done = on_chosen;
    command->userdata = choice;
    manager_submit(manager, command);
    return 0;
}
