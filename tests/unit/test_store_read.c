/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lanes, counts and queries. */
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX 256

struct rows {
    uint64_t ids[ROWS_MAX];
    size_t count;
    uint64_t stop_at; /* this id ends the page; 0 = none does */
};

static int on_row(const struct job *job, void *userdata)
{
    struct rows *rows = userdata;

    assert_true(rows->count < ROWS_MAX);
    rows->ids[rows->count++] = job->id;
    return job->id == rows->stop_at ? 1 : 0;
}

static int query(struct fixture *fixture, const struct store_filter *filter, uint64_t after, size_t limit,
                 struct rows *rows, uint64_t *ret_next)
{
    rows->count = 0;
    int r = store_query(fixture->store, filter, after, limit, on_row, rows, ret_next);
    if (r >= 0)
        assert_int_equal(r, rows->count);
    return r;
}

/* All pages of LIMIT rows must give exactly IDS. */
static void assert_query(struct fixture *fixture, const struct store_filter *filter, size_t limit, const uint64_t *ids,
                         size_t ids_count)
{
    struct rows rows = {0};
    uint64_t cursor = 0;
    size_t seen = 0;

    do {
        assert_true(query(fixture, filter, cursor, limit, &rows, &cursor) >= 0);
        assert_true(rows.count <= limit);
        assert_true(seen + rows.count <= ids_count);
        for (size_t i = 0; i < rows.count; i++)
            assert_int_equal(rows.ids[i], ids[seen++]);
    } while (cursor != 0);
    assert_int_equal(seen, ids_count);
}

#define ASSERT_QUERY(fixture, filter, ...)                                              \
    do {                                                                                \
        const uint64_t expected_[] = {__VA_ARGS__};                                     \
        for (size_t limit_ = 1; limit_ <= 4; limit_++)                                  \
            assert_query((fixture), &(filter), limit_, expected_, ELEMENTS(expected_)); \
        assert_query((fixture), &(filter), 1000, expected_, ELEMENTS(expected_));       \
    } while (0)

/* 1 ready, 2 paused (group "g"), 3 ready of another user, 4 ready with key "k", 5 cancelling, 6 paused. */
static void fill(struct fixture *fixture)
{
    struct job *jobs[7];

    for (unsigned i = 1; i <= 6; i++)
        jobs[i] = fixture_job(i);
    jobs[2]->state = jobs[6]->state = JOB_PAUSED;
    fixture_set(&jobs[2]->group, "g");
    jobs[3]->owner = FIXTURE_OWNER + 1;
    fixture_set(&jobs[4]->key, "k");
    for (unsigned i = 1; i <= 6; i++)
        assert_int_equal(fixture_add(fixture, jobs[i]), i);
    assert_int_equal(fixture_verb(fixture, VERB_CANCEL, 5), 0);
}

static void everything_is_listed_in_the_order_of_ids(void **state)
{
    struct fixture *fixture = *state;
    struct store_filter all = {.any_owner = true}, mine = {.owner = FIXTURE_OWNER},
                        theirs = {.owner = FIXTURE_OWNER + 1}, nobodys = {.owner = 7};
    struct rows rows;
    uint64_t next = 99;

    fill(fixture);
    ASSERT_QUERY(fixture, all, 1, 2, 3, 4, 5, 6);
    ASSERT_QUERY(fixture, mine, 1, 2, 4, 5, 6);
    ASSERT_QUERY(fixture, theirs, 3);
    assert_int_equal(query(fixture, &nobodys, 0, 10, &rows, &next), 0);
    assert_int_equal(next, 0);
}

static void a_filter_leaves_out_what_does_not_match(void **state)
{
    struct fixture *fixture = *state;
    struct store_filter paused = {.owner = FIXTURE_OWNER, .states = 1U << JOB_PAUSED};
    struct store_filter two = {.owner = FIXTURE_OWNER, .states = 1U << JOB_PAUSED | 1U << JOB_CANCELLING};
    struct store_filter any_paused = {.any_owner = true, .states = 1U << JOB_PAUSED};
    struct store_filter group = {.owner = FIXTURE_OWNER, .group = "g"};
    struct store_filter both = {.owner = FIXTURE_OWNER, .group = "default", .states = 1U << JOB_PAUSED};

    fill(fixture);
    ASSERT_QUERY(fixture, paused, 2, 6);
    ASSERT_QUERY(fixture, two, 2, 5, 6);
    ASSERT_QUERY(fixture, any_paused, 2, 6);
    ASSERT_QUERY(fixture, group, 2);
    ASSERT_QUERY(fixture, both, 6);
}

