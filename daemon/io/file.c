/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/file.h"

#include "base/cleanup.h"
#include "base/filesystem.h"
#include "base/moment.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>

/* cachestat(2) has the same number everywhere, and glibc and the headers of Debian 12 do not know it. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* Of Linux 6.8, likewise. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

#define OPEN_FLAGS       (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define IDENTITY_MASK    (STATX_TYPE | STATX_SIZE | STATX_MTIME | STATX_INO | STATX_BTIME)
#define PROBE_BYTES      ((size_t)1 << 20) /* looked at in each of PROBE_PLACES for pages in memory */
#define PROBE_PLACES     3
#define EXPECT_BYTES     (UINT64_C(128) << 10) /* of NFS and FUSE, the kernel asks for no more at one call */
#define COUNTED_BYTES    (UINT64_C(16) << 20)  /* which takes some ten microseconds */
#define PROBE_PAGES_MAX  (PROBE_BYTES / 4096)
#define LARGE_PAGE_BYTES (UINT64_C(2) << 20) /* the most that the page cache keeps as one */
#define BOOT_ID_PATH     "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_DIGITS   32

static int check_type(mode_t mode)
{
    if (S_ISREG(mode))
        return 0;
    return S_ISDIR(mode) ? -EISDIR : -EMEDIUMTYPE;
}

/* A system call filter or an old kernel may know no openat2: the check of magic links is given up then. */
static int open_no_magic(const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    if (fd < 0 && errno == ENOSYS)
        return open(path, flags | O_CLOEXEC);
    return (int)fd;
}

int file_open(const char *path, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    /* Before it is opened: opening alone can wake the writer of a FIFO, or rewind a tape. */
    if (stat(path, &st) < 0)
        return -errno;
    int r = check_type(st.st_mode);
    if (r < 0)
        return r;
    fd = open_no_magic(path, OPEN_FLAGS | O_NOATIME);
    if (fd < 0 && errno == EPERM) /* O_NOATIME is for the file's owner */
        fd = open_no_magic(path, OPEN_FLAGS);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    r = check_type(st.st_mode);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int file_make_readable(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return -errno;
    /*
     * Nothing ahead but what file_expect() asks for. How far the kernel would go is set for each device, from 128 KiB
     * to many MiB, and pages that it brought in of its own accord could not be told from those that others use.
     */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    return 0;
}

static uint64_t realtime_usec(void)
{
    struct timespec now = {0};

    /* Of the machine that stamps the file, at the moment of the look: a time handed down would be older. */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

static void fill_identity(const struct statx *stx, struct source_identity *identity)
{
    *identity = (struct source_identity){
        .size_bytes = stx->stx_size,
        .mtime_sec = stx->stx_mtime.tv_sec,
        .mtime_nsec = stx->stx_mtime.tv_nsec,
        .inode = stx->stx_ino,
        .device = makedev(stx->stx_dev_major, stx->stx_dev_minor),
    };
    if (stx->stx_mask & STATX_BTIME) {
        identity->has_btime = true;
        identity->btime_sec = stx->stx_btime.tv_sec;
        identity->btime_nsec = stx->stx_btime.tv_nsec;
    }
}

int file_identify(int fd, const uint8_t boot_id[static 16], struct source_identity *ret)
{
    struct source_identity identity;
    struct statx stx;
    struct statfs fs;
    uint64_t now = realtime_usec();

    /* On a network file system what the server knows, not what this machine remembers. */
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, IDENTITY_MASK, &stx) < 0)
        return -errno;
    fill_identity(&stx, &identity);
    identity.inode_is_stable = fstatfs(fd, &fs) >= 0 && filesystem_keeps_inodes((uint32_t)fs.f_type);
    memcpy(identity.boot_id, boot_id, sizeof(identity.boot_id));
    identity.racy = ident_is_racy(identity.mtime_sec, identity.mtime_nsec, now);
    *ret = identity;
    return 0;
}

bool file_is_local(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) >= 0 && filesystem_is_local((uint32_t)fs.f_type);
}

uint64_t file_mount_id(int fd)
{
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE, &stx) < 0)
        return 0;
    return stx.stx_mask & STATX_MNT_ID_UNIQUE ? stx.stx_mnt_id : 0;
}

bool file_is_on_root(int fd)
{
    struct statx here, root;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &here) < 0 ||
        statx(AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_MNT_ID, &root) < 0)
        return false;
    return (here.stx_mask & root.stx_mask & STATX_MNT_ID) && here.stx_mnt_id == root.stx_mnt_id;
}

int file_find_cached(const char *path)
{
    /* O_PATH opens nothing: no driver, no lock and no permission event of fanotify(7) can hold it back. */
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED};

    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

bool file_identify_cached(int fd, const uint8_t boot_id[static 16], struct source_identity *ret)
{
    uint64_t now = realtime_usec();
    struct source_identity identity;
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, IDENTITY_MASK | STATX_UID | STATX_MODE, &stx) < 0)
        return false;
    if (!S_ISREG(stx.stx_mode) || stx.stx_uid != geteuid() || !(stx.stx_mode & S_IRUSR))
        return false;
    fill_identity(&stx, &identity);
    identity.inode_is_stable = true; /* as on every file system of filesystem_is_local() */
    memcpy(identity.boot_id, boot_id, sizeof(identity.boot_id));
    identity.racy = ident_is_racy(identity.mtime_sec, identity.mtime_nsec, now);
    *ret = identity;
    return true;
}

