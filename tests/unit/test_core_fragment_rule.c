/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The length of fragments, simulated: whole uploads over a line with a bandwidth, a round trip and connections that
 * die, in the session's own time. The server keeps nothing of a fragment whose connection died, which is the worst that
 * a server may do.
 */
#include "support/player.h"
#include "support/unit.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_USEC (2 * USEC_PER_MSEC) /* the server's own time for an Ack */
#define RETRY_USEC  (5 * USEC_PER_SEC)  /* the first delay of the back-off */
#define SLICE_USEC  (30 * USEC_PER_SEC) /* the default */
#define MEGABIT     UINT64_C(125000)    /* bytes a second */
#define LOSSES_MAX  10000
#define SEEDS       24

struct line {
    uint64_t bytes_per_second;
    uint64_t round_trip_usec;
    uint64_t life_usec; /* of a connection, on average; 0 = for ever */
};

struct upload {
    const struct line *line;
    struct player player;
    uint64_t seed;
    uint64_t left_usec; /* of the connection's life */
    uint64_t usec;      /* since the start */
    uint64_t sent_bytes;
    uint64_t longest_usec; /* from a fragment's first byte to its Ack, but for the first one */
    unsigned fragments, losses;
};

static uint64_t draw_life(struct upload *upload)
{
    upload->seed = upload->seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
    double uniform = (double)((upload->seed >> 11) + 1) / (double)(UINT64_C(1) << 53);

    return upload->line->life_usec == 0 ? USEC_INFINITY : (uint64_t)(-log(uniform) * (double)upload->line->life_usec);
}

static void pass(struct upload *upload, uint64_t usec)
{
    upload->usec += usec;
    player_pass(&upload->player, usec);
}

static void connect_anew(struct upload *upload)
{
    upload->left_usec = draw_life(upload);
    upload->player.outcome.connection++;
    pass(upload, 2 * upload->line->round_trip_usec);
}

/* The session was told that its connection is lost: it waits, comes back with a Ping, and goes on. */
static void come_back(struct upload *upload)
{
    struct player *player = &upload->player;

    assert_action(player, WAIT);
    if (!player->out.at_once)
        pass(upload, RETRY_USEC);
    connect_anew(upload);
    player_event(player, SESSION_EVENT_START);
    assert_sends(player, PING);
    pass(upload, upload->line->round_trip_usec);
    player_ack(player, 200, "");
}

static void send_fragment(struct upload *upload)
{
    struct player *player = &upload->player;
    uint64_t bytes = player->out.request.body_bytes;
    uint64_t end = player->out.request.body_offset + bytes;
    uint64_t needed = upload->line->round_trip_usec + ANSWER_USEC +
                      (uint64_t)((double)bytes * (double)USEC_PER_SEC / (double)upload->line->bytes_per_second);
    char next[80];

    upload->fragments++;
    if (needed > upload->left_usec) {
        uint64_t flown =
            (uint64_t)((double)upload->left_usec * (double)upload->line->bytes_per_second / (double)USEC_PER_SEC);
        upload->sent_bytes += flown < bytes ? flown : bytes;
        upload->losses++;
        assert_in_range(upload->losses, 0, LOSSES_MAX);
        pass(upload, upload->left_usec);
        player_lose(player, TRANSPORT_CONNECTION_LOST, 1);
        come_back(upload);
        return;
    }
    upload->sent_bytes += bytes;
    if (upload->fragments > 1 && needed > upload->longest_usec)
        upload->longest_usec = needed;
    if (upload->left_usec != USEC_INFINITY)
        upload->left_usec -= needed;
    pass(upload, needed);
    player->outcome.elapsed_usec = needed;
    (void)snprintf(next, sizeof(next), "BITS-Received-Content-Range: %" PRIu64, end);
    player_ack(player, 200, next);
}

static void run(struct upload *upload, const struct line *line, uint64_t size_bytes, uint64_t seed)
{
    struct player *player = &upload->player;

    *upload = (struct upload){.line = line, .seed = seed};
    player_open(player, size_bytes);
    player->session.parameters.time_slice_usec = SLICE_USEC;
    player->session.parameters.fragment_min_bytes = FRAGMENT_FLOOR_BYTES;
    connect_anew(upload);
    pass(upload, line->round_trip_usec); /* Create-Session */
    while (player->out.action == SESSION_ACTION_SEND && player->out.request.kind == EXCHANGE_FRAGMENT)
        send_fragment(upload);
    assert_action(player, PERSIST);
    pass(upload, line->round_trip_usec); /* Close-Session */
}

/* Against one long PUT, which needs a connection and a round trip and otherwise fills the line. */
static double efficiency(const struct upload *upload, uint64_t size_bytes)
{
    const struct line *line = upload->line;
    double put =
        3 * (double)line->round_trip_usec + (double)size_bytes * (double)USEC_PER_SEC / (double)line->bytes_per_second;

    return put / (double)upload->usec;
}

/* Lines from a slow modem to a local network, near and far. */
static const uint64_t rates[] = {8 * KIB, 16 * KIB, 64 * KIB, MEGABIT, 10 * MEGABIT, 50 * MEGABIT, 1000 * MEGABIT};
static const uint64_t round_trips[] = {USEC_PER_MSEC, 20 * USEC_PER_MSEC, 100 * USEC_PER_MSEC, 600 * USEC_PER_MSEC};

