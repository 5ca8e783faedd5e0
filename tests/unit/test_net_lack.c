/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No descriptors, no memory: the linker puts sd_event_add_io() of this file before the real one. */
#include "support/netbed.h"
#include "support/unit.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

int __real_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
                           sd_event_io_handler_t callback, void *userdata);
int __wrap_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
                           sd_event_io_handler_t callback, void *userdata);

static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_script[] = {obliging};

static unsigned refused;
static bool refuse;

int __wrap_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
                           sd_event_io_handler_t callback, void *userdata)
{
    if (refuse) {
        refused++;
        return -ENOSPC;
    }
    return __real_sd_event_add_io(event, ret, fd, events, callback, userdata);
}

static bool all_done(void *userdata)
{
    const struct bed_exchange *exchanges = userdata;

    return exchanges[0].done && exchanges[1].done && exchanges[2].done;
}

/* libcurl's multi handle is unusable once the loop refused a socket: every exchange ends, the next ones go well. */
static void a_loop_that_refuses_a_socket_ends_every_exchange(void **state)
{
    struct bed bed;
    struct bed_exchange exchanges[3];
    struct transfer_connection *connections[3];

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    for (size_t i = 0; i < 3; i++) {
        connections[i] = bed_connection(&bed);
        bed_exchange(&bed, &exchanges[i], connections[i], 10);
        assert_int_equal(exchanges[i].outcome.transport, TRANSPORT_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        bed_prepare(&bed, &exchanges[i], connections[i], 10000);
        exchanges[i].available = i == 0 ? 10000 : 0;
        bed_start(&exchanges[i]);
    }
    refuse = true;
    bed_run_until(&bed, all_done, exchanges);
    refuse = false;
    assert_true(refused > 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(exchanges[i].done, 1);
        assert_int_equal(exchanges[i].outcome.transport, TRANSPORT_LOCAL);
        assert_string_not_equal(exchanges[i].outcome.text, "");
    }
    for (size_t i = 0; i < 3; i++) {
        bed_exchange(&bed, &exchanges[i], connections[i], 10);
        assert_int_equal(exchanges[i].outcome.transport, TRANSPORT_OK);
        bed_drop(&bed, connections[i]);
    }
    bed_end(&bed);
}

static void no_descriptor_is_not_the_servers_fault(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;
    struct rlimit before, now;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare(&bed, &exchange, connection, 10);
    bed_start(&exchange);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    assert_true(next >= 0);
    (void)close(next);
    now = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    bed_run(&bed, &exchange.done);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_LOCAL);
    assert_int_equal(exchange.outcome.heads_sent, 0);
    bed_exchange(&bed, &exchange, connection, 10);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_loop_that_refuses_a_socket_ends_every_exchange),
    cmocka_unit_test(no_descriptor_is_not_the_servers_fault),
};

UNIT_MAIN(tests);
