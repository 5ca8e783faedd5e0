/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/player.h"

#include "support/unit.h"

#include <stdio.h>
#include <string.h>

void player_init(struct player *player, uint64_t size_bytes)
{
    const struct session_parameters parameters = {
        .size_bytes = size_bytes,
        .fragment_min_bytes = 64 * KIB,
        .fragment_max_bytes = FRAGMENT_MAX_BYTES,
        .fragment_floor_bytes = FRAGMENT_FLOOR_BYTES,
        .time_slice_usec = 5 * USEC_PER_MIN,
        .connect_timeout_usec = 30 * USEC_PER_SEC,
        .send_timeout_usec = 2 * USEC_PER_MIN,
        .response_timeout_usec = 5 * USEC_PER_MIN,
        .no_progress_timeout_usec = 14 * USEC_PER_DAY,
        .content_name = "a.bin",
    };

    memset(player, 0, sizeof(*player));
    session_init(&player->session, &parameters, NULL);
    player->now = (struct moment){.realtime_usec = UINT64_C(1700000000) * USEC_PER_SEC, .monotonic_usec = 1000};
    player->outcome.connection = 1;
    player->outcome.heads_sent = 1;
    player->outcome.elapsed_usec = 20 * USEC_PER_MSEC;
}

void player_reload(struct player *player)
{
    const struct session_parameters parameters = player->session.parameters;
    const struct session_record record = player->session.record;

    session_init(&player->session, &parameters, &record);
    player->session.after_restart = record.session_id[0] != '\0';
    player->outcome.connection++;
}

void player_event(struct player *player, enum session_event event)
{
    const struct session_input in = {.event = event,
                                     .now = player->now,
                                     .outcome = &player->outcome,
                                     .refreshed = player->refreshed,
                                     .access_fault = player->access_fault,
                                     .access_may_heal = player->access_may_heal,
                                     .source_error = player->source_error};

    session_step(&player->session, &in, &player->out);
}

static void add_lines(struct ack *ack, const char *lines)
{
    while (*lines != '\0') {
        size_t length = strcspn(lines, "\n");
        ack_add_line(ack, lines, length);
        lines += length + (lines[length] == '\n');
    }
}

void player_answer(struct player *player, int status, const char *headers)
{
    player->outcome.transport = TRANSPORT_OK;
    ack_begin(&player->outcome.ack, status);
    add_lines(&player->outcome.ack, headers);
    player_event(player, SESSION_EVENT_OUTCOME);
}

void player_ack(struct player *player, int status, const char *headers)
{
    player->outcome.transport = TRANSPORT_OK;
    ack_begin(&player->outcome.ack, status);
    add_lines(&player->outcome.ack, "BITS-Packet-Type: Ack");
    add_lines(&player->outcome.ack, headers);
    player_event(player, SESSION_EVENT_OUTCOME);
}

void player_lose(struct player *player, enum transport_result transport, unsigned heads_sent)
{
    unsigned heads_before = player->outcome.heads_sent;

    ack_begin(&player->outcome.ack, 0);
    player->outcome.transport = transport;
    player->outcome.heads_sent = heads_sent;
    player_event(player, SESSION_EVENT_OUTCOME);
    player->outcome.transport = TRANSPORT_OK;
    player->outcome.heads_sent = heads_before;
}

void player_part(struct player *player, uint64_t first, uint64_t last, uint64_t total, const char *headers)
{
    char lines[400];

    (void)snprintf(lines, sizeof(lines), "Content-Range: bytes %llu-%llu/%llu\nContent-Length: %llu\n%s",
                   (unsigned long long)first, (unsigned long long)last, (unsigned long long)total,
                   (unsigned long long)(last - first + 1), headers);
    player->outcome.received_bytes = last - first + 1;
    player_answer(player, 206, lines);
}

void player_whole(struct player *player, uint64_t total, const char *headers)
{
    char lines[400];

    (void)snprintf(lines, sizeof(lines), "Content-Length: %llu\n%s", (unsigned long long)total, headers);
    player->outcome.received_bytes = total;
    player_answer(player, 200, lines);
}

void player_pass(struct player *player, uint64_t usec)
{
    player->now.monotonic_usec += usec;
    player->now.realtime_usec += usec;
}

void player_open(struct player *player, uint64_t size_bytes)
{
    player_init(player, size_bytes);
    player_event(player, SESSION_EVENT_START);
    assert_sends(player, CREATE);
    player_ack(player, 200, "BITS-Session-Id: " PLAYER_ID "\nBITS-Protocol: " BITS_PROTOCOL_GUID);
    assert_action(player, PERSIST);
    player_event(player, SESSION_EVENT_PERSISTED);
}

void player_open_reply(struct player *player)
{
    player_init(player, 1000);
    player->session.parameters.wants_reply = true;
    player_event(player, SESSION_EVENT_START);
    player_ack(player, 200, "BITS-Session-Id: " PLAYER_ID);
    player_event(player, SESSION_EVENT_PERSISTED);
    assert_fragment(player, 0, 999);
    player_ack(player, 200, NEXT(1000) "\nBITS-Reply-URL: replies\\7.bin");
    assert_sends(player, REPLY);
}

void player_reach_close(struct player *player)
{
    char next[64];

    while (player->out.action == SESSION_ACTION_SEND && player->out.request.kind == EXCHANGE_FRAGMENT) {
        uint64_t end = player->out.request.body_offset + player->out.request.body_bytes;
        (void)snprintf(next, sizeof(next), "BITS-Received-Content-Range: %llu", (unsigned long long)end);
        player_ack(player, 200, next);
    }
    assert_action(player, PERSIST);
    player_event(player, SESSION_EVENT_PERSISTED);
    assert_sends(player, CLOSE);
}

const char *player_header(const struct player *player, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = player->out.request.headers; *line != '\0'; line += strlen(line) + 1)
        if (strncmp(line, name, length) == 0 && strncmp(line + length, ": ", 2) == 0)
            return line + length + 2;
    return NULL;
}

const char *player_kind_name(enum exchange_kind kind)
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
