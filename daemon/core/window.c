/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/window.h"

#include "base/moment.h"
#include "base/parse.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define DAYS         7
#define MIN_PER_DAY  1440
#define MIN_PER_WEEK INT64_C(10080)
#define EPOCH_MIN    INT64_C(4320) /* of its week: the epoch was a Thursday */
#define EVERY_DAY    0x7f

static const char *const day_names[DAYS] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

struct reader {
    const char *at;
    const char *reason;
};

static int complain(struct reader *reader, const char *reason)
{
    reader->reason = reason;
    return -EINVAL;
}

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->at, " \t");
}

static int read_day(struct reader *reader, unsigned *ret)
{
    for (unsigned day = 0; day < DAYS; day++) {
        if (strncmp(reader->at, day_names[day], 3) == 0) {
            reader->at += 3;
            *ret = day;
            return 0;
        }
    }
    return complain(reader, "a day is Mon, Tue, Wed, Thu, Fri, Sat or Sun, as in Mon..Fri 08:00-18:00");
}

/* "Mon..Fri", "Sat,Sun", "Fri..Mon,Wed" */
static int read_days(struct reader *reader, uint8_t *ret)
{
    unsigned days = 0;

    for (;;) {
        unsigned first, last;
        int r = read_day(reader, &first);
        if (r < 0)
            return r;
        last = first;
        if (strncmp(reader->at, "..", 2) == 0) {
            reader->at += 2;
            r = read_day(reader, &last);
            if (r < 0)
                return r;
        }
        for (unsigned day = first;; day = (day + 1) % DAYS) {
            days |= 1U << day;
            if (day == last)
                break;
        }
        if (*reader->at != ',')
            break;
        reader->at++;
    }
    *ret = (uint8_t)days;
    return 0;
}

static int read_clock(struct reader *reader, uint32_t *ret_min)
{
    const char *at = reader->at;
    size_t hour_digits = strspn(at, "0123456789");
    uint64_t hour, minute;

    if (hour_digits < 1 || hour_digits > 2 || at[hour_digits] != ':' ||
        strspn(at + hour_digits + 1, "0123456789") != 2 || parse_u64_n(at, hour_digits, &hour) < 0 ||
        parse_u64_n(at + hour_digits + 1, 2, &minute) < 0 || minute > 59 || hour * 60 + minute > MIN_PER_DAY)
        return complain(reader, "a time is written as 08:00, from 00:00 to 24:00");
    reader->at += hour_digits + 3;
    *ret_min = (uint32_t)(hour * 60 + minute);
    return 0;
}

static int read_hours(struct reader *reader, struct window_span *span)
{
    int r = read_clock(reader, &span->begin_min);

    if (r < 0)
        return r;
    if (strncmp(reader->at, "..", 2) == 0)
        return complain(reader, "hours are written with a dash, as 08:00-18:00; two dots stand between days");
    if (*reader->at != '-')
        return complain(reader, "a span has a beginning and an end, as 08:00-18:00");
    reader->at++;
    r = read_clock(reader, &span->end_min);
    if (r < 0)
        return r;
    if (span->begin_min == MIN_PER_DAY)
        return complain(reader, "a span cannot begin at 24:00; write 00:00 of the next day");
    if (span->begin_min == span->end_min)
        return complain(reader, "a span that begins when it ends is empty; the whole day is 00:00-24:00");
    if (span->end_min < span->begin_min)
        span->end_min += MIN_PER_DAY;
    return 0;
}

static int read_rate(struct reader *reader, uint64_t *ret)
{
    size_t length = strcspn(reader->at, "; \t");
    char text[32];

    if (length == 0 || length >= sizeof(text))
        return complain(reader, "behind = stands a rate, as 200K, 2M or 8Mbit, or off");
    memcpy(text, reader->at, length);
    text[length] = '\0';
    if (strcmp(text, "off") == 0)
        *ret = 0;
    else if (parse_rate(text, ret) < 0 || *ret == 0)
        return complain(reader, "behind = stands a rate, as 200K, 2M or 8Mbit, or off");
    reader->at += length;
    return 0;
}

static int read_span(struct reader *reader, bool with_rates, struct window_span *span)
{
    int r = 0;

    span->days = EVERY_DAY;
    if (*reader->at < '0' || *reader->at > '9') {
        r = read_days(reader, &span->days);
        if (r >= 0 && *reader->at != ' ' && *reader->at != '\t')
            r = complain(reader, "between days and hours stands a blank, as in Mon..Fri 08:00-18:00");
        skip_blanks(reader);
    }
    if (r >= 0)
        r = read_hours(reader, span);
    if (r < 0)
        return r;
    if (with_rates && *reader->at != '=')
        return complain(reader, "each span needs its rate, as 08:00-18:00=200K");
    if (!with_rates)
        return 0;
    reader->at++;
    return read_rate(reader, &span->rate);
}

