/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

struct log {
    int fd;
};

int log_open(const char *path, struct log **ret)
{
    struct log *log = calloc(1, sizeof(*log));

    if (log == NULL)
        return -ENOMEM;
    log->fd = -1;
    if (path != NULL && strcmp(path, "-") == 0)
        log->fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (path != NULL)
        log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (path != NULL && log->fd < 0) {
        int r = -errno;

        free(log);
        return r;
    }
    *ret = log;
    return 0;
}

struct log *log_close(struct log *log)
{
    if (log == NULL)
        return NULL;
    if (log->fd >= 0)
        close(log->fd);
    free(log);
    return NULL;
}

bool log_wanted(const struct log *log)
{
    return log->fd >= 0;
}

/* Length of the valid UTF-8 sequence at P (shortest form, no surrogates, up to U+10FFFF), or 0. */
static size_t utf8_length(const unsigned char *p)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        length = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        length = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    if (p[0] == 0xed)
        high = 0x9f;
    if (p[0] == 0xf0)
        low = 0x90;
    if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return length;
}

void log_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';) {
        size_t length = utf8_length(p);

        if (length == 0)
            fprintf(out, "\\udc%02x", *p++);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\u%04x", *p++);
        else if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p++);
        else
            for (; length > 0; length--)
                fputc(*p++, out);
    }
    fputc('"', out);
}

static void put_member(FILE *out, const char *name, const char *value)
{
    fprintf(out, ",\"%s\":", name);
    if (value == NULL)
        fputs("null", out);
    else
        log_string(out, value);
}

void log_write(struct log *log, const struct log_entry *entry)
{
    uint64_t next;
    char *line = NULL;
    size_t length = 0;
    FILE *out;

    if (!log_wanted(log))
        return;
    out = open_memstream(&line, &length);
    if (out == NULL)
        return;
    fprintf(out, "{\"n\":%" PRIu64 ",\"connection\":%" PRIu64, entry->n, entry->connection);
    fprintf(out, ",\"time_usec\":%" PRIu64 ",\"end_usec\":%" PRIu64, entry->time_usec, entry->end_usec);
    put_member(out, "method", entry->method);
    put_member(out, "target", entry->target);
    fprintf(out, ",\"headers\":%s", entry->headers);
    put_member(out, "packet", entry->packet);
    put_member(out, "session", entry->session);
    fprintf(out, ",\"body_received\":%" PRIu64, entry->body_received);
    if (entry->status != 0)
        fprintf(out, ",\"status\":%u", entry->status);
    else
        fputs(",\"status\":null", out);
    if (entry->next != NULL && text_parse_u64(entry->next, &next) == 0)
        fprintf(out, ",\"next\":%" PRIu64, next);
    else
        put_member(out, "next", entry->next);
    put_member(out, "fault", entry->fault);
    fprintf(out, ",\"completed\":%s}\n", entry->completed ? "true" : "false");
    if (fclose(out) == 0 && write(log->fd, line, length) < 0)
        fprintf(stderr, "bits-server: cannot write the log: %s\n", strerror(errno));
    free(line);
}
