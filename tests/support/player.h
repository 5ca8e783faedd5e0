/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays the runner, the disk and the server to one upload session, so that a test reads as a conversation:
 *
 *     player_open(&p, 10000);                      START, Create-Session acknowledged, session id durable
 *     assert_fragment(&p, 0, 9999);                what the session sends now
 *     player_ack(&p, 200, NEXT(10000));            the answer of the server, with BITS-Packet-Type: Ack
 *     player_event(&p, SESSION_EVENT_PERSISTED);
 */
#pragma once

#include "core/proto.h"
#include "core/session.h"

struct player {
    struct session session;
    struct session_output out;
    struct exchange_outcome outcome; /* connection, heads_sent and elapsed_usec are a test's to set */
    struct moment now;
    bool refreshed; /* as in struct session_input, and so are these: */
    const char *access_fault;
    bool access_may_heal;
    int source_error;
};

#define NEXT(offset) "BITS-Received-Content-Range: " #offset
#define CODE(hex)    "BITS-Error-Code: " #hex
#define CONTEXT(hex) "BITS-Error-Context: " #hex
#define PLAYER_ID    "{A0FF5911-4144-45B3-BF27-27AFC8EC8A67}"

/* A session with the bounds that the daemon has by default, for a file of SIZE bytes; nothing has happened yet. */
void player_init(struct player *player, uint64_t size_bytes);

/* As after a restart of the daemon: only the record is left. */
void player_reload(struct player *player);

void player_event(struct player *player, enum session_event event);

/* HEADERS are lines separated by \n, or "". player_ack() adds the packet type. */
void player_answer(struct player *player, int status, const char *headers);
void player_ack(struct player *player, int status, const char *headers);

/* The exchange ended below HTTP; HEADS times the request's head had gone out. */
void player_lose(struct player *player, enum transport_result transport, unsigned heads_sent);

/* 206 with the bytes FIRST to LAST of TOTAL; HEADERS as above. */
void player_part(struct player *player, uint64_t first, uint64_t last, uint64_t total, const char *headers);

/* 200 with a whole reply of TOTAL bytes. */
void player_whole(struct player *player, uint64_t total, const char *headers);

void player_pass(struct player *player, uint64_t usec);

/* START, Create-Session acknowledged, session id durable: the first Fragment is under way. */
void player_open(struct player *player, uint64_t size_bytes);

/* As player_open(), for a job that wants a reply: all bytes are acknowledged, the first GET is under way. */
void player_open_reply(struct player *player);

/* All bytes acknowledged and that durable: Close-Session is under way. */
void player_reach_close(struct player *player);

/* The value of a header of the request that was sent last, or NULL. */
const char *player_header(const struct player *player, const char *name);

const char *player_kind_name(enum exchange_kind kind); /* "Frag" */

#define assert_action(p, wanted) assert_int_equal((p)->out.action, SESSION_ACTION_##wanted)

#define assert_sends(p, wanted)                                     \
    do {                                                            \
        assert_int_equal((p)->out.action, SESSION_ACTION_SEND);     \
        assert_int_equal((p)->out.request.kind, EXCHANGE_##wanted); \
        assert_int_equal((p)->session.awaiting, EXCHANGE_##wanted); \
    } while (0)

#define assert_fragment(p, first, last)                                      \
    do {                                                                     \
        assert_sends(p, FRAGMENT);                                           \
        assert_int_equal((p)->out.request.body_offset, (first));             \
        assert_int_equal((p)->out.request.body_bytes, (last) - (first) + 1); \
    } while (0)

#define assert_failure(p, wanted_action, wanted_code)                      \
    do {                                                                   \
        assert_int_equal((p)->out.action, SESSION_ACTION_##wanted_action); \
        assert_int_equal((p)->out.failure.code, (wanted_code));            \
        assert_true((p)->out.failure.name[0] != '\0');                     \
        assert_true((p)->out.failure.text[0] != '\0');                     \
    } while (0)
