/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The session machine driven by a stream of events, in whatever order. The input:
 *
 *   8 bytes    what kind of job: size, flags (see begin()), bytes that are reserved
 *   then       events: a byte that names it (see play()), and the bytes that it takes; what is missing is 0
 *
 * Whatever comes, the machine keeps what the daemon and the protocol rely on: see check().
 */
#include "fuzz.h"

#include "core/proto.h"
#include "core/session.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

/* Requests of one attempt in a row that bring nothing: each guard has its end well before. */
#define SENDS_WITHOUT_PROGRESS_MAX 200

struct stream {
    const uint8_t *data;
    size_t size;
};

struct life {
    struct stream stream;
    struct session session;
    struct session_output out;
    struct session_record durable;
    struct moment now;
    uint64_t connection;
    bool cancelled;
    bool close_sent; /* in this session or an earlier one */
    bool ended;
    uint64_t high_offset;         /* the furthest that this attempt has come, */
    uint64_t session_high_offset; /* that this session has, */
    uint64_t reply_offset;        /* and with the reply */
    unsigned sends;               /* since then */
};

static unsigned take(struct stream *stream)
{
    if (stream->size == 0)
        return 0;
    stream->size--;
    return *stream->data++;
}

static unsigned take_word(struct stream *stream)
{
    unsigned low = take(stream);

    return low | take(stream) << 8;
}

static void begin(struct life *life)
{
    static const uint64_t sizes[] = {0, 1, 1000, 300000, 10 * MIB, 5000 * MIB, (UINT64_C(1) << 32) + 1, UINT64_MAX};
    unsigned size = take(&life->stream), flags = take_word(&life->stream), more = take(&life->stream);
    struct session_parameters parameters = {
        .size_bytes = sizes[size % ELEMENTS(sizes)],
        .wants_reply = flags & 1,
        .fragment_min_bytes = 64 * KIB,
        .fragment_max_bytes = flags & 2 ? FRAGMENT_MAX_BYTES : 0,
        .time_slice_usec = flags & 4 ? 30 * USEC_PER_SEC : 0,
        .no_progress_timeout_usec = flags & 8 ? 0 : 14 * USEC_PER_DAY,
        .method = (enum session_method)(more % 3),
        .lenient_ack = flags & 16,
        .restart_on_ambiguous = flags & 32,
        .reply_strict = flags & 64,
        .at_most_once = flags & 128,
        .ping_first = flags & 256,
        .source_restart = flags & 512,
    };

    for (int i = 0; i < 4; i++)
        (void)take(&life->stream);
    session_init(&life->session, &parameters, NULL);
    life->now = (struct moment){.realtime_usec = UINT64_C(1700000000) * USEC_PER_SEC, .monotonic_usec = 1};
    life->connection = 1;
}

static bool is_line(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);

    if (!end)
        return false;
    for (const char *at = text; at < end; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}

static void check_request(struct life *life)
{
    const struct exchange_request *request = &life->out.request;
    const struct session_record *record = &life->session.record;
    const struct session_parameters *parameters = &life->session.parameters;
    enum exchange_kind kind = request->kind;

    CHECK(kind != EXCHANGE_NONE && kind == life->session.awaiting);
    CHECK(!life->cancelled || kind == EXCHANGE_CANCEL);
    CHECK(request->body_bytes == 0 || kind == EXCHANGE_FRAGMENT);
    CHECK(kind != EXCHANGE_CREATE || request->target == TARGET_ORIGIN);
    CHECK((request->target == TARGET_REPLY) == (kind == EXCHANGE_REPLY));
    CHECK(request->target != TARGET_HOST || request->host[0] != '\0');
    CHECK(request->host[0] == '\0' || strcmp(request->host, record->host_id) == 0);
    for (const char *line = request->headers; *line != '\0'; line += strlen(line) + 1)
        CHECK(is_line(line, EXCHANGE_HEADERS_MAX));
    if (kind == EXCHANGE_FRAGMENT) {
        CHECK(request->body_bytes > 0 && request->body_bytes <= FRAGMENT_MAX_BYTES);
        CHECK(request->body_offset < parameters->size_bytes);
        CHECK(request->body_bytes <= parameters->size_bytes - request->body_offset);
        CHECK(strcmp(life->durable.session_id, record->session_id) == 0);
    }
    if (kind == EXCHANGE_REPLY) {
        CHECK(parameters->wants_reply && request->reply_url[0] != '\0');
        CHECK(request->range_bytes > 0 && request->range_bytes <= REPLY_RANGE_BYTES);
        CHECK(record->offset == parameters->size_bytes);
    }
    if (kind == EXCHANGE_CLOSE) {
        CHECK(record->offset == parameters->size_bytes);
        CHECK(life->durable.close_attempted);
        CHECK(!parameters->wants_reply || record->reply_stored);
        life->close_sent = true;
    }
}

