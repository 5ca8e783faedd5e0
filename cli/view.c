/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/follow.h"
#include "cli/json.h"
#include "cli/row.h"

#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <sys/ioctl.h>

#define SCREEN_ENTER "\033[?1049h\033[?25l" /* a screen of its own, no cursor */
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define LINES_MAX    500 /* drawn at once, however tall the terminal is */

void view_open(struct view *view)
{
    if (view->mode != VIEW_SCREEN)
        return;
    if (tcgetattr(STDIN_FILENO, &view->cooked) == 0) {
        struct termios raw = view->cooked;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        view->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    (void)fputs(SCREEN_ENTER, view->stream);
}

void view_close(struct view *view, const struct follow *follow)
{
    view_draw(view, follow);
    if (view->mode != VIEW_SCREEN)
        return;
    (void)fputs(SCREEN_LEAVE, view->stream);
    (void)fflush(view->stream);
    if (view->raw)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &view->cooked);
}

void view_tell(struct view *view, const struct follow *follow, struct tracked *tracked)
{
    struct job_row job_row;

    (void)follow;
    if (view->mode == VIEW_JSON) {
        json_print(json_job("bitsq.job/1", tracked->job));
        (void)fflush(stdout);
        return;
    }
    if (view->mode != VIEW_LINES ||
        job_row_init(&job_row, tracked->job, tracked->acknowledged, tracked->rate, moment_now().realtime_usec) < 0)
        return;
    const struct row *row = &job_row.row;
    bitsq_state state = bitsq_job_get_state(tracked->job);
    /* on standard output nothing else says why; else the command ends with it */
    bool told_later = state == BITSQ_STATE_FAILED && view->stream == stderr;
    bool bare = state == BITSQ_STATE_DONE || state == BITSQ_STATE_CANCELLED || told_later || *row->note == '\0';
    (void)fprintf(view->stream, "%" PRIu64 " %s: %s%s%s%s\n", row->id, row->name, row->state, bare ? "" : " (",
                  bare ? "" : row->note, bare ? "" : ")");
    (void)fflush(view->stream);
    job_row_done(&job_row);
}

static size_t lines_of(FILE *stream)
{
    struct winsize size = {0};
    size_t lines = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;

    return lines > LINES_MAX ? LINES_MAX : lines;
}

/* What deserves a line most, where there are more jobs than lines. */
static int urgency(const struct tracked *tracked)
{
    if (!tracked->job)
        return 3;
    switch (bitsq_job_get_state(tracked->job)) {
    case BITSQ_STATE_CONNECTING:
    case BITSQ_STATE_TRANSFERRING:
    case BITSQ_STATE_REPLYING:
        return 0;
    case BITSQ_STATE_FAILED:
    case BITSQ_STATE_RETRYING:
    case BITSQ_STATE_BLOCKED:
    case BITSQ_STATE_CANCELLING:
        return 1;
    case BITSQ_STATE_QUEUED:
    case BITSQ_STATE_PAUSED:
    case BITSQ_STATE_UNKNOWN:
        return 2;
    case BITSQ_STATE_DONE:
    case BITSQ_STATE_CANCELLED:
        return 3;
    }
    return 3;
}

/* Picks at most ROOM jobs, the most urgent ones, and leaves them in the order of their ids. */
static size_t pick(const struct follow *follow, size_t room, const struct tracked *picked[static LINES_MAX])
{
    size_t counts[4] = {0}, count = 0;

    for (size_t i = 0; i < follow->count; i++)
        counts[urgency(&follow->jobs[i])]++;
    for (size_t level = 0; level < ELEMENTS(counts); level++) {
        counts[level] = counts[level] < room ? counts[level] : room;
        room -= counts[level];
    }
    for (size_t i = 0; i < follow->count; i++) {
        const struct tracked *tracked = &follow->jobs[i];
        size_t level = (size_t)urgency(tracked);
        if (counts[level] == 0)
            continue;
        counts[level]--;
        if (tracked->job)
            picked[count++] = tracked;
    }
    return count;
}

static void draw_summary(FILE *out, const struct follow *follow, size_t shown)
{
    size_t finished = 0, jobs = 0;
    char text[RATE_TEXT_MAX];
    uint64_t rate = 0;

    for (size_t i = 0; i < follow->count; i++) {
        if (!follow->jobs[i].job)
            continue;
        bitsq_state state = bitsq_job_get_state(follow->jobs[i].job);
        jobs++;
        finished += bitsq_state_is_final(state) ? 1 : 0;
        rate += state == BITSQ_STATE_TRANSFERRING ? follow->jobs[i].rate : 0;
    }
    (void)fprintf(out, "%zu of %zu finished, %s", finished, jobs, text_rate(rate, text));
    if (shown < jobs)
        (void)fprintf(out, ", %zu not shown", jobs - shown);
}

/* All lines of one picture into a buffer, so that they reach the terminal in one write and do not flicker. */
static unsigned draw(FILE *out, const struct view *view, const struct follow *follow)
{
    const struct tracked *picked[LINES_MAX];
    bool screen = view->mode == VIEW_SCREEN;
    size_t lines = lines_of(view->stream), extra = screen ? 3 : 2;
    size_t count = pick(follow, lines > extra ? lines - extra : 1, picked);
    struct job_row rows[LINES_MAX];
    struct table table;
    size_t ready = 0;

    table_init(&table, follow->cli, view->stream);
    uint64_t now = moment_now().realtime_usec;
    while (ready < count &&
           job_row_init(&rows[ready], picked[ready]->job, picked[ready]->acknowledged, picked[ready]->rate, now) >= 0)
        table_measure(&table, &rows[ready++].row);
    if (screen) {
        (void)fputs("\033[K", out);
        table_print_head(out, &table);
    }
    for (size_t i = 0; i < ready; i++) {
        (void)fputs("\033[K", out);
        table_print_row(out, &table, &rows[i].row);
        job_row_done(&rows[i]);
    }
    if (screen || count > 1) {
        (void)fputs("\033[K", out);
        draw_summary(out, follow, count);
        (void)fputs(screen ? " - q quits, the jobs go on" : "\n", out);
        return (unsigned)ready + 1;
    }
    return (unsigned)ready;
}

void view_draw(struct view *view, const struct follow *follow)
{
    _cleanup_free_ char *picture = NULL;
    size_t size;

    if (view->mode != VIEW_BARS && view->mode != VIEW_SCREEN)
        return;
    FILE *out = open_memstream(&picture, &size);
    if (!out)
        return;
    if (view->mode == VIEW_SCREEN)
        (void)fputs("\033[H", out);
    else if (view->lines > 0)
        (void)fprintf(out, "\r\033[%uA", view->lines);
    view->lines = draw(out, view, follow);
    (void)fputs("\033[J", out);
    if (fclose(out) == 0)
        (void)fwrite(picture, 1, size, view->stream);
    (void)fflush(view->stream);
}
