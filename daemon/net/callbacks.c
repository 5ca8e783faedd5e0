/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libcurl calls while it acts. Nothing here calls back into libcurl. */
#include "net/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void format_address(struct transfer *transfer, const char *ip, int port)
{
    (void)snprintf(transfer->address, sizeof(transfer->address), strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip, port);
}

/* So that a connection that fails can be told with the address that it was for. */
static void note_address(struct transfer *transfer, const struct curl_sockaddr *address)
{
    char ip[INET6_ADDRSTRLEN];
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->family == AF_INET && address->addrlen >= sizeof(v4)) {
        memcpy(&v4, &address->addr, sizeof(v4));
        if (inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof(ip)))
            format_address(transfer, ip, ntohs(v4.sin_port));
    } else if (address->family == AF_INET6 && address->addrlen >= sizeof(v6)) {
        memcpy(&v6, &address->addr, sizeof(v6));
        if (inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof(ip)))
            format_address(transfer, ip, ntohs(v6.sin6_port));
    }
}

curl_socket_t connection_on_open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer_connection *connection = userdata;

    (void)purpose;
    connection->socket_opened = true;
    if (connection->transfer) {
        note_address(connection->transfer, address);
        if (transfer_begin_leg(connection->transfer))
            transfer_touch(connection->transfer, TRANSFER_CONNECTING);
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd >= 0) {
        connection_add_socket(connection, fd);
        return fd;
    }
    /* Not that this kernel has no IPv6, which only means that another address is tried. */
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
        connection->socket_error = -errno;
    return CURL_SOCKET_BAD;
}

int connection_on_close_socket(void *userdata, curl_socket_t fd)
{
    struct transfer_connection *connection = userdata;

    if (connection->transfer)
        transfer_take_last_words(connection->transfer, fd);
    connection_drop_socket(connection, fd);
    return close(fd);
}

static void note_connection(struct transfer *transfer, const char *remote_ip, int remote_port, int local_port)
{
    struct transfer_connection *connection = transfer->connection;

    if (connection->socket_opened || connection->number == 0 || connection->local_port != local_port)
        connection->number = ++transfer->net->connections_count;
    connection->socket_opened = false;
    connection->local_port = local_port;
    transfer->connected = true;
    format_address(transfer, remote_ip, remote_port);
}

/*
 * Connected; the head goes out next. On a reused connection that the server closed meanwhile libcurl would connect anew
 * and send the request once more, with success as the result, and nobody would know that the server saw it twice.
 */
