/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/proto.h"
#include "support/unit.h"

#include <errno.h>
#include <string.h>

static size_t count_headers(const struct exchange_request *request)
{
    size_t count = 0;

    for (const char *line = request->headers; *line != '\0'; line += strlen(line) + 1)
        count++;
    return count;
}

static bool has_line(const struct exchange_request *request, const char *wanted)
{
    for (const char *line = request->headers; *line != '\0'; line += strlen(line) + 1)
        if (strcmp(line, wanted) == 0)
            return true;
    return false;
}

static void create_session_offers_the_one_protocol(void **state)
{
    const struct proto_packet packet = {.kind = EXCHANGE_CREATE};
    struct exchange_request request = {0};

    (void)state;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_string_equal(request.method, "BITS_POST");
    assert_int_equal(count_headers(&request), 2);
    assert_true(has_line(&request, "BITS-Packet-Type: Create-Session"));
    assert_true(has_line(&request, "BITS-Supported-Protocols: {7df0354d-249b-430f-820d-3d2a9bef4931}"));
    assert_int_equal(request.body_bytes, 0);
}

static void a_ping_carries_no_session_id(void **state)
{
    const struct proto_packet packet = {.kind = EXCHANGE_PING, .session_id = "x"};
    struct exchange_request request = {0};

    (void)state;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_int_equal(count_headers(&request), 1);
    assert_true(has_line(&request, "BITS-Packet-Type: Ping"));
}

static void a_fragment_names_its_range_with_both_ends_included(void **state)
{
    const struct proto_packet packet = {.kind = EXCHANGE_FRAGMENT,
                                        .session_id = "{AbC-x}",
                                        .content_name = "a.bin",
                                        .first = 4096,
                                        .bytes = 4096,
                                        .total = 10000};
    struct exchange_request request = {0};

    (void)state;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_int_equal(count_headers(&request), 4);
    assert_true(has_line(&request, "BITS-Packet-Type: Fragment"));
    assert_true(has_line(&request, "BITS-Session-Id: {AbC-x}"));
    assert_true(has_line(&request, "Content-Name: a.bin"));
    assert_true(has_line(&request, "Content-Range: bytes 4096-8191/10000"));
    assert_int_equal(request.body_offset, 4096);
    assert_int_equal(request.body_bytes, 4096);
}

static void ranges_use_all_64_bits(void **state)
{
    const struct proto_packet packet = {
        .kind = EXCHANGE_FRAGMENT, .session_id = "x", .first = UINT64_MAX - 2, .bytes = 2, .total = UINT64_MAX};
    struct exchange_request request = {0};

    (void)state;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_true(has_line(&request, "Content-Range: bytes 18446744073709551613-18446744073709551614/"
                                   "18446744073709551615"));
}

static void an_empty_or_overlong_range_is_never_built(void **state)
{
    static const struct {
        uint64_t first, bytes, total;
    } table[] = {{0, 0, 0}, {5, 0, 10}, {5, 6, 10}, {11, 1, 10}, {UINT64_MAX, 2, UINT64_MAX}};
    struct exchange_request request = {.method = "untouched"};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct proto_packet packet = {.kind = EXCHANGE_FRAGMENT,
                                            .session_id = "x",
                                            .first = table[i].first,
                                            .bytes = table[i].bytes,
                                            .total = table[i].total};
        assert_int_equal(proto_build(&packet, &request), -EINVAL);
    }
    assert_string_equal(request.method, "untouched");
}

static void close_and_cancel_carry_the_session_id_alone(void **state)
{
    struct proto_packet packet = {.kind = EXCHANGE_CLOSE, .session_id = "-1234567890"};
    struct exchange_request request = {0};

    (void)state;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_int_equal(count_headers(&request), 2);
    assert_true(has_line(&request, "BITS-Packet-Type: Close-Session"));
    assert_true(has_line(&request, "BITS-Session-Id: -1234567890"));
    packet.kind = EXCHANGE_CANCEL;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_true(has_line(&request, "BITS-Packet-Type: Cancel-Session"));
}

static void no_value_breaks_out_of_its_header(void **state)
{
    static const char *const values[] = {"", "a\r\nX: y", "a\nb", "a\rb", "a\tb", "a\x7f", " a", "a "};
    struct exchange_request request = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct proto_packet packet = {.kind = EXCHANGE_CLOSE, .session_id = values[i]};
        assert_int_equal(proto_build(&packet, &request), -EINVAL);
        packet = (struct proto_packet){.kind = EXCHANGE_CREATE, .content_name = values[i]};
        assert_int_equal(proto_build(&packet, &request), -EINVAL);
    }
    const struct proto_packet without = {.kind = EXCHANGE_CLOSE};
    assert_int_equal(proto_build(&without, &request), -EINVAL);
}

static void what_does_not_fit_is_refused_whole(void **state)
{
    char id[EXCHANGE_HEADERS_MAX];
    const struct proto_packet packet = {.kind = EXCHANGE_CLOSE, .session_id = id};
    struct exchange_request request = {0};
    /* two terminators, the packet type with its own, and the name of the header */
    size_t room = EXCHANGE_HEADERS_MAX - 2 - sizeof("BITS-Packet-Type: Close-Session") - strlen("BITS-Session-Id: ");

    (void)state;
    memset(id, 'x', sizeof(id));
    id[room] = '\0';
    assert_int_equal(proto_build(&packet, &request), 0);
    id[room] = 'x';
    id[room + 1] = '\0';
    assert_int_equal(proto_build(&packet, &request), -EINVAL);
}

