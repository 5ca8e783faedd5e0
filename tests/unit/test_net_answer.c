/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes back: whole, early, torn, too much, late, or something that is no HTTP. */
#include "support/netbed.h"
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

#define LARGE_BYTES ((uint64_t)64 << 20) /* more than the kernel buffers between two sockets */
#define SHORT_USEC  (200 * USEC_PER_MSEC)

static void meet(const struct raw_step *script, uint64_t body_bytes, void (*change)(struct bed_exchange *exchange),
                 struct bed_exchange *ret)
{
    const struct raw_step *const scripts[] = {script};
    struct bed bed;

    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare(&bed, ret, connection, body_bytes);
    if (change)
        change(ret);
    bed_start(ret);
    bed_run(&bed, &ret->done);
    assert_int_equal(ret->done, 1);
    assert_true(ret->outcome.transport == TRANSPORT_OK || ret->outcome.text[0] != '\0');
    assert_null(strstr(ret->outcome.text, "/up/a.bin"));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void short_times(struct bed_exchange *exchange)
{
    exchange->request.connect_timeout_usec = SHORT_USEC;
    exchange->request.send_timeout_usec = SHORT_USEC;
    exchange->request.response_timeout_usec = SHORT_USEC;
}

static void short_response_time(struct bed_exchange *exchange)
{
    exchange->request.response_timeout_usec = SHORT_USEC;
}

struct answer {
    const char *name;
    const char *text;
    bool then_close;
    enum transport_result transport;
    int status;
};

static const struct answer answers[] = {
    {"with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, TRANSPORT_OK, 200},
    {"chunked", "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false,
     TRANSPORT_OK, 201},
    {"chunked with a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nBITS-Session-Id: x\r\n\r\n",
     false, TRANSPORT_OK, 200},
    {"ended by the end of the connection", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", true, TRANSPORT_OK,
     200},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", true, TRANSPORT_OK, 200},
    {"without a reason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", false, TRANSPORT_OK, 404},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", false, TRANSPORT_OK, 204},
    {"after a 100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 416 Range\r\nContent-Length: 0\r\n\r\n", false, TRANSPORT_OK,
     416},
    {"after two 1xx with headers",
     "HTTP/1.1 102 Processing\r\nBITS-Packet-Type: Ack\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
     "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
     false, TRANSPORT_OK, 500},
    {"a redirect, which is not followed",
     "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", false, TRANSPORT_OK, 302},
    {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", false, TRANSPORT_OK, 200},
    {"a coding that was not asked for", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
     false, TRANSPORT_OK, 200},
    {"a torn body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", true, TRANSPORT_CONNECTION_LOST, 200},
    {"a torn chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", true, TRANSPORT_CONNECTION_LOST,
     200},
    {"a torn head", "HTTP/1.1 200 OK\r\nContent-Le", true, TRANSPORT_CONNECTION_LOST, 200},
    {"nothing", "", true, TRANSPORT_CONNECTION_LOST, 0},
    {"only a 100", "HTTP/1.1 100 Continue\r\n\r\n", true, TRANSPORT_CONNECTION_LOST, 100},
    {"HTTP/0.9", "hello there\r\n", true, TRANSPORT_MALFORMED, 0},
    {"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", true, TRANSPORT_MALFORMED, 0},
    {"HTTP/2 in clear text", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", true, TRANSPORT_MALFORMED, 0},
    {"a status that is no number", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", true, TRANSPORT_MALFORMED, 0},
    {"a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", true, TRANSPORT_MALFORMED, 0},
    {"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", true, TRANSPORT_MALFORMED, 200},
    {"a chunk without a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", true,
     TRANSPORT_CONNECTION_LOST, 200},
};

static void each_answer_is_told_for_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(answers); i++) {
        const struct answer *answer = &answers[i];
        const struct raw_step closing[] = {STEP_READ, STEP_SEND(answer->text), STEP_CLOSE};
        const struct raw_step open[] = {STEP_READ, STEP_SEND(answer->text), STEP_END};
        struct bed_exchange exchange;
        meet(answer->then_close ? closing : open, 100, NULL, &exchange);
        if (exchange.outcome.transport != answer->transport || exchange.outcome.ack.status != answer->status)
            fail_msg("%s: transport %d, status %d, text \"%s\"", answer->name, (int)exchange.outcome.transport,
                     exchange.outcome.ack.status, exchange.outcome.text);
    }
}

static void headers_of_an_interim_answer_are_forgotten(void **state)
{
    static const struct raw_step script[] = {
        STEP_READ,
        STEP_SEND("HTTP/1.1 100 Continue\r\nBITS-Packet-Type: Ack\r\nBITS-Session-Id: old\r\n\r\n"),
        STEP_SEND("HTTP/1.1 200 OK\r\nBITS-Received-Content-Range: 100\r\nContent-Length: 0\r\n\r\n"),
        STEP_END,
    };
    struct bed_exchange exchange;

    (void)state;
    meet(script, 100, NULL, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_false(exchange.outcome.ack.is_ack);
    assert_false(exchange.outcome.ack.has_session_id);
    assert_true(exchange.outcome.ack.has_next);
    assert_int_equal(exchange.outcome.ack.next_offset, 100);
}

static void an_error_that_comes_before_the_body_was_sent_counts(void **state)
{
    static const struct raw_step script[] = {
        STEP_HEAD, STEP_SEND("HTTP/1.1 413 Too Large\r\nBITS-Packet-Type: Ack\r\nContent-Length: 0\r\n\r\n"), STEP_END};
    struct bed_exchange exchange;

    (void)state;
    meet(script, LARGE_BYTES, NULL, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 413);
    assert_true(exchange.outcome.body_sent_bytes < LARGE_BYTES);
}

/* A server that closes with unread bytes resets the connection: the error it sent before must not be lost with it. */
static void an_error_of_a_server_that_closes_at_once_counts(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nsorry",
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\nsorry",
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 1000\r\n\r\ntorn",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < 20 * ELEMENTS(texts); i++) {
        const struct raw_step script[] = {STEP_HEAD, STEP_SEND(texts[i % ELEMENTS(texts)]), STEP_CLOSE};
        struct bed_exchange exchange;
        meet(script, LARGE_BYTES, NULL, &exchange);
        if (exchange.outcome.transport != TRANSPORT_OK || exchange.outcome.ack.status != 413)
            fail_msg("%zu: transport %d, status %d, sent %llu, text \"%s\"", i, (int)exchange.outcome.transport,
                     exchange.outcome.ack.status, (unsigned long long)exchange.outcome.body_sent_bytes,
                     exchange.outcome.text);
    }
}

static void an_error_that_comes_while_the_body_waits_for_its_source_counts(void **state)
{
    static const struct raw_step script[] = {
        STEP_HEAD, STEP_SEND("HTTP/1.1 413 Too Large\r\nBITS-Packet-Type: Ack\r\nContent-Length: 0\r\n\r\n"), STEP_END};
    const struct raw_step *const scripts[] = {script};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare(&bed, &exchange, connection, 1000);
    exchange.available = 500;
    bed_start(&exchange);
    bed_run(&bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 413);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

/* An Ack that is there as a whole is taken, although the rest of the body cannot be got rid of any more. */
static void an_early_ack_survives_the_death_of_its_connection(void **state)
{
    static const struct raw_step script[] = {STEP_HEAD, STEP_SEND(ACK_EMPTY), STEP_WAIT, STEP_RESET};
    const struct raw_step *const scripts[] = {script};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare(&bed, &exchange, connection, LARGE_BYTES);
    short_times(&exchange);
    bed_start(&exchange);
    bed_run(&bed, &exchange.done); /* by the send deadline: nobody reads the body */
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(exchange.outcome.ack.status, 200);
    raw_server_release(bed.server);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_large_body_of_an_ack_ends_the_exchange_with_its_ack(void **state)
{
    static const struct raw_step script[] = {
        STEP_READ, STEP_SEND("HTTP/1.1 200 OK\r\nBITS-Packet-Type: Ack\r\nContent-Length: 1000000\r\n\r\n"),
        STEP_FLOOD("0123456789", 100000), STEP_AGAIN};
    const struct raw_step *const scripts[] = {script};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    for (uint64_t i = 1; i <= 2; i++) {
        bed_exchange(&bed, &exchange, connection, 0);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_true(exchange.outcome.ack.is_ack);
        assert_int_equal(exchange.outcome.connection, i); /* what is unread would be taken for the next answer */
    }
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_body_at_the_bound_is_read_and_thrown_away(void **state)
{
    static const struct raw_step script[] = {
        STEP_READ, STEP_SEND("HTTP/1.1 200 OK\r\nBITS-Packet-Type: Ack\r\nContent-Length: 65536\r\n\r\n"),
        STEP_FLOOD("0123456789abcdef", 4096), STEP_AGAIN};
    const struct raw_step *const scripts[] = {script};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    assert_int_equal(ACK_BODY_MAX, 65536);
    bed_begin(&bed, scripts, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    for (int i = 0; i < 2; i++) {
        bed_exchange(&bed, &exchange, connection, 0);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
        assert_int_equal(exchange.outcome.connection, 1);
    }
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_head_without_end_is_broken_off(void **state)
{
    static const struct raw_step many_lines[] = {STEP_READ, STEP_SEND("HTTP/1.1 200 OK\r\n"),
                                                 STEP_FLOOD("X-Header: value\r\n", 1000000), STEP_END};
    static const struct raw_step one_line[] = {STEP_READ, STEP_SEND("HTTP/1.1 200 OK\r\nX-Header: "),
                                               STEP_FLOOD("0123456789abcdef", 1000000), STEP_END};
    static const struct raw_step interim[] = {STEP_READ, STEP_FLOOD("HTTP/1.1 100 Continue\r\n\r\n", 1000000),
                                              STEP_END};
    const struct raw_step *const scripts[] = {many_lines, one_line, interim};
    struct bed_exchange exchange;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(scripts); i++) {
        meet(scripts[i], 100, NULL, &exchange);
        assert_int_equal(exchange.outcome.transport, TRANSPORT_MALFORMED);
    }
}

static void a_server_that_never_answers_is_left(void **state)
{
    static const struct raw_step silent[] = {STEP_READ, STEP_END};
    static const struct raw_step endless[] = {STEP_READ, STEP_SEND("HTTP/1.1 200 OK\r\nBITS-Packet-Type: Ack\r\n\r\n"),
                                              STEP_END};
    static const struct raw_step half[] = {STEP_READ, STEP_SEND("HTTP/1.1 200 OK\r\nBITS-Pack"), STEP_END};
    const struct raw_step *const scripts[] = {silent, endless, half};
    static const uint64_t bodies[] = {0, 1000};
    struct bed_exchange exchange;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(scripts); i++) {
        for (size_t j = 0; j < ELEMENTS(bodies); j++) {
            meet(scripts[i], bodies[j], short_response_time, &exchange);
            assert_int_equal(exchange.outcome.transport, TRANSPORT_RESPONSE_TIMEOUT);
            assert_int_equal(exchange.outcome.heads_sent, 1);
            assert_int_equal(exchange.outcome.body_sent_bytes, bodies[j]);
            assert_true(exchange.outcome.elapsed_usec >= SHORT_USEC);
        }
    }
}

static void a_server_that_does_not_read_is_left(void **state)
{
    static const struct raw_step script[] = {STEP_HEAD, STEP_END};
    struct bed_exchange exchange;

    (void)state;
    meet(script, LARGE_BYTES, short_times, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_SEND_TIMEOUT);
    assert_true(exchange.outcome.body_sent_bytes > 0);
    assert_true(exchange.outcome.body_sent_bytes < LARGE_BYTES);
}

static void a_reset_in_the_middle_is_a_lost_connection(void **state)
{
    static const struct raw_step script[] = {STEP_HEAD, STEP_BODY(100000), STEP_RESET};
    struct bed_exchange exchange;

    (void)state;
    meet(script, LARGE_BYTES, NULL, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_CONNECTION_LOST);
    assert_int_equal(exchange.outcome.heads_sent, 1);
    assert_int_equal(exchange.outcome.ack.status, 0);
}

static void to_nobody(struct bed_exchange *exchange)
{
    /* Port 1 of loopback: nothing listens below 1024 without being asked to. */
    snprintf(exchange->url, sizeof(exchange->url), "http://127.0.0.1:1/up/a.bin");
}

static void to_no_name(struct bed_exchange *exchange)
{
    snprintf(exchange->url, sizeof(exchange->url), "http://name.invalid/up/a.bin");
}

static void with_tls(struct bed_exchange *exchange)
{
    snprintf(exchange->url, sizeof(exchange->url), "https://127.0.0.1:%d/up/a.bin",
             raw_server_port(exchange->bed->server));
}

static void a_server_that_is_not_there_is_told_from_one_that_is_silent(void **state)
{
    static const struct raw_step script[] = {STEP_END};
    static const struct raw_step no_tls[] = {STEP_SEND("this is no handshake\r\n"), STEP_CLOSE};
    struct bed_exchange exchange;

    (void)state;
    meet(script, 10, to_nobody, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_CONNECT);
    assert_string_equal(exchange.outcome.address, "127.0.0.1:1");
    assert_int_equal(exchange.outcome.heads_sent, 0);
    assert_int_equal(exchange.outcome.connection, 0);
    meet(script, 10, to_no_name, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_RESOLVE);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    meet(no_tls, 10, with_tls, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_TLS);
    assert_int_equal(exchange.outcome.heads_sent, 0);
}

static void with_tls_in_a_hurry(struct bed_exchange *exchange)
{
    with_tls(exchange);
    short_times(exchange);
}

static void a_handshake_that_hangs_is_a_connect_timeout(void **state)
{
    static const struct raw_step script[] = {STEP_WAIT};
    struct bed_exchange exchange;

    (void)state;
    meet(script, 10, with_tls_in_a_hurry, &exchange);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_CONNECT_TIMEOUT);
    assert_int_equal(exchange.outcome.heads_sent, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_answer_is_told_for_what_it_is),
    cmocka_unit_test(headers_of_an_interim_answer_are_forgotten),
    cmocka_unit_test(an_error_that_comes_before_the_body_was_sent_counts),
    cmocka_unit_test(an_error_of_a_server_that_closes_at_once_counts),
    cmocka_unit_test(an_error_that_comes_while_the_body_waits_for_its_source_counts),
    cmocka_unit_test(an_early_ack_survives_the_death_of_its_connection),
    cmocka_unit_test(a_large_body_of_an_ack_ends_the_exchange_with_its_ack),
    cmocka_unit_test(a_body_at_the_bound_is_read_and_thrown_away),
    cmocka_unit_test(a_head_without_end_is_broken_off),
    cmocka_unit_test(a_server_that_never_answers_is_left),
    cmocka_unit_test(a_server_that_does_not_read_is_left),
    cmocka_unit_test(a_reset_in_the_middle_is_a_lost_connection),
    cmocka_unit_test(a_server_that_is_not_there_is_told_from_one_that_is_silent),
    cmocka_unit_test(a_handshake_that_hangs_is_a_connect_timeout),
};

UNIT_MAIN(tests);
