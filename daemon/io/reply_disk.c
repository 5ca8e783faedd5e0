/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/reply_disk.h"

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define REPLIES_FOLDER "replies"
#define DRAFT_INFIX    ".bitsq-"
#define DRAFT_SUFFIX   ".part"
#define FILE_MODE      0600
#define DIR_MODE       0700

/* ---- names ---- */

/* A name of NAME_MAX bytes leaves no room for what a draft adds: it is cut there, the job's id tells it apart. */
static char *draft_name(const char *name, uint64_t job_id)
{
    char tail[64], kept[NAME_MAX + 1];
    char *draft = NULL;

    int length = snprintf(tail, sizeof(tail), DRAFT_INFIX "%" PRIu64 DRAFT_SUFFIX, job_id);
    (void)text_copy(kept, sizeof(kept) - 1 - (size_t)length, name);
    return asprintf(&draft, ".%s%s", kept, tail) < 0 ? NULL : draft;
}

static int split_chosen(struct reply_names *names, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (path[0] != '/' || slash[1] == '\0' || strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0)
        return -EINVAL;
    names->folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    names->name = strdup(slash + 1);
    names->is_chosen = true;
    return names->folder && names->name ? 0 : -ENOMEM;
}

char *reply_folder(const char *state_directory)
{
    char *folder = NULL;

    return asprintf(&folder, "%s/" REPLIES_FOLDER, state_directory) < 0 ? NULL : folder;
}

static int name_after_job(struct reply_names *names, const struct reply_place *place)
{
    names->folder = reply_folder(place->state_directory);
    if (asprintf(&names->name, "%" PRIu64, place->job_id) < 0)
        names->name = NULL;
    return names->folder && names->name ? 0 : -ENOMEM;
}

int reply_names_init(struct reply_names *names, const struct reply_place *place)
{
    *names = (struct reply_names){0};
    int r = place->path ? split_chosen(names, place->path) : name_after_job(names, place);

    if (r >= 0) {
        names->draft = draft_name(names->name, place->job_id);
        r = names->draft ? 0 : -ENOMEM;
    }
    if (r < 0)
        reply_names_done(names);
    return r;
}

void reply_names_done(struct reply_names *names)
{
    free(names->folder);
    free(names->name);
    free(names->draft);
    *names = (struct reply_names){0};
}

bool reply_name_parse(const char *name, uint64_t *ret_job_id)
{
    const char *digits = name[0] == '.' ? name + 1 : name;
    size_t length = strcspn(digits, ".");
    uint64_t job_id = 0;
    char draft[64];

    if (parse_u64_n(digits, length, &job_id) < 0)
        return false;
    (void)snprintf(draft, sizeof(draft), ".%" PRIu64 DRAFT_INFIX "%" PRIu64 DRAFT_SUFFIX, job_id, job_id);
    /* Compared as a whole: "007" is no name that was given here. */
    if (strcmp(name, draft) != 0) {
        (void)snprintf(draft, sizeof(draft), "%" PRIu64, job_id);
        if (strcmp(name, draft) != 0)
            return false;
    }
    *ret_job_id = job_id;
    return true;
}

/* ---- folders ---- */

/* What cannot be synced by its kind (a folder that may be written but not read) is left to the system. */
static int sync_folder(int fd)
{
    return fsync(fd) < 0 && errno != EBADF && errno != EINVAL && errno != EROFS ? -errno : 0;
}

static int make_replies_folder(const char *folder)
{
    _cleanup_free_ char *parent = NULL;
    _cleanup_close_ int fd = -1;

    if (mkdir(folder, DIR_MODE) < 0)
        return errno == EEXIST ? 0 : -errno;
    parent = strndup(folder, (size_t)(strrchr(folder, '/') - folder));
    if (!parent)
        return -ENOMEM;
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : sync_folder(fd);
}

