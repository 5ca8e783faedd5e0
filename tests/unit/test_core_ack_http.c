/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What plain HTTP says in a response, and which hosts a server may name. */
#include "core/hostid.h"
#include "core/proto.h"
#include "support/unit.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void add(struct ack *ack, const char *line)
{
    ack_add_line(ack, line, strlen(line));
}

static struct ack read_line(const char *line)
{
    struct ack ack;

    ack_begin(&ack, 200);
    add(&ack, line);
    return ack;
}

static void a_content_range_says_which_part_came_of_how_much(void **state)
{
    struct ack ack = read_line("Content-Range: bytes 0-9976/10240");

    (void)state;
    add(&ack, "Content-Range: bytes 1-2/3");
    assert_true(ack.has_content_range && ack.has_range && ack.has_range_total);
    assert_int_equal(ack.range_first, 0);
    assert_int_equal(ack.range_last, 9976);
    assert_int_equal(ack.range_total, 10240);
}

static void a_content_range_may_leave_a_half_open(void **state)
{
    struct ack ack = read_line("content-range: Bytes */10240");

    (void)state;
    assert_true(ack.has_content_range && ack.has_range_total && !ack.has_range);
    assert_int_equal(ack.range_total, 10240);
    ack = read_line("Content-Range: bytes 5-9/*");
    assert_true(ack.has_content_range && ack.has_range && !ack.has_range_total);
    assert_int_equal(ack.range_last, 9);
}

static void what_is_no_content_range_is_none(void **state)
{
    static const char *const values[] = {"",
                                         "bytes",
                                         "bytes ",
                                         "bytes 0-9",
                                         "bytes 9-0/10",
                                         "0-9/10",
                                         "bytes 0-9/9",
                                         "bytes 0-9/x",
                                         "bytes -9/10",
                                         "bytes 0-/10",
                                         "lines 0-9/9",
                                         "bytes 0-9/10x",
                                         "bytes **/1",
                                         "bytes 0-18446744073709551616/1"};
    char line[100];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(values); i++) {
        (void)snprintf(line, sizeof(line), "Content-Range: %s", values[i]);
        struct ack ack = read_line(line);
        assert_false(ack.has_content_range || ack.has_range || ack.has_range_total);
    }
}

static void the_length_of_a_body_is_told_or_shows_itself(void **state)
{
    struct ack ack = read_line("Content-Length: 9977");

    (void)state;
    assert_true(ack.has_content_length);
    assert_int_equal(ack.content_length, 9977);
    assert_false(read_line("Content-Length: -1").has_content_length);
    assert_true(read_line("Transfer-Encoding: Chunked").is_chunked);
    assert_false(read_line("Transfer-Encoding: gzip").is_chunked);
}

static void validators_are_taken_whole_or_not_at_all(void **state)
{
    char line[300] = "ETag: ";
    struct ack ack = read_line("ETag: \"47-a\"");

    (void)state;
    add(&ack, "ETag: second");
    add(&ack, "Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT");
    assert_string_equal(ack.etag, "\"47-a\"");
    assert_string_equal(ack.last_modified, "Tue, 15 Nov 1994 12:45:26 GMT");
    memset(line + 6, 'x', VALIDATOR_MAX);
    ack = read_line(line);
    assert_int_equal(strlen(ack.etag), VALIDATOR_MAX);
    line[6 + VALIDATOR_MAX] = 'x';
    assert_string_equal(read_line(line).etag, "");
}

static void the_schemes_that_are_offered_are_listed_once_in_lower_case(void **state)
{
    static const struct {
        const char *value;
        const char *schemes;
    } table[] = {
        {"Negotiate", "negotiate"},
        {"Negotiate, NTLM,Basic realm=\"x\"", "negotiate ntlm basic"},
        {"Digest realm=\"a, Basic b\", qop=\"auth,auth-int\", nonce=\"q\\\"r, NTLM\" , Basic realm = \"c\"",
         "digest basic"},
        {"Negotiate YIIabc==, Bearer", "negotiate bearer"},
        {"Basic, basic, BASIC", "basic"},
        {"Digest realm=x,stale = true,Bearer error=\"invalid_token\"", "digest bearer"},
        {"", ""},
        {",,=\"", ""},
    };
    char line[300];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        (void)snprintf(line, sizeof(line), "WWW-Authenticate: %s", table[i].value);
        struct ack ack = read_line(line);
        assert_true(ack.has_authenticate);
        assert_string_equal(ack.schemes, table[i].schemes);
    }
}

