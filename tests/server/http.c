/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "bits.h"
#include "file.h"
#include "server.h"
#include "text.h"
#include "tls.h"

/* The larger a connection's memory, the larger the reads from its socket; measured best (README.md). */
#define CONNECTION_MEMORY_BYTES (1024 * 1024)

struct http {
    struct MHD_Daemon *daemon;
    struct tls_files tls;
};

struct connection {
    uint64_t number;
};

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool request_wanted(const struct request *request)
{
    const struct fault_plan *plan = &request->plan;

    if (plan->process)
        return true;
    if (plan->portal || (plan->status != 0 && (plan->status < 200 || plan->status > 299)))
        return false;
    if (plan->drop == DROP_HEAD ||
        (plan->drop == DROP_BODY && plan->drop_bytes == FAULT_NONE && plan->store_bytes == FAULT_NONE))
        return false;
    return !(plan->stall && plan->stall_bytes == FAULT_NONE);
}

static int connection_socket(const struct request *request)
{
    return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* Waits, but not longer than the client or the server lives. UINT64_MAX: for ever. */
static void request_wait(const struct request *request, uint64_t usec)
{
    struct pollfd fds[] = {
        {.fd = request->server->stop_fd, .events = POLLIN},
        {.fd = connection_socket(request), .events = POLLRDHUP},
    };
    uint64_t end = usec == UINT64_MAX ? UINT64_MAX : clock_usec() + usec;

    for (;;) {
        uint64_t now = clock_usec();
        int timeout_msec = -1;

        if (now >= end)
            return;
        if (end != UINT64_MAX)
            timeout_msec = (int)((end - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
        if (poll(fds, 2, timeout_msec) != 0 && errno != EINTR)
            return;
    }
}

static void request_log(struct request *request, unsigned status, bool completed)
{
    struct log_entry entry = {
        .n = request->n,
        .connection = request->connection_number,
        .time_usec = request->time_usec,
        .end_usec = clock_usec(),
        .method = request->method,
        .target = request->target,
        .headers = request->headers != NULL ? request->headers : "{}",
        .packet = packet_name(request->packet),
        .session = NULL,
        .body_received = request->body_received,
        .status = status,
        .next = answer_get(&request->answer, "BITS-Received-Content-Range"),
        .fault = request->plan.text,
        .completed = completed,
    };

    if (request->logged || request->method == NULL)
        return;
    request->logged = true;
    if (request->upload.session != NULL)
        entry.session = session_id(request->upload.session);
    log_write(request->server->log, &entry);
}

/* Ends the connection without an answer, with a reset. The log comes first: who sees the reset may read it. */
static enum MHD_Result request_drop(struct request *request)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    request_log(request, 0, false);
    (void)setsockopt(connection_socket(request), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    return MHD_NO;
}

static enum MHD_Result request_stall(struct request *request)
{
    request_log(request, 0, false);
    request_wait(request, UINT64_MAX);
    return MHD_NO;
}

static bool is_bits(enum packet packet)
{
    return packet <= PACKET_UNKNOWN;
}

static enum packet classify(const struct request *request)
{
    static const struct {
        const char *type;
        enum packet packet;
    } types[] = {
        {"Create-Session", PACKET_CREATE}, {"Ping", PACKET_PING},
        {"Fragment", PACKET_FRAGMENT},     {"Close-Session", PACKET_CLOSE},
        {"Cancel-Session", PACKET_CANCEL},
    };
    const char *override = request_header(request, "X-Http-Method-Override");
    const char *type = request_header(request, "BITS-Packet-Type");
    bool bits = strcmp(request->method, "BITS_POST") == 0;

    if (strcmp(request->method, "POST") == 0 && override != NULL && strcmp(override, "BITS_POST") == 0)
        bits = true;
    for (size_t i = 0; bits && type != NULL && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(type, types[i].type) == 0)
            return types[i].packet;
    if (bits)
        return PACKET_UNKNOWN;
    if (strcmp(request->method, "PUT") == 0)
        return PACKET_PUT;
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
        return PACKET_GET;
    return PACKET_OTHER;
}

static enum MHD_Result collect_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    FILE *out = context;
    char scheme[64];

    (void)kind;
    if (value != NULL && (strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Proxy-Authorization") == 0)) {
        auth_scheme_of(value, scheme, sizeof(scheme)); /* a log is no place for a secret */
        value = scheme;
    }
    fputs(ftell(out) > 1 ? "," : "", out);
    fputc('"', out);
    for (const char *p = name; *p != '\0'; p++) /* a token: no byte of it needs an escape */
        fputc(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p, out);
    fputs("\":", out);
    log_string(out, value != NULL ? value : "");
    return MHD_YES;
}

static char *headers_json(const struct request *request)
{
    char *json = NULL;
    size_t length;
    FILE *out;

    if (!log_wanted(request->server->log))
        return NULL;
    out = open_memstream(&json, &length);
    if (out == NULL)
        return NULL;
    fputc('{', out);
    fflush(out);
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, collect_header, out);
    fputc('}', out);
    fclose(out);
    return json;
}

static const char *plan_header_lookup(void *context, const char *name)
{
    return request_header(context, name);
}

/* What the rules' conditions ask of a Content-Range; bits.c judges the header itself. */
static void look_at_range(const struct request *request, struct fault_facts *facts)
{
    const char *range = request_header(request, "Content-Range");
    char first[24], last[24], total[24];
    uint64_t a, b, c;

    if (range == NULL || sscanf(range, "%*[Bb]ytes %23[0-9]-%23[0-9]/%23[0-9]", first, last, total) != 3)
        return;
    if (text_parse_u64(first, &a) < 0 || text_parse_u64(last, &b) < 0 || text_parse_u64(total, &c) < 0)
        return;
    facts->range_first = a;
    facts->final = b < UINT64_MAX && b + 1 == c;
}

static int request_begin(struct request *request, const char *method, const char *version)
{
    const char *length;
    struct fault_facts facts;

    request->begun = true;
    request->version = version;
    request->method = strdup(method);
    if (request->method == NULL)
        return -ENOMEM;
    request->headers = headers_json(request);
    request->packet = classify(request);
    request->path_error = path_from_target(request->target, request->path);
    length = request_header(request, "Content-Length");
    request->has_length = length != NULL && text_parse_u64(length, &request->content_length) == 0;
    facts = (struct fault_facts){
        .packet = request->packet,
        .connection = request->connection_number,
        .target = request->target,
        .body_bytes = request->content_length,
        .range_first = FAULT_NONE,
        .header = plan_header_lookup,
        .context = request,
    };
    look_at_range(request, &facts);
    fault_set_match(request->server->faults, &facts, &request->plan, &request->n);
    if (is_bits(request->packet))
        bits_begin(request);
    else
        file_begin(request);
    return 0;
}

/* Answers, or does what the rules want instead. */
static enum MHD_Result request_end(struct request *request, bool whole)
{
    const struct fault_plan *plan = &request->plan;

    if (is_bits(request->packet))
        bits_end(request);
    else
        file_end(request);
    if (!request->abandon && plan->ack_delay_usec > 0)
        request_wait(request, plan->ack_delay_usec);
    if (request->abandon || plan->drop == DROP_BODY)
        return request_drop(request);
    if (plan->stall)
        return request_stall(request);
    answer_apply(&request->answer, plan, request->server->options.error_header);
    request_log(request, request->answer.status, whole);
    return answer_send(&request->answer, plan, request->connection) ? MHD_YES : MHD_NO;
}

static enum MHD_Result request_head(struct request *request, const char *method, const char *version)
{
    const struct fault_plan *plan = &request->plan;

    if (request_begin(request, method, version) < 0)
        return MHD_NO;
    if (plan->drop == DROP_HEAD)
        return request_drop(request);
    if (plan->stall && plan->stall_bytes == 0)
        return request_stall(request);
    return plan->early ? request_end(request, request->content_length == 0) : MHD_YES;
}

/* How many bytes of the body there are until the rules cut in. */
static uint64_t body_limit(const struct fault_plan *plan)
{
    uint64_t limit = FAULT_NONE;

    if (plan->drop == DROP_BODY && plan->drop_bytes < limit)
        limit = plan->drop_bytes;
    if (plan->drop == DROP_BODY && plan->drop_bytes == FAULT_NONE && plan->store_bytes < limit)
        limit = plan->store_bytes;
    if (plan->stall && plan->stall_bytes < limit)
        limit = plan->stall_bytes;
    return limit;
}

static enum MHD_Result request_body(struct request *request, const char *data, size_t length)
{
    const struct fault_plan *plan = &request->plan;
    uint64_t limit = body_limit(plan);
    uint64_t room = limit > request->body_received ? limit - request->body_received : 0;
    size_t taken = length < room ? length : (size_t)room;

    if (is_bits(request->packet))
        bits_body(request, data, taken);
    else
        file_body(request, data, taken);
    request->body_received += length;
    if (request->abandon)
        return request_drop(request);
    if (request->body_received >= limit)
        return plan->drop == DROP_BODY ? request_drop(request) : request_stall(request);
    if (plan->rate > 0) {
        uint64_t due = request->time_usec + request->body_received * USEC_PER_SEC / plan->rate;
        uint64_t now = clock_usec();

        if (due > now)
            request_wait(request, due - now);
    }
    return MHD_YES;
}

static void *on_target(void *context, const char *target, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info->socket_context;
    struct request *request = calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->server = context;
    request->connection = mhd;
    request->connection_number = connection->number;
    request->time_usec = clock_usec();
    request->target = strdup(target);
    request->packet = PACKET_OTHER;
    request->answer.file_fd = -1;
    request->file_fd = -1;
    return request;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_bytes, void **request_context)
{
    struct request *request = *request_context;
    size_t length = *data_bytes;

    (void)context;
    (void)mhd;
    (void)url; /* decoded by libmicrohttpd, which loses what the target said */
    if (request == NULL || request->target == NULL)
        return MHD_NO;
    if (!request->begun)
        return request_head(request, method, version);
    if (length == 0)
        return request_end(request, true);
    *data_bytes = 0;
    return request_body(request, data, length);
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct request *request = *request_context;

    (void)context;
    (void)mhd;
    if (request == NULL)
        return;
    *request_context = NULL;
    request_log(request, 0, false);
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && request->plan.drop == DROP_AFTER_ACK)
        shutdown(connection_socket(request), SHUT_RDWR);
    file_done(request);
    session_unref(request->upload.session);
    answer_done(&request->answer);
    fault_plan_done(&request->plan);
    free(request->target);
    free(request->method);
    free(request->headers);
    free(request);
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **connection_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct connection *connection;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        free(*connection_context);
        return;
    }
    connection = calloc(1, sizeof(*connection));
    assert(connection != NULL);
    connection->number = __atomic_add_fetch(&server->connections, 1, __ATOMIC_RELAXED);
    *connection_context = connection;
    if (server->options.tls_client_ca != NULL)
        tls_demand_certificate(mhd);
}

