/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io_fixture.h"

#include "core/limits.h"
#include "support/folder.h"
#include "support/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void io_fixture_begin(struct io_fixture *f)
{
    *f = (struct io_fixture){.folder = folder_new()};
    assert_int_equal(mailbox_new(&f->mailbox), 0);
    assert_int_equal(io_new(f->mailbox, IO_THREADS, &f->io), 0);
}

void io_fixture_finish(struct io_fixture *f)
{
    io_free(f->io);
    mailbox_free(f->mailbox);
    folder_remove(f->folder);
}

void io_fixture_turn(struct io_fixture *f)
{
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct pollfd poll_fd = {.fd = mailbox_fd(f->mailbox), .events = POLLIN};
    struct message *message;

    assert_int_equal(poll(&poll_fd, 1, IO_BOUND_MSEC), 1);
    mailbox_take_all(f->mailbox, &list);
    while ((message = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, message, entry);
        assert_true(io_dispatch(f->io, message));
    }
}

void io_fixture_run(struct io_fixture *f, const unsigned *count)
{
    unsigned before = *count;

    while (*count == before)
        io_fixture_turn(f);
}

char *io_fixture_file(struct io_fixture *f, const char *name, const char *text, mode_t mode)
{
    char *path = folder_path(f->folder, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

char *io_fixture_read(const char *path, size_t *ret_size)
{
    struct stat st;
    FILE *file = fopen(path, "re");

    if (!file)
        return NULL;
    assert_int_equal(fstat(fileno(file), &st), 0);
    char *text = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)st.st_size, file), st.st_size);
    assert_int_equal(fclose(file), 0);
    if (ret_size)
        *ret_size = (size_t)st.st_size;
    return text;
}

bool io_fixture_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

unsigned io_fixture_count(const char *folder)
{
    DIR *stream = opendir(folder);
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(stream);
    return count;
}
