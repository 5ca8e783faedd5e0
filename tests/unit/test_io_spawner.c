/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs that the spawner runs. Real processes. Whether one still lives shows at a FIFO whose end for writing it
 * holds: reading comes to an end when the last of them has died.
 */
#include "core/limits.h"
#include "io/spawner.h"
#include "io_fixture.h"
#include "support/folder.h"
#include "support/unit.h"

#include "base/moment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BOUND_USEC (60 * USEC_PER_SEC)
#define LONG       "exec sleep 1000"

struct fixture {
    char *folder, *fifo;
    sd_event *event;
    struct spawner *spawner;
    unsigned done, died;
    struct spawner_result result;
    char output[SPAWNER_OUTPUT_BYTES + 1], error[SPAWNER_ERROR_BYTES + 1];
};

static void on_died(void *userdata)
{
    ((struct fixture *)userdata)->died++;
}

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->folder = folder_new();
    f->fifo = folder_path(f->folder, "fifo");
    assert_int_equal(mkfifo(f->fifo, 0600), 0);
    assert_int_equal(spawner_start(&f->spawner), 0);
    assert_true(sd_event_new(&f->event) >= 0);
    assert_int_equal(spawner_attach(f->spawner, f->event, on_died, f), 0);
}

static void finish(struct fixture *f)
{
    spawner_free(f->spawner);
    sd_event_unref(f->event);
    free(f->fifo);
    folder_remove(f->folder);
}

static void on_result(void *userdata, const struct spawner_result *result)
{
    struct fixture *f = userdata;

    f->done++;
    f->result = *result;
    memcpy(f->output, result->output, result->output_bytes + 1);
    memcpy(f->error, result->error_text, result->error_bytes + 1);
}

static void turn_until(struct fixture *f, unsigned done)
{
    while (f->done < done)
        assert_true(sd_event_run(f->event, BOUND_USEC) > 0);
}

static struct spawner_run *start(struct fixture *f, const char *const *argv)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    struct spawner_run *run = NULL;

    assert_int_equal(spawner_run(f->spawner, argv, environment, BOUND_USEC, on_result, f, &run), 0);
    return run;
}

/* In a shell, with the folder as $0. */
static struct spawner_run *start_shell(struct fixture *f, const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, f->folder, NULL};

    return start(f, argv);
}

static void run_shell(struct fixture *f, const char *script)
{
    start_shell(f, script);
    turn_until(f, f->done + 1);
}

/* Until a program holds the FIFO: it writes a byte first. */
static void wait_for_holder(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char byte;

    assert_int_equal(poll(&poll_fd, 1, 60000), 1);
    assert_int_equal(read(fd, &byte, 1), 1);
}

static int open_fifo(struct fixture *f)
{
    int fd = open(f->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void assert_holders_end(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char byte;

    assert_int_equal(poll(&poll_fd, 1, 60000), 1);
    assert_int_equal(read(fd, &byte, 1), 0);
    assert_int_equal(close(fd), 0);
}

static void a_program_gets_its_arguments_and_just_its_environment(void **state)
{
    static const char *const env_argv[] = {"/usr/bin/env", NULL};
    static const char *const environment[] = {"A=1", "B=two words\n", NULL};
    static const char *const printf_argv[] = {"/usr/bin/printf", "%s|", "a b", "", "$HOME", NULL};
    struct fixture f;
    struct spawner_run *run = NULL;

    (void)state;
    begin(&f);
    assert_int_equal(spawner_run(f.spawner, env_argv, environment, BOUND_USEC, on_result, &f, &run), 0);
    turn_until(&f, 1);
    assert_string_equal(f.output, "A=1\nB=two words\n\n");
    assert_int_equal(f.result.exit_status, 0);
    start(&f, printf_argv);
    turn_until(&f, 2);
    assert_string_equal(f.output, "a b||$HOME|");
    finish(&f);
}

static void a_program_inherits_no_descriptor_signal_mask_terminal_or_folder(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    run_shell(&f, "readlink /proc/self/fd/0; ls /proc/self/fd | tr '\\n' ' '; pwd; grep -E 'Sig(Blk|Ign)' "
                  "/proc/self/status; ulimit -Sn");
    assert_string_equal(f.error, "");
    assert_string_equal(f.output, "/dev/null\n0 1 2 3 /\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n1024\n");
    run_shell(&f, "read -r pid name state parent group session rest < /proc/self/stat; [ $session = $$ ]");
    assert_int_equal(f.result.exit_status, 0);
    finish(&f);
}

static void the_end_of_a_program_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    run_shell(&f, "echo out; echo err >&2; exit 7");
    assert_int_equal(f.result.error, 0);
    assert_int_equal(f.result.exit_status, 7);
    assert_int_equal(f.result.signal, 0);
    assert_false(f.result.timed_out);
    assert_string_equal(f.output, "out\n");
    assert_string_equal(f.error, "err\n");
    run_shell(&f, "kill -TERM $$");
    assert_int_equal(f.result.exit_status, -1);
    assert_int_equal(f.result.signal, SIGTERM);
    finish(&f);
}

static void a_program_that_cannot_be_started_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *missing = folder_path(f.folder, "missing"), *plain = folder_file(f.folder, "plain", 10);
    const char *missing_argv[] = {missing, NULL}, *plain_argv[] = {plain, NULL}, *relative[] = {"sh", NULL};
    const char *none[] = {NULL};
    struct spawner_run *run = NULL;
    start(&f, missing_argv);
    turn_until(&f, 1);
    assert_int_equal(f.result.error, -ENOENT);
    start(&f, plain_argv);
    turn_until(&f, 2);
    assert_int_equal(f.result.error, -EACCES);
    assert_int_equal(spawner_run(f.spawner, relative, none, BOUND_USEC, on_result, &f, &run), -EINVAL);
    assert_int_equal(spawner_run(f.spawner, none, none, BOUND_USEC, on_result, &f, &run), -EINVAL);
    free(missing);
    free(plain);
    finish(&f);
}

