/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reply of job 7 in a temporary folder, for the tests of io/reply. */
#pragma once

#include "io/reply.h"
#include "io_fixture.h"

struct reply_fixture {
    struct io_fixture io;
    struct reply_file *file;
    char *target; /* FOLDER/reply.xml */
    unsigned done;
    int result;
};

void reply_fixture_begin(struct reply_fixture *f);
void reply_fixture_finish(struct reply_fixture *f);
void reply_fixture_on_done(void *userdata, int result);
struct reply_place reply_fixture_place(const struct reply_fixture *f);
void reply_fixture_open(struct reply_fixture *f);
void reply_fixture_open_in_state(struct reply_fixture *f);
int reply_fixture_write(struct reply_fixture *f, uint64_t offset, const char *text);
int reply_fixture_store(struct reply_fixture *f, uint64_t total);
void reply_fixture_assert_holds(const char *path, const char *text);
char *reply_fixture_draft(const struct reply_fixture *f); /* the caller frees it */
