/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
    char folder[64];
    char path[96];
};

static char warned[512];

static void warn(const char *text)
{
    (void)snprintf(warned, sizeof(warned), "%s", text);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/bitsq-config-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/bitsqd.conf", fixture->folder);
    warned[0] = '\0';
    assert_int_equal(setenv("HOME", fixture->folder, 1), 0);
    (void)unsetenv("XDG_STATE_HOME");
    (void)unsetenv("XDG_CONFIG_HOME");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    struct fixture *fixture = *state;

    (void)snprintf(command, sizeof(command), "rm -r %s", fixture->folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder of our own making */
    free(fixture);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void no_file_means_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    char expected[128];
    struct config config;
    char *message = NULL;

    assert_int_equal(config_load(NULL, warn, &config, &message), 0);
    assert_int_equal(config.settings.max_active, 4);
    assert_int_equal(config.settings.max_active_per_host, 2);
    assert_int_equal(config.settings.fragment_max_bytes, 24 * MIB);
    (void)snprintf(expected, sizeof(expected), "%s/.local/state/bitsq", fixture->folder);
    assert_string_equal(config.state_directory, expected);
    config_done(&config);
}

static void keys_are_read_with_their_units(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char *message = NULL;

    write_file(fixture->path,
               "# a comment\n[bitsqd]\nMaxActive=7\nRetryDelay = 1m30s\nFragmentMin=64KiB\nFragmentMax=2M\n"
               "StateDirectory=~/queue\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_int_equal(config.settings.max_active, 7);
    assert_int_equal(config.settings.retry_delay_usec, 90 * USEC_PER_SEC);
    assert_int_equal(config.settings.fragment_min_bytes, 65536);
    assert_int_equal(config.settings.fragment_max_bytes, 2000000);
    assert_non_null(strstr(config.state_directory, "/queue"));
    assert_string_equal(warned, "");
    config_done(&config);
}

static void an_unknown_key_is_a_warning_with_file_and_line(void **state)
{
    struct fixture *fixture = *state;
    char expected[160];
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\nMaxActive=2\nMaxActiv=3\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    (void)snprintf(expected, sizeof(expected), "%s:3: there is no key MaxActiv in [bitsqd]", fixture->path);
    assert_memory_equal(warned, expected, strlen(expected));
    assert_int_equal(config.settings.max_active, 2);
    config_done(&config);
}

static void a_bad_value_is_an_error_with_file_line_and_range(void **state)
{
    struct fixture *fixture = *state;
    char expected[160];
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\n\nMaxActive=65\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), -EINVAL);
    (void)snprintf(expected, sizeof(expected), "%s:3: MaxActive=65 is not a valid value; it takes 1 to 64",
                   fixture->path);
    assert_string_equal(message, expected);
    free(message);
}

static void text_that_is_no_configuration_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd\nMaxActive=2\n");
    assert_true(config_load(fixture->path, warn, &config, &message) < 0);
    assert_non_null(message);
    assert_non_null(strstr(message, fixture->path));
    free(message);
}

static void a_bad_value_does_not_hide_where_the_queue_is(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\nMaxActive=lots\nStateDirectory=/srv/queue\nNoSuchKey=1\n");
    assert_int_equal(config_load_state_directory(fixture->path, &config, &message), 0);
    assert_string_equal(config.state_directory, "/srv/queue");
    config_done(&config);
    write_file(fixture->path, "[bitsqd]\nStateDirectory=queue\n");
    assert_int_equal(config_load_state_directory(fixture->path, &config, &message), -EINVAL);
    free(message);
}

static void a_drop_in_overrules_the_file(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\nMaxActive=2\nMaxJobs=10\n");
    (void)snprintf(path, sizeof(path), "%s.d", fixture->path);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s.d/20-more.conf", fixture->path);
    write_file(path, "[bitsqd]\nMaxActive=9\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_int_equal(config.settings.max_active, 9);
    assert_int_equal(config.settings.max_jobs, 10);
    config_done(&config);
}

static void fragments_go_below_the_floor_in_tests_only(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\nFragmentMin=4096\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), -EINVAL);
    free(message);
    message = NULL;
    write_file(fixture->path, "[bitsqd]\nFragmentMin=4096\n[Test]\nFragmentFloor=4096\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_int_equal(config.settings.fragment_min_bytes, 4096);
    config_done(&config);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(no_file_means_the_defaults, set_up, tear_down),
    cmocka_unit_test_setup_teardown(keys_are_read_with_their_units, set_up, tear_down),
    cmocka_unit_test_setup_teardown(an_unknown_key_is_a_warning_with_file_and_line, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_bad_value_is_an_error_with_file_line_and_range, set_up, tear_down),
    cmocka_unit_test_setup_teardown(text_that_is_no_configuration_is_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_bad_value_does_not_hide_where_the_queue_is, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_drop_in_overrules_the_file, set_up, tear_down),
    cmocka_unit_test_setup_teardown(fragments_go_below_the_floor_in_tests_only, set_up, tear_down),
};

UNIT_MAIN(tests);
