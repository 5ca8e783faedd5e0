/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/sched.h"

#include "support/unit.h"

#include <string.h>

static const struct moment now = {.realtime_usec = 1000 * USEC_PER_SEC, .monotonic_usec = 500 * USEC_PER_SEC};
static const struct sched_limits limits = {
    .max_active = 3, .max_active_per_host = 2, .time_slice_usec = 30 * USEC_PER_SEC};

/* Every candidate has a lane of its own, unless a test shares one. */
static struct sched_lane lanes[64];
static size_t lanes_count;

static int forget_lanes(void **state)
{
    (void)state;
    lanes_count = 0;
    return 0;
}

static struct sched_lane lane_of(enum job_priority priority, const char *host)
{
    return (struct sched_lane){.owner = 1000, .priority = priority, .host = host, .group = "default"};
}

static struct sched_candidate candidate(uint64_t id, uint64_t due_sec, enum job_priority priority, const char *host)
{
    assert_true(lanes_count < ELEMENTS(lanes));
    lanes[lanes_count] = lane_of(priority, host);
    return (struct sched_candidate){.id = id, .due_usec = due_sec * USEC_PER_SEC, .lane = &lanes[lanes_count++]};
}

/* Has had its slot for SINCE_SEC. */
static struct sched_active running(uint64_t id, enum job_priority priority, const char *host, uint64_t for_sec)
{
    return (struct sched_active){
        .id = id, .lane = lane_of(priority, host), .since_usec = now.monotonic_usec - for_sec * USEC_PER_SEC};
}

static struct sched_plan decide_within(const struct sched_limits *bounds, const struct sched_candidate *candidates,
                                       size_t count, const struct sched_active *active, size_t active_count)
{
    struct sched_view view = {
        .candidates = candidates, .candidates_count = count, .active = active, .active_count = active_count};
    struct sched_plan plan;

    assert_int_equal(sched_decide(&view, bounds, now, &plan), 0);
    return plan;
}

static struct sched_plan decide(const struct sched_candidate *candidates, size_t count,
                                const struct sched_active *active, size_t active_count)
{
    return decide_within(&limits, candidates, count, active, active_count);
}

static void an_empty_queue_starts_nothing_and_waits_for_nothing(void **state)
{
    struct sched_plan plan = decide(NULL, 0, NULL, 0);

    (void)state;
    assert_int_equal(plan.start_count, 0);
    assert_true(plan.wake_usec == USEC_INFINITY);
}

static void the_higher_priority_goes_first(void **state)
{
    struct sched_candidate jobs[] = {
        candidate(1, 1, PRIORITY_LOW, "a:80"),
        candidate(2, 3, PRIORITY_NORMAL, "b:80"),
        candidate(3, 4, PRIORITY_FOREGROUND, "c:80"),
        candidate(4, 5, PRIORITY_HIGH, "d:80"),
    };
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), NULL, 0);

    (void)state;
    assert_int_equal(plan.start_count, 3);
    assert_int_equal(plan.start[0], 3);
    assert_int_equal(plan.start[1], 4);
    assert_int_equal(plan.start[2], 2);
}

static void within_a_priority_the_longest_due_goes_first_and_ties_break_by_id(void **state)
{
    struct sched_candidate jobs[] = {
        candidate(9, 7, PRIORITY_NORMAL, "a:80"),
        candidate(8, 7, PRIORITY_NORMAL, "b:80"),
        candidate(10, 6, PRIORITY_NORMAL, "c:80"),
    };
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), NULL, 0);

    (void)state;
    assert_int_equal(plan.start_count, 3);
    assert_int_equal(plan.start[0], 10);
    assert_int_equal(plan.start[1], 8);
    assert_int_equal(plan.start[2], 9);
}

static void a_job_that_is_not_due_sets_the_alarm(void **state)
{
    struct sched_candidate jobs[] = {
        candidate(1, 2000, PRIORITY_HIGH, "a:80"), candidate(2, 1500, PRIORITY_LOW, "b:80"),
        candidate(3, 1000, PRIORITY_LOW, "c:80"), /* due at this very moment */
    };
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), NULL, 0);

    (void)state;
    assert_int_equal(plan.start_count, 1);
    assert_int_equal(plan.start[0], 3);
    assert_int_equal(plan.wake_usec, 1500 * USEC_PER_SEC);
}

