/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RESET_KEY "reset" /* of Job.Set: the options to take back */

struct option {
    char *key;
    char type; /* as in D-Bus: s, t, b; r = (tt), y = ay, a = as, separated by line breaks */
    char *string;
    uint64_t number; /* t, b, and the first of r */
    uint64_t second;
};

struct bitsq_job_options {
    struct option *options;
    size_t count;
};

_public_ int bitsq_job_options_new(bitsq_job_options **ret_options)
{
    bitsq_job_options *options = calloc(1, sizeof(*options));

    if (!options)
        return -ENOMEM;
    *ret_options = options;
    return 0;
}

_public_ bitsq_job_options *bitsq_job_options_free(bitsq_job_options *options)
{
    if (!options)
        return NULL;
    for (size_t i = 0; i < options->count; i++) {
        free(options->options[i].key);
        free(options->options[i].string);
    }
    free(options->options);
    free(options);
    return NULL;
}

static const struct option *options_find(const bitsq_job_options *options, const char *key, char type)
{
    for (size_t i = 0; options && i < options->count; i++)
        if (strcmp(options->options[i].key, key) == 0)
            return type == 0 || options->options[i].type == type ? &options->options[i] : NULL;
    return NULL;
}

/* The place of KEY, made where there is none yet. */
static int options_place(bitsq_job_options *options, const char *key, struct option **ret)
{
    const struct option *found = options_find(options, key, 0);

    if (found) {
        *ret = &options->options[found - options->options];
        return 0;
    }
    if (!text_is_utf8(key, strlen(key)))
        return -EINVAL;
    _cleanup_free_ char *copy = strdup(key);
    struct option *grown = reallocarray(options->options, options->count + 1, sizeof(*grown));
    if (grown)
        options->options = grown;
    if (!grown || !copy)
        return -ENOMEM;
    options->options[options->count] = (struct option){.key = TAKE_PTR(copy)};
    *ret = &options->options[options->count++];
    return 0;
}

static int options_set(bitsq_job_options *options, const char *key, struct option value)
{
    _cleanup_free_ char *string = NULL;
    struct option *place;

    if (value.string) {
        if (value.type != 'y' && !text_is_utf8(value.string, strlen(value.string)))
            return -EINVAL;
        string = strdup(value.string);
        if (!string)
            return -ENOMEM;
    }
    int r = options_place(options, key, &place);
    if (r < 0)
        return r;
    free(place->string);
    value.key = place->key;
    value.string = TAKE_PTR(string);
    *place = value;
    return 0;
}

_public_ int bitsq_job_options_set_string(bitsq_job_options *options, const char *key, const char *value)
{
    return options_set(options, key, (struct option){.type = 's', .string = (char *)value});
}

_public_ int bitsq_job_options_set_uint64(bitsq_job_options *options, const char *key, uint64_t value)
{
    return options_set(options, key, (struct option){.type = 't', .number = value});
}

_public_ int bitsq_job_options_set_boolean(bitsq_job_options *options, const char *key, int value)
{
    return options_set(options, key, (struct option){.type = 'b', .number = value != 0});
}

_public_ int bitsq_job_options_set_range(bitsq_job_options *options, const char *key, uint64_t least, uint64_t most)
{
    return options_set(options, key, (struct option){.type = 'r', .number = least, .second = most});
}

_public_ int bitsq_job_options_set_path(bitsq_job_options *options, const char *key, const char *value)
{
    return options_set(options, key, (struct option){.type = 'y', .string = (char *)value});
}

_public_ int bitsq_job_options_reset(bitsq_job_options *options, const char *key)
{
    const struct option *option = options_find(options, RESET_KEY, 'a');
    _cleanup_free_ char *list = NULL;

    if (asprintf(&list, "%s%s\n", option ? option->string : "", key) < 0)
        return -ENOMEM;
    return options_set(options, RESET_KEY, (struct option){.type = 'a', .string = list});
}

_public_ void bitsq_job_options_unset(bitsq_job_options *options, const char *key)
{
    const struct option *found = options_find(options, key, 0);

    if (!found)
        return;
    struct option *place = &options->options[found - options->options];
    free(place->key);
    free(place->string);
    *place = options->options[--options->count];
}

_public_ int bitsq_job_options_get_string(const bitsq_job_options *options, const char *key, const char **ret_value)
{
    const struct option *option = options_find(options, key, 's');

    if (!option)
        return 0;
    *ret_value = option->string;
    return 1;
}

_public_ int bitsq_job_options_get_uint64(const bitsq_job_options *options, const char *key, uint64_t *ret_value)
{
    const struct option *option = options_find(options, key, 't');

    if (!option)
        return 0;
    *ret_value = option->number;
    return 1;
}

