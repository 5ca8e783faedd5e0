/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/job.h"
#include "support/unit.h"

#include <errno.h>
#include <string.h>

static struct job *new_job(void)
{
    struct job *job = job_new();

    assert_non_null(job);
    job->state = JOB_READY;
    job->priority = PRIORITY_NORMAL;
    job->name = strdup("report.iso");
    job->group = strdup("default");
    job->url = strdup("http://up.example.org/in/report.iso");
    job->host = strdup("up.example.org:80");
    job->source = strdup("/home/a/report.iso");
    return job;
}

static void set(char **field, const char *text)
{
    free(*field);
    *field = text ? strdup(text) : NULL;
}

static void fill(char **field, size_t length, char first)
{
    free(*field);
    *field = malloc(length + 1);
    assert_non_null(*field);
    memset(*field, 'x', length);
    if (length > 0)
        (*field)[0] = first;
    (*field)[length] = '\0';
}

static void a_plain_job_is_valid(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();

    (void)state;
    assert_int_equal(job_validate(job, NULL), 0);
    set(&job->key, "nightly");
    assert_int_equal(job_validate(job, NULL), 0);
}

static void texts_are_valid_up_to_their_bound(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();
    const struct {
        char **field;
        size_t max;
        char first;
    } table[] = {
        {&job->name, JOB_NAME_MAX, 'x'}, {&job->key, JOB_KEY_MAX, 'x'},   {&job->group, JOB_GROUP_MAX, 'x'},
        {&job->url, JOB_URL_MAX, 'x'},   {&job->host, JOB_HOST_MAX, 'x'}, {&job->source, JOB_SOURCE_MAX, '/'},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        const char *reason = NULL;
        fill(table[i].field, table[i].max, table[i].first);
        assert_int_equal(job_validate(job, &reason), 0);
        fill(table[i].field, table[i].max + 1, table[i].first);
        assert_int_equal(job_validate(job, &reason), -EINVAL);
        assert_non_null(reason);
        fill(table[i].field, 0, table[i].first);
        assert_int_equal(job_validate(job, NULL), -EINVAL);
        fill(table[i].field, table[i].max, table[i].first);
    }
}

static void texts_that_are_shown_are_utf8_on_one_line(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();
    char **fields[] = {&job->name, &job->key, &job->group, &job->url, &job->host};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        set(fields[i], "\xff\xfe");
        assert_int_equal(job_validate(job, NULL), -EINVAL);
        set(fields[i], "two\nlines");
        assert_int_equal(job_validate(job, NULL), -EINVAL);
        set(fields[i], "gr\xc3\xbc\xc3\x9f\x65");
        assert_int_equal(job_validate(job, NULL), 0);
    }
}

static void a_source_may_be_any_bytes_but_must_be_absolute(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();

    (void)state;
    set(&job->source, "/a/\xff\n");
    assert_int_equal(job_validate(job, NULL), 0);
    set(&job->source, "a");
    assert_int_equal(job_validate(job, NULL), -EINVAL);
    set(&job->source, NULL);
    assert_int_equal(job_validate(job, NULL), -EINVAL);
}

static void required_texts_must_be_there(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();

    (void)state;
    set(&job->name, NULL);
    assert_int_equal(job_validate(job, NULL), -EINVAL);
    set(&job->name, "x");
    set(&job->url, NULL);
    assert_int_equal(job_validate(job, NULL), -EINVAL);
}

static void enums_from_the_disk_are_checked(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();

    (void)state;
    for (int value = -1; value <= JOB_STATES; value++) {
        job->state = (enum job_state)value;
        bool known = value >= JOB_READY && value <= JOB_CANCELLED;
        assert_int_equal(job_validate(job, NULL), known ? 0 : -EINVAL);
    }
    job->state = JOB_READY;
    job->type = (enum job_type)2;
    assert_int_equal(job_validate(job, NULL), -EINVAL);
    job->type = JOB_UPLOAD;
    job->priority = (enum job_priority)4;
    assert_int_equal(job_validate(job, NULL), -EINVAL);
    job->priority = PRIORITY_LOW;
    job->session.phase = (enum session_phase)5;
    assert_int_equal(job_validate(job, NULL), -EINVAL);
    job->session.phase = SESSION_REPLY;
    job->attempt_count = JOB_ATTEMPTS_KEPT;
    assert_int_equal(job_validate(job, NULL), 0);
    job->attempt_count++;
    assert_int_equal(job_validate(job, NULL), -EINVAL);
}

