/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/check.h"

#include "store/child.h"
#include "store/schema.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define PAGE_BYTES_MIN 512

static int file_size(const char *folder, uint64_t *ret)
{
    _cleanup_free_ char *path = NULL;
    struct stat st;

    if (asprintf(&path, "%s/" LMDB_FILE, folder) < 0)
        return -ENOMEM;
    if (stat(path, &st) < 0)
        return -errno;
    *ret = (uint64_t)st.st_size;
    return 0;
}

/* Reads a byte of each page that the value touches. */
static void touch(struct lmdb_bytes value)
{
    const volatile uint8_t *bytes = value.data;

    for (size_t i = 0; i < value.size; i += PAGE_BYTES_MIN)
        (void)bytes[i];
    if (value.size > 0)
        (void)bytes[value.size - 1];
}

static int walk_table(struct lmdb_txn *txn, enum lmdb_table table)
{
    _cleanup_cursor_ struct lmdb_cursor cursor;
    uint64_t expected = lmdb_entries(txn, table), count = 0;

    lmdb_cursor_open(txn, table, &cursor);
    /* Bounded by what the table says of itself: damaged pages may point in a circle. */
    for (bool more = lmdb_seek(&cursor, (struct lmdb_bytes){0}); more && count <= expected; more = lmdb_next(&cursor)) {
        touch(cursor.value);
        count++;
    }
    if (txn->error < 0)
        return txn->error;
    return count == expected ? 0 : -EUCLEAN;
}

static int walk(struct lmdb *env)
{
    _cleanup_txn_ struct lmdb_txn txn;
    uint8_t uuid[SCHEMA_UUID_BYTES];
    uint64_t version = 0;

    lmdb_begin_read(env, &txn);
    int r = txn.error < 0 ? txn.error : schema_check(&txn, uuid, &version);
    lmdb_abort(&txn);
    /* What a newer version wrote is not judged here. */
    if (r < 0)
        return r == -EPROTO ? 0 : r;
    size_t tables = schema_tables(version);
    r = lmdb_open_tables(env, tables);
    if (r < 0)
        return r;
    lmdb_begin_read(env, &txn);
    for (enum lmdb_table table = 0; table < tables && r == 0; table++)
        r = walk_table(&txn, table);
    return r;
}

static int inspect(const char *folder, uint64_t map_bytes)
{
    _cleanup_(lmdb_close_p) struct lmdb *env = NULL;
    uint64_t size = 0;

    int r = file_size(folder, &size);
    if (r == 0)
        r = lmdb_open(folder, LMDB_CHECK, map_bytes, &env);
    if (r < 0)
        return r;
    /*
     * Pages that the last commit took and freed again may never have been written: a short file is only suspect. But
     * pages are written whole: half a page at its end has lost the other half, and reads as if it had zeros there.
     */
    bool is_short = size < lmdb_needed_bytes(env);
    if (is_short && size % lmdb_page_bytes(env) != 0)
        return -EUCLEAN;
    return is_short || size <= CHECK_WALK_BYTES ? walk(env) : 0;
}

struct inspection {
    const char *folder;
    uint64_t map_bytes;
};

static int inspect_in_child(void *userdata)
{
    const struct inspection *inspection = userdata;

    return inspect(inspection->folder, inspection->map_bytes);
}

int check_file(const char *folder, uint64_t map_bytes)
{
    struct inspection inspection = {.folder = folder, .map_bytes = map_bytes};

    return child_run(inspect_in_child, &inspection);
}
