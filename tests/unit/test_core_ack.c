/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/httpdate.h"
#include "core/proto.h"
#include "support/unit.h"

#include "base/moment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct ack read_line(const char *line)
{
    struct ack ack;

    ack_begin(&ack, 200);
    ack_add_line(&ack, line, strlen(line));
    return ack;
}

static void add(struct ack *ack, const char *line)
{
    ack_add_line(ack, line, strlen(line));
}

static void an_ack_is_one_in_any_case(void **state)
{
    (void)state;
    assert_true(read_line("BITS-Packet-Type: Ack").is_ack);
    assert_true(read_line("bits-packet-type:ACK").is_ack);
    assert_true(read_line("Bits-Packet-Type: \t ack \t").is_ack);
    assert_false(read_line("BITS-Packet-Type: Acknowledged").is_ack);
    assert_false(read_line("BITS-Packet-Type: ").is_ack);
    assert_false(read_line("BITS-Package-Type: Ack").is_ack);
}

static void a_new_status_line_forgets_what_was_read(void **state)
{
    struct ack ack = read_line("BITS-Packet-Type: Ack");

    (void)state;
    ack_begin(&ack, 503);
    assert_int_equal(ack.status, 503);
    assert_false(ack.is_ack);
    assert_int_equal(ack.header_count, 0);
}

static void session_ids_are_opaque(void **state)
{
    static const char *const ids[] = {"{A0FF5911-4144-45B3-BF27-27AFC8EC8A67}", "-1234567890", "{AbC-x}", "a b",
                                      "\xfc"};
    char line[300];

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        (void)snprintf(line, sizeof(line), "BITS-Session-Id:  %s ", ids[i]);
        struct ack ack = read_line(line);
        assert_true(ack.has_session_id);
        assert_string_equal(ack.session_id, ids[i]);
    }
}

static void a_session_id_is_taken_whole_or_not_at_all(void **state)
{
    char line[400] = "BITS-Session-Id: ";
    size_t name = strlen(line);

    (void)state;
    memset(line + name, 'x', SESSION_ID_MAX);
    struct ack ack = read_line(line);
    assert_true(ack.has_session_id);
    assert_false(ack.session_id_too_long);
    line[name + SESSION_ID_MAX] = 'x';
    ack = read_line(line);
    assert_false(ack.has_session_id);
    assert_true(ack.session_id_too_long);
    assert_false(read_line("BITS-Session-Id:").has_session_id);
    assert_false(read_line("BITS-Session-Id: a\tb").has_session_id);
}

static void the_first_of_several_session_ids_counts(void **state)
{
    struct ack ack = read_line("BITS-Session-Id: first");

    (void)state;
    add(&ack, "BITS-Session-Id: second");
    assert_string_equal(ack.session_id, "first");
}

static void the_protocol_is_read_as_it_stands(void **state)
{
    (void)state;
    struct ack ack = read_line("BITS-Protocol: {7DF0354D-249B-430F-820D-3D2A9BEF4931}");
    add(&ack, "BITS-Protocol: second");
    assert_true(ack.has_protocol);
    assert_string_equal(ack.protocol, "{7DF0354D-249B-430F-820D-3D2A9BEF4931}");
    assert_false(read_line("Server: x").has_protocol);
}

static void the_next_offset_is_read_in_every_form_that_servers_write(void **state)
{
    static const struct {
        const char *value;
        uint64_t next;
    } table[] = {
        {"213", 213},
        {"0", 0},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
        {"4294967296", UINT64_C(4294967296)},
        {"0-1023/4096", 1024},
        {"0-1023", 1024},
        {"bytes 0-1023/4096", 1024},
        {"Bytes 128-212/4096", 213},
    };
    char line[100];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        (void)snprintf(line, sizeof(line), "BITS-Received-Content-Range: %s", table[i].value);
        struct ack ack = read_line(line);
        assert_true(ack.has_next);
        assert_false(ack.has_bad_next);
        assert_int_equal(ack.next_offset, table[i].next);
    }
}

