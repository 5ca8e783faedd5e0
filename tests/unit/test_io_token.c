/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens that helpers print. Real helpers; how often one ran shows at the lines that it leaves in a file. */
#include "core/limits.h"
#include "io/access.h"
#include "io/internal.h"
#include "io/spawner.h"
#include "io_fixture.h"
#include "support/folder.h"
#include "support/unit.h"

#include "base/moment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define BOUND_USEC (60 * USEC_PER_SEC)
#define HOST       "up.example.org:443"
#define COUNT      "echo run >>\"${0%/*}/runs\"\n"

struct fixture {
    struct spawner *spawner; /* first: it is forked before there are threads */
    struct io_fixture io;
    sd_event *event;
    struct access choices;
    unsigned done;
    int result;
    char *token, *fault;
    bool may_heal;
};

static int on_mailbox(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source, (void)fd, (void)events;
    io_fixture_turn(&((struct fixture *)userdata)->io);
    return 0;
}

static void helper(struct fixture *f, const char *script)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "#!/bin/sh\n%s", script);
    free(io_fixture_file(&f->io, "helper", text, 0700));
}

static void begin(struct fixture *f, const char *script)
{
    const char *reason = NULL;
    char text[512];

    memset(f, 0, sizeof(*f));
    assert_int_equal(spawner_start(&f->spawner), 0);
    io_fixture_begin(&f->io);
    assert_true(sd_event_new(&f->event) >= 0);
    assert_int_equal(spawner_attach(f->spawner, f->event, NULL, NULL), 0);
    assert_true(sd_event_add_io(f->event, NULL, mailbox_fd(f->io.mailbox), EPOLLIN, on_mailbox, f) >= 0);
    io_set_spawner(f->io.io, f->spawner);
    helper(f, script);
    (void)snprintf(text, sizeof(text), "token_command=%s/helper one  two\n", f->io.folder);
    free(io_fixture_file(&f->io, "t", text, 0600));
    assert_int_equal(access_set_text(&f->choices, access_find_option("credential"), "t", &reason), 0);
}

static void forget(struct fixture *f)
{
    free(f->token);
    free(f->fault);
    f->token = f->fault = NULL;
}

static void finish(struct fixture *f)
{
    forget(f);
    access_done(&f->choices);
    sd_event_unref(f->event);
    io_fixture_finish(&f->io);
    spawner_free(f->spawner);
}

static void on_access(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal)
{
    struct fixture *f = userdata;

    forget(f);
    f->done++;
    f->result = result;
    f->fault = fault ? strdup(fault) : NULL;
    f->may_heal = may_heal;
    if (access) {
        assert_int_equal(access->server.scheme, AUTH_BEARER);
        f->token = strdup(access->server.token);
    }
    transfer_access_free(access);
}

static struct io_request *ask(struct fixture *f, const char *host, bool fresh)
{
    struct io_request *request = NULL;

    assert_int_equal(io_load_access(f->io.io, &f->choices, host, f->io.folder, fresh, on_access, f, &request), 0);
    return request;
}

static void turn_until(struct fixture *f, unsigned done)
{
    while (f->done < done)
        assert_true(sd_event_run(f->event, BOUND_USEC) > 0);
}

static int load(struct fixture *f, bool fresh)
{
    ask(f, HOST, fresh);
    turn_until(f, f->done + 1);
    return f->result;
}

static unsigned runs(const struct fixture *f)
{
    char *path = folder_path(f->io.folder, "runs"), *text = io_fixture_read(path, NULL);
    unsigned count = 0;

    for (const char *c = text; c && (c = strchr(c, '\n')) != NULL; c++)
        count++;
    free(text);
    free(path);
    return count;
}

static void assert_fault_says(const struct fixture *f, const char *part)
{
    assert_non_null(f->fault);
    if (!strstr(f->fault, part))
        fail_msg("\"%s\" does not say \"%s\"", f->fault, part);
    assert_null(strchr(f->fault, '\n'));
}

static void a_helper_prints_the_token(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, COUNT "echo \"$1.$2.$#.${BITSQ_HOST%:*}\"\n");
    assert_int_equal(load(&f, false), 0);
    assert_string_equal(f.token, "one.two.2.up.example.org");
    finish(&f);
}

