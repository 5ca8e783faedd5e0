/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/unit.h"

#include "core/change.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static struct job *queued(enum job_state state)
{
    struct job *job = job_new();
    const char *reason;

    job->state = state;
    job->priority = PRIORITY_NORMAL;
    job->name = strdup("a.bin");
    job->group = strdup("default");
    job->url = strdup("http://old/a.bin");
    job->host = strdup("old:80");
    job->source = strdup("/a.bin");
    job->session.phase = SESSION_FRAGMENT;
    (void)strcpy(job->session.session_id, "{1}");
    job->session.offset = job->session.high_offset = 4096;
    job->session.sent_bytes = 8192;
    job->options.retry_delay_usec = 7;
    assert_int_equal(access_set_text(&job->access, access_find_option("credential"), "old", &reason), 0);
    access_set_flag(&job->access, access_find_option("netrc"), true);
    return job;
}

static void choose(struct job_change *change, const char *option, const char *value)
{
    const char *reason;

    assert_int_equal(access_set_text(&change->access, access_find_option(option), value, &reason), 0);
}

static void apply(struct job *job, const struct job_change *change)
{
    const char *reason = NULL;

    assert_int_equal(job_change_apply(job, change, &reason), 0);
}

static void what_is_not_named_stays(void **state)
{
    _cleanup_(job_free_p) struct job *job = queued(JOB_PAUSED);
    struct job_change change = {.has_priority = true, .priority = PRIORITY_HIGH};

    (void)state;
    choose(&change, "proxy", "http://proxy:3128");
    assert_false(job_change_is_empty(&change));
    apply(job, &change);
    assert_int_equal(job->priority, PRIORITY_HIGH);
    assert_string_equal(job->access.texts[ACCESS_PROXY], "http://proxy:3128");
    assert_string_equal(job->access.texts[ACCESS_CREDENTIAL], "old");
    assert_int_equal(job->access.flags, ACCESS_NETRC);
    assert_string_equal(job->name, "a.bin");
    assert_string_equal(job->session.session_id, "{1}");
    assert_int_equal(job->state, JOB_PAUSED);
    job_change_done(&change);
}

static void a_hook_is_chosen_and_taken_back(void **state)
{
    _cleanup_(job_free_p) struct job *job = queued(JOB_FAILED);
    struct job_change change = {.hooks = {[HOOK_DONE] = strdup("done.service")}};
    const char *reason = "";

    (void)state;
    assert_false(job_change_is_empty(&change));
    apply(job, &change);
    assert_string_equal(job->hooks[HOOK_DONE], "done.service");
    assert_null(job->hooks[HOOK_FAILED]);
    job_change_done(&change);
    change.hooks[HOOK_FAILED] = strdup("no unit");
    assert_int_equal(job_change_apply(job, &change, &reason), -EINVAL);
    assert_non_null(strstr(reason, "name of a unit"));
    job_change_done(&change);
    assert_int_equal(job_change_reset(&change, "on_success"), 0);
    assert_false(job_change_is_empty(&change));
    apply(job, &change);
    assert_null(job->hooks[HOOK_DONE]);
    job_change_done(&change);
}

static void new_credentials_keep_the_session_of_a_failed_job(void **state)
{
    _cleanup_(job_free_p) struct job *job = queued(JOB_FAILED);
    struct job_change change = {0};

    (void)state;
    choose(&change, "credential", "new");
    apply(job, &change);
    assert_string_equal(job->access.texts[ACCESS_CREDENTIAL], "new");
    assert_int_equal(job->state, JOB_FAILED);
    assert_string_equal(job->session.session_id, "{1}");
    assert_int_equal(job->session.offset, 4096);
    job_change_done(&change);
}

static void a_choice_can_be_taken_back(void **state)
{
    _cleanup_(job_free_p) struct job *job = queued(JOB_READY);
    struct job_change change = {0};

    (void)state;
    assert_int_equal(job_change_reset(&change, "credential"), 0);
    assert_int_equal(job_change_reset(&change, "netrc"), 0);
    assert_int_equal(job_change_reset(&change, "retry_delay"), 0);
    assert_int_equal(job_change_reset(&change, "url"), -EINVAL);
    apply(job, &change);
    assert_null(job->access.texts[ACCESS_CREDENTIAL]);
    assert_int_equal(job->access.flags_chosen, 0);
    assert_int_equal(job->options.retry_delay_usec, 0);
    job_change_done(&change);
}

static void a_new_url_begins_at_0(void **state)
{
    _cleanup_(job_free_p) struct job *job = queued(JOB_RETRYING);
    struct job_change change = {.url = strdup("http://new/a.bin"), .host = strdup("new:80")};

    (void)state;
    job->next_attempt_usec = 99;
    apply(job, &change);
    assert_string_equal(job->url, "http://new/a.bin");
    assert_string_equal(job->host, "new:80");
    assert_string_equal(job->session.session_id, "");
    assert_int_equal(job->session.offset, 0);
    assert_int_equal(job->session.high_offset, 0);
    assert_int_equal(job->session.sent_bytes, 8192); /* they were sent all the same */
    assert_int_equal(job->state, JOB_READY);
    assert_int_equal(job->next_attempt_usec, 0);
    job_change_done(&change);
}

static void a_job_that_is_over_cannot_be_changed(void **state)
{
    static const enum job_state over[] = {JOB_DONE, JOB_CANCELLED, JOB_CANCELLING};
    struct job_change change = {.name = strdup("b")};
    const char *reason = NULL;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(over); i++) {
        _cleanup_(job_free_p) struct job *job = queued(over[i]);
        assert_int_equal(job_change_apply(job, &change, &reason), -EBUSY);
        assert_string_equal(job->name, "a.bin");
    }
    job_change_done(&change);
}

static void a_change_that_breaks_a_rule_changes_nothing(void **state)
{
    _cleanup_(job_free_p) struct job *job = queued(JOB_READY);
    struct job_change change = {.has_priority = true, .priority = PRIORITY_LOW, .name = strdup("a\nb")};
    const char *reason = NULL;

    (void)state;
    assert_int_equal(job_change_apply(job, &change, &reason), -EINVAL);
    assert_non_null(strstr(reason, "the name must be"));
    assert_int_equal(job->priority, PRIORITY_NORMAL);
    job_change_done(&change);
}

static void an_empty_change_is_known(void **state)
{
    struct job_change change = {0};

    (void)state;
    assert_true(job_change_is_empty(&change));
    access_set_flag(&change.access, access_find_option("lenient_ack"), false);
    assert_false(job_change_is_empty(&change));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_not_named_stays),
    cmocka_unit_test(new_credentials_keep_the_session_of_a_failed_job),
    cmocka_unit_test(a_hook_is_chosen_and_taken_back),
    cmocka_unit_test(a_choice_can_be_taken_back),
    cmocka_unit_test(a_new_url_begins_at_0),
    cmocka_unit_test(a_job_that_is_over_cannot_be_changed),
    cmocka_unit_test(a_change_that_breaks_a_rule_changes_nothing),
    cmocka_unit_test(an_empty_change_is_known),
};
UNIT_MAIN(tests);
