/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/folder.h"

#include "support/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG_AGO_SEC 1000000000

char *folder_new(void)
{
    const char *parent = getenv("TMPDIR");
    char *folder = NULL;

    assert_true(asprintf(&folder, "%s/bitsq-test-XXXXXX", parent ? parent : "/tmp") > 0);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void folder_remove(char *folder)
{
    assert_int_equal(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(folder);
}

char *folder_path(const char *folder, const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

unsigned char folder_byte(uint64_t offset)
{
    return (unsigned char)((offset * 31 + (offset >> 8) * 7 + (offset >> 16) * 13) & 0xff);
}

char *folder_file(const char *folder, const char *name, uint64_t size)
{
    static const struct timespec long_ago[2] = {{.tv_sec = LONG_AGO_SEC}, {.tv_sec = LONG_AGO_SEC}};
    unsigned char block[65536];
    char *path = folder_path(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    for (uint64_t offset = 0; offset < size; offset += sizeof(block)) {
        size_t bytes = size - offset < sizeof(block) ? (size_t)(size - offset) : sizeof(block);
        for (size_t i = 0; i < bytes; i++)
            block[i] = folder_byte(offset + i);
        assert_int_equal(write(fd, block, bytes), bytes);
    }
    assert_int_equal(futimens(fd, long_ago), 0);
    assert_int_equal(close(fd), 0);
    return path;
}