static void a_key_selects_one_job(void **state)
{
    struct fixture *fixture = *state;
    struct store_filter filter = {.owner = FIXTURE_OWNER, .key = "k"}, any = {.any_owner = true, .key = "k"};
    struct store_filter paused = {.owner = FIXTURE_OWNER, .key = "k", .states = 1U << JOB_PAUSED};
    const uint64_t other[] = {5};
    struct store_filter not_in = {.owner = FIXTURE_OWNER, .key = "k", .ids = other, .ids_count = 1};
    struct rows rows;
    uint64_t next;

    fill(fixture);
    ASSERT_QUERY(fixture, filter, 4);
    ASSERT_QUERY(fixture, any, 4);
    assert_int_equal(query(fixture, &filter, 4, 10, &rows, &next), 0);
    assert_int_equal(query(fixture, &paused, 0, 10, &rows, &next), 0);
    assert_int_equal(query(fixture, &not_in, 0, 10, &rows, &next), 0);
    filter.owner++;
    assert_int_equal(query(fixture, &filter, 0, 10, &rows, &next), 0);
}

static void ids_and_ranges_select_each_job_once(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t ids[] = {6, 77, 2, 6, 1};
    const struct id_range ranges[] = {{4, 5}, {2, 4}, {9, 8}, {100, UINT64_MAX}};
    struct store_filter by_id = {.any_owner = true, .ids = ids, .ids_count = ELEMENTS(ids)};
    struct store_filter by_range = {.any_owner = true, .ranges = ranges, .ranges_count = ELEMENTS(ranges)};
    struct store_filter by_both = {.owner = FIXTURE_OWNER,
                                   .ids = ids,
                                   .ids_count = ELEMENTS(ids),
                                   .ranges = ranges,
                                   .ranges_count = ELEMENTS(ranges)};

    fill(fixture);
    ASSERT_QUERY(fixture, by_id, 1, 2, 6);
    ASSERT_QUERY(fixture, by_range, 2, 3, 4, 5);
    ASSERT_QUERY(fixture, by_both, 1, 2, 4, 5, 6);
}

static void a_page_ends_where_its_reader_wants(void **state)
{
    struct fixture *fixture = *state;
    struct store_filter mine = {.owner = FIXTURE_OWNER};
    struct rows rows = {.stop_at = 4};
    uint64_t next = 0;

    fill(fixture);
    assert_int_equal(query(fixture, &mine, 0, 100, &rows, &next), 3);
    assert_int_equal(next, 4);
    assert_int_equal(query(fixture, &mine, 0, 0, &rows, &next), 0);
}

static int on_row_fail(const struct job *job, void *userdata)
{
    (void)job, (void)userdata;
    return -ENOBUFS;
}

static void an_error_of_the_reader_ends_the_query(void **state)
{
    struct fixture *fixture = *state;
    struct store_filter mine = {.owner = FIXTURE_OWNER};
    uint64_t next = 12345;

    fill(fixture);
    assert_int_equal(store_query(fixture->store, &mine, 0, 10, on_row_fail, NULL, &next), -ENOBUFS);
    assert_int_equal(next, 12345);
}

static void add_many(struct fixture *fixture, unsigned count)
{
    struct job *jobs[STORE_BATCH_MAX];

    for (unsigned done = 0; done < count; done += STORE_BATCH_MAX) {
        unsigned n = count - done < STORE_BATCH_MAX ? count - done : STORE_BATCH_MAX;
        for (unsigned i = 0; i < n; i++)
            jobs[i] = fixture_job(done + i);
        _cleanup_(command_free_p) struct command *command = fixture_add_command(jobs, n, IF_EXISTS_FAIL);
        fixture_run(fixture, command);
        assert_int_equal(command->result, 0);
    }
}

