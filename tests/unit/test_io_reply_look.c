/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at the place of a reply, opening what was stored, and what goes with a job. Real files, real threads. */
#include "core/limits.h"
#include "io/reply_disk.h"
#include "reply_fixture.h"
#include "support/folder.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NOBODY 65534

/* ---- the check at submission ---- */

static int check(struct reply_fixture *f, const char *path)
{
    struct io_request *request = NULL;

    int r = io_check_reply_path(f->io.io, path, reply_fixture_on_done, f, &request);
    if (r < 0)
        return r;
    io_fixture_run(&f->io, &f->done);
    return f->result;
}

static void a_path_is_checked_before_a_job_is_taken(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    char *folder = folder_path(f.io.folder, "folder"), *missing = folder_path(folder, "missing/reply");
    char *below_file = folder_path(f.io.folder, "file/reply"), *slash = folder_path(folder, "");
    char *link = folder_path(f.io.folder, "link"), *fifo = folder_path(f.io.folder, "fifo");
    assert_int_equal(check(&f, f.target), 0);
    free(io_fixture_file(&f.io, "reply.xml", "", 0600));
    free(io_fixture_file(&f.io, "file", "", 0600));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink(folder, link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(check(&f, f.target), 0);
    assert_int_equal(check(&f, folder), -EISDIR);
    assert_int_equal(check(&f, link), -EISDIR);
    assert_int_equal(check(&f, fifo), -EMEDIUMTYPE);
    assert_int_equal(check(&f, missing), -ENOENT);
    assert_int_equal(check(&f, below_file), -ENOTDIR);
    assert_int_equal(check(&f, slash), -EINVAL);
    assert_int_equal(check(&f, "relative"), -EINVAL);
    assert_int_equal(check(&f, "/tmp/.."), -EINVAL);
    assert_int_equal(check(&f, "/"), -EINVAL);
    /* Nothing was made by looking. */
    assert_int_equal(io_fixture_count(folder), 0);
    free(fifo);
    free(link);
    free(slash);
    free(below_file);
    free(missing);
    free(folder);
    reply_fixture_finish(&f);
}

static void a_folder_that_must_not_be_written_to_is_refused(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    char *folder = folder_path(f.io.folder, "folder"), *path = folder_path(folder, "reply");
    struct reply_place place = {.path = path};
    struct reply_names names;
    assert_int_equal(mkdir(folder, 0555), 0);
    assert_int_equal(chmod(f.io.folder, 0755), 0);
    assert_int_equal(reply_names_init(&names, &place), 0);
    /* For root permissions do not count. */
    uid_t user = geteuid();
    assert_int_equal(user == 0 ? seteuid(NOBODY) : 0, 0);
    int r = reply_disk_check(&names);
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(r, -EACCES);
    reply_names_done(&names);
    free(path);
    free(folder);
    reply_fixture_finish(&f);
}

/* ---- reading, removing, sweeping ---- */

static int open_reply(struct reply_fixture *f, const struct reply_place *place)
{
    struct io_request *request = NULL;

    assert_int_equal(io_open_reply(f->io.io, place, reply_fixture_on_done, f, &request), 0);
    io_fixture_run(&f->io, &f->done);
    return f->result;
}

static void the_stored_reply_can_be_opened_and_nothing_else(void **state)
{
    struct reply_fixture f;
    char buffer[8] = {0};

    (void)state;
    reply_fixture_begin(&f);
    struct reply_place place = reply_fixture_place(&f);
    assert_int_equal(open_reply(&f, &place), -ENOENT);
    char *other = io_fixture_file(&f.io, "other", "text", 0600);
    assert_int_equal(symlink(other, f.target), 0);
    assert_int_equal(open_reply(&f, &place), -ELOOP);
    assert_int_equal(unlink(f.target), 0);
    assert_int_equal(mkfifo(f.target, 0600), 0);
    assert_int_equal(open_reply(&f, &place), -EMEDIUMTYPE);
    assert_int_equal(unlink(f.target), 0);
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "reply"), 0);
    assert_int_equal(reply_fixture_store(&f, 5), 0);
    int fd = open_reply(&f, &place);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(read(fd, buffer, sizeof(buffer)), 5);
    assert_string_equal(buffer, "reply");
    assert_int_equal(close(fd), 0);
    free(other);
    reply_fixture_finish(&f);
}

static void a_cancelled_opening_leaves_no_descriptor(void **state)
{
    struct reply_fixture f;
    struct io_request *request = NULL;

    (void)state;
    reply_fixture_begin(&f);
    struct reply_place place = reply_fixture_place(&f);
    free(io_fixture_file(&f.io, "reply.xml", "text", 0600));
    unsigned before = io_fixture_count("/proc/self/fd");
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(io_open_reply(f.io.io, &place, reply_fixture_on_done, &f, &request), 0);
        io_request_cancel(request);
    }
    /* Behind them: by its end theirs have come. */
    assert_int_equal(check(&f, f.target), 0);
    f.io.io = io_free(f.io.io);
    assert_int_equal(f.done, 1);
    assert_true(io_fixture_count("/proc/self/fd") <= before);
    reply_fixture_finish(&f);
}