static uint64_t bytes_of_three_minutes(const struct line *line)
{
    return 180 * line->bytes_per_second;
}

static void a_path_of_100_ms_at_50_mbit_is_filled(void **state)
{
    const struct line line = {.bytes_per_second = 50 * MEGABIT, .round_trip_usec = 100 * USEC_PER_MSEC};
    struct upload upload;

    (void)state;
    run(&upload, &line, 1024 * MIB, 1);
    assert_true(efficiency(&upload, 1024 * MIB) >= 0.97);
}

static void a_line_that_holds_is_filled_as_far_as_the_longest_fragment_allows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(rates); i++) {
        for (size_t j = 0; j < ELEMENTS(round_trips); j++) {
            const struct line line = {.bytes_per_second = rates[i], .round_trip_usec = round_trips[j]};
            uint64_t size = bytes_of_three_minutes(&line);
            struct upload upload;
            /* One round trip a fragment: of five seconds, or of 24 MiB where the line carries more than that in them;
             * and a twentieth for the way there. */
            double longest = 5.0 * (double)line.bytes_per_second;
            double seconds = (longest > (double)FRAGMENT_MAX_BYTES ? (double)FRAGMENT_MAX_BYTES : longest) /
                             (double)line.bytes_per_second;
            double stop = (double)(line.round_trip_usec + ANSWER_USEC) / (double)USEC_PER_SEC;
            run(&upload, &line, size, 1);
            assert_true(efficiency(&upload, size) >= 0.95 * seconds / (seconds + stop));
        }
    }
}

static void no_fragment_but_the_first_takes_over_half_a_slice(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(rates); i++) {
        for (size_t j = 0; j < ELEMENTS(round_trips); j++) {
            const struct line line = {.bytes_per_second = rates[i], .round_trip_usec = round_trips[j]};
            struct upload upload;
            run(&upload, &line, bytes_of_three_minutes(&line), 1);
            assert_in_range(upload.longest_usec, 1, SLICE_USEC / 2);
        }
    }
}

/* Over many lives of connections: what was sent, in files. */
static double mean_sent(const struct line *line)
{
    double sum = 0;
    const uint64_t size = bytes_of_three_minutes(line);

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct upload upload;
        run(&upload, line, size, seed);
        sum += (double)upload.sent_bytes / (double)size;
    }
    return sum / SEEDS;
}

static void assert_sent_at_most(uint64_t life_usec, double bound)
{
    for (size_t i = 0; i < ELEMENTS(rates); i++) {
        for (size_t j = 0; j < ELEMENTS(round_trips); j++) {
            const struct line line = {
                .bytes_per_second = rates[i], .round_trip_usec = round_trips[j], .life_usec = life_usec};
            double sent = mean_sent(&line);
            if (sent > bound)
                fail_msg("%" PRIu64 " bytes a second, %" PRIu64 " us: %.3f files sent for one", rates[i],
                         round_trips[j], sent);
        }
    }
}

static void a_line_that_breaks_every_minute_sends_little_twice(void **state)
{
    (void)state;
    assert_sent_at_most(60 * USEC_PER_SEC, 1.10);
}

static void a_line_that_breaks_every_ten_seconds_still_sends_most_bytes_once(void **state)
{
    (void)state;
    assert_sent_at_most(10 * USEC_PER_SEC, 1.25);
}

static void acknowledge(struct player *player)
{
    char next[80];

    (void)snprintf(next, sizeof(next), "BITS-Received-Content-Range: %" PRIu64,
                   player->out.request.body_offset + player->out.request.body_bytes);
    player_ack(player, 200, next);
}

static void after_a_loss_the_length_comes_back_in_steps_and_goes_on_from_there(void **state)
{
    struct player p;

    (void)state;
    player_open(&p, 1024 * MIB);
    acknowledge(&p);
    assert_int_equal(p.out.request.body_bytes, 1 * MIB);
    player_lose(&p, TRANSPORT_CONNECTION_LOST, 1);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "");
    for (int i = 0; i < FRAGMENT_ACKS_AFTER_LOSS; i++) {
        assert_int_equal(p.out.request.body_bytes, 512 * KIB);
        acknowledge(&p);
    }
    for (int i = 0; i < FRAGMENT_ACKS_AFTER_LOSS; i++) {
        assert_int_equal(p.out.request.body_bytes, 1 * MIB);
        acknowledge(&p);
    }
    assert_int_equal(p.out.request.body_bytes, 2 * MIB);
    acknowledge(&p);
    assert_int_equal(p.out.request.body_bytes, 8 * MIB); /* forgotten: the line is trusted again */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_path_of_100_ms_at_50_mbit_is_filled),
    cmocka_unit_test(a_line_that_holds_is_filled_as_far_as_the_longest_fragment_allows),
    cmocka_unit_test(no_fragment_but_the_first_takes_over_half_a_slice),
    cmocka_unit_test(a_line_that_breaks_every_minute_sends_little_twice),
    cmocka_unit_test(a_line_that_breaks_every_ten_seconds_still_sends_most_bytes_once),
    cmocka_unit_test(after_a_loss_the_length_comes_back_in_steps_and_goes_on_from_there),
};
UNIT_MAIN(tests);
