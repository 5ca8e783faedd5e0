/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reply_fixture.h"

#include "support/folder.h"
#include "support/unit.h"

#include <string.h>

void reply_fixture_begin(struct reply_fixture *f)
{
    *f = (struct reply_fixture){0};
    io_fixture_begin(&f->io);
    f->target = folder_path(f->io.folder, "reply.xml");
}

void reply_fixture_finish(struct reply_fixture *f)
{
    reply_file_free(f->file);
    free(f->target);
    io_fixture_finish(&f->io);
}

void reply_fixture_on_done(void *userdata, int result)
{
    struct reply_fixture *f = userdata;

    f->done++;
    f->result = result;
}

struct reply_place reply_fixture_place(const struct reply_fixture *f)
{
    return (struct reply_place){.state_directory = f->io.folder, .job_id = 7, .path = f->target};
}

void reply_fixture_open(struct reply_fixture *f)
{
    struct reply_place place = reply_fixture_place(f);

    assert_int_equal(reply_file_new(f->io.io, &place, &f->file), 0);
}

void reply_fixture_open_in_state(struct reply_fixture *f)
{
    struct reply_place place = {.state_directory = f->io.folder, .job_id = 7};

    assert_int_equal(reply_file_new(f->io.io, &place, &f->file), 0);
}

int reply_fixture_write(struct reply_fixture *f, uint64_t offset, const char *text)
{
    char *buffer = strdup(text);

    assert_non_null(buffer);
    assert_int_equal(reply_file_write(f->file, offset, buffer, strlen(text), reply_fixture_on_done, f), 0);
    io_fixture_run(&f->io, &f->done);
    return f->result;
}

int reply_fixture_store(struct reply_fixture *f, uint64_t total)
{
    assert_int_equal(reply_file_store(f->file, total, reply_fixture_on_done, f), 0);
    io_fixture_run(&f->io, &f->done);
    return f->result;
}

void reply_fixture_assert_holds(const char *path, const char *text)
{
    char *content = io_fixture_read(path, NULL);

    assert_non_null(content);
    assert_string_equal(content, text);
    free(content);
}

char *reply_fixture_draft(const struct reply_fixture *f)
{
    return folder_path(f->io.folder, ".reply.xml.bitsq-7.part");
}