static void output_has_a_bound_and_whoever_exceeds_it_is_killed(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    run_shell(&f, "head -c 16384 /dev/zero");
    assert_int_equal(f.result.output_bytes, SPAWNER_OUTPUT_BYTES);
    assert_false(f.result.output_cut);
    assert_int_equal(f.result.exit_status, 0);
    run_shell(&f, "head -c 16385 /dev/zero; " LONG);
    assert_true(f.result.output_cut);
    assert_int_equal(f.result.signal, SIGKILL);
    run_shell(&f, "exec cat /dev/zero");
    assert_true(f.result.output_cut);
    finish(&f);
}

static void of_standard_error_the_end_is_kept(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    run_shell(&f, "head -c 4096 /dev/zero | tr '\\0' x >&2");
    assert_true(f.result.error_bytes <= SPAWNER_ERROR_BYTES);
    run_shell(&f, "head -c 100000 /dev/zero | tr '\\0' x >&2; echo last words >&2; exit 1");
    assert_int_equal(f.result.exit_status, 1);
    assert_true(f.result.error_bytes <= SPAWNER_ERROR_BYTES);
    assert_string_equal(f.error + f.result.error_bytes - 11, "last words\n");
    finish(&f);
}

static void at_its_timeout_a_program_is_killed_with_all_that_it_started(void **state)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    struct fixture f;
    struct spawner_run *run = NULL;

    (void)state;
    begin(&f);
    int fd = open_fifo(&f);
    const char *argv[] = {"/bin/sh", "-c", "exec 9>$0/fifo; sleep 1000 & echo so far; echo >&9; wait", f.folder, NULL};
    assert_int_equal(spawner_run(f.spawner, argv, environment, 3 * USEC_PER_SEC, on_result, &f, &run), 0);
    wait_for_holder(fd);
    turn_until(&f, 1);
    assert_true(f.result.timed_out);
    assert_string_equal(f.output, "so far\n");
    assert_holders_end(fd);
    finish(&f);
}

static void what_a_program_leaves_behind_neither_delays_its_end_nor_survives_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    int fd = open_fifo(&f);
    run_shell(&f, "exec 9>$0/fifo; echo >&9; sleep 1000 & echo done");
    assert_int_equal(f.result.exit_status, 0);
    assert_string_equal(f.output, "done\n");
    wait_for_holder(fd);
    assert_holders_end(fd);
    finish(&f);
}

static void a_cancelled_program_is_killed_and_nobody_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    int fd = open_fifo(&f);
    struct spawner_run *run = start_shell(&f, "exec 9>$0/fifo; echo >&9; sleep 1000");
    wait_for_holder(fd);
    spawner_run_cancel(run);
    assert_holders_end(fd);
    run_shell(&f, "echo next");
    assert_int_equal(f.done, 1);
    assert_string_equal(f.output, "next\n");
    finish(&f);
}

