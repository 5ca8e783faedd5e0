/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/rawserver.h"

#include "base/crc32c.h"
#include "base/parse.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 32
#define REQUESTS_MAX    64
#define HEAD_MAX        8192
#define BODY_KEPT_MAX   ((size_t)1 << 20)

struct raw_request {
    unsigned connection;
    char head[HEAD_MAX];
    uint64_t body_bytes;
    uint64_t length;
    unsigned char *body; /* BODY_KEPT_MAX at most */
};

struct raw_connection {
    struct raw_server *server;
    unsigned number;
    int fd;
    pthread_t thread;
    void *stream;                /* of the channel; NULL = plain */
    struct raw_request *request; /* the last one */
    char buffer[65536];          /* read behind the head */
    size_t buffered;
};

struct raw_server {
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    unsigned released;
    const struct raw_step *const *scripts;
    size_t scripts_count;
    const struct raw_channel *channel;
    struct raw_connection *connections[CONNECTIONS_MAX];
    size_t connections_count;
    struct raw_request *requests[REQUESTS_MAX];
    size_t requests_count;
};

static bool fill(struct raw_connection *connection)
{
    char *end = connection->buffer + connection->buffered;
    size_t room = sizeof(connection->buffer) - connection->buffered;
    ssize_t n = connection->stream ? connection->server->channel->receive(connection->stream, end, room)
                                   : recv(connection->fd, end, room, 0);

    if (n <= 0)
        return false;
    connection->buffered += (size_t)n;
    return true;
}

static void take(struct raw_connection *connection, size_t bytes)
{
    memmove(connection->buffer, connection->buffer + bytes, connection->buffered - bytes);
    connection->buffered -= bytes;
}

static uint64_t content_length(const char *head)
{
    const char *line = strcasestr(head, "\r\nContent-Length: ");
    uint64_t length = 0;

    if (line) {
        const char *digits = line + strlen("\r\nContent-Length: ");
        (void)parse_u64_n(digits, strcspn(digits, "\r"), &length);
    }
    return length;
}

static void note_request(struct raw_connection *connection, size_t head_bytes)
{
    struct raw_server *server = connection->server;
    struct raw_request *request = calloc(1, sizeof(*request));

    assert(request && head_bytes < HEAD_MAX);
    request->connection = connection->number;
    memcpy(request->head, connection->buffer, head_bytes);
    request->length = content_length(request->head);
    request->body = malloc(request->length < BODY_KEPT_MAX ? request->length + 1 : BODY_KEPT_MAX);
    assert(request->body);
    connection->request = request;
    (void)pthread_mutex_lock(&server->lock);
    assert(server->requests_count < REQUESTS_MAX);
    server->requests[server->requests_count++] = request;
    (void)pthread_mutex_unlock(&server->lock);
}

static bool read_head(struct raw_connection *connection)
{
    char *end;

    while (!(end = memmem(connection->buffer, connection->buffered, "\r\n\r\n", 4)))
        if (connection->buffered == sizeof(connection->buffer) || !fill(connection))
            return false;
    size_t bytes = (size_t)(end - connection->buffer) + 4;
    note_request(connection, bytes);
    take(connection, bytes);
    return true;
}

static bool read_body(struct raw_connection *connection, uint64_t bytes)
{
    struct raw_request *request = connection->request;

    while (bytes > 0) {
        if (connection->buffered == 0 && !fill(connection))
            return false;
        size_t n = connection->buffered < bytes ? connection->buffered : (size_t)bytes;
        (void)pthread_mutex_lock(&connection->server->lock);
        if (request->body_bytes + n <= BODY_KEPT_MAX)
            memcpy(request->body + request->body_bytes, connection->buffer, n);
        request->body_bytes += n;
        (void)pthread_mutex_unlock(&connection->server->lock);
        take(connection, n);
        bytes -= n;
    }
    return true;
}

static bool send_text(struct raw_connection *connection, const struct raw_step *step)
{
    for (size_t i = 0; i < step->count; i++) {
        const char *text = step->text;
        size_t left = strlen(text);
        while (left > 0) {
            ssize_t n = connection->stream ? connection->server->channel->send(connection->stream, text, left)
                                           : send(connection->fd, text, left, MSG_NOSIGNAL);
            if (n <= 0)
                return false;
            text += n;
            left -= (size_t)n;
        }
    }
    return true;
}

static bool wait_for_release(struct raw_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    while (server->released == 0 && !server->stopping)
        (void)pthread_cond_wait(&server->changed, &server->lock);
    bool go_on = !server->stopping;
    if (go_on)
        server->released--;
    (void)pthread_mutex_unlock(&server->lock);
    return go_on;
}

static bool secure(struct raw_connection *connection)
{
    const struct raw_channel *channel = connection->server->channel;

    assert(channel && connection->buffered == 0);
    if (!connection->stream)
        connection->stream = channel->open(channel->userdata, connection->fd);
    return connection->stream != NULL;
}

static void end_channel(struct raw_connection *connection)
{
    if (connection->stream)
        connection->server->channel->close(connection->stream);
    connection->stream = NULL;
}

static void close_connection(struct raw_connection *connection, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    end_channel(connection);
    (void)pthread_mutex_lock(&connection->server->lock);
    if (reset)
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void)close(connection->fd);
    connection->fd = -1;
    (void)pthread_mutex_unlock(&connection->server->lock);
}

