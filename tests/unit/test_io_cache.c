/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What reading a source leaves in memory. Real files on a real disk; sizes are those of an upload. */
#include "core/limits.h"
#include "io/source.h"
#include "io_fixture.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct fixture {
    struct io_fixture base;
    struct source *source;
    unsigned checks, ready;
    bool was_direct; /* the first byte came without a thread */
};

static void on_checked(void *userdata, int result, const struct source_identity *identity)
{
    struct fixture *f = userdata;

    (void)identity;
    assert_int_equal(result, 0);
    f->checks++;
}

static void on_ready(void *userdata)
{
    ((struct fixture *)userdata)->ready++;
}

static void check(struct fixture *f)
{
    assert_int_equal(source_check(f->source, on_checked, f), 0);
    io_fixture_run(&f->base, &f->checks);
}

#define LARGE_BYTES (64 * MIB)

/* Pages of the file that are in memory. */
static size_t count_cached(const char *path)
{
    static unsigned char resident[LARGE_BYTES / 4096];
    size_t count = 0;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    void *map = mmap(NULL, LARGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, LARGE_BYTES, resident), 0);
    for (size_t i = 0; i < LARGE_BYTES / (size_t)sysconf(_SC_PAGESIZE); i++)
        count += resident[i] & 1;
    (void)munmap(map, LARGE_BYTES);
    (void)close(fd);
    return count;
}

/* A large file on a disk, whose pages can go: in the folder of the build, as /tmp may be memory. */
static char *large_file_on_disk(void)
{
    char program[4000], *path = NULL;

    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    assert_true(n > 0);
    program[n] = '\0';
    assert_true(asprintf(&path, "%s.XXXXXX", program) > 0);
    int fd = mkstemp(path);
    char *block = calloc(1, MIB);

    assert_true(path && block && fd >= 0);
    for (uint64_t i = 0; i < LARGE_BYTES / MIB; i++)
        assert_int_equal(write(fd, block, MIB), MIB);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    (void)close(fd);
    free(block);
    return path;
}

/* As an upload does: a window a fragment, each longer than the one before, and a look before each. */
static void read_all(struct fixture *f, const char *path)
{
    unsigned char *buffer = malloc(IO_CHUNK_BYTES);
    uint64_t offset = 0;

    assert_non_null(buffer);
    assert_int_equal(source_new(f->base.io, path, NULL, &f->source), 0);
    check(f);
    for (uint64_t length = 256 * KIB; offset < LARGE_BYTES; length = length < 16 * MIB ? length * 4 : length) {
        length = length < LARGE_BYTES - offset ? length : LARGE_BYTES - offset;
        assert_int_equal(source_window(f->source, offset, length, on_ready, f), 0);
        for (uint64_t at = 0; at < length;) {
            ssize_t n = source_read(f->source, at, buffer, IO_CHUNK_BYTES);
            assert_true(n >= 0);
            if (n == 0)
                io_fixture_run(&f->base, &f->ready);
            at += (uint64_t)n;
        }
        offset += length;
        check(f);
    }
    f->source = source_free(f->source);
    free(buffer);
}

static void read_whole(const char *path)
{
    char *block = malloc(MIB);

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && block);
    while (read(fd, block, MIB) > 0)
        ;
    (void)close(fd);
    free(block);
}

/* Whether the file system of PATH can say what is in memory without reading it. */
static bool can_say(const char *path)
{
    char byte;
    struct iovec place = {.iov_base = &byte, .iov_len = 1};

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = preadv2(fd, &place, 1, 0, RWF_NOWAIT);
    assert_true(n == 1 || errno == EOPNOTSUPP);
    (void)close(fd);
    return n == 1;
}

/* Whether the kernel counts what is in memory of a file, and tells: Linux 6.5 and newer. */
static bool kernel_counts(const char *path)
{
    uint64_t range[2] = {0, MIB}, pages[5];

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    long r = syscall(451 /* cachestat(2) */, fd, range, pages, 0);
    (void)close(fd);
    return r == 0;
}

