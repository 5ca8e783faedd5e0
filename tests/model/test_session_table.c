/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every situation of a session with every event, as a table that a reader can review: tests/model/session.table.
 * `test_session_table --print` writes it anew; the difference is then part of the change that caused it.
 */
#include "support/unit.h"

#include "support/player.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIZE (10 * MIB)

/* Situations: the columns. */

static void go_new(struct player *p)
{
    player_init(p, SIZE);
}

static void go_create(struct player *p)
{
    player_init(p, SIZE);
    player_event(p, SESSION_EVENT_START);
}

static void go_save_id(struct player *p)
{
    go_create(p);
    player_ack(p, 200, "BITS-Session-Id: " PLAYER_ID);
}

static void go_fragment(struct player *p)
{
    player_open(p, SIZE);
    player_ack(p, 200, NEXT(262144));
}

static void go_ping(struct player *p)
{
    go_fragment(p);
    player_lose(p, TRANSPORT_CONNECTION_LOST, 1);
    p->outcome.connection++;
    player_event(p, SESSION_EVENT_START);
}

static void go_fragment_elsewhere(struct player *p)
{
    go_ping(p);
    player_ack(p, 200, "");
}

static void go_last(struct player *p)
{
    player_open(p, 1000);
}

static void go_save_close(struct player *p)
{
    go_last(p);
    player_ack(p, 200, NEXT(1000));
}

static void go_close(struct player *p)
{
    go_save_close(p);
    player_event(p, SESSION_EVENT_PERSISTED);
}

static void go_close_again(struct player *p)
{
    go_close(p);
    player_lose(p, TRANSPORT_CONNECTION_LOST, 1);
    player_event(p, SESSION_EVENT_START);
    player_ack(p, 200, "");
}

static void go_drop(struct player *p)
{
    go_fragment(p);
    player_ack(p, 416, "");
}

static void go_drop_to_fail(struct player *p)
{
    go_fragment(p);
    player_ack(p, 500, CODE(0x80200020));
}

static void go_cancel(struct player *p)
{
    go_fragment(p);
    player_event(p, SESSION_EVENT_CANCEL);
}

static void go_paused(struct player *p)
{
    go_fragment(p);
    player_event(p, SESSION_EVENT_SUSPEND);
}

static void go_done(struct player *p)
{
    go_close(p);
    player_ack(p, 200, "");
}

static const struct {
    const char *name;
    void (*go)(struct player *player);
} situations[] = {
    {"new", go_new},         {"Create", go_create},
    {"save id", go_save_id}, {"Ping", go_ping},
    {"Frag", go_fragment},   {"Frag/2nd", go_fragment_elsewhere},
    {"Frag/end", go_last},   {"save cls", go_save_close},
    {"Close", go_close},     {"Close/2", go_close_again},
    {"drop>new", go_drop},   {"drop>fail", go_drop_to_fail},
    {"Cancel", go_cancel},   {"paused", go_paused},
    {"done", go_done},
};

/* Events: the lines. An outcome has a status or a transport error; EXPECTED stands for the offset that is due. */

#define EXPECTED "(expected)"

struct line {
    const char *name;
    enum session_event event;
    int source_error;
    enum transport_result transport;
    unsigned heads;
    int status;
    bool ack;
    const char *headers;
};

#define EVENT(name, which)                   \
    {                                        \
        name, .event = SESSION_EVENT_##which \
    }
#define SOURCE(name, error)                                                 \
    {                                                                       \
        name, .event = SESSION_EVENT_SOURCE_FAILED, .source_error = (error) \
    }
#define LOST(name, which, count)                                                               \
    {                                                                                          \
        name, .event = SESSION_EVENT_OUTCOME, .transport = TRANSPORT_##which, .heads = (count) \
    }
#define ACK(name, code, lines)                                                                  \
    {                                                                                           \
        name, .event = SESSION_EVENT_OUTCOME, .status = (code), .ack = true, .headers = (lines) \
    }
#define ANSWER(name, code, lines)                                                  \
    {                                                                              \
        name, .event = SESSION_EVENT_OUTCOME, .status = (code), .headers = (lines) \
    }
#define NOT_FOUND      CODE(0x8020001F)
#define BY_APPLICATION CODE(0x80004005) "\n" CONTEXT(0x7)