static int make_address(const struct options *options, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, options->bind, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(options->port);
        return 0;
    }
    if (inet_pton(AF_INET6, options->bind, &v6->sin6_addr) != 1)
        return -EINVAL;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(options->port);
    return 0;
}

int http_start(struct server *server, struct http **ret, uint16_t *ret_port)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
    struct MHD_OptionItem tls[TLS_OPTIONS_MAX];
    struct sockaddr_storage address;
    struct http *http = calloc(1, sizeof(*http));
    int r = http == NULL ? -ENOMEM : make_address(&server->options, &address);

    if (r == 0)
        r = tls_load(&server->options, &http->tls, tls);
    if (r < 0)
        goto fail;
    if (server->options.tls_cert != NULL)
        flags |= MHD_USE_TLS;
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
                                    (struct sockaddr *)&address, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
                                    MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
                                    on_connection, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                    (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_LIMIT,
                                    server->options.max_connections > 0 ? server->options.max_connections : 4096u,
                                    MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (http->daemon == NULL) {
        r = errno != 0 ? -errno : -EIO;
        goto fail;
    }
    *ret_port = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    *ret = http;
    return 0;

fail:
    if (http != NULL)
        tls_done(&http->tls);
    free(http);
    return r;
}

struct http *http_stop(struct http *http)
{
    if (http == NULL)
        return NULL;
    MHD_stop_daemon(http->daemon);
    tls_done(&http->tls);
    free(http);
    return NULL;
}
