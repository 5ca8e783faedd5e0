/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/rate.h"
#include "support/unit.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <string.h>

#define KIB        UINT64_C(1024)
#define MIB        (1024 * KIB)
#define START_USEC (1000 * USEC_PER_SEC)
#define JOBS_MAX   64
#define BUFFER     ((size_t)512 * KIB)
#define SLOTS_USEC (10 * USEC_PER_MSEC)
#define SLOTS_MAX  8000 /* 80 s */

/* A job that sends fragments with a pause between them, as one does that waits for each Ack. */
struct sender {
    struct rate_flow flow;
    struct rate_bucket own;
    size_t buffer;        /* of its transport: what it asks for */
    uint64_t fragment;    /* bytes between two pauses */
    uint64_t pause_usec;  /* 0 = none */
    uint64_t resume_usec; /* it pauses until then; USEC_INFINITY = it has gone */
    uint64_t left;        /* of the fragment */
    uint64_t sent;
    bool may_ask; /* it was not told to wait */
};

struct world {
    struct rate_queue queue;
    struct rate_bucket all;
    struct sender senders[JOBS_MAX];
    size_t count;
    uint64_t now;
    uint64_t late_usec; /* of the timer, each time */
    uint64_t slots[SLOTS_MAX];
    uint64_t wakes;
};

static struct world *world_new(size_t count, uint64_t rate)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->count = count;
    world->now = START_USEC;
    rate_bucket_set(&world->queue, &world->all, rate, world->now);
    for (size_t i = 0; i < count; i++) {
        struct sender *sender = &world->senders[i];
        sender->own.parent = &world->all;
        sender->flow.bucket = &sender->own;
        sender->buffer = BUFFER;
        sender->left = sender->fragment = UINT64_MAX / 2;
        sender->may_ask = true;
    }
    return world;
}

static void send_bytes(struct world *world, struct sender *sender, size_t bytes)
{
    uint64_t slot = (world->now - START_USEC) / SLOTS_USEC;

    assert_true(slot < SLOTS_MAX);
    world->slots[slot] += bytes;
    sender->sent += bytes;
    sender->left -= bytes;
    if (sender->left > 0)
        return;
    sender->left = sender->fragment;
    sender->resume_usec = world->now + sender->pause_usec;
    sender->may_ask = sender->pause_usec == 0;
}

static void let_ask(struct world *world, struct sender *sender)
{
    while (sender->may_ask) {
        size_t wanted = sender->left < sender->buffer ? (size_t)sender->left : sender->buffer;
        size_t allowed = rate_ask(&world->queue, &sender->flow, wanted, world->now);
        assert_true(allowed <= wanted);
        if (allowed == 0) {
            sender->may_ask = false;
            return;
        }
        rate_took(&sender->flow, allowed, world->now);
        send_bytes(world, sender, allowed);
    }
}

/* The senders whose pause is over ask, then those whose turn has come. */
static void turn(struct world *world)
{
    struct rate_flow *flow;

    for (size_t i = 0; i < world->count; i++) {
        struct sender *sender = &world->senders[i];
        if (sender->resume_usec != 0 && sender->resume_usec <= world->now) {
            sender->resume_usec = 0;
            sender->may_ask = true;
        }
        let_ask(world, sender);
    }
    while ((flow = rate_next(&world->queue, world->now)) != NULL) {
        struct sender *sender = (struct sender *)flow;
        sender->may_ask = true;
        let_ask(world, sender);
    }
}

static void run_until(struct world *world, uint64_t end)
{
    for (;;) {
        turn(world);
        uint64_t next = rate_next_usec(&world->queue, world->now);
        assert_true(next > world->now);
        next = usec_add(next, world->late_usec);
        for (size_t i = 0; i < world->count; i++)
            if (world->senders[i].resume_usec != 0 && world->senders[i].resume_usec < next)
                next = world->senders[i].resume_usec;
        if (next > end)
            break;
        world->now = next;
        world->wakes++;
    }
    world->now = end;
}

