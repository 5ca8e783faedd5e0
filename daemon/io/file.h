/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls on a user's file. They may block and are for pool threads, but for those that say otherwise. */
#pragma once

#include "core/ident.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Opens a regular file for reading, and nothing else: no call blocks on a FIFO, wakes a device, or makes a terminal
 * ours; file_make_readable() comes before the first read. -EISDIR, -EMEDIUMTYPE (FIFO, socket, device), -ELOOP (also a
 * link of /proc, which would mean the daemon's own descriptors), or the errno of open(2).
 */
int file_open(const char *path, int *ret_fd);

/* Before an open file is read. */
int file_make_readable(int fd);

/* What stat says of the open file. BOOT_ID goes into it. */
int file_identify(int fd, const uint8_t boot_id[static 16], struct source_identity *ret);

/* The mount that FD is on, by a number that no mount gets again; 0 where the kernel has none (before Linux 6.8). */
uint64_t file_mount_id(int fd);

/* Whether FD is on the mount of the root folder, with no other one between the two. */
bool file_is_on_root(int fd);

/*
 * Opens the place of PATH (O_PATH, which opens no file) where all of the path is in memory; waits for nothing: also on
 * the loop. -1 where it is not, or cannot be resolved.
 */
int file_find_cached(const char *path);

/*
 * What stat says of a regular file that file_find_cached() has found on a local file system, waiting for nothing. False
 * where it is none, or not sure to be readable for this process: where it is owned by it, no access list has a say.
 */
bool file_identify_cached(int fd, const uint8_t boot_id[static 16], struct source_identity *ret);

/* Whether file_look_cached() may be asked about the open file. */
bool file_is_local(int fd);

/*
 * What stat says of the file at PATH, as long as that is the open file of OPENED and the whole path is in memory; waits
 * for nothing then: also on the loop. False where a thread has to look, whatever it finds.
 */
bool file_look_cached(const char *path, const struct source_identity *opened, struct source_identity *ret);

/* 1 where PATH names the file of IDENTITY still, 0 where it names another; or a negative errno as of file_open(). */
int file_is_at(const char *path, const struct source_identity *identity);

/* Reads LENGTH bytes, less only at the end of the file. Returns their number. */
ssize_t file_read(int fd, uint64_t offset, void *buffer, size_t length);

/*
 * Reads what is in memory already of LENGTH bytes, at most up to the first that is not, and waits for nothing: also on
 * the loop. >0 bytes, 0 at the end of the file, or a negative errno: -EAGAIN where nothing of it is in memory,
 * -EOPNOTSUPP where its file system cannot say so (tmpfs, FUSE, most network file systems).
 */
ssize_t file_read_cached(int fd, uint64_t offset, void *buffer, size_t length);

/* Whether a good part of the pages from BEGIN to END are in memory already: somebody else uses them. */
bool file_is_cached(int fd, uint64_t begin, uint64_t end);

/* The same of their first COUNTED_BYTES, from the kernel's own count, which waits for nothing: also on the loop. False
 * where it has none (before Linux 6.5), or tells it to others only. */
bool file_is_cached_now(int fd, uint64_t begin, uint64_t end);

/* These bytes will be read next: asks for all of them, so that a slow file system has them on their way together. */
void file_expect(int fd, uint64_t offset, uint64_t length);

/* The file up to END is not needed any more, BEGIN to END being new; pages that END cuts through go with the next call.
 */
void file_drop_pages(int fd, uint64_t begin, uint64_t end);

/* The kernel's boot id, or zeros where it cannot be told. */
void file_boot_id(uint8_t boot_id[static 16]);