static void what_is_no_offset_is_told_apart_from_none(void **state)
{
    static const char *const values[] = {"abc",
                                         "none",
                                         "",
                                         "-1",
                                         "-2147483648",
                                         "+5",
                                         "0x10",
                                         "1.5",
                                         "12 34",
                                         "5-",
                                         "-5/10",
                                         "9-5",
                                         "bytes 5",
                                         "18446744073709551616",
                                         "0-18446744073709551615",
                                         "0-5x",
                                         "1e3"};
    char line[100];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        (void)snprintf(line, sizeof(line), "BITS-Received-Content-Range: %s", values[i]);
        struct ack ack = read_line(line);
        assert_false(ack.has_next);
        assert_true(ack.has_bad_next);
    }
    assert_false(read_line("X: 5").has_bad_next);
}

static void the_misspelt_range_header_counts_where_the_right_one_is_missing(void **state)
{
    struct ack ack = read_line("BITS-Recieved-Content-Range: 1000");

    (void)state;
    assert_true(ack.has_next);
    assert_int_equal(ack.next_offset, 1000);
    add(&ack, "BITS-Received-Content-Range: 2000");
    assert_int_equal(ack.next_offset, 2000);
    add(&ack, "BITS-Recieved-Content-Range: 3000");
    add(&ack, "BITS-Received-Content-Range: 4000");
    assert_int_equal(ack.next_offset, 2000);
}

static void error_codes_are_read_in_every_spelling(void **state)
{
    static const struct {
        const char *value;
        uint32_t code;
    } table[] = {
        {"0x80070057", 0x80070057},
        {"x80070057", 0x80070057},
        {"80070057", 0x80070057},
        {"0X8020001f", 0x8020001f},
        {"0x80200020L", 0x80200020},
        {" 0x8020001F ", 0x8020001f},
        {"1", 1},
        {"0", 0},
        {"0x0", 0},
        {"0xA0000001", 0xa0000001},
    };
    char line[100];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        (void)snprintf(line, sizeof(line), "BITS-Error-Code: %s", table[i].value);
        struct ack ack = read_line(line);
        assert_true(ack.has_error);
        assert_int_equal(ack.error_code, table[i].code);
        (void)snprintf(line, sizeof(line), "BITS-Error: %s", table[i].value);
        ack = read_line(line);
        assert_true(ack.has_error);
        assert_int_equal(ack.error_code, table[i].code);
    }
}

static void an_error_that_cannot_be_read_is_absent(void **state)
{
    static const char *const values[] = {"", "0x", "x", "L", "E_FAIL", "0x123456789", "-1", "0x8007 0057"};
    char line[100];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        (void)snprintf(line, sizeof(line), "BITS-Error-Code: %s", values[i]);
        assert_false(read_line(line).has_error);
    }
}

static void bits_error_code_wins_over_bits_error_in_either_order(void **state)
{
    struct ack ack = read_line("BITS-Error: 0x8020001F");

    (void)state;
    add(&ack, "BITS-Error-Code: 0x80070057");
    assert_int_equal(ack.error_code, 0x80070057);
    add(&ack, "BITS-Error: 0x8020001F");
    assert_int_equal(ack.error_code, 0x80070057);
    ack = read_line("BITS-Error: 0x8020001F");
    add(&ack, "BITS-Error-Code: ");
    assert_int_equal(ack.error_code, 0x8020001F);
}

static void contexts_are_read_with_and_without_a_prefix(void **state)
{
    (void)state;
    assert_int_equal(read_line("BITS-Error-Context: 0x7").error_context, 7);
    assert_int_equal(read_line("BITS-Error-Context: 5").error_context, 5);
    assert_false(read_line("BITS-Error-Context: ").has_context);
}

