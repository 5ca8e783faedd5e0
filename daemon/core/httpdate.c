/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/httpdate.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * The forms as patterns: D day, m month by name, Y four and y two digits of the year, h n s time, _ a blank or a digit
 * (asctime pads the day with a blank), W letters of the weekday. Anything else stands for itself.
 */
static const char *const forms[] = {
    "W, DD m YYYY hh:nn:ss GMT",
    "W, DD-m-yy hh:nn:ss GMT",
    "W m _D hh:nn:ss YYYY",
};

struct parts {
    uint64_t year;
    uint64_t month; /* 1 to 12 */
    uint64_t day;
    uint64_t hour;
    uint64_t minute;
    uint64_t second;
};

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static uint64_t month_number(const char *name)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (uint64_t i = 0; i < 12; i++)
        if (strncmp(months + 3 * i, name, 3) == 0)
            return i + 1;
    return 0;
}

static uint64_t *number_field(struct parts *parts, char mark)
{
    switch (mark) {
    case 'Y':
    case 'y':
        return &parts->year;
    case 'D':
    case '_':
        return &parts->day;
    case 'h':
        return &parts->hour;
    case 'n':
        return &parts->minute;
    case 's':
        return &parts->second;
    default:
        return NULL;
    }
}

static bool add_digit(uint64_t *field, char mark, char c)
{
    if (mark == '_' && c == ' ')
        return true;
    if (c < '0' || c > '9')
        return false;
    *field = *field * 10 + (uint64_t)(c - '0');
    return true;
}

static bool match(const char *form, const char *text, size_t length, struct parts *parts)
{
    size_t at = 0;

    for (; *form != '\0'; form++) {
        uint64_t *field = number_field(parts, *form);
        if (*form == 'W') {
            size_t start = at;
            while (at < length && is_letter(text[at]))
                at++;
            if (at - start < 3)
                return false;
        } else if (*form == 'm') {
            if (length - at < 3 || (parts->month = month_number(text + at)) == 0)
                return false;
            at += 3;
        } else if (at == length || (field ? !add_digit(field, *form, text[at]) : text[at] != *form)) {
            return false;
        } else {
            at++;
        }
    }
    return at == length;
}

static bool is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_real(const struct parts *parts)
{
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (parts->year < 1970 || parts->hour > 23 || parts->minute > 59 || parts->second > 60)
        return false;
    uint64_t days = parts->month == 2 && is_leap(parts->year) ? 29 : month_days[parts->month - 1];
    return parts->day >= 1 && parts->day <= days;
}

static uint64_t to_seconds(const struct parts *parts)
{
    static const uint16_t days_before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t last = parts->year - 1;
    uint64_t leap_days = (last / 4 - last / 100 + last / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    uint64_t days = (parts->year - 1970) * 365 + leap_days + days_before[parts->month - 1] + parts->day - 1 +
                    (parts->month > 2 && is_leap(parts->year));

    return ((days * 24 + parts->hour) * 60 + parts->minute) * 60 + parts->second;
}

int http_date_parse(const char *text, size_t length, uint64_t *ret_realtime_usec)
{
    for (size_t i = 0; i < ELEMENTS(forms); i++) {
        struct parts parts = {0};
        if (!match(forms[i], text, length, &parts))
            continue;
        if (strstr(forms[i], "yy"))
            parts.year += parts.year < 70 ? 2000 : 1900;
        if (!is_real(&parts))
            return -EINVAL;
        *ret_realtime_usec = to_seconds(&parts) * USEC_PER_SEC;
        return 0;
    }
    return -EINVAL;
}
