/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the user's own folders are. */
#include "base/cleanup.h"
#include "base/path.h"

#include "support/unit.h"

#include <pwd.h>
#include <string.h>

static void assert_folder(const char *expected)
{
    _cleanup_free_ char *folder = path_xdg("XDG_CONFIG_HOME", ".config");

    assert_non_null(folder);
    assert_string_equal(folder, expected);
}

static void a_variable_wins_where_it_is_absolute(void **state)
{
    (void)state;
    assert_int_equal(setenv("HOME", "/home/a", 1), 0);
    assert_int_equal(setenv("XDG_CONFIG_HOME", "/etc/a", 1), 0);
    assert_folder("/etc/a/bitsq");
    assert_int_equal(setenv("XDG_CONFIG_HOME", "etc/a", 1), 0);
    assert_folder("/home/a/.config/bitsq");
    assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
    assert_folder("/home/a/.config/bitsq");
}

static void without_a_home_that_is_absolute_the_user_database_is_asked(void **state)
{
    static const char *const homes[] = {"", "home/a", NULL};
    const struct passwd *user = getpwuid(geteuid());

    (void)state;
    assert_non_null(user);
    for (size_t i = 0; i < ELEMENTS(homes); i++) {
        assert_int_equal(homes[i] ? setenv("HOME", homes[i], 1) : unsetenv("HOME"), 0);
        _cleanup_free_ char *home = path_home();
        assert_non_null(home);
        assert_string_equal(home, user->pw_dir);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_variable_wins_where_it_is_absolute),
    cmocka_unit_test(without_a_home_that_is_absolute_the_user_database_is_asked),
};
UNIT_MAIN(tests);
