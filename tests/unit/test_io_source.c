/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at files, and reading them in windows. Real files, real threads; the loop is a poll(2) on the mailbox. */
#include "core/limits.h"
#include "io/source.h"
#include "support/folder.h"
#include "support/unit.h"

#include "base/moment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOUND_MSEC 60000
#define NOBODY     65534

struct fixture {
    char *folder;
    struct mailbox *mailbox;
    struct io *io;
    struct source *source;
    /* Of the last callback. */
    unsigned done;
    int result;
    struct source_identity identity;
    char mount[SOURCE_MOUNT_MAX + 1];
    unsigned ready;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.folder = folder_new()};
    assert_int_equal(mailbox_new(&f->mailbox), 0);
    assert_int_equal(io_new(f->mailbox, IO_THREADS, &f->io), 0);
}

static void finish(struct fixture *f)
{
    source_free(f->source);
    io_free(f->io);
    mailbox_free(f->mailbox);
    folder_remove(f->folder);
}

static void turn(struct fixture *f)
{
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct pollfd poll_fd = {.fd = mailbox_fd(f->mailbox), .events = POLLIN};
    struct message *message;

    assert_int_equal(poll(&poll_fd, 1, BOUND_MSEC), 1);
    mailbox_take_all(f->mailbox, &list);
    while ((message = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, message, entry);
        assert_true(io_dispatch(f->io, message));
    }
}

static void run(struct fixture *f, const unsigned *flag)
{
    unsigned before = *flag;

    while (*flag == before)
        turn(f);
}

static void on_identity(void *userdata, int result, const struct source_identity *identity)
{
    struct fixture *f = userdata;

    f->done++;
    f->result = result;
    f->identity = *identity;
}

static void on_looked(void *userdata, int result, const struct source_identity *identity, const char *mount)
{
    struct fixture *f = userdata;

    (void)snprintf(f->mount, sizeof(f->mount), "%s", mount);
    on_identity(userdata, result, identity);
}

static void on_ready(void *userdata)
{
    ((struct fixture *)userdata)->ready++;
}

static int look(struct fixture *f, const char *path)
{
    struct io_request *request = NULL;

    assert_int_equal(io_look(f->io, path, on_looked, f, &request), 0);
    run(f, &f->done);
    return f->result;
}

static int check(struct fixture *f)
{
    assert_int_equal(source_check(f->source, on_identity, f), 0);
    run(f, &f->done);
    return f->result;
}

static void open_source(struct fixture *f, const char *path)
{
    assert_int_equal(source_new(f->io, path, NULL, &f->source), 0);
    assert_int_equal(check(f), 0);
}

static void window(struct fixture *f, uint64_t offset, uint64_t length)
{
    assert_int_equal(source_window(f->source, offset, length, on_ready, f), 0);
}

/* Reads LENGTH bytes of the window from FROM on in steps of STEP, compares them, and returns 0 or the error. */
static int drain(struct fixture *f, uint64_t offset, uint64_t from, uint64_t length, size_t step)
{
    unsigned char *buffer = malloc(step);
    uint64_t at = from;
    ssize_t n = 0;

    assert_non_null(buffer);
    while (at < length) {
        n = source_read(f->source, at, buffer, step);
        if (n < 0)
            break;
        if (n == 0)
            run(f, &f->ready);
        for (ssize_t i = 0; i < n; i++)
            if (buffer[i] != folder_byte(offset + at + (uint64_t)i))
                fail_msg("byte %llu differs", (unsigned long long)(offset + at + (uint64_t)i));
        at += (uint64_t)n;
    }
    free(buffer);
    return n < 0 ? (int)n : 0;
}

