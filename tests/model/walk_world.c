/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "walk_world.h"

#include "support/unit.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NODE "node7"

uint64_t world_draw(struct world *world)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random;
}

bool world_chance(struct world *world, uint32_t of_1000)
{
    return world_draw(world) % 1000 < of_1000;
}

static bool one_in(struct world *world, uint64_t count)
{
    return world_draw(world) % count == 0;
}

static void draw_faults(struct world *world)
{
    struct faults *faults = &world->faults;
    /* A third of the lives is calm, a third is hard, a third is hopeless in one respect. */
    uint32_t scale = (uint32_t)(world_draw(world) % 3) * 40;
    uint32_t *chances[] = {&faults->lose_request, &faults->lose_ack, &faults->refuse_connection,
                           &faults->busy,         &faults->forget,   &faults->part,
                           &faults->rewind,       &faults->portal,   &faults->kill,
                           &faults->pause,        &faults->preempt,  &faults->node_dies,
                           &faults->expire,       &faults->change,   &faults->disk};

    for (size_t i = 0; i < ELEMENTS(chances); i++)
        *chances[i] = scale > 0 ? (uint32_t)(world_draw(world) % scale) : 0;
    if (scale == 80)
        *chances[world_draw(world) % 8] = 500 + (uint32_t)(world_draw(world) % 501);
    if (one_in(world, 3))
        faults->largest_bytes = 1000 + world_draw(world) % 300000;
    faults->too_large_status = one_in(world, 2) ? 413 : 404;
    faults->strict = one_in(world, 2);
    faults->named = !one_in(world, 4);
    faults->wants_reply = one_in(world, 3);
    faults->mute = one_in(world, 8);
    faults->whole = one_in(world, 8);
    faults->has_node = one_in(world, 3);
    faults->has_fallback = !one_in(world, 4);
    faults->silent = one_in(world, 8);
    faults->appends = one_in(world, 6);
    /* Whoever takes any 200 for an Ack takes that of a portal, too. */
    if (faults->silent)
        faults->portal = 0;
}

void world_begin(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int i = 0; i < 8; i++)
        (void)world_draw(world);
    draw_faults(world);
    world->size = one_in(world, 4) ? world_draw(world) % 3 : world_draw(world) % (8 * MIB);
    world->reply_size = one_in(world, 4) ? world_draw(world) % 3 : world_draw(world) % (4 * MIB);
    world_open(world);
}

void world_open(struct world *world)
{
    player_init(&world->player, world->size);
    struct session_parameters *parameters = &world->player.session.parameters;
    parameters->wants_reply = world->faults.wants_reply;
    parameters->lenient_ack = world->faults.silent;
    parameters->restart_on_ambiguous = world->faults.appends;
}

/* The server: answers into the outcome. */

static void answer(struct world *world, int status, const char *header)
{
    struct ack *ack = &world->player.outcome.ack;

    ack_begin(ack, status);
    if (!world->faults.silent)
        ack_add_line(ack, "BITS-Packet-Type: Ack", 21);
    if (header)
        ack_add_line(ack, header, strlen(header));
}

static void add(struct world *world, const char *header)
{
    ack_add_line(&world->player.outcome.ack, header, strlen(header));
}

static void answer_unknown(struct world *world)
{
    if (world->faults.named)
        answer(world, 500, CODE(0x8020001F));
    else
        answer(world, 404, NULL);
}

static void answer_offset(struct world *world, int status)
{
    char header[80];

    (void)snprintf(header, sizeof(header), "BITS-Received-Content-Range: %" PRIu64, world->stored);
    answer(world, status, header);
    if (world->faults.wants_reply && !world->faults.mute && world->stored == world->size)
        add(world, "BITS-Reply-URL: replies\\7.bin");
}

/* Only the session's own host knows it. */
static bool knows_session(const struct world *world)
{
    char id[32];
    const char *sent = player_header(&world->player, "BITS-Session-Id");
    bool is_at_node = world->player.out.request.target == TARGET_HOST;

    (void)snprintf(id, sizeof(id), "s%" PRIu64, world->session);
    assert_non_null(sent);
    return world->session != 0 && strcmp(sent, id) == 0 && is_at_node == world->faults.has_node;
}

static void serve_create(struct world *world)
{
    char header[64];

    assert_int_equal(world->player.out.request.target, TARGET_ORIGIN);
    world->session = ++world->sessions;
    world->stored = 0;
    world->corrupt = false;
    (void)snprintf(header, sizeof(header), "BITS-Session-Id: s%" PRIu64, world->session);
    answer(world, 200, header);
    if (!world->faults.has_node)
        return;
    world->node_is_down = false;
    add(world, "BITS-Host-Id: " NODE);
    if (world->faults.has_fallback)
        add(world, "BITS-Host-Id-Fallback-Timeout: 3600");
}

/* Returns whether the connection stays. */
static bool serve_fragment(struct world *world)
{
    uint64_t first = world->player.out.request.body_offset, bytes = world->player.out.request.body_bytes;

    if (world->faults.largest_bytes > 0 && bytes > world->faults.largest_bytes) {
        answer(world, world->faults.too_large_status, NULL);
        return true;
    }
    if (!knows_session(world)) {
        answer_unknown(world);
        return true;
    }
    bool overlaps = first < world->stored;
    if (first > world->stored || (world->faults.strict && overlaps && !world->faults.appends)) {
        answer_offset(world, 416);
        return true;
    }
    world->corrupt = world->corrupt || (overlaps && world->faults.appends);
    bool breaks = world_chance(world, world->faults.part);
    uint64_t end = first + (breaks ? world_draw(world) % (bytes + 1) : bytes);
    if (end > world->stored)
        world->stored = end;
    answer_offset(world, 200);
    return !breaks;
}

