/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a request shows of its user, to whom, and when. */
#include "support/netbed.h"
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_script[] = {obliging};

static bool has_line(const char *head, const char *line)
{
    const char *found = strstr(head, line);

    return found && found[-1] == '\n' && found[strlen(line)] == '\r';
}

/* One exchange of ACCESS with the bed's server, of a job whose URL names ORIGIN; NULL = the same server. */
static void ask(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                const struct transfer_access *access, const char *origin, uint64_t body_bytes)
{
    bed_prepare(bed, exchange, connection, body_bytes);
    exchange->access = access;
    if (origin)
        (void)snprintf(exchange->origin, sizeof(exchange->origin), "%s", origin);
    bed_start(exchange);
    bed_run(bed, &exchange->done);
}

static void a_job_may_name_its_own_user_agent(void **state)
{
    struct transfer_access access = {.user_agent = (char *)"Microsoft BITS/7.8"};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    ask(&bed, &exchange, connection, &access, NULL, 10);
    assert_true(has_line(raw_server_head(bed.server, 0), "User-Agent: Microsoft BITS/7.8"));
    bed_exchange(&bed, &exchange, connection, 10);
    assert_true(has_line(raw_server_head(bed.server, 1), "User-Agent: bitsq/" BITSQ_VERSION));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void headers_of_the_user_go_to_the_host_of_the_job_alone(void **state)
{
    struct transfer_access access = {.headers = (char *)"X-Api-Key: k-123\0X-Team: red\0"};
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    ask(&bed, &exchange, connection, &access, NULL, 10);
    assert_true(has_line(raw_server_head(bed.server, 0), "X-Api-Key: k-123"));
    assert_true(has_line(raw_server_head(bed.server, 0), "X-Team: red"));
    assert_true(has_line(raw_server_head(bed.server, 0), "BITS-Packet-Type: Fragment"));
    ask(&bed, &exchange, connection, &access, "elsewhere.example:80", 10);
    assert_null(strstr(raw_server_head(bed.server, 1), "X-Api-Key"));
    assert_null(strstr(raw_server_head(bed.server, 1), "X-Team"));
    access.over_http = true;
    ask(&bed, &exchange, connection, &access, "elsewhere.example:80", 10);
    assert_true(has_line(raw_server_head(bed.server, 2), "X-Api-Key: k-123"));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_token_goes_with_every_request_but_not_without_tls_unless_the_user_says_so(void **state)
{
    struct transfer_access access = {
        .server = {.scheme = AUTH_BEARER, .token = (char *)"abc.def"},
        .over_http = true,
    };
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    for (size_t i = 0; i < 2; i++) {
        ask(&bed, &exchange, connection, &access, NULL, 10);
        assert_true(has_line(raw_server_head(bed.server, i), "Authorization: Bearer abc.def"));
    }
    access.over_http = false;
    ask(&bed, &exchange, connection, &access, NULL, 10);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    assert_null(strcasestr(raw_server_head(bed.server, 2), "Authorization"));
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_job_may_name_its_own_user_agent),
    cmocka_unit_test(headers_of_the_user_go_to_the_host_of_the_job_alone),
    cmocka_unit_test(a_token_goes_with_every_request_but_not_without_tls_unless_the_user_says_so),
};

UNIT_MAIN(tests);