static void challenges_on_several_lines_add_up_within_their_bound(void **state)
{
    struct ack ack = read_line("WWW-Authenticate: NTLM");
    char line[100];

    (void)state;
    add(&ack, "WWW-Authenticate: Basic realm=\"x\"");
    add(&ack, "WWW-Authenticate: ntlm");
    add(&ack, "Proxy-Authenticate: Digest realm=\"x\"");
    assert_string_equal(ack.schemes, "ntlm basic digest");
    for (int i = 0; i < 50; i++) {
        (void)snprintf(line, sizeof(line), "WWW-Authenticate: scheme%d", i);
        add(&ack, line);
    }
    assert_true(strlen(ack.schemes) < sizeof(ack.schemes));
    assert_non_null(strstr(ack.schemes, " scheme0 "));
    assert_null(strstr(ack.schemes, "scheme20"));
}

static void a_host_id_is_a_name_or_an_address_with_or_without_a_port(void **state)
{
    static const struct {
        const char *text;
        const char *host;
    } table[] = {
        {"FRANKCAO8", "FRANKCAO8"},
        {"up7.example.org", "up7.example.org"},
        {"up_7.example.org:8080", "up_7.example.org:8080"},
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7:1", "192.0.2.7:1"},
        {"2001:db8::7", "[2001:db8::7]"},
        {"::1", "[::1]"},
        {"[2001:db8::7]", "[2001:db8::7]"},
        {"[::1]:65535", "[::1]:65535"},
        {"::ffff:192.0.2.7", "[::ffff:192.0.2.7]"},
    };
    char host[HOST_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        assert_int_equal(host_id_read(table[i].text, strlen(table[i].text), host), 0);
        assert_string_equal(host, table[i].host);
    }
}

static void what_is_more_than_a_host_is_no_host_id(void **state)
{
    static const char *const texts[] = {
        "",     "http://a", "a/b",     "user@a",       "a b",      "a\tb",
        "a\nb", "a:0",      "a:65536", "a:",           "a:80:80",  "a:8x",
        ":80",  "[::1",     "[::1]x",  "[::1]:",       "[::1]:0",  "[a]",
        "[]",   "::1%eth0", "[::1%1]", "a..b",         ".a",       "-a",
        "a?b",  "a#b",      "a\\b",    "b\xc3\xbc.de", "a:080000", "1:2:3:4:5:6:7:8:9",
        "a%00", "a,b",      "*",       "a.",
    };
    char host[HOST_ID_MAX + 1] = "untouched";

    (void)state;
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        assert_int_equal(host_id_read(texts[i], strlen(texts[i]), host), -EINVAL);
    assert_string_equal(host, "untouched");
    assert_int_equal(host_id_read("a\0b", 3, host), -EINVAL);
}

static void a_host_id_over_its_bound_is_none(void **state)
{
    char text[HOST_ID_MAX + 2], host[HOST_ID_MAX + 1];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(host_id_read(text, HOST_ID_MAX, host), 0);
    assert_int_equal(strlen(host), HOST_ID_MAX);
    assert_int_equal(host_id_read(text, HOST_ID_MAX + 1, host), -EINVAL);
}

static void an_ack_tells_whether_its_host_id_is_a_host(void **state)
{
    struct ack ack = read_line("BITS-Host-Id: 2001:db8::7");

    (void)state;
    assert_true(ack.has_host_id && ack.host_id_is_valid);
    assert_string_equal(ack.host_id, "[2001:db8::7]");
    ack = read_line("BITS-Host-Id: evil@example.org/x");
    assert_true(ack.has_host_id && !ack.host_id_is_valid);
    assert_string_equal(ack.host_id, "evil@example.org/x");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_content_range_says_which_part_came_of_how_much),
    cmocka_unit_test(a_content_range_may_leave_a_half_open),
    cmocka_unit_test(what_is_no_content_range_is_none),
    cmocka_unit_test(the_length_of_a_body_is_told_or_shows_itself),
    cmocka_unit_test(validators_are_taken_whole_or_not_at_all),
    cmocka_unit_test(the_schemes_that_are_offered_are_listed_once_in_lower_case),
    cmocka_unit_test(challenges_on_several_lines_add_up_within_their_bound),
    cmocka_unit_test(a_host_id_is_a_name_or_an_address_with_or_without_a_port),
    cmocka_unit_test(what_is_more_than_a_host_is_no_host_id),
    cmocka_unit_test(a_host_id_over_its_bound_is_none),
    cmocka_unit_test(an_ack_tells_whether_its_host_id_is_a_host),
};
UNIT_MAIN(tests);
