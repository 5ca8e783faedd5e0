/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The circuit breaker, and what back-off and breaker together do to a server that returns after an hour. */
#include "core/breaker.h"

#include "core/backoff.h"

#include "support/unit.h"

#include "base/moment.h"

#include <string.h>

#define NOW (UINT64_C(1000) * USEC_PER_SEC)

static void a_destination_that_fails_is_probed_when_its_time_comes(void **state)
{
    struct breaker breaker = {.state = BREAKER_CLOSED};
    uint64_t from = 7;

    (void)state;
    assert_false(breaker_holds(&breaker, NOW, &from));
    breaker_failed(&breaker, NOW, 5, NOW + 5);
    assert_true(breaker_holds(&breaker, NOW, &from));
    assert_true(from == NOW + 5);
    breaker_failed(&breaker, NOW + 5, 15, NOW + 20);
    assert_true(breaker.since_usec == NOW);
    assert_true(breaker_holds(&breaker, NOW + 30, &from));
    assert_true(from == NOW + 20);
}

static void one_job_at_a_time_goes_on_for_a_while_after_it_answered(void **state)
{
    struct breaker breaker = {.state = BREAKER_CLOSED};
    uint64_t from = 7;

    (void)state;
    breaker_failed(&breaker, NOW, 100, NOW + 100);
    breaker_answered(&breaker, NOW + 100, 142);
    assert_true(breaker_holds(&breaker, NOW + 141, &from));
    assert_true(from == 0);
    assert_false(breaker_holds(&breaker, NOW + 142, &from));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    breaker_answered(&breaker, NOW + 200, 1);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

/*
 * 1,000 clients lose their server within ten seconds of each other. Each has work for two connections, and makes the
 * second as soon as the breaker lets it.
 */
#define CLIENTS    1000
#define OUTAGE_SEC 3600
#define AFTER_SEC  1800
#define WINDOW_SEC 10

struct client {
    struct breaker breaker;
    uint64_t delay_usec, next_usec;
    unsigned connections; /* that were served */
};

static const struct backoff_rule rule = {.min_usec = 5 * USEC_PER_SEC, .max_usec = 10 * USEC_PER_MIN};

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * UINT64_C(2685821657736338717);
}

/* New connections of a client in this second. */
static unsigned step(struct client *client, uint64_t second, uint64_t *seed)
{
    uint64_t now = second * USEC_PER_SEC, from;

    if (client->connections == 0) {
        if (client->next_usec > now)
            return 0;
        if (second >= OUTAGE_SEC) {
            breaker_answered(&client->breaker, now, draw(seed));
            client->connections = 1;
            return 1;
        }
        client->delay_usec = backoff_delay(&rule, client->delay_usec, 0, draw(seed));
        client->next_usec = now + client->delay_usec;
        breaker_failed(&client->breaker, now, client->delay_usec, client->next_usec);
        return 1;
    }
    if (client->connections == 1 && !breaker_holds(&client->breaker, now, &from)) {
        client->connections = 2;
        return 1;
    }
    return 0;
}

static void a_server_that_returns_after_an_hour_is_not_run_over(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static struct client clients[CLIENTS];
        static unsigned made[OUTAGE_SEC + AFTER_SEC];
        uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15), before = 0;

        memset(clients, 0, sizeof(clients));
        memset(made, 0, sizeof(made));
        for (size_t i = 0; i < CLIENTS; i++)
            clients[i].next_usec = draw(&random) % (10 * USEC_PER_SEC);
        for (uint64_t second = 0; second < OUTAGE_SEC + AFTER_SEC; second++)
            for (size_t i = 0; i < CLIENTS; i++)
                made[second] += step(&clients[i], second, &random);
        for (size_t second = OUTAGE_SEC - 600; second < OUTAGE_SEC; second++)
            before += made[second];
        for (size_t second = OUTAGE_SEC; second + WINDOW_SEC <= OUTAGE_SEC + AFTER_SEC; second++) {
            uint64_t window = 0;
            for (size_t i = 0; i < WINDOW_SEC; i++)
                window += made[second + i];
            /* under twice the mean of ten seconds in the last ten minutes of the outage */
            assert_true(window * 60 < 2 * before);
        }
        /* and nobody waits for longer than the longest pause, and that again for the second connection */
        for (size_t i = 0; i < CLIENTS; i++)
            assert_int_equal(clients[i].connections, 2);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_destination_that_fails_is_probed_when_its_time_comes),
    cmocka_unit_test(one_job_at_a_time_goes_on_for_a_while_after_it_answered),
    cmocka_unit_test(a_server_that_returns_after_an_hour_is_not_run_over),
};

UNIT_MAIN(tests);