static void fragments_are_valid_up_to_their_bound(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();

    (void)state;
    job->options.fragment_min_bytes = job->options.fragment_max_bytes = FRAGMENT_CEILING_BYTES;
    assert_int_equal(job_validate(job, NULL), 0);
    job->options.fragment_max_bytes++;
    assert_int_equal(job_validate(job, NULL), -EINVAL);
    job->options.fragment_max_bytes = FRAGMENT_CEILING_BYTES - 1;
    assert_int_equal(job_validate(job, NULL), -EINVAL);
    job->options.fragment_max_bytes = 0; /* the configuration's */
    assert_int_equal(job_validate(job, NULL), 0);
}

static void a_copy_shares_nothing_with_its_original(void **state)
{
    _cleanup_(job_free_p) struct job *job = new_job();
    _cleanup_(job_free_p) struct job *copy = NULL;

    (void)state;
    job->id = 42;
    job->session.offset = 7;
    assert_int_equal(job_copy(job, &copy), 0);
    assert_int_equal(copy->id, 42);
    assert_int_equal(copy->session.offset, 7);
    assert_null(copy->key);
    assert_string_equal(copy->url, job->url);
    assert_ptr_not_equal(copy->url, job->url);
    assert_ptr_not_equal(copy->source, job->source);
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    assert_null(job_free(NULL));
}

static void states_and_priorities_have_names(void **state)
{
    static const char *const names[] = {"", "ready", "paused", "retrying", "cancelling", "done", "failed", "cancelled"};
    enum job_priority priority = PRIORITY_LOW;

    (void)state;
    for (int value = JOB_READY; value < JOB_STATES; value++)
        assert_string_equal(job_state_name((enum job_state)value), names[value]);
    assert_string_equal(job_state_name((enum job_state)JOB_STATES), "unknown");
    for (int value = PRIORITY_FOREGROUND; value <= PRIORITY_LOW; value++) {
        assert_int_equal(job_priority_parse(job_priority_name((enum job_priority)value), &priority), 0);
        assert_int_equal(priority, value);
    }
    assert_int_equal(job_priority_parse("urgent", &priority), -EINVAL);
    assert_int_equal(priority, PRIORITY_LOW);
}

static void each_state_is_final_runnable_or_paused(void **state)
{
    (void)state;
    for (int value = JOB_READY; value <= JOB_CANCELLED; value++) {
        enum job_state job_state = (enum job_state)value;
        int classes = job_state_is_final(job_state) + job_state_is_runnable(job_state) + (job_state == JOB_PAUSED);
        assert_int_equal(classes, 1);
    }
}

static void the_device_of_a_source_counts_only_where_its_file_system_stays(void **state)
{
    struct job job = {.identity = {.inode = 5, .inode_is_stable = true, .device = 1, .boot_id = {1}}};
    struct source_identity now = job.identity;

    (void)state;
    now.device = 2;
    assert_int_equal(job_source_change(&job, &now), IDENT_REPLACED);
    job.source_mount = (char[]){"/media/stick"};
    assert_int_equal(job_source_change(&job, &now), IDENT_SAME);
    now.inode = 6;
    assert_int_equal(job_source_change(&job, &now), IDENT_REPLACED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_plain_job_is_valid),
    cmocka_unit_test(texts_are_valid_up_to_their_bound),
    cmocka_unit_test(texts_that_are_shown_are_utf8_on_one_line),
    cmocka_unit_test(a_source_may_be_any_bytes_but_must_be_absolute),
    cmocka_unit_test(required_texts_must_be_there),
    cmocka_unit_test(enums_from_the_disk_are_checked),
    cmocka_unit_test(fragments_are_valid_up_to_their_bound),
    cmocka_unit_test(a_copy_shares_nothing_with_its_original),
    cmocka_unit_test(freeing_nothing_is_fine),
    cmocka_unit_test(states_and_priorities_have_names),
    cmocka_unit_test(each_state_is_final_runnable_or_paused),
    cmocka_unit_test(the_device_of_a_source_counts_only_where_its_file_system_stays),
};
UNIT_MAIN(tests);
