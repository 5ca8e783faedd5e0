/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/upload.h"

#include "base/path.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LIST_RECORD_MAX (4096 + 1 + 2200 + 1) /* bytes: a path, a tab, a URL */

void uploads_done(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->count; i++) {
        free(uploads->uploads[i].source);
        free(uploads->uploads[i].url);
    }
    free(uploads->uploads);
    *uploads = (struct uploads){0};
}

static int fail_source(const struct cli *cli, const char *file, const char *why)
{
    return cli_fail(cli, EXIT_SOURCE, "SourceUnreadable", "cannot queue %s: %s", file, why);
}

static const char *kind_complaint(mode_t mode)
{
    if (S_ISDIR(mode))
        return "it is a directory; queue the files in it: find DIR -type f -print0 | bitsq add --from-file - -0 URL/";
    if (S_ISFIFO(mode))
        return "it is a FIFO, not a regular file; save what comes out of it to a file first";
    if (S_ISSOCK(mode))
        return "it is a socket, not a regular file; name a regular file";
    return "it is a device, not a regular file; copy what is to be sent to a file first";
}

static int check_source(const struct cli *cli, const char *file, const char *path, uint64_t *ret_size)
{
    char why[256];
    struct stat status;

    if (stat(path, &status) < 0) {
        if (errno == ENOENT)
            return fail_source(cli, file, "there is no such file; check its name");
        (void)snprintf(why, sizeof(why), "%s; check its name and who may read its folder", strerror(errno));
        return fail_source(cli, file, why);
    }
    if (!S_ISREG(status.st_mode))
        return fail_source(cli, file, kind_complaint(status.st_mode));
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        (void)snprintf(why, sizeof(why), "it cannot be read: %s; make it readable for you", strerror(errno));
        return fail_source(cli, file, why);
    }
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static int fail_url(const struct cli *cli, const char *file, const char *complaint)
{
    return cli_fail(cli, EXIT_USAGE, "InvalidArgument", "cannot queue %s: the URL cannot be used: %s", file, complaint);
}

int uploads_add(const struct cli *cli, struct uploads *uploads, const char *file, const char *url)
{
    _cleanup_free_ char *path = NULL, *whole = NULL;
    uint64_t size = 0;

    if (strcmp(file, "-") == 0)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "standard input cannot be queued, as it cannot be read again; save it to a file first (a file "
                        "that is called - is ./-)");
    const char *complaint = url_complaint(url);
    if (complaint)
        return fail_url(cli, file, complaint);
    int r = path_make_absolute(file, &path);
    if (r == -EINVAL)
        return fail_source(cli, file, *file == '\0' ? "the name is empty; name a file" : kind_complaint(S_IFDIR));
    if (r < 0)
        return r == -ENOMEM ? cli_fail_memory(cli) : fail_source(cli, file, "its folder is not there; check its name");
    int code = check_source(cli, file, path, &size);
    if (code != 0)
        return code;
    whole = url_keeps_names(url) ? url_append_name(url, strrchr(path, '/') + 1) : strdup(url);
    struct upload *grown = reallocarray(uploads->uploads, uploads->count + 1, sizeof(*grown));
    if (grown)
        uploads->uploads = grown;
    if (!grown || !whole)
        return cli_fail_memory(cli);
    complaint = url_complaint(whole);
    if (complaint)
        return fail_url(cli, file, complaint);
    uploads->uploads[uploads->count++] =
        (struct upload){.source = TAKE_PTR(path), .url = TAKE_PTR(whole), .size = size};
    return 0;
}

static int add_record(const struct cli *cli, struct uploads *uploads, char *record, size_t number, const char *url)
{
    char *tab = url ? NULL : strchr(record, '\t');

    if (!url && !tab)
        return cli_fail(
            cli, EXIT_USAGE, "Usage",
            "entry %zu of the list has no URL; write FILE, a tab and the URL, or give one URL for all behind "
            "the list",
            number);
    if (tab)
        *tab = '\0';
    if (uploads->count >= BITSQ_BATCH_MAX)
        return cli_fail(cli, EXIT_LIMIT, "LimitReached",
                        "the list has more than %d files, which cannot be queued all or none; split it, as with "
                        "xargs -n %d or split -l %d",
                        BITSQ_BATCH_MAX, BITSQ_BATCH_MAX, BITSQ_BATCH_MAX);
    return uploads_add(cli, uploads, record, tab ? tab + 1 : url);
}

static int read_records(const struct cli *cli, struct uploads *uploads, FILE *in, char separator, const char *url)
{
    _cleanup_free_ char *record = NULL;
    size_t room = 0, number = 0;
    ssize_t length;
    int code = 0;

    while (code == 0 && (length = getdelim(&record, &room, separator, in)) >= 0) {
        number++;
        if (length > 0 && record[length - 1] == separator)
            record[--length] = '\0';
        if (length == 0)
            continue;
        if (length >= LIST_RECORD_MAX || strlen(record) != (size_t)length)
            return cli_fail(cli, EXIT_USAGE, "Usage",
                            "entry %zu of the list is too long or has a NUL; with NUL between the files add -0",
                            number);
        code = add_record(cli, uploads, record, number, url);
    }
    if (code == 0 && ferror(in))
        code = cli_fail(cli, EXIT_OTHER, "Failed", "the list cannot be read: %s", strerror(errno));
    return code;
}

int uploads_read_list(const struct cli *cli, struct uploads *uploads, const char *list, char separator, const char *url)
{
    if (strcmp(list, "-") == 0)
        return read_records(cli, uploads, stdin, separator, url);
    FILE *in = fopen(list, "re");
    if (!in)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot read the list %s: %s; check its name", list,
                        strerror(errno));
    int code = read_records(cli, uploads, in, separator, url);
    (void)fclose(in);
    return code;
}

struct reference {
    const struct upload *upload;
};

static int compare_urls(const void *a, const void *b)
{
    const struct reference *first = a, *second = b;

    return strcmp(first->upload->url, second->upload->url);
}

int uploads_check_distinct(const struct cli *cli, const struct uploads *uploads)
{
    _cleanup_free_ struct reference *sorted = calloc(uploads->count + 1, sizeof(*sorted));

    if (!sorted)
        return cli_fail_memory(cli);
    for (size_t i = 0; i < uploads->count; i++)
        sorted[i].upload = &uploads->uploads[i];
    qsort(sorted, uploads->count, sizeof(*sorted), compare_urls);
    for (size_t i = 1; i < uploads->count; i++) {
        if (strcmp(sorted[i - 1].upload->url, sorted[i].upload->url) != 0)
            continue;
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "%s and %s would both become the same file on the server; give them URLs of their own, or add "
                        "them to different folders",
                        sorted[i - 1].upload->source, sorted[i].upload->source);
    }
    return 0;
}
