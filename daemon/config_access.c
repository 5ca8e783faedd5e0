/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config_access.h"

#include "base/cleanup.h"
#include "base/parse.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST_SECTION "host"
#define PORT_MAX     65535

char *config_expand_home(const char *text)
{
    const char *home = getenv("HOME");
    const char *rest = strncmp(text, "~/", 2) == 0 ? text + 1 : strncmp(text, "%h/", 3) == 0 ? text + 2 : NULL;
    char *path;

    if (!rest || !home)
        return strdup(text);
    return asprintf(&path, "%s%s", home, rest) < 0 ? NULL : path;
}

static int add_section(struct access_rules *rules, size_t index, const char *pattern)
{
    struct access_section *sections = reallocarray(rules->sections, rules->count + 1, sizeof(*sections));

    if (!sections)
        return -ENOMEM;
    rules->sections = sections;
    char *copy = strdup(pattern);
    if (!copy)
        return -ENOMEM;
    memmove(&sections[index + 1], &sections[index], (rules->count - index) * sizeof(*sections));
    sections[index] = (struct access_section){.pattern = copy};
    rules->count++;
    return 0;
}

int config_access_init(struct access_rules *rules)
{
    assert(rules->count == 0);
    return add_section(rules, 0, "*");
}

const char *config_access_pattern(const char *section)
{
    size_t length = strlen(HOST_SECTION);

    if (strncasecmp(section, HOST_SECTION, length) != 0 || (section[length] != '\0' && !isblank(section[length])))
        return NULL;
    return section + length + strspn(section + length, " \t");
}

static bool is_port(const char *text)
{
    uint32_t port;

    return parse_u32(text, &port) >= 0 && port > 0 && port <= PORT_MAX;
}

/* What could never match a host is a mistake: it would be silently lost. */
static bool is_pattern(const char *pattern)
{
    const char *name = pattern[0] == '*' ? pattern + 1 : pattern;
    size_t length;

    if (pattern[0] == '[') {
        length = strspn(pattern + 1, "0123456789abcdefABCDEF:.") + 2;
        if (length < 4 || pattern[length - 1] != ']')
            return false;
        name = pattern;
    } else {
        length = strcspn(name, ":");
        for (size_t i = 0; i < length; i++)
            if (!isalnum((unsigned char)name[i]) && !strchr("-._", name[i]))
                return false;
        if (length == 0 && pattern[0] != '*')
            return false;
    }
    return name[length] == '\0' || (name[length] == ':' && is_port(name + length + 1));
}

/* The same pattern once more, in this file or a later one, adds to its first section and overrules it. */
static int find_section(struct access_rules *rules, const char *pattern, struct access_section **ret, char **ret_reason)
{
    size_t last = rules->count - 1; /* of all hosts */
    size_t i = 0;

    if (!pattern) {
        *ret = &rules->sections[last];
        return 0;
    }
    if (!is_pattern(pattern)) {
        *ret_reason = strdup("a section is named as in [Host up.example.org], [Host *.example.org], [Host up:8080], "
                             "[Host [::1]] or [Host *]");
        return -EINVAL;
    }
    while (i < last && strcasecmp(rules->sections[i].pattern, pattern) != 0)
        i++;
    if (i == last) {
        int r = add_section(rules, i, pattern);
        if (r < 0)
            return r;
        for (char *at = rules->sections[i].pattern; *at != '\0'; at++)
            *at = (char)tolower((unsigned char)*at);
    }
    *ret = &rules->sections[i];
    return 0;
}

static int set_value(struct access *access, const struct access_key *key, const char *text, const char **ret_why)
{
    _cleanup_free_ char *expanded = NULL;
    bool on;

    if (key->is_flag) {
        int r = parse_bool(text, &on);
        if (r >= 0)
            access_set_flag(access, key, on);
        *ret_why = "it takes yes or no";
        return r < 0 ? -EINVAL : 0;
    }
    expanded = key->is_path ? config_expand_home(text) : strdup(text);
    if (!expanded)
        return -ENOMEM;
    *ret_why = NULL;
    return access_set_text(access, key, expanded, ret_why);
}

int config_access_set(struct access_rules *rules, const char *pattern, const char *name, const char *text,
                      char **ret_reason)
{
    const struct access_key *key = access_find_config(name);
    struct access_section *section;
    const char *why;

    if (!key)
        return -ENXIO;
    int r = find_section(rules, pattern, &section, ret_reason);
    if (r < 0)
        return r;
    r = set_value(&section->access, key, text, &why);
    if (r == -EINVAL && asprintf(ret_reason, "the value of %s= cannot be used: %s", name, why) < 0)
        *ret_reason = NULL;
    return r;
}