static void check_end(struct life *life)
{
    const struct session_output *out = &life->out;
    bool has_reason = out->failure.code != 0 && out->failure.name[0] != '\0' && out->failure.text[0] != '\0';

    switch (out->action) {
    case SESSION_ACTION_DONE:
        CHECK(life->close_sent && !life->cancelled && (out->confirmed || has_reason));
        life->ended = true;
        return;
    case SESSION_ACTION_GONE:
        CHECK(life->cancelled);
        life->ended = true;
        return;
    case SESSION_ACTION_FAIL:
    case SESSION_ACTION_WAIT:
        CHECK(has_reason && (out->action == SESSION_ACTION_WAIT || !life->cancelled));
        CHECK(out->retry_after_usec <= RETRY_AFTER_MAX_USEC);
        life->durable = life->session.record;
        return;
    case SESSION_ACTION_STORE_REPLY:
        CHECK(life->session.parameters.wants_reply && life->session.record.has_reply_total);
        CHECK(life->session.record.reply_offset == life->session.record.reply_total);
        return;
    case SESSION_ACTION_NONE:
    case SESSION_ACTION_SEND:
    case SESSION_ACTION_PERSIST:
    case SESSION_ACTION_IDLE:
    case SESSION_ACTION_RETAKE:
    case SESSION_ACTION_AWAY:
        return;
    }
}

/* Neither more requests than the guards allow, nor an attempt that waits for nothing. */
static void check_pace(struct life *life)
{
    const struct session *session = &life->session;
    const struct session_record *record = &session->record;

    CHECK(!session->running || session->awaiting != EXCHANGE_NONE || session->awaiting_commit ||
          session->awaiting_store);
    if (!session->running || record->high_offset > life->high_offset || record->reply_offset > life->reply_offset) {
        life->high_offset = record->high_offset;
        life->reply_offset = record->reply_offset;
        life->sends = 0;
    }
    /* An upload that rightly starts over may need as many Fragments as the first time: those that advance are free. */
    bool advances = record->session_high_offset > life->session_high_offset;
    life->session_high_offset = record->session_high_offset;
    life->sends += life->out.action == SESSION_ACTION_SEND && !advances;
    CHECK(life->sends < SENDS_WITHOUT_PROGRESS_MAX);
}

static void check(struct life *life)
{
    const struct session_record *record = &life->session.record;

    CHECK(!life->ended || life->out.action == SESSION_ACTION_NONE);
    CHECK(is_line(life->out.failure.text, sizeof(life->out.failure.text)));
    CHECK(record->offset <= life->session.parameters.size_bytes);
    CHECK(record->resent_bytes <= record->sent_bytes);
    CHECK(record->reply_offset <= record->reply_total && record->reply_total <= REPLY_MAX_BYTES);
    if (life->out.action == SESSION_ACTION_SEND)
        check_request(life);
    check_end(life);
    check_pace(life);
}

static void step(struct life *life, const struct session_input *in)
{
    session_step(&life->session, in, &life->out);
    check(life);
}

static void play_event(struct life *life, enum session_event event)
{
    static const int errors[] = {-EIO, -ENOENT, -EACCES, -ENOSPC, -ENODATA, -ETIMEDOUT, -ENOMEDIUM, -ENOMEM};
    unsigned choice = take(&life->stream);
    const struct session_input in = {
        .event = event,
        .now = life->now,
        .waited_usec = (uint64_t)choice * USEC_PER_HOUR,
        .source_error = errors[choice % ELEMENTS(errors)],
        .access_fault = choice & 8 ? "no such credential" : NULL,
        .access_may_heal = choice & 16,
    };

    if (event == SESSION_EVENT_PERSISTED && life->session.awaiting_commit)
        life->durable = life->session.record;
    if (event == SESSION_EVENT_CANCEL)
        life->cancelled = true;
    step(life, &in);
}

