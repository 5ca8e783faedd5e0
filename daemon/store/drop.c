/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Empties the quarantine. What lies there is copied to a file first, as mdb_dump(1) would print it, so that nothing is
 * lost that a person, or a later version, could still make out.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAMES_TRIED_MAX 100 /* files of one second */

/* A new file, or the one of the try before, whose transaction failed. */
static int open_dump(struct store *store, struct command *command)
{
    time_t seconds = (time_t)(command->at.realtime_usec / USEC_PER_SEC);
    char *name = command->saved;
    struct tm utc = {0};

    if (name[0] != '\0') {
        int fd = openat(store->directory_fd, name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    (void)gmtime_r(&seconds, &utc);
    size_t length = strftime(name, sizeof(command->saved), "quarantine-%Y%m%dT%H%M%SZ", &utc);
    for (int i = 1; i <= NAMES_TRIED_MAX; i++) {
        (void)snprintf(name + length, sizeof(command->saved) - length, i == 1 ? ".dump" : "-%d.dump", i);
        int fd = openat(store->directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST) {
            int error = errno;
            if (fd < 0)
                name[0] = '\0';
            return fd < 0 ? -error : fd;
        }
    }
    name[0] = '\0';
    return -EEXIST;
}

static void print_bytes(FILE *file, struct lmdb_bytes bytes)
{
    const uint8_t *at = bytes.data;

    (void)fputc(' ', file);
    for (size_t i = 0; i < bytes.size; i++)
        (void)fprintf(file, "%02x", at[i]);
    (void)fputc('\n', file);
}

static void print_records(FILE *file, struct lmdb_txn *txn)
{
    _cleanup_cursor_ struct lmdb_cursor cursor = {0};

    (void)fputs("VERSION=3\nformat=bytevalue\ndatabase=quarantine\ntype=btree\nHEADER=END\n", file);
    lmdb_cursor_open(txn, TABLE_QUARANTINE, &cursor);
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more; more = lmdb_next(&cursor)) {
        print_bytes(file, cursor.key);
        print_bytes(file, cursor.value);
    }
    (void)fputs("DATA=END\n", file);
}

/* Durable before the records go: the file, and its name. Takes FD. */
static int write_dump(struct store *store, struct lmdb_txn *txn, int fd)
{
    FILE *file = fdopen(fd, "w");
    int r = 0;

    if (!file) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    print_records(file, txn);
    if (fflush(file) != 0 || ferror(file) || fsync(fd) < 0)
        r = errno != 0 ? -errno : -EIO;
    if (fclose(file) != 0 && r == 0)
        r = -errno;
    if (r == 0 && fsync(store->directory_fd) < 0)
        r = -errno;
    return r;
}

int quarantine_apply_drop(struct store *store, struct lmdb_txn *txn, struct command *command)
{
    uint64_t count = lmdb_entries(txn, TABLE_QUARANTINE);

    if (txn->error < 0 || count == 0)
        return txn->error;
    errno = 0;
    int r = open_dump(store, command);
    if (r >= 0)
        r = write_dump(store, txn, r);
    if (r == 0)
        r = txn->error; /* a record that was not read is not in the file */
    if (r < 0) {
        if (command->saved[0] != '\0')
            (void)unlinkat(store->directory_fd, command->saved, 0);
        command->saved[0] = '\0';
        return writer_classify(store, r);
    }
    lmdb_clear(txn, TABLE_QUARANTINE);
    command->dropped = count;
    return txn->error;
}
