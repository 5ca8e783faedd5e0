/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at an open file that need no thread: what they find is what a thread finds, and the rest is left to one. */
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
    struct source *source;
    char *path;
    unsigned checks;
    int result;
    struct source_identity identity;
};

static void on_checked(void *userdata, int result, const struct source_identity *identity)
{
    struct fixture *f = userdata;

    f->checks++;
    f->result = result;
    f->identity = *identity;
}

/* With a thread. */
static int check(struct fixture *f)
{
    assert_int_equal(source_check(f->source, on_checked, f), 0);
    io_fixture_run(&f->base, &f->checks);
    return f->result;
}

static void finish(struct fixture *f)
{
    source_free(f->source);
    free(f->path);
    io_fixture_finish(&f->base);
}

/* Opens a file; skips where its file system is none that answers at once. */
static void begin(struct fixture *f)
{
    struct source_identity now;

    *f = (struct fixture){.checks = 0};
    io_fixture_begin(&f->base);
    f->path = io_fixture_file(&f->base, "file", "some text", 0600);
    assert_int_equal(source_new(f->base.io, f->path, NULL, &f->source), 0);
    assert_false(source_check_now(f->source, &now)); /* it has to be opened */
    assert_int_equal(check(f), 0);
    if (!source_check_now(f->source, &now)) {
        finish(f);
        skip();
    }
    assert_memory_equal(&now, &f->identity, sizeof(now));
}

static void a_change_is_seen(void **state)
{
    struct fixture f;
    struct source_identity now;

    (void)state;
    begin(&f);
    assert_int_equal(truncate(f.path, 2000), 0);
    assert_true(source_check_now(f.source, &now));
    assert_int_equal(ident_compare(&f.identity, &now), IDENT_SIZE_CHANGED);
    assert_int_equal(check(&f), 0);
    assert_memory_equal(&now, &f.identity, sizeof(now));
    assert_int_equal(utimensat(AT_FDCWD, f.path, (const struct timespec[]){{1, 0}, {1, 0}}, 0), 0);
    assert_true(source_check_now(f.source, &now));
    assert_int_equal(ident_compare(&f.identity, &now), IDENT_TIME_CHANGED);
    finish(&f);
}

/* What took its place has to be opened, and of what is gone a thread shall say why. */
static void another_file_is_left_to_a_thread(void **state)
{
    struct fixture f;
    struct source_identity now;

    (void)state;
    begin(&f);
    char *other = io_fixture_file(&f.base, "other", "other text", 0600);
    assert_int_equal(rename(other, f.path), 0);
    assert_false(source_check_now(f.source, &now));
    assert_int_equal(check(&f), 0);
    assert_true(source_check_now(f.source, &now));
    assert_memory_equal(&now, &f.identity, sizeof(now));
    assert_int_equal(unlink(f.path), 0);
    assert_false(source_check_now(f.source, &now));
    assert_int_equal(check(&f), -ENOENT);
    free(other);
    finish(&f);
}

/* The descriptor is the thread's meanwhile. */
static void a_thread_that_is_in_it_is_waited_for(void **state)
{
    struct fixture f;
    struct source_identity now;

    (void)state;
    begin(&f);
    assert_int_equal(source_check(f.source, on_checked, &f), 0);
    assert_false(source_check_now(f.source, &now));
    io_fixture_run(&f.base, &f.checks);
    assert_true(source_check_now(f.source, &now));
    finish(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_change_is_seen),
    cmocka_unit_test(another_file_is_left_to_a_thread),
    cmocka_unit_test(a_thread_that_is_in_it_is_waited_for),
};

UNIT_MAIN(tests);
