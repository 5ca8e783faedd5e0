/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/format.h"

#include "base/cleanup.h"
#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

struct span {
    uint32_t first, last;
};

/* Characters that take two columns (East Asian wide and emoji), coarse: whole blocks. */
static const struct span wide[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},
    {0xa000, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
    {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

/* Characters that take none. */
static const struct span zero[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2069},
    {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

static bool in_spans(uint32_t point, const struct span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (point >= spans[i].first && point <= spans[i].last)
            return true;
    return false;
}

/* The character at *text, which moves behind it; bytes that are no UTF-8 count as characters of their own. */
static uint32_t next_character(const char **text)
{
    const unsigned char *at = (const unsigned char *)*text;
    size_t size = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : *at >= 0xc0 ? 2 : 1;
    uint32_t point = size == 1 ? *at : *at & (0xffu >> (size + 1));

    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            *text += i;
            return point;
        }
        point = point << 6 | (at[i] & 0x3f);
    }
    *text += size;
    return point;
}

static size_t character_columns(uint32_t point)
{
    if (in_spans(point, zero, ELEMENTS(zero)))
        return 0;
    return in_spans(point, wide, ELEMENTS(wide)) ? 2 : 1;
}

size_t text_columns(const char *text)
{
    size_t columns = 0;

    while (*text != '\0')
        columns += character_columns(next_character(&text));
    return columns;
}

size_t text_print_cut(FILE *out, const char *text, size_t columns, bool ascii)
{
    const char *ellipsis = ascii ? "..." : "…";
    size_t whole = text_columns(text), room = text_columns(ellipsis), used = 0;
    const char *at = text;

    if (whole <= columns) {
        (void)fputs(text, out);
        return whole;
    }
    if (columns < room)
        return 0;
    while (*at != '\0') {
        const char *next = at;
        size_t width = character_columns(next_character(&next));
        if (used + width + room > columns)
            break;
        used += width;
        at = next;
    }
    (void)fprintf(out, "%.*s%s", (int)(at - text), text, ellipsis);
    return used + room;
}

unsigned percent_of(uint64_t done, uint64_t size, bool finished)
{
    if (finished || (size > 0 && done >= size))
        return 100;
    if (size == 0)
        return 0;
    /* divided first where the product would not fit */
    uint64_t percent = done > UINT64_MAX / 100 ? done / (size / 100) : done * 100 / size;
    return percent > 99 ? 99 : (unsigned)percent;
}

const char *bar_text(uint64_t done, uint64_t size, bool finished, bool ascii, char buffer[static BAR_TEXT_MAX])
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    bool full = finished || (size > 0 && done >= size);
    unsigned eighths = full ? BAR_CELLS * 8 : size == 0 ? 0 : (unsigned)((double)done / (double)size * BAR_CELLS * 8);
    char *out = buffer;

    if (!full && eighths >= BAR_CELLS * 8)
        eighths = BAR_CELLS * 8 - 1;
    if (done > 0 && eighths == 0)
        eighths = 1;
    unsigned cells = eighths / 8, part = eighths % 8;
    for (unsigned i = 0; i < BAR_CELLS; i++) {
        if (i < cells)
            out = stpcpy(out, ascii ? "#" : "█");
        else if (i == cells && part > 0)
            out = stpcpy(out, ascii ? (part >= 4 ? "+" : "-") : parts[part]);
        else
            out = stpcpy(out, ascii ? "." : "░");
    }
    return buffer;
}

const char *clock_text(uint64_t usec, uint64_t now_usec, char buffer[static CLOCK_TEXT_MAX])
{
    time_t then = (time_t)(usec / USEC_PER_SEC), now = (time_t)(now_usec / USEC_PER_SEC);
    struct tm then_local, now_local;

    buffer[0] = '\0';
    if (!localtime_r(&then, &then_local) || !localtime_r(&now, &now_local))
        return buffer;
    bool today = then_local.tm_year == now_local.tm_year && then_local.tm_yday == now_local.tm_yday;
    if (strftime(buffer, CLOCK_TEXT_MAX, today ? "%H:%M:%S" : "%b %e %H:%M", &then_local) == 0)
        buffer[0] = '\0';
    return buffer;
}