static void a_host_gets_no_more_than_its_share_and_others_are_not_held_up(void **state)
{
    struct sched_candidate jobs[] = {
        candidate(1, 1, PRIORITY_NORMAL, "a:80"),
        candidate(2, 2, PRIORITY_NORMAL, "a:80"),
        candidate(3, 3, PRIORITY_NORMAL, "b:80"),
    };
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 0)};
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active));

    (void)state;
    assert_int_equal(plan.start_count, 2);
    assert_int_equal(plan.start[0], 1);
    assert_int_equal(plan.start[1], 3);
}

static void what_is_active_counts_against_the_total(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_NORMAL, "d:80"),
                                     candidate(2, 1, PRIORITY_NORMAL, "e:80")};
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 0), running(8, PRIORITY_NORMAL, "b:80", 0)};
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active));

    (void)state;
    assert_int_equal(plan.start_count, 1);
    assert_int_equal(plan.start[0], 1);
}

static void the_same_view_in_another_order_gives_the_same_plan(void **state)
{
    struct sched_candidate jobs[12], shuffled[12];
    static const char *const hosts[] = {"a:80", "b:80", "c:80"};
    uint64_t seed = 42;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(jobs); i++)
        jobs[i] = candidate(i + 1, i * 7 % 5, (enum job_priority)(i % 4), hosts[i % 3]);
    struct sched_plan expected = decide(jobs, ELEMENTS(jobs), NULL, 0);
    for (unsigned round = 0; round < 100; round++) {
        memcpy(shuffled, jobs, sizeof(jobs));
        for (size_t i = ELEMENTS(jobs) - 1; i > 0; i--) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t other = (size_t)(seed >> 33) % (i + 1);
            struct sched_candidate swap = shuffled[i];
            shuffled[i] = shuffled[other];
            shuffled[other] = swap;
        }
        struct sched_plan plan = decide(shuffled, ELEMENTS(shuffled), NULL, 0);
        assert_int_equal(plan.start_count, expected.start_count);
        assert_memory_equal(plan.start, expected.start, plan.start_count * sizeof(plan.start[0]));
    }
}

static void an_urgent_job_takes_the_place_of_the_least_urgent_at_the_edge_of_its_fragment(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_HIGH, "d:80")};
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 60), running(8, PRIORITY_LOW, "b:80", 1),
                                    running(9, PRIORITY_LOW, "c:80", 2)};
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active));

    (void)state;
    assert_int_equal(plan.start_count, 0);
    assert_int_equal(plan.yield_count, 1);
    assert_int_equal(plan.yield[0], 9);
}

static void one_that_yields_already_makes_room_for_one_alone(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_HIGH, "d:80"), candidate(2, 2, PRIORITY_HIGH, "e:80")};
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 60), running(8, PRIORITY_LOW, "b:80", 1),
                                    running(9, PRIORITY_NORMAL, "c:80", 2)};

    (void)state;
    active[1].is_yielding = true;
    struct sched_plan plan = decide(jobs, 1, active, ELEMENTS(active));
    assert_int_equal(plan.yield_count, 0);
    plan = decide(jobs, 2, active, ELEMENTS(active));
    assert_int_equal(plan.yield_count, 1);
    assert_int_equal(plan.yield[0], 7);
}

static void as_urgent_a_job_waits_until_a_time_slice_is_used_up(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_NORMAL, "d:80")};
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 10), running(8, PRIORITY_NORMAL, "b:80", 29),
                                    running(9, PRIORITY_HIGH, "c:80", 300)};
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active));

    (void)state;
    assert_int_equal(plan.yield_count, 0);
    assert_int_equal(plan.wake_monotonic_usec, now.monotonic_usec + USEC_PER_SEC);
    active[1].since_usec -= USEC_PER_SEC;
    plan = decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active));
    assert_int_equal(plan.yield_count, 1);
    assert_int_equal(plan.yield[0], 8);
}