int transfer_on_request(void *userdata, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct transfer *transfer = userdata;

    (void)local_ip;
    if (transfer->heads_sent > 0 && !transfer_begin_leg(transfer)) {
        transfer->resend_refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    note_connection(transfer, remote_ip, remote_port, local_port);
    if (transfer_lacks_authentication(transfer)) {
        transfer->lacks_authentication = true;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer_touch(transfer, TRANSFER_SENDING);
    return CURL_PREREQFUNC_OK;
}

/* Copies from the source; 0 = none there yet. */
static ssize_t read_body(struct transfer *transfer, char *buffer, size_t size)
{
    ssize_t n;

    transfer->inside_read = true;
    do {
        transfer->resumed_inside = false;
        n = transfer->job.body.read(transfer->job.body.userdata, transfer->body_read_bytes, buffer, size);
    } while (n == 0 && transfer->resumed_inside);
    transfer->inside_read = false;
    return n;
}

size_t transfer_on_read(char *buffer, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;
    uint64_t left = transfer->body_bytes - transfer->body_read_bytes;
    size_t wanted = size * count < left ? size * count : (size_t)left;

    if (left == 0)
        return 0;
    /* With "Connection: close" beside the error libcurl would go on, for nobody. */
    if (transfer_has_early_error(transfer))
        return transfer_may_answer(transfer) ? 0 : CURL_READFUNC_ABORT;
    ssize_t n = read_body(transfer, buffer, wanted);
    if (n == 0) {
        transfer->pause = TRANSFER_PAUSED_FOR_SOURCE;
        return CURL_READFUNC_PAUSE;
    }
    if (n == -EAGAIN) {
        transfer->pause = TRANSFER_PAUSED_ON_PURPOSE;
        transfer_stop_clock(transfer);
        return CURL_READFUNC_PAUSE;
    }
    if (n < 0) {
        transfer->source_error = (int)n;
        return CURL_READFUNC_ABORT;
    }
    transfer->pause = TRANSFER_FLOWING;
    transfer->body_read_bytes += (uint64_t)n;
    return (size_t)n;
}

/* A body that was begun goes out again from its start only in answer to a challenge: all else is the session's. */
int transfer_on_seek(void *userdata, curl_off_t offset, int origin)
{
    struct transfer *transfer = userdata;
    bool in_new_leg = transfer->legs > 0 && transfer->heads_sent == 0;

    if (offset == 0 && origin == SEEK_SET && (transfer_may_answer(transfer) || in_new_leg)) {
        transfer->body_read_bytes = 0;
        return CURL_SEEKFUNC_OK;
    }
    transfer->resend_refused = true;
    return CURL_SEEKFUNC_FAIL;
}

/* Only the rest of the response is due now. An upload that is paused must go on to see its end. */
static void stop_sending(struct transfer *transfer)
{
    transfer_touch(transfer, TRANSFER_AWAITING_RESPONSE);
    if (transfer->pause != TRANSFER_FLOWING)
        transfer_wake(transfer);
}

size_t transfer_on_header(char *line, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;

    if (!response_add_line(&transfer->response, line, size * count))
        return 0;
    transfer_note_authenticated(transfer);
    if (transfer->phase == TRANSFER_SENDING && transfer_has_early_error(transfer))
        stop_sending(transfer);
    return size * count;
}

/* Only a part of the reply goes to the sink; the page that explains an error does not. */
static bool is_for_the_sink(const struct transfer *transfer)
{
    int status = transfer->response.ack.status;

    return transfer->sink_bytes > 0 && (status == 200 || status == 206);
}

static bool give_to_sink(struct transfer *transfer, const char *data, size_t size)
{
    if (size > transfer->sink_bytes - transfer->received_bytes) {
        transfer->sink_overflowed = true;
        return false;
    }
    transfer->sink_error = transfer->job.sink.write(transfer->job.sink.userdata, data, size);
    if (transfer->sink_error < 0)
        return false;
    transfer->received_bytes += size;
    transfer_touch(transfer, TRANSFER_AWAITING_RESPONSE); /* it goes on */
    return true;
}

size_t transfer_on_body(char *data, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;

    if (is_for_the_sink(transfer))
        return give_to_sink(transfer, data, size * count) ? size * count : 0;
    return response_add_body(&transfer->response, size * count) ? size * count : 0;
}

/* A head that did not fit into the socket's buffer comes in pieces: the first begins with the method. */
static bool begins_with(const char *verb, const char *data, size_t size)
{
    size_t length = strlen(verb);

    return size > length && memcmp(data, verb, length) == 0 && data[length] == ' ';
}

static void note_sent(struct transfer *transfer, uint64_t bytes)
{
    uint64_t left = transfer->body_bytes - transfer->body_sent_bytes;

    transfer->body_sent_bytes += bytes < left ? bytes : left;
    if (transfer->phase == TRANSFER_SENDING)
        transfer_touch(transfer, transfer->body_sent_bytes == transfer->body_bytes ? TRANSFER_AWAITING_RESPONSE
                                                                                   : TRANSFER_SENDING);
    if (transfer->body_sent_bytes > transfer->progress_bytes && transfer->job.progress)
        transfer->job.progress(transfer->job.userdata, transfer->body_sent_bytes);
    if (transfer->body_sent_bytes > transfer->progress_bytes)
        transfer->progress_bytes = transfer->body_sent_bytes;
}

int transfer_on_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *userdata)
{
    struct transfer *transfer = userdata;

    (void)easy;
    if (type == CURLINFO_HEADER_OUT) {
        if (begins_with(transfer->method, data, size)) {
            transfer->heads_sent++;
            response_begin(&transfer->response);
            if (transfer->first_byte_usec == 0)
                transfer->first_byte_usec = transfer_now(transfer);
        }
        if (transfer->phase == TRANSFER_CONNECTING && begins_with("CONNECT", data, size))
            response_begin(&transfer->response);
        note_sent(transfer, 0);
    } else if (type == CURLINFO_HEADER_IN && transfer->phase == TRANSFER_CONNECTING) {
        /* What a proxy says to CONNECT is seen nowhere else. Too much of it is libcurl's to refuse. */
        (void)response_add_line(&transfer->response, data, size);
    } else if (type == CURLINFO_DATA_OUT) {
        note_sent(transfer, size);
    }
    return 0;
}
