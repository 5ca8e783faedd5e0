/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of units, the instance that a template gets, and the pauses between tries. */
#include "support/unit.h"

#include "core/hook.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static void a_name_without_a_suffix_is_a_service(void **state)
{
    static const struct {
        const char *text, *unit;
    } names[] = {
        {"done", "done.service"},           {"done.service", "done.service"},
        {"done@", "done@.service"},         {"done@x", "done@x.service"},
        {"done.target", "done.target"},     {"a:b_c.d\\x2d-e.path", "a:b_c.d\\x2d-e.path"},
        {"backup.sh", "backup.sh.service"}, {"done@a@b", "done@a@b.service"},
    };
    char unit[HOOK_UNIT_MAX + 1];
    const char *reason;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        assert_int_equal(hook_unit_complete(names[i].text, unit, &reason), 0);
        assert_string_equal(unit, names[i].unit);
        assert_null(hook_unit_fault(unit));
    }
}

static void what_systemd_would_not_take_is_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *text, *words;
    } names[] = {
        {"", "missing"},
        {"/usr/bin/done", "put it into a service"},
        {"done now", "letters, digits"},
        {"a;b", "letters"},
        {"d\xc3\xb6ne", "letters"},
        {"$(done)", "letters"},
        {".service", "missing"},
        {"@.service", "missing before"},
        {"@x", "missing before"},
        {"*", "letters"},
        {"a\nb", "letters"},
    };
    char unit[HOOK_UNIT_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        const char *reason = "";
        assert_int_equal(hook_unit_complete(names[i].text, unit, &reason), -EINVAL);
        assert_non_null(strstr(reason, names[i].words));
    }
    assert_non_null(hook_unit_fault("done"));
    assert_non_null(hook_unit_fault("done.sh"));
}

/* A name of LENGTH characters in all. */
static const char *name_of(size_t length, const char *end, char buffer[static HOOK_UNIT_MAX + 2])
{
    memset(buffer, 'x', length);
    memcpy(buffer + length - strlen(end), end, strlen(end) + 1);
    return buffer;
}

static void names_have_a_longest_size(void **state)
{
    char name[HOOK_UNIT_MAX + 2], unit[HOOK_UNIT_MAX + 1];
    const char *reason = "";

    (void)state;
    assert_int_equal(hook_unit_complete(name_of(HOOK_UNIT_MAX, ".service", name), unit, &reason), 0);
    assert_int_equal(hook_unit_complete(name_of(HOOK_UNIT_MAX + 1, ".service", name), unit, &reason), -EINVAL);
    assert_non_null(strstr(reason, "255"));
    assert_int_equal(hook_unit_complete(name_of(HOOK_UNIT_MAX - 8, "", name), unit, &reason), 0);
    assert_int_equal(strlen(unit), HOOK_UNIT_MAX);
    assert_int_equal(hook_unit_complete(name_of(HOOK_UNIT_MAX - 7, "", name), unit, &reason), -EINVAL);
    assert_int_equal(hook_unit_complete(name_of(214, "@.service", name), unit, &reason), 0);
    assert_int_equal(hook_unit_complete(name_of(215, "@.service", name), unit, &reason), -EINVAL);
    assert_non_null(strstr(reason, "214"));
}

static void a_template_gets_the_job_and_the_event_and_others_stay(void **state)
{
    struct hook hook = {.sequence = 1007, .job_id = 42, .unit = "done@.service"};
    char name[HOOK_UNIT_MAX + 2], unit[HOOK_UNIT_MAX + 1];

    (void)state;
    hook_unit_start(&hook, unit);
    assert_string_equal(unit, "done@42-1007.service");
    (void)strcpy(hook.unit, "done@mine.service");
    hook_unit_start(&hook, unit);
    assert_string_equal(unit, "done@mine.service");
    (void)strcpy(hook.unit, "done.service");
    hook_unit_start(&hook, unit);
    assert_string_equal(unit, "done.service");
    hook.sequence = hook.job_id = UINT64_MAX;
    (void)strcpy(hook.unit, name_of(214, "@.service", name));
    hook_unit_start(&hook, unit);
    assert_int_equal(strlen(unit), HOOK_UNIT_MAX);
    assert_null(hook_unit_fault(unit));
}

static void tries_are_ever_further_apart_and_end(void **state)
{
    uint64_t delay = HOOK_RETRY_USEC, all = 0;

    (void)state;
    for (unsigned tries = 1; tries < HOOK_TRIES_MAX; tries++, delay *= 3) {
        assert_int_equal(hook_retry_delay(tries, HOOK_RETRY_USEC), delay);
        all += delay;
    }
    assert_int_equal(hook_retry_delay(HOOK_TRIES_MAX, HOOK_RETRY_USEC), 0);
    assert_int_equal(all, 200 * UINT64_C(1000000));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_name_without_a_suffix_is_a_service),
    cmocka_unit_test(what_systemd_would_not_take_is_refused_with_a_sentence),
    cmocka_unit_test(names_have_a_longest_size),
    cmocka_unit_test(a_template_gets_the_job_and_the_event_and_others_stay),
    cmocka_unit_test(tries_are_ever_further_apart_and_end),
};

UNIT_MAIN(tests);
