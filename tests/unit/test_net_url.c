/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/limits.h"
#include "net/url.h"
#include "support/unit.h"

#include <errno.h>
#include <string.h>

struct good {
    const char *url, *host, *name;
};

static const struct good good[] = {
    {"http://example.com/up/a.bin", "example.com:80", "a.bin"},
    {"https://example.com/up/a.bin", "example.com:443", "a.bin"},
    {"HTTP://EXAMPLE.com:8080/A.bin", "example.com:8080", "A.bin"},
    {"http://example.com:80/a", "example.com:80", "a"},
    {"http://example.com", "example.com:80", ""},
    {"http://example.com/", "example.com:80", ""},
    {"http://example.com/folder/", "example.com:80", ""},
    {"http://example.com/a%20b%2Fc", "example.com:80", "a b/c"},
    {"http://example.com/%E4%BD%A0", "example.com:80", "\xE4\xBD\xA0"},
    {"http://example.com/a.bin?sig=x%2Fy&name=/z", "example.com:80", "a.bin"},
    {"http://127.0.0.1:9/x", "127.0.0.1:9", "x"},
    {"http://[::1]:8080/x", "[::1]:8080", "x"},
    {"http://[::1]/x", "[::1]:80", "x"},
    {"https://[2001:DB8::1]/x", "[2001:db8::1]:443", "x"},
    {"http://localhost:65535/x", "localhost:65535", "x"},
};

struct bad {
    const char *url;
    enum url_fault fault;
};

static const struct bad bad[] = {
    {"", URL_SCHEME},
    {"example.com/a", URL_SCHEME},
    {"/up/a.bin", URL_SCHEME},
    {"ftp://example.com/a", URL_SCHEME},
    {"file:///etc/passwd", URL_SCHEME},
    {"bits://example.com/a", URL_SCHEME},
    {"http://user@example.com/a", URL_CREDENTIALS},
    {"http://user:password@example.com/a", URL_CREDENTIALS},
    {"http://:password@example.com/a", URL_CREDENTIALS},
    {"http:///a", URL_NO_HOST},
    {"http:/example.com/a", URL_MALFORMED},
    {"http:example.com/a", URL_MALFORMED},
    {"http://", URL_NO_HOST},
    {"http://:80/a", URL_NO_HOST},
    {"http://example.com/a#part", URL_FRAGMENT},
    {"http://example.com/a#", URL_FRAGMENT},
    {"http://example.com/a b", URL_MALFORMED},
    {"http://example.com/a\nb", URL_MALFORMED},
    {"http://example.com/a\x01", URL_MALFORMED},
    {"http://example.com:0/a", URL_MALFORMED},
    {"http://example.com:65536/a", URL_MALFORMED},
    {"http://example.com:x/a", URL_MALFORMED},
    {"http://[::1/a", URL_MALFORMED},
    {"http://exa mple.com/a", URL_MALFORMED},
    {"http://example.com/a%00b", URL_MALFORMED},
};

static void a_good_url_gives_host_and_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char *host = NULL, *name = NULL;
        enum url_fault fault = URL_OK;
        if (url_check(good[i].url, &host, &name, &fault) != 0)
            fail_msg("%s: fault %d", good[i].url, (int)fault);
        assert_string_equal(host, good[i].host);
        assert_string_equal(name, good[i].name);
        free(host);
        free(name);
    }
}

static void a_bad_url_is_refused_for_the_right_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *host = NULL, *name = NULL;
        enum url_fault fault = URL_OK;
        if (url_check(bad[i].url, &host, &name, &fault) != -EINVAL || fault != bad[i].fault)
            fail_msg("%s: fault %d", bad[i].url, (int)fault);
        assert_null(host);
        assert_null(name);
    }
}

static void a_url_may_be_as_long_as_the_bound_and_no_longer(void **state)
{
    static const char start[] = "http://example.com/";
    char url[JOB_URL_MAX + 2];
    char *host = NULL, *name = NULL;
    enum url_fault fault = URL_OK;

    (void)state;
    memset(url, 'a', sizeof(url));
    memcpy(url, start, strlen(start));
    url[JOB_URL_MAX] = '\0';
    assert_int_equal(url_check(url, &host, &name, &fault), 0);
    free(host);
    free(name);
    url[JOB_URL_MAX] = 'a';
    url[JOB_URL_MAX + 1] = '\0';
    assert_int_equal(url_check(url, &host, &name, &fault), -EINVAL);
    assert_int_equal(fault, URL_TOO_LONG);
}

static void every_fault_has_its_own_sentence(void **state)
{
    (void)state;
    for (int i = URL_OK; i <= URL_TOO_LONG; i++) {
        assert_true(strlen(url_fault_text((enum url_fault)i)) > 10);
        for (int j = URL_OK; j < i; j++)
            assert_string_not_equal(url_fault_text((enum url_fault)i), url_fault_text((enum url_fault)j));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_good_url_gives_host_and_name),
    cmocka_unit_test(a_bad_url_is_refused_for_the_right_reason),
    cmocka_unit_test(a_url_may_be_as_long_as_the_bound_and_no_longer),
    cmocka_unit_test(every_fault_has_its_own_sentence),
};

UNIT_MAIN(tests);
