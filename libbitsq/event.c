/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <string.h>

struct progress {
    uint64_t id, acknowledged, size, rate;
};

struct bitsq_event {
    bitsq_event_type type;
    uint64_t id;
    char *state, *error_name, *error_text; /* NULL = none */
    uint64_t next_attempt;
    struct progress *progress;
    size_t progress_count;
};

_public_ bitsq_event *bitsq_event_free(bitsq_event *event)
{
    if (!event)
        return NULL;
    free(event->state);
    free(event->error_name);
    free(event->error_text);
    free(event->progress);
    free(event);
    return NULL;
}

static int read_detail(sd_bus_message *m, const char *key, void *target)
{
    bitsq_event *event = target;
    const char *name, *text;

    if (strcmp(key, "next_attempt") == 0)
        return sd_bus_message_read(m, "v", "t", &event->next_attempt);
    if (strcmp(key, "error") != 0)
        return sd_bus_message_skip(m, "v");
    int r = sd_bus_message_read(m, "v", "(sus)", &name, NULL, &text);
    if (r >= 0 && !event->error_name) {
        event->error_name = strdup(name);
        event->error_text = strdup(text);
    }
    return r;
}

static int read_progress(sd_bus_message *m, bitsq_event *event)
{
    struct progress progress;

    int r = sd_bus_message_enter_container(m, 'a', "(tttt)");
    while (r >= 0 && (r = sd_bus_message_read(m, "(tttt)", &progress.id, &progress.acknowledged, &progress.size,
                                              &progress.rate)) > 0) {
        struct progress *grown = reallocarray(event->progress, event->progress_count + 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        event->progress = grown;
        event->progress[event->progress_count++] = progress;
    }
    return r;
}

static int read_signal(sd_bus_message *m, const char *member, bitsq_event *event)
{
    const char *state;

    if (strcmp(member, MANAGER_SIGNAL_JOB_ADDED) == 0) {
        event->type = BITSQ_EVENT_JOB_ADDED;
        return sd_bus_message_read(m, "t", &event->id);
    }
    if (strcmp(member, MANAGER_SIGNAL_JOB_REMOVED) == 0) {
        event->type = BITSQ_EVENT_JOB_REMOVED;
        return sd_bus_message_read(m, "t", &event->id);
    }
    if (strcmp(member, MANAGER_SIGNAL_JOBS_CHANGED) == 0) {
        event->type = BITSQ_EVENT_JOBS_CHANGED;
        return 0;
    }
    if (strcmp(member, MANAGER_SIGNAL_PROGRESS) == 0) {
        event->type = BITSQ_EVENT_PROGRESS;
        return read_progress(m, event);
    }
    if (strcmp(member, MANAGER_SIGNAL_JOB_STATE_CHANGED) == 0) {
        event->type = BITSQ_EVENT_JOB_CHANGED;
        int r = sd_bus_message_read(m, "tos", &event->id, NULL, &state);
        if (r < 0)
            return r;
        event->state = strdup(state);
        return event->state ? message_read_dictionary(m, read_detail, event) : -ENOMEM;
    }
    return 0; /* of a newer daemon: no type, no event */
}

int event_from_message(sd_bus_message *m, bitsq_event **ret)
{
    _cleanup_(bitsq_event_free_p) bitsq_event *event = NULL;

    if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") > 0) {
        int r = event_new_disconnected(ret);
        return r < 0 ? r : 1;
    }
    if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, NULL) <= 0)
        return 0;
    event = calloc(1, sizeof(*event));
    if (!event)
        return -ENOMEM;
    int r = read_signal(m, sd_bus_message_get_member(m), event);
    if (r < 0)
        return r;
    if (event->type == 0)
        return 0;
    *ret = TAKE_PTR(event);
    return 1;
}

int event_new_disconnected(bitsq_event **ret)
{
    bitsq_event *event = calloc(1, sizeof(*event));

    if (!event)
        return -ENOMEM;
    event->type = BITSQ_EVENT_DISCONNECTED;
    *ret = event;
    return 0;
}

_public_ bitsq_event_type bitsq_event_get_type(const bitsq_event *event)
{
    return event->type;
}

_public_ uint64_t bitsq_event_get_id(const bitsq_event *event)
{
    return event->id;
}

_public_ bitsq_state bitsq_event_get_state(const bitsq_event *event)
{
    return bitsq_state_from_name(bitsq_event_get_state_name(event));
}

_public_ const char *bitsq_event_get_state_name(const bitsq_event *event)
{
    return event->state ? event->state : "";
}

_public_ const char *bitsq_event_get_error_name(const bitsq_event *event)
{
    return event->error_name ? event->error_name : "";
}

_public_ const char *bitsq_event_get_error_message(const bitsq_event *event)
{
    return event->error_text ? event->error_text : "";
}

_public_ uint64_t bitsq_event_get_next_attempt(const bitsq_event *event)
{
    return event->next_attempt;
}

_public_ int bitsq_event_get_progress(const bitsq_event *event, size_t index, uint64_t *ret_id,
                                      uint64_t *ret_acknowledged, uint64_t *ret_size, uint64_t *ret_rate)
{
    if (index >= event->progress_count)
        return 0;
    const struct progress *progress = &event->progress[index];
    if (ret_id)
        *ret_id = progress->id;
    if (ret_acknowledged)
        *ret_acknowledged = progress->acknowledged;
    if (ret_size)
        *ret_size = progress->size;
    if (ret_rate)
        *ret_rate = progress->rate;
    return 1;
}
