/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/unit.h"

#include "net/noproxy.h"

static void asked_directly(const char *list, const char *host)
{
    if (!noproxy_matches(list, host))
        fail_msg("\"%s\" does not name %s", list, host);
}

static void asked_of_the_proxy(const char *list, const char *host)
{
    if (noproxy_matches(list, host))
        fail_msg("\"%s\" names %s", list ? list : "(no list)", host);
}

static void a_name_stands_for_itself_and_all_below_it(void **state)
{
    (void)state;
    asked_directly("example.org", "example.org:80");
    asked_directly("example.org", "up.example.org:8080");
    asked_directly(".example.org", "up.example.org:443");
    asked_directly(".example.org", "example.org:443");
    asked_directly("Example.ORG", "up.example.org:443");
    asked_of_the_proxy("example.org", "badexample.org:80");
    asked_of_the_proxy("up.example.org", "example.org:80");
    asked_of_the_proxy("example.org", "example.org.evil.net:80");
}

static void any_of_a_list_will_do(void **state)
{
    (void)state;
    asked_directly("localhost,example.org", "example.org:80");
    asked_directly(" localhost , example.org ,", "localhost:80");
    asked_directly("localhost example.org", "example.org:80");
    asked_of_the_proxy(" , ,, ", "example.org:80");
    asked_of_the_proxy("", "example.org:80");
    asked_of_the_proxy(NULL, "example.org:80");
}

static void a_star_stands_for_all_hosts(void **state)
{
    (void)state;
    asked_directly("*", "example.org:80");
    asked_directly("localhost,*", "[::1]:80");
    asked_of_the_proxy("*.org", "example.org:80");
}

static void an_address_is_no_name(void **state)
{
    (void)state;
    asked_directly("192.0.2.7", "192.0.2.7:80");
    asked_of_the_proxy("2.7", "192.0.2.7:80");
    asked_of_the_proxy("192.0.2.70", "192.0.2.7:80");
    asked_directly("::1", "[::1]:80");
    asked_directly("[::1]", "[::1]:80");
    asked_directly("0:0:0:0:0:0:0:1", "[::1]:80");
    asked_of_the_proxy("::2", "[::1]:80");
}

static void a_network_stands_for_its_addresses(void **state)
{
    (void)state;
    asked_directly("10.0.0.0/8", "10.200.3.4:80");
    asked_of_the_proxy("10.0.0.0/8", "11.0.0.1:80");
    asked_directly("192.0.2.128/25", "192.0.2.129:80");
    asked_of_the_proxy("192.0.2.128/25", "192.0.2.127:80");
    asked_directly("0.0.0.0/0", "192.0.2.127:80");
    asked_of_the_proxy("0.0.0.0/0", "[::1]:80");
    asked_directly("fd00::/8", "[fd12::1]:80");
    asked_of_the_proxy("fd00::/8", "[fe80::1]:80");
    asked_of_the_proxy("10.0.0.0/33", "10.0.0.1:80");
    asked_of_the_proxy("10.0.0.0/x", "10.0.0.1:80");
    asked_of_the_proxy("10.0.0.0/8", "ten.example.org:80");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_name_stands_for_itself_and_all_below_it),
    cmocka_unit_test(any_of_a_list_will_do),
    cmocka_unit_test(a_star_stands_for_all_hosts),
    cmocka_unit_test(an_address_is_no_name),
    cmocka_unit_test(a_network_stands_for_its_addresses),
};
UNIT_MAIN(tests);
