/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/statedir.h"
#include "support/folder.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static struct statedir *open_dir(const char *path)
{
    struct statedir *dir = NULL;
    char *message = NULL;
    int r = statedir_open(path, &dir, &message);

    if (r < 0)
        fail_msg("%s: %s", path, message ? message : strerror(-r));
    assert_null(message);
    return dir;
}

static int fail_to_open(const char *path, const char *words)
{
    struct statedir *dir = NULL;
    char *message = NULL;
    int r = statedir_open(path, &dir, &message);

    assert_true(r < 0);
    assert_null(dir);
    assert_non_null(message);
    if (!strstr(message, words) || strchr(message, '\n'))
        fail_msg("message: %s", message);
    free(message);
    return r;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void the_folder_and_its_parents_are_made_private(void **state)
{
    (void)state;
    char *folder = folder_new(), *path = folder_path(folder, "a/b/c//d/"), *parent = folder_path(folder, "a/b");
    struct statedir *dir = open_dir(path);
    assert_int_equal(mode_of(path), 0700);
    assert_int_equal(mode_of(parent), 0700);
    assert_true(statedir_fd(dir) >= 0);
    assert_int_not_equal(statedir_path(dir)[strlen(statedir_path(dir)) - 1], '/');
    statedir_free(dir);
    statedir_free(open_dir(path)); /* and found there again */
    free(parent);
    free(path);
    folder_remove(folder);
}

static void a_folder_that_is_open_to_others_is_mended(void **state)
{
    (void)state;
    char *folder = folder_new();
    assert_int_equal(chmod(folder, 0755), 0);
    statedir_free(open_dir(folder));
    assert_int_equal(mode_of(folder), 0700);
    folder_remove(folder);
}

static void what_cannot_be_used_is_told_with_the_remedy(void **state)
{
    (void)state;
    char *folder = folder_new(), *file = folder_file(folder, "file", 1), *below = folder_path(file, "below");
    assert_int_equal(fail_to_open(file, "StateDirectory="), -ENOTDIR);
    assert_int_equal(fail_to_open(below, "StateDirectory="), -ENOTDIR);
    assert_int_equal(fail_to_open("relative/path", "StateDirectory="), -EINVAL);
    assert_int_equal(fail_to_open("", "StateDirectory="), -EINVAL);
    (void)fail_to_open("/proc/bitsq", "/proc/bitsq");
    free(below);
    free(file);
    folder_remove(folder);
}

static void a_folder_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        assert_int_equal(fail_to_open("/", "StateDirectory="), -EACCES); /* root's */
        return;
    }
    char *folder = folder_new();
    assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
    assert_int_equal(fail_to_open(folder, "StateDirectory="), -EACCES);
    folder_remove(folder);
}

static void only_one_holds_the_lock(void **state)
{
    bool held = true;

    (void)state;
    char *folder = folder_new();
    struct statedir *first = open_dir(folder), *second = open_dir(folder);
    assert_int_equal(statedir_is_held(second, &held), 0);
    assert_false(held);
    assert_int_equal(statedir_lock(first), 0);
    assert_int_equal(statedir_lock(first), 0);
    assert_int_equal(statedir_lock(second), -EWOULDBLOCK);
    assert_int_equal(statedir_is_held(first, &held), 0);
    assert_true(held);
    held = false;
    assert_int_equal(statedir_is_held(second, &held), 0);
    assert_true(held);
    statedir_free(first);
    assert_int_equal(statedir_is_held(second, &held), 0);
    assert_false(held);
    assert_int_equal(statedir_lock(second), 0);
    statedir_free(second);
    folder_remove(folder);
}

/* Asking must not take the lock even for a moment: a daemon that starts just then would give up. */
static void asking_for_the_holder_never_stands_in_the_way(void **state)
{
    int status = 0;
    bool held;

    (void)state;
    char *folder = folder_new();
    struct statedir *asker = open_dir(folder);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 2000; i++) {
            struct statedir *dir = open_dir(folder);
            if (statedir_lock(dir) < 0)
                _exit(1);
            statedir_free(dir);
        }
        _exit(0);
    }
    while (waitpid(child, &status, WNOHANG) == 0)
        assert_int_equal(statedir_is_held(asker, &held), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    statedir_free(asker);
    folder_remove(folder);
}

static void the_lock_dies_with_its_process(void **state)
{
    bool held = true;
    int status;

    (void)state;
    char *folder = folder_new();
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct statedir *dir = open_dir(folder);
        if (statedir_lock(dir) < 0 || statedir_write_address(dir, "unix:path=/dead") < 0)
            _exit(1);
        (void)!write(pipe_fds[1], "x", 1);
        for (;;)
            (void)pause();
    }
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    struct statedir *dir = open_dir(folder);
    char *address = NULL;
    assert_int_equal(statedir_read_address(dir, &address), 0);
    assert_string_equal(address, "unix:path=/dead");
    free(address);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(statedir_is_held(dir, &held), 0);
    assert_false(held);
    assert_int_equal(statedir_read_address(dir, &address), -ENOENT);
    /* What the dead one left there is not taken for the new holder's. */
    assert_int_equal(statedir_lock(dir), 0);
    assert_int_equal(statedir_read_address(dir, &address), -EAGAIN);
    statedir_free(dir);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    folder_remove(folder);
}

