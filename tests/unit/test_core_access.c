/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/unit.h"

#include "core/access.h"
#include "core/transfer_access.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static int set(struct access *access, const char *option, const char *value, const char **ret_reason)
{
    const struct access_key *key = access_find_option(option);

    assert_non_null(key);
    return access_set_text(access, key, value, ret_reason);
}

static void choose(struct access *access, const char *option, const char *value)
{
    const char *reason = NULL;

    assert_int_equal(set(access, option, value, &reason), 0);
}

static void refused(const char *option, const char *value, const char *words)
{
    struct access access = {0};
    const char *reason = NULL;

    assert_int_equal(set(&access, option, value, &reason), -EINVAL);
    assert_non_null(strstr(reason, words));
}

static void every_key_has_a_name_of_its_own_in_both_worlds(void **state)
{
    (void)state;
    for (size_t i = 0; i < access_keys_count; i++) {
        assert_ptr_equal(access_find_option(access_keys[i].option), &access_keys[i]);
        assert_ptr_equal(access_find_config(access_keys[i].config), &access_keys[i]);
    }
    assert_null(access_find_option("colour"));
    assert_null(access_find_config("Colour"));
}

static void a_value_that_a_key_does_not_take_is_refused_with_what_it_takes(void **state)
{
    char longest[ACCESS_HEADER_MAX + 2];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[ACCESS_HEADER_MAX + 1] = '\0';
    refused("auth", "magic", "basic, digest, ntlm, negotiate or bearer");
    refused("auth", "basic|digest", "basic, digest");
    refused("method_override", "PUT", "bits_post, post or post-only");
    refused("credential", "../../etc/shadow", "letters, digits");
    refused("credential", "", "empty");
    refused("cacert", "ca.pem", "absolute path");
    refused("pinned_key", "/etc/key.pem", "sha256//BASE64");
    refused("proxy", "socks5://host:1080", "http://HOST:PORT");
    refused("proxy", "http://me:secret@host:3128", "bitsq credential set");
    refused("user_agent", "a\nB: c", "control characters");
    refused("user_agent", longest, "256 bytes");
    longest[ACCESS_HEADER_MAX] = '\0';
    struct access access = {0};
    choose(&access, "user_agent", longest);
    choose(&access, "proxy", "");
    assert_null(access_fault(&access));
    access_done(&access);
}

static void all_paths_together_have_a_bound(void **state)
{
    struct access access = {0};
    char path[ACCESS_TEXTS_MAX / 2 + 1];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    choose(&access, "cert", path);
    choose(&access, "key_file", path);
    assert_null(access_fault(&access));
    choose(&access, "user_agent", "x");
    assert_non_null(strstr(access_fault(&access), "4096"));
    access_done(&access);
}

static void the_job_wins_over_its_host_and_the_host_over_the_rest(void **state)
{
    struct access_section sections[] = {{.pattern = (char *)"up.example.org"}, {.pattern = (char *)"*"}};
    struct access_rules rules = {.sections = sections, .count = ELEMENTS(sections)};
    struct access job = {0}, resolved = {0};

    (void)state;
    choose(&job, "user_agent", "of the job");
    choose(&sections[0].access, "user_agent", "of the host");
    choose(&sections[0].access, "auth", "ntlm");
    choose(&sections[1].access, "auth", "basic");
    choose(&sections[1].access, "noproxy", "*");
    access_set_flag(&job, access_find_option("lenient_ack"), false);
    access_set_flag(&sections[1].access, access_find_option("lenient_ack"), true);
    access_set_flag(&sections[1].access, access_find_option("netrc"), true);

    assert_int_equal(access_resolve(&job, &rules, "up.example.org:443", &resolved), 0);
    assert_string_equal(resolved.texts[ACCESS_USER_AGENT], "of the job");
    assert_string_equal(resolved.texts[ACCESS_AUTH], "ntlm");
    assert_string_equal(resolved.texts[ACCESS_NOPROXY], "*");
    assert_int_equal(resolved.flags, ACCESS_NETRC);
    access_done(&resolved);
    assert_int_equal(access_resolve(&job, &rules, "down.example.org:443", &resolved), 0);
    assert_string_equal(resolved.texts[ACCESS_AUTH], "basic");
    access_done(&resolved);
    access_done(&job);
    access_done(&sections[0].access);
    access_done(&sections[1].access);
}

