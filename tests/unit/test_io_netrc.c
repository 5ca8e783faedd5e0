/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ~/.netrc as ftp(1) and curl(1) read it. */
#include "io/netrc.h"
#include "support/unit.h"

#include <errno.h>
#include <string.h>

#define HOST "up.example.org:443"

static char reason[NETRC_REASON_MAX];

/* "USER/PASSWORD", "" where no entry fits, or NULL on an error. */
static const char *find(const char *text, const char *host)
{
    static char found[256];
    char *user = NULL, *password = NULL;

    reason[0] = found[0] = '\0';
    int r = netrc_find(text, strlen(text), host, &user, &password, reason);
    if (r > 0)
        (void)strcat(strcat(strcat(found, user), "/"), password);
    free(user);
    free(password);
    assert_true(r >= 0 || r == -EINVAL);
    return r < 0 ? NULL : found;
}

static void the_entry_of_the_machine_is_found(void **state)
{
    (void)state;
    assert_string_equal(find("machine up.example.org login alice password horse\n", HOST), "alice/horse");
    assert_string_equal(find("machine UP.example.ORG\n\tlogin alice\n\tpassword horse\n", HOST), "alice/horse");
    assert_string_equal(find("machine up.example.org password horse account x login alice", HOST), "alice/horse");
    assert_string_equal(find("machine\nup.example.org login\r\nalice password\nhorse", HOST), "alice/horse");
    assert_string_equal(find("machine other login a password b\n", HOST), "");
    assert_string_equal(find("machine example.org login a password b\n", HOST), "");
    assert_string_equal(find("", HOST), "");
}

static void the_first_entry_that_fits_counts(void **state)
{
    (void)state;
    assert_string_equal(find("machine x login a password b machine up.example.org login c password d "
                             "machine up.example.org login e password f\n",
                             HOST),
                        "c/d");
    assert_string_equal(find("machine x login a password b\ndefault login any password one\n", HOST), "any/one");
    assert_string_equal(find("default login any password one\nmachine up.example.org login a password b\n", HOST),
                        "any/one");
    assert_string_equal(find("machine up.example.org login a password b\ndefault login any password one\n", HOST),
                        "a/b");
}

static void an_address_in_brackets_is_found_without_them(void **state)
{
    (void)state;
    assert_string_equal(find("machine ::1 login a password b\n", "[::1]:8080"), "a/b");
    assert_string_equal(find("machine 127.0.0.1 login a password b\n", "127.0.0.1:80"), "a/b");
}

static void words_may_be_quoted(void **state)
{
    (void)state;
    assert_string_equal(find("machine up.example.org login \"a b\" password \"c \\\"d\\\\ #e\"\n", HOST),
                        "a b/c \"d\\ #e");
    assert_string_equal(find("machine up.example.org login a password \"\"\n", HOST), "a/");
    assert_string_equal(find("machine up.example.org login a password \"x\\ty\"\n", HOST), "a/x\ty");
    /* Only at the beginning of a word. */
    assert_string_equal(find("machine up.example.org login a password b\"c\n", HOST), "a/b\"c");
}

static void comments_and_macros_are_skipped(void **state)
{
    (void)state;
    assert_string_equal(find("# machine up.example.org login x password y\n  # default login x password y\n"
                             "machine up.example.org login a password #b\n",
                             HOST),
                        "a/#b");
    assert_string_equal(find("macdef init\nmachine up.example.org login x password y\ncd /\n\n"
                             "machine up.example.org login a password b\n",
                             HOST),
                        "a/b");
    assert_string_equal(find("machine x login a password b\nmacdef m\nbin\n\ndefault login c password d\n", HOST),
                        "c/d");
}

static void what_is_incomplete_is_told_without_a_word_of_the_file(void **state)
{
    (void)state;
    assert_null(find("machine up.example.org login geheim\n", HOST));
    assert_string_equal(reason, "the entry for up.example.org has no password");
    assert_null(find("machine up.example.org password geheim\n", HOST));
    assert_string_equal(reason, "the entry for up.example.org has no login");
    assert_null(find("machine x\n login \"geheim\n", HOST));
    assert_string_equal(reason, "line 2: the quote that begins there does not end");
    assert_null(find("machine up.example.org login a password", HOST));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_entry_of_the_machine_is_found),
    cmocka_unit_test(the_first_entry_that_fits_counts),
    cmocka_unit_test(an_address_in_brackets_is_found_without_them),
    cmocka_unit_test(words_may_be_quoted),
    cmocka_unit_test(comments_and_macros_are_skipped),
    cmocka_unit_test(what_is_incomplete_is_told_without_a_word_of_the_file),
};
UNIT_MAIN(tests);
