/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at a path that need no thread: what they find is what a thread finds, and whatever is in doubt is left to one.
 */
#include "io/file.h"
#include "io/mountpoint.h"
#include "io/source.h"
#include "io_fixture.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct io_fixture base;
    unsigned looks;
    int result;
    struct source_identity identity;
    char mount[SOURCE_MOUNT_MAX + 1];
};

static void on_looked(void *userdata, int result, const struct source_identity *identity, const char *mount)
{
    struct fixture *f = userdata;

    f->looks++;
    f->result = result;
    f->identity = *identity;
    (void)snprintf(f->mount, sizeof(f->mount), "%s", mount);
}

/* With a thread. */
static int look(struct fixture *f, const char *path)
{
    struct io_request *request;

    assert_int_equal(io_look(f->base.io, path, on_looked, f, &request), 0);
    io_fixture_run(&f->base, &f->looks);
    return f->result;
}

static bool look_now(struct fixture *f, const char *path, struct source_identity *ret)
{
    const char *mount;
    bool is_known = io_look_now(f->base.io, path, ret, &mount);

    if (is_known)
        assert_string_equal(mount, f->mount);
    return is_known;
}

/* Not where the kernel has no number for a mount, or the file system is none that answers at once. */
static bool is_possible(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    bool possible = file_is_local(fd) && file_mount_id(fd) != 0;
    (void)close(fd);
    return possible;
}

/* A file that a thread has looked at. The caller frees the path. */
static char *begin(struct fixture *f)
{
    struct source_identity now;

    *f = (struct fixture){.looks = 0};
    io_fixture_begin(&f->base);
    char *path = io_fixture_file(&f->base, "file", "some text", 0600);
    if (!is_possible(path)) {
        io_fixture_finish(&f->base);
        free(path);
        skip();
    }
    assert_false(look_now(f, path, &now)); /* nothing is known of the mount yet */
    assert_int_equal(look(f, path), 0);
    return path;
}

static void finish(struct fixture *f, char *path)
{
    io_fixture_finish(&f->base);
    free(path);
}

static char *path_in(const struct fixture *f, const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", f->base.folder, name) > 0);
    return path;
}

static void a_known_mount_needs_no_thread(void **state)
{
    struct fixture f;
    struct source_identity now;

    (void)state;
    char *path = begin(&f);
    assert_true(look_now(&f, path, &now));
    assert_memory_equal(&now, &f.identity, sizeof(now));

    char *other = io_fixture_file(&f.base, "other", "of another size", 0400);
    assert_true(look_now(&f, other, &now));
    assert_int_equal(now.size_bytes, strlen("of another size"));
    assert_int_equal(look(&f, other), 0);
    assert_memory_equal(&now, &f.identity, sizeof(now));
    free(other);

    char *link = path_in(&f, "link");
    assert_int_equal(symlink("other", link), 0);
    assert_true(look_now(&f, link, &now));
    assert_memory_equal(&now, &f.identity, sizeof(now));
    free(link);
    finish(&f, path);
}

/* Each of them has its own errno. */
static void what_cannot_be_uploaded_is_left_to_a_thread(void **state)
{
    struct fixture f;
    struct source_identity now;

    (void)state;
    char *path = begin(&f), *missing = path_in(&f, "missing"), *fifo = path_in(&f, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_false(look_now(&f, missing, &now));
    assert_false(look_now(&f, fifo, &now));
    assert_false(look_now(&f, f.base.folder, &now));
    free(missing);
    free(fifo);

    char own[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
    assert_false(look_now(&f, own, &now));
    (void)close(fd);
    finish(&f, path);
}

/* An access list may have more to say than the mode of a file of others, and to read it may take the disk. */
static void what_may_not_be_readable_is_left_to_a_thread(void **state)
{
    struct fixture f;
    struct source_identity now;

    (void)state;
    char *path = begin(&f);
    assert_int_equal(chmod(path, 0200), 0);
    assert_false(look_now(&f, path, &now));
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(look_now(&f, path, &now));
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 1, 1), 0);
        assert_false(look_now(&f, path, &now));
    }
    finish(&f, path);
}

/* procfs is on a mount of its own, and no file system that answers at once. */
static void other_mounts_stay_with_a_thread(void **state)
{
    struct fixture f;
    struct source_identity now;

    (void)state;
    char *path = begin(&f);
    assert_false(look_now(&f, "/proc/self/status", &now));
    assert_int_equal(look(&f, "/proc/self/status"), 0);
    assert_string_equal(f.mount, "/proc");
    assert_false(look_now(&f, "/proc/self/status", &now));
    finish(&f, path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_known_mount_needs_no_thread),
    cmocka_unit_test(what_cannot_be_uploaded_is_left_to_a_thread),
    cmocka_unit_test(what_may_not_be_readable_is_left_to_a_thread),
    cmocka_unit_test(other_mounts_stay_with_a_thread),
};

UNIT_MAIN(tests);
