/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/path.h"

#include "base/cleanup.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PASSWD_BYTES 4096 /* of one entry of the user database */

int path_make_absolute(const char *path, char **ret)
{
    _cleanup_free_ char *folder = NULL, *resolved = NULL;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *joined;

    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    if (*path == '/') {
        joined = strdup(path);
        if (!joined)
            return -ENOMEM;
        *ret = joined;
        return 0;
    }
    folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    if (!folder)
        return -ENOMEM;
    resolved = realpath(folder, NULL);
    if (!resolved)
        return -errno;
    if (asprintf(&joined, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name) < 0)
        return -ENOMEM;
    *ret = joined;
    return 0;
}

char *path_home(void)
{
    const char *home = getenv("HOME");
    struct passwd user, *found = NULL;
    char buffer[PASSWD_BYTES];

    if (home && home[0] == '/')
        return strdup(home);
    return getpwuid_r(geteuid(), &user, buffer, sizeof(buffer), &found) == 0 && found ? strdup(user.pw_dir) : NULL;
}

char *path_xdg(const char *variable, const char *fallback)
{
    const char *base = getenv(variable);
    _cleanup_free_ char *home = NULL;
    char *path = NULL;

    if (base && base[0] == '/')
        return asprintf(&path, "%s/bitsq", base) < 0 ? NULL : path;
    home = path_home();
    if (!home || asprintf(&path, "%s/%s/bitsq", home, fallback) < 0)
        return NULL;
    return path;
}