/* The most bytes of any second from BEGIN to END, in slots; as the sum over slots it is never too small. */
static uint64_t fullest_second(const struct world *world, uint64_t begin_usec, uint64_t end_usec)
{
    uint64_t fullest = 0;

    for (uint64_t first = begin_usec / SLOTS_USEC; first + 100 <= end_usec / SLOTS_USEC; first++) {
        uint64_t sum = 0;
        for (uint64_t slot = first; slot < first + 100; slot++)
            sum += world->slots[slot];
        fullest = sum > fullest ? sum : fullest;
    }
    return fullest;
}

static uint64_t bytes_between(const struct world *world, uint64_t begin_usec, uint64_t end_usec)
{
    uint64_t sum = 0;

    for (uint64_t slot = begin_usec / SLOTS_USEC; slot < end_usec / SLOTS_USEC; slot++)
        sum += world->slots[slot];
    return sum;
}

/* 30 s after a second to begin with. */
static void expect_the_limit(const struct world *world, uint64_t rate)
{
    uint64_t mean = bytes_between(world, USEC_PER_SEC, 31 * USEC_PER_SEC) / 30;

    print_message("fullest second %.4f, mean %.4f of the limit, %llu wake-ups a second\n",
                  (double)fullest_second(world, 0, 31 * USEC_PER_SEC) / (double)rate, (double)mean / (double)rate,
                  (unsigned long long)world->wakes / 31);
    assert_true(fullest_second(world, 0, 31 * USEC_PER_SEC) <= rate + rate / 20);
    assert_true(mean >= rate - rate / 50 && mean <= rate + rate / 50);
}

static const uint64_t limits[] = {8 * KIB, 100000, MIB, 12345678, 50 * MIB};
static const size_t counts[] = {1, 2, 50, 64};

static void each_second_and_the_mean_keep_the_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(limits); i++) {
        for (size_t j = 0; j < ELEMENTS(counts); j++) {
            struct world *world = world_new(counts[j], limits[i]);
            run_until(world, START_USEC + 31 * USEC_PER_SEC);
            expect_the_limit(world, limits[i]);
            free(world);
        }
    }
}

static void a_timer_that_is_late_costs_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(limits); i++) {
        for (size_t j = 0; j < ELEMENTS(counts); j++) {
            struct world *world = world_new(counts[j], limits[i]);
            world->late_usec = 8 * USEC_PER_MSEC;
            run_until(world, START_USEC + 31 * USEC_PER_SEC);
            expect_the_limit(world, limits[i]);
            free(world);
        }
    }
}

static void what_one_job_leaves_between_its_fragments_goes_to_the_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(limits); i++) {
        struct world *world = world_new(50, limits[i]);
        for (size_t j = 0; j < world->count; j++) {
            world->senders[j].left = world->senders[j].fragment = 5 * KIB + j * 1000;
            world->senders[j].pause_usec = (j % 7) * 50 * USEC_PER_MSEC;
        }
        /* A limit that fragments this small do not reach is not what is looked at. */
        if (limits[i] <= 100000) {
            run_until(world, START_USEC + 31 * USEC_PER_SEC);
            expect_the_limit(world, limits[i]);
        }
        free(world);
    }
}

static void one_job_with_short_gaps_reaches_its_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(limits); i++) {
        struct world *world = world_new(1, limits[i]);
        world->senders[0].left = world->senders[0].fragment = limits[i];
        world->senders[0].pause_usec = 15 * USEC_PER_MSEC;
        run_until(world, START_USEC + 31 * USEC_PER_SEC);
        expect_the_limit(world, limits[i]);
        free(world);
    }
}

static void jobs_that_come_and_go_leave_the_limit_as_it_is(void **state)
{
    struct world *world = world_new(50, 100000);

    (void)state;
    for (size_t i = 25; i < 50; i++)
        world->senders[i].may_ask = false;
    for (uint64_t second = 0; second < 31; second++) {
        size_t leaving = second % 25, coming = 25 + second % 25;
        run_until(world, START_USEC + second * USEC_PER_SEC);
        rate_leave(&world->queue, &world->senders[leaving].flow, world->now);
        world->senders[leaving].may_ask = false;
        world->senders[coming].may_ask = true;
    }
    run_until(world, START_USEC + 31 * USEC_PER_SEC);
    expect_the_limit(world, 100000);
    free(world);
}