static void a_helper_gets_a_small_environment(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(setenv("HOME", "/home/h", 1) | setenv("LANG", "C.UTF-8", 1), 0);
    assert_int_equal(setenv("PATH", "/usr/bin:/bin", 1) | setenv("XDG_RUNTIME_DIR", "/run/x", 1), 0);
    assert_int_equal(setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/b", 1) | setenv("BITSQ_OTHER", "1", 1), 0);
    begin(&f, "unset PWD\n/usr/bin/env | grep -v '^_=' | grep -v '^PWD=' | sort | tr '\\n' ','\n");
    assert_int_equal(load(&f, false), 0);
    assert_string_equal(f.token, "BITSQ_HOST=" HOST ",DBUS_SESSION_BUS_ADDRESS=unix:path=/b,HOME=/home/h,LANG=C.UTF-8,"
                                 "PATH=/usr/bin:/bin,XDG_RUNTIME_DIR=/run/x,");
    finish(&f);
}

static void a_token_is_kept_until_it_is_refused(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, COUNT "echo T$(grep -c . \"${0%/*}/runs\")\n");
    assert_int_equal(load(&f, false), 0);
    assert_int_equal(load(&f, false), 0);
    assert_string_equal(f.token, "T1");
    assert_int_equal(runs(&f), 1);
    assert_int_equal(load(&f, true), 0);
    assert_string_equal(f.token, "T2");
    assert_int_equal(load(&f, false), 0);
    assert_string_equal(f.token, "T2");
    assert_int_equal(runs(&f), 2);
    finish(&f);
}

static void a_token_that_ends_is_had_anew_before_that(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, COUNT "echo T; echo expires=30\n");
    assert_int_equal(load(&f, false), 0);
    assert_int_equal(load(&f, false), 0);
    assert_int_equal(runs(&f), 2);
    helper(&f, COUNT "echo T; echo expires=3600\n");
    assert_int_equal(load(&f, false), 0);
    assert_int_equal(load(&f, false), 0);
    assert_int_equal(runs(&f), 3);
    helper(&f, COUNT "echo T; echo expires=99999999999999999999999999\n");
    assert_int_equal(load(&f, true), 0);
    assert_int_equal(load(&f, false), 0);
    assert_int_equal(runs(&f), 4);
    finish(&f);
}

static void those_that_need_one_token_at_the_same_time_share_a_run(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, COUNT "echo T\n");
    char *gate = folder_path(f.io.folder, "gate");
    assert_int_equal(mkfifo(gate, 0600), 0);
    helper(&f, COUNT "read -r x <\"${0%/*}/gate\"; echo T\n");
    for (unsigned i = 0; i < 10; i++)
        ask(&f, HOST, i % 2 == 0);
    /* By now all of them wait: those of the files have come when nothing of the pool is left. */
    while (!TAILQ_FIRST(&f.io.io->tokens) || TAILQ_FIRST(&f.io.io->tokens)->waits_count < 10)
        assert_true(sd_event_run(f.event, BOUND_USEC) > 0);
    FILE *file = fopen(gate, "we");
    assert_non_null(file);
    assert_true(fputs("go\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    turn_until(&f, 10);
    assert_int_equal(runs(&f), 1);
    free(gate);
    finish(&f);
}

static void each_server_gets_a_token_of_its_own(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, COUNT "echo \"$BITSQ_HOST\"\n");
    ask(&f, "a.example.org:443", false);
    turn_until(&f, 1);
    assert_string_equal(f.token, "a.example.org:443");
    ask(&f, "b.example.org:443", false);
    turn_until(&f, 2);
    assert_string_equal(f.token, "b.example.org:443");
    assert_int_equal(runs(&f), 2);
    finish(&f);
}

static void no_more_tokens_are_kept_than_the_bound(void **state)
{
    struct fixture f;
    char host[64];

    (void)state;
    begin(&f, COUNT "echo T\n");
    for (unsigned i = 0; i < TOKENS_MAX; i++) {
        (void)snprintf(host, sizeof(host), "h%u:443", i);
        ask(&f, host, false);
    }
    turn_until(&f, TOKENS_MAX);
    assert_int_equal(f.result, 0);
    assert_int_equal(f.io.io->tokens_count, TOKENS_MAX);
    ask(&f, "one-more:443", false);
    turn_until(&f, TOKENS_MAX + 1);
    assert_int_equal(f.result, 0);
    assert_int_equal(f.io.io->tokens_count, TOKENS_MAX);
    finish(&f);
}

