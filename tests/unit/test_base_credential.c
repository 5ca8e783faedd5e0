/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The format of a credential. */
#include "base/credential.h"

#include "support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char reason[CREDENTIAL_REASON_MAX];

static int parse(const char *text, struct credential *ret)
{
    reason[0] = '\0';
    return credential_parse(text, strlen(text), ret, reason);
}

static void assert_refused(const char *text, const char *why)
{
    struct credential credential = {.user = (char *)"untouched"};

    assert_int_equal(parse(text, &credential), -EINVAL);
    if (!strstr(reason, why))
        fail_msg("\"%s\": \"%s\" does not say \"%s\"", text, reason, why);
    /* "geheim" stands where values do. */
    assert_null(strstr(reason, "geheim"));
    assert_true(strlen(reason) < CREDENTIAL_REASON_MAX - 1);
    assert_string_equal(credential.user, "untouched");
}

static void user_and_password_are_taken_byte_for_byte(void **state)
{
    struct credential credential;

    (void)state;
    assert_int_equal(parse("# bitsq credential\r\n\r\nuser=DOMAIN\\al ice \npassword= #\"a=b'\xc3\xa9 ", &credential),
                     0);
    assert_string_equal(credential.user, "DOMAIN\\al ice ");
    assert_string_equal(credential.password, " #\"a=b'\xc3\xa9 ");
    assert_null(credential.scheme);
    assert_null(credential.hosts);
    credential_done(&credential);
    assert_int_equal(parse("user=a\npassword=\nscheme=digest\n", &credential), 0);
    assert_string_equal(credential.password, "");
    assert_string_equal(credential.scheme, "digest");
    credential_done(&credential);
}

static void a_token_means_bearer(void **state)
{
    struct credential credential;

    (void)state;
    assert_int_equal(parse("token=abc\n", &credential), 0);
    assert_string_equal(credential.scheme, "bearer");
    credential_done(&credential);
    assert_int_equal(parse("scheme=bearer\ntoken_file=/run/token\n", &credential), 0);
    assert_string_equal(credential.token_file, "/run/token");
    credential_done(&credential);
    assert_int_equal(parse("token_command=/usr/bin/gate --host  x\n", &credential), 0);
    assert_string_equal(credential.token_command, "/usr/bin/gate --host  x");
    assert_string_equal(credential.scheme, "bearer");
    credential_done(&credential);
}

static void negotiate_alone_means_the_ticket(void **state)
{
    struct credential credential;

    (void)state;
    assert_int_equal(parse("scheme=negotiate\n", &credential), 0);
    assert_string_equal(credential.scheme, "negotiate");
    assert_null(credential.user);
    credential_done(&credential);
}

static void hosts_are_lowered_and_need_to_be_hosts(void **state)
{
    struct credential credential;

    (void)state;
    assert_int_equal(parse("token=a\nhosts=Up.Example.ORG:8443 *.x [::1]:80\n", &credential), 0);
    assert_string_equal(credential.hosts, "up.example.org:8443 *.x [::1]:80");
    credential_done(&credential);
    assert_refused("token=a\nhosts=https://up.example.org\n", "no URLs");
    assert_refused("token=a\nhosts=  \n", "hosts= takes host names");
}

static void a_pattern_has_a_longest_size(void **state)
{
    struct credential credential;
    char text[CREDENTIAL_HOST_MAX + 64];

    (void)state;
    (void)snprintf(text, sizeof(text), "token=a\nhosts=%0*d b\n", CREDENTIAL_HOST_MAX, 0);
    assert_int_equal(parse(text, &credential), 0);
    credential_done(&credential);
    (void)snprintf(text, sizeof(text), "token=a\nhosts=b %0*d\n", CREDENTIAL_HOST_MAX + 1, 0);
    assert_refused(text, "hosts= holds a pattern of more than 303 bytes");
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    (void)state;
    assert_refused("user=a\ngeheim\n", "line 2 is not of the form KEY=VALUE");
    assert_refused("=geheim\n", "line 1 is not of the form KEY=VALUE");
    assert_refused("user = geheim\n", "line 1 is not of the form KEY=VALUE (without blanks");
    assert_refused("pasword=geheim\n", "line 1: the key \"pasword\" is unknown; there are user, password");
    assert_refused("abcdefghijklmnopqrstuvwxyzabc=geheim\n", "line 1: the key \"abcdefghijklmnopqrstuvwx\" is unknown");
    assert_refused("user=a\nuser=geheim\n", "line 2: user= stands there twice");
    assert_refused("password=geheim\001\n", "line 1: password= holds a control character");
    assert_refused("password=geheim\x7f\n", "holds a control character");
    assert_refused("user=\n", "line 1: user= is empty");
}

