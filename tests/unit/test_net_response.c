/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/response.h"
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

static bool add(struct response *response, const char *line)
{
    return response_add_line(response, line, strlen(line));
}

static void begin(struct response *response)
{
    response_begin(response);
    assert_true(add(response, "HTTP/1.1 200 OK\r\n"));
}

static void a_response_may_have_as_many_headers_as_the_bound_and_no_more(void **state)
{
    struct response response;

    (void)state;
    begin(&response);
    for (int i = 0; i < HEADER_COUNT_MAX; i++)
        assert_true(add(&response, "X-Name: value\r\n"));
    assert_false(add(&response, "X-Name: value\r\n"));
    assert_int_equal(response.verdict, RESPONSE_HEAD_TOO_LARGE);
    assert_false(add(&response, "\r\n"));
    assert_false(response.head_complete);
}

static void a_response_may_have_as_many_bytes_of_headers_as_the_bound_and_no_more(void **state)
{
    static char line[HEADER_BYTES_MAX + 2];
    struct response response;

    (void)state;
    memset(line, 'x', sizeof(line));
    line[1] = ':';
    begin(&response);
    assert_true(response_add_line(&response, line, HEADER_BYTES_MAX));
    begin(&response);
    assert_false(response_add_line(&response, line, HEADER_BYTES_MAX + 1));
    assert_int_equal(response.verdict, RESPONSE_HEAD_TOO_LARGE);
}

static void interim_responses_are_bounded(void **state)
{
    struct response response;

    (void)state;
    response_begin(&response);
    for (int i = 0; i < RESPONSE_INTERIM_MAX; i++) {
        assert_true(add(&response, "HTTP/1.1 100 Continue\r\n"));
        assert_true(add(&response, "\r\n"));
    }
    assert_true(add(&response, "HTTP/1.1 100 Continue\r\n"));
    assert_false(add(&response, "\r\n"));
    assert_int_equal(response.verdict, RESPONSE_HEAD_TOO_LARGE);
}

static void a_body_may_have_as_many_bytes_as_the_bound_and_no_more(void **state)
{
    struct response response;

    (void)state;
    begin(&response);
    assert_true(add(&response, "\r\n"));
    assert_true(response_add_body(&response, ACK_BODY_MAX));
    assert_false(response_add_body(&response, 1));
    assert_int_equal(response.verdict, RESPONSE_BODY_TOO_LARGE);
    assert_true(response.head_complete);
}

static void trailers_are_no_part_of_an_ack_but_are_bounded_too(void **state)
{
    struct response response;
    unsigned lines = 0;

    (void)state;
    begin(&response);
    assert_true(add(&response, "\r\n"));
    while (add(&response, "BITS-Packet-Type: Ack\r\n"))
        lines++;
    assert_false(response.ack.is_ack);
    assert_int_equal(lines, ACK_BODY_MAX / strlen("BITS-Packet-Type: Ack\r\n"));
}

static void status_lines_are_read_strictly(void **state)
{
    static const struct {
        const char *line;
        int status; /* 0 = refused */
    } table[] = {
        {"HTTP/1.1 200 OK\r\n", 200}, {"HTTP/1.0 404 Not Found\r\n", 404},
        {"HTTP/1.1 599\r\n", 599},    {"HTTP/1.1 200 \r\n", 200},
        {"HTTP/1.1 2000\r\n", 0},     {"HTTP/1.1 20\r\n", 0},
        {"HTTP/1.1  200 OK\r\n", 0},  {"HTTP/1.1\t200 OK\r\n", 0},
        {"HTTP/2 200\r\n", 0},        {"HTTP/1.x 200 OK\r\n", 0},
        {"HTTP/1.1 099 Low\r\n", 0},  {"HTTP/1.1 -20 OK\r\n", 0},
        {"HTTP/1.1 200OK\r\n", 0},    {"HTTP/\r\n", 0},
        {"HTTP/1.\r\n", 0},           {"HTTP/1.1 999 Own\r\n", 999},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct response response;
        response_begin(&response);
        bool fine = add(&response, table[i].line);
        if (fine != (table[i].status != 0) || response.ack.status != table[i].status)
            fail_msg("%s gave %d", table[i].line, response.ack.status);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_response_may_have_as_many_headers_as_the_bound_and_no_more),
    cmocka_unit_test(a_response_may_have_as_many_bytes_of_headers_as_the_bound_and_no_more),
    cmocka_unit_test(interim_responses_are_bounded),
    cmocka_unit_test(a_body_may_have_as_many_bytes_as_the_bound_and_no_more),
    cmocka_unit_test(trailers_are_no_part_of_an_ack_but_are_bounded_too),
    cmocka_unit_test(status_lines_are_read_strictly),
};

UNIT_MAIN(tests);
