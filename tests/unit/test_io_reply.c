/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reply of a job on disk: its draft, and the way to the final name. Real files, real threads. */
#include "core/limits.h"
#include "reply_fixture.h"
#include "support/folder.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static void a_reply_is_nowhere_to_be_seen_until_it_is_stored(void **state)
{
    struct reply_fixture f;
    struct stat st;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "Hello "), 0);
    char *draft = reply_fixture_draft(&f);
    assert_false(io_fixture_exists(f.target));
    assert_int_equal(stat(draft, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(reply_fixture_write(&f, 6, "world"), 0);
    assert_int_equal(reply_fixture_store(&f, 11), 0);
    reply_fixture_assert_holds(f.target, "Hello world");
    assert_int_equal(stat(f.target, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(io_fixture_count(f.io.folder), 1);
    free(draft);
    reply_fixture_finish(&f);
}

static void a_reply_without_a_chosen_path_lies_in_the_state_folder(void **state)
{
    struct reply_fixture f;
    struct reply_place place;
    struct stat st;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open_in_state(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "x"), 0);
    assert_int_equal(reply_fixture_store(&f, 1), 0);
    place = (struct reply_place){.state_directory = f.io.folder, .job_id = 7};
    char *path = reply_place_path(&place), *folder = folder_path(f.io.folder, "replies");
    char *expected = folder_path(folder, "7");
    assert_string_equal(path, expected);
    reply_fixture_assert_holds(path, "x");
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    free(expected);
    free(folder);
    free(path);
    reply_fixture_finish(&f);
}

static void an_empty_reply_is_an_empty_file(void **state)
{
    struct reply_fixture f;
    struct stat st;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_store(&f, 0), 0);
    assert_int_equal(stat(f.target, &st), 0);
    assert_int_equal(st.st_size, 0);
    reply_file_free(f.file);
    reply_fixture_open_in_state(&f);
    assert_int_equal(reply_fixture_store(&f, 0), 0);
    reply_fixture_finish(&f);
}

static void a_write_at_0_begins_the_reply_anew(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "a long one"), 0);
    assert_int_equal(reply_fixture_write(&f, 0, "short"), 0);
    assert_int_equal(reply_fixture_store(&f, 6), -ENODATA);
    assert_int_equal(reply_fixture_store(&f, 5), 0);
    reply_fixture_assert_holds(f.target, "short");
    reply_fixture_finish(&f);
}

static void what_is_beyond_the_total_is_cut_off(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "0123456789"), 0);
    assert_int_equal(reply_fixture_store(&f, 4), 0);
    reply_fixture_assert_holds(f.target, "0123");
    reply_fixture_finish(&f);
}

static void a_write_behind_what_is_there_is_refused_so_that_the_reply_begins_anew(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 3, "x"), -ENODATA);
    assert_int_equal(reply_fixture_write(&f, 0, "abc"), 0);
    assert_int_equal(reply_fixture_write(&f, 4, "x"), -ENODATA);
    assert_int_equal(reply_fixture_write(&f, 3, "d"), 0);
    char *draft = reply_fixture_draft(&f);
    assert_int_equal(unlink(draft), 0);
    assert_int_equal(reply_fixture_write(&f, 4, "e"), -ENODATA);
    assert_int_equal(reply_fixture_store(&f, 4), -ENODATA);
    assert_false(io_fixture_exists(f.target));
    free(draft);
    reply_fixture_finish(&f);
}

static void a_restarted_daemon_goes_on_with_the_draft(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open_in_state(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "first "), 0);
    reply_file_free(f.file);
    reply_fixture_open_in_state(&f);
    assert_int_equal(reply_fixture_write(&f, 6, "second"), 0);
    assert_int_equal(reply_fixture_store(&f, 12), 0);
    reply_fixture_finish(&f);
}

static void the_file_that_was_at_the_target_is_replaced_as_a_whole(void **state)
{
    struct reply_fixture f;
    struct stat st;

    (void)state;
    reply_fixture_begin(&f);
    free(io_fixture_file(&f.io, "reply.xml", "old", 0644));
    int old = open(f.target, O_RDONLY | O_CLOEXEC);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "new"), 0);
    reply_fixture_assert_holds(f.target, "old");
    assert_int_equal(reply_fixture_store(&f, 3), 0);
    reply_fixture_assert_holds(f.target, "new");
    assert_int_equal(fstat(old, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(close(old), 0);
    reply_fixture_finish(&f);
}

static void a_link_in_place_of_the_draft_gets_nothing(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    char *victim = io_fixture_file(&f.io, "victim", "precious", 0600), *draft = reply_fixture_draft(&f);
    reply_fixture_open(&f);
    assert_int_equal(symlink(victim, draft), 0);
    assert_int_equal(reply_fixture_write(&f, 3, "x"), -ENODATA);
    assert_int_equal(reply_fixture_store(&f, 3), -ENODATA);
    assert_int_equal(reply_fixture_write(&f, 0, "abc"), 0);
    reply_fixture_assert_holds(victim, "precious");
    assert_int_equal(unlink(draft), 0);
    assert_int_equal(link(victim, draft), 0);
    assert_int_equal(reply_fixture_write(&f, 3, "x"), -ENODATA);
    reply_fixture_assert_holds(victim, "precious");
    assert_int_equal(unlink(draft), 0);
    assert_int_equal(mkfifo(draft, 0600), 0);
    assert_int_equal(reply_fixture_write(&f, 3, "x"), -ENODATA);
    free(draft);
    free(victim);
    reply_fixture_finish(&f);
}

static void a_folder_at_the_target_is_an_error_and_stays(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    assert_int_equal(mkdir(f.target, 0700), 0);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "x"), 0);
    assert_int_equal(reply_fixture_store(&f, 1), -EISDIR);
    assert_true(io_fixture_exists(f.target));
    reply_fixture_finish(&f);
}