static void a_look_gives_the_identity_that_stat_knows(void **state)
{
    struct fixture f;
    struct stat st;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 12345);
    assert_int_equal(look(&f, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(f.identity.size_bytes, 12345);
    assert_int_equal(f.identity.mtime_sec, st.st_mtim.tv_sec);
    assert_int_equal(f.identity.mtime_nsec, st.st_mtim.tv_nsec);
    assert_int_equal(f.identity.inode, st.st_ino);
    assert_int_equal(f.identity.device, st.st_dev);
    assert_memory_not_equal(f.identity.boot_id, ((uint8_t[16]){0}), 16);
    assert_false(f.identity.racy);
    struct source_identity first = f.identity;
    assert_int_equal(look(&f, path), 0);
    assert_int_equal(ident_compare(&first, &f.identity), IDENT_SAME);
    free(path);
    finish(&f);
}

/* What is mounted can be told apart from what is gone, or was never a place of that kind. */
static void an_error_where_nothing_is_mounted_any_more_is_told_apart(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_path(f.folder, "nowhere");
    assert_int_equal(source_new(f.io, path, f.folder, &f.source), 0);
    assert_int_equal(check(&f), -ENOMEDIUM); /* the folder is there, but nothing is mounted at it */
    source_free(f.source);
    assert_int_equal(source_new(f.io, path, path, &f.source), 0);
    assert_int_equal(check(&f), -ENOMEDIUM);
    source_free(f.source);
    assert_int_equal(source_new(f.io, "/proc/none", "/proc", &f.source), 0);
    assert_int_equal(check(&f), -ENOENT); /* while its file system is there */
    source_free(f.source);
    assert_int_equal(source_new(f.io, f.folder, path, &f.source), 0);
    assert_int_equal(check(&f), -EISDIR); /* which no mount explains */
    free(path);
    finish(&f);
}

static void the_place_of_its_file_system_is_told(void **state)
{
    struct fixture f;
    struct stat here, root;

    (void)state;
    begin(&f);
    assert_int_equal(look(&f, "/proc/version"), 0);
    assert_string_equal(f.mount, "/proc");
    char *path = folder_file(f.folder, "file", 1);
    assert_int_equal(look(&f, path), 0);
    assert_true(stat(path, &here) == 0 && stat("/", &root) == 0);
    assert_true(here.st_dev != root.st_dev || f.mount[0] == '\0' || strncmp(path, f.mount, strlen(f.mount)) == 0);
    free(path);
    finish(&f);
}

static void a_file_that_was_just_written_is_racy(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 10);
    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    assert_int_equal(look(&f, path), 0);
    assert_true(f.identity.racy);
    free(path);
    finish(&f);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *fifo = folder_path(f.folder, "fifo"), *sock = folder_path(f.folder, "socket");
    char *file = folder_file(f.folder, "file", 1), *link = folder_path(f.folder, "link");
    char *below = folder_path(file, "below"), *dangling = folder_path(f.folder, "dangling");
    char *loop = folder_path(f.folder, "loop");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    make_socket(sock);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(symlink("nowhere", dangling), 0);
    assert_int_equal(symlink("loop", loop), 0);
    assert_int_equal(look(&f, fifo), -EMEDIUMTYPE);
    assert_int_equal(look(&f, sock), -EMEDIUMTYPE);
    assert_int_equal(look(&f, "/dev/null"), -EMEDIUMTYPE);
    assert_int_equal(look(&f, f.folder), -EISDIR);
    assert_int_equal(look(&f, "/nowhere/at/all"), -ENOENT);
    assert_int_equal(look(&f, dangling), -ENOENT);
    assert_int_equal(look(&f, below), -ENOTDIR);
    assert_int_equal(look(&f, loop), -ELOOP);
    assert_int_equal(look(&f, link), 0);
    char *paths[] = {fifo, sock, file, link, below, dangling, loop};
    for (size_t i = 0; i < ELEMENTS(paths); i++)
        free(paths[i]);
    finish(&f);
}

/* /dev/stdin and its kind would mean the daemon's descriptors, not the user's. */
static void a_link_into_a_process_is_refused(void **state)
{
    struct fixture f;
    char magic[64];

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    snprintf(magic, sizeof(magic), "/proc/self/fd/%d", fd);
    assert_int_equal(look(&f, magic), -ELOOP);
    (void)close(fd);
    free(path);
    finish(&f);
}

static int look_at_unreadable(void)
{
    struct fixture f;

    begin(&f);
    char *path = folder_file(f.folder, "file", 1);
    assert_int_equal(chmod(path, 0), 0);
    int result = look(&f, path);
    free(path);
    finish(&f);
    return result;
}

