/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/row.h"

#include "cli/cli.h"

#include "base/moment.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <string.h>
#include <sys/ioctl.h>

static enum row_tone tone_of(bitsq_state state)
{
    switch (state) {
    case BITSQ_STATE_CONNECTING:
    case BITSQ_STATE_TRANSFERRING:
    case BITSQ_STATE_REPLYING:
        return TONE_ACTIVE;
    case BITSQ_STATE_BLOCKED:
    case BITSQ_STATE_RETRYING:
    case BITSQ_STATE_CANCELLING:
        return TONE_WAITING;
    case BITSQ_STATE_DONE:
        return TONE_GOOD;
    case BITSQ_STATE_FAILED:
        return TONE_BAD;
    case BITSQ_STATE_QUEUED:
    case BITSQ_STATE_PAUSED:
    case BITSQ_STATE_CANCELLED:
    case BITSQ_STATE_UNKNOWN:
        return TONE_PLAIN;
    }
    return TONE_PLAIN;
}

/* "metered network (wwan0); outside its hours: 22:00-06:00, until 22:00:00" */
static void note_gates(const bitsq_job *job, uint64_t now_usec, char note[static NOTE_MAX])
{
    uint64_t until = bitsq_job_get_blocked_until(job);
    char clock[CLOCK_TEXT_MAX];

    if (*bitsq_job_get_because(job) == '\0')
        (void)text_copy(note, NOTE_MAX, bitsq_job_get_host(job));
    else if (until > now_usec)
        (void)snprintf(note, NOTE_MAX, "%s, until %s", bitsq_job_get_because(job), clock_text(until, now_usec, clock));
    else
        (void)snprintf(note, NOTE_MAX, "%s", bitsq_job_get_because(job));
}

