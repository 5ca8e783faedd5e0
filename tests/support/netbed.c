/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/netbed.h"

#include "support/unit.h"

#include "base/crc32c.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define BOUND_USEC (60 * USEC_PER_SEC)

unsigned char bed_byte(uint64_t offset)
{
    return (unsigned char)((offset * 31 + (offset >> 8) * 7 + (offset >> 16)) & 0xff);
}

uint32_t bed_crc32c(uint64_t offset, size_t length)
{
    unsigned char *bytes = malloc(length + 1);

    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = bed_byte(offset + i);
    uint32_t crc = crc32c(bytes, length);
    free(bytes);
    return crc;
}

void bed_begin(struct bed *bed, const struct raw_step *const *scripts, size_t count)
{
    struct net_options options = {.keep_alive_usec = 30 * USEC_PER_SEC};

    (void)signal(SIGPIPE, SIG_IGN);
    *bed = (struct bed){0};
    assert_true(sd_event_new(&bed->event) >= 0);
    assert_int_equal(net_new(bed->event, &options, &bed->net), 0);
    assert_int_equal(raw_server_new(scripts, count, &bed->server), 0);
}

void bed_end(struct bed *bed)
{
    net_free(bed->net);
    sd_event_unref(bed->event);
    raw_server_free(bed->server);
}

struct transfer_connection *bed_connection(struct bed *bed)
{
    struct transfer_connection *connection = NULL;

    assert_int_equal(net_transfer_ops.connection_new(bed->net, &connection), 0);
    return connection;
}

void bed_drop(struct bed *bed, struct transfer_connection *connection)
{
    net_transfer_ops.connection_free(bed->net, connection);
}

static void set_headers(struct exchange_request *request, const char *first, const char *second)
{
    int length = snprintf(request->headers, sizeof(request->headers), "%s%c%s", first, '\0', second);

    assert_true(length > 0 && (size_t)length < sizeof(request->headers) - 1);
}

void bed_prepare(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                 uint64_t body_bytes)
{
    *exchange = (struct bed_exchange){.bed = bed, .connection = connection, .available = UINT64_MAX};
    exchange->request = (struct exchange_request){
        .kind = EXCHANGE_FRAGMENT,
        .method = "BITS_POST",
        .body_bytes = body_bytes,
        .connect_timeout_usec = 30 * USEC_PER_SEC,
        .send_timeout_usec = 30 * USEC_PER_SEC,
        .response_timeout_usec = 30 * USEC_PER_SEC,
    };
    set_headers(&exchange->request, "BITS-Packet-Type: Fragment", "BITS-Session-Id: {A0FF5911}");
    (void)snprintf(exchange->origin, sizeof(exchange->origin), "127.0.0.1:%d", raw_server_port(bed->server));
    (void)snprintf(exchange->url, sizeof(exchange->url), "http://127.0.0.1:%d/up/a.bin", raw_server_port(bed->server));
}

static ssize_t on_read(void *userdata, uint64_t offset, void *buffer, size_t size)
{
    struct bed_exchange *exchange = userdata;
    uint64_t left = exchange->available > offset ? exchange->available - offset : 0;

    exchange->reads++;
    if (left == 0) {
        exchange->stalls++;
        return exchange->error;
    }
    if (exchange->step != 0 && size > exchange->step)
        size = exchange->step;
    if (size > left)
        size = (size_t)left;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buffer)[i] = bed_byte(offset + i);
    return (ssize_t)size;
}

static void on_done(void *userdata, const struct exchange_outcome *outcome)
{
    struct bed_exchange *exchange = userdata;

    assert_false(exchange->inside_start);
    exchange->transfer = NULL;
    exchange->outcome = *outcome;
    exchange->done++;
}

static void on_progress(void *userdata, uint64_t body_sent_bytes)
{
    struct bed_exchange *exchange = userdata;

    assert_true(body_sent_bytes >= exchange->progress);
    exchange->progress = body_sent_bytes;
}

static int on_write(void *userdata, const void *data, size_t size)
{
    struct bed_exchange *exchange = userdata;

    if (exchange->sink_error < 0)
        return exchange->sink_error;
    assert_in_range(size, 1, sizeof(exchange->received) - exchange->received_bytes);
    memcpy(exchange->received + exchange->received_bytes, data, size);
    exchange->received_bytes += size;
    return 0;
}

void bed_prepare_reply(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                       const char *reply_url, uint64_t range_first, uint64_t range_bytes)
{
    struct exchange_request *request = &exchange->request;

    bed_prepare(bed, exchange, connection, 0);
    request->kind = EXCHANGE_REPLY;
    request->target = TARGET_REPLY;
    (void)snprintf(request->method, sizeof(request->method), "GET");
    (void)snprintf(request->reply_url, sizeof(request->reply_url), "%s", reply_url);
    memset(request->headers, 0, sizeof(request->headers));
    (void)snprintf(request->headers, sizeof(request->headers), "Range: bytes=%" PRIu64 "-%" PRIu64, range_first,
                   range_first + range_bytes - 1);
    request->range_first = range_first;
    request->range_bytes = range_bytes;
}

void bed_start(struct bed_exchange *exchange)
{
    struct transfer_job job = {
        .url = exchange->url,
        .request = &exchange->request,
        .connection = exchange->connection,
        .access = exchange->access,
        .origin = exchange->origin,
        .lower_effort = exchange->lower_effort,
        .sink = {.write = on_write, .userdata = exchange},
        .done = on_done,
        .progress = on_progress,
        .userdata = exchange,
    };

    if (exchange->request.body_bytes > 0) {
        job.body.read = on_read;
        job.body.userdata = exchange;
    }
    exchange->inside_start = true;
    assert_int_equal(net_transfer_ops.start(exchange->bed->net, &job, &exchange->transfer), 0);
    exchange->inside_start = false;
}

void bed_run_until(struct bed *bed, bool (*condition)(void *userdata), void *userdata)
{
    uint64_t end = moment_now().monotonic_usec + BOUND_USEC;

    while (!condition(userdata)) {
        assert_true(moment_now().monotonic_usec < end);
        /* Short turns: the condition may be one of the server's, which does not wake the loop. */
        assert_true(sd_event_run(bed->event, 10 * USEC_PER_MSEC) >= 0);
    }
}

static bool is_set(void *userdata)
{
    return *(const unsigned *)userdata != 0;
}

void bed_run(struct bed *bed, const unsigned *flag)
{
    bed_run_until(bed, is_set, (void *)(uintptr_t)flag);
}

void bed_idle(struct bed *bed, uint64_t usec)
{
    uint64_t end = moment_now().monotonic_usec + usec;

    for (uint64_t now; (now = moment_now().monotonic_usec) < end;)
        assert_true(sd_event_run(bed->event, end - now) >= 0);
}

void bed_exchange(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                  uint64_t body_bytes)
{
    bed_prepare(bed, exchange, connection, body_bytes);
    bed_start(exchange);
    bed_run(bed, &exchange->done);
    assert_int_equal(exchange->done, 1);
}
