/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the packets of a connection tell the network: that they may wait behind all others, and how far apart they are.
 * Neither is needed for an upload to work, so no failure matters: a container may forbid it, a kernel not know it.
 */
#include "net/internal.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#define TRAFFIC_LOWER_EFFORT 0x04 /* DSCP 1 (RFC 8622), in the upper six bits of the field */
#define TRAFFIC_DEFAULT      0

/* Below it a piece is a few packets, which need no spacing; heads and handshakes are not to crawl. */
#define PACED_RATE_MIN  (256 * KIB)
#define PACED_HEADROOM  8 /* an eighth more than the limit of bodies: heads count too, and a delay is made up for */
#define PACED_UNLIMITED (~UINT64_C(0))

static void mark(int fd, bool lower_effort)
{
    int value = lower_effort ? TRAFFIC_LOWER_EFFORT : TRAFFIC_DEFAULT;

    /* Each is refused on sockets of the other kind. */
    (void)setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof(value));
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof(value));
}

static void pace(int fd, uint64_t bytes_per_second)
{
    uint64_t value = PACED_UNLIMITED;

    if (bytes_per_second != 0 && bytes_per_second < PACED_UNLIMITED / 2)
        value = bytes_per_second + bytes_per_second / PACED_HEADROOM;
    (void)setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, sizeof(value));
}

void connection_add_socket(struct transfer_connection *connection, int fd)
{
    if (connection->lower_effort)
        mark(fd, true);
    if (connection->paced_rate != 0)
        pace(fd, connection->paced_rate);
    for (size_t i = 0; i < CONNECTION_FDS; i++) {
        if (connection->fds[i] < 0) {
            connection->fds[i] = fd;
            return;
        }
    }
    /* One too many goes on as it was marked now. */
}

void connection_drop_socket(struct transfer_connection *connection, int fd)
{
    for (size_t i = 0; i < CONNECTION_FDS; i++)
        if (connection->fds[i] == fd)
            connection->fds[i] = -1;
}

void connection_set_lower_effort(struct transfer_connection *connection, bool lower_effort)
{
    if (connection->lower_effort == lower_effort)
        return;
    connection->lower_effort = lower_effort;
    for (size_t i = 0; i < CONNECTION_FDS; i++)
        if (connection->fds[i] >= 0)
            mark(connection->fds[i], lower_effort);
}

void connection_set_rate(struct transfer_connection *connection, uint64_t bytes_per_second)
{
    uint64_t rate = bytes_per_second < PACED_RATE_MIN ? 0 : bytes_per_second;

    if (connection->paced_rate == rate)
        return;
    connection->paced_rate = rate;
    for (size_t i = 0; i < CONNECTION_FDS; i++)
        if (connection->fds[i] >= 0)
            pace(connection->fds[i], rate);
}