bool file_look_cached(const char *path, const struct source_identity *opened, struct source_identity *ret)
{
    uint64_t now = realtime_usec();
    struct source_identity identity;
    struct statx stx;

    _cleanup_close_ int fd = file_find_cached(path);
    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, IDENTITY_MASK, &stx) < 0)
        return false;
    fill_identity(&stx, &identity);
    if (!S_ISREG(stx.stx_mode) || identity.inode != opened->inode || identity.device != opened->device)
        return false;
    identity.inode_is_stable = opened->inode_is_stable;
    memcpy(identity.boot_id, opened->boot_id, sizeof(identity.boot_id));
    identity.racy = ident_is_racy(identity.mtime_sec, identity.mtime_nsec, now);
    *ret = identity;
    return true;
}

int file_is_at(const char *path, const struct source_identity *identity)
{
    struct source_identity now;
    struct statx stx;

    if (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, IDENTITY_MASK, &stx) < 0)
        return -errno;
    int r = check_type(stx.stx_mode);
    if (r < 0)
        return r;
    fill_identity(&stx, &now);
    return now.inode == identity->inode && now.device == identity->device;
}

ssize_t file_read(int fd, uint64_t offset, void *buffer, size_t length)
{
    size_t have = 0;

    while (have < length) {
        ssize_t n = pread(fd, (char *)buffer + have, length - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

ssize_t file_read_cached(int fd, uint64_t offset, void *buffer, size_t length)
{
    struct iovec place = {.iov_base = buffer, .iov_len = length};

    ssize_t n = preadv2(fd, &place, 1, (off_t)offset, RWF_NOWAIT);
    return n < 0 ? -errno : n;
}

/* Pages in memory of LENGTH bytes at OFFSET. mincore(2) looks without bringing any in. */
static size_t count_cached(int fd, uint64_t offset, size_t length, size_t *pages)
{
    unsigned char resident[PROBE_PAGES_MAX] = {0};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t cached = 0;

    void *map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, (off_t)offset);
    if (map == MAP_FAILED)
        return 0;
    size_t count = (length + page - 1) / page;
    if (mincore(map, length, resident) == 0)
        for (size_t i = 0; i < count; i++)
            cached += resident[i] & 1;
    (void)munmap(map, length);
    *pages += count;
    return cached;
}

bool file_is_cached(int fd, uint64_t begin, uint64_t end)
{
    uint64_t length = end - begin;
    uint64_t places = length > PROBE_BYTES ? PROBE_PLACES : 1; /* all of a short part lies within the first */
    size_t cached = 0, pages = 0;

    for (uint64_t i = 0; i < places; i++) {
        uint64_t last = length > PROBE_BYTES ? length - PROBE_BYTES : 0;
        uint64_t offset = begin + last / (PROBE_PLACES - 1) * i;
        offset -= offset % (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t left = end - offset;
        if (left > 0)
            cached += count_cached(fd, offset, left < PROBE_BYTES ? (size_t)left : PROBE_BYTES, &pages);
    }
    return cached * 2 >= pages; /* also where it cannot be told: better leave pages than throw away those of others */
}

bool file_is_cached_now(int fd, uint64_t begin, uint64_t end)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), length = end - begin;
    struct {
        uint64_t offset, length;
    } range = {begin, length < COUNTED_BYTES ? length : COUNTED_BYTES};
    struct {
        uint64_t cached, dirty, under_writeback, evicted, recently_evicted;
    } pages = {0};

    if (syscall(SYS_cachestat, fd, &range, &pages, 0) < 0)
        return false;
    return pages.cached * page * 2 >= range.length;
}

void file_expect(int fd, uint64_t offset, uint64_t length)
{
    for (uint64_t at = offset; at < offset + length; at += EXPECT_BYTES) {
        uint64_t left = offset + length - at;
        (void)posix_fadvise(fd, (off_t)at, (off_t)(left < EXPECT_BYTES ? left : EXPECT_BYTES), POSIX_FADV_WILLNEED);
    }
}

void file_drop_pages(int fd, uint64_t begin, uint64_t end)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    /* What the end of the part before cut through was still needed then, be it one page or many kept as one. */
    begin = begin > LARGE_PAGE_BYTES ? begin - LARGE_PAGE_BYTES : 0;
    begin -= begin % page;
    if (end > begin)
        (void)posix_fadvise(fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_DONTNEED);
}

void file_boot_id(uint8_t boot_id[static 16])
{
    char text[64] = {0}, digits[BOOT_ID_DIGITS];
    size_t count = 0;

    memset(boot_id, 0, 16);
    _cleanup_close_ int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        return;
    for (const char *c = text; *c != '\0' && *c != '\n' && count < BOOT_ID_DIGITS; c++)
        if (*c != '-')
            digits[count++] = *c;
    if (count < BOOT_ID_DIGITS)
        return;
    for (size_t i = 0; i < 16; i++) {
        uint32_t byte = 0;
        if (parse_hex32_n(digits + 2 * i, 2, &byte) < 0)
            return;
        boot_id[i] = (uint8_t)byte;
    }
}
