/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/secretfile.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Returns ERROR. PATH stands in every sentence, on one line whatever bytes it has. */
__attribute__((format(printf, 4, 5))) static int say(const struct secret_file *file, char **ret_fault, int error,
                                                     const char *format, ...)
{
    _cleanup_free_ char *path = text_escape(file->path), *detail = NULL;
    va_list list;

    va_start(list, format);
    int length = vasprintf(&detail, format, list);
    va_end(list);
    if (length < 0)
        detail = NULL;
    if (!detail || !path || asprintf(ret_fault, "%s %s %s", file->what, path, detail) < 0)
        *ret_fault = NULL;
    return error;
}

static int check(const struct secret_file *file, const struct stat *st, char **ret_fault)
{
    if (!S_ISREG(st->st_mode))
        return say(file, ret_fault, -EMEDIUMTYPE, "is no regular file; put a file in its place");
    if (!file->is_public && st->st_uid != geteuid())
        return say(file, ret_fault, -EPERM,
                   "belongs to another user (uid %u); make it your own with chown, or write it anew",
                   (unsigned)st->st_uid);
    if (!file->is_public && (st->st_mode & 077) != 0) {
        _cleanup_free_ char *path = text_escape(file->path);
        return say(file, ret_fault, -EPERM, "is open to others (mode %04o); run: chmod 600 %s",
                   (unsigned)st->st_mode & 07777, path ? path : "");
    }
    if ((uint64_t)st->st_size > file->max)
        return say(file, ret_fault, -EFBIG, "has more than %zu bytes; shorten it", file->max);
    return 0;
}

static int say_errno(const struct secret_file *file, char **ret_fault, int error)
{
    if (error == -ENOENT && file->remedy)
        return say(file, ret_fault, error, "does not exist; %s", file->remedy);
    return say(file, ret_fault, error, "cannot be read: %s; check it, and the folders above it", strerror(-error));
}

static int open_secret(const struct secret_file *file, int *ret_fd, char **ret_fault)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    /* Before it is opened: opening alone can wake the writer of a FIFO, or a device. */
    if (fstatat(AT_FDCWD, file->path, &st, file->may_be_link ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return say_errno(file, ret_fault, -errno);
    if (S_ISLNK(st.st_mode))
        return say(file, ret_fault, -ELOOP, "is a symbolic link; put the file itself in its place");
    int r = check(file, &st, ret_fault);
    if (r < 0)
        return r;
    fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (file->may_be_link ? 0 : O_NOFOLLOW));
    if (fd < 0 || fstat(fd, &st) < 0)
        return say_errno(file, ret_fault, -errno);
    r = check(file, &st, ret_fault);
    if (r >= 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

int secret_file_read(const struct secret_file *file, struct secret_text *ret, char **ret_fault)
{
    _cleanup_close_ int fd = -1;
    struct secret_text secret = {0};
    ssize_t n = 0;

    *ret_fault = NULL;
    int r = open_secret(file, &fd, ret_fault);
    if (r < 0)
        return r;
    /* One byte of room more than is allowed: it may have grown. */
    secret.text = calloc(1, file->max + 2);
    if (!secret.text)
        return -ENOMEM;
    while (secret.length <= file->max &&
           (n = read(fd, secret.text + secret.length, file->max + 1 - secret.length)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        secret.length += (size_t)n;
    }
    if (n < 0)
        r = say_errno(file, ret_fault, -errno);
    else if (secret.length > file->max)
        r = say(file, ret_fault, -EFBIG, "has more than %zu bytes; shorten it", file->max);
    if (r < 0) {
        secret_text_done(&secret);
        return r;
    }
    secret.text[secret.length] = '\0';
    *ret = secret;
    return 0;
}

void secret_text_done(struct secret_text *secret)
{
    if (secret->text)
        explicit_bzero(secret->text, secret->length);
    free(secret->text);
    *secret = (struct secret_text){0};
}

bool secret_error_may_heal(int result)
{
    switch (result) {
    case -EAGAIN:
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
    case -EIO:
    case -ESTALE:
    case -ETIMEDOUT:
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENOTCONN:
        return true;
    default:
        return false;
    }
}