static void a_query_with_few_matches_returns_short_pages(void **state)
{
    struct fixture *fixture = *state;
    struct store_filter rare = {.any_owner = true, .group = "rare"};
    struct job *job = fixture_job(1);
    struct rows rows;
    uint64_t next = 0;

    add_many(fixture, STORE_SCAN_ROWS_MAX);
    fixture_set(&job->group, "rare");
    uint64_t id = fixture_add(fixture, job);
    assert_int_equal(query(fixture, &rare, 0, 10, &rows, &next), 0);
    assert_int_equal(next, STORE_SCAN_ROWS_MAX);
    assert_int_equal(query(fixture, &rare, next, 10, &rows, &next), 1);
    assert_int_equal(rows.ids[0], id);
    assert_int_equal(next, 0);
}

static void counts_follow_the_jobs(void **state)
{
    struct fixture *fixture = *state;
    uint64_t counts[JOB_STATES];

    fill(fixture);
    assert_int_equal(store_count(fixture->store, false, FIXTURE_OWNER, counts), 0);
    assert_int_equal(counts[JOB_READY], 2);
    assert_int_equal(counts[JOB_PAUSED], 2);
    assert_int_equal(counts[JOB_CANCELLING], 1);
    assert_int_equal(store_count(fixture->store, false, FIXTURE_OWNER + 1, counts), 0);
    assert_int_equal(counts[JOB_READY], 1);
    assert_int_equal(counts[JOB_PAUSED], 0);
    assert_int_equal(store_count(fixture->store, true, 0, counts), 0);
    assert_int_equal(counts[JOB_READY], 3);
    assert_int_equal(store_count(fixture->store, false, 1, counts), 0);
    assert_int_equal(counts[JOB_READY], 0);
}

struct lanes {
    char text[1024];
    int result;
};

static int on_lane(const struct store_lane *lane, const struct store_candidate *heads, size_t heads_count,
                   void *userdata)
{
    struct lanes *lanes = userdata;
    char *at = lanes->text + strlen(lanes->text);
    size_t room = sizeof(lanes->text) - strlen(lanes->text);
    int n = snprintf(at, room, "%u %s %s %s:", lane->owner, lane->group, lane->host, job_priority_name(lane->priority));

    for (size_t i = 0; i < heads_count; i++)
        n += snprintf(at + n, room - (size_t)n, " %u@%d", (unsigned)heads[i].id,
                      (int)((int64_t)(heads[i].due_usec - FIXTURE_NOW) / (int64_t)USEC_PER_SEC));
    (void)snprintf(at + n, room - (size_t)n, "\n");
    return lanes->result;
}

static void assert_lanes(struct fixture *fixture, size_t heads_max, const char *expected)
{
    struct lanes lanes = {.text = ""};

    assert_int_equal(store_lanes(fixture->store, heads_max, on_lane, &lanes), 0);
    assert_string_equal(lanes.text, expected);
}

static void a_lane_shows_its_first_jobs_by_due_time(void **state)
{
    struct fixture *fixture = *state;
    struct job *late = fixture_job(50), *early = fixture_job(5), *high = fixture_job(20), *host = fixture_job(1),
               *paused = fixture_job(0), *same = fixture_job(5);

    assert_lanes(fixture, 4, "");
    high->priority = PRIORITY_HIGH;
    fixture_set(&host->host, "other.example:80");
    paused->state = JOB_PAUSED;
    fixture_add(fixture, late);
    fixture_add(fixture, early);
    fixture_add(fixture, high);
    fixture_add(fixture, host);
    fixture_add(fixture, paused);
    fixture_add(fixture, same);
    assert_lanes(fixture, 4,
                 "1000 default up.example:443 normal: 2@5 6@5 1@50\n"
                 "1000 default up.example:443 high: 3@20\n"
                 "1000 default other.example:80 normal: 4@1\n");
    assert_lanes(fixture, 1,
                 "1000 default up.example:443 normal: 2@5\n"
                 "1000 default up.example:443 high: 3@20\n"
                 "1000 default other.example:80 normal: 4@1\n");
    assert_lanes(fixture, 0,
                 "1000 default up.example:443 normal:\n"
                 "1000 default up.example:443 high:\n"
                 "1000 default other.example:80 normal:\n");
}