static void shares_are_equal_whatever_a_job_asks_for(void **state)
{
    struct world *world = world_new(50, 50 * MIB);

    (void)state;
    for (size_t i = 0; i < world->count; i++)
        world->senders[i].buffer = i % 2 == 0 ? BUFFER : 64 * KIB; /* as over TLS */
    run_until(world, START_USEC + 31 * USEC_PER_SEC);
    uint64_t fair = 31 * MIB;
    for (size_t i = 0; i < world->count; i++)
        assert_in_range(world->senders[i].sent, fair - fair / 20, fair + fair / 20);
    free(world);
}

static void a_new_job_has_no_claim_to_the_past(void **state)
{
    struct world *world = world_new(2, 100000);

    (void)state;
    world->senders[1].may_ask = false;
    run_until(world, START_USEC + 10 * USEC_PER_SEC);
    world->senders[1].may_ask = true;
    uint64_t before = world->senders[0].sent;
    run_until(world, START_USEC + 20 * USEC_PER_SEC);
    assert_in_range(world->senders[0].sent - before, 480000, 520000);
    assert_in_range(world->senders[1].sent, 480000, 520000);
    free(world);
}

static void a_job_that_is_slow_of_its_own_holds_up_nobody(void **state)
{
    struct world *world = world_new(3, 100000);

    (void)state;
    rate_bucket_set(&world->queue, &world->senders[0].own, 1000, world->now);
    run_until(world, START_USEC + 31 * USEC_PER_SEC);
    expect_the_limit(world, 100000);
    assert_in_range(world->senders[0].sent, 30000, 32000);
    assert_in_range(world->senders[1].sent, 1500000, 1570000);
    assert_int_equal(rate_lowest(&world->senders[0].flow), 1000);
    assert_int_equal(rate_lowest(&world->senders[1].flow), 100000);
    free(world);
}

static void a_job_with_a_limit_of_its_own_reaches_it_among_many(void **state)
{
    struct world *world = world_new(50, 100000);

    (void)state;
    rate_bucket_set(&world->queue, &world->senders[7].own, 1000, world->now); /* half of its share of all */
    rate_bucket_set(&world->queue, &world->senders[8].own, 100, world->now);
    run_until(world, START_USEC + 31 * USEC_PER_SEC);
    expect_the_limit(world, 100000);
    assert_in_range(world->senders[7].sent, 30000, 31500);
    assert_in_range(world->senders[8].sent, 2950, 3200);
    free(world);
}

static void a_group_has_its_limit_within_the_one_of_all(void **state)
{
    struct world *world = world_new(20, 100000);
    struct rate_bucket group = {.parent = &world->all};
    uint64_t of_group = 0;

    (void)state;
    rate_bucket_set(&world->queue, &group, 20000, world->now);
    for (size_t i = 0; i < 10; i++)
        world->senders[i].own.parent = &group;
    rate_bucket_set(&world->queue, &world->senders[0].own, 500, world->now);
    run_until(world, START_USEC + 31 * USEC_PER_SEC);
    expect_the_limit(world, 100000);
    for (size_t i = 0; i < 10; i++)
        of_group += world->senders[i].sent;
    assert_in_range(of_group, 31 * 20000 * 98 / 100, 31 * 20000 + 1000);
    assert_in_range(world->senders[0].sent, 15000, 16000);
    /* What the slow one leaves stays within the group. */
    assert_in_range(world->senders[5].sent, 31 * 19500 / 9 * 95 / 100, 31 * 19500 / 9 * 105 / 100);
    free(world);
}

static void a_new_limit_counts_within_a_second(void **state)
{
    static const uint64_t steps[][2] = {
        {50 * MIB, 8 * KIB}, {8 * KIB, 50 * MIB}, {MIB, MIB / 2}, {0, 8 * KIB}, {0, 50 * MIB}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(steps); i++) {
        for (size_t j = 0; j < ELEMENTS(counts); j++) {
            struct world *world = world_new(counts[j], steps[i][0] == 0 ? 200 * MIB : steps[i][0]);
            run_until(world, START_USEC + 2 * USEC_PER_SEC - 1); /* what went before is in the slots before */
            rate_bucket_set(&world->queue, &world->all, steps[i][1], world->now);
            run_until(world, START_USEC + 7 * USEC_PER_SEC);
            uint64_t rate = steps[i][1];
            assert_true(fullest_second(world, 2 * USEC_PER_SEC, 7 * USEC_PER_SEC) <= rate + rate / 20);
            assert_true(bytes_between(world, 3 * USEC_PER_SEC, 7 * USEC_PER_SEC) >= 4 * rate * 98 / 100);
            free(world);
        }
    }
}

