/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reply, part by part. */
#include "support/netbed.h"
#include "support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PART                                                                            \
    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-14/20\r\nETag: \"v1\"\r\n" \
    "Content-Length: 5\r\n\r\nabcde"

static void fetch(const char *answer, struct bed_exchange *exchange, const char *reply_url, int sink_error)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(answer), STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed bed;

    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare_reply(&bed, exchange, connection, reply_url, 10, 5);
    exchange->sink_error = sink_error;
    bed_start(exchange);
    bed_run(&bed, &exchange->done);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_part_is_fetched_by_a_plain_get(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(PART), STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct bed bed;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare_reply(&bed, &exchange, connection, "Replies\\{6}\\r.bin", 10, 5);
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    const char *head = raw_server_head(bed.server, 0);
    assert_memory_equal(head, "GET /up/Replies/%7B6%7D/r.bin HTTP/1.1\r\n", 40);
    assert_non_null(strstr(head, "\r\nRange: bytes=10-14\r\n"));
    assert_null(strstr(head, "Content-Length"));
    assert_null(strstr(head, "BITS-"));
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 206);
    assert_int_equal(exchange.outcome.received_bytes, 5);
    assert_memory_equal(exchange.received, "abcde", 5);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void an_upload_goes_on_over_the_connection_of_a_reply(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND(PART), STEP_READ, STEP_SEND(ACK_EMPTY), STEP_END};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange reply, upload;
    struct bed bed;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare_reply(&bed, &reply, connection, "r.bin", 10, 5);
    bed_start(&reply);
    bed_run(&bed, &reply.done);
    bed_exchange(&bed, &upload, connection, 0);
    assert_int_equal(upload.outcome.transport, TRANSPORT_OK);
    assert_int_equal(raw_server_connections(bed.server), 1);
    assert_non_null(strstr(raw_server_head(bed.server, 1), "\r\nContent-Length: 0\r\n"));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void the_page_of_an_error_is_not_the_reply(void **state)
{
    struct bed_exchange exchange;

    (void)state;
    fetch("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry", &exchange, "r.bin", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 404);
    assert_int_equal(exchange.received_bytes, 0);
}

static void more_than_was_asked_for_is_refused(void **state)
{
    struct bed_exchange exchange;

    (void)state;
    fetch("HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\nabcdef", &exchange, "r.bin", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_MALFORMED);
    assert_non_null(strstr(exchange.outcome.text, "more of the reply than was asked for"));
}

static void a_server_without_ranges_is_known_by_its_head(void **state)
{
    struct bed_exchange exchange;

    (void)state;
    fetch("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef", &exchange, "r.bin", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_int_equal(exchange.outcome.ack.content_length, 6);
}

static void a_part_that_ends_early_is_a_lost_connection(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_SEND("HTTP/1.1 206 P\r\nContent-Length: 5\r\n\r\nabc"), STEP_CLOSE,
                                     STEP_END};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct bed bed;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare_reply(&bed, &exchange, connection, "r.bin", 10, 5);
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_CONNECTION_LOST);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_sink_that_cannot_take_it_ends_the_exchange(void **state)
{
    struct bed_exchange exchange;

    (void)state;
    fetch(PART, &exchange, "r.bin", -ENOMEM);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_LOCAL);
    assert_non_null(strstr(exchange.outcome.text, strerror(ENOMEM)));
}

static void a_reply_elsewhere_is_not_asked_for(void **state)
{
    struct bed_exchange exchange;

    (void)state;
    fetch(PART, &exchange, "http://127.0.0.2:1/r.bin", 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_URL);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    assert_non_null(strstr(exchange.outcome.text, "another host"));
}

static void an_exchange_without_a_target_can_be_cancelled(void **state)
{
    const struct raw_step steps[] = {STEP_READ, STEP_AGAIN};
    const struct raw_step *const scripts[] = {steps};
    struct bed_exchange exchange;
    struct bed bed;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare_reply(&bed, &exchange, connection, "ftp://127.0.0.1/r.bin", 10, 5);
    bed_start(&exchange);
    net_transfer_ops.cancel(bed.net, exchange.transfer);
    bed_idle(&bed, 1000);
    assert_int_equal(exchange.done, 0);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_part_is_fetched_by_a_plain_get),
    cmocka_unit_test(an_upload_goes_on_over_the_connection_of_a_reply),
    cmocka_unit_test(the_page_of_an_error_is_not_the_reply),
    cmocka_unit_test(more_than_was_asked_for_is_refused),
    cmocka_unit_test(a_server_without_ranges_is_known_by_its_head),
    cmocka_unit_test(a_part_that_ends_early_is_a_lost_connection),
    cmocka_unit_test(a_sink_that_cannot_take_it_ends_the_exchange),
    cmocka_unit_test(a_reply_elsewhere_is_not_asked_for),
    cmocka_unit_test(an_exchange_without_a_target_can_be_cancelled),
};
UNIT_MAIN(tests);
