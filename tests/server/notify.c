/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notify.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "reply.h"
#include "server.h"
#include "text.h"

#define ERROR_APPLICATION_TIMEOUT 0x80070112u
#define ERROR_CANNOT_CONNECT      0x80072EFDu
#define HTTP_ERROR_BASE           0x80190000u

/* One call. The file descriptors are closed with it. */
struct call {
    const struct request *request;
    const struct reply *reply;
    CURL *curl;
    struct curl_slist *headers;
    char *url;
    FILE *body;
    int reply_fd;
    struct notify_result result;
};

/* "http://host/dir/file?query" of the request; the caller frees. */
static char *original_url(const struct request *request)
{
    const char *host = request_header(request, "Host");
    char *url;

    if (request->target[0] != '/')
        return strdup(request->target);
    if (asprintf(&url, "%s://%s%s", request->server->options.tls_cert != NULL ? "https" : "http",
                 host != NULL ? host : "localhost", request->target) < 0)
        return NULL;
    return url;
}

/* The application's URL: a relative one replaces the last part of the original's path; the query goes with it. */
static char *application_url(const char *configured, const char *original)
{
    size_t path_end = strcspn(original, "?");
    const char *query = original[path_end] == '?' ? original + path_end + 1 : NULL;
    size_t folder = path_end;
    const char *scheme = "", *joint = query == NULL ? "" : strchr(configured, '?') != NULL ? "&" : "?";
    char *url;

    if (strstr(configured, "://") != NULL) {
        folder = 0;
    } else {
        while (folder > 0 && original[folder - 1] != '/')
            folder--;
        if (strncmp(original, "https://", strlen("https://")) == 0) { /* applications are called over http only */
            scheme = "http";
            original += strlen("https");
            folder -= strlen("https");
        }
    }
    if (asprintf(&url, "%s%.*s%s%s%s", scheme, (int)folder, original, configured, joint, query != NULL ? query : "") <
        0)
        return NULL;
    return url;
}

static void add_header(struct call *call, const char *name, const char *value)
{
    struct curl_slist *list;
    char *line;

    if (asprintf(&line, "%s: %s", name, value) < 0)
        return;
    list = curl_slist_append(call->headers, line);
    assert(list != NULL);
    call->headers = list;
    free(line);
}

/* NAME below the root as a path that another process can open. */
static void add_file_header(struct call *call, const char *header, const char *name)
{
    char *root = realpath(call->request->server->options.root, NULL), *path;

    if (root == NULL || asprintf(&path, "%s/%s", root, name) < 0) {
        free(root);
        return;
    }
    add_header(call, header, path);
    free(path);
    free(root);
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    static const char copy[] = "BITS-Copy-File-To-Destination:", static_url[] = "BITS-Static-Response-URL:";
    struct call *call = context;
    size_t length = size * count;

    if (length >= strlen(copy) && strncasecmp(line, copy, strlen(copy)) == 0)
        call->result.copy = true;
    if (length >= strlen(static_url) && strncasecmp(line, static_url, strlen(static_url)) == 0) {
        char *value = strndup(line + strlen(static_url), length - strlen(static_url));

        free(call->result.static_url);
        call->result.static_url = NULL;
        if (value != NULL) {
            value[strcspn(value, "\r\n")] = '\0';
            call->result.static_url = strdup(value + strspn(value, " \t"));
        }
        free(value);
    }
    return length;
}

/* Keeps the body of a 200 as the reply; by reference, the application has written it itself. */
static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct call *call = context;
    size_t length = size * count, done = 0;
    long status = 0;

    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (call->request->server->options.notify_type != NOTIFY_BY_VALUE || status != 200)
        return length;
    if (call->reply_fd < 0)
        call->reply_fd =
            openat(call->request->server->root_fd, call->reply->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    while (call->reply_fd >= 0 && done < length) {
        ssize_t n = write(call->reply_fd, data + done, length - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return 0;
        done += (size_t)n;
    }
    return done;
}

/* libcurl asks at least once a second: the server must be able to end in the middle of a call. */
static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct call *call = context;
    struct pollfd stop = {.fd = call->request->server->stop_fd, .events = POLLIN};

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return poll(&stop, 1, 0) > 0;
}

static int prepare_body(struct call *call)
{
    const struct request *request = call->request;
    const char *data = session_data(request->upload.session);
    struct stat st;
    int fd;

    curl_easy_setopt(call->curl, CURLOPT_POST, 1L);
    if (request->server->options.notify_type == NOTIFY_BY_REFERENCE) {
        add_file_header(call, "BITS-Request-DataFile-Name", data);
        add_file_header(call, "BITS-Response-DataFile-Name", call->reply->file);
        curl_easy_setopt(call->curl, CURLOPT_POSTFIELDS, "");
        return 0;
    }
    fd = openat(request->server->root_fd, data, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    call->body = fdopen(fd, "r");
    curl_easy_setopt(call->curl, CURLOPT_READDATA, call->body);
    curl_easy_setopt(call->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)st.st_size);
    return 0;
}

static int prepare(struct call *call)
{
    const struct options *options = &call->request->server->options;
    char *original = original_url(call->request);

    if (original == NULL)
        return -ENOMEM;
    call->url = application_url(options->notify_url, original);
    add_header(call, "BITS-Original-Request-URL", original);
    free(original);
    add_header(call, "User-Agent", "BITSExts 1.5");
    add_header(call, "Content-Type", "");
    add_header(call, "Expect", "");
    curl_easy_setopt(call->curl, CURLOPT_URL, call->url);
    curl_easy_setopt(call->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(call->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(call->curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(call->curl, CURLOPT_TIMEOUT_MS, (long)(options->notify_timeout_usec / USEC_PER_MSEC));
    curl_easy_setopt(call->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(call->curl, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(call->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(call->curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(call->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(call->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(call->curl, CURLOPT_XFERINFODATA, call);
    return prepare_body(call);
}

static void judge(struct call *call, CURLcode code)
{
    struct notify_result *result = &call->result;
    long status = 0;

    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OPERATION_TIMEDOUT) {
        result->status = 408;
        result->hresult = ERROR_APPLICATION_TIMEOUT;
    } else if (code != CURLE_OK || status < 200) {
        result->status = 500;
        result->hresult = ERROR_CANNOT_CONNECT;
    } else if (status != 200) {
        result->status = (unsigned)status;
        result->hresult = HTTP_ERROR_BASE + (unsigned)status;
    } else if (result->static_url != NULL && strlen(result->static_url) > REPLY_URL_MAX) {
        result->status = 400;
        result->hresult = E_INVALIDARG;
    } else {
        result->status = 200;
    }
}

void notify_application(const struct request *request, const struct reply *reply, struct notify_result *ret)
{
    struct call call = {.request = request, .reply = reply, .curl = curl_easy_init(), .reply_fd = -1};

    assert(call.curl != NULL);
    unlinkat(request->server->root_fd, reply->file, 0); /* of a call that failed half-way */
    if (prepare(&call) == 0) {
        curl_easy_setopt(call.curl, CURLOPT_HTTPHEADER, call.headers);
        judge(&call, curl_easy_perform(call.curl));
    } else {
        call.result.status = 500;
        call.result.hresult = ERROR_CANNOT_CONNECT;
    }
    if (call.result.status != 200 || call.result.static_url != NULL)
        unlinkat(request->server->root_fd, reply->file, 0);
    if (call.body != NULL)
        fclose(call.body);
    if (call.reply_fd >= 0)
        close(call.reply_fd);
    curl_easy_cleanup(call.curl);
    curl_slist_free_all(call.headers);
    free(call.url);
    *ret = call.result;
}