static const struct line lines[] = {
    EVENT("START", START),
    EVENT("PERSISTED", PERSISTED),
    EVENT("SUSPEND", SUSPEND),
    EVENT("YIELD", YIELD),
    EVENT("CANCEL", CANCEL),
    EVENT("source changed", SOURCE_CHANGED),
    SOURCE("source gone", -ENOENT),
    SOURCE("source unreadable", -EACCES),
    SOURCE("source: disk error", -EIO),
    SOURCE("source: out of memory", -ENOMEM),
    ACK("200 id", 200, "BITS-Session-Id: second"),
    ACK("200 id, other protocol", 200, "BITS-Session-Id: second\nBITS-Protocol: {0}"),
    ACK("200 id, host-id", 200, "BITS-Session-Id: second\nBITS-Host-Id: node7"),
    ACK("200 next as expected", 200, EXPECTED),
    ACK("201 next as expected", 201, EXPECTED),
    ACK("200 next smaller", 200, NEXT(10)),
    ACK("200 next over the size", 200, NEXT(10485761)),
    ACK("200 next unreadable", 200, NEXT(none)),
    ACK("200 nothing else", 200, ""),
    ACK("200 code 1, no next", 200, CODE(1)),
    ACK("200 not found, no next", 200, NOT_FOUND),
    ACK("202", 202, ""),
    ANSWER("200 no Ack", 200, "Content-Type: text/html"),
    ANSWER("204 no Ack", 204, ""),
    ANSWER("301", 301, "Location: http://elsewhere.example/"),
    ANSWER("306", 306, ""),
    ACK("400", 400, ""),
    ACK("400 code", 400, CODE(0x80070057)),
    ACK("400 not found", 400, NOT_FOUND),
    ACK("400 application", 400, BY_APPLICATION),
    ANSWER("401", 401, "WWW-Authenticate: Basic"),
    ACK("403", 403, ""),
    ACK("403 code", 403, CODE(0x80070005)),
    ACK("404", 404, ""),
    ACK("405", 405, ""),
    ANSWER("407", 407, "Proxy-Authenticate: Basic"),
    ACK("408", 408, ""),
    ACK("409", 409, ""),
    ACK("409 application", 409, BY_APPLICATION),
    ACK("413", 413, ""),
    ACK("413 application", 413, BY_APPLICATION),
    ACK("416 next smaller", 416, NEXT(10)),
    ACK("416 next at the end", 416, EXPECTED),
    ACK("416 next over the size", 416, NEXT(10485761)),
    ACK("416 no next", 416, ""),
    ACK("416 application, no next", 416, BY_APPLICATION),
    ACK("429 Retry-After", 429, "Retry-After: 60"),
    ACK("500", 500, ""),
    ANSWER("500 with a challenge", 500, "WWW-Authenticate: Basic"),
    ACK("500 not found", 500, NOT_FOUND),
    ACK("500 too large", 500, CODE(0x80200020)),
    ACK("500 disk full", 500, CODE(0x80070070)),
    ACK("500 application", 500, BY_APPLICATION),
    ACK("501", 501, ""),
    ACK("503 Retry-After", 503, "Retry-After: 60"),
    ACK("505", 505, ""),
    ACK("600", 600, ""),
    LOST("unknown name", RESOLVE, 0),
    LOST("no connection", CONNECT, 0),
    LOST("connection lost", CONNECTION_LOST, 1),
    LOST("lost before the head", CONNECTION_LOST, 0),
    LOST("no answer", RESPONSE_TIMEOUT, 1),
    LOST("no HTTP", MALFORMED, 1),
    LOST("certificate", CERTIFICATE, 0),
};

static void play(struct player *p, const struct line *line)
{
    char expected[80];
    const char *headers = line->headers ? line->headers : "";

    if (line->event != SESSION_EVENT_OUTCOME) {
        const struct session_input in = {.event = line->event, .now = p->now, .source_error = line->source_error};
        session_step(&p->session, &in, &p->out);
        return;
    }
    if (line->transport != TRANSPORT_OK) {
        player_lose(p, line->transport, line->heads);
        return;
    }
    if (strcmp(headers, EXPECTED) == 0) {
        uint64_t next = p->session.record.offset + p->session.fragment_sent_bytes;
        (void)snprintf(expected, sizeof(expected), "BITS-Received-Content-Range: %llu", (unsigned long long)next);
        headers = expected;
    }
    if (line->ack)
        player_ack(p, line->status, headers);
    else
        player_answer(p, line->status, headers);
}

static const char *kind_name(enum exchange_kind kind)
{
    switch (kind) {
    case EXCHANGE_NONE:
        return "?";
    case EXCHANGE_PING:
        return "Ping";
    case EXCHANGE_CREATE:
        return "Create";
    case EXCHANGE_FRAGMENT:
        return "Frag";
    case EXCHANGE_CLOSE:
        return "Close";
    case EXCHANGE_CANCEL:
        return "Cancel";
    case EXCHANGE_REPLY:
        return "Reply";
    }
    return "?";
}

static const char *action_name(const struct session_output *out)
{
    switch (out->action) {
    case SESSION_ACTION_NONE:
        return ".";
    case SESSION_ACTION_SEND:
        return kind_name(out->request.kind);
    case SESSION_ACTION_PERSIST:
        return "save";
    case SESSION_ACTION_WAIT:
        return "wait";
    case SESSION_ACTION_DONE:
        return out->confirmed ? "DONE" : "DONE?";
    case SESSION_ACTION_FAIL:
        return "FAIL";
    case SESSION_ACTION_GONE:
        return "GONE";
    case SESSION_ACTION_IDLE:
        return "idle";
    case SESSION_ACTION_STORE_REPLY:
        return "store";
    }
    return "?";
}

