/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The length in bytes of the well-formed character at TEXT, or 0. */
static size_t utf8_character(const unsigned char *text, size_t length)
{
    if (length == 0)
        return 0;
    unsigned char lead = text[0];
    if (lead < 0x80)
        return 1;

    size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                  : lead >= 0xe0 && lead <= 0xef ? 3
                  : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                 : 0;
    if (size == 0 || size > length)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) || (lead == 0xf0 && text[1] < 0x90) ||
        (lead == 0xf4 && text[1] > 0x8f))
        return 0;
    return size;
}

bool text_is_utf8(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text;

    while (length > 0) {
        size_t size = utf8_character(at, length);
        if (size == 0)
            return false;
        at += size;
        length -= size;
    }
    return true;
}

static size_t escape_byte(unsigned char byte, char *out)
{
    switch (byte) {
    case '\n':
        memcpy(out, "\\n", 2);
        return 2;
    case '\t':
        memcpy(out, "\\t", 2);
        return 2;
    case '\\':
        memcpy(out, "\\\\", 2);
        return 2;
    default:
        (void)snprintf(out, 5, "\\x%02x", byte);
        return 4;
    }
}

char *text_escape(const char *text)
{
    size_t length = strlen(text);
    char *escaped = malloc(length * 4 + 5);
    size_t used = 0;

    if (!escaped)
        return NULL;
    for (size_t i = 0; i < length;) {
        size_t size = utf8_character((const unsigned char *)text + i, length - i);
        unsigned char byte = (unsigned char)text[i];
        bool c1_control = size == 2 && byte == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
        if (size == 0 || c1_control || byte < 0x20 || byte == 0x7f || byte == '\\') {
            used += escape_byte(byte, escaped + used);
            i++;
            /* the second byte of a C1 control is no character of its own: the next turn escapes it too */
            continue;
        }
        memcpy(escaped + used, text + i, size);
        used += size;
        i += size;
    }
    escaped[used] = '\0';
    return escaped;
}

char *text_redact_url(const char *url)
{
    static const char hidden[] = "…";
    size_t length = strcspn(url, "#");
    size_t query = strcspn(url, "?#");
    size_t pairs = 1;

    for (size_t i = query; i < length; i++)
        pairs += url[i] == '&';
    char *redacted = malloc(length + pairs * (sizeof(hidden) + 1) + 1);
    if (!redacted)
        return NULL;
    memcpy(redacted, url, query);
    char *out = redacted + query;
    for (size_t i = query; i < length;) {
        *out++ = url[i++]; /* the ? or & that opens the pair */
        size_t name = strcspn(url + i, "=&#");
        bool has_value = url[i + name] == '=';
        if (has_value) {
            memcpy(out, url + i, name + 1);
            out += name + 1;
        }
        if (has_value || name > 0)
            out = stpcpy(out, hidden); /* a pair without = may be a bare token: hidden whole */
        i += strcspn(url + i, "&#");
    }
    *out = '\0';
    return redacted;
}

const char *text_rate(uint64_t rate, char buffer[static RATE_TEXT_MAX])
{
    static const char *const units[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
    double value = (double)rate;
    size_t unit = 0;

    while (value >= 999.5 && unit + 1 < ELEMENTS(units)) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(buffer, RATE_TEXT_MAX, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return buffer;
}

const char *text_size(uint64_t bytes, char buffer[static SIZE_TEXT_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)bytes;

    while (value >= 999.5 && unit + 1 < ELEMENTS(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(buffer, SIZE_TEXT_MAX, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return buffer;
}

const char *text_duration(uint64_t usec, char buffer[static DURATION_TEXT_MAX])
{
    uint64_t seconds = usec / USEC_PER_SEC + (usec % USEC_PER_SEC >= USEC_PER_SEC / 2);
    uint64_t days = seconds / 86400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60;

    if (days > 0 && hours > 0)
        (void)snprintf(buffer, DURATION_TEXT_MAX, "%" PRIu64 "d %" PRIu64 "h", days, hours);
    else if (days > 0)
        (void)snprintf(buffer, DURATION_TEXT_MAX, "%" PRIu64 "d", days);
    else if (hours > 0 && minutes > 0)
        (void)snprintf(buffer, DURATION_TEXT_MAX, "%" PRIu64 "h %" PRIu64 "m", hours, minutes);
    else if (hours > 0)
        (void)snprintf(buffer, DURATION_TEXT_MAX, "%" PRIu64 "h", hours);
    else if (seconds >= 120)
        (void)snprintf(buffer, DURATION_TEXT_MAX, "%" PRIu64 "m", (seconds + 30) / 60);
    else
        (void)snprintf(buffer, DURATION_TEXT_MAX, "%" PRIu64 "s", seconds);
    return buffer;
}

char *text_base64(const void *bytes, size_t length)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = bytes;
    char *encoded = malloc((length + 2) / 3 * 4 + 1);
    char *out = encoded;

    if (!encoded)
        return NULL;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[group & 63] : '=';
    }
    *out = '\0';
    return encoded;
}

char *text_duplicate(const void *bytes, size_t length)
{
    char *copy = malloc(length + 1);

    if (!copy)
        return NULL;
    if (length > 0) /* nothing may have no address */
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

bool text_copy(char *buffer, size_t size, const char *text)
{
    size_t length = strlen(text);

    assert(size > 0);
    bool fits = length < size;
    if (!fits) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(buffer, text, length);
    buffer[length] = '\0';
    return fits;
}
