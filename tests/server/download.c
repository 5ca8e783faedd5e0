/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "download.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server.h"
#include "text.h"

#define VALIDATOR_MAX 64 /* characters of an ETag or a date, with the NUL */

/* Later than any clock's grain, so that each change shows in Last-Modified. */
#define REDATE_SEC 60

unsigned http_status_of(int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
        return 404;
    case -EINVAL:
    case -EISDIR:
        return 400;
    case -EACCES:
    case -EPERM:
        return 403;
    case -EEXIST:
        return 409;
    case -ENAMETOOLONG:
        return 414;
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return 507;
    default:
        return 500;
    }
}

struct entity {
    int fd;
    uint64_t bytes;
    char etag[VALIDATOR_MAX];
    char modified[VALIDATOR_MAX];
};

enum range {
    RANGE_NONE, /* the whole is sent */
    RANGE_PART,
    RANGE_UNSATISFIABLE,
    RANGE_BAD,
};

/* "bytes=5-9", "bytes=5-", "bytes=-3"; of anything else, several ranges too, the whole may be sent. */
static enum range parse_range(const char *text, uint64_t total, bool closed_only, uint64_t *ret_first,
                              uint64_t *ret_last)
{
    char first[24] = "", last[24] = "", rest;
    uint64_t a = 0, b = UINT64_MAX;
    bool from_end = strncmp(text, "bytes=-", 7) == 0;
    int n = from_end ? sscanf(text, "bytes=-%23[0-9]%c", last, &rest)
                     : sscanf(text, "bytes=%23[0-9]-%23[0-9]%c", first, last, &rest);

    if (n < 1 || n > 2 || (from_end && n != 1) || (!from_end && strchr(text, '-') == NULL))
        return RANGE_NONE;
    if (first[0] != '\0' && text_parse_u64(first, &a) < 0)
        return RANGE_NONE;
    if (last[0] != '\0' && text_parse_u64(last, &b) < 0)
        return RANGE_NONE;
    if (closed_only && (from_end || last[0] == '\0'))
        return RANGE_BAD;
    if (from_end) {
        if (b == 0)
            return RANGE_UNSATISFIABLE;
        a = b < total ? total - b : 0;
        b = UINT64_MAX;
    }
    if (a > b)
        return RANGE_NONE;
    if (a >= total)
        return RANGE_UNSATISFIABLE;
    *ret_first = a;
    *ret_last = b < total ? b : total - 1;
    return RANGE_PART;
}

/* A rule wants another entity from now on. */
static int change_entity(int fd, const struct fault_plan *plan)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    struct stat st;

    if (!plan->redate && plan->replace == NULL)
        return 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (plan->replace != NULL && (ftruncate(fd, 0) < 0 || pwrite(fd, plan->replace, strlen(plan->replace), 0) < 0))
        return -errno;
    times[1] = (struct timespec){.tv_sec = st.st_mtim.tv_sec + REDATE_SEC};
    return futimens(fd, times) < 0 ? -errno : 0;
}

static int open_entity(const struct request *request, struct entity *ret)
{
    struct server *server = request->server;
    const struct fault_plan *plan = &request->plan;
    int flags = plan->replace != NULL ? O_RDWR : O_RDONLY, fd, r;
    struct stat st;
    struct tm tm;

    if (request->path_error < 0)
        return request->path_error;
    fd = session_open_reply(server->sessions, request->path, flags);
    if (fd == -ENOENT) {
        fd = openat(server->root_fd, request->path, flags | O_CLOEXEC | O_NONBLOCK);
        fd = fd < 0 ? -errno : fd;
    }
    if (fd < 0)
        return fd;
    r = change_entity(fd, plan);
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0 && !S_ISREG(st.st_mode))
        r = -ENOENT;
    if (r < 0) {
        close(fd);
        return r;
    }
    ret->fd = fd;
    ret->bytes = (uint64_t)st.st_size;
    snprintf(ret->etag, sizeof(ret->etag), "\"%jx-%jx\"", (uintmax_t)st.st_mtim.tv_sec, (uintmax_t)st.st_size);
    gmtime_r(&st.st_mtim.tv_sec, &tm);
    strftime(ret->modified, sizeof(ret->modified), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return 0;
}

static enum range wanted_range(const struct request *request, const struct entity *entity, uint64_t *ret_first,
                               uint64_t *ret_last)
{
    const char *range = request_header(request, "Range"), *condition = request_header(request, "If-Range");

    if (range == NULL || request->plan.no_range)
        return RANGE_NONE;
    if (condition != NULL && strcmp(condition, entity->etag) != 0 && strcmp(condition, entity->modified) != 0)
        return RANGE_NONE;
    return parse_range(range, entity->bytes, request->server->options.closed_ranges, ret_first, ret_last);
}

static void answer_entity(struct request *request, struct entity *entity)
{
    struct answer *answer = &request->answer;
    uint64_t first = 0, last = 0;
    enum range range = wanted_range(request, entity, &first, &last);

    switch (range) {
    case RANGE_BAD:
    case RANGE_UNSATISFIABLE:
        close(entity->fd);
        answer_plain(answer, range == RANGE_BAD ? 400 : 416);
        if (range == RANGE_UNSATISFIABLE)
            answer_set(answer, "Content-Range", "bytes */%" PRIu64, entity->bytes);
        return;
    case RANGE_PART:
        answer_plain(answer, 206);
        answer_set(answer, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last, entity->bytes);
        answer->file_first = first;
        answer->file_bytes = last - first + 1;
        break;
    case RANGE_NONE:
        answer_plain(answer, 200);
        answer->file_bytes = entity->bytes;
        break;
    }
    answer->file_fd = entity->fd;
    answer_set(answer, "Content-Type", "application/octet-stream");
    answer_set(answer, "Accept-Ranges", "bytes");
    answer_set(answer, "ETag", "%s", entity->etag);
    answer_set(answer, "Last-Modified", "%s", entity->modified);
}

void download(struct request *request)
{
    struct entity entity;
    int r = open_entity(request, &entity);

    if (r < 0) {
        answer_plain(&request->answer, http_status_of(r));
        request->answered = true;
        return;
    }
    answer_entity(request, &entity);
}