static void more_than_may_run_at_a_time_wait_for_their_turn(void **state)
{
    struct fixture f;
    struct spawner_run *runs[SPAWNER_PARALLEL];

    (void)state;
    begin(&f);
    int fd = open_fifo(&f);
    int keep = open(f.fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    for (size_t i = 0; i < SPAWNER_PARALLEL; i++)
        runs[i] = start_shell(&f, "echo >$0/fifo; " LONG);
    struct spawner_run *last = start_shell(&f, "echo >$0/ninth");
    struct spawner_run *never = start_shell(&f, "echo >$0/never");
    char *ninth = folder_path(f.folder, "ninth"), *tenth = folder_path(f.folder, "never");
    for (size_t i = 0; i < SPAWNER_PARALLEL; i++)
        wait_for_holder(fd);
    assert_false(io_fixture_exists(ninth));
    assert_non_null(last);
    spawner_run_cancel(never);
    spawner_run_cancel(runs[0]);
    turn_until(&f, 1);
    assert_true(io_fixture_exists(ninth));
    assert_false(io_fixture_exists(tenth));
    assert_int_equal(close(keep) | close(fd), 0);
    free(ninth);
    free(tenth);
    finish(&f);
}

static void what_waits_has_a_bound(void **state)
{
    static const char *const argv[] = {"/bin/sleep", "1000", NULL}, *const none[] = {NULL};
    struct fixture f;
    struct spawner_run *run = NULL;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < SPAWNER_PARALLEL + SPAWNER_QUEUED; i++)
        assert_int_equal(spawner_run(f.spawner, argv, none, BOUND_USEC, on_result, &f, &run), 0);
    assert_int_equal(spawner_run(f.spawner, argv, none, BOUND_USEC, on_result, &f, &run), -EAGAIN);
    assert_int_equal(f.done, 0);
    finish(&f);
}

static void a_request_has_a_bound_in_bytes_and_in_strings(void **state)
{
    static const char *const none[] = {NULL};
    const char *argv[SPAWNER_STRINGS_MAX + 2] = {"/bin/true"};
    struct fixture f;
    struct spawner_run *run = NULL;
    size_t room = SPAWNER_REQUEST_BYTES - sizeof("/bin/true");
    char *text = malloc(room + 1);

    (void)state;
    begin(&f);
    assert_non_null(text);
    memset(text, 'x', room);
    text[room] = '\0';
    argv[1] = text;
    assert_int_equal(spawner_run(f.spawner, argv, none, BOUND_USEC, on_result, &f, &run), -E2BIG);
    text[room - 1] = '\0';
    /* So many at once that the socket fills. */
    for (unsigned i = 0; i < 2 * SPAWNER_PARALLEL; i++)
        assert_int_equal(spawner_run(f.spawner, argv, none, BOUND_USEC, on_result, &f, &run), 0);
    turn_until(&f, 2 * SPAWNER_PARALLEL);
    assert_int_equal(f.result.exit_status, 0);
    for (size_t i = 1; i < SPAWNER_STRINGS_MAX; i++)
        argv[i] = "a";
    assert_int_equal(spawner_run(f.spawner, argv, none, BOUND_USEC, on_result, &f, &run), 0);
    turn_until(&f, 2 * SPAWNER_PARALLEL + 1);
    assert_int_equal(f.result.exit_status, 0);
    argv[SPAWNER_STRINGS_MAX] = "a";
    assert_int_equal(spawner_run(f.spawner, argv, none, BOUND_USEC, on_result, &f, &run), -E2BIG);
    free(text);
    finish(&f);
}

static void the_process_has_its_name_and_holds_no_more_than_it_needs(void **state)
{
    struct fixture f;
    char path[64], target[64] = "";

    (void)state;
    begin(&f);
    run_shell(&f, "true");
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)spawner_pid(f.spawner));
    /* Standard input, output and error, the socket, and SIGCHLD. */
    assert_int_equal(io_fixture_count(path), 5);
    for (int fd = 0; fd < 3; fd++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)spawner_pid(f.spawner), fd);
        memset(target, 0, sizeof(target));
        assert_true(readlink(path, target, sizeof(target) - 1) > 0);
        assert_string_equal(target, "/dev/null");
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)spawner_pid(f.spawner));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(target, sizeof(target), file));
    assert_string_equal(target, "bitsq-spawner\n");
    assert_int_equal(fclose(file), 0);
    finish(&f);
}