static void serve_close(struct world *world)
{
    if (!knows_session(world)) {
        answer_unknown(world);
        return;
    }
    world->published = true;
    world->published_bytes = world->stored;
    world->published_corrupt = world->corrupt;
    world->session = 0;
    answer(world, 200, NULL);
}

static void serve_cancel(struct world *world)
{
    if (!knows_session(world)) {
        answer_unknown(world);
        return;
    }
    world->session = 0;
    answer(world, 200, NULL);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The runner writes what came before it tells the session. */
static void write_draft(struct world *world, uint64_t offset, uint64_t bytes)
{
    if (offset == 0)
        world->draft_is_mixed = false;
    else
        world->draft_is_mixed = world->draft_is_mixed || world->draft_version != world->reply_version;
    world->draft_version = world->reply_version;
    world->draft_bytes = offset + bytes;
    world->player.outcome.received_bytes = bytes;
}

static void serve_reply(struct world *world)
{
    const struct exchange_request *request = &world->player.out.request;
    uint64_t first = request->range_first, total = world->reply_size;
    char lines[3][96];

    assert_string_equal(request->reply_url, "replies\\7.bin");
    if (world_chance(world, world->faults.change)) {
        world->reply_version++;
        total = world->reply_size = world_draw(world) % (4 * MIB);
    }
    (void)snprintf(lines[0], sizeof(lines[0]), "ETag: \"%" PRIu32 "\"", world->reply_version);
    if (world->faults.whole && total <= request->range_bytes) {
        answer(world, 200, lines[0]);
        (void)snprintf(lines[1], sizeof(lines[1]), "Content-Length: %" PRIu64, total);
        add(world, lines[1]);
        write_draft(world, 0, total);
        return;
    }
    if (first >= total) {
        (void)snprintf(lines[1], sizeof(lines[1]), "Content-Range: bytes */%" PRIu64, total);
        answer(world, 416, lines[1]);
        return;
    }
    uint64_t bytes = min_u64(request->range_bytes, total - first);
    answer(world, 206, lines[0]);
    (void)snprintf(lines[1], sizeof(lines[1]), "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                   first + bytes - 1, total);
    add(world, lines[1]);
    write_draft(world, first, bytes);
}

/* Returns whether the connection stays. */
static bool serve(struct world *world)
{
    if (world_chance(world, world->faults.forget))
        world->session = 0;
    /* Never behind the client's back: a server that loses what it acknowledged to the last byte is beyond help. */
    if (world->player.out.request.kind == EXCHANGE_FRAGMENT && world_chance(world, world->faults.rewind))
        world->stored -= world->stored > 0 ? world_draw(world) % world->stored : 0;
    if (world_chance(world, world->faults.busy)) {
        answer(world, 503, "Retry-After: 1");
        return true;
    }
    if (world->token_is_old || world_chance(world, world->faults.expire)) {
        world->token_is_old = true;
        answer(world, one_in(world, 2) ? 401 : 500, "WWW-Authenticate: Bearer");
        return true;
    }
    switch (world->player.out.request.kind) {
    case EXCHANGE_CREATE:
        serve_create(world);
        return true;
    case EXCHANGE_FRAGMENT:
        return serve_fragment(world);
    case EXCHANGE_CLOSE:
        serve_close(world);
        return true;
    case EXCHANGE_CANCEL:
        serve_cancel(world);
        return true;
    case EXCHANGE_PING:
        answer(world, 200, NULL);
        return true;
    case EXCHANGE_REPLY:
        serve_reply(world);
        return true;
    case EXCHANGE_NONE:
        break;
    }
    fail_msg("a request of no kind");
    return false;
}

static bool is_reachable(struct world *world)
{
    const struct exchange_request *request = &world->player.out.request;

    if (world_chance(world, world->faults.refuse_connection))
        return false;
    if (request->host[0] == '\0')
        return true;
    assert_string_equal(request->host, NODE);
    if (world_chance(world, world->faults.node_dies))
        world->node_is_down = true;
    else if (one_in(world, 200))
        world->node_is_down = false;
    return !world->node_is_down;
}

void world_exchange(struct world *world)
{
    struct exchange_outcome *outcome = &world->player.outcome;

    outcome->elapsed_usec = world_draw(world) % (20 * USEC_PER_SEC);
    outcome->heads_sent = 1;
    outcome->received_bytes = 0;
    outcome->transport = TRANSPORT_OK;
    world->player.refreshed = false;
    player_pass(&world->player, outcome->elapsed_usec);
    if (!is_reachable(world)) {
        outcome->transport = TRANSPORT_CONNECT;
        outcome->heads_sent = 0;
    } else if (world_chance(world, world->faults.portal)) {
        ack_begin(&outcome->ack, 200);
    } else if (world_chance(world, world->faults.lose_request)) {
        outcome->transport = TRANSPORT_RESPONSE_TIMEOUT;
    } else if (!serve(world) || world_chance(world, world->faults.lose_ack)) {
        outcome->transport = TRANSPORT_CONNECTION_LOST;
    }
    if (outcome->transport != TRANSPORT_OK) {
        ack_begin(&outcome->ack, 0);
        outcome->connection++;
    } else if (world->token_is_old && one_in(world, 2)) {
        world->token_is_old = false;
        world->player.refreshed = true;
    }
}
