/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A day of a server in one second: 10,000 jobs of all sizes and priorities, to many hosts, for two users, with a fake
 * clock. A model asks for each decision again what the limits and the priorities promise.
 */
#include "core/sched.h"

#include "support/unit.h"

#include <stdio.h>
#include <string.h>

#define JOBS          10000
#define HOSTS         17
#define FRAGMENT_SEC  5
#define SLICE_SEC     30
#define LARGE_SEC     3600 /* of work */
#define SMALL_MAX_SEC 8

static const struct sched_limits limits = {
    .max_active = 16, .max_active_per_host = 4, .max_active_per_user = 12, .time_slice_usec = SLICE_SEC * USEC_PER_SEC};

struct work {
    uint64_t arrives_sec, left_sec, due_sec; /* due: its place in the lane */
    struct sched_lane lane;
    bool is_active, is_yielding, is_large;
    uint64_t since_sec, done_sec;
};

struct world {
    struct work jobs[JOBS];
    struct sched_candidate candidates[JOBS];
    struct sched_active active[ACTIVE_JOBS_MAX];
    char hosts[HOSTS][16];
    uint64_t now_sec, seed, log; /* log: a digest of all plans */
    size_t first, left;          /* all before `first` are done */
};

static uint64_t draw(struct world *world, uint64_t below)
{
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (world->seed >> 33) % below;
}

static void fill(struct world *world, uint64_t seed)
{
    static const char *const groups[] = {"default", "photos", "logs"};
    static const uint64_t parallel[] = {0, 3, 1};

    *world = (struct world){.seed = seed, .left = JOBS};
    for (size_t i = 0; i < HOSTS; i++)
        (void)snprintf(world->hosts[i], sizeof(world->hosts[i]), "h%zu:80", i);
    for (size_t i = 0; i < JOBS; i++) {
        struct work *job = &world->jobs[i];
        size_t group = draw(world, 20) == 0 ? 1 + draw(world, 2) : 0;
        job->is_large = i % 500 == 3;
        job->arrives_sec = job->due_sec = i / 4;
        job->left_sec = job->is_large ? LARGE_SEC : 1 + draw(world, SMALL_MAX_SEC);
        job->lane = (struct sched_lane){
            .owner = 1000 + (uid_t)draw(world, 2),
            .priority = draw(world, 50) == 0 ? PRIORITY_FOREGROUND : (enum job_priority)(1 + draw(world, 3)),
            .host = world->hosts[draw(world, HOSTS)],
            .group = groups[group],
            .group_max_active = parallel[group],
        };
        if (job->is_large)
            job->lane.priority = PRIORITY_NORMAL;
    }
}

static struct sched_view look(struct world *world)
{
    struct sched_view view = {.candidates = world->candidates, .active = world->active};

    while (world->first < JOBS && world->jobs[world->first].left_sec == 0)
        world->first++;
    for (size_t i = world->first; i < JOBS && world->jobs[i].arrives_sec <= world->now_sec; i++) {
        struct work *job = &world->jobs[i];
        if (job->is_active)
            world->active[view.active_count++] = (struct sched_active){.id = i + 1,
                                                                       .lane = job->lane,
                                                                       .since_usec = job->since_sec * USEC_PER_SEC,
                                                                       .is_yielding = job->is_yielding};
        else if (job->left_sec > 0)
            world->candidates[view.candidates_count++] =
                (struct sched_candidate){.id = i + 1, .due_usec = job->due_sec * USEC_PER_SEC, .lane = &job->lane};
    }
    return view;
}

static void check_limits(const struct world *world)
{
    uint64_t total = 0, by_host[HOSTS] = {0}, by_user[2] = {0}, photos[2] = {0}, logs[2] = {0};

    for (size_t i = world->first; i < JOBS; i++) {
        const struct work *job = &world->jobs[i];
        if (!job->is_active)
            continue;
        size_t user = job->lane.owner - 1000;
        total++;
        by_user[user]++;
        for (size_t host = 0; host < HOSTS; host++)
            by_host[host] += strcmp(world->hosts[host], job->lane.host) == 0;
        photos[user] += job->lane.priority != PRIORITY_FOREGROUND && strcmp(job->lane.group, "photos") == 0;
        logs[user] += job->lane.priority != PRIORITY_FOREGROUND && strcmp(job->lane.group, "logs") == 0;
    }
    assert_in_range(total, 0, limits.max_active);
    for (size_t host = 0; host < HOSTS; host++)
        assert_in_range(by_host[host], 0, limits.max_active_per_host);
    for (size_t user = 0; user < 2; user++) {
        assert_in_range(by_user[user], 0, limits.max_active_per_user);
        assert_in_range(photos[user], 0, 3);
        assert_in_range(logs[user], 0, 1);
    }
}

