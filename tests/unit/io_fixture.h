/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder, an io with real threads, and a loop that turns until something has happened. */
#pragma once

#include "io/source.h"

#include "base/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define IO_BOUND_MSEC 60000

struct io_fixture {
    char *folder;
    struct mailbox *mailbox;
    struct io *io;
};

void io_fixture_begin(struct io_fixture *f);
void io_fixture_finish(struct io_fixture *f);

/* Waits for a completion and runs what it calls. */
void io_fixture_turn(struct io_fixture *f);
/* Turns until *COUNT has grown. */
void io_fixture_run(struct io_fixture *f, const unsigned *count);

/* FOLDER/NAME with TEXT in it and MODE whatever the umask. The caller frees the path. */
char *io_fixture_file(struct io_fixture *f, const char *name, const char *text, mode_t mode);
/* What is in PATH, with a NUL behind; NULL where there is no file. The caller frees it. */
char *io_fixture_read(const char *path, size_t *ret_size);
bool io_fixture_exists(const char *path);
/* Names in FOLDER but . and .. */
unsigned io_fixture_count(const char *folder);