static void the_content_name_is_the_last_component_made_safe(void **state)
{
    static const struct {
        const char *path, *name;
    } table[] = {
        {"/home/a/report.iso", "report.iso"},
        {"report.iso", "report.iso"},
        {"/a/b\\c:d*e?f\"g<h>i|j", "b_c_d_e_f_g_h_i_j"},
        {"/a/line\nbreak\r\x7f", "line_break__"},
        {"/a/\xc3\xa4", "__"},
        {"/a/\xff", "_"},
        {"/a/ blanks ", "_blanks_"},
        {"/a/ ", "_"},
        {"/a/", ""},
        {"", ""},
    };
    char name[261];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        proto_content_name(table[i].path, name);
        assert_string_equal(name, table[i].name);
    }
}

static void the_content_name_has_at_most_260_bytes(void **state)
{
    char path[400], name[261];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[260] = '\0';
    proto_content_name(path, name);
    assert_int_equal(strlen(name), 260);
    path[260] = 'x';
    path[261] = '\0';
    proto_content_name(path, name);
    assert_int_equal(strlen(name), 260);
}

static void a_dialect_may_speak_post_and_another_guid(void **state)
{
    struct proto_packet packet = {.kind = EXCHANGE_CREATE,
                                  .method = METHOD_POST_OVERRIDE,
                                  .protocol_guid = "{7DF0354D-249B-430F-820D-3D2A9BEF4931}"};
    struct exchange_request request = {0};

    (void)state;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_string_equal(request.method, "POST");
    assert_true(has_line(&request, "X-HTTP-Method-Override: BITS_POST"));
    assert_true(has_line(&request, "BITS-Supported-Protocols: {7DF0354D-249B-430F-820D-3D2A9BEF4931}"));
    packet.method = METHOD_POST;
    packet.protocol_guid = "";
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_string_equal(request.method, "POST");
    assert_int_equal(count_headers(&request), 2);
    assert_true(has_line(&request, "BITS-Supported-Protocols: " BITS_PROTOCOL_GUID));
    packet.protocol_guid = "{0}\r\nX: y";
    assert_int_equal(proto_build(&packet, &request), -EINVAL);
}

static void a_part_of_the_reply_is_asked_for_by_a_closed_range(void **state)
{
    struct proto_packet packet = {
        .kind = EXCHANGE_REPLY, .method = METHOD_POST_OVERRIDE, .session_id = "x", .first = 100, .bytes = 50};
    struct exchange_request request = {0};

    (void)state;
    assert_int_equal(proto_build(&packet, &request), 0);
    assert_string_equal(request.method, "GET");
    assert_int_equal(count_headers(&request), 3);
    assert_true(has_line(&request, "Accept: */*"));
    assert_true(has_line(&request, "Accept-Encoding: identity"));
    assert_true(has_line(&request, "Range: bytes=100-149"));
    assert_int_equal(request.body_bytes, 0);
    assert_int_equal(request.range_first, 100);
    assert_int_equal(request.range_bytes, 50);
    packet.bytes = 0;
    assert_int_equal(proto_build(&packet, &request), -EINVAL);
    packet.bytes = 2;
    packet.first = UINT64_MAX;
    assert_int_equal(proto_build(&packet, &request), -EINVAL);
}

static void the_chosen_protocol_must_be_one_that_was_offered(void **state)
{
    (void)state;
    assert_true(proto_is_offered(BITS_PROTOCOL_GUID, "{7df0354d-249b-430f-820d-3d2a9bef4931}"));
    assert_true(proto_is_offered(BITS_PROTOCOL_GUID, "7DF0354D-249B-430F-820D-3D2A9BEF4931"));
    assert_true(proto_is_offered("{a} {b},{c}", "B"));
    assert_true(proto_is_offered("a, b", "{b}"));
    assert_false(proto_is_offered(BITS_PROTOCOL_GUID, "{7df0354d-249b-430f-820d-3d2a9bef4932}"));
    assert_false(proto_is_offered(BITS_PROTOCOL_GUID, "{7df0354d-249b-430f-820d-3d2a9bef4931"));
    assert_false(proto_is_offered(BITS_PROTOCOL_GUID, ""));
    assert_false(proto_is_offered("{a} {b}", "a} {b"));
    assert_false(proto_is_offered("", ""));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_dialect_may_speak_post_and_another_guid),
    cmocka_unit_test(a_part_of_the_reply_is_asked_for_by_a_closed_range),
    cmocka_unit_test(the_chosen_protocol_must_be_one_that_was_offered),
    cmocka_unit_test(create_session_offers_the_one_protocol),
    cmocka_unit_test(a_ping_carries_no_session_id),
    cmocka_unit_test(a_fragment_names_its_range_with_both_ends_included),
    cmocka_unit_test(ranges_use_all_64_bits),
    cmocka_unit_test(an_empty_or_overlong_range_is_never_built),
    cmocka_unit_test(close_and_cancel_carry_the_session_id_alone),
    cmocka_unit_test(no_value_breaks_out_of_its_header),
    cmocka_unit_test(what_does_not_fit_is_refused_whole),
    cmocka_unit_test(the_content_name_is_the_last_component_made_safe),
    cmocka_unit_test(the_content_name_has_at_most_260_bytes),
};
UNIT_MAIN(tests);
