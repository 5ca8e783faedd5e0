/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/statedir.h"

#include "base/filesystem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>

#define LOCK_NAME     "lock"
#define ADDRESS_NAME  "address"
#define ADDRESS_DRAFT "address.new"
#define SOCKET_NAME   "socket"
#define ADDRESS_MAX   1024 /* bytes; a D-Bus address names one socket */
#define DIR_MODE      0700
#define FILE_MODE     0600
#define SOCKET_MAX    (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

struct statedir {
    char *path;
    int fd;
    int lock_fd; /* >= 0: this process is the holder */
    char *socket_path;
    char *socket_dir; /* made for the socket, because the folder's own path is too long */
};

/* ---- opening ---- */

/* Returns ERROR, or -ENOMEM. */
__attribute__((format(printf, 3, 4))) static int say(char **ret_message, int error, const char *format, ...)
{
    char *message = NULL;
    va_list arguments;

    va_start(arguments, format);
    int r = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (r < 0)
        return -ENOMEM;
    free(*ret_message);
    *ret_message = message;
    return error;
}

static int sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    _cleanup_close_ int fd = -1;

    *slash = '\0';
    fd = open(slash == path ? "/" : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *slash = '/';
    if (fd < 0)
        return errno == EACCES ? 0 : -errno; /* a parent that may be passed through, but not read */
    return fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;
}

static int make_one(char *path)
{
    if (mkdir(path, DIR_MODE) < 0)
        return errno == EEXIST ? 0 : -errno;
    return sync_parent(path);
}

/* Parents that exist need not be writable, so what mkdir says of them is of no interest: the last one tells. */
static int make_folders(const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    struct stat st;
    int r = 0;

    if (!copy)
        return -ENOMEM;
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(copy, &st) < 0)
            r = make_one(copy);
        *slash = '/';
        if (r < 0)
            return r;
    }
    return make_one(copy);
}

static int check_filesystem(int fd, const char *path, char **ret_message)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return say(ret_message, -errno, "cannot use the state folder %s: %s", path, strerror(errno));
    const char *name = filesystem_network_name((uint32_t)fs.f_type);
    if (!name)
        return 0;
    return say(ret_message, -ENOTSUP,
               "cannot keep the queue in %s: locks and memory maps cannot be trusted on this file system (%s); "
               "name a folder on a local disk with StateDirectory= in bitsqd.conf",
               path, name);
}

static int check_access(int fd, const char *path, char **ret_message)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return say(ret_message, -errno, "cannot use the state folder %s: %s", path, strerror(errno));
    if (st.st_uid != geteuid())
        return say(ret_message, -EACCES,
                   "cannot keep the queue in %s: the folder belongs to another user; name another one with "
                   "StateDirectory= in bitsqd.conf",
                   path);
    if ((st.st_mode & 07777) != DIR_MODE && fchmod(fd, DIR_MODE) < 0)
        return say(ret_message, -EACCES,
                   "cannot keep the queue in %s: others may enter the folder, and that cannot be changed (%s); name "
                   "another one with StateDirectory= in bitsqd.conf",
                   path, strerror(errno));
    return 0;
}

static int open_folder(struct statedir *dir, char **ret_message)
{
    int r = make_folders(dir->path);

    if (r < 0)
        return say(ret_message, r,
                   "cannot create the state folder %s: %s; make its parent writable, or name another one with "
                   "StateDirectory= in bitsqd.conf",
                   dir->path, strerror(-r));
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return say(ret_message, -errno,
                   "cannot open the state folder %s: %s; mend its permissions, or name another one with "
                   "StateDirectory= in bitsqd.conf",
                   dir->path, strerror(errno));
    r = check_filesystem(dir->fd, dir->path, ret_message);
    if (r >= 0)
        r = check_access(dir->fd, dir->path, ret_message);
    return r;
}

static char *copy_without_slashes(const char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        length--;
    return strndup(path, length);
}

int statedir_open(const char *path, struct statedir **ret, char **ret_message)
{
    _cleanup_(statedir_free_p) struct statedir *dir = calloc(1, sizeof(*dir));
    _cleanup_free_ char *message = NULL;

    if (!dir)
        return -ENOMEM;
    dir->fd = dir->lock_fd = -1;
    dir->path = copy_without_slashes(path);
    if (!dir->path)
        return -ENOMEM;
    int r;
    if (path[0] != '/')
        r = say(
            &message, -EINVAL,
            "cannot use the state folder \"%s\": the path is not absolute; write StateDirectory= in bitsqd.conf, or "
            "XDG_STATE_HOME, as a path that begins with /",
            path);
    else
        r = open_folder(dir, &message);
    if (r < 0) {
        if (message)
            *ret_message = TAKE_PTR(message);
        return r;
    }
    *ret = TAKE_PTR(dir);
    return 0;
}

/* ---- the lock ---- */

static struct flock first_byte(short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
}