static void signals_for_the_daemon_do_not_end_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    run_shell(&f, "true");
    assert_int_equal(kill(spawner_pid(f.spawner), SIGTERM), 0);
    assert_int_equal(kill(spawner_pid(f.spawner), SIGINT), 0);
    assert_int_equal(kill(spawner_pid(f.spawner), SIGHUP), 0);
    run_shell(&f, "echo here");
    assert_string_equal(f.output, "here\n");
    assert_int_equal(f.died, 0);
    finish(&f);
}

static void if_the_process_dies_all_that_wait_are_told_and_its_programs_go(void **state)
{
    static const char *const argv[] = {"/bin/true", NULL}, *const none[] = {NULL};
    struct fixture f;
    struct spawner_run *run = NULL;

    (void)state;
    begin(&f);
    int fd = open_fifo(&f);
    for (size_t i = 0; i < SPAWNER_PARALLEL + 1; i++)
        start_shell(&f, "exec 9>$0/fifo; echo >&9; " LONG);
    wait_for_holder(fd);
    assert_int_equal(kill(spawner_pid(f.spawner), SIGKILL), 0);
    turn_until(&f, SPAWNER_PARALLEL + 1);
    assert_int_equal(f.result.error, -ECONNRESET);
    assert_int_equal(f.died, 1);
    assert_int_equal(spawner_pid(f.spawner), 0);
    assert_int_equal(spawner_run(f.spawner, argv, none, BOUND_USEC, on_result, &f, &run), -ECONNRESET);
    assert_int_equal(close(fd), 0);
    finish(&f);
}

/* A daemon that starts a program and is then killed, as nobody can prepare for. */
static _Noreturn void be_a_daemon(struct fixture *f, int report)
{
    spawner_free(f->spawner);
    pid_t pid = spawner_start(&f->spawner) < 0 ? 0 : spawner_pid(f->spawner);
    const char *argv[] = {"/bin/sh", "-c", "exec 9>$0/fifo; sleep 1000 & echo >&9; wait", f->folder, NULL};

    start(f, argv);
    if (write(report, &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
        _exit(1);
    for (;;)
        (void)pause();
}

static void a_killed_daemon_takes_the_process_and_its_programs_along(void **state)
{
    struct fixture f;
    int report[2];
    pid_t spawner = 0;

    (void)state;
    begin(&f);
    int fd = open_fifo(&f);
    f.spawner = spawner_free(f.spawner);
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        be_a_daemon(&f, report[1]);
    assert_true(pid > 0);
    assert_int_equal(read(report[0], &spawner, sizeof(spawner)), sizeof(spawner));
    struct pollfd poll_fd = {.fd = (int)syscall(SYS_pidfd_open, spawner, 0), .events = POLLIN};
    assert_true(poll_fd.fd >= 0);
    wait_for_holder(fd);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_holders_end(fd);
    assert_int_equal(poll(&poll_fd, 1, 60000), 1);
    assert_int_equal(close(poll_fd.fd) | close(report[0]) | close(report[1]), 0);
    finish(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_program_gets_its_arguments_and_just_its_environment),
    cmocka_unit_test(a_program_inherits_no_descriptor_signal_mask_terminal_or_folder),
    cmocka_unit_test(the_end_of_a_program_is_told),
    cmocka_unit_test(a_program_that_cannot_be_started_is_told),
    cmocka_unit_test(output_has_a_bound_and_whoever_exceeds_it_is_killed),
    cmocka_unit_test(of_standard_error_the_end_is_kept),
    cmocka_unit_test(at_its_timeout_a_program_is_killed_with_all_that_it_started),
    cmocka_unit_test(what_a_program_leaves_behind_neither_delays_its_end_nor_survives_it),
    cmocka_unit_test(a_cancelled_program_is_killed_and_nobody_is_told),
    cmocka_unit_test(more_than_may_run_at_a_time_wait_for_their_turn),
    cmocka_unit_test(what_waits_has_a_bound),
    cmocka_unit_test(a_request_has_a_bound_in_bytes_and_in_strings),
    cmocka_unit_test(the_process_has_its_name_and_holds_no_more_than_it_needs),
    cmocka_unit_test(signals_for_the_daemon_do_not_end_it),
    cmocka_unit_test(if_the_process_dies_all_that_wait_are_told_and_its_programs_go),
    cmocka_unit_test(a_killed_daemon_takes_the_process_and_its_programs_along),
};
UNIT_MAIN(tests);
