/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Credentials on disk. */
#include "cli/credential.h"

#include "base/path.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int credential_folder(const struct cli *cli, char **ret)
{
    _cleanup_free_ char *config = path_xdg("XDG_CONFIG_HOME", ".config");

    if (!config)
        return cli_fail(cli, EXIT_OTHER, "Failed", "your home folder is not known; set HOME");
    return asprintf(ret, "%s/credentials", config) < 0 ? cli_fail_memory(cli) : 0;
}

void credential_note_missing(const struct cli *cli, const char *name)
{
    _cleanup_free_ char *folder = NULL, *path = NULL;

    if (credential_folder(cli, &folder) != 0 || asprintf(&path, "%s/%s", folder, name) < 0)
        return;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        cli_note(cli,
                 "there is no credential %s yet; bitsq credential set %s stores it, bitsq credential list shows "
                 "those there are",
                 name, name);
}

/* Makes PATH and what is missing above it, 0700: what stands in it is nobody else's business. */
static int make_folders(char *path)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        *at = '/';
        if (r < 0)
            return r;
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* The folder, open, its own user's and closed to others. */
static int open_folder(const struct cli *cli, const char *folder, int *ret_fd)
{
    _cleanup_free_ char *path = strdup(folder);
    struct stat status = {0};

    if (!path)
        return cli_fail_memory(cli);
    int r = make_folders(path);
    _cleanup_close_ int fd = r < 0 ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r >= 0 && (fd < 0 || fstat(fd, &status) < 0))
        r = -errno;
    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot use the folder %s: %s; check it, and the folders above it",
                        folder, strerror(-r));
    if (status.st_uid != geteuid())
        return cli_fail(cli, EXIT_NOT_PERMITTED, "NotPermitted",
                        "the folder %s belongs to another user, who could read what is put there; make it your own "
                        "with chown, or remove it",
                        folder);
    if ((status.st_mode & 077) != 0 && fchmod(fd, 0700) < 0)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot close the folder %s to others: %s; run: chmod 700 %s",
                        folder, strerror(errno), folder);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        size -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_credential(const struct cli *cli, const char *folder, const char *name, const char *text, size_t size)
{
    _cleanup_free_ char *temporary = NULL, *path = NULL;
    _cleanup_close_ int folder_fd = -1, fd = -1;

    int code = open_folder(cli, folder, &folder_fd);
    if (code != 0)
        return code;
    if (asprintf(&temporary, "%s/.%.200s.XXXXXX", folder, name) < 0 || asprintf(&path, "%s/%s", folder, name) < 0)
        return cli_fail_memory(cli);
    fd = mkostemp(temporary, O_CLOEXEC);
    int r = fd < 0 ? -errno : write_all(fd, text, size);
    if (r >= 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0 && fd >= 0)
        (void)unlink(temporary);
    if (r >= 0 && fsync(folder_fd) < 0)
        r = -errno;
    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot write the credential %s: %s; check the folder and the disk",
                        path, strerror(-r));
    return 0;
}

int credential_write(const struct cli *cli, const char *folder, const char *name, const char *text, size_t size)
{
    /* exactly 0700 and 0600 from the start, whatever the caller's mask would add or take */
    mode_t mask = umask(0077);
    int code = write_credential(cli, folder, name, text, size);

    (void)umask(mask);
    return code;
}

/* ---- looking ---- */

static void say(struct credential_look *look, const char *problem)
{
    look->kind = "unusable";
    (void)text_copy(look->problem, sizeof(look->problem), problem);
}

static int read_file(const char *path, struct credential_look *look, char buffer[static CREDENTIAL_BYTES_MAX + 1],
                     size_t *ret_size)
{
    struct stat status;

    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0) {
        say(look, errno == ELOOP ? "it is a symbolic link; put the file itself in its place"
                                 : "it cannot be read; make it your own with chown, or set it anew");
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        say(look, "it is no regular file; remove it");
        return -1;
    }
    if (status.st_uid != geteuid())
        (void)text_copy(look->problem, sizeof(look->problem), "it belongs to another user; set it anew");
    else if ((status.st_mode & 077) != 0)
        (void)snprintf(look->problem, sizeof(look->problem),
                       "it is open to others (mode %04o), so the daemon will not use it; run: chmod 600 FILE",
                       (unsigned)status.st_mode & 07777);
    if (status.st_size > CREDENTIAL_BYTES_MAX) {
        say(look, "it has more than 32 KiB; set it anew");
        return -1;
    }
    ssize_t n = read(fd, buffer, CREDENTIAL_BYTES_MAX);
    if (n < 0) {
        say(look, "it cannot be read; set it anew");
        return -1;
    }
    *ret_size = (size_t)n;
    return 0;
}

static const char *kind_of(const struct credential *credential)
{
    if (credential->token)
        return "token";
    if (credential->token_file)
        return "token-file";
    if (credential->token_command)
        return "token-command";
    return credential->user ? "password" : "negotiate";
}

/* As the daemon will. */
static int parse(const char *text, size_t size, struct credential_look *look)
{
    char reason[CREDENTIAL_REASON_MAX] = "";

    int r = credential_parse(text, size, &look->credential, reason);
    if (r == 0) {
        look->kind = kind_of(&look->credential);
    } else if (r == -EINVAL) {
        look->kind = "unusable";
        (void)snprintf(look->problem, sizeof(look->problem), "%s; correct it with an editor, or set it anew", reason);
        r = 0;
    }
    return r;
}

int credential_look(const char *folder, const char *name, struct credential_look *ret)
{
    char *buffer = calloc(1, CREDENTIAL_BYTES_MAX + 1);
    struct credential_look look = {.kind = NULL};
    _cleanup_free_ char *path = NULL;
    size_t size = 0;
    int r = -ENOMEM;

    if (buffer && asprintf(&path, "%s/%s", folder, name) >= 0)
        r = read_file(path, &look, buffer, &size) == 0 ? parse(buffer, size, &look) : 0;
    if (buffer)
        explicit_bzero(buffer, CREDENTIAL_BYTES_MAX);
    free(buffer);
    if (r >= 0)
        *ret = look;
    return r;
}

void credential_look_done(struct credential_look *look)
{
    credential_done(&look->credential);
}
