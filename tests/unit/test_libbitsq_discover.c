/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the library finds and starts the daemon: shell scripts play bitsqd. */
#include "internal.h"

#include "support/unit.h"

#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/bitsq-discover-XXXXXX";
static char program[64];

static void write_program(const char *script)
{
    FILE *file = fopen(program, "we");

    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", script) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(program, 0700), 0);
}

static char *read_folder_file(const char *name)
{
    char path[96];
    char *text = calloc(1, 4096);

    assert_non_null(text);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_true(fread(text, 1, 4095, file) > 0);
    (void)fclose(file);
    return text;
}

static int setup(void **state)
{
    (void)state;
    (void)unsetenv("DBUS_SESSION_BUS_ADDRESS");
    (void)unsetenv("XDG_RUNTIME_DIR");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(program, sizeof(program), "%s/bitsqd", folder);
    return setenv("BITSQ_DAEMON", program, 1);
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

/* Discovers with this script as the daemon; the address, or NULL with the client's message. */
static char *discover(bitsq_client *client, const char *script, bool may_start, bool *ret_started)
{
    char *address = NULL;

    write_program(script);
    int r = discover_daemon(client, may_start, &address, ret_started);
    assert_true(r < 0 ? address == NULL : address != NULL);
    return address;
}

static void a_running_daemon_is_asked_for_its_address(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started = true;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    _cleanup_free_ char *address =
        discover(client, "test \"$1\" = --print-address && echo unix:path=/a", true, &started);
    assert_string_equal(address, "unix:path=/a");
    assert_false(started);
}

static void where_nobody_runs_one_is_started(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started = false;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    /* as a daemon does: the parent leaves at once, the child reports later and keeps the pipes */
    _cleanup_free_ char *address =
        discover(client,
                 "test $1 = --print-address && exit 3\n"
                 "{ read line < /dev/null; echo unix:path=/b; exec sleep 600; } & echo $! > ${0%/*}/child",
                 true, &started);
    assert_string_equal(address, "unix:path=/b");
    assert_true(started);
    _cleanup_free_ char *child = read_folder_file("child");
    assert_int_equal(kill((pid_t)strtol(child, NULL, 10), SIGKILL), 0);
}

static void none_is_started_where_the_caller_asks_for_that(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    assert_null(discover(client, "test $1 = --print-address && exit 3; echo unix:path=/b", false, &started));
    assert_string_equal(bitsq_client_get_error_name(client), "NoDaemon");
    assert_non_null(strstr(bitsq_client_get_error_message(client), "bitsq daemon start"));
}

static void a_holder_that_is_starting_is_waited_for(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started = true;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    _cleanup_free_ char *address =
        discover(client, "echo x >> ${0%/*}/asked; test $(wc -l < ${0%/*}/asked) -lt 4 && exit 4; echo unix:path=/c",
                 true, &started);
    assert_string_equal(address, "unix:path=/c");
    assert_false(started);
}

static void why_a_daemon_cannot_start_is_told(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    assert_null(discover(client,
                         "test $1 = --print-address && exit 3\n"
                         "{ echo 'warning: unknown key'; echo 'bitsqd: no space is left in /state; make room and start "
                         "again'; echo 'warning: the same'; } >&2; exit 1",
                         true, &started));
    assert_string_equal(bitsq_client_get_error_message(client),
                        "no space is left in /state; make room and start again");
    assert_null(discover(client, "test $1 = --print-address && exit 3; kill -9 $$", true, &started));
    assert_string_equal(bitsq_client_get_error_name(client), "NoDaemon");
    assert_null(discover(client, "exit 7", true, &started));
    assert_non_null(strstr(bitsq_client_get_error_message(client), "status 7"));
}

static void a_program_that_is_not_there_is_told(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    char *address;
    bool started;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    (void)setenv("BITSQ_DAEMON", "/nonexistent/bitsqd", 1);
    int r = discover_daemon(client, true, &address, &started);
    (void)setenv("BITSQ_DAEMON", program, 1);
    assert_int_equal(r, -ECONNREFUSED);
    assert_non_null(strstr(bitsq_client_get_error_message(client), "/nonexistent/bitsqd is not installed"));
}

static void the_daemon_inherits_nothing_that_it_does_not_need(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    (void)setenv("SECRET_TOKEN", "1", 1);
    (void)setenv("XDG_STATE_HOME", "/s", 1);
    (void)setenv("LC_ALL", "C", 1);
    (void)signal(SIGPIPE, SIG_IGN);
    int inherited = fcntl(STDERR_FILENO, F_DUPFD, 20); /* without close-on-exec, as a careless caller has them */
    assert_true(inherited >= 20);
    _cleanup_free_ char *address =
        discover(client,
                 "{ env; pwd -P; ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0; grep SigIgn "
                 "/proc/self/status; } > ${0%/*}/seen; echo unix:path=/d",
                 true, &started);
    (void)close(inherited);
    (void)signal(SIGPIPE, SIG_DFL);
    assert_non_null(address);
    _cleanup_free_ char *seen = read_folder_file("seen");
    assert_null(strstr(seen, "SECRET_TOKEN"));
    assert_null(strstr(seen, "BITSQ_DAEMON"));
    assert_non_null(strstr(seen, "XDG_STATE_HOME=/s"));
    assert_non_null(strstr(seen, "LC_ALL=C"));
    assert_non_null(strstr(seen, "\n/\n"));
    assert_non_null(strstr(seen, "/dev/null"));
    assert_null(strstr(seen, " 20 "));
    const char *ignored = strstr(seen, "SigIgn:\t");
    uint32_t low;
    assert_non_null(ignored);
    assert_int_equal(parse_hex32_n(ignored + strlen("SigIgn:\t") + 8, 8, &low), 0);
    assert_false(low & 1u << (SIGPIPE - 1));
}

static void a_caller_that_reaps_its_children_itself_is_served_too(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    (void)signal(SIGCHLD, SIG_IGN);
    char *address = discover(client, "echo unix:path=/e", true, &started);
    (void)signal(SIGCHLD, SIG_DFL);
    assert_string_equal(address, "unix:path=/e");
    free(address);
}

static void a_flood_of_output_is_cut(void **state)
{
    _cleanup_(bitsq_client_free_p) bitsq_client *client = NULL;
    bool started;

    (void)state;
    assert_int_equal(bitsq_client_new(&client), 0);
    assert_null(discover(client, "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", true, &started));
    assert_true(strlen(bitsq_client_get_error_message(client)) < ERROR_MESSAGE_MAX);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_running_daemon_is_asked_for_its_address),
    cmocka_unit_test(where_nobody_runs_one_is_started),
    cmocka_unit_test(none_is_started_where_the_caller_asks_for_that),
    cmocka_unit_test(a_holder_that_is_starting_is_waited_for),
    cmocka_unit_test(why_a_daemon_cannot_start_is_told),
    cmocka_unit_test(a_program_that_is_not_there_is_told),
    cmocka_unit_test(the_daemon_inherits_nothing_that_it_does_not_need),
    cmocka_unit_test(a_caller_that_reaps_its_children_itself_is_served_too),
    cmocka_unit_test(a_flood_of_output_is_cut),
};

int main(void)
{
    cmocka_set_test_filter(getenv("BITSQ_TEST"));
    return cmocka_run_group_tests(tests, setup, teardown);
}
