/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes out, and on which connection. */
#include "support/netbed.h"
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

#define BODY_BYTES ((uint64_t)300000)

static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_script[] = {obliging};

static bool has_line(const char *head, const char *line)
{
    const char *found = strstr(head, line);

    return found && found[-1] == '\n' && found[strlen(line)] == '\r';
}

static void a_body_arrives_as_it_was_given(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, BODY_BYTES);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    assert_true(exchange.outcome.ack.is_ack);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_int_equal(exchange.outcome.body_sent_bytes, BODY_BYTES);
    assert_int_equal(exchange.progress, BODY_BYTES);
    assert_true(exchange.outcome.elapsed_usec > 0);
    assert_string_equal(exchange.outcome.text, "");
    assert_int_equal(raw_server_body_bytes(bed.server, 0), BODY_BYTES);
    assert_int_equal(raw_server_body_crc32c(bed.server, 0), bed_crc32c(0, BODY_BYTES));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_head_says_what_the_protocol_wants_and_no_more(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, 10);
    const char *head = raw_server_head(bed.server, 0);
    assert_memory_equal(head, "BITS_POST /up/a.bin HTTP/1.1\r\n", strlen("BITS_POST /up/a.bin HTTP/1.1\r\n"));
    assert_true(has_line(head, "Content-Length: 10"));
    assert_true(has_line(head, "BITS-Packet-Type: Fragment"));
    assert_true(has_line(head, "BITS-Session-Id: {A0FF5911}"));
    assert_true(has_line(head, "User-Agent: bitsq/" BITSQ_VERSION));
    assert_null(strcasestr(head, "\r\nExpect:"));
    assert_null(strcasestr(head, "\r\nContent-Type:"));
    assert_null(strcasestr(head, "\r\nTransfer-Encoding:"));
    assert_null(strcasestr(head, "\r\nAccept-Encoding:"));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_request_without_a_body_says_that_its_length_is_zero(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_true(has_line(raw_server_head(bed.server, 0), "Content-Length: 0"));
    assert_null(strcasestr(raw_server_head(bed.server, 0), "\r\nTransfer-Encoding:"));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void options_of_one_exchange_do_not_reach_the_next(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, 1000);
    bed_prepare(&bed, &exchange, connection, 0);
    memset(exchange.request.headers, 0, sizeof(exchange.request.headers));
    strcpy(exchange.request.headers, "BITS-Packet-Type: Ping");
    strcpy(exchange.request.method, "POST");
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    const char *head = raw_server_head(bed.server, 1);
    assert_memory_equal(head, "POST /", 6);
    assert_true(has_line(head, "Content-Length: 0"));
    assert_true(has_line(head, "BITS-Packet-Type: Ping"));
    assert_null(strstr(head, "BITS-Session-Id"));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_session_stays_on_its_connection(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;
    char address[64];

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, 0);
    uint64_t number = exchange.outcome.connection;
    assert_true(number > 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d", raw_server_port(bed.server));
    assert_string_equal(exchange.outcome.address, address);
    for (int i = 0; i < 5; i++) {
        bed_exchange(&bed, &exchange, connection, 100);
        assert_int_equal(exchange.outcome.connection, number);
        assert_string_equal(exchange.outcome.address, address);
    }
    assert_int_equal(raw_server_connections(bed.server), 1);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static bool both_done(void *userdata)
{
    const struct bed_exchange *exchanges = userdata;

    return exchanges[0].done && exchanges[1].done;
}

static void interleaved_sessions_never_swap_connections(void **state)
{
    struct bed bed;
    struct bed_exchange exchanges[2];
    struct transfer_connection *connections[2];
    uint64_t numbers[2] = {0};

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    for (size_t i = 0; i < 2; i++)
        connections[i] = bed_connection(&bed);
    for (unsigned round = 0; round < 8; round++) {
        for (size_t i = 0; i < 2; i++) {
            size_t which = (i + round) % 2;
            bed_prepare(&bed, &exchanges[which], connections[which], 20000);
            bed_start(&exchanges[which]);
        }
        bed_run_until(&bed, both_done, exchanges);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(exchanges[i].outcome.transport, TRANSPORT_OK);
            assert_true(round == 0 || exchanges[i].outcome.connection == numbers[i]);
            numbers[i] = exchanges[i].outcome.connection;
        }
        assert_int_not_equal(numbers[0], numbers[1]);
    }
    assert_int_equal(raw_server_connections(bed.server), 2);
    for (size_t i = 0; i < 2; i++)
        bed_drop(&bed, connections[i]);
    bed_end(&bed);
}

static void a_fresh_connection_is_a_new_one(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, 0);
    uint64_t number = exchange.outcome.connection;
    bed_prepare(&bed, &exchange, connection, 0);
    exchange.request.fresh_connection = true;
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    assert_int_not_equal(exchange.outcome.connection, number);
    number = exchange.outcome.connection;
    bed_exchange(&bed, &exchange, connection, 0);
    assert_int_equal(exchange.outcome.connection, number);
    assert_int_equal(raw_server_connections(bed.server), 2);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static bool one_closed(void *userdata)
{
    const struct bed *bed = userdata;

    return raw_server_closed(bed->server) == 1;
}

static void a_connection_that_the_server_closed_while_idle_is_replaced(void **state)
{
    static const struct raw_step closing[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_WAIT, STEP_CLOSE};
    static const struct raw_step *const scripts[] = {closing, obliging};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, scripts, 2);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, 10);
    uint64_t number = exchange.outcome.connection;
    raw_server_release(bed.server);
    bed_run_until(&bed, one_closed, &bed); /* over loopback the FIN has arrived when close(2) returns */
    bed_exchange(&bed, &exchange, connection, 10);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_int_not_equal(exchange.outcome.connection, number);
    assert_int_equal(raw_server_requests(bed.server), 2);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_server_that_says_close_gets_a_new_connection(void **state)
{
    static const struct raw_step closing[] = {
        STEP_READ,
        STEP_SEND("HTTP/1.1 200 OK\r\nBITS-Packet-Type: Ack\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        STEP_CLOSE};
    static const struct raw_step *const scripts[] = {closing};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    for (uint64_t i = 1; i <= 3; i++) {
        bed_exchange(&bed, &exchange, connection, 1000);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_int_equal(exchange.outcome.connection, i);
    }
    assert_int_equal(raw_server_connections(bed.server), 3);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

/* libcurl would connect again and send all of it once more, with success as the result. */
static void a_request_is_never_sent_twice(void **state)
{
    static const struct raw_step dying[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_READ, STEP_CLOSE};
    static const struct raw_step *const scripts[] = {dying, obliging};
    static const uint64_t bodies[] = {0, 1, 100000};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(bodies); i++) {
        struct bed bed;
        struct bed_exchange exchange;
        bed_begin(&bed, scripts, 2);
        struct transfer_connection *connection = bed_connection(&bed);
        bed_exchange(&bed, &exchange, connection, 0);
        bed_exchange(&bed, &exchange, connection, bodies[i]);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_CONNECTION_LOST);
        assert_int_equal(exchange.outcome.heads_sent, 1);
        assert_int_equal(exchange.outcome.ack.status, 0);
        assert_string_not_equal(exchange.outcome.text, "");
        assert_int_equal(raw_server_requests(bed.server), 2);
        /* And the session's own next try is a clean one. */
        bed_exchange(&bed, &exchange, connection, bodies[i]);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_int_equal(exchange.outcome.heads_sent, 1);
        assert_int_equal(raw_server_requests(bed.server), 3);
        assert_int_equal(raw_server_body_crc32c(bed.server, 2), bed_crc32c(0, (size_t)bodies[i]));
        bed_drop(&bed, connection);
        bed_end(&bed);
    }
}

/* The head alone arrived, and bytes of the body may wait in libcurl's buffer: none of them must be lost by a re-send.
 */
static void a_body_that_was_not_begun_is_not_sent_twice_either(void **state)
{
    static const struct raw_step dying[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_HEAD, STEP_RESET};
    static const struct raw_step *const scripts[] = {dying, obliging};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, scripts, 2);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_exchange(&bed, &exchange, connection, 0);
    bed_prepare(&bed, &exchange, connection, 1000);
    exchange.available = 0; /* nothing to send yet when the connection dies */
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_CONNECTION_LOST);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_int_equal(raw_server_requests(bed.server), 2);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_arrives_as_it_was_given),
    cmocka_unit_test(a_head_says_what_the_protocol_wants_and_no_more),
    cmocka_unit_test(a_request_without_a_body_says_that_its_length_is_zero),
    cmocka_unit_test(options_of_one_exchange_do_not_reach_the_next),
    cmocka_unit_test(a_session_stays_on_its_connection),
    cmocka_unit_test(interleaved_sessions_never_swap_connections),
    cmocka_unit_test(a_fresh_connection_is_a_new_one),
    cmocka_unit_test(a_connection_that_the_server_closed_while_idle_is_replaced),
    cmocka_unit_test(a_server_that_says_close_gets_a_new_connection),
    cmocka_unit_test(a_request_is_never_sent_twice),
    cmocka_unit_test(a_body_that_was_not_begun_is_not_sent_twice_either),
};

UNIT_MAIN(tests);
