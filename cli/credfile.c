/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Credentials on disk. */
#include "cli/credential.h"

#include "base/path.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

bool credential_name_is_valid(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strlen(name) <= 255 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-")] == '\0';
}

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

/* Takes what is no secret out of one line. */
static int take_line(struct credential_look *look, const char *line, size_t length)
{
    const struct {
        const char *key;
        const char *kind; /* NULL = it says none */
        char **keep;      /* NULL = its value is a secret */
    } keys[] = {
        {"user=", "password", &look->user}, {"password=", "password", NULL},
        {"token=", "token", NULL},          {"token_file=", "token-file", &look->source},
        {"hosts=", NULL, &look->hosts},     {"token_command=", "token-command", &look->source},
        {"scheme=", NULL, &look->scheme},
    };

    for (size_t i = 0; i < ELEMENTS(keys); i++) {
        size_t key_length = strlen(keys[i].key);
        if (length < key_length || memcmp(line, keys[i].key, key_length) != 0)
            continue;
        if (keys[i].kind)
            look->kind = keys[i].kind;
        if (!keys[i].keep)
            return 0;
        free(*keys[i].keep);
        *keys[i].keep = text_duplicate(line + key_length, length - key_length);
        return *keys[i].keep ? 0 : -ENOMEM;
    }
    say(look, "a line is not of the form KEY=VALUE, or its key is unknown; set it anew, or correct it with an editor");
    return 0;
}

int credential_look(const char *folder, const char *name, struct credential_look *ret)
{
    char *buffer = calloc(1, CREDENTIAL_BYTES_MAX + 1);
    struct credential_look look = {.kind = NULL};
    _cleanup_free_ char *path = NULL;
    size_t size = 0;
    int r = 0;

    if (!buffer || asprintf(&path, "%s/%s", folder, name) < 0) {
        free(buffer);
        return -ENOMEM;
    }
    if (read_file(path, &look, buffer, &size) == 0) {
        const char *end = buffer + size;
        for (const char *line = buffer; line < end && r >= 0; line++) {
            size_t length = strcspn(line, "\n");
            size_t kept = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
            if (kept > 0 && line[0] != '#')
                r = take_line(&look, line, kept);
            line += length;
        }
        if (!look.kind && look.scheme && strcmp(look.scheme, "negotiate") == 0)
            look.kind = "negotiate";
        if (!look.kind)
            say(&look, "it holds no secret; set it anew");
    }
    explicit_bzero(buffer, CREDENTIAL_BYTES_MAX);
    free(buffer);
    if (r < 0)
        credential_look_done(&look);
    else
        *ret = look;
    return r;
}

void credential_look_done(struct credential_look *look)
{
    free(look->user);
    free(look->hosts);
    free(look->scheme);
    free(look->source);
    *look = (struct credential_look){0};
}
