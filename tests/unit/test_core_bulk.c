/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which jobs a verb over many still has to reach. */
#include "core/bulk.h"
#include "support/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct bulk some_bulk(void)
{
    return (struct bulk){.caller = 1000, .verb = VERB_PAUSE, .at_usec = 500, .last_id = 100, .after = 10};
}

static void assert_covers(const struct bulk *bulk, const struct job *job, bool expected)
{
    assert_int_equal(bulk_covers(bulk, job), expected);
}

static void the_cursor_and_the_newest_job_bound_it(void **state)
{
    const struct bulk bulk = some_bulk();
    struct job job = {.owner = 1000, .state = JOB_READY, .group = (char[]){"default"}};
    static const struct {
        uint64_t id;
        bool covered;
    } rows[] = {{1, false}, {10, false}, {11, true}, {100, true}, {101, false}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        job.id = rows[i].id;
        assert_covers(&bulk, &job, rows[i].covered);
    }
}

static void owner_group_and_state_select(void **state)
{
    struct bulk bulk = some_bulk();
    struct job job = {.id = 20, .owner = 1000, .state = JOB_READY, .group = (char[]){"photos"}};

    (void)state;
    bulk.group = (char[]){"photos"};
    assert_covers(&bulk, &job, true);
    job.group = (char[]){"default"};
    assert_covers(&bulk, &job, false);
    bulk.group = NULL;
    job.owner = 1001;
    assert_covers(&bulk, &job, false);
    bulk.any_owner = true;
    assert_covers(&bulk, &job, true);
    bulk.states = 1U << JOB_PAUSED | 1U << JOB_FAILED;
    assert_covers(&bulk, &job, false);
    job.state = JOB_FAILED;
    assert_covers(&bulk, &job, true);
}

static void retrying_jobs_are_told_apart_by_their_next_attempt(void **state)
{
    struct bulk bulk = some_bulk();
    struct job waiting = {
        .id = 20, .owner = 1000, .state = JOB_RETRYING, .next_attempt_usec = 501, .group = (char[]){"default"}};
    struct job due = waiting;

    (void)state;
    due.next_attempt_usec = 500;
    assert_covers(&bulk, &waiting, true);
    assert_covers(&bulk, &due, true);
    bulk.retrying = BULK_RETRYING_WAITING;
    assert_covers(&bulk, &waiting, true);
    assert_covers(&bulk, &due, false);
    bulk.retrying = BULK_RETRYING_DUE;
    assert_covers(&bulk, &waiting, false);
    assert_covers(&bulk, &due, true);
}

