/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A library that is preloaded into bitsqd for tests. It stands between the daemon (its libraries included) and the
 * calls that change a disk or take something that may run out, and has two jobs, each asked for by a variable:
 *
 *   BITSQ_CALLS_FOLDER  absolute path of the state folder: only what happens inside of it is a file of the daemon's
 *   BITSQ_CALLS_LOG     record.c: each change inside the folder, in its order, is appended to this file
 *   BITSQ_CALLS_FAULTS  faults.c: a file with a struct fault_control, which the test maps and writes to
 *
 *   daemon ──pwrite()──▶ calls.c ──fault_ask()──▶ refused? ──no──▶ the kernel ──▶ record_...()
 *
 * Both concern the first process only: helpers that it starts and the child that looks at a file are left alone.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- where ---- */

/* Whether this process is the one that was started with the variables. */
bool preload_is_ours(void);

/* Whether the open file FD lies inside the folder. */
bool preload_is_inside(int fd);

struct place {
    char folder[4096]; /* absolute */
    const char *name;  /* within the path that was given */
};

/* Where PATH, as openat(2) takes it, lies. False outside of the folder. */
bool preload_find(int dir_fd, const char *path, struct place *ret);

/* ---- faults.c ---- */

enum fault_kind {
    FAULT_NOTHING = 0,
    FAULT_WRITE = 1,      /* write() and its like inside the folder */
    FAULT_SYNC = 2,       /* fsync(), fdatasync() */
    FAULT_NAME = 3,       /* what changes a folder: create, rename, unlink, mkdir */
    FAULT_ROOM = 4,       /* ftruncate(), fallocate() */
    FAULT_DESCRIPTOR = 5, /* whatever returns a new descriptor, anywhere */
    FAULT_READ = 6,       /* read() and pread() of regular files, anywhere */
    FAULT_MEMORY = 7,     /* malloc() and its like, called from the main program's own code */
};

#define FAULT_SHORT 1001 /* half of the bytes are written */
#define FAULT_SLOW  1002 /* the call takes FAULT_SLOW_MSEC longer */

#define FAULT_SLOW_MSEC 500
#define FAULT_SITES     8192

/* Shared with faults.py, which knows the offsets. */
struct fault_control {
    _Atomic uint32_t kind;               /* enum fault_kind; written last */
    uint32_t action;                     /* an errno, or one of the above */
    uint64_t first, last;                /* the calls of that kind that it concerns, from 1 */
    _Atomic uint64_t seen;               /* calls of that kind since `kind` was set */
    _Atomic uint64_t hit;                /* how many of them were refused */
    uint64_t site;                       /* memory: the call site, as an offset in the program; 0 = note all sites */
    _Atomic uint64_t sites[FAULT_SITES]; /* a hash table of those that were met */
};

/* What is to become of a call of KIND: 0, an errno, or FAULT_SHORT. A slow call has been waited for. */
int fault_ask(enum fault_kind kind);
bool fault_is_armed(enum fault_kind kind);

/* ---- record.c ---- */

enum record_kind {
    RECORD_WRITE = 1,    /* inode, offset, data */
    RECORD_SYNC = 2,     /* inode of a file or a folder */
    RECORD_TRUNCATE = 3, /* inode, offset = new size */
    RECORD_CREATE = 4,   /* folder, name, inode */
    RECORD_MKDIR = 5,    /* folder, name, inode */
    RECORD_UNLINK = 6,   /* folder, name; also rmdir */
    RECORD_RENAME = 7,   /* folder, name, other folder, other name */
    RECORD_LINK = 8,     /* folder, name, inode */
    RECORD_SEND = 9,     /* a message left through a socket */
    RECORD_SYNC_ALL = 10,
};

#define RECORD_DURABLE 1 /* flag of a write: it is on the disk when it returns (O_SYNC, O_DSYNC) */

/* Followed by name, other name and data. In host order: it is read on the same machine, by images.py. */
struct record {
    uint32_t kind;
    uint32_t flags;
    uint64_t time_usec; /* CLOCK_MONOTONIC */
    uint64_t inode;
    uint64_t folder, other_folder;
    uint64_t offset;
    uint32_t name_size, other_name_size;
    uint64_t data_size;
};

bool record_is_on(void);

/* From before the call until it is recorded, so that the log has the order of the effects. Nothing when it is off. */
void record_lock(void);
void record_unlock(void);

void record_write(int fd, uint64_t offset, const void *data, size_t size);
void record_inode(enum record_kind kind, int fd, uint64_t offset);
void record_name(enum record_kind kind, const struct place *place);
void record_rename(const struct place *from, const struct place *to);
void record_event(enum record_kind kind);
