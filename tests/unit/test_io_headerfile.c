/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers of the user's own. */
#include "core/limits.h"
#include "io/headerfile.h"
#include "support/unit.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char reason[HEADER_FILE_REASON_MAX];

static int parse_n(const char *text, size_t length, char **ret)
{
    reason[0] = '\0';
    *ret = NULL;
    return header_file_parse(text, length, ret, reason);
}

static void assert_refused(const char *text, const char *why)
{
    char *list;

    assert_int_equal(parse_n(text, strlen(text), &list), -EINVAL);
    assert_null(list);
    if (!strstr(reason, why))
        fail_msg("\"%s\": \"%s\" does not say \"%s\"", text, reason, why);
    assert_null(strstr(reason, "geheim"));
}

static void headers_become_a_list(void **state)
{
    static const char text[] = "# a comment\r\nX-Api-Key:  a b \t\r\n\n!#$%&'*+-.^_`|~1:x";
    static const char expected[] = "X-Api-Key: a b\0!#$%&'*+-.^_`|~1: x\0";
    char *list;

    (void)state;
    assert_int_equal(parse_n(text, sizeof(text) - 1, &list), 0);
    assert_memory_equal(list, expected, sizeof(expected));
    free(list);
    assert_int_equal(parse_n("# none\n\n", 8, &list), 0);
    assert_null(list);
}

static void the_smallest_lines_fit_into_the_list(void **state)
{
    char text[4 * HEADER_FILE_LINES_MAX] = "";
    char *list;

    (void)state;
    for (unsigned i = 0; i < HEADER_FILE_LINES_MAX; i++)
        (void)strcat(text, i + 1 < HEADER_FILE_LINES_MAX ? "a:b\n" : "a:b");
    assert_int_equal(parse_n(text, strlen(text), &list), 0);
    for (unsigned i = 0; i < HEADER_FILE_LINES_MAX; i++)
        assert_string_equal(list + 5 * i, "a: b");
    assert_int_equal(list[5 * HEADER_FILE_LINES_MAX], '\0');
    free(list);
}

static void headers_have_a_bound_in_number_and_in_length(void **state)
{
    char text[4 * HEADER_FILE_LINES_MAX + 8] = "", line[HEADER_VALUE_MAX + 16];
    char *list;

    (void)state;
    for (unsigned i = 0; i < HEADER_FILE_LINES_MAX; i++)
        (void)strcat(text, "a:b\n");
    assert_int_equal(parse_n(text, strlen(text), &list), 0);
    free(list);
    assert_refused(strcat(text, "a:b\n"), "line 65: there are more than 64 headers");
    (void)snprintf(line, sizeof(line), "x: %0*d\n", HEADER_VALUE_MAX, 0);
    assert_int_equal(parse_n(line, strlen(line), &list), 0);
    free(list);
    (void)snprintf(line, sizeof(line), "x: %0*d\n", HEADER_VALUE_MAX + 1, 0);
    assert_refused(line, "line 1: the header x has more than 4096 bytes");
}

static void what_the_protocol_or_the_transport_sets_is_refused(void **state)
{
    static const char *const names[] = {
        "BITS-Packet-Type",
        "bits-anything",
        "Content-Length",
        "CONTENT-RANGE",
        "Content-Name",
        "Host",
        "Transfer-Encoding",
        "Connection",
        "Expect",
        "Range",
        "If-Range",
        "Accept-Encoding",
        "User-Agent",
        "X-HTTP-Method-Override",
        "Proxy-Authorization",
        "Upgrade",
        "TE",
        "Trailer",
        "Keep-Alive",
    };
    char text[128], why[128];
    char *list;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        (void)snprintf(text, sizeof(text), "X-Fine: 1\n%s: geheim\n", names[i]);
        (void)snprintf(why, sizeof(why), "line 2: the header %s cannot be set here: ", names[i]);
        assert_refused(text, why);
    }
    assert_refused("User-Agent: x\n", "choose user_agent instead");
    assert_int_equal(parse_n("Content-Type: a\nBITS: b\nHosts: c\n", 33, &list), 0);
    free(list);
}

static void what_is_no_header_is_refused(void **state)
{
    char *list;

    (void)state;
    assert_refused("geheim\n", "line 1 is not of the form \"Name: value\"");
    assert_refused("X Y: geheim\n", "line 1 is not of the form");
    assert_refused("X-A : geheim\n", "line 1 is not of the form");
    assert_refused(": geheim\n", "line 1 is not of the form");
    assert_refused(" folded: geheim\n", "line 1 is not of the form");
    assert_refused("X-A:   \n", "line 1: the header X-A has no value");
    assert_refused("X-A: geheim\rX-B: 2\n", "line 1: the header X-A holds a control character");
    assert_int_equal(parse_n("X-A: a\0b\n", 9, &list), -EINVAL);
    assert_non_null(strstr(reason, "holds a control character"));
    assert_int_equal(parse_n("X\0A: a\n", 7, &list), -EINVAL);
    assert_non_null(strstr(reason, "is not of the form"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(headers_become_a_list),
    cmocka_unit_test(the_smallest_lines_fit_into_the_list),
    cmocka_unit_test(headers_have_a_bound_in_number_and_in_length),
    cmocka_unit_test(what_the_protocol_or_the_transport_sets_is_refused),
    cmocka_unit_test(what_is_no_header_is_refused),
};
UNIT_MAIN(tests);