int statedir_lock(struct statedir *dir)
{
    struct flock lock = first_byte(F_WRLCK);
    _cleanup_close_ int fd = -1;

    if (dir->lock_fd >= 0)
        return 0;
    fd = openat(dir->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
        return errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
    /* Of a holder that was killed: nobody shall be sent there from now on. */
    if (unlinkat(dir->fd, ADDRESS_NAME, 0) < 0 && errno != ENOENT)
        return -errno;
    dir->lock_fd = TAKE_FD(fd);
    return 0;
}

int statedir_is_held(struct statedir *dir, bool *ret)
{
    struct flock lock = first_byte(F_WRLCK);
    _cleanup_close_ int fd = -1;

    if (dir->lock_fd >= 0) {
        *ret = true;
        return 0;
    }
    fd = openat(dir->fd, LOCK_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        *ret = false;
        return 0;
    }
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return -errno;
    *ret = lock.l_type != F_UNLCK;
    return 0;
}

int statedir_fd(const struct statedir *dir)
{
    return dir->fd;
}

const char *statedir_path(const struct statedir *dir)
{
    return dir->path;
}

/* ---- the socket ---- */

static char *join(const char *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* A folder of our own below PARENT for the socket. */
static int make_socket_dir(struct statedir *dir, const char *parent)
{
    _cleanup_free_ char *folder = join(parent, "bitsq-XXXXXX");
    _cleanup_free_ char *path = NULL;

    if (!folder)
        return -ENOMEM;
    if (strlen(folder) + 1 + strlen(SOCKET_NAME) > SOCKET_MAX)
        return -ENAMETOOLONG;
    if (!mkdtemp(folder))
        return -errno;
    path = join(folder, SOCKET_NAME);
    if (!path) {
        (void)rmdir(folder);
        return -ENOMEM;
    }
    dir->socket_dir = TAKE_PTR(folder);
    dir->socket_path = TAKE_PTR(path);
    return 0;
}

static int choose_socket_path(struct statedir *dir)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int r = -ENAMETOOLONG;

    if (strlen(dir->path) + 1 + strlen(SOCKET_NAME) <= SOCKET_MAX) {
        dir->socket_path = join(dir->path, SOCKET_NAME);
        return dir->socket_path ? 0 : -ENOMEM;
    }
    if (runtime && runtime[0] == '/')
        r = make_socket_dir(dir, runtime);
    return r < 0 ? make_socket_dir(dir, "/tmp") : r;
}

int statedir_socket_path(struct statedir *dir, char **ret)
{
    if (dir->lock_fd < 0)
        return -EPERM;
    if (!dir->socket_path) {
        int r = choose_socket_path(dir);
        if (r < 0)
            return r;
    }
    assert(dir->socket_path);
    if (unlink(dir->socket_path) < 0 && errno != ENOENT)
        return -errno;
    char *path = strdup(dir->socket_path);
    if (!path)
        return -ENOMEM;
    *ret = path;
    return 0;
}

static void remove_socket(struct statedir *dir)
{
    if (dir->socket_path)
        (void)unlink(dir->socket_path);
    if (dir->socket_dir)
        (void)rmdir(dir->socket_dir);
}

/* ---- the address ---- */

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

int statedir_write_address(struct statedir *dir, const char *address)
{
    _cleanup_close_ int fd = -1;
    size_t length = strlen(address);

    if (dir->lock_fd < 0)
        return -EPERM;
    if (length == 0 || length > ADDRESS_MAX)
        return -EINVAL;
    fd = openat(dir->fd, ADDRESS_DRAFT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, address, length);
    if (r >= 0)
        r = write_all(fd, "\n", 1);
    if (r >= 0 && fsync(fd) < 0)
        r = -errno;
    if (r >= 0 && renameat(dir->fd, ADDRESS_DRAFT, dir->fd, ADDRESS_NAME) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(dir->fd, ADDRESS_DRAFT, 0);
        return r;
    }
    return fsync(dir->fd) < 0 ? -errno : 0;
}

/* One line, as statedir_write_address() leaves it; anything else counts as not written yet. */
static int read_line(int fd, char **ret)
{
    char text[ADDRESS_MAX + 2];
    size_t length = 0;
    ssize_t n;

    while (length < sizeof(text) && (n = read(fd, text + length, sizeof(text) - length)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        length += (size_t)n;
    }
    char *end = memchr(text, '\n', length);
    if (!end || end == text)
        return -EAGAIN;
    char *line = strndup(text, (size_t)(end - text));
    if (!line)
        return -ENOMEM;
    *ret = line;
    return 0;
}

int statedir_read_address(struct statedir *dir, char **ret)
{
    _cleanup_close_ int fd = -1;
    bool held = false;

    int r = statedir_is_held(dir, &held);
    if (r < 0)
        return r;
    if (!held)
        return -ENOENT;
    fd = openat(dir->fd, ADDRESS_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    return read_line(fd, ret);
}

struct statedir *statedir_free(struct statedir *dir)
{
    if (!dir)
        return NULL;
    if (dir->lock_fd >= 0) {
        /* The lock last: whoever gets it next must not lose what it writes. */
        (void)unlinkat(dir->fd, ADDRESS_NAME, 0);
        remove_socket(dir);
        (void)close(dir->lock_fd);
    }
    if (dir->fd >= 0)
        (void)close(dir->fd);
    free(dir->socket_path);
    free(dir->socket_dir);
    free(dir->path);
    free(dir);
    return NULL;
}
