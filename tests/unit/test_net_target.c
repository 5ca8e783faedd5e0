/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/unit.h"

#include "net/target.h"

#include <errno.h>
#include <string.h>

#define URL   "https://up.example.org/in/box/a.bin?token=1"
#define PLAIN "http://up.example.org/in/a.bin"

static void assert_goes_to(const struct target_question *question, const char *url, const char *host)
{
    _cleanup_(target_done) struct target target = {0};
    const char *fault = NULL;

    int r = target_resolve(question, &target, &fault);
    if (r < 0)
        fail_msg("%s: %s", url, fault);
    assert_string_equal(target.url, url);
    assert_string_equal(target.host, host);
    assert_int_equal(target.over_tls, strncmp(url, "https:", 6) == 0);
}

static void host_leads_to(const char *host, const char *url, const char *expected)
{
    const struct target_question question = {.url = URL, .target = TARGET_HOST, .host = host};

    assert_goes_to(&question, url, expected);
}

static void reply_leads_to(const char *reply, const char *url)
{
    const struct target_question question = {.url = URL, .target = TARGET_REPLY, .host = "", .reply_url = reply};

    assert_goes_to(&question, url, "up.example.org:443");
}

static void reply_is_refused(const struct target_question *question, const char *words)
{
    struct target target;
    const char *fault = NULL;

    assert_int_equal(target_resolve(question, &target, &fault), -EINVAL);
    if (!strstr(fault, words))
        fail_msg("\"%s\" does not say \"%s\"", fault, words);
}

static void refused(const char *reply, const char *words)
{
    reply_is_refused(&(struct target_question){.url = URL, .target = TARGET_REPLY, .host = "", .reply_url = reply},
                     words);
}

static void a_host_id_replaces_the_host_and_nothing_else(void **state)
{
    (void)state;
    host_leads_to("node7", "https://node7/in/box/a.bin?token=1", "node7:443");
    host_leads_to("NODE7.example.org:8443", "https://NODE7.example.org:8443/in/box/a.bin?token=1",
                  "node7.example.org:8443");
    host_leads_to("192.0.2.7", "https://192.0.2.7/in/box/a.bin?token=1", "192.0.2.7:443");
    host_leads_to("[2001:db8::7]", "https://[2001:db8::7]/in/box/a.bin?token=1", "[2001:db8::7]:443");
    host_leads_to("[2001:db8::7]:81", "https://[2001:db8::7]:81/in/box/a.bin?token=1", "[2001:db8::7]:81");
}

static void the_port_of_the_url_is_kept_where_the_host_id_names_none(void **state)
{
    const struct target_question question = {
        .url = "http://up.example.org:8080/a", .target = TARGET_HOST, .host = "node7"};

    (void)state;
    assert_goes_to(&question, "http://node7:8080/a", "node7:8080");
}

static void a_relative_reply_lies_in_the_folder_of_the_destination(void **state)
{
    (void)state;
    reply_leads_to("BITS-Sessions\\Replies\\{6F-1}\\responsefile.bin",
                   "https://up.example.org/in/box/BITS-Sessions/Replies/%7B6F-1%7D/responsefile.bin");
    reply_leads_to("reply.bin", "https://up.example.org/in/box/reply.bin");
    reply_leads_to("reply.bin?id=5", "https://up.example.org/in/box/reply.bin?id=5");
    reply_leads_to("/replies/6", "https://up.example.org/replies/6");
    reply_leads_to("\\replies\\6", "https://up.example.org/replies/6");
    reply_leads_to("../6", "https://up.example.org/in/6");
    reply_leads_to("re ply|<x>.bin", "https://up.example.org/in/box/re%20ply%7C%3Cx%3E.bin");
    reply_leads_to("r\xc3\xa9ply", "https://up.example.org/in/box/r%C3%A9ply");
}

static void an_absolute_reply_is_taken_as_it_is(void **state)
{
    (void)state;
    reply_leads_to("https://up.example.org/replies/6.bin?a=b", "https://up.example.org/replies/6.bin?a=b");
    reply_leads_to("https://UP.example.org:443/6", "https://UP.example.org:443/6");
    reply_leads_to("https://up.example.org/6#part", "https://up.example.org/6");
}

static void a_reply_is_asked_of_the_host_that_took_the_upload(void **state)
{
    struct target_question question = {.url = URL, .target = TARGET_REPLY, .host = "node7", .reply_url = "r.bin"};

    (void)state;
    assert_goes_to(&question, "https://node7/in/box/r.bin", "node7:443");
    question.reply_url = "https://up.example.org/r.bin";
    assert_goes_to(&question, "https://up.example.org/r.bin", "up.example.org:443");
    question.reply_url = "https://node7/r.bin";
    assert_goes_to(&question, "https://node7/r.bin", "node7:443");
}

static void a_reply_on_another_host_needs_the_jobs_leave(void **state)
{
    struct target_question question = {
        .url = PLAIN, .target = TARGET_REPLY, .host = "", .reply_url = "http://elsewhere.example.org/r"};

    (void)state;
    reply_is_refused(&question, "another host");
    question.reply_url = "http://up.example.org:8080/r";
    reply_is_refused(&question, "another host");
    question.reply_url = "\\\\server\\share\\r";
    reply_is_refused(&question, "another host");
    question.other_host = true;
    question.reply_url = "http://elsewhere.example.org/r";
    assert_goes_to(&question, "http://elsewhere.example.org/r", "elsewhere.example.org:80");
}

static void a_reply_that_leads_out_of_http_is_refused(void **state)
{
    (void)state;
    refused("ftp://up.example.org/r", "neither http nor https");
    refused("file:///etc/passwd", "neither http nor https");
    refused("http://up.example.org/r", "while that of the upload is https");
    refused("https://me:secret@up.example.org/r", "user or password");
    refused("", "cannot be understood");
    refused("#r", "cannot be understood");
    refused("https://", "cannot be understood");
    refused("https://up.example.org:99999/r", "cannot be understood");
}

static void a_host_id_that_is_no_host_is_refused(void **state)
{
    (void)state;
    reply_is_refused(&(struct target_question){.url = URL, .target = TARGET_HOST, .host = "a/b"}, "no host");
    reply_is_refused(&(struct target_question){.url = URL, .target = TARGET_HOST, .host = "node7:port"}, "no host");
}

static void the_jobs_own_url_goes_out_as_it_was_given(void **state)
{
    const struct target_question question = {.url = "http://up.example.org/a/../b?c", .target = TARGET_ORIGIN};

    (void)state;
    assert_goes_to(&question, "http://up.example.org/a/../b?c", "up.example.org:80");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_host_id_replaces_the_host_and_nothing_else),
    cmocka_unit_test(the_port_of_the_url_is_kept_where_the_host_id_names_none),
    cmocka_unit_test(a_relative_reply_lies_in_the_folder_of_the_destination),
    cmocka_unit_test(an_absolute_reply_is_taken_as_it_is),
    cmocka_unit_test(a_reply_is_asked_of_the_host_that_took_the_upload),
    cmocka_unit_test(a_reply_on_another_host_needs_the_jobs_leave),
    cmocka_unit_test(a_reply_that_leads_out_of_http_is_refused),
    cmocka_unit_test(a_host_id_that_is_no_host_is_refused),
    cmocka_unit_test(the_jobs_own_url_goes_out_as_it_was_given),
};
UNIT_MAIN(tests);
