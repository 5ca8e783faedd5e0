/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The user's files, as requests and completions on a small pool of threads: open, stat and read may hang on a network
 * file system, and nothing on the loop may wait for them.
 *
 *   loop ──io_look / source_open / source_check / source_window──▶ pool thread ──▶ mailbox ──▶ loop: io_dispatch() →
 * done()
 *
 * Every callback runs on the loop, from io_dispatch(), exactly once, unless the object was freed before.
 */
#pragma once

#include "core/ident.h"

#include "base/cleanup.h"
#include "base/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct io;
struct source;
struct io_request;

/* THREADS pool threads. Completions are posted into MAILBOX as struct message that io_dispatch() understands. */
int io_new(struct mailbox *mailbox, unsigned threads, struct io **ret);
/*
 * Every source has been freed before; requests that are under way are dropped, and their done() never runs. Waits for
 * calls in progress, though not for ever: a thread that is stuck in a file system that hangs is left alone.
 */
struct io *io_free(struct io *io);
DEFINE_CLEANUP(struct io *, io_free);

/* Whether MESSAGE is one of io's; if so it is handled: its callback runs, and it is freed. */
bool io_dispatch(struct io *io, struct message *message);

/*
 * Looks at a file: opens it safely (no FIFO, device or folder; nothing that blocks; O_NOATIME where permitted) and
 * takes its identity, and the place where its file system is mounted ("" = the root, or not known). RESULT 0, or
 * -ENOENT, -EACCES, -EISDIR, -EMEDIUMTYPE (FIFO, socket, device), ... as open(2).
 */
typedef void (*io_looked_t)(void *userdata, int result, const struct source_identity *identity, const char *mount);
int io_look(struct io *io, const char *path, io_looked_t done, void *userdata, struct io_request **ret);
/*
 * The same at once, without a call in the pool: true where the path is in memory, leads to a regular file that the
 * daemon's user owns and may read, and lies on a mount of a local file system where a look has been before; else only
 * io_look() can tell. Opens nothing, as a virus scanner may hold that back: what a security module says of reading is
 * heard when the file is uploaded. RET_MOUNT is valid until the next look. Needs Linux 6.8.
 */
bool io_look_now(struct io *io, const char *path, struct source_identity *ret, const char **ret_mount);
/* Whether a file system that was mounted at PATH is not there any more. */
int io_look_at_mount(struct io *io, const char *path, void (*done)(void *userdata, bool is_gone), void *userdata,
                     struct io_request **ret);
/* done() will not be called. */
void io_request_cancel(struct io_request *request);

/*
 * An open source file of one attempt. Callbacks that are pending when it is freed never run. Where MOUNT is given, an
 * error that comes because no file system is mounted there any more is -ENOMEDIUM.
 */
int source_new(struct io *io, const char *path, const char *mount, struct source **ret);
struct source *source_free(struct source *source);
DEFINE_CLEANUP(struct source *, source_free);

/*
 * Whether a call of a source that was freed since has hung in the file system of SOURCE for some seconds and still
 * does: another one would take one more thread, for nothing.
 */
bool source_hangs(const struct source *source);

/*
 * Opens it if it is not open yet, and takes the identity of the open file and of what the path names now; an identity
 * of the path that differs from the open file's is a replacement. RESULT 0 and the identity of the path, or a negative
 * errno.
 */
int source_check(struct source *source,
                 void (*done)(void *userdata, int result, const struct source_identity *identity), void *userdata);

/*
 * The same at once, without a call in the pool: true and the identity of the path where all that it takes is in memory,
 * which it is as a rule for a file that is open. False where only source_check() can tell.
 */
bool source_check_now(struct source *source, struct source_identity *ret);

/*
 * Begins a body: LENGTH bytes at OFFSET will be read in order, ahead of the reader by at most IO_CHUNKS_AHEAD chunks.
 * READY runs whenever bytes arrive after source_read() returned 0, and on an error. Only after a successful
 * source_check(). A new window ends the one before it.
 */
int source_window(struct source *source, uint64_t offset, uint64_t length, void (*ready)(void *userdata),
                  void *userdata);

/*
 * Copies bytes at window-relative OFFSET. >0 bytes, 0 none there yet, -ENODATA the file ended before the window did (it
 * was shortened), or the errno of the read. OFFSET may only be the next byte, or 0 to begin the window again.
 */
ssize_t source_read(struct source *source, uint64_t offset, void *buffer, size_t size);