static void nobody_yields_while_nobody_waits(void **state)
{
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 1000), running(8, PRIORITY_LOW, "b:80", 1000)};
    struct sched_plan plan = decide(NULL, 0, active, ELEMENTS(active));

    (void)state;
    assert_int_equal(plan.yield_count, 0);
    assert_true(plan.wake_monotonic_usec == USEC_INFINITY);
}

static void foreground_jobs_run_beside_one_another(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_FOREGROUND, "d:80")};
    struct sched_active active[] = {running(7, PRIORITY_FOREGROUND, "a:80", 1000),
                                    running(8, PRIORITY_FOREGROUND, "b:80", 1000),
                                    running(9, PRIORITY_FOREGROUND, "c:80", 1000)};
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active));

    (void)state;
    assert_int_equal(plan.start_count + plan.yield_count, 0);
    assert_true(plan.wake_monotonic_usec == USEC_INFINITY);
}

static void a_group_has_a_parallelism_of_its_own_which_foreground_jobs_pass(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_NORMAL, "b:80"), candidate(2, 2, PRIORITY_NORMAL, "c:80"),
                                     candidate(3, 3, PRIORITY_FOREGROUND, "d:80")};
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 1)};

    (void)state;
    lanes[0].group = lanes[2].group = active[0].lane.group = "photos";
    lanes[0].group_max_active = lanes[2].group_max_active = active[0].lane.group_max_active = 1;
    struct sched_plan plan = decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active));
    assert_int_equal(plan.start_count, 2);
    assert_int_equal(plan.start[0], 3);
    assert_int_equal(plan.start[1], 2);
    /* The same name of somebody else is another group. */
    active[0].lane.owner = 1001;
    plan = decide(jobs, 1, active, ELEMENTS(active));
    assert_int_equal(plan.start_count, 1);
}

static void no_user_has_more_than_their_share(void **state)
{
    struct sched_limits bounds = limits;
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_NORMAL, "b:80"),
                                     candidate(2, 2, PRIORITY_NORMAL, "c:80")};
    struct sched_active active[] = {running(7, PRIORITY_NORMAL, "a:80", 1)};

    (void)state;
    bounds.max_active_per_user = 1;
    lanes[1].owner = 1001;
    struct sched_plan plan = decide_within(&bounds, jobs, ELEMENTS(jobs), active, ELEMENTS(active));
    assert_int_equal(plan.start_count, 1);
    assert_int_equal(plan.start[0], 2);
}

static void a_closed_lane_starts_nothing_and_sets_no_alarm_but_what_is_forced_runs(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_NORMAL, "a:80"),
                                     candidate(2, 2000, PRIORITY_LOW, "b:80")};
    struct sched_plan plan;

    (void)state;
    lanes[0].is_closed = lanes[1].is_closed = true;
    plan = decide(jobs, ELEMENTS(jobs), NULL, 0);
    assert_int_equal(plan.start_count, 0);
    assert_true(plan.wake_usec == USEC_INFINITY);
    jobs[1].is_forced = true;
    plan = decide(jobs, ELEMENTS(jobs), NULL, 0);
    assert_int_equal(plan.start_count, 1);
    assert_int_equal(plan.start[0], 2);
}

static void what_a_person_started_is_not_put_aside(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_HIGH, "a:80")};
    struct sched_active active[] = {running(7, PRIORITY_LOW, "a:80", 100), running(8, PRIORITY_LOW, "a:80", 100)};

    (void)state;
    active[0].is_forced = active[1].is_forced = true;
    assert_int_equal(decide(jobs, ELEMENTS(jobs), active, ELEMENTS(active)).yield_count, 0);
}