static void add_line(struct ack *ack, const char *line)
{
    ack_add_line(ack, line, strlen(line));
}

__attribute__((format(printf, 2, 3))) static void add_number(struct ack *ack, const char *format, ...)
{
    char line[200];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    add_line(ack, line);
}

static void add_offset(const struct life *life, struct ack *ack, unsigned choice)
{
    uint64_t due = life->session.record.offset + life->session.fragment_sent_bytes;
    const uint64_t offsets[] = {
        due, 0, life->session.record.offset, due / 2, life->session.parameters.size_bytes, due + 1, due & UINT32_MAX};

    if (choice % 8 == 7)
        add_line(ack, "BITS-Received-Content-Range: none");
    else
        add_number(ack, "BITS-Received-Content-Range: %llu", (unsigned long long)offsets[choice % 8]);
}

static void add_part(const struct life *life, struct exchange_outcome *outcome, unsigned choice)
{
    const struct session_record *record = &life->session.record;
    uint64_t total = record->has_reply_total ? record->reply_total : (uint64_t)choice * 40000;
    uint64_t first = life->out.request.range_first, bytes = life->out.request.range_bytes;

    if (first + bytes > total)
        bytes = first < total ? total - first : 0;
    outcome->received_bytes = bytes;
    if (bytes > 0)
        add_number(&outcome->ack, "Content-Range: bytes %llu-%llu/%llu", (unsigned long long)first,
                   (unsigned long long)(first + bytes - 1), (unsigned long long)total);
    else
        add_number(&outcome->ack, "Content-Range: bytes */%llu", (unsigned long long)total);
    add_number(&outcome->ack, "Content-Length: %llu", (unsigned long long)bytes);
}

/* Each bit of WHICH adds a header. */
static void add_headers(struct life *life, struct exchange_outcome *outcome, unsigned which, unsigned choice)
{
    static const char *const plain[] = {
        "BITS-Session-Id: {A0FF5911}",
        "BITS-Protocol: {7df0354d-249b-430f-820d-3d2a9bef4931}",
        "BITS-Host-Id: node7",
        "BITS-Host-Id-Fallback-Timeout: 600",
        "BITS-Reply-URL: Replies\\{7}\\r.bin",
        "BITS-Error-Code: 0x8020001F",
        "BITS-Error: 0x80200020",
        "BITS-Error-Context: 0x7",
        "WWW-Authenticate: Bearer",
        "Retry-After: 99999999",
        "Location: http://elsewhere.example/?secret",
        "ETag: \"1\"",
        "Transfer-Encoding: chunked",
        "BITS-Host-Id: http://a/b",
    };

    for (size_t i = 0; i < ELEMENTS(plain); i++)
        if (which & (1u << i))
            add_line(&outcome->ack, plain[i]);
    if (which & 0x4000)
        add_offset(life, &outcome->ack, choice);
    if (which & 0x8000)
        add_part(life, outcome, choice);
}

static void play_answer(struct life *life)
{
    static const int statuses[] = {200, 201, 204, 206, 301, 306, 400, 401, 403, 404, 405, 407,
                                   408, 409, 410, 413, 416, 429, 500, 501, 503, 505, 100, 600};
    unsigned status = take(&life->stream), which = take_word(&life->stream), choice = take(&life->stream),
             more = take(&life->stream);
    struct exchange_outcome outcome = {.heads_sent = 1, .elapsed_usec = (uint64_t)more * 200 * USEC_PER_MSEC};
    const struct session_input in = {
        .event = SESSION_EVENT_OUTCOME, .now = life->now, .outcome = &outcome, .refreshed = more & 1};

    life->connection += more >> 6 & 1;
    outcome.connection = life->connection;
    outcome.proxy_answered = more & 2;
    outcome.received_bytes = choice;
    ack_begin(&outcome.ack, statuses[status % ELEMENTS(statuses)]);
    if (!(status & 0x80))
        add_line(&outcome.ack, "BITS-Packet-Type: Ack");
    add_headers(life, &outcome, which, choice);
    step(life, &in);
}