static void what_does_not_go_together_is_told(void **state)
{
    (void)state;
    assert_refused("", "it holds neither user= and password=, nor token=");
    assert_refused("scheme=basic\n", "it holds neither");
    assert_refused("user=geheim\n", "password= is missing");
    assert_refused("password=geheim\n", "user= is missing");
    assert_refused("user=a\npassword=geheim\ntoken=geheim\n", "only one of user=, token=");
    assert_refused("token=geheim\ntoken_file=/x\n", "only one of");
    assert_refused("token=geheim\nscheme=basic\n", "a token goes with scheme=bearer only");
    assert_refused("user=a\npassword=geheim\nscheme=bearer\n", "scheme=bearer needs token=");
    assert_refused("user=a\npassword=geheim\nscheme=kerberos\n", "scheme= takes basic");
    assert_refused("token=ge heim\n", "token= holds a blank");
    assert_refused("token_file=x\n", "token_file= needs an absolute path");
    assert_refused("token_command=gate\n", "token_command= needs the whole path");
}

static void a_nul_is_no_end(void **state)
{
    static const char text[] = "user=a\npassword=b\0c\n";
    struct credential credential;

    (void)state;
    assert_int_equal(credential_parse(text, sizeof(text) - 1, &credential, reason), -EINVAL);
    assert_non_null(strstr(reason, "line 2: password= holds a control character"));
}

static void a_token_has_a_longest_size(void **state)
{
    char *token = malloc(CREDENTIAL_TOKEN_MAX + 2);

    (void)state;
    assert_non_null(token);
    memset(token, 'a', CREDENTIAL_TOKEN_MAX + 1);
    token[CREDENTIAL_TOKEN_MAX] = '\0';
    assert_true(credential_token_is_valid(token));
    token[CREDENTIAL_TOKEN_MAX] = 'a';
    token[CREDENTIAL_TOKEN_MAX + 1] = '\0';
    assert_false(credential_token_is_valid(token));
    assert_false(credential_token_is_valid(""));
    free(token);
}

static void a_command_is_split_at_blanks_up_to_a_bound(void **state)
{
    char text[2 * CREDENTIAL_COMMAND_WORDS + 8] = "/x";
    char **words = NULL;

    (void)state;
    assert_int_equal(credential_split_command(" /usr/bin/gate\t--a  'b c' ", &words), 0);
    assert_string_equal(words[0], "/usr/bin/gate");
    assert_string_equal(words[1], "--a");
    assert_string_equal(words[2], "'b");
    assert_string_equal(words[3], "c'");
    assert_null(words[4]);
    free(words);
    for (size_t i = 1; i < CREDENTIAL_COMMAND_WORDS; i++)
        strcat(text, " y");
    assert_int_equal(credential_split_command(text, &words), 0);
    assert_non_null(words[CREDENTIAL_COMMAND_WORDS - 1]);
    assert_null(words[CREDENTIAL_COMMAND_WORDS]);
    free(words);
    strcat(text, " z");
    assert_int_equal(credential_split_command(text, &words), -E2BIG);
    assert_int_equal(credential_split_command(" ", &words), -EINVAL);
    assert_int_equal(credential_split_command("x /y", &words), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(user_and_password_are_taken_byte_for_byte),
    cmocka_unit_test(a_token_means_bearer),
    cmocka_unit_test(negotiate_alone_means_the_ticket),
    cmocka_unit_test(hosts_are_lowered_and_need_to_be_hosts),
    cmocka_unit_test(a_pattern_has_a_longest_size),
    cmocka_unit_test(what_is_wrong_is_told_with_its_line),
    cmocka_unit_test(what_does_not_go_together_is_told),
    cmocka_unit_test(a_nul_is_no_end),
    cmocka_unit_test(a_token_has_a_longest_size),
    cmocka_unit_test(a_command_is_split_at_blanks_up_to_a_bound),
};
UNIT_MAIN(tests);