static void without_a_limit_nobody_waits(void **state)
{
    struct world *world = world_new(2, 0);

    (void)state;
    assert_false(rate_is_limited(&world->senders[0].flow));
    assert_int_equal(rate_lowest(&world->senders[0].flow), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rate_ask(&world->queue, &world->senders[i % 2].flow, BUFFER, world->now), BUFFER);
        rate_took(&world->senders[i % 2].flow, BUFFER, world->now);
    }
    assert_int_equal(rate_next_usec(&world->queue, world->now), USEC_INFINITY);
    free(world);
}

static void a_limit_that_is_lifted_lets_all_go_at_once(void **state)
{
    struct world *world = world_new(3, 10);

    (void)state;
    run_until(world, START_USEC + USEC_PER_SEC);
    for (size_t i = 0; i < world->count; i++)
        assert_int_equal(world->senders[i].flow.state, RATE_WAITING);
    rate_bucket_set(&world->queue, &world->all, 0, world->now);
    assert_int_equal(rate_next_usec(&world->queue, world->now), world->now);
    for (size_t i = 0; i < world->count; i++) {
        struct rate_flow *flow = rate_next(&world->queue, world->now);
        assert_non_null(flow);
        assert_int_equal(rate_ask(&world->queue, flow, BUFFER, world->now), BUFFER);
        rate_took(flow, BUFFER, world->now);
    }
    assert_null(rate_next(&world->queue, world->now));
    free(world);
}

static void a_few_bytes_a_second_go_one_by_one(void **state)
{
    static const uint64_t tiny[] = {1, 3, 49, 51};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(tiny); i++) {
        struct world *world = world_new(5, tiny[i]);
        run_until(world, START_USEC + 60 * USEC_PER_SEC);
        assert_in_range(bytes_between(world, 0, 60 * USEC_PER_SEC), 60 * tiny[i] - tiny[i] - 2, 60 * tiny[i] + 2);
        for (size_t j = 0; j < world->count; j++)
            assert_true(world->senders[j].sent >= 60 * tiny[i] / 5 - 2);
        free(world);
    }
}

static void a_pause_of_all_saves_up_no_more_than_a_burst(void **state)
{
    struct world *world = world_new(1, 100000);
    struct sender *sender = &world->senders[0];

    (void)state;
    run_until(world, START_USEC + USEC_PER_SEC);
    rate_leave(&world->queue, &sender->flow, world->now);
    uint64_t before = sender->sent;
    world->now += 10 * USEC_PER_SEC;
    sender->may_ask = true;
    let_ask(world, sender);
    assert_true(sender->sent - before <= 4000);
    free(world);
}

static void the_end_of_a_body_goes_although_it_is_small(void **state)
{
    struct world *world = world_new(1, 100000);
    struct rate_flow *flow = &world->senders[0].flow;

    (void)state;
    assert_int_equal(rate_ask(&world->queue, flow, 3, START_USEC), 0);
    assert_int_equal(rate_next_usec(&world->queue, START_USEC), START_USEC + 30);
    assert_ptr_equal(rate_next(&world->queue, START_USEC + 30), flow);
    assert_int_equal(rate_ask(&world->queue, flow, 3, START_USEC + 30), 3);
    free(world);
}

static void what_a_source_did_not_have_is_not_lost(void **state)
{
    struct world *world = world_new(2, 100000);
    struct rate_flow *empty = &world->senders[0].flow, *full = &world->senders[1].flow;
    uint64_t later = START_USEC + 40 * USEC_PER_MSEC; /* both pieces that a bucket holds */

    (void)state;
    assert_int_equal(rate_ask(&world->queue, empty, BUFFER, START_USEC), 0);
    assert_ptr_equal(rate_next(&world->queue, later), empty);
    assert_int_equal(rate_ask(&world->queue, empty, BUFFER, later), 2000);
    rate_took(empty, 500, later);
    assert_int_equal(rate_ask(&world->queue, full, BUFFER, later), 2000);
    rate_took(full, 2000, later);
    assert_int_equal(rate_ask(&world->queue, full, 1500, later), 1500);
    rate_took(full, 1500, later);
    assert_int_equal(rate_ask(&world->queue, full, 1, later), 0);
    free(world);
}