_public_ int bitsq_job_options_get_boolean(const bitsq_job_options *options, const char *key, int *ret_value)
{
    const struct option *option = options_find(options, key, 'b');

    if (!option)
        return 0;
    *ret_value = option->number != 0;
    return 1;
}

_public_ int bitsq_job_options_get_range(const bitsq_job_options *options, const char *key, uint64_t *ret_least,
                                         uint64_t *ret_most)
{
    const struct option *option = options_find(options, key, 'r');

    if (!option)
        return 0;
    *ret_least = option->number;
    *ret_most = option->second;
    return 1;
}

_public_ int bitsq_job_options_get_path(const bitsq_job_options *options, const char *key, const char **ret_value)
{
    const struct option *option = options_find(options, key, 'y');

    if (!option)
        return 0;
    *ret_value = option->string;
    return 1;
}

_public_ const char *bitsq_job_options_get_key(const bitsq_job_options *options, size_t index)
{
    return options && index < options->count ? options->options[index].key : NULL;
}

/* The bytes of a path, without a terminator. */
static int append_path(const struct option *option, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r < 0 || (r = sd_bus_message_append(m, "s", option->key)) < 0 ||
        (r = sd_bus_message_open_container(m, 'v', "ay")) < 0 ||
        (r = sd_bus_message_append_array(m, 'y', option->string, strlen(option->string))) < 0 ||
        (r = sd_bus_message_close_container(m)) < 0)
        return r;
    return sd_bus_message_close_container(m);
}

static int append_list(const struct option *option, sd_bus_message *m)
{
    _cleanup_free_ char *list = strdup(option->string);
    char *rest = NULL;

    if (!list)
        return -ENOMEM;
    int r = sd_bus_message_open_container(m, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", option->key);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "s");
    for (const char *word = strtok_r(list, "\n", &rest); r >= 0 && word; word = strtok_r(NULL, "\n", &rest))
        r = sd_bus_message_append(m, "s", word);
    for (int level = 0; r >= 0 && level < 3; level++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int option_append(const struct option *option, sd_bus_message *m)
{
    switch (option->type) {
    case 's':
        return sd_bus_message_append(m, "{sv}", option->key, "s", option->string);
    case 't':
        return sd_bus_message_append(m, "{sv}", option->key, "t", option->number);
    case 'b':
        return sd_bus_message_append(m, "{sv}", option->key, "b", (int)option->number);
    case 'y':
        return append_path(option, m);
    case 'a':
        return append_list(option, m);
    default:
        return sd_bus_message_append(m, "{sv}", option->key, "(tt)", option->number, option->second);
    }
}

int options_append(const bitsq_job_options *options, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    for (size_t i = 0; r >= 0 && options && i < options->count; i++)
        r = option_append(&options->options[i], m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int options_copy(const bitsq_job_options *options, bitsq_job_options **ret)
{
    _cleanup_(bitsq_job_options_free_p) bitsq_job_options *copy = NULL;

    int r = bitsq_job_options_new(&copy);
    for (size_t i = 0; r >= 0 && options && i < options->count; i++)
        r = options_set(copy, options->options[i].key, options->options[i]);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(copy);
    return 0;
}

static int option_read_value(sd_bus_message *m, const char *key, void *target)
{
    bitsq_job_options *options = target;
    const char *contents, *text;
    uint64_t first, second;
    int truth;

    int r = sd_bus_message_peek_type(m, NULL, &contents);
    if (r < 0)
        return r;
    if (strcmp(contents, "s") == 0) {
        r = sd_bus_message_read(m, "v", "s", &text);
        return r < 0 ? r : bitsq_job_options_set_string(options, key, text);
    }
    if (strcmp(contents, "t") == 0) {
        r = sd_bus_message_read(m, "v", "t", &first);
        return r < 0 ? r : bitsq_job_options_set_uint64(options, key, first);
    }
    if (strcmp(contents, "b") == 0) {
        r = sd_bus_message_read(m, "v", "b", &truth);
        return r < 0 ? r : bitsq_job_options_set_boolean(options, key, truth);
    }
    if (strcmp(contents, "(tt)") == 0) {
        r = sd_bus_message_read(m, "v", "(tt)", &first, &second);
        return r < 0 ? r : bitsq_job_options_set_range(options, key, first, second);
    }
    if (strcmp(contents, "ay") == 0) {
        _cleanup_free_ char *path = NULL;
        r = message_read_path(m, &path);
        return r < 0 ? r : bitsq_job_options_set_path(options, key, path);
    }
    return sd_bus_message_skip(m, "v");
}

int options_read(sd_bus_message *m, bitsq_job_options **ret)
{
    _cleanup_(bitsq_job_options_free_p) bitsq_job_options *options = NULL;

    int r = bitsq_job_options_new(&options);
    if (r >= 0)
        r = message_read_dictionary(m, option_read_value, options);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(options);
    return 0;
}
