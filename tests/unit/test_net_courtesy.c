/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the packets of a connection tell the network. */
#include "net/internal.h"
#include "support/netbed.h"
#include "support/unit.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOWER_EFFORT 0x04
#define UNLIMITED    UINT64_MAX

static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_script[] = {obliging};

static uint64_t option_of(int fd, int level, int name, socklen_t size)
{
    uint64_t value = 0;

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static int traffic_class(int fd)
{
    return (int)option_of(fd, IPPROTO_IP, IP_TOS, sizeof(int));
}

static uint64_t paced_rate(int fd)
{
    return option_of(fd, SOL_SOCKET, SO_MAX_PACING_RATE, sizeof(uint64_t));
}

static bool is_there(void *userdata)
{
    const struct transfer_connection *connection = userdata;

    return connection->transfer && connection->transfer->connected;
}

static int only_socket(const struct transfer_connection *connection)
{
    int found = -1;

    for (size_t i = 0; i < CONNECTION_FDS; i++) {
        if (connection->fds[i] < 0)
            continue;
        assert_int_equal(found, -1);
        found = connection->fds[i];
    }
    assert_true(found >= 0);
    return found;
}

/* One exchange on CONNECTION; its socket, which stays open. */
static int exchange(struct bed *bed, struct transfer_connection *connection, bool lower_effort)
{
    struct bed_exchange exchange;

    bed_prepare(bed, &exchange, connection, 1000);
    exchange.lower_effort = lower_effort;
    bed_start(&exchange);
    bed_run(bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    return only_socket(connection);
}

static void packets_of_the_background_may_wait_and_those_of_the_foreground_do_not(void **state)
{
    struct bed bed;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    int fd = exchange(&bed, connection, true);
    assert_int_equal(traffic_class(fd), LOWER_EFFORT);
    /* The next job on the same connection may be of another kind. */
    assert_int_equal(exchange(&bed, connection, false), fd);
    assert_int_equal(traffic_class(fd), 0);
    assert_int_equal(exchange(&bed, connection, true), fd);
    assert_int_equal(traffic_class(fd), LOWER_EFFORT);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void a_socket_of_ipv6_is_marked_too(void **state)
{
    struct transfer_connection connection = {.lower_effort = true, .fds = {-1, -1, -1, -1}};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    if (fd < 0)
        skip(); /* a kernel without IPv6 */
    connection_add_socket(&connection, fd);
    assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_TCLASS, sizeof(int)), LOWER_EFFORT);
    connection_drop_socket(&connection, fd);
    (void)close(fd);
}

static void the_kernel_spaces_out_what_a_limit_lets_through(void **state)
{
    struct bed bed;
    struct bed_exchange exchange;

    (void)state;
    bed_begin(&bed, obliging_script, 1);
    struct transfer_connection *connection = bed_connection(&bed);
    bed_prepare(&bed, &exchange, connection, 2000);
    exchange.available = 1000;
    bed_start(&exchange);
    net_transfer_ops.set_rate(bed.net, exchange.transfer, 8000000); /* before there is a socket */
    bed_run_until(&bed, is_there, connection);
    int fd = only_socket(connection);
    assert_int_equal(paced_rate(fd), 9000000);
    net_transfer_ops.set_rate(bed.net, exchange.transfer, 800000);
    assert_int_equal(paced_rate(fd), 900000);
    /* So slow that heads and handshakes would crawl, too. */
    net_transfer_ops.set_rate(bed.net, exchange.transfer, 8192);
    assert_int_equal(paced_rate(fd), UNLIMITED);
    net_transfer_ops.set_rate(bed.net, exchange.transfer, 8000000);
    net_transfer_ops.set_rate(bed.net, exchange.transfer, 0);
    assert_int_equal(paced_rate(fd), UNLIMITED);
    exchange.available = UINT64_MAX;
    net_transfer_ops.resume(bed.net, exchange.transfer);
    bed_run(&bed, &exchange.done);
    assert_int_equal(exchange.outcome.transport, TRANSPORT_OK);
    bed_drop(&bed, connection);
    bed_end(&bed);
}

static void more_sockets_than_there_are_places_for_are_marked_once(void **state)
{
    struct transfer_connection connection = {.lower_effort = true, .paced_rate = MIB, .fds = {-1, -1, -1, -1}};
    int fds[CONNECTION_FDS + 1];

    (void)state;
    for (size_t i = 0; i < CONNECTION_FDS + 1; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        connection_add_socket(&connection, fds[i]);
        assert_int_equal(traffic_class(fds[i]), LOWER_EFFORT);
        assert_true(paced_rate(fds[i]) < UNLIMITED);
    }
    for (size_t i = 0; i < CONNECTION_FDS + 1; i++) {
        connection_drop_socket(&connection, fds[i]);
        (void)close(fds[i]);
    }
    for (size_t i = 0; i < CONNECTION_FDS; i++)
        assert_int_equal(connection.fds[i], -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(packets_of_the_background_may_wait_and_those_of_the_foreground_do_not),
    cmocka_unit_test(a_socket_of_ipv6_is_marked_too),
    cmocka_unit_test(the_kernel_spaces_out_what_a_limit_lets_through),
    cmocka_unit_test(more_sockets_than_there_are_places_for_are_marked_once),
};

UNIT_MAIN(tests);
