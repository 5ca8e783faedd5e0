/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random lives of one upload: a model of a BITS server that loses requests and Acks, forgets sessions, keeps half of a
 * fragment and refuses large ones, and a model of a daemon that is paused, preempted and killed. A seed replays a life
 * exactly. However it goes, it ends: the file lies complete at the server, or the job says why not; and on the way
 * nothing is sent that the protocol forbids, nor before what must be durable is so.
 */
#include "support/unit.h"

#include "support/player.h"

#include "base/moment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIVES     1500
#define STEPS_MAX 40000 /* a fortnight without progress is 2,016 waits of 10 minutes */

/* What goes wrong, in chances of 1,000 for each request or step. */
struct faults {
    uint32_t lose_request;
    uint32_t lose_ack;
    uint32_t refuse_connection;
    uint32_t busy;   /* 503, before anything is looked at */
    uint32_t forget; /* the session is gone */
    uint32_t part;   /* only a part of the fragment is kept, and the connection breaks */
    uint32_t rewind; /* the tail of what was stored is lost */
    uint32_t portal; /* 200 without an Ack */
    uint32_t kill;   /* the daemon */
    uint32_t pause;
    uint32_t preempt;
    uint64_t largest_bytes; /* 0 = any */
    int too_large_status;
    bool strict; /* overlapping fragments are 416, else trimmed and 200 */
    bool named;  /* a session that is not known is named by its code, else 404 */
};

struct world {
    uint64_t random;
    struct faults faults;
    uint64_t size;

    /* the server */
    uint64_t session; /* number of the one that is open, 0 = none */
    uint64_t sessions;
    uint64_t stored;
    bool published;
    uint64_t published_bytes;

    /* the daemon */
    struct player player;
    struct session_record durable;
    struct session_record saving; /* handed to the disk, not there yet */
    bool in_flight;
    struct exchange_request request; /* the one in flight */
    bool cancelled;
    uint32_t waits;
};

static uint64_t draw(struct world *world)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random;
}

static bool chance(struct world *world, uint32_t of_1000)
{
    return draw(world) % 1000 < of_1000;
}

static void begin(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int i = 0; i < 8; i++)
        (void)draw(world);
    /* A third of the lives is calm, a third is hard, a third is hopeless in one respect. */
    uint32_t scale = (uint32_t)(draw(world) % 3) * 40;
    uint32_t *chances[] = {&world->faults.lose_request, &world->faults.lose_ack, &world->faults.refuse_connection,
                           &world->faults.busy,         &world->faults.forget,   &world->faults.part,
                           &world->faults.rewind,       &world->faults.portal,   &world->faults.kill,
                           &world->faults.pause,        &world->faults.preempt};
    for (size_t i = 0; i < sizeof(chances) / sizeof(chances[0]); i++)
        *chances[i] = scale > 0 ? (uint32_t)(draw(world) % scale) : 0;
    if (scale == 80)
        *chances[draw(world) % 8] = 500 + (uint32_t)(draw(world) % 501);
    world->size = draw(world) % 4 == 0 ? draw(world) % 3 : draw(world) % (8 * MIB);
    if (draw(world) % 3 == 0)
        world->faults.largest_bytes = 1000 + draw(world) % 300000;
    world->faults.too_large_status = draw(world) % 2 == 0 ? 413 : 404;
    world->faults.strict = draw(world) % 2 == 0;
    world->faults.named = draw(world) % 4 != 0;
    player_init(&world->player, world->size);
}

/* The server: answers into the outcome. */

static void answer(struct world *world, int status, const char *header)
{
    struct ack *ack = &world->player.outcome.ack;

    ack_begin(ack, status);
    ack_add_line(ack, "BITS-Packet-Type: Ack", 21);
    if (header)
        ack_add_line(ack, header, strlen(header));
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
}

static bool knows_session(const struct world *world)
{
    char id[32];
    const char *sent = player_header(&world->player, "BITS-Session-Id");

    (void)snprintf(id, sizeof(id), "s%" PRIu64, world->session);
    assert_non_null(sent);
    return world->session != 0 && strcmp(sent, id) == 0;
}

