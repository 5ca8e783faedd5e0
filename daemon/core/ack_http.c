/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The headers of a response that plain HTTP defines (RFC 9110): challenges, and what says which part of a reply came.
 * Of several headers with one name the first counts.
 */
#include "core/ack_value.h"

#include "base/parse.h"

#include <string.h>
#include <strings.h>

bool value_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool value_is(struct value value, const char *text)
{
    return value.length == strlen(text) && strncasecmp(value.text, text, value.length) == 0;
}

void value_copy_printable(struct value value, char *to, size_t size)
{
    size_t length = value.length < size ? value.length : size - 1;

    for (size_t i = 0; i < length; i++)
        to[i] = value.text[i] >= 0x20 && value.text[i] < 0x7f ? value.text[i] : '?';
    to[length] = '\0';
}

bool value_copy_whole(struct value value, char *to, size_t size)
{
    if (value.length == 0 || value.length >= size)
        return false;
    memcpy(to, value.text, value.length);
    to[value.length] = '\0';
    return true;
}

bool value_read_number(struct value value, size_t *at, uint64_t *ret)
{
    size_t start = *at;

    while (*at < value.length && value.text[*at] >= '0' && value.text[*at] <= '9')
        (*at)++;
    return parse_u64_n(value.text + start, *at - start, ret) == 0;
}

static bool skip(struct value value, size_t *at, char c)
{
    if (*at >= value.length || value.text[*at] != c)
        return false;
    (*at)++;
    return true;
}

/* "bytes 0-9976/10240"; either half may be unknown, "*" (of a 416, the first). */
static bool parse_content_range(struct value value, struct ack *ret)
{
    size_t at = 6;

    if (value.length < 6 || strncasecmp(value.text, "bytes", 5) != 0 || !value_is_blank(value.text[5]))
        return false;
    ret->has_range = !skip(value, &at, '*');
    if (ret->has_range && (!value_read_number(value, &at, &ret->range_first) || !skip(value, &at, '-') ||
                           !value_read_number(value, &at, &ret->range_last) || ret->range_last < ret->range_first))
        return false;
    if (!skip(value, &at, '/'))
        return false;
    ret->has_range_total = !skip(value, &at, '*');
    if (ret->has_range_total && !value_read_number(value, &at, &ret->range_total))
        return false;
    if (ret->has_range && ret->has_range_total && ret->range_last >= ret->range_total)
        return false;
    return at == value.length;
}

void ack_read_content_range(struct ack *ack, struct value value)
{
    struct ack read = {0};

    if (ack->has_content_range || !parse_content_range(value, &read))
        return;
    ack->has_content_range = true;
    ack->has_range = read.has_range;
    ack->range_first = read.range_first;
    ack->range_last = read.range_last;
    ack->has_range_total = read.has_range_total;
    ack->range_total = read.range_total;
}

void ack_read_content_length(struct ack *ack, struct value value)
{
    if (!ack->has_content_length)
        ack->has_content_length = parse_u64_n(value.text, value.length, &ack->content_length) == 0;
}

void ack_read_transfer_encoding(struct ack *ack, struct value value)
{
    ack->is_chunked = ack->is_chunked || value_is(value, "chunked");
}

void ack_read_etag(struct ack *ack, struct value value)
{
    if (ack->etag[0] == '\0')
        (void)value_copy_whole(value, ack->etag, sizeof(ack->etag));
}

void ack_read_last_modified(struct ack *ack, struct value value)
{
    if (ack->last_modified[0] == '\0')
        (void)value_copy_whole(value, ack->last_modified, sizeof(ack->last_modified));
}

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* Behind the next comma that stands outside a quoted string. */
static size_t skip_element(struct value value, size_t at)
{
    bool is_quoted = false;

    for (; at < value.length; at++) {
        char c = value.text[at];
        if (is_quoted && c == '\\')
            at++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (c == ',' && !is_quoted)
            return at + 1;
    }
    return value.length;
}

static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (; *list != '\0'; list += strcspn(list, " "), list += *list == ' ')
        if (strncmp(list, name, length) == 0 && (list[length] == ' ' || list[length] == '\0'))
            return true;
    return false;
}

static void add_scheme(struct ack *ack, const char *from, size_t length)
{
    char name[sizeof(ack->schemes)] = "";
    size_t used = strlen(ack->schemes);

    if (length == 0 || used + (used > 0) + length >= sizeof(ack->schemes))
        return;
    for (size_t i = 0; i < length; i++)
        name[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] - 'A' + 'a') : from[i];
    if (is_listed(ack->schemes, name))
        return;
    if (used > 0)
        ack->schemes[used++] = ' ';
    memcpy(ack->schemes + used, name, length + 1);
}

/*
 * `Negotiate, Digest realm="a, b", qop="auth", Basic realm="c"`: challenges and their parameters are separated alike,
 * but behind the name of a parameter comes "=".
 */
void ack_read_challenges(struct ack *ack, struct value value)
{
    ack->has_authenticate = true;
    for (size_t at = 0; at < value.length; at = skip_element(value, at)) {
        while (at < value.length && (value_is_blank(value.text[at]) || value.text[at] == ','))
            at++;
        size_t start = at;
        while (at < value.length && is_token_char(value.text[at]))
            at++;
        size_t end = at;
        while (at < value.length && value_is_blank(value.text[at]))
            at++;
        bool is_scheme = at == value.length || value.text[at] == ',' || (at > end && value.text[at] != '=');
        if (is_scheme)
            add_scheme(ack, value.text + start, end - start);
    }
}