/* Returns whether the script goes on. */
static bool play(struct raw_connection *connection, const struct raw_step *step)
{
    switch (step->action) {
    case RAW_READ:
        return read_head(connection) && read_body(connection, connection->request->length);
    case RAW_HEAD:
        return read_head(connection);
    case RAW_BODY:
        return read_body(connection, step->count);
    case RAW_SEND:
        return send_text(connection, step);
    case RAW_WAIT:
        return wait_for_release(connection->server);
    case RAW_SECURE:
        return secure(connection);
    case RAW_CLOSE:
    case RAW_RESET:
        close_connection(connection, step->action == RAW_RESET);
        return false;
    case RAW_AGAIN:
        return true;
    case RAW_END:
        break;
    }
    return false;
}

static void *connection_thread(void *userdata)
{
    struct raw_connection *connection = userdata;
    struct raw_server *server = connection->server;
    size_t script = connection->number < server->scripts_count ? connection->number : server->scripts_count - 1;
    const struct raw_step *first = server->scripts[script], *step = first;

    while (play(connection, step))
        step = step->action == RAW_AGAIN ? first : step + 1;
    /* A peer that could not agree on the channel waits for the end of it. */
    if (step->action == RAW_SECURE && !connection->stream)
        (void)shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void *accept_thread(void *userdata)
{
    struct raw_server *server = userdata;
    int fd;

    for (;;) {
        fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EMFILE) { /* a test takes all descriptors away for a moment */
            (void)sched_yield();
            continue;
        }
        if (fd < 0)
            return NULL;
        struct raw_connection *connection = calloc(1, sizeof(*connection));
        (void)pthread_mutex_lock(&server->lock);
        assert(connection && server->connections_count < CONNECTIONS_MAX);
        connection->server = server;
        connection->fd = fd;
        connection->number = (unsigned)server->connections_count;
        server->connections[server->connections_count++] = connection;
        int r = pthread_create(&connection->thread, NULL, connection_thread, connection);
        assert(r == 0);
        (void)pthread_mutex_unlock(&server->lock);
    }
}

int raw_server_new(const struct raw_step *const *scripts, size_t scripts_count, struct raw_server **ret)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    struct raw_server *server = calloc(1, sizeof(*server));

    if (!server)
        return -ENOMEM;
    server->scripts = scripts;
    server->scripts_count = scripts_count;
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->changed, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, size) < 0 || listen(server->fd, 16) < 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &size) < 0 ||
        pthread_create(&server->thread, NULL, accept_thread, server) != 0) {
        int r = -errno;
        if (server->fd >= 0)
            (void)close(server->fd);
        free(server);
        return r;
    }
    server->port = ntohs(address.sin_port);
    *ret = server;
    return 0;
}

static void stop_connections(struct raw_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    (void)pthread_cond_broadcast(&server->changed);
    for (size_t i = 0; i < server->connections_count; i++)
        if (server->connections[i]->fd >= 0)
            (void)shutdown(server->connections[i]->fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&server->lock);
}

struct raw_server *raw_server_free(struct raw_server *server)
{
    if (!server)
        return NULL;
    (void)shutdown(server->fd, SHUT_RDWR); /* wakes accept(2) */
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
    stop_connections(server);
    for (size_t i = 0; i < server->connections_count; i++) {
        (void)pthread_join(server->connections[i]->thread, NULL);
        end_channel(server->connections[i]);
        if (server->connections[i]->fd >= 0)
            (void)close(server->connections[i]->fd);
        free(server->connections[i]);
    }
    for (size_t i = 0; i < server->requests_count; i++) {
        free(server->requests[i]->body);
        free(server->requests[i]);
    }
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}

void raw_server_secure(struct raw_server *server, const struct raw_channel *channel)
{
    server->channel = channel;
}

uint16_t raw_server_port(const struct raw_server *server)
{
    return server->port;
}

void raw_server_release(struct raw_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->released++;
    (void)pthread_cond_signal(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

size_t raw_server_connections(struct raw_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    size_t count = server->connections_count;
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

size_t raw_server_closed(struct raw_server *server)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->connections_count; i++)
        count += server->connections[i]->fd < 0;
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

size_t raw_server_requests(struct raw_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    size_t count = server->requests_count;
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

static struct raw_request *get_request(struct raw_server *server, size_t request)
{
    (void)pthread_mutex_lock(&server->lock);
    assert(request < server->requests_count);
    struct raw_request *found = server->requests[request];
    (void)pthread_mutex_unlock(&server->lock);
    return found;
}

const char *raw_server_head(struct raw_server *server, size_t request)
{
    return get_request(server, request)->head;
}

unsigned raw_server_connection_of(struct raw_server *server, size_t request)
{
    return get_request(server, request)->connection;
}

uint64_t raw_server_body_bytes(struct raw_server *server, size_t request)
{
    struct raw_request *found = get_request(server, request);

    (void)pthread_mutex_lock(&server->lock);
    uint64_t bytes = found->body_bytes;
    (void)pthread_mutex_unlock(&server->lock);
    return bytes;
}

uint32_t raw_server_body_crc32c(struct raw_server *server, size_t request)
{
    struct raw_request *found = get_request(server, request);

    (void)pthread_mutex_lock(&server->lock);
    assert(found->body_bytes <= BODY_KEPT_MAX);
    uint32_t crc = crc32c(found->body, found->body_bytes);
    (void)pthread_mutex_unlock(&server->lock);
    return crc;
}
