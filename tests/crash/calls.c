/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls themselves, straight into the kernel. A call of 64-bit offsets is the same one on the systems we run on. */
#include "preload.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define HERE         ((off_t)-1) /* where the descriptor stands */
#define PARTS_MAX    1024
#define SIGSET_BYTES 8 /* the kernel's */

/* ---- writes ---- */

static size_t total_of(const struct iovec *parts, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    return total;
}

/* The first half of PARTS, a byte at least. */
static int halve(const struct iovec *parts, int count, struct iovec half[static PARTS_MAX])
{
    size_t left = total_of(parts, count) / 2;
    int used = 0;

    left = left > 0 ? left : 1;
    for (int i = 0; i < count && i < PARTS_MAX && left > 0; i++) {
        half[used] = parts[i];
        if (half[used].iov_len > left)
            half[used].iov_len = left;
        left -= half[used++].iov_len;
    }
    return used;
}

static void record_parts(int fd, const struct iovec *parts, uint64_t offset, size_t written)
{
    for (int i = 0; written > 0; i++) {
        size_t size = parts[i].iov_len < written ? parts[i].iov_len : written;
        record_write(fd, offset, parts[i].iov_base, size);
        offset += size;
        written -= size;
    }
}

static off_t place_of(int fd)
{
    struct stat st;

    if ((syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND) && fstat(fd, &st) == 0)
        return st.st_size;
    return (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset)
{
    bool recorded = record_is_on(), inside = (recorded || fault_is_armed(FAULT_WRITE)) && preload_is_inside(fd);
    int refused = inside ? fault_ask(FAULT_WRITE) : 0;
    struct iovec half[PARTS_MAX];

    if (refused == FAULT_SHORT) {
        count = halve(parts, count, half);
        parts = half;
    } else if (refused > 0) {
        errno = refused;
        return -1;
    }
    if (!recorded || !inside)
        return offset == HERE ? syscall(SYS_writev, fd, parts, count)
                              : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    record_lock();
    off_t at = offset == HERE ? place_of(fd) : offset;
    ssize_t n =
        offset == HERE ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    if (n > 0)
        record_parts(fd, parts, (uint64_t)at, (size_t)n);
    record_unlock();
    return n;
}

ssize_t write(int fd, const void *data, size_t size)
{
    struct iovec part = {(void *)(uintptr_t)data, size};

    return write_parts(fd, &part, 1, HERE);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    struct iovec part = {(void *)(uintptr_t)data, size};

    return write_parts(fd, &part, 1, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_parts(fd, parts, count, HERE);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return write_parts(fd, parts, count, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) __attribute__((alias("pwritev")));

/* ---- reads ---- */

static int refuse_read(int fd)
{
    struct stat st;

    if (!fault_is_armed(FAULT_READ) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    return fault_ask(FAULT_READ);
}

ssize_t read(int fd, void *buffer, size_t size)
{
    errno = refuse_read(fd);
    return errno != 0 ? -1 : syscall(SYS_read, fd, buffer, size);
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    errno = refuse_read(fd);
    return errno != 0 ? -1 : syscall(SYS_pread64, fd, buffer, size, offset);
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t offset) __attribute__((alias("pread")));

/* ---- syncs and sizes ---- */

static int sync_file(int fd, long number)
{
    bool inside = preload_is_inside(fd);
    int refused = inside ? fault_ask(FAULT_SYNC) : 0;

    if (refused > 0) {
        errno = refused;
        return -1;
    }
    record_lock();
    int r = (int)syscall(number, fd);
    if (r == 0 && inside && record_is_on())
        record_inode(RECORD_SYNC, fd, 0);
    record_unlock();
    return r;
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}

static void sync_all(long number, int fd)
{
    record_lock();
    (void)syscall(number, fd);
    if (record_is_on())
        record_event(RECORD_SYNC_ALL);
    record_unlock();
}

void sync(void)
{
    sync_all(SYS_sync, -1);
}

int syncfs(int fd)
{
    sync_all(SYS_syncfs, fd);
    return 0;
}

/* What gives a file another size; 0 or an errno. */
static int resize(int fd, long number, long a, long b, long c)
{
    bool inside = preload_is_inside(fd);
    int refused = inside ? fault_ask(FAULT_ROOM) : 0;
    struct stat before, after;

    if (refused > 0)
        return refused;
    record_lock();
    (void)fstat(fd, &before);
    int error = syscall(number, fd, a, b, c) < 0 ? errno : 0;
    if (error == 0 && inside && record_is_on() && fstat(fd, &after) == 0 && after.st_size != before.st_size)
        record_inode(RECORD_TRUNCATE, fd, (uint64_t)after.st_size);
    record_unlock();
    return error;
}

static int result_of(int error)
{
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

int ftruncate(int fd, off_t size)
{
    return result_of(resize(fd, SYS_ftruncate, size, 0, 0));
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return result_of(resize(fd, SYS_fallocate, mode, offset, size));
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
    return resize(fd, SYS_fallocate, 0, offset, size);
}

int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));
int fallocate64(int fd, int mode, off_t offset, off_t size) __attribute__((alias("fallocate")));
int posix_fallocate64(int fd, off_t offset, off_t size) __attribute__((alias("posix_fallocate")));

/* ---- names ---- */

static bool exists(int dir_fd, const char *path)
{
    return syscall(SYS_faccessat, dir_fd, path, F_OK) == 0;
}

static int open_at(int dir_fd, const char *path, int flags, int mode)
{
    struct place place;
    bool inside = (flags & (O_CREAT | O_TRUNC)) && preload_find(dir_fd, path, &place);
    bool existed = inside && exists(dir_fd, path);
    int refused = fault_ask(FAULT_DESCRIPTOR);

    if (refused == 0 && inside && !existed)
        refused = fault_ask(FAULT_NAME);
    if (refused > 0) {
        errno = refused;
        return -1;
    }
    if (!inside || !record_is_on())
        return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    record_lock();
    int fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    if (fd >= 0 && !existed)
        record_name(RECORD_CREATE, &place);
    else if (fd >= 0 && (flags & O_TRUNC))
        record_inode(RECORD_TRUNCATE, fd, 0);
    record_unlock();
    return fd;
}

static int mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(arguments, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;

    va_start(arguments, flags);
    int mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list arguments;

    va_start(arguments, flags);
    int mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(dir_fd, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, (int)mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir_fd, const char *path, int flags, ...) __attribute__((alias("openat")));
int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));

/* A call that changes one name. The inode of a new one is looked up when it is there. */
static int change_name(enum record_kind kind, int dir_fd, const char *path, long number, long argument)
{
    struct place place;
    bool inside = preload_find(dir_fd, path, &place);
    int refused = inside ? fault_ask(FAULT_NAME) : 0;

    if (refused > 0)
        return result_of(refused);
    record_lock();
    int r = (int)syscall(number, dir_fd, path, argument);
    if (r == 0 && inside && record_is_on())
        record_name(kind, &place);
    record_unlock();
    return r;
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
    return change_name(RECORD_MKDIR, dir_fd, path, SYS_mkdirat, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
    return change_name(RECORD_UNLINK, dir_fd, path, SYS_unlinkat, flags);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    struct place source, target;
    bool inside = preload_find(from_fd, from, &source) && preload_find(to_fd, to, &target);
    int refused = inside ? fault_ask(FAULT_NAME) : 0;

    if (refused > 0)
        return result_of(refused);
    record_lock();
    int r = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (r == 0 && inside && record_is_on())
        record_rename(&source, &target);
    record_unlock();
    return r;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    struct place target;
    bool inside = preload_find(to_fd, to, &target);
    int refused = inside ? fault_ask(FAULT_NAME) : 0;

    if (refused > 0)
        return result_of(refused);
    record_lock();
    int r = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    if (r == 0 && inside && record_is_on())
        record_name(RECORD_LINK, &target);
    record_unlock();
    return r;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- descriptors ---- */

static long descriptor(long number, long a, long b, long c, long d)
{
    int refused = fault_ask(FAULT_DESCRIPTOR);

    return refused > 0 ? result_of(refused) : syscall(number, a, b, c, d);
}

int socket(int domain, int type, int protocol)
{
    return (int)descriptor(SYS_socket, domain, type, protocol, 0);
}

int socketpair(int domain, int type, int protocol, int ends[2])
{
    return (int)descriptor(SYS_socketpair, domain, type, protocol, (long)ends);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return (int)descriptor(SYS_accept4, fd, (long)address, (long)size, flags);
}

int accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return accept4(fd, address, size, 0);
}

int pipe2(int ends[2], int flags)
{
    return (int)descriptor(SYS_pipe2, (long)ends, flags, 0, 0);
}

int eventfd(unsigned count, int flags)
{
    return (int)descriptor(SYS_eventfd2, count, flags, 0, 0);
}

int epoll_create1(int flags)
{
    return (int)descriptor(SYS_epoll_create1, flags, 0, 0, 0);
}

int timerfd_create(clockid_t clock, int flags)
{
    return (int)descriptor(SYS_timerfd_create, clock, flags, 0, 0);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
    return (int)descriptor(SYS_signalfd4, fd, (long)mask, SIGSET_BYTES, flags);
}

int fcntl(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        return (int)descriptor(SYS_fcntl, fd, command, argument, 0);
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));

/* Within the C library they open by themselves. */
FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*real)(const char *path, const char *mode);
    int refused = fault_ask(FAULT_DESCRIPTOR);

    if (refused > 0) {
        errno = refused;
        return NULL;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fopen");
    return real(path, mode);
}

DIR *opendir(const char *path)
{
    static DIR *(*real)(const char *path);
    int refused = fault_ask(FAULT_DESCRIPTOR);

    if (refused > 0) {
        errno = refused;
        return NULL;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    return real(path);
}

FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));

/* ---- messages ---- */

/* Noted before they leave: whatever a caller does then comes later in the log. */
static void note_message(void)
{
    record_lock();
    if (record_is_on())
        record_event(RECORD_SEND);
    record_unlock();
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    note_message();
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    note_message();
    return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}
