/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers of a hostile server. The input is the number of a status line, then header lines; a line "=NNN" begins
 * another response, as the one after a 100 or a 401 does:
 *
 *     200
 *     BITS-Packet-Type: Ack
 *     =503
 *     Retry-After: 5
 *
 * What was read is then given to a session that waits for an Ack to each packet in turn.
 */
#include "fuzz.h"

#include "core/proto.h"
#include "core/session.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

static int read_status(const char *text, size_t length)
{
    int status = 0;

    for (size_t i = 0; i < length && i < 3 && text[i] >= '0' && text[i] <= '9'; i++)
        status = status * 10 + (text[i] - '0');
    return status;
}

static void read_response(struct ack *ack, const char *text, size_t size)
{
    bool first = true;

    ack_begin(ack, 0);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;
        if (first)
            ack_begin(ack, read_status(text, length));
        else if (length > 0 && text[0] == '=')
            ack_begin(ack, read_status(text + 1, length - 1));
        else
            ack_add_line(ack, text, length);
        first = false;
        text += length + (end != NULL);
        size -= length + (end != NULL);
    }
}

static bool is_text(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);

    if (!end)
        return false;
    for (const char *at = text; at < end; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}

static void check_ack(const struct ack *ack)
{
    CHECK(is_text(ack->session_id, sizeof(ack->session_id)));
    CHECK(ack->has_session_id == (ack->session_id[0] != '\0'));
    CHECK(is_text(ack->host_id, sizeof(ack->host_id)));
    CHECK(memchr(ack->reply_url, '\0', sizeof(ack->reply_url)));
    CHECK(memchr(ack->location, '\0', sizeof(ack->location)));
    CHECK(memchr(ack->server, '\0', sizeof(ack->server)));
    CHECK(is_text(ack->protocol, sizeof(ack->protocol)));
    CHECK(is_text(ack->schemes, sizeof(ack->schemes)));
    CHECK(memchr(ack->etag, '\0', sizeof(ack->etag)));
    CHECK(memchr(ack->last_modified, '\0', sizeof(ack->last_modified)));
    CHECK(!ack->has_range || (ack->has_content_range && ack->range_first <= ack->range_last));
    CHECK(!ack->host_id_is_valid || (ack->has_host_id && !strpbrk(ack->host_id, "/@ \\?#%")));
    CHECK(!ack->has_next || !ack->has_bad_next);
    CHECK(ack->retry_after_usec == 0 || ack->retry_after_realtime_usec == 0);
    CHECK(ack->too_large || (ack->header_count <= HEADER_COUNT_MAX && ack->header_bytes <= HEADER_BYTES_MAX));
}

static void check_output(const struct session *session, const struct session_output *out)
{
    CHECK(is_text(out->failure.text, sizeof(out->failure.text)));
    CHECK(session->record.offset <= session->parameters.size_bytes);
    if (out->action != SESSION_ACTION_SEND)
        return;
    CHECK(out->request.kind == session->awaiting);
    CHECK(out->request.body_offset + out->request.body_bytes <= session->parameters.size_bytes);
    for (const char *line = out->request.headers; *line != '\0'; line += strlen(line) + 1)
        CHECK(is_text(line, EXCHANGE_HEADERS_MAX));
}

/* The same answer again and again, until the attempt ends. */
static void play_session(const struct ack *ack, enum session_phase phase)
{
    const struct session_parameters parameters = {.size_bytes = 1000000,
                                                  .fragment_max_bytes = FRAGMENT_MAX_BYTES,
                                                  .no_progress_timeout_usec = UINT64_MAX,
                                                  .wants_reply = phase == SESSION_REPLY};
    struct session_record record = {.phase = phase, .session_id = "x", .offset = 5000};
    struct exchange_outcome outcome = {.ack = *ack, .heads_sent = 1, .connection = 1};
    struct session_input in = {.event = SESSION_EVENT_START, .outcome = &outcome};
    struct session session;
    struct session_output out;

    if (phase == SESSION_CANCEL)
        record.cancel_requested_usec = 1;
    if (phase == SESSION_COMPLETE || phase == SESSION_REPLY)
        record.offset = parameters.size_bytes;
    if (phase == SESSION_REPLY)
        record.reply_url[0] = 'r';
    if (phase == SESSION_CREATE)
        record = (struct session_record){0};
    session_init(&session, &parameters, &record);
    for (int i = 0; i < 2000; i++) {
        session_step(&session, &in, &out);
        check_output(&session, &out);
        if (out.action != SESSION_ACTION_SEND && out.action != SESSION_ACTION_PERSIST)
            return;
        in.event = out.action == SESSION_ACTION_SEND ? SESSION_EVENT_OUTCOME : SESSION_EVENT_PERSISTED;
    }
    abort(); /* one attempt must not go on for ever, whatever the server says */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ack ack;

    read_response(&ack, (const char *)data, size);
    check_ack(&ack);
    for (int phase = SESSION_CREATE; phase <= SESSION_REPLY; phase++)
        play_session(&ack, (enum session_phase)phase);
    return 0;
}