static void a_destination_that_is_down_holds_one_probe(void **state)
{
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_NORMAL, "a:80"), candidate(2, 2, PRIORITY_NORMAL, "a:80"),
                                     candidate(3, 3, PRIORITY_NORMAL, "b:80")};
    struct sched_down down = {.host = "a:80", .probe_usec = now.realtime_usec + USEC_PER_SEC};
    struct sched_view view = {.candidates = jobs, .candidates_count = ELEMENTS(jobs), .down = &down, .down_count = 1};
    struct sched_plan plan;

    (void)state;
    assert_int_equal(sched_decide(&view, &limits, now, &plan), 0);
    assert_int_equal(plan.start_count, 1);
    assert_int_equal(plan.start[0], 3);
    assert_int_equal(plan.wake_usec, down.probe_usec);
    down.probe_usec = now.realtime_usec;
    assert_int_equal(sched_decide(&view, &limits, now, &plan), 0);
    assert_int_equal(plan.start_count, 2);
    assert_int_equal(plan.start[0], 1);
    assert_int_equal(plan.start[1], 3);
}

static void after_the_network_returned_jobs_start_one_after_the_other(void **state)
{
    struct sched_limits bounds = limits;
    struct sched_candidate jobs[] = {candidate(1, 1, PRIORITY_NORMAL, "a:80"), candidate(2, 2, PRIORITY_NORMAL, "b:80"),
                                     candidate(3, 3, PRIORITY_NORMAL, "c:80")};
    struct sched_active active[] = {running(1, PRIORITY_NORMAL, "a:80", 0)};

    (void)state;
    bounds.ramp_usec = now.monotonic_usec;
    struct sched_plan plan = decide_within(&bounds, jobs, ELEMENTS(jobs), NULL, 0);
    assert_int_equal(plan.start_count, 1);
    assert_int_equal(plan.wake_monotonic_usec, now.monotonic_usec + RAMP_STEP_USEC);
    bounds.ramp_usec = now.monotonic_usec - RAMP_STEP_USEC;
    plan = decide_within(&bounds, jobs + 1, 2, active, ELEMENTS(active));
    assert_int_equal(plan.start_count, 1);
    assert_int_equal(plan.start[0], 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(an_empty_queue_starts_nothing_and_waits_for_nothing, forget_lanes),
    cmocka_unit_test_setup(the_higher_priority_goes_first, forget_lanes),
    cmocka_unit_test_setup(within_a_priority_the_longest_due_goes_first_and_ties_break_by_id, forget_lanes),
    cmocka_unit_test_setup(a_job_that_is_not_due_sets_the_alarm, forget_lanes),
    cmocka_unit_test_setup(a_host_gets_no_more_than_its_share_and_others_are_not_held_up, forget_lanes),
    cmocka_unit_test_setup(what_is_active_counts_against_the_total, forget_lanes),
    cmocka_unit_test_setup(the_same_view_in_another_order_gives_the_same_plan, forget_lanes),
    cmocka_unit_test_setup(an_urgent_job_takes_the_place_of_the_least_urgent_at_the_edge_of_its_fragment, forget_lanes),
    cmocka_unit_test_setup(one_that_yields_already_makes_room_for_one_alone, forget_lanes),
    cmocka_unit_test_setup(as_urgent_a_job_waits_until_a_time_slice_is_used_up, forget_lanes),
    cmocka_unit_test_setup(nobody_yields_while_nobody_waits, forget_lanes),
    cmocka_unit_test_setup(foreground_jobs_run_beside_one_another, forget_lanes),
    cmocka_unit_test_setup(a_group_has_a_parallelism_of_its_own_which_foreground_jobs_pass, forget_lanes),
    cmocka_unit_test_setup(no_user_has_more_than_their_share, forget_lanes),
    cmocka_unit_test_setup(a_closed_lane_starts_nothing_and_sets_no_alarm_but_what_is_forced_runs, forget_lanes),
    cmocka_unit_test_setup(what_a_person_started_is_not_put_aside, forget_lanes),
    cmocka_unit_test_setup(a_destination_that_is_down_holds_one_probe, forget_lanes),
    cmocka_unit_test_setup(after_the_network_returned_jobs_start_one_after_the_other, forget_lanes),
};

UNIT_MAIN(tests);