/* In a child, because root may read everything and has to become somebody else first. */
static void a_file_that_may_not_be_read_is_told(void **state)
{
    int status = 0;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(2);
        _exit(look_at_unreadable() == -EACCES ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_window_gives_exactly_the_bytes_of_the_file(void **state)
{
    static const struct {
        uint64_t offset, length;
        size_t step;
    } table[] = {
        {0, 1, 1},
        {0, 5 * KIB, 1000},
        {1, 5 * KIB, 5 * KIB},
        {4095, IO_CHUNK_BYTES, 512 * KIB},
        {4097, IO_CHUNK_BYTES + 1, 4096},
        {12345, 3 * IO_CHUNK_BYTES - 7, 512 * KIB},
        {0, 6 * MIB, 512 * KIB},
        {6 * MIB - 1, 1, 512 * KIB},
    };
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 6 * MIB);
    open_source(&f, path);
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        window(&f, table[i].offset, table[i].length);
        assert_int_equal(drain(&f, table[i].offset, 0, table[i].length, table[i].step), 0);
    }
    free(path);
    finish(&f);
}

static void a_large_file_is_read_in_windows(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 64 * MIB);
    open_source(&f, path);
    assert_int_equal(f.identity.size_bytes, 64 * MIB);
    for (uint64_t offset = 0; offset < 64 * MIB; offset += 8 * MIB) {
        window(&f, offset, 8 * MIB);
        assert_int_equal(drain(&f, offset, 0, 8 * MIB, 512 * KIB), 0);
        assert_int_equal(check(&f), 0);
    }
    free(path);
    finish(&f);
}

static void a_window_begins_again_at_its_start(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 2 * MIB);
    open_source(&f, path);
    window(&f, 1000, MIB);
    for (int i = 0; i < 5; i++)
        assert_int_equal(drain(&f, 1000, 0, 100 * KIB * (uint64_t)(i + 1), 10000), 0);
    assert_int_equal(drain(&f, 1000, 0, MIB, 512 * KIB), 0);
    free(path);
    finish(&f);
}

static void a_new_window_ends_the_one_before_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 4 * MIB);
    open_source(&f, path);
    for (uint64_t i = 0; i < 50; i++) {
        window(&f, i * 1001, 3 * MIB); /* its first read is under way, or done */
        if (i % 3 == 0)
            assert_int_equal(drain(&f, i * 1001, 0, 300 * KIB, 1000), 0);
    }
    window(&f, 77, 2 * MIB);
    assert_int_equal(drain(&f, 77, 0, 2 * MIB, 512 * KIB), 0);
    free(path);
    finish(&f);
}

static void a_file_that_is_cut_while_it_is_read_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 4 * MIB);
    open_source(&f, path);
    window(&f, 0, 4 * MIB);
    assert_int_equal(drain(&f, 0, 0, 100000, 50000), 0);
    assert_int_equal(truncate(path, 3 * MIB), 0);
    assert_int_equal(drain(&f, 0, 100000, 4 * MIB, 50000), -ENODATA);
    assert_int_equal(source_read(f.source, 3 * MIB, (char[1]){0}, 1), -ENODATA); /* and told again */
    free(path);
    finish(&f);
}

static void a_window_beyond_the_end_gives_nothing(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 1000);
    open_source(&f, path);
    window(&f, 1000, 10);
    assert_int_equal(drain(&f, 1000, 0, 10, 10), -ENODATA);
    window(&f, 5000, 10);
    assert_int_equal(drain(&f, 5000, 0, 10, 10), -ENODATA);
    window(&f, 0, 1000);
    assert_int_equal(drain(&f, 0, 0, 1000, 300), 0);
    free(path);
    finish(&f);
}

static void a_check_sees_growth_and_writes(void **state)
{
    struct fixture f;
    struct source_identity before;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 1000);
    open_source(&f, path);
    before = f.identity;
    assert_int_equal(check(&f), 0);
    assert_int_equal(ident_compare(&before, &f.identity), IDENT_SAME);
    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    assert_int_equal(check(&f), 0);
    assert_int_equal(ident_compare(&before, &f.identity), IDENT_TIME_CHANGED);
    assert_int_equal(truncate(path, 2000), 0);
    assert_int_equal(check(&f), 0);
    assert_int_equal(ident_compare(&before, &f.identity), IDENT_SIZE_CHANGED);
    free(path);
    finish(&f);
}

