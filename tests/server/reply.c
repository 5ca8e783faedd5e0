/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reply.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notify.h"
#include "server.h"

struct reply *reply_new(const char *target, const char *temporary, const char *guid)
{
    struct reply *reply = calloc(1, sizeof(*reply));
    const char *slash = strrchr(target, '/');
    int folder = slash != NULL ? (int)(slash - target) + 1 : 0;

    if (reply == NULL)
        return NULL;
    pthread_mutex_init(&reply->lock, NULL);
    snprintf(reply->file, sizeof(reply->file), "%s-reply", temporary);
    snprintf(reply->relative, sizeof(reply->relative), "BITS-Sessions/Replies/%s/responsefile.bin", guid);
    if (asprintf(&reply->path, "%.*s%s", folder, target, reply->relative) < 0) {
        reply->path = NULL;
        return reply_free(reply, -1);
    }
    return reply;
}

struct reply *reply_free(struct reply *reply, int root_fd)
{
    if (reply == NULL)
        return NULL;
    if (root_fd >= 0)
        unlinkat(root_fd, reply->file, 0);
    pthread_mutex_destroy(&reply->lock);
    free(reply->path);
    free(reply->url);
    free(reply);
    return NULL;
}

bool reply_names(const struct reply *reply, const char *path)
{
    return strcmp(reply->path, path) == 0;
}

bool reply_wants_copy(struct reply *reply)
{
    bool copy;

    pthread_mutex_lock(&reply->lock);
    copy = reply->status == 200 && reply->copy;
    pthread_mutex_unlock(&reply->lock);
    return copy;
}

/* The value of BITS-Reply-URL as the options spell it; the caller frees. */
static char *reply_url(const struct request *request, const struct reply *reply)
{
    const struct options *options = &request->server->options;
    const char *host = request_header(request, "Host");
    char *url = NULL;
    int r = 0;

    switch (options->reply_url) {
    case REPLY_URL_BACKSLASH:
        url = strdup(reply->relative);
        for (char *p = url; p != NULL && *p != '\0'; p++)
            if (*p == '/')
                *p = '\\';
        break;
    case REPLY_URL_SLASH:
        url = strdup(reply->relative);
        break;
    case REPLY_URL_ABSOLUTE:
        r = asprintf(&url, "%s://%s/%s", options->tls_cert != NULL ? "https" : "http", host != NULL ? host : "",
                     reply->path);
        break;
    }
    return r < 0 ? NULL : url;
}

static void say_reply_url(struct request *request, const struct reply *reply)
{
    struct stat st;
    char *url;

    if (reply->url != NULL) {
        answer_set(&request->answer, "BITS-Reply-URL", "%s", reply->url);
        return;
    }
    if (fstatat(request->server->root_fd, reply->file, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return; /* the application gave none */
    url = reply_url(request, reply);
    if (url != NULL)
        answer_set(&request->answer, "BITS-Reply-URL", "%s", url);
    free(url);
}

static void call_application(struct request *request, struct reply *reply)
{
    struct notify_result result = {0};

    notify_application(request, reply, &result);
    reply->status = result.status;
    reply->hresult = result.hresult;
    reply->copy = result.copy;
    free(reply->url);
    reply->url = result.static_url;
}

void reply_finish(struct request *request)
{
    struct reply *reply = session_reply(request->upload.session);
    const struct options *options = &request->server->options;
    char code[16];

    pthread_mutex_lock(&reply->lock);
    if (reply->status != 200 && reply->status != 403)
        call_application(request, reply);
    answer_ack(&request->answer, reply->status);
    if (reply->status == 200) {
        say_reply_url(request, reply);
    } else {
        bool own = reply->hresult == E_INVALIDARG; /* our complaint about what the application said */

        snprintf(code, sizeof(code), "0x%08X", reply->hresult);
        answer_error(&request->answer, options->error_header, code, own ? "0x5" : "0x7");
    }
    pthread_mutex_unlock(&reply->lock);
}
