/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "download.h"
#include "server.h"

static void refuse(struct request *request, unsigned status)
{
    answer_plain(&request->answer, status);
    request->answered = true;
}

static int open_temporary(struct request *request)
{
    snprintf(request->file_temporary, sizeof(request->file_temporary), PATH_SESSIONS "/%ld-put-%" PRIu64,
             (long)getpid(), request->n);
    request->file_fd =
        openat(request->server->root_fd, request->file_temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return request->file_fd < 0 ? -errno : 0;
}

static void begin_put(struct request *request)
{
    const struct options *options = &request->server->options;
    enum path_state state;
    int r = request->path_error;

    if (request->content_length > options->max_request_bytes || request->content_length > options->max_upload_bytes)
        return refuse(request, 413);
    if (request_header(request, "Content-Range") != NULL)
        return refuse(request, 400); /* part of a file: taking it for the whole would lose the rest */
    if (r < 0)
        return refuse(request, http_status_of(r));
    state = path_look(request->server->root_fd, request->path);
    if (state == PATH_FOLDER)
        return refuse(request, 400);
    if (state == PATH_FILE && !options->overwrite)
        return refuse(request, 409);
    if (state == PATH_NO_PARENT && options->make_parents)
        r = path_make_parents(request->server->root_fd, request->path);
    else if (state == PATH_NO_PARENT)
        r = -ENOENT;
    if (r == 0)
        r = open_temporary(request);
    if (r < 0)
        refuse(request, http_status_of(r));
}

static void end_put(struct request *request)
{
    struct server *server = request->server;
    bool existed = path_look(server->root_fd, request->path) == PATH_FILE;
    int r = publish_rename(server->root_fd, request->file_temporary, request->path, server->options.overwrite);

    if (r < 0)
        return refuse(request, http_status_of(r));
    close(request->file_fd);
    request->file_fd = -1;
    answer_plain(&request->answer, existed ? 204 : 201);
}

void file_begin(struct request *request)
{
    if (!auth_check(request))
        return;
    if (request->packet == PACKET_PUT && request_wanted(request))
        begin_put(request);
    else if (request->packet == PACKET_OTHER) {
        refuse(request, 405);
        answer_set(&request->answer, "Allow", "BITS_POST, GET, HEAD, PUT");
    }
}

void file_body(struct request *request, const char *data, size_t length)
{
    uint64_t position = request->body_received;

    if (request->answered || request->file_fd < 0)
        return;
    while (length > 0) {
        ssize_t n = pwrite(request->file_fd, data, length, (off_t)position);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(request, http_status_of(-errno));
        data += n;
        length -= (size_t)n;
        position += (uint64_t)n;
    }
}

void file_end(struct request *request)
{
    if (request->answered)
        return;
    if (!request_wanted(request))
        answer_plain(&request->answer, 200);
    else if (request->packet == PACKET_PUT)
        end_put(request);
    else
        download(request);
}

void file_done(struct request *request)
{
    if (request->file_fd < 0)
        return;
    close(request->file_fd);
    request->file_fd = -1;
    unlinkat(request->server->root_fd, request->file_temporary, 0);
}