static void two_are_equal_when_each_choice_is(void **state)
{
    struct access one = {0}, other = {0};

    (void)state;
    assert_true(access_equal(&one, &other));
    choose(&one, "proxy", "");
    assert_false(access_equal(&one, &other)); /* none is a choice */
    choose(&other, "proxy", "http://proxy:3128");
    assert_false(access_equal(&one, &other));
    choose(&other, "proxy", "");
    assert_true(access_equal(&one, &other));
    access_set_flag(&one, access_find_option("netrc"), false);
    assert_false(access_equal(&one, &other));
    access_set_flag(&other, access_find_option("netrc"), true);
    assert_false(access_equal(&one, &other));
    access_set_flag(&one, access_find_option("netrc"), true);
    assert_true(access_equal(&one, &other));
    access_done(&one);
    access_done(&other);
}

static void a_pattern_names_a_host_a_domain_or_a_port(void **state)
{
    (void)state;
    assert_true(access_pattern_matches("up.example.org", "up.example.org:443"));
    assert_true(access_pattern_matches("up.example.org:443", "up.example.org:443"));
    assert_false(access_pattern_matches("up.example.org:80", "up.example.org:443"));
    assert_true(access_pattern_matches("*.example.org", "up.example.org:443"));
    assert_false(access_pattern_matches("*.example.org", "example.org:443"));
    assert_false(access_pattern_matches("*.example.org", "up.example.org.evil:443"));
    assert_true(access_pattern_matches("[::1]", "[::1]:8080"));
    assert_true(access_pattern_matches("[::1]:8080", "[::1]:8080"));
    assert_false(access_pattern_matches("[::1]:80", "[::1]:8080"));
    assert_true(access_pattern_matches("*:8080", "anything:8080"));
}

static void a_secret_goes_only_where_it_may(void **state)
{
    struct transfer_access access = {.server = {.scheme = AUTH_BASIC}, .headers = (char *)"X-Key: 1\0"};
    const char *origin = "up.example.org:80", *other = "node7.example.org:80";

    (void)state;
    assert_true(transfer_access_may_authenticate(&access, origin, origin, false));
    assert_false(transfer_access_may_authenticate(&access, origin, other, false));
    assert_true(transfer_access_may_authenticate(&access, origin, other, true));
    assert_true(transfer_access_may_add_headers(&access, origin, origin, false));
    assert_false(transfer_access_may_add_headers(&access, origin, other, false));
    access.over_http = true;
    assert_true(transfer_access_may_authenticate(&access, origin, other, false));
    assert_true(transfer_access_may_add_headers(&access, origin, other, false));

    access = (struct transfer_access){.server = {.scheme = AUTH_BEARER}};
    assert_false(transfer_access_may_authenticate(&access, origin, origin, false));
    assert_true(transfer_access_may_authenticate(&access, origin, origin, true));

    access.server.hosts = (char *)"up.example.org  *.other.org";
    assert_true(transfer_access_may_authenticate(&access, origin, origin, true));
    assert_false(transfer_access_may_authenticate(&access, origin, other, true));
    assert_true(transfer_access_may_authenticate(&access, origin, "a.other.org:80", true));
    access.over_http = true;
    assert_false(transfer_access_may_authenticate(&access, origin, other, false));
}

static void a_scheme_is_known_by_its_name(void **state)
{
    enum auth_scheme scheme = AUTH_NONE;

    (void)state;
    assert_int_equal(auth_scheme_parse(NULL, &scheme), 0);
    assert_int_equal(scheme, AUTH_ANY);
    assert_int_equal(auth_scheme_parse("negotiate", &scheme), 0);
    assert_int_equal(scheme, AUTH_NEGOTIATE);
    assert_true(auth_scheme_binds_connection(scheme));
    assert_int_equal(auth_scheme_parse("Negotiate", &scheme), -EINVAL);
    assert_false(auth_scheme_binds_connection(AUTH_DIGEST));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_key_has_a_name_of_its_own_in_both_worlds),
    cmocka_unit_test(a_value_that_a_key_does_not_take_is_refused_with_what_it_takes),
    cmocka_unit_test(all_paths_together_have_a_bound),
    cmocka_unit_test(the_job_wins_over_its_host_and_the_host_over_the_rest),
    cmocka_unit_test(two_are_equal_when_each_choice_is),
    cmocka_unit_test(a_pattern_names_a_host_a_domain_or_a_port),
    cmocka_unit_test(a_secret_goes_only_where_it_may),
    cmocka_unit_test(a_scheme_is_known_by_its_name),
};

UNIT_MAIN(tests);
