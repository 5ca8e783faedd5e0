/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reply of an upload-reply job on disk.
 *
 *   GET 0-1048575      write(0)        FOLDER/.NAME.bitsq-ID.part     mode 0600, in the folder of the final name, so
 *   GET 1048576-...    write(1048576)                │                that the rename is atomic
 *   STORE_REPLY        store(total)    cut, fsync, rename, fsync of the folder
 *                                      FOLDER/NAME  ◀┘                the chosen path, or STATE/replies/ID
 *
 * Nothing is remembered between the calls, neither here nor in a descriptor: what counts is what is on disk, so a
 * restarted daemon goes on with the same temporary file. Calls for one job run in the order in which they were made,
 * also across several objects of it.
 */
#pragma once

#include "io/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply_file;

/* Where the reply of a job lies. Copied. */
struct reply_place {
    const char *state_directory;
    uint64_t job_id;
    const char *path; /* absolute, as the user chose it; NULL = STATE/replies/ID */
};

/* The final path; NULL when memory is refused, the caller frees it. */
char *reply_place_path(const struct reply_place *place);

/* No file is touched yet. */
int reply_file_new(struct io *io, const struct reply_place *place, struct reply_file **ret);
/* The call that is under way goes on, but its done() never runs. */
struct reply_file *reply_file_free(struct reply_file *file);
DEFINE_CLEANUP(struct reply_file *, reply_file_free);

/*
 * All three: one call of a file at a time, -EBUSY else; done() on the loop with 0 or a negative errno.
 *
 * reply_file_write(): BUFFER (malloc'ed) is taken over where 0 is returned. At OFFSET 0 the file begins anew. -ENODATA:
 * less than OFFSET bytes are there (the temporary file has vanished): begin the reply anew.
 * reply_file_store(): -ENODATA: less than TOTAL bytes are there. A TOTAL of 0 needs no write before it.
 * reply_file_discard(): removes the temporary file; none there is fine. Never what was stored. DONE may be NULL.
 */
int reply_file_write(struct reply_file *file, uint64_t offset, void *buffer, size_t size,
                     void (*done)(void *userdata, int result), void *userdata);
int reply_file_store(struct reply_file *file, uint64_t total, void (*done)(void *userdata, int result), void *userdata);
int reply_file_discard(struct reply_file *file, void (*done)(void *userdata, int result), void *userdata);

/*
 * Whether a reply can be stored at PATH, as far as that can be known before: the folder exists (-ENOENT, -ENOTDIR) and
 * may be written to (-EACCES, -EROFS), PATH names no folder (-EISDIR) and no device, FIFO or socket (-EMEDIUMTYPE), and
 * is absolute and complete (-EINVAL: "a/b", "/a/").
 */
int io_check_reply_path(struct io *io, const char *path, void (*done)(void *userdata, int result), void *userdata,
                        struct io_request **ret);

/* Opens the stored reply for reading: FD is the receiver's, or a negative errno. A link at its place is -ELOOP. */
int io_open_reply(struct io *io, const struct reply_place *place, void (*done)(void *userdata, int fd), void *userdata,
                  struct io_request **ret);

/*
 * The job is removed: its temporary file goes, and STATE/replies/ID; what was stored at a chosen path is the user's.
 * Best effort: what stays is swept at the next start.
 */
int io_remove_reply(struct io *io, const struct reply_place *place);

/*
 * At start: removes from STATE/replies what belongs to no job. IS_KNOWN runs on the loop, from io_dispatch(). DONE may
 * be NULL; it gets the number of jobs whose files were removed, or a negative errno.
 */
int io_sweep_replies(struct io *io, const char *state_directory, bool (*is_known)(void *userdata, uint64_t job_id),
                     void (*done)(void *userdata, int result), void *userdata, struct io_request **ret);