static void a_chosen_folder_that_is_gone_is_not_made_again(void **state)
{
    struct reply_fixture f;
    struct reply_place place;

    (void)state;
    reply_fixture_begin(&f);
    char *folder = folder_path(f.io.folder, "gone"), *path = folder_path(folder, "reply");
    place = (struct reply_place){.state_directory = f.io.folder, .job_id = 7, .path = path};
    assert_int_equal(reply_file_new(f.io.io, &place, &f.file), 0);
    assert_int_equal(reply_fixture_write(&f, 0, "x"), -ENOENT);
    assert_int_equal(reply_fixture_write(&f, 1, "x"), -ENODATA);
    assert_int_equal(reply_fixture_store(&f, 0), -ENOENT);
    assert_false(io_fixture_exists(folder));
    free(path);
    free(folder);
    reply_fixture_finish(&f);
}

static void discard_removes_the_draft_and_never_what_was_stored(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open(&f);
    assert_int_equal(reply_file_discard(f.file, reply_fixture_on_done, &f), 0);
    io_fixture_run(&f.io, &f.done);
    assert_int_equal(f.result, 0);
    assert_int_equal(reply_fixture_write(&f, 0, "one"), 0);
    assert_int_equal(reply_fixture_store(&f, 3), 0);
    assert_int_equal(reply_fixture_write(&f, 0, "two"), 0);
    assert_int_equal(io_fixture_count(f.io.folder), 2);
    assert_int_equal(reply_file_discard(f.file, reply_fixture_on_done, &f), 0);
    io_fixture_run(&f.io, &f.done);
    assert_int_equal(f.result, 0);
    assert_int_equal(io_fixture_count(f.io.folder), 1);
    reply_fixture_assert_holds(f.target, "one");
    reply_fixture_finish(&f);
}

static void one_call_at_a_time_and_those_of_one_job_in_their_order(void **state)
{
    struct reply_fixture f;
    struct reply_fixture *userdata = &f;

    (void)state;
    reply_fixture_begin(&f);
    reply_fixture_open(&f);
    size_t size = REPLY_RANGE_BYTES;
    char *big = calloc(1, size), *small = strdup("new");
    assert_non_null(big);
    assert_non_null(small);
    assert_int_equal(reply_file_write(f.file, 0, big, size, reply_fixture_on_done, userdata), 0);
    assert_int_equal(reply_file_store(f.file, size, reply_fixture_on_done, userdata), -EBUSY);
    assert_int_equal(reply_file_discard(f.file, NULL, NULL), -EBUSY);
    /* Its owner goes, and another comes for the same job: what it writes comes behind. */
    reply_file_free(f.file);
    reply_fixture_open(&f);
    assert_int_equal(reply_file_write(f.file, 0, small, 3, reply_fixture_on_done, userdata), 0);
    io_fixture_run(&f.io, &f.done);
    assert_int_equal(f.result, 0);
    assert_int_equal(f.done, 1);
    assert_int_equal(reply_fixture_store(&f, 3), 0);
    reply_fixture_assert_holds(f.target, "new");
    reply_fixture_finish(&f);
}

static void io_may_go_while_calls_are_under_way(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    for (unsigned i = 0; i < 3; i++) {
        reply_fixture_open(&f);
        char *buffer = calloc(1, REPLY_RANGE_BYTES);
        assert_non_null(buffer);
        assert_int_equal(reply_file_write(f.file, 0, buffer, REPLY_RANGE_BYTES, reply_fixture_on_done, &f), 0);
        f.file = reply_file_free(f.file);
    }
    reply_fixture_finish(&f);
}

static void a_name_of_the_longest_kind_has_a_draft_too(void **state)
{
    struct reply_fixture f;
    char name[NAME_MAX + 1];

    (void)state;
    reply_fixture_begin(&f);
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    free(f.target);
    f.target = folder_path(f.io.folder, name);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "x"), 0);
    assert_int_equal(reply_fixture_store(&f, 1), 0);
    reply_fixture_assert_holds(f.target, "x");
    reply_fixture_finish(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_reply_is_nowhere_to_be_seen_until_it_is_stored),
    cmocka_unit_test(a_reply_without_a_chosen_path_lies_in_the_state_folder),
    cmocka_unit_test(an_empty_reply_is_an_empty_file),
    cmocka_unit_test(a_write_at_0_begins_the_reply_anew),
    cmocka_unit_test(what_is_beyond_the_total_is_cut_off),
    cmocka_unit_test(a_write_behind_what_is_there_is_refused_so_that_the_reply_begins_anew),
    cmocka_unit_test(a_restarted_daemon_goes_on_with_the_draft),
    cmocka_unit_test(the_file_that_was_at_the_target_is_replaced_as_a_whole),
    cmocka_unit_test(a_link_in_place_of_the_draft_gets_nothing),
    cmocka_unit_test(a_folder_at_the_target_is_an_error_and_stays),
    cmocka_unit_test(a_chosen_folder_that_is_gone_is_not_made_again),
    cmocka_unit_test(discard_removes_the_draft_and_never_what_was_stored),
    cmocka_unit_test(one_call_at_a_time_and_those_of_one_job_in_their_order),
    cmocka_unit_test(io_may_go_while_calls_are_under_way),
    cmocka_unit_test(a_name_of_the_longest_kind_has_a_draft_too),
};
UNIT_MAIN(tests);
