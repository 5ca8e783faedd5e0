/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random lives of one upload: a model of a BITS server that loses requests and Acks, forgets sessions, keeps half of a
 * fragment and refuses large ones, and a model of a daemon that is paused, preempted and killed. A seed replays a life
 * exactly. However it goes, it ends: the file lies complete at the server, or the job says why not; and on the way
 * nothing is sent that the protocol forbids, nor before what must be durable is so.
 */
#include "support/unit.h"

#include "walk_world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIVES     2500
#define STEPS_MAX 40000 /* a fortnight without progress is 2,016 waits of 10 minutes */

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
        assert_true(!world->faults.wants_reply || world->durable.reply_stored);
    }
    if (kind == EXCHANGE_REPLY)
        assert_true(world->faults.wants_reply && world->player.out.request.range_bytes <= REPLY_RANGE_BYTES);
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
            assert_false(world->published_corrupt);
            assert_int_equal(world->reply_is_stored, world->faults.wants_reply);
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
    case SESSION_ACTION_RETAKE:
    case SESSION_ACTION_AWAY:
    case SESSION_ACTION_STORE_REPLY:
        break;
    }
    fail_msg("this is no end");
}

/* The daemon. */

/* Commits land in order; what was handed over before the last lands with it. */
static void save(struct world *world, bool lands_at_once)
{
    if (!lands_at_once && world_draw(world) % 2 == 0)
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
    if (world_draw(world) % 2 == 0)
        world->durable = world->saving;
    world->saving = world->durable;
    world->player.session.record = world->durable;
    if (world->cancelled && world->durable.cancel_requested_usec == 0)
        world->player.session.record.cancel_requested_usec = 1; /* the queue noted the wish before it was told */
    player_reload(&world->player);
    world->in_flight = false;
    if (world_draw(world) % 2 == 0)
        world->draft_bytes = world_draw(world) % (world->draft_bytes + 1);
    start(world, 0);
}

/* The disk is full, or somebody swept the draft away. */
static void fail_to_write(struct world *world)
{
    bool vanished = world_draw(world) % 2 == 0;

    if (vanished)
        world->draft_bytes = 0;
    world->player.source_error = vanished ? -ENODATA : -ENOSPC;
    player_event(&world->player, SESSION_EVENT_REPLY_FAILED);
}

/* As io does it: what the record says must be there, or the reply is fetched anew. */
static void store_reply(struct world *world)
{
    const struct session_record *record = &world->player.session.record;

    assert_true(world->faults.wants_reply);
    assert_true(record->has_reply_total);
    assert_int_equal(record->offset, world->size);
    if (world_chance(world, world->faults.disk)) {
        fail_to_write(world);
        return;
    }
    if (record->reply_total > 0 && world->draft_bytes < record->reply_total) {
        world->player.source_error = -ENODATA;
        player_event(&world->player, SESSION_EVENT_REPLY_FAILED);
        return;
    }
    assert_true(record->reply_total == 0 || !world->draft_is_mixed);
    world->reply_is_stored = true;
    world->stored_reply_bytes = record->reply_total;
    world->draft_bytes = 0;
    player_event(&world->player, SESSION_EVENT_REPLY_STORED);
}

static void disturb(struct world *world)
{
    if (world_chance(world, world->faults.kill)) {
        kill_and_restart(world);
    } else if (world_chance(world, world->faults.pause)) {
        player_event(&world->player, SESSION_EVENT_SUSPEND);
    } else if (world_chance(world, world->faults.preempt)) {
        player_event(&world->player, SESSION_EVENT_YIELD);
    } else if (world->size % 16 == 1 && !world->cancelled && world_chance(world, 20)) {
        world->cancelled = true;
        player_event(&world->player, SESSION_EVENT_CANCEL);
    } else {
        world_exchange(world);
        world->in_flight = false;
        if (world->player.outcome.received_bytes > 0 && world_chance(world, world->faults.disk))
            fail_to_write(world);
        else
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
        if (world_chance(world, world->faults.kill)) {
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
    case SESSION_ACTION_RETAKE:
    case SESSION_ACTION_AWAY:
        start(world, 0);
        return true;
    case SESSION_ACTION_DONE:
    case SESSION_ACTION_FAIL:
    case SESSION_ACTION_GONE:
        check_end(world);
        return false;
    case SESSION_ACTION_STORE_REPLY:
        if (world_chance(world, world->faults.kill))
            kill_and_restart(world);
        else if (world_chance(world, world->faults.pause))
            player_event(&world->player, SESSION_EVENT_SUSPEND);
        else
            store_reply(world);
        return true;
    }
    return false;
}

static enum session_action live_whole_life(uint64_t seed, uint32_t *ret_waits)
{
    struct world world;
    uint32_t steps = 0;

    world_begin(&world, seed);
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
        world_begin(&world, seed);
        world.faults = (struct faults){.strict = seed % 2 == 0,
                                       .wants_reply = seed % 3 == 0,
                                       .whole = seed % 5 == 0,
                                       .has_node = seed % 7 == 0,
                                       .silent = seed % 11 == 0,
                                       .appends = seed % 13 == 0};
        world.size = world.size % 16 == 1 ? world.size + 1 : world.size; /* nobody cancels */
        world_open(&world);
        start(&world, 0);
        while (live(&world))
            continue;
        assert_int_equal(world.player.out.action, SESSION_ACTION_DONE);
        assert_true(world.player.out.confirmed);
        assert_int_equal(world.waits, 0);
        assert_int_equal(world.player.session.record.resent_bytes, 0);
        assert_int_equal(world.player.session.record.sent_bytes, world.size);
        assert_int_equal(world.stored_reply_bytes, world.faults.wants_reply && world.size > 0 ? world.reply_size : 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_random_life_ends_with_the_file_or_a_reason),
    cmocka_unit_test(lives_without_faults_are_done_without_a_wait),
};
UNIT_MAIN(tests);