static void serve_create(struct world *world)
{
    char header[64];

    world->session = ++world->sessions;
    world->stored = 0;
    (void)snprintf(header, sizeof(header), "BITS-Session-Id: s%" PRIu64, world->session);
    answer(world, 200, header);
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
    if (first > world->stored || (world->faults.strict && first != world->stored)) {
        answer_offset(world, 416);
        return true;
    }
    bool breaks = chance(world, world->faults.part);
    uint64_t end = first + (breaks ? draw(world) % (bytes + 1) : bytes);
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

static bool serve(struct world *world)
{
    if (chance(world, world->faults.forget))
        world->session = 0;
    /* Never behind the client's back: a server that loses what it acknowledged to the last byte is beyond help. */
    if (world->player.out.request.kind == EXCHANGE_FRAGMENT && chance(world, world->faults.rewind))
        world->stored -= world->stored > 0 ? draw(world) % world->stored : 0;
    if (chance(world, world->faults.busy)) {
        answer(world, 503, "Retry-After: 1");
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
    case EXCHANGE_NONE:
        break;
    }
    fail_msg("a request of no kind");
    return false;
}

static void exchange(struct world *world)
{
    struct exchange_outcome *outcome = &world->player.outcome;

    outcome->elapsed_usec = draw(world) % (20 * USEC_PER_SEC);
    outcome->heads_sent = 1;
    outcome->transport = TRANSPORT_OK;
    player_pass(&world->player, outcome->elapsed_usec);
    if (chance(world, world->faults.refuse_connection)) {
        outcome->transport = TRANSPORT_CONNECT;
        outcome->heads_sent = 0;
    } else if (chance(world, world->faults.portal)) {
        ack_begin(&outcome->ack, 200);
    } else if (chance(world, world->faults.lose_request)) {
        outcome->transport = TRANSPORT_RESPONSE_TIMEOUT;
    } else if (!serve(world) || chance(world, world->faults.lose_ack)) {
        outcome->transport = TRANSPORT_CONNECTION_LOST;
    }
    if (outcome->transport != TRANSPORT_OK) {
        ack_begin(&outcome->ack, 0);
        outcome->connection++;
    }
}

/* What must hold after every step. */

static void check_fragment(const struct world *world)
{
    const struct exchange_request *request = &world->player.out.request;
    char range[80];

    assert_true(request->body_bytes > 0);
    assert_true(request->body_bytes <= FRAGMENT_MAX_BYTES);
    assert_true(request->body_offset + request->body_bytes <= world->size);
    (void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, request->body_offset,
                   request->body_offset + request->body_bytes - 1, world->size);
    assert_string_equal(player_header(&world->player, "Content-Range"), range);
    assert_string_equal(player_header(&world->player, "BITS-Session-Id"), world->durable.session_id);
}

static void check_send(struct world *world)
{
    enum exchange_kind kind = world->player.out.request.kind;

    assert_true(!world->in_flight || world->player.out.abort_exchange);
    world->in_flight = true;
    world->request = world->player.out.request;
    if (kind == EXCHANGE_FRAGMENT)
        check_fragment(world);
    if (kind == EXCHANGE_CLOSE) {
        assert_true(world->durable.close_attempted);
        assert_string_equal(player_header(&world->player, "BITS-Session-Id"), world->durable.session_id);
        assert_int_equal(world->player.session.record.offset, world->size);
    }
    assert_true(!world->cancelled || kind == EXCHANGE_CANCEL);
}

static void check_end(const struct world *world)
{
    const struct session_output *out = &world->player.out;

    switch (out->action) {
    case SESSION_ACTION_DONE:
        if (out->confirmed) {
            assert_true(world->published);
            assert_int_equal(world->published_bytes, world->size);
        } else {
            assert_true(out->failure.text[0] != '\0');
        }
        return;
    case SESSION_ACTION_FAIL:
        assert_true(out->failure.code != 0 && out->failure.name[0] != '\0' && out->failure.text[0] != '\0');
        return;
    case SESSION_ACTION_GONE:
        assert_true(world->cancelled);
        return;
    case SESSION_ACTION_NONE:
    case SESSION_ACTION_SEND:
    case SESSION_ACTION_PERSIST:
    case SESSION_ACTION_WAIT:
    case SESSION_ACTION_IDLE:
    case SESSION_ACTION_STORE_REPLY:
        break;
    }
    fail_msg("this is no end");
}

/* The daemon. */

/* Commits land in order; what was handed over before the last lands with it. */
static void save(struct world *world, bool lands_at_once)
{
    if (!lands_at_once && draw(world) % 2 == 0)
        world->durable = world->saving;
    world->saving = world->player.session.record;
    if (lands_at_once)
        world->durable = world->saving;
}

static void start(struct world *world, uint64_t waited_usec)
{
    const struct session_input in = {
        .event = SESSION_EVENT_START, .now = world->player.now, .waited_usec = waited_usec};

    session_step(&world->player.session, &in, &world->player.out);
}

static void kill_and_restart(struct world *world)
{
    if (draw(world) % 2 == 0)
        world->durable = world->saving;
    world->saving = world->durable;
    world->player.session.record = world->durable;
    if (world->cancelled && world->durable.cancel_requested_usec == 0)
        world->player.session.record.cancel_requested_usec = 1; /* the queue noted the wish before it was told */
    player_reload(&world->player);
    world->in_flight = false;
    start(world, 0);
}

static void disturb(struct world *world)
{
    if (chance(world, world->faults.kill)) {
        kill_and_restart(world);
    } else if (chance(world, world->faults.pause)) {
        player_event(&world->player, SESSION_EVENT_SUSPEND);
    } else if (chance(world, world->faults.preempt)) {
        player_event(&world->player, SESSION_EVENT_YIELD);
    } else if (world->size % 16 == 1 && !world->cancelled && chance(world, 20)) {
        world->cancelled = true;
        player_event(&world->player, SESSION_EVENT_CANCEL);
    } else {
        exchange(world);
        world->in_flight = false;
        player_event(&world->player, SESSION_EVENT_OUTCOME);
    }
}

/* One turn; returns false at the end of the job. */
static bool live(struct world *world)
{
    struct session_output *out = &world->player.out;

    if (out->abort_exchange)
        world->in_flight = false;
    if (out->checkpoint)
        save(world, false);
    switch (out->action) {
    case SESSION_ACTION_SEND:
        check_send(world);
        disturb(world);
        return true;
    case SESSION_ACTION_NONE:
        assert_true(world->in_flight); /* or nothing would ever happen again */
        out->request = world->request;
        disturb(world);
        return true;
    case SESSION_ACTION_PERSIST:
        save(world, false);
        if (chance(world, world->faults.kill)) {
            kill_and_restart(world);
            return true;
        }
        world->durable = world->saving;
        player_event(&world->player, SESSION_EVENT_PERSISTED);
        return true;
    case SESSION_ACTION_WAIT:
        assert_true(out->failure.text[0] != '\0');
        save(world, true);
        world->waits++;
        player_pass(&world->player, 10 * USEC_PER_MIN);
        start(world, 10 * USEC_PER_MIN);
        return true;
    case SESSION_ACTION_IDLE:
        start(world, 0);
        return true;
    case SESSION_ACTION_DONE:
    case SESSION_ACTION_FAIL:
    case SESSION_ACTION_GONE:
        check_end(world);
        return false;
    case SESSION_ACTION_STORE_REPLY:
        break;
    }
    return false;
}

static enum session_action live_whole_life(uint64_t seed, uint32_t *ret_waits)
{
    struct world world;
    uint32_t steps = 0;

    begin(&world, seed);
    start(&world, 0);
    do {
        if (++steps > STEPS_MAX)
            fail_msg("the life with seed %" PRIu64 " does not end", seed);
    } while (live(&world));
    const struct session_record *record = &world.player.session.record;
    assert_true(record->resent_bytes <= record->sent_bytes);
    assert_true(record->high_offset <= world.size);
    *ret_waits = world.waits;
    return world.player.out.action;
}

static void every_random_life_ends_with_the_file_or_a_reason(void **state)
{
    uint32_t done = 0, failed = 0, gone = 0, waits = 0, most = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= LIVES; seed++) {
        enum session_action end = live_whole_life(seed, &waits);
        done += end == SESSION_ACTION_DONE;
        failed += end == SESSION_ACTION_FAIL;
        gone += end == SESSION_ACTION_GONE;
        most = waits > most ? waits : most;
    }
    print_message("%u done, %u failed, %u gone; at most %u waits\n", done, failed, gone, most);
    assert_int_equal(done + failed + gone, LIVES);
    /* The walk must see all ends, or it tests nothing. */
    assert_true(done > LIVES / 2 && failed > LIVES / 100 && gone > 0);
}

static void lives_without_faults_are_done_without_a_wait(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LIVES; seed++) {
        struct world world;
        begin(&world, seed);
        world.faults = (struct faults){.strict = seed % 2 == 0};
        world.size = world.size % 16 == 1 ? world.size + 1 : world.size; /* nobody cancels */
        player_init(&world.player, world.size);
        start(&world, 0);
        while (live(&world))
            continue;
        assert_int_equal(world.player.out.action, SESSION_ACTION_DONE);
        assert_true(world.player.out.confirmed);
        assert_int_equal(world.waits, 0);
        assert_int_equal(world.player.session.record.resent_bytes, 0);
        assert_int_equal(world.player.session.record.sent_bytes, world.size);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_random_life_ends_with_the_file_or_a_reason),
    cmocka_unit_test(lives_without_faults_are_done_without_a_wait),
};
UNIT_MAIN(tests);