static bool is_word_at(const char *text, const char *word)
{
    size_t length = strlen(word);
    char next = strncmp(text, word, length) == 0 ? text[length] : 'x';

    return !((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || next == '_');
}

/* The credential that the remedy is about; NULL where the job names none. */
static const char *credential_of(const bitsq_job *job, const char *message)
{
    const char *key = strstr(message, "proxy_credential") ? "proxy_credential" : "credential", *name;

    return bitsq_job_options_get_string(bitsq_job_get_options(job), key, &name) > 0 ? name : NULL;
}

void remedy_text(const char *message, uint64_t job_id, const char *credential, char text[static NOTE_MAX])
{
    char id[24];

    (void)snprintf(id, sizeof(id), "%" PRIu64, job_id);
    const struct {
        const char *text, *kept, *value; /* the first that matches counts */
    } words[] = {
        {"bitsq retry ID", "bitsq retry ", id},
        {"bitsq retry", "bitsq retry ", id},
        {"bitsq set ID", "bitsq set ", id},
        {"bitsq run ID", "bitsq run ", id},
        {"credential set NAME", "credential set ", credential},
        {"credential=NAME", "credential=", credential},
    };
    size_t used = 0;

    while (*message != '\0' && used < NOTE_MAX - 1) {
        size_t i = 0;
        while (i < ELEMENTS(words) && !(words[i].value && is_word_at(message, words[i].text)))
            i++;
        if (i == ELEMENTS(words)) {
            text[used++] = *message++;
            continue;
        }
        int n = snprintf(text + used, NOTE_MAX - used, "%s%s", words[i].kept, words[i].value);
        used += n > 0 ? (size_t)n : 0;
        message += strlen(words[i].text);
    }
    text[used < NOTE_MAX ? used : NOTE_MAX - 1] = '\0';
}

void job_error_text(const bitsq_job *job, char text[static NOTE_MAX])
{
    const char *message = bitsq_job_get_error_message(job);

    remedy_text(message, bitsq_job_get_id(job), credential_of(job, message), text);
}

/* TEXT without the step that failed before it, which costs the columns in which the cause would stand. */
static const char *skip_phase(const bitsq_job *job, const char *text)
{
    const char *phase = bitsq_job_get_error_phase(job), *failed = " failed: ";
    size_t length = strlen(phase);

    if (length > 0 && strncmp(text, phase, length) == 0 && strncmp(text + length, failed, strlen(failed)) == 0)
        return text + length + strlen(failed);
    return text;
}

/* "503 from server", or what the daemon's sentence says before the remedy, where no answer came. */
static void note_retrying(const bitsq_job *job, uint64_t now_usec, char note[static NOTE_MAX])
{
    uint32_t status = bitsq_job_get_error_http_status(job);
    uint64_t next = bitsq_job_get_next_attempt(job);
    const char *message = skip_phase(job, bitsq_job_get_error_message(job));
    char why[NOTE_MAX / 2], clock[CLOCK_TEXT_MAX];

    if (status >= 400)
        (void)snprintf(why, sizeof(why), "%" PRIu32 " from server", status);
    else
        (void)snprintf(why, sizeof(why), "%.*s", (int)strcspn(message, ";"), message);
    if (next > now_usec)
        (void)snprintf(note, NOTE_MAX, "%s, attempt %" PRIu32 ", next %s", why, bitsq_job_get_attempts(job),
                       clock_text(next, now_usec, clock));
    else
        (void)snprintf(note, NOTE_MAX, "%s, attempt %" PRIu32 ", next now", why, bitsq_job_get_attempts(job));
}

/* "reply: 1.2 of 4.0 MiB"; the progress counts what was uploaded, and that is complete. */
static void note_reply(const bitsq_job *job, char note[static NOTE_MAX])
{
    char received[SIZE_TEXT_MAX], whole[SIZE_TEXT_MAX];
    uint64_t size;

    (void)text_size(bitsq_job_get_reply_received(job), received);
    if (bitsq_job_get_reply_size(job, &size) > 0)
        (void)snprintf(note, NOTE_MAX, "reply: %s of %s", received, text_size(size, whole));
    else
        (void)snprintf(note, NOTE_MAX, "reply: %s", received);
}

static void note_of(const bitsq_job *job, uint64_t now_usec, char note[static NOTE_MAX])
{
    char clock[CLOCK_TEXT_MAX], error[NOTE_MAX];

    switch (bitsq_job_get_state(job)) {
    case BITSQ_STATE_QUEUED:
    case BITSQ_STATE_BLOCKED:
        note_gates(job, now_usec, note);
        return;
    case BITSQ_STATE_RETRYING:
        note_retrying(job, now_usec, note);
        return;
    case BITSQ_STATE_FAILED:
        job_error_text(job, error);
        (void)text_copy(note, NOTE_MAX, skip_phase(job, error));
        return;
    case BITSQ_STATE_PAUSED:
        (void)snprintf(note, NOTE_MAX, "bitsq resume %" PRIu64, bitsq_job_get_id(job));
        return;
    case BITSQ_STATE_CANCELLING:
        (void)text_copy(note, NOTE_MAX, "waits for the server to drop what it has");
        return;
    case BITSQ_STATE_DONE:
    case BITSQ_STATE_CANCELLED:
        (void)text_copy(note, NOTE_MAX, clock_text(bitsq_job_get_finished(job), now_usec, clock));
        return;
    case BITSQ_STATE_REPLYING:
        note_reply(job, note);
        return;
    case BITSQ_STATE_CONNECTING:
    case BITSQ_STATE_TRANSFERRING:
    case BITSQ_STATE_UNKNOWN:
        (void)text_copy(note, NOTE_MAX, bitsq_job_get_host(job));
        return;
    }
}

static void eta_of(const bitsq_job *job, const struct row *row, uint64_t now_usec, char eta[static CLOCK_TEXT_MAX])
{
    uint64_t left = usec_sub(row->size, row->acknowledged), rate = row->rate;
    char duration[DURATION_TEXT_MAX];

    eta[0] = '\0';
    if (bitsq_job_get_state(job) == BITSQ_STATE_TRANSFERRING && rate > 0 && left / rate < 365 * UINT64_C(86400))
        (void)text_copy(eta, CLOCK_TEXT_MAX, text_duration(left / rate * USEC_PER_SEC, duration));
    if (bitsq_job_get_state(job) == BITSQ_STATE_RETRYING && bitsq_job_get_next_attempt(job) > now_usec)
        (void)text_copy(eta, CLOCK_TEXT_MAX, text_duration(bitsq_job_get_next_attempt(job) - now_usec, duration));
}

int job_row_init(struct job_row *job_row, const bitsq_job *job, uint64_t acknowledged, uint64_t rate, uint64_t now_usec)
{
    char note[NOTE_MAX];

    _cleanup_free_ char *name = safe_text(bitsq_job_get_name(job));
    if (!name)
        return -ENOMEM;
    note_of(job, now_usec, note);
    _cleanup_free_ char *safe_note = safe_text(note);
    if (!safe_note)
        return -ENOMEM;
    bitsq_state state = bitsq_job_get_state(job);
    bool moving = state == BITSQ_STATE_TRANSFERRING;
    job_row->row = (struct row){
        .id = bitsq_job_get_id(job),
        .state = bitsq_job_get_state_name(job),
        .tone = tone_of(state),
        .acknowledged = acknowledged,
        .size = bitsq_job_get_size(job),
        .finished = state == BITSQ_STATE_DONE,
        .rate = moving ? rate : 0,
        .name = name,
        .note = job_row->note,
    };
    eta_of(job, &job_row->row, now_usec, job_row->row.eta);
    (void)text_copy(job_row->note, sizeof(job_row->note), safe_note);
    job_row->name = TAKE_PTR(name);
    return 0;
}

void job_row_done(struct job_row *job_row)
{
    free(job_row->name);
    job_row->name = NULL;
}

bool stream_is_live(FILE *stream)
{
    const char *terminal = getenv("TERM");

    return isatty(fileno(stream)) && terminal && strcmp(terminal, "dumb") != 0;
}

static bool wants_color(const struct cli *cli, FILE *stream)
{
    const char *refused = getenv("NO_COLOR");

    if (cli->color != COLOR_AUTO)
        return cli->color == COLOR_ALWAYS;
    return stream_is_live(stream) && !(refused && *refused != '\0');
}

void table_init(struct table *table, const struct cli *cli, FILE *stream)
{
    const char *charset = nl_langinfo(CODESET);
    struct winsize size = {0};

    *table = (struct table){.color = wants_color(cli, stream)};
    /* the C locale says ASCII, but means that nothing was chosen: terminals of today read UTF-8 */
    table->ascii = strcmp(charset, "UTF-8") != 0 && strcmp(charset, "ANSI_X3.4-1968") != 0;
    if (isatty(fileno(stream)) && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0)
        table->columns = size.ws_col;
}
