/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "support/unit.h"

#include "base/cleanup.h"

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
    assert_int_equal(config.settings.retain_days, 30);
    assert_int_equal(config.settings.retain_jobs, 10000);
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

static void a_hook_command_is_an_absolute_path_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\nHookCommand=/usr/lib/hook me\n[Test]\nHookRetryDelay=5ms\nSystemctlPath=/x\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_string_equal(config.hook_command, "/usr/lib/hook me");
    assert_string_equal(config.systemctl, "/x");
    assert_int_equal(config.settings.hook_retry_usec, 5000);
    config_done(&config);
    write_file(fixture->path, "[bitsqd]\nHookCommand=\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_null(config.hook_command);
    assert_null(config.systemctl);
    config_done(&config);
    write_file(fixture->path, "[bitsqd]\nHookCommand=hook\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), -EINVAL);
    assert_non_null(strstr(message, "absolute path"));
    free(message);
}

/* ---- how servers are reached ---- */

static char *resolved(const struct config *config, const char *host, enum access_text text)
{
    const struct access none = {0};
    struct access access;

    assert_int_equal(access_resolve(&none, &config->access_rules, host, &access), 0);
    char *value = access.texts[text] ? strdup(access.texts[text]) : NULL;
    access_done(&access);
    return value;
}

#define assert_resolved(config, host, text, expected)       \
    do {                                                    \
        char *value_ = resolved(&(config), (host), (text)); \
        assert_non_null(value_);                            \
        assert_string_equal(value_, (expected));            \
        free(value_);                                       \
    } while (0)

static void a_host_section_wins_over_bitsqd_wherever_it_stands(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[Host up.example.org]\nMethodOverride=post\n[bitsqd]\nMethodOverride=post-only\n"
                              "UserAgent=ours/1\n[Host *.EXAMPLE.com:8080]\nMethodOverride=post\n[Host [::1]]\n"
                              "UserAgent=six\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_string_equal(warned, "");
    assert_resolved(config, "up.example.org:80", ACCESS_METHOD_OVERRIDE, "post");
    assert_resolved(config, "up.example.org:80", ACCESS_USER_AGENT, "ours/1");
    assert_resolved(config, "other.example.org:80", ACCESS_METHOD_OVERRIDE, "post-only");
    assert_resolved(config, "a.example.com:8080", ACCESS_METHOD_OVERRIDE, "post");
    assert_resolved(config, "a.example.com:80", ACCESS_METHOD_OVERRIDE, "post-only");
    assert_resolved(config, "[::1]:443", ACCESS_USER_AGENT, "six");
    config_done(&config);
}

static void the_first_section_that_matches_decides(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[Host up.example.org]\nUserAgent=first\n[Host *.example.org]\nUserAgent=second\n"
                              "Auth=basic\n[Host *]\nUserAgent=third\nNoProxy=\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_resolved(config, "up.example.org:80", ACCESS_USER_AGENT, "first");
    assert_resolved(config, "up.example.org:80", ACCESS_AUTH, "basic");
    assert_resolved(config, "up.example.org:80", ACCESS_NOPROXY, "");
    assert_resolved(config, "down.example.org:80", ACCESS_USER_AGENT, "second");
    assert_resolved(config, "example.net:80", ACCESS_USER_AGENT, "third");
    config_done(&config);
}

static void a_drop_in_overrules_the_section_of_the_same_pattern(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\nAuth=basic\n[Host up]\nAuth=digest\nLenientAck=yes\n");
    (void)snprintf(path, sizeof(path), "%s.d", fixture->path);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s.d/20-more.conf", fixture->path);
    write_file(path, "[Host UP]\nAuth=ntlm\n[Host *]\nAuth=negotiate\n[bitsqd]\nAuth=bearer\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_int_equal(config.access_rules.count, 3);
    assert_resolved(config, "up:80", ACCESS_AUTH, "ntlm");
    assert_resolved(config, "down:80", ACCESS_AUTH, "negotiate");
    assert_int_equal(config.access_rules.sections[0].access.flags, ACCESS_LENIENT_ACK);
    assert_string_equal(config.access_rules.sections[2].access.texts[ACCESS_AUTH], "bearer");
    config_done(&config);
}

static void paths_may_begin_in_the_home_folder(void **state)
{
    struct fixture *fixture = *state;
    char expected[128];
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[bitsqd]\nCredentialDirectory=~/secrets\nCACertificate=%h/ca.pem\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    (void)snprintf(expected, sizeof(expected), "%s/secrets", fixture->folder);
    assert_string_equal(config.credential_directory, expected);
    (void)snprintf(expected, sizeof(expected), "%s/ca.pem", fixture->folder);
    assert_resolved(config, "up:80", ACCESS_CACERT, expected);
    config_done(&config);
}

static void assert_refused(struct fixture *fixture, const char *text, const char *complaint)
{
    char expected[512];
    struct config config;
    char *message = NULL;

    write_file(fixture->path, text);
    assert_int_equal(config_load(fixture->path, warn, &config, &message), -EINVAL);
    (void)snprintf(expected, sizeof(expected), "%s:%s", fixture->path, complaint);
    assert_non_null(message);
    assert_string_equal(message, expected);
    free(message);
}

static void a_bad_choice_is_an_error_with_file_and_line_and_without_the_value(void **state)
{
    struct fixture *fixture = *state;

    assert_refused(fixture, "[Host up]\nAuth=kerberos\n",
                   "2: the value of Auth= cannot be used: it takes basic, digest, ntlm, negotiate or bearer");
    assert_refused(fixture, "[Host up]\n\nLenientAck=perhaps\n",
                   "3: the value of LenientAck= cannot be used: it takes yes or no");
    assert_refused(fixture, "[bitsqd]\nCACertificate=ca.pem\n",
                   "2: the value of CACertificate= cannot be used: it needs an absolute path");
    assert_refused(fixture, "[bitsqd]\nCredentialDirectory=secrets\n",
                   "2: CredentialDirectory= needs an absolute path, or one that begins with ~/");
    assert_refused(fixture, "[bitsqd]\nProxy=http://user:hunter2@proxy:3128\n",
                   "2: the value of Proxy= cannot be used: a proxy's URL may not hold a user or password; store them "
                   "with bitsq credential set NAME, and name them as proxy_credential");
}

static void a_pattern_that_matches_no_host_is_refused(void **state)
{
    static const char *const patterns[] = {
        "", "http://up", "up.*", "up:0", "up:65536", "up:", "a b", "::1", "[::1", "[]", "up/x", "[::1]x",
    };
    char text[128];

    for (size_t i = 0; i < ELEMENTS(patterns); i++) {
        (void)snprintf(text, sizeof(text), "[Host %s]\nAuth=basic\n", patterns[i]);
        assert_refused(*state, text,
                       "2: a section is named as in [Host up.example.org], [Host *.example.org], [Host up:8080], "
                       "[Host [::1]] or [Host *]");
    }
}

static void other_keys_of_a_host_section_are_unknown(void **state)
{
    struct fixture *fixture = *state;
    char expected[160];
    struct config config;
    char *message = NULL;

    write_file(fixture->path, "[Host up]\nMaxActive=2\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    (void)snprintf(expected, sizeof(expected), "%s:2: there is no key MaxActive in [Host up]", fixture->path);
    assert_memory_equal(warned, expected, strlen(expected));
    assert_int_equal(config.settings.max_active, 4);
    config_done(&config);
}

static void rates_and_their_schedule_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t rate;
    } rows[] = {{"", 0}, {"off", 0}, {"200K", 200000}, {"2M", 2000000}, {"8Mbit", 1000000}, {"64Ki", 65536}, {"1", 1}};
    struct fixture *fixture = *state;
    char text[96], *message = NULL;
    struct config config;

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        (void)snprintf(text, sizeof(text), "[bitsqd]\nRateLimit=%s\n", rows[i].text);
        write_file(fixture->path, text);
        assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
        assert_int_equal(config.settings.rate_limit, rows[i].rate);
        assert_int_equal(config.settings.rate_schedule.count, 0);
        config_done(&config);
    }
    write_file(fixture->path, "[bitsqd]\nRateSchedule=Mon..Fri 08:00-18:00=200K; 22:00-06:00=off\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_int_equal(config.settings.rate_schedule.count, 2);
    assert_int_equal(config.settings.rate_schedule.spans[0].rate, 200000);
    assert_string_equal(warned, "");
    config_done(&config);
    write_file(fixture->path, "[bitsqd]\nRateSchedule=\n");
    assert_int_equal(config_load(fixture->path, warn, &config, &message), 0);
    assert_int_equal(config.settings.rate_schedule.count, 0);
    config_done(&config);
}

static void a_rate_that_cannot_be_is_an_error_with_the_remedy(void **state)
{
    static const struct {
        const char *line, *part_of_message;
    } rows[] = {
        {"RateLimit=0",
         ":2: RateLimit=0 is not a valid value; it takes a rate as 200K, 2M or 8Mbit (a second), or off"},
        {"RateLimit=fast", "or off"},
        {"RateLimit=2 M", "or off"},
        {"RateLimit=1000000T", "or off"},
        {"RateSchedule=08:00..18:00=200K", ":2: RateSchedule=08:00..18:00=200K cannot be read: "},
        {"RateSchedule=08:00..18:00=200K", "08:00-18:00"},
        {"RateSchedule=08:00-18:00", "200K"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct config config;
        char text[96], *message = NULL;
        (void)snprintf(text, sizeof(text), "[bitsqd]\n%s\n", rows[i].line);
        write_file(fixture->path, text);
        assert_int_equal(config_load(fixture->path, warn, &config, &message), -EINVAL);
        assert_non_null(strstr(message, rows[i].part_of_message));
        free(message);
    }
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
    cmocka_unit_test_setup_teardown(a_hook_command_is_an_absolute_path_or_nothing, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_host_section_wins_over_bitsqd_wherever_it_stands, set_up, tear_down),
    cmocka_unit_test_setup_teardown(the_first_section_that_matches_decides, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_drop_in_overrules_the_section_of_the_same_pattern, set_up, tear_down),
    cmocka_unit_test_setup_teardown(paths_may_begin_in_the_home_folder, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_bad_choice_is_an_error_with_file_and_line_and_without_the_value, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(a_pattern_that_matches_no_host_is_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown(rates_and_their_schedule_are_read, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_rate_that_cannot_be_is_an_error_with_the_remedy, set_up, tear_down),
    cmocka_unit_test_setup_teardown(other_keys_of_a_host_section_are_unknown, set_up, tear_down),
};

UNIT_MAIN(tests);