static void removing_a_job_takes_its_files_but_not_the_users(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    struct reply_place place = reply_fixture_place(&f), in_state = {.state_directory = f.io.folder, .job_id = 7};
    reply_fixture_open(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "kept"), 0);
    assert_int_equal(reply_fixture_store(&f, 4), 0);
    assert_int_equal(reply_fixture_write(&f, 0, "draft"), 0);
    assert_int_equal(io_remove_reply(f.io.io, &place), 0);
    assert_int_equal(reply_file_discard(f.file, reply_fixture_on_done, &f), 0);
    io_fixture_run(&f.io, &f.done);
    assert_int_equal(io_fixture_count(f.io.folder), 1);
    reply_fixture_assert_holds(f.target, "kept");
    reply_file_free(f.file);
    reply_fixture_open_in_state(&f);
    assert_int_equal(reply_fixture_write(&f, 0, "gone"), 0);
    assert_int_equal(reply_fixture_store(&f, 4), 0);
    assert_int_equal(io_remove_reply(f.io.io, &in_state), 0);
    assert_int_equal(reply_file_discard(f.file, reply_fixture_on_done, &f), 0);
    io_fixture_run(&f.io, &f.done);
    char *folder = folder_path(f.io.folder, "replies");
    assert_int_equal(io_fixture_count(folder), 0);
    free(folder);
    reply_fixture_finish(&f);
}

static bool is_even(void *userdata, uint64_t job_id)
{
    (void)userdata;
    return job_id % 2 == 0;
}

static int sweep(struct reply_fixture *f)
{
    struct io_request *request = NULL;

    assert_int_equal(io_sweep_replies(f->io.io, f->io.folder, is_even, reply_fixture_on_done, f, &request), 0);
    io_fixture_run(&f->io, &f->done);
    return f->result;
}

static void put(const char *folder, const char *name)
{
    char *path = folder_path(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    free(path);
}

static void the_sweep_removes_what_belongs_to_no_job(void **state)
{
    struct reply_fixture f;

    (void)state;
    reply_fixture_begin(&f);
    assert_int_equal(sweep(&f), 0); /* no folder: nothing to do */
    char *folder = folder_path(f.io.folder, "replies");
    assert_int_equal(mkdir(folder, 0700), 0);
    put(folder, "1");
    put(folder, ".3.bitsq-3.part");
    put(folder, "2");
    put(folder, ".4.bitsq-4.part");
    /* Of nobody's making here: they stay. */
    put(folder, "notes.txt");
    put(folder, "0005");
    put(folder, ".5.bitsq-7.part");
    assert_int_equal(sweep(&f), 2);
    assert_int_equal(io_fixture_count(folder), 5);
    assert_int_equal(sweep(&f), 0);
    free(folder);
    reply_fixture_finish(&f);
}

static void the_sweep_goes_on_past_what_it_reads_at_a_time(void **state)
{
    struct reply_fixture f;
    char name[32];

    (void)state;
    reply_fixture_begin(&f);
    char *folder = folder_path(f.io.folder, "replies");
    assert_int_equal(mkdir(folder, 0700), 0);
    for (unsigned i = 0; i < REPLY_SWEEP_BATCH; i++) {
        (void)snprintf(name, sizeof(name), "%u", 2 * i + 1);
        put(folder, name);
    }
    assert_int_equal(sweep(&f), REPLY_SWEEP_BATCH);
    for (unsigned i = 0; i < REPLY_SWEEP_BATCH + 1; i++) {
        (void)snprintf(name, sizeof(name), "%u", 2 * i + 1);
        put(folder, name);
    }
    assert_int_equal(sweep(&f), REPLY_SWEEP_BATCH + 1);
    assert_int_equal(io_fixture_count(folder), 0);
    free(folder);
    reply_fixture_finish(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_path_is_checked_before_a_job_is_taken),
    cmocka_unit_test(a_folder_that_must_not_be_written_to_is_refused),
    cmocka_unit_test(the_stored_reply_can_be_opened_and_nothing_else),
    cmocka_unit_test(a_cancelled_opening_leaves_no_descriptor),
    cmocka_unit_test(removing_a_job_takes_its_files_but_not_the_users),
    cmocka_unit_test(the_sweep_removes_what_belongs_to_no_job),
    cmocka_unit_test(the_sweep_goes_on_past_what_it_reads_at_a_time),
};
UNIT_MAIN(tests);
