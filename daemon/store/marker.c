/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/marker.h"

#include "base/crc32c.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define MARKER_TEMPORARY MARKER_NAME ".new"
#define MARKER_BYTES_MAX 256
#define UUID_TEXT        ((size_t)2 * SCHEMA_UUID_BYTES)

static int decode_uuid(const char *text, uint8_t uuid[static SCHEMA_UUID_BYTES])
{
    for (size_t i = 0; i < SCHEMA_UUID_BYTES; i++) {
        uint32_t byte;
        if (parse_hex32_n(text + 2 * i, 2, &byte) < 0)
            return -EBADMSG;
        uuid[i] = (uint8_t)byte;
    }
    return 0;
}

/* The text behind WORD at the start of *AT, up to its newline; *AT moves behind that. */
static int take_line(const char **at, const char *word, const char **ret, size_t *ret_length)
{
    size_t length = strlen(word);
    const char *end = strchr(*at, '\n');

    if (!end || strncmp(*at, word, length) != 0)
        return -EBADMSG;
    *ret = *at + length;
    *ret_length = (size_t)(end - *ret);
    *at = end + 1;
    return 0;
}

static int decode(const char *text, struct marker *ret)
{
    const char *at = text, *value = NULL;
    size_t length = 0;
    struct marker marker;
    uint32_t checksum;

    if (take_line(&at, "bitsq-marker 1", &value, &length) < 0 || length != 0)
        return -EBADMSG;
    if (take_line(&at, "queue ", &value, &length) < 0 || length != UUID_TEXT || decode_uuid(value, marker.uuid) < 0)
        return -EBADMSG;
    if (take_line(&at, "reserved ", &value, &length) < 0 || parse_u64_n(value, length, &marker.reserved) < 0)
        return -EBADMSG;
    size_t covered = (size_t)(at - text);
    if (take_line(&at, "checksum ", &value, &length) < 0 || parse_hex32_n(value, length, &checksum) < 0)
        return -EBADMSG;
    if (*at != '\0' || checksum != crc32c(text, covered))
        return -EBADMSG;
    *ret = marker;
    return 0;
}

int marker_read(int directory_fd, struct marker *ret)
{
    _cleanup_close_ int fd = openat(directory_fd, MARKER_NAME, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char text[MARKER_BYTES_MAX + 1];

    if (fd < 0)
        return -errno;
    ssize_t size = pread(fd, text, MARKER_BYTES_MAX, 0);
    if (size < 0)
        return errno == EISDIR ? -EBADMSG : -errno;
    text[size] = '\0';
    return strlen(text) == (size_t)size ? decode(text, ret) : -EBADMSG;
}

static int write_file(int directory_fd, const char *text, size_t size)
{
    _cleanup_close_ int fd =
        openat(directory_fd, MARKER_TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, size);
    if (written < 0)
        return -errno;
    if ((size_t)written != size)
        return -ENOSPC;
    return fsync(fd) < 0 ? -errno : 0;
}

int marker_write(int directory_fd, const struct marker *marker)
{
    char text[MARKER_BYTES_MAX], uuid[UUID_TEXT + 1];

    for (size_t i = 0; i < SCHEMA_UUID_BYTES; i++)
        (void)snprintf(uuid + 2 * i, 3, "%02x", (unsigned)marker->uuid[i]);
    int length = snprintf(text, sizeof(text), "bitsq-marker 1\nqueue %s\nreserved %llu\n", uuid,
                          (unsigned long long)marker->reserved);
    length += snprintf(text + length, sizeof(text) - (size_t)length, "checksum %08x\n", crc32c(text, (size_t)length));
    int r = write_file(directory_fd, text, (size_t)length);
    if (r < 0)
        return r;
    if (renameat(directory_fd, MARKER_TEMPORARY, directory_fd, MARKER_NAME) < 0)
        return -errno;
    return fsync(directory_fd) < 0 ? -errno : 0;
}
