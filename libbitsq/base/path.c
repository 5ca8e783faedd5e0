/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/path.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
