/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every situation of a session with every event, as a table that a reader can review: tests/model/session.table.
 * `test_session_table --print` writes it anew; the difference is then part of the change that caused it.
 */
#include "support/unit.h"

#include "support/player.h"

#include "base/cleanup.h"
#include "base/moment.h"

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

static void go_drop_to_retake(struct player *p)
{
    go_fragment(p);
    p->session.parameters.source_restart = true;
    player_event(p, SESSION_EVENT_SOURCE_CHANGED);
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

static void go_host_ping(struct player *p)
{
    go_create(p);
    player_ack(p, 200, "BITS-Session-Id: " PLAYER_ID "\nBITS-Host-Id: node7\nBITS-Host-Id-Fallback-Timeout: 60");
    player_event(p, SESSION_EVENT_PERSISTED);
}

static void go_host(struct player *p)
{
    go_host_ping(p);
    p->outcome.connection++;
    player_ack(p, 200, "");
}

static void go_host_down(struct player *p)
{
    go_host(p);
    player_lose(p, TRANSPORT_CONNECT, 0);
    player_pass(p, USEC_PER_MIN);
    const struct session_input in = {.event = SESSION_EVENT_START, .now = p->now, .waited_usec = USEC_PER_MIN};
    session_step(&p->session, &in, &p->out);
}

static void go_tail(struct player *p)
{
    player_init(p, 1000);
    p->session.parameters.wants_reply = true;
    player_event(p, SESSION_EVENT_START);
    player_ack(p, 200, "BITS-Session-Id: " PLAYER_ID);
    player_event(p, SESSION_EVENT_PERSISTED);
    player_ack(p, 200, NEXT(1000));
}

static void go_reply(struct player *p)
{
    player_open_reply(p);
    player_part(p, 0, MIB - 1, 3 * MIB, "ETag: \"1\"");
}

static void go_reply_at_host(struct player *p)
{
    player_init(p, 1000);
    p->session.parameters.wants_reply = true;
    player_event(p, SESSION_EVENT_START);
    player_ack(p, 200, "BITS-Session-Id: " PLAYER_ID "\nBITS-Host-Id: node7");
    player_event(p, SESSION_EVENT_PERSISTED);
    player_ack(p, 200, "");
    player_ack(p, 200, NEXT(1000) "\nBITS-Reply-URL: r");
}

static void go_store(struct player *p)
{
    player_open_reply(p);
    player_part(p, 0, 9, 10, "");
}

static void go_close_after_reply(struct player *p)
{
    go_store(p);
    player_event(p, SESSION_EVENT_REPLY_STORED);
    player_event(p, SESSION_EVENT_PERSISTED);
}

static void go_cancel_reply(struct player *p)
{
    go_reply(p);
    player_event(p, SESSION_EVENT_CANCEL);
}

static void go_ping_first(struct player *p)
{
    player_init(p, SIZE);
    p->session.parameters.ping_first = true;
    player_event(p, SESSION_EVENT_START);
}

struct situation {
    const char *name;
    void (*go)(struct player *player);
};

static const struct situation plain[] = {
    {"new", go_new},         {"Create", go_create},
    {"save id", go_save_id}, {"Ping", go_ping},
    {"Frag", go_fragment},   {"Frag/2nd", go_fragment_elsewhere},
    {"Frag/end", go_last},   {"save cls", go_save_close},
    {"Close", go_close},     {"Close/2", go_close_again},
    {"drop>new", go_drop},   {"drop>fail", go_drop_to_fail},
    {"Cancel", go_cancel},   {"paused", go_paused},
    {"done", go_done},
};

static const struct situation further[] = {
    {"Ping 1st", go_ping_first},      {"Ping/host", go_host_ping}, {"Frag/host", go_host},
    {"host down", go_host_down},      {"tail", go_tail},           {"Reply", go_reply},
    {"Rep/host", go_reply_at_host},   {"store", go_store},         {"Close/rep", go_close_after_reply},
    {"Canc/rep", go_cancel_reply},

    {"drop>anew", go_drop_to_retake},
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
    bool refreshed;  /* a new token has been had */
    bool may_heal;   /* the credentials may come */
    const char *tag; /* of a part of the reply; NULL = the answer is none */
};

#define EVENT(name, which)                   \
    {                                        \
        name, .event = SESSION_EVENT_##which \
    }
#define SOURCE(name, error)                                                 \
    {                                                                       \
        name, .event = SESSION_EVENT_SOURCE_FAILED, .source_error = (error) \
    }
#define UNSTORED(name, error)                                              \
    {                                                                      \
        name, .event = SESSION_EVENT_REPLY_FAILED, .source_error = (error) \
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
#define RENEWED(name, code)                                                        \
    {                                                                              \
        name, .event = SESSION_EVENT_OUTCOME, .status = (code), .refreshed = true, \
              .headers = "WWW-Authenticate: Bearer"                                \
    }
#define PART(name, etag)                                                   \
    {                                                                      \
        name, .event = SESSION_EVENT_OUTCOME, .status = 206, .tag = (etag) \
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
    SOURCE("source not mounted", -ENOMEDIUM),
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
    LOST("no proxy", PROXY, 0),
    LOST("host or reply refused", URL, 0),
    LOST("not authenticated", UNAUTHENTICATED, 0),
    EVENT("no credentials", ACCESS_FAILED),
    {"no credentials yet", .event = SESSION_EVENT_ACCESS_FAILED, .may_heal = true},
    RENEWED("401, token renewed", 401),
    RENEWED("500, token renewed", 500),
    ACK("200 id, host-id is none", 200, "BITS-Session-Id: second\nBITS-Host-Id: a/b"),
    ACK("200 next, reply URL", 200, EXPECTED "\nBITS-Reply-URL: r"),
    PART("206 the part due", "ETag: \"1\""),
    PART("206 of another reply", "ETag: \"2\""),
    ANSWER("206 another part", 206, "Content-Range: bytes 5-9/100"),
    ANSWER("200 whole reply", 200, "Content-Length: 100"),
    ANSWER("200 whole, too long", 200, "Content-Length: 100000000"),
    ANSWER("410", 410, ""),
    ANSWER("416 empty reply", 416, "Content-Range: bytes */0"),
    EVENT("reply stored", REPLY_STORED),
    UNSTORED("not stored: disk full", -ENOSPC),
    UNSTORED("not stored: forbidden", -EACCES),
    UNSTORED("not stored: vanished", -ENODATA),
};

/* The part of the reply that was asked for. */
static void play_part(struct player *p, const char *tag)
{
    const struct exchange_request *request = &p->out.request;
    uint64_t total = p->session.record.has_reply_total ? p->session.record.reply_total : 3 * MIB;

    player_part(p, request->range_first,
                request->range_first + (request->range_bytes > 0 ? request->range_bytes : 1) - 1, total, tag);
}

static void play(struct player *p, const struct line *line)
{
    char expected[160];
    const char *headers = line->headers ? line->headers : "";

    p->source_error = line->source_error;
    p->refreshed = line->refreshed;
    p->access_may_heal = line->may_heal;
    p->outcome.received_bytes = 100;
    if (line->event != SESSION_EVENT_OUTCOME) {
        player_event(p, line->event);
        return;
    }
    if (line->tag) {
        play_part(p, line->tag);
        return;
    }
    if (line->transport != TRANSPORT_OK) {
        player_lose(p, line->transport, line->heads);
        return;
    }
    if (strncmp(headers, EXPECTED, strlen(EXPECTED)) == 0) {
        uint64_t next = p->session.record.offset + p->session.fragment_sent_bytes;
        (void)snprintf(expected, sizeof(expected), "BITS-Received-Content-Range: %llu%s", (unsigned long long)next,
                       headers + strlen(EXPECTED));
        headers = expected;
    }
    if (line->ack)
        player_ack(p, line->status, headers);
    else
        player_answer(p, line->status, headers);
}

static const char *action_name(const struct session_output *out)
{
    switch (out->action) {
    case SESSION_ACTION_NONE:
        return ".";
    case SESSION_ACTION_SEND:
        return player_kind_name(out->request.kind);
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
    case SESSION_ACTION_RETAKE:
        return "anew";
    case SESSION_ACTION_AWAY:
        return "away";
    case SESSION_ACTION_STORE_REPLY:
        return "store";
    }
    return "?";
}

/*
 * "Frag<": a shorter fragment. "Ping@": to the session's own host. "wait*": the session is forgotten. "Cancel!": the
 * exchange under way is aborted.
 */
static void write_cell(FILE *to, const struct situation *situation, const struct line *line, bool is_last)
{
    struct player p;
    char cell[16];

    situation->go(&p);
    bool had_session = p.session.record.session_id[0] != '\0';
    uint64_t sent = p.session.fragment_sent_bytes;
    play(&p, line);
    bool is_fragment = p.out.action == SESSION_ACTION_SEND && p.out.request.kind == EXCHANGE_FRAGMENT;
    bool is_shorter = is_fragment && p.session.fragment_sent_bytes < sent;
    bool forgot = had_session && strcmp(p.session.record.session_id, PLAYER_ID) != 0;
    bool is_at_host = p.out.action == SESSION_ACTION_SEND && p.out.request.host[0] != '\0';
    (void)snprintf(cell, sizeof(cell), "%s%s%s%s%s", action_name(&p.out), is_shorter ? "<" : "", is_at_host ? "@" : "",
                   forgot ? "*" : "", p.out.abort_exchange ? "!" : "");
    (void)fprintf(to, is_last ? "%s\n" : "%-10s", cell);
}

static void write_half(FILE *to, const struct situation *situations, size_t count)
{
    (void)fprintf(to, "\n%-26s", "");
    for (size_t i = 0; i < count; i++)
        (void)fprintf(to, i + 1 == count ? "%s\n" : "%-10s", situations[i].name);
    for (size_t i = 0; i < ELEMENTS(lines); i++) {
        (void)fprintf(to, "%-26s", lines[i].name);
        for (size_t j = 0; j < count; j++)
            write_cell(to, &situations[j], &lines[i], j + 1 == count);
    }
}

static void write_table(FILE *to)
{
    (void)fputs(
        "# SPDX-License-Identifier: LGPL-2.1-or-later\n"
        "# Made by test_session_table --print. Columns: what is under way when the event of the line comes.\n"
        "# Cells: the request that is sent next, or save (PERSIST), wait, idle, DONE, DONE? (unconfirmed), FAIL,\n"
        "# GONE, away, anew (RETAKE), . (nothing). Marks: < a shorter fragment, @ to the session's own host, * the "
        "session "
        "is forgotten,\n"
        "# ! the exchange is aborted.\n"
        "#\n"
        "# Frag/2nd: the first fragment over another TCP connection. Frag/end: the last one. save id, save cls:\n"
        "# the disk is written. Close/2: after a Close-Session of unknown fate. drop: a best-effort\n"
        "# Cancel-Session, after which the session begins anew or the job fails.\n"
        "#\n"
        "# Below, Ping 1st: the Ping of a job whose scheme binds to the connection. /host: the server named a host\n"
        "# for the session; host down: it was out of reach for longer than it said one shall wait. tail: the last\n"
        "# byte once more, to learn where the reply is. Reply: its second part. store: it goes to its place. anew: of\n"
        "# a job whose file is uploaded anew when it changes.\n",
        to);
    write_half(to, plain, ELEMENTS(plain));
    write_half(to, further, ELEMENTS(further));
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
    assert_true(!session->running || session->awaiting != EXCHANGE_NONE || session->awaiting_commit ||
                session->awaiting_store);
    assert_true(p->out.action != SESSION_ACTION_RETAKE || session->record.session_id[0] == '\0');
    assert_true(!session->awaiting_store || (session->running && session->awaiting == EXCHANGE_NONE));
    assert_true(session->record.offset <= session->parameters.size_bytes);
    if (p->out.action == SESSION_ACTION_WAIT || p->out.action == SESSION_ACTION_FAIL)
        assert_true(p->out.failure.text[0] != '\0');
}

static void play_any_two_events(const struct situation *situation)
{
    struct player start, first, second;

    situation->go(&start);
    for (size_t i = 0; i < ELEMENTS(lines); i++) {
        first = start;
        play(&first, &lines[i]);
        assert_consistent(&first);
        for (size_t j = 0; j < ELEMENTS(lines); j++) {
            second = first;
            play(&second, &lines[j]);
            assert_consistent(&second);
        }
    }
}

static void after_any_two_events_the_machine_is_consistent(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(plain); i++)
        play_any_two_events(&plain[i]);
    for (size_t i = 0; i < ELEMENTS(further); i++)
        play_any_two_events(&further[i]);
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