static void play_loss(struct life *life)
{
    unsigned transport = take(&life->stream), more = take(&life->stream);
    struct exchange_outcome outcome = {
        .transport = (enum transport_result)(1 + transport % TRANSPORT_PROXY),
        .certificate = (enum certificate_fault)(more % (CERTIFICATE_OWN_AUTHORITY + 1)),
        .heads_sent = more % 3,
        .source_error = more & 4 ? -EIO : -ENOENT,
        .connection = ++life->connection,
        .text = "in the transport's words",
    };
    const struct session_input in = {.event = SESSION_EVENT_OUTCOME, .now = life->now, .outcome = &outcome};

    ack_begin(&outcome.ack, more & 8 ? 206 : 0);
    step(life, &in);
}

/* What a right server and a sound disk would do now, so that a short input comes far. */
static void play_on(struct life *life)
{
    struct exchange_outcome outcome = {.heads_sent = 1, .connection = life->connection, .elapsed_usec = USEC_PER_MSEC};
    struct session_input in = {.event = SESSION_EVENT_OUTCOME, .now = life->now, .outcome = &outcome};
    bool is_reply = life->session.awaiting == EXCHANGE_REPLY;

    ack_begin(&outcome.ack, is_reply ? 206 : 200);
    add_line(&outcome.ack, "BITS-Packet-Type: Ack");
    if (is_reply)
        add_part(life, &outcome, 100);
    else if (life->session.awaiting == EXCHANGE_CREATE)
        add_line(&outcome.ack, "BITS-Session-Id: x");
    else if (life->session.awaiting == EXCHANGE_FRAGMENT)
        add_offset(life, &outcome.ack, 0);
    if (life->session.awaiting_commit) {
        life->durable = life->session.record;
        in.event = SESSION_EVENT_PERSISTED;
    } else if (life->session.awaiting_store) {
        in.event = SESSION_EVENT_REPLY_STORED;
    } else if (!life->session.running) {
        in.event = SESSION_EVENT_START;
    }
    step(life, &in);
}

/* The daemon is killed: what is durable is left. */
static void restart(struct life *life)
{
    const struct session_parameters parameters = life->session.parameters;

    if (life->ended)
        return;
    if (life->cancelled && life->durable.cancel_requested_usec == 0)
        life->durable.cancel_requested_usec = 1; /* the queue noted the wish before it was told */
    session_init(&life->session, &parameters, &life->durable);
    life->session.after_restart = life->durable.session_id[0] != '\0';
    memset(&life->out, 0, sizeof(life->out));
    life->high_offset = life->session_high_offset = life->reply_offset = 0;
    life->sends = 0;
}

static void play(struct life *life)
{
    static const enum session_event events[] = {SESSION_EVENT_START,         SESSION_EVENT_PERSISTED,
                                                SESSION_EVENT_SUSPEND,       SESSION_EVENT_YIELD,
                                                SESSION_EVENT_CANCEL,        SESSION_EVENT_SOURCE_CHANGED,
                                                SESSION_EVENT_SOURCE_FAILED, SESSION_EVENT_ACCESS_FAILED,
                                                SESSION_EVENT_REPLY_STORED,  SESSION_EVENT_REPLY_FAILED};
    unsigned what = take(&life->stream) % 16;
    uint64_t passed;

    if (what < ELEMENTS(events)) {
        play_event(life, events[what]);
        return;
    }
    switch (what) {
    case 10:
    case 11:
        play_answer(life);
        return;
    case 12:
        play_loss(life);
        return;
    case 13:
        passed = (uint64_t)take_word(&life->stream) * USEC_PER_MIN;
        life->now.monotonic_usec += passed;
        life->now.realtime_usec += passed;
        return;
    case 14:
        restart(life);
        return;
    default:
        play_on(life);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct life *life = calloc(1, sizeof(*life));

    if (!life)
        return 0;
    life->stream = (struct stream){.data = data, .size = size};
    begin(life);
    while (life->stream.size > 0)
        play(life);
    free(life);
    return 0;
}
