/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

struct range {
    uint64_t first, last;
};

struct bitsq_filter {
    uint64_t *ids;
    size_t ids_count;
    struct range *ranges;
    size_t ranges_count;
    unsigned states; /* one bit a state */
    char *group;
    char *key;
    bool all;
};

_public_ int bitsq_filter_new(bitsq_filter **ret_filter)
{
    bitsq_filter *filter = calloc(1, sizeof(*filter));

    if (!filter)
        return -ENOMEM;
    *ret_filter = filter;
    return 0;
}

_public_ bitsq_filter *bitsq_filter_free(bitsq_filter *filter)
{
    if (!filter)
        return NULL;
    free(filter->ids);
    free(filter->ranges);
    free(filter->group);
    free(filter->key);
    free(filter);
    return NULL;
}

/* Room for one more: the array doubles, so that a list of a million ids is not copied a million times. */
static int grow(void **array, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return 0;
    void *grown = reallocarray(*array, count == 0 ? 1 : count * 2, size);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    return 0;
}

_public_ int bitsq_filter_add_id(bitsq_filter *filter, uint64_t id)
{
    int r = grow((void **)&filter->ids, filter->ids_count, sizeof(*filter->ids));

    if (r < 0)
        return r;
    filter->ids[filter->ids_count++] = id;
    return 0;
}

_public_ int bitsq_filter_add_range(bitsq_filter *filter, uint64_t first, uint64_t last)
{
    if (first > last)
        return -EINVAL;
    int r = grow((void **)&filter->ranges, filter->ranges_count, sizeof(*filter->ranges));
    if (r < 0)
        return r;
    filter->ranges[filter->ranges_count++] = (struct range){first, last};
    return 0;
}

_public_ int bitsq_filter_add_state(bitsq_filter *filter, bitsq_state state)
{
    if (state <= BITSQ_STATE_UNKNOWN || state > BITSQ_STATE_CANCELLED)
        return -EINVAL;
    filter->states |= 1u << state;
    return 0;
}

static int set_text(char **place, const char *text)
{
    if (!text_is_utf8(text, strlen(text)))
        return -EINVAL;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*place);
    *place = copy;
    return 0;
}

_public_ int bitsq_filter_set_group(bitsq_filter *filter, const char *group)
{
    return set_text(&filter->group, group);
}

_public_ int bitsq_filter_set_key(bitsq_filter *filter, const char *key)
{
    return set_text(&filter->key, key);
}

_public_ int bitsq_filter_set_all(bitsq_filter *filter)
{
    filter->all = true;
    return 0;
}

bool filter_has_ids(const bitsq_filter *filter)
{
    return filter->ids_count > 0;
}

bool filter_has_ranges(const bitsq_filter *filter)
{
    return filter->ranges_count > 0;
}

static int append_ids(const bitsq_filter *filter, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", "ids");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "at");
    if (r >= 0)
        r = sd_bus_message_append_array(m, 't', filter->ids, filter->ids_count * sizeof(*filter->ids));
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_ranges(const bitsq_filter *filter, bool with_ids, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", "ranges");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "a(tt)");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(tt)");
    for (size_t i = 0; r >= 0 && i < filter->ranges_count; i++)
        r = sd_bus_message_append(m, "(tt)", filter->ranges[i].first, filter->ranges[i].last);
    for (size_t i = 0; r >= 0 && with_ids && i < filter->ids_count; i++)
        r = sd_bus_message_append(m, "(tt)", filter->ids[i], filter->ids[i]);
    for (int depth = 0; r >= 0 && depth < 3; depth++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_states(const bitsq_filter *filter, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", "state");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "s");
    for (unsigned state = BITSQ_STATE_QUEUED; r >= 0 && state <= BITSQ_STATE_CANCELLED; state++)
        if (filter->states & 1u << state)
            r = sd_bus_message_append(m, "s", bitsq_state_to_name((bitsq_state)state));
    for (int depth = 0; r >= 0 && depth < 3; depth++)
        r = sd_bus_message_close_container(m);
    return r;
}

int filter_append(const bitsq_filter *filter, enum filter_part part, sd_bus_message *m)
{
    bool ids = filter_has_ids(filter) && part != FILTER_WITHOUT_IDS;
    bool ranges = filter_has_ranges(filter) && part != FILTER_WITHOUT_RANGES;
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0 && ids && !ranges)
        r = append_ids(filter, m);
    if (r >= 0 && ranges)
        r = append_ranges(filter, ids, m);
    if (r >= 0 && filter->states)
        r = append_states(filter, m);
    if (r >= 0 && filter->group)
        r = sd_bus_message_append(m, "{sv}", "group", "s", filter->group);
    if (r >= 0 && filter->key)
        r = sd_bus_message_append(m, "{sv}", "key", "s", filter->key);
    if (r >= 0 && filter->all)
        r = sd_bus_message_append(m, "{sv}", "all", "b", 1);
    return r < 0 ? r : sd_bus_message_close_container(m);
}
