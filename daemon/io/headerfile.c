/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/headerfile.h"

#include "core/limits.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_SHOWN_MAX 40 /* bytes of a name that a reason repeats */
#define OF_PROTOCOL    "the protocol sets it itself"
#define OF_TRANSPORT   "the transport sets it itself"

static const struct {
    const char *name;
    const char *reason;
} refused_names[] = {
    {"Accept-Encoding", OF_PROTOCOL},
    {"Connection", OF_TRANSPORT},
    {"Content-Encoding", "the file is sent as it is"},
    {"Content-Length", OF_PROTOCOL},
    {"Content-Name", OF_PROTOCOL},
    {"Content-Range", OF_PROTOCOL},
    {"Expect", "many servers never answer it"},
    {"Host", OF_TRANSPORT},
    {"If-Match", OF_PROTOCOL},
    {"If-Range", OF_PROTOCOL},
    {"If-Unmodified-Since", OF_PROTOCOL},
    {"Keep-Alive", OF_TRANSPORT},
    {"Proxy-Authorization", "name a proxy_credential instead"},
    {"Proxy-Connection", OF_TRANSPORT},
    {"Range", OF_PROTOCOL},
    {"TE", OF_TRANSPORT},
    {"Trailer", OF_TRANSPORT},
    {"Transfer-Encoding", OF_TRANSPORT},
    {"Upgrade", OF_TRANSPORT},
    {"User-Agent", "choose user_agent instead"},
    {"X-HTTP-Method-Override", "choose method_override instead"},
};

__attribute__((format(printf, 2, 3))) static int say(char reason[static HEADER_FILE_REASON_MAX], const char *format,
                                                     ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(reason, HEADER_FILE_REASON_MAX, format, list);
    va_end(list);
    return -EINVAL;
}

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && (text[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    return length > 0;
}

static const char *why_refused(const char *name, size_t length)
{
    if (length >= 5 && strncasecmp(name, "BITS-", 5) == 0)
        return OF_PROTOCOL;
    for (size_t i = 0; i < ELEMENTS(refused_names); i++)
        if (strlen(refused_names[i].name) == length && strncasecmp(refused_names[i].name, name, length) == 0)
            return refused_names[i].reason;
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_value(const char *value, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return false;
    return true;
}

/* Appends to LIST, which has room for every byte of the file. */
static int take_line(const char *line, size_t length, unsigned number, char **list,
                     char reason[static HEADER_FILE_REASON_MAX])
{
    const char *colon = memchr(line, ':', length);
    size_t name = colon ? (size_t)(colon - line) : 0;

    if (!is_token(line, name))
        return say(reason, "line %u is not of the form \"Name: value\"", number);
    int shown = name > NAME_SHOWN_MAX ? NAME_SHOWN_MAX : (int)name;
    const char *why = why_refused(line, name);
    if (why)
        return say(reason, "line %u: the header %.*s cannot be set here: %s", number, shown, line, why);
    const char *value = colon + 1, *end = line + length;
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    if (value == end)
        return say(reason, "line %u: the header %.*s has no value", number, shown, line);
    if (!is_value(value, (size_t)(end - value)))
        return say(reason, "line %u: the header %.*s holds a control character", number, shown, line);
    if ((size_t)(end - value) > HEADER_VALUE_MAX)
        return say(reason, "line %u: the header %.*s has more than %d bytes", number, shown, line, HEADER_VALUE_MAX);
    *list += sprintf(*list, "%.*s: %.*s", (int)name, line, (int)(end - value), value) + 1;
    return 0;
}

static int take_lines(const char *text, size_t length, char *list, char reason[static HEADER_FILE_REASON_MAX])
{
    const char *end = text + length;
    unsigned number = 0, headers = 0;
    int r = 0;

    for (const char *line = text; line < end && r >= 0;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *stop = next ? next : end;
        number++;
        if (stop > line && stop[-1] == '\r')
            stop--;
        if (stop > line && line[0] != '#') {
            if (++headers > HEADER_FILE_LINES_MAX)
                return say(reason, "line %u: there are more than %d headers", number, HEADER_FILE_LINES_MAX);
            r = take_line(line, (size_t)(stop - line), number, &list, reason);
        }
        line = next ? next + 1 : end;
    }
    return r;
}

int header_file_parse(const char *text, size_t length, char **ret, char reason[static HEADER_FILE_REASON_MAX])
{
    /* ": " takes a byte more than ":" did, the NUL one more than a last line without end, and the list one more. */
    size_t room = length + HEADER_FILE_LINES_MAX + 2;
    _cleanup_free_ char *list = calloc(1, room);

    if (!list)
        return -ENOMEM;
    int r = take_lines(text, length, list, reason);
    if (r < 0)
        explicit_bzero(list, room);
    if (r < 0)
        return r;
    *ret = list[0] != '\0' ? TAKE_PTR(list) : NULL;
    return 0;
}