static void ranges_are_sorted_and_joined(void **state)
{
    struct id_range ranges[] = {{50, 60}, {1, 5}, {6, 7}, {55, 70}, {90, 90}, {90, 90}, {72, 72}};

    (void)state;
    assert_int_equal(id_ranges_join(ranges, ELEMENTS(ranges)), 4);
    const struct id_range joined[] = {{1, 7}, {50, 70}, {72, 72}, {90, 90}};
    assert_memory_equal(ranges, joined, sizeof(joined));
    struct id_range everything[] = {{5, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {0, 1}};
    assert_int_equal(id_ranges_join(everything, ELEMENTS(everything)), 2);
    assert_int_equal(id_ranges_join(NULL, 0), 0);
}

static void assert_excluded(struct bulk *bulk, const struct id_range *holes, size_t count, const char *left)
{
    char text[200] = "";

    assert_int_equal(bulk_exclude(bulk, holes, count), 0);
    for (size_t i = 0; i < bulk->ranges_count; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%" PRIu64 "-%" PRIu64 " ",
                       bulk->ranges[i].first, bulk->ranges[i].last);
    assert_string_equal(text, left);
    free(bulk->ranges);
    bulk->ranges = NULL;
    bulk->ranges_count = 0;
}

static struct id_range *copy_ranges(const struct id_range *ranges, size_t count)
{
    struct id_range *copy = calloc(count, sizeof(*copy));

    assert_non_null(copy);
    memcpy(copy, ranges, count * sizeof(*copy));
    return copy;
}

static void holes_are_cut_out_of_what_is_meant(void **state)
{
    static const struct id_range named[] = {{5, 20}, {30, 40}};
    static const struct id_range holes[] = {{1, 4}, {10, 12}, {20, 30}, {40, 50}};
    static const struct id_range everything[] = {{1, 200}};
    struct bulk bulk = some_bulk();

    (void)state;
    assert_excluded(&bulk, holes, 0, "");
    assert_excluded(&bulk, holes, ELEMENTS(holes), "5-9 13-19 31-39 51-100 ");
    assert_excluded(&bulk, everything, 1, "0-0 ");
    bulk.ranges = copy_ranges(named, ELEMENTS(named));
    bulk.ranges_count = ELEMENTS(named);
    assert_excluded(&bulk, holes, ELEMENTS(holes), "5-9 13-19 31-39 ");
}

static void only_named_jobs_are_meant(void **state)
{
    struct id_range ranges[] = {{12, 14}, {20, 20}};
    struct bulk bulk = some_bulk();
    struct job job = {.owner = 1000, .state = JOB_READY, .group = (char[]){"default"}};

    (void)state;
    bulk.ranges = ranges;
    bulk.ranges_count = ELEMENTS(ranges);
    for (job.id = 11; job.id <= 22; job.id++)
        assert_covers(&bulk, &job, (job.id >= 12 && job.id <= 14) || job.id == 20);
}

static void touched_jobs_are_passed_by_and_forgotten_behind_the_cursor(void **state)
{
    struct bulk *bulk = calloc(1, sizeof(*bulk));
    struct job job = {.owner = 1000, .state = JOB_READY, .group = (char[]){"default"}};

    (void)state;
    assert_non_null(bulk);
    *bulk = some_bulk();
    assert_int_equal(bulk_touch(bulk, 40), 0);
    assert_int_equal(bulk_touch(bulk, 20), 0);
    assert_int_equal(bulk_touch(bulk, 30), 0);
    assert_int_equal(bulk_touch(bulk, 30), 0);
    assert_int_equal(bulk_touch(bulk, 5), 0); /* behind the cursor already */
    assert_int_equal(bulk->touched_count, 3);
    for (job.id = 20; job.id <= 40; job.id++)
        assert_covers(bulk, &job, job.id % 10 != 0);
    bulk_advance(bulk, 30);
    assert_int_equal(bulk->touched_count, 1);
    assert_int_equal(bulk->touched[0], 40);
    bulk_free(bulk);
}

static void touched_jobs_have_a_bound(void **state)
{
    struct bulk *bulk = calloc(1, sizeof(*bulk));

    (void)state;
    assert_non_null(bulk);
    bulk->last_id = UINT64_MAX;
    for (uint64_t id = 1; id <= BULK_TOUCHED_MAX; id++)
        assert_int_equal(bulk_touch(bulk, id), 0);
    assert_int_equal(bulk_touch(bulk, BULK_TOUCHED_MAX + 1), -EDQUOT);
    assert_int_equal(bulk_touch(bulk, 7), 0);
    bulk_free(bulk);
}

/* The count of a large selection must say what its steps will do. */
static void a_verb_is_allowed_where_it_can_be_applied(void **state)
{
    struct job_change change = {.has_priority = true};

    (void)state;
    for (enum job_verb verb = VERB_PAUSE; verb <= VERB_SET; verb++) {
        for (enum job_state from = JOB_READY; from < JOB_STATES; from++) {
            const struct command command = {.type = COMMAND_VERB, .verb = verb, .change = &change};
            struct job *job = job_new();
            enum job_effect effect;
            const char *reason;
            assert_non_null(job);
            job->id = 1;
            job->state = from;
            job->name = strdup("a");
            job->group = strdup("default");
            job->url = strdup("http://up.example/a");
            job->host = strdup("up.example:80");
            job->source = strdup("/a");
            bool allowed = job_verb_is_allowed(job, verb);
            assert_int_equal(job_apply(job, &command, &effect, &reason), allowed ? 0 : -EBUSY);
            job_free(job);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_cursor_and_the_newest_job_bound_it),
    cmocka_unit_test(owner_group_and_state_select),
    cmocka_unit_test(retrying_jobs_are_told_apart_by_their_next_attempt),
    cmocka_unit_test(ranges_are_sorted_and_joined),
    cmocka_unit_test(holes_are_cut_out_of_what_is_meant),
    cmocka_unit_test(only_named_jobs_are_meant),
    cmocka_unit_test(touched_jobs_are_passed_by_and_forgotten_behind_the_cursor),
    cmocka_unit_test(touched_jobs_have_a_bound),
    cmocka_unit_test(a_verb_is_allowed_where_it_can_be_applied),
};

UNIT_MAIN(tests);