static void host_ids_are_read_with_their_timeout(void **state)
{
    struct ack ack = read_line("BITS-Host-Id: FRANKCAO8");

    (void)state;
    add(&ack, "BITS-Host-Id-Fallback-Timeout: 110");
    assert_true(ack.has_host_id);
    assert_string_equal(ack.host_id, "FRANKCAO8");
    assert_int_equal(ack.host_fallback_usec, 110 * USEC_PER_SEC);
    assert_int_equal(read_line("Bits-HostId-Fallback-Timeout: 3").host_fallback_usec, 3 * USEC_PER_SEC);
    assert_int_equal(read_line("BITS-Host-Id-Fallback-Timeout: 18446744073709551615").host_fallback_usec,
                     USEC_INFINITY);
    assert_false(read_line("BITS-Host-Id-Fallback-Timeout: soon").has_host_fallback);
}

static void the_time_to_come_back_is_a_delay_or_a_date(void **state)
{
    struct ack ack = read_line("Retry-After: 120");

    (void)state;
    assert_int_equal(ack.retry_after_usec, 120 * USEC_PER_SEC);
    assert_int_equal(ack.retry_after_realtime_usec, 0);
    ack = read_line("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(ack.retry_after_realtime_usec, UINT64_C(784111777) * USEC_PER_SEC);
    assert_int_equal(ack.retry_after_usec, 0);
    ack = read_line("Retry-After: 0");
    assert_true(ack.has_retry_after);
    assert_false(read_line("Retry-After: -5").has_retry_after);
    assert_false(read_line("Retry-After: tomorrow").has_retry_after);
}

static void what_people_read_is_made_printable_and_cut(void **state)
{
    char line[700] = "Location: ";

    (void)state;
    assert_string_equal(read_line("Server: Micro\xc3\xa4soft-IIS/6.0").server, "Micro??soft-IIS/6.0");
    memset(line + strlen(line), 'x', 600);
    struct ack ack = read_line(line);
    assert_true(ack.has_location);
    assert_int_equal(strlen(ack.location), sizeof(ack.location) - 1);
    assert_true(read_line("WWW-Authenticate: Negotiate").has_authenticate);
    assert_true(read_line("Proxy-Authenticate: Basic").has_authenticate);
}

static void lines_with_control_characters_are_ignored(void **state)
{
    struct ack ack;

    (void)state;
    ack_begin(&ack, 200);
    ack_add_line(&ack, "BITS-Session-Id: a\0b", 20);
    ack_add_line(&ack, "BITS-Session-Id: a\r\nX: y", 24);
    ack_add_line(&ack, "BITS-Session-Id: a\x7f", 19);
    assert_false(ack.has_session_id);
    assert_int_equal(ack.header_count, 3);
}

static void malformed_lines_are_counted_and_ignored(void **state)
{
    static const char *const lines[] = {"",
                                        ":",
                                        "no colon",
                                        " BITS-Packet-Type: Ack",
                                        "BITS-Packet-Type : Ack",
                                        "BITS-Packet-TypeX: Ack",
                                        "BITS-Packet-Typ: Ack"};
    struct ack ack;

    (void)state;
    ack_begin(&ack, 200);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        add(&ack, lines[i]);
    assert_false(ack.is_ack);
    assert_int_equal(ack.header_count, sizeof(lines) / sizeof(lines[0]));
}

static void a_value_over_its_bound_is_ignored(void **state)
{
    static char line[HEADER_VALUE_MAX + 40];
    size_t name = strlen("BITS-Reply-URL: ");

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    memcpy(line, "BITS-Reply-URL: ", name);
    line[name + JOB_URL_MAX] = '\0';
    assert_true(read_line(line).has_reply_url);
    line[name + JOB_URL_MAX] = 'x';
    line[name + JOB_URL_MAX + 1] = '\0';
    assert_false(read_line(line).has_reply_url);

    memset(line, 'x', sizeof(line) - 1);
    memcpy(line, "Server: ", 8);
    line[8 + HEADER_VALUE_MAX] = '\0';
    assert_true(read_line(line).has_server);
    line[8 + HEADER_VALUE_MAX] = 'x';
    line[8 + HEADER_VALUE_MAX + 1] = '\0';
    assert_false(read_line(line).has_server);
}

static void more_headers_than_the_bound_are_too_large(void **state)
{
    struct ack ack;

    (void)state;
    ack_begin(&ack, 200);
    for (unsigned i = 0; i < HEADER_COUNT_MAX; i++)
        add(&ack, "X: y");
    assert_false(ack.too_large);
    add(&ack, "BITS-Packet-Type: Ack");
    assert_true(ack.too_large);
    assert_false(ack.is_ack);
}

static void more_bytes_than_the_bound_are_too_large(void **state)
{
    static char line[HEADER_BYTES_MAX / 64];
    struct ack ack;

    (void)state;
    memset(line, 'x', sizeof(line));
    ack_begin(&ack, 200);
    for (int i = 0; i < 64; i++)
        ack_add_line(&ack, line, sizeof(line));
    assert_false(ack.too_large);
    ack_add_line(&ack, line, 1);
    assert_true(ack.too_large);
}

static void dates_are_read_in_the_three_forms_of_http(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } table[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Sun Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Tue, 29 Feb 2000 23:59:60 GMT", 951868800},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Monday, 29-Feb-68 00:00:00 GMT", 3097699200},
        {"Wed, 01 Mar 2028 00:00:00 GMT", 1835481600},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint64_t usec = 1;
        assert_int_equal(http_date_parse(table[i].text, strlen(table[i].text), &usec), 0);
        assert_int_equal(usec, table[i].seconds * USEC_PER_SEC);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 06 Nov 1994 08:49:37 GMT+1",
                                        "Sun, 06 Nov 1994 08:49:37 CET",
                                        "Sun, 6 Nov 1994 08:49:37 GMT",
                                        "Sun, 31 Nov 1994 08:49:37 GMT",
                                        "Sun, 29 Feb 1900 08:49:37 GMT",
                                        "Mon, 29 Feb 2021 08:49:37 GMT",
                                        "Sun, 00 Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nox 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 24:00:00 GMT",
                                        "Sun, 06 Nov 1994 08:60:00 GMT",
                                        "Sun, 06 Nov 1994 08:49:61 GMT",
                                        "Wed, 31 Dec 1969 23:59:59 GMT",
                                        "Su, 06 Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nov"};
    uint64_t usec = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(http_date_parse(texts[i], strlen(texts[i]), &usec), -EINVAL);
    assert_int_equal(usec, 77);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_ack_is_one_in_any_case),
    cmocka_unit_test(a_new_status_line_forgets_what_was_read),
    cmocka_unit_test(session_ids_are_opaque),
    cmocka_unit_test(a_session_id_is_taken_whole_or_not_at_all),
    cmocka_unit_test(the_first_of_several_session_ids_counts),
    cmocka_unit_test(the_protocol_is_read_as_it_stands),
    cmocka_unit_test(the_next_offset_is_read_in_every_form_that_servers_write),
    cmocka_unit_test(what_is_no_offset_is_told_apart_from_none),
    cmocka_unit_test(the_misspelt_range_header_counts_where_the_right_one_is_missing),
    cmocka_unit_test(error_codes_are_read_in_every_spelling),
    cmocka_unit_test(an_error_that_cannot_be_read_is_absent),
    cmocka_unit_test(bits_error_code_wins_over_bits_error_in_either_order),
    cmocka_unit_test(contexts_are_read_with_and_without_a_prefix),
    cmocka_unit_test(host_ids_are_read_with_their_timeout),
    cmocka_unit_test(the_time_to_come_back_is_a_delay_or_a_date),
    cmocka_unit_test(what_people_read_is_made_printable_and_cut),
    cmocka_unit_test(lines_with_control_characters_are_ignored),
    cmocka_unit_test(malformed_lines_are_counted_and_ignored),
    cmocka_unit_test(a_value_over_its_bound_is_ignored),
    cmocka_unit_test(more_headers_than_the_bound_are_too_large),
    cmocka_unit_test(more_bytes_than_the_bound_are_too_large),
    cmocka_unit_test(dates_are_read_in_the_three_forms_of_http),
    cmocka_unit_test(what_is_no_date_is_refused),
};
UNIT_MAIN(tests);