static void widen(size_t *columns, size_t wanted)
{
    if (wanted > *columns)
        *columns = wanted;
}

void table_measure(struct table *table, const struct row *row)
{
    char id[24];

    (void)snprintf(id, sizeof(id), "%" PRIu64, row->id);
    widen(&table->id_columns, strlen(id));
    widen(&table->state_columns, text_columns(row->state));
    size_t name = text_columns(row->name);
    widen(&table->name_columns, table->columns > 0 && name > NAME_COLUMNS_MAX ? NAME_COLUMNS_MAX : name);
}

static int id_width(const struct table *table)
{
    return table->id_columns > 4 ? (int)table->id_columns : 4;
}

static int state_width(const struct table *table)
{
    return table->state_columns > 12 ? (int)table->state_columns : 12; /* "transferring" */
}

static int name_width(const struct table *table)
{
    return table->name_columns > 4 ? (int)table->name_columns : 4;
}

/* Everything before the name: two blanks stand between columns. */
static size_t columns_before_name(const struct table *table)
{
    return (size_t)id_width(table) + 2 + (size_t)state_width(table) + 2 + BAR_CELLS + 6 + 2 + 8 + 2 + 8 + 2 + 7 + 2;
}

void table_print_head(FILE *out, const struct table *table)
{
    (void)fprintf(out, "%*s  %-*s  %-*s  %8s  %8s  %7s  %-*s  NOTE\n", id_width(table), "ID", state_width(table),
                  "STATE", BAR_CELLS + 6, "PROGRESS", "SIZE", "RATE", "ETA", name_width(table), "NAME");
}

static const char *tone_code(enum row_tone tone)
{
    switch (tone) {
    case TONE_PLAIN:
        return "";
    case TONE_ACTIVE:
        return "\033[36m";
    case TONE_WAITING:
        return "\033[33m";
    case TONE_GOOD:
        return "\033[32m";
    case TONE_BAD:
        return "\033[31m";
    }
    return "";
}

void table_print_row(FILE *out, const struct table *table, const struct row *row)
{
    char bar[BAR_TEXT_MAX], size[SIZE_TEXT_MAX], rate[RATE_TEXT_MAX];
    const char *code = table->color ? tone_code(row->tone) : "";
    const char *plain = *code != '\0' ? "\033[0m" : "";

    (void)fprintf(out, "%*" PRIu64 "  %s%-*s%s  %s %3u %%  %8s  %8s  %7s  ", id_width(table), row->id, code,
                  state_width(table), row->state, plain,
                  bar_text(row->acknowledged, row->size, row->finished, table->ascii, bar),
                  percent_of(row->acknowledged, row->size, row->finished), text_size(row->size, size),
                  row->rate > 0 ? text_rate(row->rate, rate) : "-", row->eta[0] != '\0' ? row->eta : "-");

    size_t before = columns_before_name(table), name = (size_t)name_width(table);
    if (table->columns == 0) {
        (void)fprintf(out, "%s%*s", row->name, (int)(name - text_columns(row->name)), "");
        (void)fprintf(out, "%s%s\n", *row->note != '\0' ? "  " : "", row->note);
        return;
    }
    size_t room = table->columns > before ? table->columns - before : 0;
    size_t used = text_print_cut(out, row->name, room < name ? room : name, table->ascii);
    if (*row->note != '\0' && room > name + 2) {
        (void)fprintf(out, "%*s", (int)(name - used + 2), "");
        (void)text_print_cut(out, row->note, room - name - 2, table->ascii);
    }
    (void)fputc('\n', out);
}
