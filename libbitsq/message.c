/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What replies are made of: dictionaries, and the plain values in them. */
#include "internal.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int message_read_dictionary(sd_bus_message *m, message_read_value_t read, void *target)
{
    const char *key;

    int r = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = sd_bus_message_read(m, "s", &key);
        if (r >= 0)
            r = read(m, key, target);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

int message_read_path(sd_bus_message *m, char **ret)
{
    const void *bytes;
    size_t length;

    int r = sd_bus_message_enter_container(m, 'v', "ay");
    if (r < 0 || (r = sd_bus_message_read_array(m, 'y', &bytes, &length)) < 0)
        return r;
    char *copy = text_duplicate(bytes, length);
    if (!copy)
        return -ENOMEM;
    free(*ret);
    *ret = copy;
    return sd_bus_message_exit_container(m);
}

int message_read_inner_dictionary(sd_bus_message *m, message_read_value_t read, void *target)
{
    int r = sd_bus_message_enter_container(m, 'v', "a{sv}");

    if (r >= 0)
        r = message_read_dictionary(m, read, target);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

int message_read_text(sd_bus_message *m, char **ret)
{
    const char *text;

    int r = sd_bus_message_read(m, "v", "s", &text);
    if (r < 0)
        return r;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*ret);
    *ret = copy;
    return 0;
}

int message_read_plain(sd_bus_message *m, const char *key, const struct plain_value *values, size_t count, void *object)
{
    for (size_t i = 0; i < count; i++) {
        void *place = (char *)object + values[i].offset;
        if (strcmp(values[i].key, key) != 0)
            continue;
        int r =
            *values[i].type == 's' ? message_read_text(m, place) : sd_bus_message_read(m, "v", values[i].type, place);
        return r < 0 ? r : 1;
    }
    return 0;
}