static void a_file_that_took_its_place_is_seen_and_read(void **state)
{
    struct fixture f;
    struct source_identity before;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 1000);
    open_source(&f, path);
    before = f.identity;
    char *other = folder_file(f.folder, "other", 1000);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(check(&f), 0);
    assert_int_not_equal(ident_compare(&before, &f.identity), IDENT_SAME);
    window(&f, 0, 1000);
    assert_int_equal(drain(&f, 0, 0, 1000, 1000), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(check(&f), -ENOENT);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(check(&f), -EISDIR);
    free(other);
    free(path);
    finish(&f);
}

static void a_window_needs_a_check_that_went_well(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(source_new(f.io, "/nowhere/at/all", NULL, &f.source), 0);
    assert_int_equal(source_window(f.source, 0, 1, on_ready, &f), -EBADF);
    assert_int_equal(check(&f), -ENOENT);
    assert_int_equal(source_window(f.source, 0, 1, on_ready, &f), -EBADF);
    finish(&f);
}

static void a_cancelled_look_is_never_heard_of(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 1);
    for (int i = 0; i < 200; i++) {
        struct io_request *request = NULL;
        assert_int_equal(io_look(f.io, path, on_looked, &f, &request), 0);
        io_request_cancel(request); /* waiting, running or done */
    }
    unsigned done = f.done;
    assert_int_equal(done, 0);
    assert_int_equal(look(&f, path), 0);
    assert_int_equal(f.done, 1);
    free(path);
    finish(&f);
}

static void a_source_may_go_while_a_call_is_under_way(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_file(f.folder, "file", 2 * MIB);
    for (int i = 0; i < 100; i++) {
        open_source(&f, path);
        if (i % 2 == 0)
            window(&f, 0, 2 * MIB);
        else
            assert_int_equal(source_check(f.source, on_identity, &f), 0);
        unsigned done = f.done, ready = f.ready;
        f.source = source_free(f.source);
        if (i % 10 == 0)
            assert_int_equal(look(&f, path), 0), done++;
        assert_int_equal(f.done, done);
        assert_int_equal(f.ready, ready);
    }
    free(path);
    finish(&f);
}

static void io_may_go_while_calls_are_under_way(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct fixture f;
        struct io_request *request = NULL;
        begin(&f);
        char *path = folder_file(f.folder, "file", 2 * MIB);
        open_source(&f, path);
        window(&f, 0, 2 * MIB);
        for (int j = 0; j < 20; j++)
            assert_int_equal(io_look(f.io, path, on_looked, &f, &request), 0);
        if (i % 2 == 0)
            turn(&f);
        unsigned done = f.done;
        f.source = source_free(f.source);
        free(path);
        finish(&f);
        assert_int_equal(f.done, done);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_look_gives_the_identity_that_stat_knows),
    cmocka_unit_test(an_error_where_nothing_is_mounted_any_more_is_told_apart),
    cmocka_unit_test(the_place_of_its_file_system_is_told),
    cmocka_unit_test(a_file_that_was_just_written_is_racy),
    cmocka_unit_test(what_is_no_file_is_refused_without_waiting),
    cmocka_unit_test(a_link_into_a_process_is_refused),
    cmocka_unit_test(a_file_that_may_not_be_read_is_told),
    cmocka_unit_test(a_window_gives_exactly_the_bytes_of_the_file),
    cmocka_unit_test(a_large_file_is_read_in_windows),
    cmocka_unit_test(a_window_begins_again_at_its_start),
    cmocka_unit_test(a_new_window_ends_the_one_before_it),
    cmocka_unit_test(a_file_that_is_cut_while_it_is_read_is_told),
    cmocka_unit_test(a_window_beyond_the_end_gives_nothing),
    cmocka_unit_test(a_check_sees_growth_and_writes),
    cmocka_unit_test(a_file_that_took_its_place_is_seen_and_read),
    cmocka_unit_test(a_window_needs_a_check_that_went_well),
    cmocka_unit_test(a_cancelled_look_is_never_heard_of),
    cmocka_unit_test(a_source_may_go_while_a_call_is_under_way),
    cmocka_unit_test(io_may_go_while_calls_are_under_way),
};

UNIT_MAIN(tests);
