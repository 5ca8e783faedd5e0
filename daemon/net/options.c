/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options of one exchange. All of them are set each time, and the handle is never reset: a reset would also forget
 * what authentication has learnt about the server.
 */
#include "net/internal.h"

#include "base/moment.h"

#include <limits.h>
#include <string.h>

#define UPLOAD_BUFFER_BYTES     (512 * KIB) /* fewer rounds of the loop a second; the most that libcurl takes is 2 MiB */
#define UPLOAD_BUFFER_TLS_BYTES (64 * KIB)  /* OpenSSL writes records of 16 KiB whatever the buffer */
#define KEEPALIVE_IDLE_SEC      60L         /* below the idle limit of common NATs and firewalls */
#define KEEPALIVE_INTERVAL_SEC  20L

static long to_whole(uint64_t usec, uint64_t unit_usec)
{
    uint64_t units = usec / unit_usec + (usec % unit_usec != 0);

    return units > INT_MAX ? INT_MAX : (long)units;
}

static int make_headers(struct transfer *transfer, const struct exchange_request *request)
{
    const char *end = request->headers + sizeof(request->headers);

    /* Upload mode would ask for a 100 with each body; servers that do not know it cost a second a fragment. */
    int r = append_header(&transfer->headers, "Expect:");
    for (const char *line = request->headers; r >= 0 && line < end && *line != '\0'; line += strlen(line) + 1)
        r = append_header(&transfer->headers, line);
    return r < 0 ? r : transfer_add_own_headers(transfer);
}

static int set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->connection->easy;

    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->error);
    SET(CURLOPT_OPENSOCKETFUNCTION, connection_on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, transfer->connection);
    SET(CURLOPT_CLOSESOCKETFUNCTION, connection_on_close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, transfer->connection);
    SET(CURLOPT_PREREQFUNCTION, transfer_on_request);
    SET(CURLOPT_PREREQDATA, transfer);
    SET(CURLOPT_READFUNCTION, transfer_on_read);
    SET(CURLOPT_READDATA, transfer);
    SET(CURLOPT_SEEKFUNCTION, transfer_on_seek);
    SET(CURLOPT_SEEKDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, transfer_on_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, transfer_on_body);
    SET(CURLOPT_WRITEDATA, transfer);
    /* The only place where libcurl tells how often a head went out and what the kernel took. */
    SET(CURLOPT_DEBUGFUNCTION, transfer_on_debug);
    SET(CURLOPT_DEBUGDATA, transfer);
    SET(CURLOPT_VERBOSE, 1L);
    return 0;
}

static int set_transport(struct transfer *transfer)
{
    struct transfer_connection *connection = transfer->connection;
    CURL *easy = connection->easy;
    long buffer_bytes = transfer->target.over_tls ? UPLOAD_BUFFER_TLS_BYTES : UPLOAD_BUFFER_BYTES;

    SET(CURLOPT_SHARE, connection->share);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* else a cancelled look-up of a name blocks until the name server answers */
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_SEC);
    SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SEC);
    SET(CURLOPT_MAXAGE_CONN, to_whole(transfer->net->keep_alive_usec, USEC_PER_SEC));
    if (connection->upload_buffer_bytes != buffer_bytes)
        SET(CURLOPT_UPLOAD_BUFFERSIZE, buffer_bytes);
    connection->upload_buffer_bytes = buffer_bytes;
    return 0;
}

/* A reply is fetched as any client would; all else is an upload, if only of nothing. */
static int set_method(struct transfer *transfer, const struct exchange_request *request)
{
    CURL *easy = transfer->connection->easy;

    if (request->kind == EXCHANGE_REPLY) {
        SET(CURLOPT_HTTPGET, 1L);
        SET(CURLOPT_CUSTOMREQUEST, NULL);
        return 0;
    }
    /* Upload mode sends Content-Length for an empty body too, and no Content-Type; POST mode would. */
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_CUSTOMREQUEST, transfer->method);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes);
    return 0;
}

static int set_request(struct transfer *transfer, const struct exchange_request *request)
{
    CURL *easy = transfer->connection->easy;
    uint64_t connect_usec = request->connect_timeout_usec;
    const struct transfer_access *access = transfer->job.access;

    int r = make_headers(transfer, request);
    if (r >= 0)
        r = set_method(transfer, request);
    if (r < 0)
        return r;
    SET(CURLOPT_URL, transfer->target.url);
    SET(CURLOPT_USERAGENT, access && access->user_agent ? access->user_agent : transfer->net->user_agent);
    SET(CURLOPT_ACCEPT_ENCODING, NULL); /* nothing is ever decompressed */
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_FRESH_CONNECT, request->fresh_connection ? 1L : 0L);
    SET(CURLOPT_FORBID_REUSE, 0L);
    /* Also here, although the deadline is our own: libcurl divides this time among the addresses of a host. */
    SET(CURLOPT_CONNECTTIMEOUT_MS, connect_usec == 0 ? LONG_MAX / 1000000 : to_whole(connect_usec, USEC_PER_MSEC));
    SET(CURLOPT_TIMEOUT_MS, 0L);
    return 0;
}

int transfer_set_options(struct transfer *transfer, const struct exchange_request *request)
{
    int r = set_callbacks(transfer);

    if (r >= 0)
        r = set_transport(transfer);
    if (r >= 0)
        r = transfer_set_proxy(transfer);
    if (r >= 0)
        r = transfer_set_tls(transfer);
    if (r >= 0)
        r = transfer_set_credentials(transfer);
    if (r >= 0)
        r = set_request(transfer, request);
    return r;
}