/* "Frag<": a shorter fragment. "wait*": the session is forgotten. "Cancel!": the exchange under way is aborted. */
static void write_cell(FILE *to, size_t situation, const struct line *line)
{
    struct player p;
    char cell[16];

    situations[situation].go(&p);
    bool had_session = p.session.record.session_id[0] != '\0';
    uint64_t sent = p.session.fragment_sent_bytes;
    play(&p, line);
    bool is_fragment = p.out.action == SESSION_ACTION_SEND && p.out.request.kind == EXCHANGE_FRAGMENT;
    bool is_shorter = is_fragment && p.session.fragment_sent_bytes < sent;
    bool forgot = had_session && strcmp(p.session.record.session_id, PLAYER_ID) != 0;
    (void)snprintf(cell, sizeof(cell), "%s%s%s%s", action_name(&p.out), is_shorter ? "<" : "", forgot ? "*" : "",
                   p.out.abort_exchange ? "!" : "");
    (void)fprintf(to, situation + 1 == ELEMENTS(situations) ? "%s\n" : "%-10s", cell);
}

static void write_table(FILE *to)
{
    (void)fputs(
        "# SPDX-License-Identifier: LGPL-2.1-or-later\n"
        "# Made by test_session_table --print. Columns: what is under way when the event of the line comes.\n"
        "# Cells: the request that is sent next, or save (PERSIST), wait, idle, DONE, DONE? (unconfirmed), FAIL,\n"
        "# GONE, . (nothing). Marks: < a shorter fragment, * the session is forgotten, ! the exchange is aborted.\n"
        "#\n"
        "# Frag/2nd: the first fragment over another TCP connection. Frag/end: the last one. save id, save cls:\n"
        "# the disk is written. Close/2: after a Close-Session of unknown fate. drop: a best-effort\n"
        "# Cancel-Session, after which the session begins anew or the job fails.\n\n",
        to);
    (void)fprintf(to, "%-26s", "");
    for (size_t i = 0; i < ELEMENTS(situations); i++)
        (void)fprintf(to, i + 1 == ELEMENTS(situations) ? "%s\n" : "%-10s", situations[i].name);
    for (size_t i = 0; i < ELEMENTS(lines); i++) {
        (void)fprintf(to, "%-26s", lines[i].name);
        for (size_t j = 0; j < ELEMENTS(situations); j++)
            write_cell(to, j, &lines[i]);
    }
}

static char *read_file(const char *path)
{
    _cleanup_free_ char *text = calloc(1, 64 * KIB);
    FILE *file = fopen(path, "re");

    if (!file || !text)
        return NULL;
    size_t length = fread(text, 1, 64 * KIB - 1, file);
    (void)fclose(file);
    text[length] = '\0';
    return TAKE_PTR(text);
}

static void every_state_with_every_event_does_what_the_table_says(void **state)
{
    _cleanup_free_ char *committed = read_file(SESSION_TABLE);
    char *printed = NULL;
    size_t length = 0;

    (void)state;
    FILE *memory = open_memstream(&printed, &length);
    assert_non_null(memory);
    write_table(memory);
    (void)fclose(memory);
    (void)fputs(printed, stdout);
    assert_non_null(committed);
    bool same = strcmp(committed, printed) == 0;
    free(printed);
    if (!same)
        print_error("The table differs from " SESSION_TABLE ": review, then write it anew with --print.\n");
    assert_true(same);
}

static void assert_consistent(const struct player *p)
{
    const struct session *session = &p->session;
    bool sends = p->out.action == SESSION_ACTION_SEND;

    assert_true(session->awaiting == EXCHANGE_NONE || session->running);
    assert_true(!sends || session->awaiting == p->out.request.kind);
    assert_true(!session->awaiting_commit || session->awaiting == EXCHANGE_NONE);
    /* An attempt that runs waits for something, always: else it would hang for ever. */
    assert_true(!session->running || session->awaiting != EXCHANGE_NONE || session->awaiting_commit);
    assert_true(session->record.offset <= session->parameters.size_bytes);
    if (p->out.action == SESSION_ACTION_WAIT || p->out.action == SESSION_ACTION_FAIL)
        assert_true(p->out.failure.text[0] != '\0');
}

static void after_any_two_events_the_machine_is_consistent(void **state)
{
    struct player start, first, second;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(situations); i++) {
        situations[i].go(&start);
        for (size_t j = 0; j < ELEMENTS(lines); j++) {
            first = start;
            play(&first, &lines[j]);
            assert_consistent(&first);
            for (size_t k = 0; k < ELEMENTS(lines); k++) {
                second = first;
                play(&second, &lines[k]);
                assert_consistent(&second);
            }
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_state_with_every_event_does_what_the_table_says),
    cmocka_unit_test(after_any_two_events_the_machine_is_consistent),
};

int main(int argc, char *argv[])
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        write_table(stdout);
        return 0;
    }
    cmocka_set_test_filter(getenv("BITSQ_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