static void a_lane_lives_as_long_as_its_runnable_jobs(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1));
    struct lmdb_txn txn;

    assert_int_equal(fixture_verb(fixture, VERB_PAUSE, id), 0);
    assert_lanes(fixture, 4, "");
    lmdb_begin_read(fixture->store->env, &txn);
    assert_int_equal(lmdb_entries(&txn, TABLE_LANES), 0);
    assert_int_equal(lmdb_entries(&txn, TABLE_LANE_IDS), 0);
    lmdb_abort(&txn);
    assert_int_equal(fixture_verb(fixture, VERB_RESUME, id), 0);
    assert_lanes(fixture, 4, "1000 default up.example:443 normal: 1@1\n");
}

static void a_job_that_retries_is_due_at_its_next_attempt(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = fixture_add(fixture, fixture_job(1));
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_RETRY_AT, 1);

    command->items[0].id = id;
    command->update.next_attempt_usec = FIXTURE_NOW + 90 * USEC_PER_SEC;
    fixture_run(fixture, command);
    assert_int_equal(fixture_state(fixture, id), JOB_RETRYING);
    assert_lanes(fixture, 4, "1000 default up.example:443 normal: 1@90\n");
    assert_int_equal(fixture_verb(fixture, VERB_RETRY, id), 0);
    assert_lanes(fixture, 4, "1000 default up.example:443 normal: 1@1\n");
}

static void an_error_of_the_scheduler_ends_the_walk(void **state)
{
    struct fixture *fixture = *state;
    struct lanes lanes = {.result = -EUCLEAN};

    fixture_add(fixture, fixture_job(1));
    assert_int_equal(store_lanes(fixture->store, 1, on_lane, &lanes), -EUCLEAN);
    lanes.result = -ENOENT;
    assert_int_equal(store_lanes(fixture->store, 1, on_lane, &lanes), -ENOENT);
}

static void choose_rate_limit(struct fixture *fixture, uint64_t rate_limit)
{
    _cleanup_(command_free_p) struct command *command = command_new(COMMAND_LIMIT, 0);

    assert_non_null(command);
    command->rate_limit = rate_limit;
    assert_int_equal(fixture_run(fixture, command)->result, 0);
}

static uint64_t chosen_rate_limit(struct fixture *fixture)
{
    uint64_t rate_limit = 77;

    assert_int_equal(store_rate_limit(fixture->store, &rate_limit), 0);
    return rate_limit;
}

static void the_rate_limit_that_was_chosen_is_kept(void **state)
{
    static const uint64_t limits[] = {200000, 0, UINT64_C(1) << 40, RATE_LIMIT_UNCHOSEN, RATE_LIMIT_UNCHOSEN};
    struct fixture *fixture = *state;

    assert_true(chosen_rate_limit(fixture) == RATE_LIMIT_UNCHOSEN);
    for (size_t i = 0; i < ELEMENTS(limits); i++) {
        choose_rate_limit(fixture, limits[i]);
        assert_true(chosen_rate_limit(fixture) == limits[i]);
        fixture_close(fixture);
        fixture_open(fixture);
        assert_true(chosen_rate_limit(fixture) == limits[i]);
    }
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(everything_is_listed_in_the_order_of_ids),
    OPEN(a_filter_leaves_out_what_does_not_match),
    OPEN(a_key_selects_one_job),
    OPEN(ids_and_ranges_select_each_job_once),
    OPEN(a_page_ends_where_its_reader_wants),
    OPEN(an_error_of_the_reader_ends_the_query),
    OPEN(a_query_with_few_matches_returns_short_pages),
    OPEN(counts_follow_the_jobs),
    OPEN(a_lane_shows_its_first_jobs_by_due_time),
    OPEN(a_lane_lives_as_long_as_its_runnable_jobs),
    OPEN(a_job_that_retries_is_due_at_its_next_attempt),
    OPEN(an_error_of_the_scheduler_ends_the_walk),
    OPEN(the_rate_limit_that_was_chosen_is_kept),
};

UNIT_MAIN(tests);
