/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "path.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The path of an absolute-form target ("http://host:port/path"), or the target as it is. */
static const char *skip_authority(const char *target)
{
    const char *rest;

    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    rest = strchr(target + 7, '/');
    return rest != NULL ? rest : "/";
}

static int decode(const char *target, char ret[PATH_BYTES_MAX])
{
    size_t length = 0;

    for (const char *p = target; *p != '\0' && *p != '?' && *p != '#'; p++) {
        char byte = *p;

        if (byte == '%') {
            int high = hex_value(p[1]);
            int low = high < 0 ? -1 : hex_value(p[2]);

            if (low < 0)
                return -EINVAL;
            byte = (char)(high * 16 + low);
            if (byte == '\0')
                return -EINVAL;
            p += 2;
        }
        if (byte == '/' && (length == 0 || ret[length - 1] == '/'))
            continue;
        if (length + 1 >= PATH_BYTES_MAX)
            return -ENAMETOOLONG;
        ret[length++] = byte;
    }
    ret[length] = '\0';
    return 0;
}

static bool part_is(const char *part, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(part, name, length) == 0;
}

int path_from_target(const char *target, char ret[PATH_BYTES_MAX])
{
    char path[PATH_BYTES_MAX] = "";
    int r = decode(skip_authority(target), path);

    if (r < 0)
        return r;
    for (const char *part = path; *part != '\0';) {
        size_t length = strcspn(part, "/");

        if (part_is(part, length, ".") || part_is(part, length, ".."))
            return -EACCES;
        if (part == path && part_is(part, length, PATH_SESSIONS))
            return -EACCES;
        part += length + (part[length] == '/');
    }
    memcpy(ret, path, strlen(path) + 1);
    return 0;
}

enum path_state path_look(int root_fd, const char *path)
{
    struct stat st;
    const char *slash;
    char parent[PATH_BYTES_MAX];

    if (path[0] == '\0' || path[strlen(path) - 1] == '/')
        return PATH_FOLDER;
    if (fstatat(root_fd, path, &st, 0) == 0)
        return S_ISDIR(st.st_mode) ? PATH_FOLDER : PATH_FILE;
    slash = strrchr(path, '/');
    if (slash == NULL)
        return PATH_FREE;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    if (fstatat(root_fd, parent, &st, 0) == 0 && S_ISDIR(st.st_mode))
        return PATH_FREE;
    return PATH_NO_PARENT;
}

int path_make_parents(int root_fd, const char *path)
{
    char folder[PATH_BYTES_MAX];

    memcpy(folder, path, strlen(path) + 1);
    for (char *slash = strchr(folder, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(root_fd, folder, 0777) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}
