/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls on a file themselves, where source.h does not show them: page cache and kinds of file systems. */
#include "io/file.h"
#include "support/folder.h"
#include "support/unit.h"

#include "base/cleanup.h"

#include "base/filesystem.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)8 << 20)
#define FEW_PAGES  (FILE_BYTES / 4096 / 50) /* that somebody else, such as the kernel's writeback, may hold on to */
#define TMPFS      0x01021994
#define RAMFS      0x858458f6

static size_t pages_in_memory(int fd)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = FILE_BYTES / page, count = 0;
    unsigned char *resident = calloc(1, pages);
    void *map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

    assert_true(resident && map != MAP_FAILED);
    assert_int_equal(mincore(map, FILE_BYTES, resident), 0);
    for (size_t i = 0; i < pages; i++)
        count += resident[i] & 1;
    (void)munmap(map, FILE_BYTES);
    free(resident);
    return count;
}

static void read_and_drop(int fd, size_t step)
{
    unsigned char *buffer = malloc(step);

    assert_non_null(buffer);
    for (uint64_t at = 0; at < FILE_BYTES; at += step) {
        ssize_t n = file_read(fd, at, buffer, step);
        assert_true(n > 0);
        file_drop_pages(fd, at, at + (uint64_t)n);
    }
    free(buffer);
}

/* Steps that are no multiple of a page: the page that one step ends in goes with the next. */
static void dropped_pages_leave_memory(void **state)
{
    struct statfs fs;
    int fd = -1;

    (void)state;
    char *folder = folder_new(), *path = folder_file(folder, "file", FILE_BYTES);
    assert_int_equal(file_open(path, &fd), 0);
    assert_int_equal(fstatfs(fd, &fs), 0);
    assert_int_equal(fdatasync(fd), 0); /* dirty pages cannot be dropped */
    assert_true(file_is_cached(fd, 0, FILE_BYTES));
    file_drop_pages(fd, 0, FILE_BYTES);
    if (fs.f_type != TMPFS && (uint32_t)fs.f_type != RAMFS) { /* those have their files nowhere else */
        assert_true(pages_in_memory(fd) <= FEW_PAGES);
        assert_false(file_is_cached(fd, 0, FILE_BYTES));
        read_and_drop(fd, 300000);
        assert_true(pages_in_memory(fd) <= FEW_PAGES);
    }
    (void)close(fd);
    free(path);
    folder_remove(folder);
}

static void a_small_file_is_probed_within_its_bounds(void **state)
{
    static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 1048575, 1048576, 1048577, 3 * 1048576 + 1};

    (void)state;
    char *folder = folder_new();
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        int fd = -1;
        char *path = folder_file(folder, "file", sizes[i]);
        assert_int_equal(file_open(path, &fd), 0);
        assert_true(file_is_cached(fd, 0, sizes[i])); /* it was just written */
        (void)close(fd);
        free(path);
    }
    folder_remove(folder);
}

static void a_readable_file_blocks_and_is_closed_by_exec(void **state)
{
    int fd = -1;

    (void)state;
    char *folder = folder_new(), *path = folder_file(folder, "file", 1);
    assert_int_equal(file_open(path, &fd), 0);
    assert_int_equal(file_make_readable(fd), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    (void)close(fd);
    free(path);
    folder_remove(folder);
}

static void network_file_systems_are_known_by_name(void **state)
{
    static const uint32_t network[] = {0x6969, 0xff534d42, 0xfe534d42, 0x01021997, 0x65735546, 0x00c36400};
    static const uint32_t local[] = {0xef53, 0x58465342, 0x9123683e, TMPFS, 0x794c7630, 0x2fc12fc1, 0x4d44};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(network); i++)
        assert_non_null(filesystem_network_name(network[i]));
    for (size_t i = 0; i < ELEMENTS(local); i++)
        assert_null(filesystem_network_name(local[i]));
    assert_string_equal(filesystem_network_name(0x6969), "NFS");
}

static void inodes_that_are_made_up_are_not_trusted(void **state)
{
    (void)state;
    assert_true(filesystem_keeps_inodes(0xef53));
    assert_true(filesystem_keeps_inodes(0x6969));
    assert_false(filesystem_keeps_inodes(0x4d44));
    assert_false(filesystem_keeps_inodes(0x2011bab0));
    assert_false(filesystem_keeps_inodes(0x65735546));
}

static void only_file_systems_that_are_known_for_it_answer_at_once(void **state)
{
    static const uint32_t others[] = {0x6969, 0xff534d42, 0x65735546, 0x794c7630, 0x4d44, 0x12345678};

    (void)state;
    assert_true(filesystem_is_local(0xef53));
    assert_true(filesystem_is_local(TMPFS));
    for (size_t i = 0; i < ELEMENTS(others); i++)
        assert_false(filesystem_is_local(others[i]));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(dropped_pages_leave_memory),
    cmocka_unit_test(a_small_file_is_probed_within_its_bounds),
    cmocka_unit_test(a_readable_file_blocks_and_is_closed_by_exec),
    cmocka_unit_test(network_file_systems_are_known_by_name),
    cmocka_unit_test(inodes_that_are_made_up_are_not_trusted),
    cmocka_unit_test(only_file_systems_that_are_known_for_it_answer_at_once),
};

UNIT_MAIN(tests);