static void carry_out(struct world *world, const struct sched_plan *plan)
{
    for (size_t i = 0; i < plan->yield_count; i++) {
        struct work *job = &world->jobs[plan->yield[i] - 1];
        assert_true(job->is_active && !job->is_yielding);
        job->is_yielding = true;
        world->log = world->log * 31 + plan->yield[i];
    }
    for (size_t i = 0; i < plan->start_count; i++) {
        struct work *job = &world->jobs[plan->start[i] - 1];
        assert_false(job->is_active);
        assert_true(job->left_sec > 0);
        job->is_active = true;
        job->since_sec = world->now_sec;
        world->log = world->log * 31 + plan->start[i];
    }
}

/* A second passes: everybody uploads, and who yields ends with the fragment. */
static void pass(struct world *world)
{
    world->now_sec++;
    for (size_t i = world->first; i < JOBS; i++) {
        struct work *job = &world->jobs[i];
        if (!job->is_active)
            continue;
        bool at_edge = (world->now_sec - job->since_sec) % FRAGMENT_SEC == 0;
        if (--job->left_sec == 0) {
            job->done_sec = world->now_sec;
            world->left--;
        }
        if (job->left_sec > 0 && !(job->is_yielding && at_edge))
            continue;
        /* What yields stands at the end of its lane. */
        job->due_sec = world->now_sec;
        job->is_active = job->is_yielding = false;
    }
}

static void run(struct world *world)
{
    struct sched_plan plan;

    while (world->left > 0) {
        struct moment now = {.realtime_usec = world->now_sec * USEC_PER_SEC,
                             .monotonic_usec = world->now_sec * USEC_PER_SEC};
        struct sched_view view = look(world);
        assert_int_equal(sched_decide(&view, &limits, now, &plan), 0);
        carry_out(world, &plan);
        check_limits(world);
        assert_in_range(world->now_sec, 0, 20 * JOBS);
        pass(world);
    }
}

static struct world *world_new(uint64_t seed)
{
    struct world *world = malloc(sizeof(*world));

    assert_non_null(world);
    fill(world, seed);
    return world;
}

static void ten_thousand_jobs_keep_every_limit_and_all_end(void **state)
{
    struct world *world = world_new(1);

    (void)state;
    run(world);
    free(world);
}

static void the_same_day_goes_the_same_way_twice(void **state)
{
    struct world *one = world_new(2), *other = world_new(2);

    (void)state;
    run(one);
    run(other);
    assert_true(one->log == other->log);
    assert_int_equal(one->now_sec, other->now_sec);
    free(one);
    free(other);
}

/* One host, one slot: without time slices the small ones would wait for the hour that the large one takes. */
static void a_large_job_does_not_starve_small_ones(void **state)
{
    struct world *world = world_new(3);

    (void)state;
    for (size_t i = 0; i < JOBS; i++) {
        struct work *job = &world->jobs[i];
        job->lane = (struct sched_lane){.owner = 1000,
                                        .priority = PRIORITY_NORMAL,
                                        .host = world->hosts[0],
                                        .group = "logs",
                                        .group_max_active = 1};
        job->arrives_sec = job->due_sec = i < 2 ? 0 : i * 60;
        job->left_sec = i == 0 ? LARGE_SEC : i < 20 ? 3 : 0;
        world->left -= i >= 20;
    }
    run(world);
    for (size_t i = 1; i < 20; i++)
        assert_in_range(world->jobs[i].done_sec - world->jobs[i].arrives_sec, 0, SLICE_SEC + FRAGMENT_SEC + 3 + 1);
    /* and it loses no more than they take, and the rest of a fragment each */
    assert_in_range(world->jobs[0].done_sec, LARGE_SEC, LARGE_SEC + 19 * (3 + FRAGMENT_SEC));
    free(world);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ten_thousand_jobs_keep_every_limit_and_all_end),
    cmocka_unit_test(the_same_day_goes_the_same_way_twice),
    cmocka_unit_test(a_large_job_does_not_starve_small_ones),
};

UNIT_MAIN(tests);