/* Bytes that can be had of a window of LENGTH without another turn of the loop, once its first have come. */
static uint64_t read_in_one_turn(struct fixture *f, const char *path, uint64_t length)
{
    unsigned char *buffer = malloc(IO_CHUNK_BYTES);
    uint64_t at = 0;
    ssize_t n;

    assert_non_null(buffer);
    assert_int_equal(source_new(f->base.io, path, NULL, &f->source), 0);
    check(f);
    assert_int_equal(source_window(f->source, 0, length, on_ready, f), 0);
    at = (uint64_t)source_read(f->source, 0, buffer, 1);
    f->was_direct = at > 0;
    if (!f->was_direct)
        io_fixture_run(&f->base, &f->ready);
    while ((n = source_read(f->source, at, buffer, IO_CHUNK_BYTES)) > 0)
        at += (uint64_t)n;
    assert_int_equal(n, 0);
    f->source = source_free(f->source);
    free(buffer);
    return at;
}

static void what_others_keep_in_memory_is_read_without_a_thread(void **state)
{
    struct fixture f = {0};

    (void)state;
    io_fixture_begin(&f.base);
    char *path = large_file_on_disk();
    read_whole(path);
    bool is_possible = can_say(path);
    uint64_t length = is_possible ? read_in_one_turn(&f, path, LARGE_BYTES) : 0;
    bool is_counted = kernel_counts(path);
    (void)unlink(path);
    free(path);
    io_fixture_finish(&f.base);
    if (!is_possible)
        skip();
    assert_int_equal(length, LARGE_BYTES);
    assert_true(f.was_direct || !is_counted);
}

/* The loop would stand still for the disk. */
static void what_is_not_in_memory_is_left_to_a_thread(void **state)
{
    struct fixture f = {0};

    (void)state;
    io_fixture_begin(&f.base);
    char *path = large_file_on_disk();
    bool can_go = count_cached(path) == 0;
    uint64_t length = read_in_one_turn(&f, path, LARGE_BYTES);
    (void)unlink(path);
    free(path);
    io_fixture_finish(&f.base);
    if (!can_go)
        skip();
    assert_false(f.was_direct);
    /* Nothing but what threads have brought: a quick disk may have had time for more than one chunk. */
    assert_int_equal(length % IO_CHUNK_BYTES, 0);
    assert_in_range(length, IO_CHUNK_BYTES, IO_CHUNKS_AHEAD * IO_CHUNK_BYTES);
}

static void a_file_that_was_not_in_memory_leaves_it_as_it_was(void **state)
{
    struct fixture f = {0};

    (void)state;
    io_fixture_begin(&f.base);
    char *path = large_file_on_disk();
    if (count_cached(path) > 0) {
        (void)unlink(path);
        free(path);
        io_fixture_finish(&f.base);
        skip();
    }
    read_all(&f, path);
    size_t left = count_cached(path);
    (void)unlink(path);
    /* What was read ahead last may still come in. */
    assert_in_range(left, 0, MIB / 4096);
    free(path);
    io_fixture_finish(&f.base);
}

static void a_file_that_others_keep_in_memory_stays_there(void **state)
{
    struct fixture f = {0};

    (void)state;
    io_fixture_begin(&f.base);
    char *path = large_file_on_disk();
    read_whole(path);
    size_t before = count_cached(path);
    read_all(&f, path);
    size_t after = count_cached(path);
    (void)unlink(path);
    assert_in_range(after, before - before / 16, LARGE_BYTES / 4096); /* the machine may need some of them */
    free(path);
    io_fixture_finish(&f.base);
}

/* Half of it is somebody's: that half stays, and the other goes. */
static void a_file_that_is_in_memory_in_part_stays_so(void **state)
{
    struct fixture f = {0};

    (void)state;
    io_fixture_begin(&f.base);
    char *path = large_file_on_disk(), *block = malloc(MIB);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && block);
    bool can_go = count_cached(path) == 0;
    for (uint64_t i = 0; i < LARGE_BYTES / MIB / 2; i++)
        assert_int_equal(pread(fd, block, MIB, (off_t)(LARGE_BYTES / 2 + i * MIB)), MIB);
    (void)close(fd);
    read_all(&f, path);
    size_t after = count_cached(path), half = LARGE_BYTES / 2 / 4096;
    (void)unlink(path);
    if (can_go)
        assert_in_range(after, half - half / 4, half + half / 8);
    free(block);
    free(path);
    io_fixture_finish(&f.base);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_others_keep_in_memory_is_read_without_a_thread),
    cmocka_unit_test(what_is_not_in_memory_is_left_to_a_thread),
    cmocka_unit_test(a_file_that_was_not_in_memory_leaves_it_as_it_was),
    cmocka_unit_test(a_file_that_others_keep_in_memory_stays_there),
    cmocka_unit_test(a_file_that_is_in_memory_in_part_stays_so),
};

UNIT_MAIN(tests);
