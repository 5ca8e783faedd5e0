/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seam between the runner and whatever carries an exchange out. net/ fills it with libcurl; tests plug in a
 * transport that replays scripts.
 */
#pragma once

#include "core/exchange.h"
#include "core/transfer_access.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct transfer;            /* one exchange under way */
struct transfer_connection; /* what keeps one session on one TCP connection */

/* Where the bytes of a body come from. The transport never touches the file itself. */
struct transfer_body {
    /*
     * Copies up to SIZE bytes at body-relative OFFSET into BUFFER, never blocking. Returns the number of bytes, 0 where
     * none are there yet (the transport pauses until resume()), -EAGAIN where they shall not go yet (the same, but no
     * time runs out meanwhile: it is nobody's fault), or another negative errno, which ends the exchange with
     * TRANSPORT_SOURCE. Offsets only grow, but for a restart at 0 in an authentication leg.
     */
    ssize_t (*read)(void *userdata, uint64_t offset, void *buffer, size_t size);
    void *userdata;
};

/* Where the body of a reply goes: not that of an error, and never more than range_bytes. */
struct transfer_sink {
    int (*write)(void *userdata, const void *data, size_t size); /* 0, or a negative errno, which ends the exchange */
    void *userdata;
};

struct transfer_job {
    const char *url;                        /* of the job: the request's target is resolved against it */
    const struct exchange_request *request; /* copied where it must outlive start() */
    struct transfer_body body;              /* read == NULL for a request without one */
    struct transfer_connection *connection;
    const struct transfer_access *access; /* NULL = nothing but the defaults; lives as long as the transfer */
    const char *origin;                   /* "host:port" of the job's URL, as in struct job */
    bool lower_effort;                    /* routers may let all else go first: what nobody waits for */
    struct transfer_sink sink;            /* with EXCHANGE_REPLY */
    /* Called exactly once, from the event loop and never from within start() or cancel(); the transfer is gone then. */
    void (*done)(void *userdata, const struct exchange_outcome *outcome);
    /*
     * May be NULL. Bytes of the body that were handed to the kernel so far. It runs within the transport, as body.read
     * does: neither may start or cancel a transfer; body.read may call resume() for its own.
     */
    void (*progress)(void *userdata, uint64_t body_sent_bytes);
    void *userdata;
};

struct transfer_ops {
    /* A connection of its own for one session; handed on to the next session for that host, never shared. */
    int (*connection_new)(void *transport, struct transfer_connection **ret);
    void (*connection_free)(void *transport, struct transfer_connection *connection);

    int (*start)(void *transport, const struct transfer_job *job, struct transfer **ret);
    /* done() is not called any more. */
    void (*cancel)(void *transport, struct transfer *transfer);
    /* The body has bytes again. */
    void (*resume)(void *transport, struct transfer *transfer);
    /*
     * The lowest limit that holds for the body, in bytes a second, 0 = none. How much goes is body.read's matter: this
     * only lets the kernel space out what was read, which would leave at the speed of the line else.
     */
    void (*set_rate)(void *transport, struct transfer *transfer, uint64_t bytes_per_second);
};