static void a_turn_that_is_not_taken_goes_to_the_next(void **state)
{
    struct world *world = world_new(2, 100000);
    struct rate_flow *stuck = &world->senders[0].flow, *other = &world->senders[1].flow;
    uint64_t now = START_USEC;

    (void)state;
    assert_int_equal(rate_ask(&world->queue, stuck, BUFFER, now), 0);
    assert_int_equal(rate_ask(&world->queue, other, BUFFER, now), 0);
    now += 20 * USEC_PER_MSEC;
    assert_ptr_equal(rate_next(&world->queue, now), stuck);
    assert_null(rate_next(&world->queue, now));
    now += RATE_LAPSE_USEC;
    assert_true(rate_next_usec(&world->queue, START_USEC + 20 * USEC_PER_MSEC) <= now);
    assert_ptr_equal(rate_next(&world->queue, now), other);
    assert_int_equal(rate_ask(&world->queue, other, BUFFER, now), 2000);
    rate_took(other, 2000, now);
    /* It is let in when it comes, and no more was saved up than a bucket holds. */
    assert_int_equal(rate_ask(&world->queue, stuck, BUFFER, now), 2000);
    rate_took(stuck, 2000, now);
    assert_int_equal(rate_ask(&world->queue, stuck, 1, now), 0);
    free(world);
}

static void whoever_waits_is_not_overtaken(void **state)
{
    struct world *world = world_new(2, 100000);
    struct rate_flow *first = &world->senders[0].flow, *second = &world->senders[1].flow;
    uint64_t now = START_USEC;

    (void)state;
    assert_int_equal(rate_ask(&world->queue, first, BUFFER, now), 0);
    now += 10 * USEC_PER_MSEC; /* half of what the first one waits for, and enough for the second */
    assert_int_equal(rate_ask(&world->queue, second, 10, now), 0);
    now += 10 * USEC_PER_MSEC;
    assert_ptr_equal(rate_next(&world->queue, now), first);
    free(world);
}

static void no_limit_is_too_large(void **state)
{
    struct world *world = world_new(1, UINT64_MAX);

    (void)state;
    world->now += USEC_PER_SEC;
    assert_int_equal(rate_ask(&world->queue, &world->senders[0].flow, BUFFER, world->now), BUFFER);
    free(world);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_second_and_the_mean_keep_the_limit),
    cmocka_unit_test(a_timer_that_is_late_costs_nothing),
    cmocka_unit_test(what_one_job_leaves_between_its_fragments_goes_to_the_others),
    cmocka_unit_test(one_job_with_short_gaps_reaches_its_limit),
    cmocka_unit_test(jobs_that_come_and_go_leave_the_limit_as_it_is),
    cmocka_unit_test(shares_are_equal_whatever_a_job_asks_for),
    cmocka_unit_test(a_new_job_has_no_claim_to_the_past),
    cmocka_unit_test(a_job_that_is_slow_of_its_own_holds_up_nobody),
    cmocka_unit_test(a_job_with_a_limit_of_its_own_reaches_it_among_many),
    cmocka_unit_test(a_group_has_its_limit_within_the_one_of_all),
    cmocka_unit_test(a_new_limit_counts_within_a_second),
    cmocka_unit_test(without_a_limit_nobody_waits),
    cmocka_unit_test(a_limit_that_is_lifted_lets_all_go_at_once),
    cmocka_unit_test(a_few_bytes_a_second_go_one_by_one),
    cmocka_unit_test(a_pause_of_all_saves_up_no_more_than_a_burst),
    cmocka_unit_test(the_end_of_a_body_goes_although_it_is_small),
    cmocka_unit_test(what_a_source_did_not_have_is_not_lost),
    cmocka_unit_test(a_turn_that_is_not_taken_goes_to_the_next),
    cmocka_unit_test(whoever_waits_is_not_overtaken),
    cmocka_unit_test(no_limit_is_too_large),
};

UNIT_MAIN(tests);
