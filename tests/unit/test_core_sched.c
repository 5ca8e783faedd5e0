/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/sched.h"

#include "support/unit.h"

#include <string.h>

static const struct moment now = {.realtime_usec = 1000 * USEC_PER_SEC};
static const struct sched_limits limits = {.max_active = 3, .max_active_per_host = 2};

static struct sched_candidate candidate(uint64_t id, uint64_t due_sec, enum job_priority priority, const char *host)
{
    return (struct sched_candidate){.id = id, .due_usec = due_sec * USEC_PER_SEC, .priority = priority, .host = host};
}

static struct sched_plan decide(const struct sched_candidate *candidates, size_t count,
                                const struct sched_active *active, size_t active_count)
{
    struct sched_view view = {
        .candidates = candidates, .candidates_count = count, .active = active, .active_count = active_count};
    struct sched_plan plan;

    assert_int_equal(sched_decide(&view, &limits, now, &plan), 0);
    return plan;
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
    struct sched_active active[] = {{.id = 7, .host = "a:80"}};
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
    struct sched_active active[] = {{.id = 7, .host = "a:80"}, {.id = 8, .host = "b:80"}};
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_queue_starts_nothing_and_waits_for_nothing),
    cmocka_unit_test(the_higher_priority_goes_first),
    cmocka_unit_test(within_a_priority_the_longest_due_goes_first_and_ties_break_by_id),
    cmocka_unit_test(a_job_that_is_not_due_sets_the_alarm),
    cmocka_unit_test(a_host_gets_no_more_than_its_share_and_others_are_not_held_up),
    cmocka_unit_test(what_is_active_counts_against_the_total),
    cmocka_unit_test(the_same_view_in_another_order_gives_the_same_plan),
};

UNIT_MAIN(tests);