static void a_helper_that_fails_is_told_with_its_last_words(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "echo first >&2; echo 'log in with: gate login' >&2; echo >&2; exit 3\n");
    assert_int_equal(load(&f, false), -EIO);
    assert_fault_says(&f, "the helper of the credential \"t\" (");
    assert_fault_says(&f, "/helper) failed with exit status 3: log in with: gate login");
    assert_null(strstr(f.fault, "first"));
    assert_false(f.may_heal);
    helper(&f, "exit 75\n");
    assert_int_equal(load(&f, false), -EIO);
    assert_fault_says(&f, "failed with exit status 75");
    assert_true(f.may_heal);
    helper(&f, "kill -9 $$\n");
    assert_int_equal(load(&f, false), -EIO);
    assert_fault_says(&f, "was killed by signal 9");
    helper(&f, "cat /dev/zero\n");
    assert_int_equal(load(&f, false), -E2BIG);
    assert_fault_says(&f, "printed more than 16384 bytes");
    /* What is right again works at once. */
    helper(&f, "echo T\n");
    assert_int_equal(load(&f, false), 0);
    finish(&f);
}

static void a_helper_that_hangs_is_killed_and_time_may_help(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "exec sleep 1000\n");
    f.io.io->token_timeout_usec = USEC_PER_SEC;
    assert_int_equal(load(&f, false), -ETIMEDOUT);
    assert_fault_says(&f, "/helper) did not end within 1 s and was killed");
    assert_true(f.may_heal);
    finish(&f);
}

static void a_helper_that_cannot_be_started_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "");
    char *path = folder_path(f.io.folder, "helper");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(&f, false), -ENOENT);
    assert_fault_says(&f, "cannot be started: No such file or directory; correct token_command= there");
    assert_false(f.may_heal);
    io_set_spawner(f.io.io, NULL);
    assert_int_equal(load(&f, false), -ENOSYS);
    assert_fault_says(&f, "this bitsqd cannot run helpers");
    free(path);
    finish(&f);
}

static void what_a_helper_prints_is_checked(void **state)
{
    static const char *const bad[] = {
        "true\n", "echo\n", "echo 'a b'\n", "printf 'a\\001b\\n'\n", "echo 'tökén'\n", "printf 'a\\000b\\n'\n"};
    struct fixture f;

    (void)state;
    begin(&f, "");
    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        helper(&f, bad[i]);
        assert_int_equal(load(&f, false), -EINVAL);
        assert_fault_says(&f, "printed no token in its first line");
    }
    helper(&f, "echo T; echo expires=soon\n");
    assert_int_equal(load(&f, false), -EINVAL);
    assert_fault_says(&f, "printed a second line that begins with expires= and goes on with something else");
    helper(&f, "printf '  \\r\\n' >&2; printf 'T \\r\\nexpires=60\\r\\n'\n");
    assert_int_equal(load(&f, false), 0);
    assert_string_equal(f.token, "T");
    finish(&f);
}

static void a_cancelled_load_ends_a_run_that_nobody_else_waits_for(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, COUNT "exec sleep 1000\n");
    struct io_request *first = ask(&f, HOST, false), *second = ask(&f, HOST, false);
    while (runs(&f) == 0)
        assert_true(sd_event_run(f.event, 10 * USEC_PER_MSEC) >= 0);
    io_request_cancel(first);
    assert_non_null(TAILQ_FIRST(&f.io.io->tokens)->run);
    io_request_cancel(second);
    assert_null(TAILQ_FIRST(&f.io.io->tokens)->run);
    helper(&f, "echo T\n");
    assert_int_equal(load(&f, false), 0);
    assert_int_equal(f.done, 1);
    finish(&f);
}

static void io_may_go_while_helpers_run(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, COUNT "exec sleep 1000\n");
    ask(&f, HOST, false);
    while (runs(&f) == 0)
        assert_true(sd_event_run(f.event, 10 * USEC_PER_MSEC) >= 0);
    finish(&f);
    assert_int_equal(f.done, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_helper_prints_the_token),
    cmocka_unit_test(a_helper_gets_a_small_environment),
    cmocka_unit_test(a_token_is_kept_until_it_is_refused),
    cmocka_unit_test(a_token_that_ends_is_had_anew_before_that),
    cmocka_unit_test(those_that_need_one_token_at_the_same_time_share_a_run),
    cmocka_unit_test(each_server_gets_a_token_of_its_own),
    cmocka_unit_test(no_more_tokens_are_kept_than_the_bound),
    cmocka_unit_test(a_helper_that_fails_is_told_with_its_last_words),
    cmocka_unit_test(a_helper_that_hangs_is_killed_and_time_may_help),
    cmocka_unit_test(a_helper_that_cannot_be_started_is_told),
    cmocka_unit_test(what_a_helper_prints_is_checked),
    cmocka_unit_test(a_cancelled_load_ends_a_run_that_nobody_else_waits_for),
    cmocka_unit_test(io_may_go_while_helpers_run),
};
UNIT_MAIN(tests);