static int read_spans(struct reader *reader, bool with_rates, struct window *window)
{
    skip_blanks(reader);
    while (*reader->at != '\0') {
        if (window->count == WINDOW_SPANS_MAX)
            return complain(reader, "there are more than 16 spans");
        int r = read_span(reader, with_rates, &window->spans[window->count]);
        if (r < 0)
            return r;
        window->count++;
        skip_blanks(reader);
        if (*reader->at == '\0')
            break;
        if (*reader->at != ';')
            return complain(reader, with_rates ? "spans are separated by ; as in 08:00-18:00=200K; 22:00-06:00=off"
                                               : "spans are separated by ; as in Mon..Fri 18:00-24:00; Sat,Sun "
                                                 "00:00-24:00");
        reader->at++;
        skip_blanks(reader);
    }
    return 0;
}

int window_parse(const char *text, bool with_rates, struct window *ret, const char **ret_reason)
{
    struct reader reader = {.at = text};
    struct window window = {.count = 0};

    int r = read_spans(&reader, with_rates, &window);
    if (r < 0) {
        *ret_reason = reader.reason;
        return r;
    }
    *ret = window;
    return 0;
}

/* Minutes from the beginning of a Monday, of the clock on the wall. */
static int64_t minute_of_week(int64_t local_sec)
{
    int64_t minute = local_sec / 60 - (local_sec % 60 < 0);
    int64_t of_week = (minute + EPOCH_MIN) % (MIN_PER_WEEK);

    return of_week < 0 ? of_week + MIN_PER_WEEK : of_week;
}

/*
 * The span that is open at a minute of the week, how many minutes later that may be otherwise, and how many minutes ago
 * the last span began or ended.
 */
static const struct window_span *find_open(const struct window *window, int64_t minute, int64_t *ret_left,
                                           int64_t *ret_gone)
{
    const struct window_span *open = NULL;
    int64_t left = MIN_PER_WEEK, gone = MIN_PER_WEEK;

    for (size_t i = 0; i < window->count; i++) {
        const struct window_span *span = &window->spans[i];
        for (int64_t day = 0; day < DAYS; day++) {
            if (!(span->days & 1U << day))
                continue;
            int64_t length = (int64_t)span->end_min - span->begin_min;
            int64_t since = (minute - day * MIN_PER_DAY - span->begin_min + 2 * MIN_PER_WEEK) % (MIN_PER_WEEK);
            bool is_open = since < length;
            int64_t change = is_open ? length - since : MIN_PER_WEEK - since;
            if (is_open && !open)
                open = span;
            left = change < left ? change : left;
            int64_t back = is_open ? since : since - length;
            gone = back < gone ? back : gone;
        }
    }
    *ret_left = left;
    *ret_gone = gone;
    return open;
}

/* The first second behind FROM at which the zone is not what it is at FROM; TO where there is none. */
static int64_t find_transition(const struct window_zone *zone, int64_t from, int64_t to)
{
    int64_t offset = zone->offset(zone->userdata, from);

    if (zone->offset(zone->userdata, to) == offset)
        return to;
    while (from + 1 < to) {
        int64_t middle = from + (to - from) / 2;
        if (zone->offset(zone->userdata, middle) == offset)
            from = middle;
        else
            to = middle;
    }
    return to;
}

void window_at(const struct window *window, const struct window_zone *zone, uint64_t now_usec, struct window_state *ret)
{
    int64_t now = (int64_t)(now_usec / USEC_PER_SEC), left, gone;

    if (window->count == 0) {
        *ret = (struct window_state){.is_open = true, .until_usec = USEC_INFINITY};
        return;
    }
    int64_t local = now + zone->offset(zone->userdata, now);
    const struct window_span *open = find_open(window, minute_of_week(local), &left, &gone);
    assert(left > 0);
    int64_t boundary = now - local % 60 + left * 60, before = now - local % 60 - gone * 60;
    /* The same time of the clock on the wall, where that was set since. */
    before += zone->offset(zone->userdata, now) - zone->offset(zone->userdata, before);
    *ret = (struct window_state){
        .is_open = open != NULL,
        .rate = open ? open->rate : 0,
        .since_usec = before > 0 ? (uint64_t)before * USEC_PER_SEC : 0,
        .until_usec = (uint64_t)find_transition(zone, now, boundary) * USEC_PER_SEC,
    };
}