static int open_folder(const struct reply_names *names, int *ret_fd)
{
    int fd = open(names->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == EACCES)
        fd = open(names->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

/* ---- the draft ---- */

static int create_draft(int folder, const struct reply_names *names, int *ret_fd)
{
    if (unlinkat(folder, names->draft, 0) < 0 && errno != ENOENT)
        return -errno;
    int fd = openat(folder, names->draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

/*
 * The draft of which at least BYTES are there. What stands in its place, but is not what was made here, counts as gone:
 * in a folder that is open to others a link or a file of theirs must not get the reply.
 */
static int open_draft(int folder, const struct reply_names *names, uint64_t bytes, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (fstatat(folder, names->draft, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? -ENODATA : -errno;
    if (!S_ISREG(st.st_mode))
        return -ENODATA;
    fd = openat(folder, names->draft, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? -ENODATA : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 || (uint64_t)st.st_size < bytes)
        return -ENODATA;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int write_all(int fd, uint64_t offset, const char *buffer, size_t size)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, buffer, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        buffer += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

int reply_disk_write(const struct reply_names *names, uint64_t offset, const void *buffer, size_t size)
{
    _cleanup_close_ int folder = -1, fd = -1;

    int r = names->is_chosen || offset > 0 ? 0 : make_replies_folder(names->folder);
    if (r >= 0)
        r = open_folder(names, &folder);
    /* Where the folder went, so did the draft; a chosen one is not made again. */
    if (r == -ENOENT && offset > 0)
        return -ENODATA;
    if (r >= 0)
        r = offset == 0 ? create_draft(folder, names, &fd) : open_draft(folder, names, offset, &fd);
    if (r >= 0)
        r = write_all(fd, offset, buffer, size);
    /* The offset is remembered next: after a power cut the draft may not be a hole of the right length. */
    return r >= 0 && fdatasync(fd) < 0 ? -errno : r;
}

int reply_disk_store(const struct reply_names *names, uint64_t total)
{
    _cleanup_close_ int folder = -1, fd = -1;

    int r = names->is_chosen || total > 0 ? 0 : make_replies_folder(names->folder);
    if (r >= 0)
        r = open_folder(names, &folder);
    if (r == -ENOENT && total > 0)
        return -ENODATA;
    if (r >= 0)
        r = total == 0 ? create_draft(folder, names, &fd) : open_draft(folder, names, total, &fd);
    if (r < 0)
        return r;
    if (ftruncate(fd, (off_t)total) < 0 || fsync(fd) < 0)
        return -errno;
    if (renameat(folder, names->draft, folder, names->name) < 0)
        return -errno;
    return sync_folder(folder);
}

static int unlink_from(const struct reply_names *names, bool also_stored)
{
    _cleanup_close_ int folder = -1;

    int r = open_folder(names, &folder);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (unlinkat(folder, names->draft, 0) < 0 && errno != ENOENT)
        r = -errno;
    if (also_stored && unlinkat(folder, names->name, 0) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

int reply_disk_discard(const struct reply_names *names)
{
    return unlink_from(names, false);
}

int reply_disk_remove(const struct reply_names *names)
{
    return unlink_from(names, !names->is_chosen);
}

/* ---- the final name ---- */

static int check_type(mode_t mode)
{
    if (S_ISREG(mode))
        return 0;
    if (S_ISLNK(mode))
        return -ELOOP;
    return S_ISDIR(mode) ? -EISDIR : -EMEDIUMTYPE;
}

int reply_disk_check(const struct reply_names *names)
{
    _cleanup_close_ int folder = -1;
    struct stat st;

    int r = open_folder(names, &folder);
    if (r < 0)
        return r;
    if (faccessat(AT_FDCWD, names->folder, W_OK | X_OK, AT_EACCESS) < 0)
        return -errno;
    /* A link is replaced, as any file, but whoever names a link to a folder means something else. */
    if (fstatat(folder, names->name, &st, 0) < 0)
        return errno == ENOENT || errno == ELOOP ? 0 : -errno;
    return check_type(st.st_mode);
}

int reply_disk_open(const struct reply_names *names, int *ret_fd)
{
    _cleanup_close_ int folder = -1, fd = -1;
    struct stat st;

    int r = open_folder(names, &folder);
    if (r < 0)
        return r;
    /* Before it is opened: opening alone can wake the writer of a FIFO, or a device. */
    if (fstatat(folder, names->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    r = check_type(st.st_mode);
    if (r < 0)
        return r;
    fd = openat(folder, names->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    r = check_type(st.st_mode);
    if (r < 0)
        return r;
    /* It goes to a client, which expects a file that it can read plainly. */
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