static void the_address_is_there_for_others_to_read(void **state)
{
    char *address = NULL;

    (void)state;
    char *folder = folder_new(), *file = folder_path(folder, "address");
    struct statedir *holder = open_dir(folder), *other = open_dir(folder);
    assert_int_equal(statedir_read_address(other, &address), -ENOENT);
    assert_int_equal(statedir_write_address(holder, "unix:path=/x"), -EPERM);
    assert_int_equal(statedir_lock(holder), 0);
    assert_int_equal(statedir_read_address(other, &address), -EAGAIN);
    assert_int_equal(statedir_write_address(holder, "unix:path=/x,guid=1"), 0);
    assert_int_equal(statedir_read_address(other, &address), 0);
    assert_string_equal(address, "unix:path=/x,guid=1");
    free(address);
    address = NULL;
    assert_int_equal(statedir_write_address(holder, "unix:path=/y"), 0);
    assert_int_equal(statedir_read_address(holder, &address), 0);
    assert_string_equal(address, "unix:path=/y");
    free(address);
    assert_int_equal(mode_of(file), 0600);
    assert_int_equal(statedir_write_address(holder, ""), -EINVAL);
    statedir_free(holder);
    assert_false(exists(file));
    statedir_free(other);
    free(file);
    folder_remove(folder);
}

static void an_address_may_be_as_long_as_the_bound_and_no_longer(void **state)
{
    char address[1026], *read_back = NULL;

    (void)state;
    memset(address, 'a', sizeof(address));
    char *folder = folder_new();
    struct statedir *dir = open_dir(folder);
    assert_int_equal(statedir_lock(dir), 0);
    address[1025] = '\0';
    assert_int_equal(statedir_write_address(dir, address), -EINVAL);
    address[1024] = '\0';
    assert_int_equal(statedir_write_address(dir, address), 0);
    assert_int_equal(statedir_read_address(dir, &read_back), 0);
    assert_string_equal(read_back, address);
    free(read_back);
    statedir_free(dir);
    folder_remove(folder);
}

static void bind_and_leave(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
}

static void a_stale_socket_makes_room(void **state)
{
    char *path = NULL;

    (void)state;
    char *folder = folder_new(), *expected = folder_path(folder, "socket");
    struct statedir *dir = open_dir(folder);
    assert_int_equal(statedir_socket_path(dir, &path), -EPERM);
    assert_int_equal(statedir_lock(dir), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(statedir_socket_path(dir, &path), 0);
        assert_string_equal(path, expected);
        bind_and_leave(path);
        free(path);
    }
    statedir_free(dir);
    assert_false(exists(expected));
    free(expected);
    folder_remove(folder);
}

static void check_long_path(const char *folder, const char *parent)
{
    char *path = NULL;
    char *deep = folder_path(folder, "a-folder-whose-name-is-long/and-another-one-below-it-so-that-the-path-as-a-whole/"
                                     "does-not-fit-into-an-address-of-a-socket");
    struct statedir *dir = open_dir(deep);
    struct stat st;

    assert_int_equal(statedir_lock(dir), 0);
    assert_int_equal(statedir_socket_path(dir, &path), 0);
    assert_memory_equal(path, parent, strlen(parent));
    bind_and_leave(path);
    char *made = strndup(path, strlen(path) - strlen("/socket"));
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    statedir_free(dir);
    assert_false(exists(made));
    free(made);
    free(path);
    free(deep);
}

static void a_path_that_is_too_long_for_a_socket_gets_one_elsewhere(void **state)
{
    (void)state;
    char *folder = folder_new(), *runtime = folder_path(folder, "runtime");
    assert_int_equal(mkdir(runtime, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
    check_long_path(folder, runtime);
    assert_int_equal(rmdir(runtime), 0); /* nothing was left in it */
    check_long_path(folder, "/tmp/bitsq-");
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    check_long_path(folder, "/tmp/bitsq-");
    free(runtime);
    folder_remove(folder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_folder_and_its_parents_are_made_private),
    cmocka_unit_test(a_folder_that_is_open_to_others_is_mended),
    cmocka_unit_test(what_cannot_be_used_is_told_with_the_remedy),
    cmocka_unit_test(a_folder_of_another_user_is_refused),
    cmocka_unit_test(only_one_holds_the_lock),
    cmocka_unit_test(asking_for_the_holder_never_stands_in_the_way),
    cmocka_unit_test(the_lock_dies_with_its_process),
    cmocka_unit_test(the_address_is_there_for_others_to_read),
    cmocka_unit_test(an_address_may_be_as_long_as_the_bound_and_no_longer),
    cmocka_unit_test(a_stale_socket_makes_room),
    cmocka_unit_test(a_path_that_is_too_long_for_a_socket_gets_one_elsewhere),
};

UNIT_MAIN(tests);
