/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the disk and LMDB alone take: bench-lmdb FOLDER COMMITS RECORDS-EACH BYTES. Opens an empty folder as the daemon
 * opens its queue, writes records with the entries that a paused job has, and prints the commits a second.
 */
#include "store/lmdb.h"

#include "core/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void put_big_endian(unsigned char *at, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (unsigned char)(number >> (8 * (7 - i)));
}

static struct lmdb_bytes bytes_of(const void *data, size_t size)
{
    return (struct lmdb_bytes){.data = data, .size = size};
}

static void put_record(struct lmdb_txn *txn, uint64_t id, const void *record, size_t size)
{
    static const unsigned char owner_and_state[5] = {0, 0, 3, 232, 2};
    unsigned char number[8], state[sizeof(owner_and_state) + 8];
    struct lmdb_bytes value;

    put_big_endian(number, id);
    memcpy(state, owner_and_state, sizeof(owner_and_state));
    memcpy(state + sizeof(owner_and_state), number, sizeof(number));
    lmdb_put(txn, TABLE_JOBS, bytes_of(number, sizeof(number)), bytes_of(record, size));
    lmdb_put(txn, TABLE_STATE, bytes_of(state, sizeof(state)), bytes_of("", 0));
    (void)lmdb_get(txn, TABLE_COUNTS, bytes_of(owner_and_state, sizeof(owner_and_state)), &value);
    lmdb_put(txn, TABLE_COUNTS, bytes_of(owner_and_state, sizeof(owner_and_state)), bytes_of(number, sizeof(number)));
}

static int commit(struct lmdb *env, uint64_t first, unsigned long records, const void *record, size_t size)
{
    _cleanup_txn_ struct lmdb_txn txn;
    unsigned char next[8];

    lmdb_begin_write(env, &txn);
    for (uint64_t i = 0; i < records; i++)
        put_record(&txn, first + i, record, size);
    put_big_endian(next, first + records);
    lmdb_put(&txn, TABLE_META, bytes_of("next-id", 7), bytes_of(next, sizeof(next)));
    return lmdb_commit(&txn);
}

int main(int argc, char *argv[])
{
    _cleanup_(lmdb_close_p) struct lmdb *env = NULL;
    int r;

    if (argc != 5) {
        (void)fprintf(stderr, "Usage: bench-lmdb FOLDER COMMITS RECORDS-EACH BYTES\n");
        return 2;
    }
    unsigned long commits = strtoul(argv[2], NULL, 10), records = strtoul(argv[3], NULL, 10);
    size_t size = strtoul(argv[4], NULL, 10);
    _cleanup_free_ unsigned char *record = calloc(1, size + 1);
    r = record ? lmdb_open(argv[1], LMDB_CREATE, STORE_MAP_BYTES, &env) : -ENOMEM;
    double begin = now();
    for (unsigned long i = 0; r >= 0 && i < commits; i++) {
        for (size_t k = 0; k < size; k++)
            record[k] = (unsigned char)random();
        r = commit(env, 1 + (uint64_t)i * records, records, record, size);
    }
    if (r < 0) {
        (void)fprintf(stderr, "bench-lmdb: %s: %s\n", argv[1], strerror(-r));
        return 1;
    }
    printf("%.3f\n", (double)commits / (now() - begin));
    return 0;
}
