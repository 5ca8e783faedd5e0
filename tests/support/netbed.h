/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loop, a net, a scripted server, and exchanges on them, for the tests of net/. */
#pragma once

#include "net/net.h"
#include "support/rawserver.h"

#include "base/moment.h"

#include <stdbool.h>

#define ACK_EMPTY "HTTP/1.1 200 OK\r\nBITS-Packet-Type: Ack\r\nContent-Length: 0\r\n\r\n"

/* Bytes of the test body at OFFSET, the same for every exchange. */
unsigned char bed_byte(uint64_t offset);
uint32_t bed_crc32c(uint64_t offset, size_t length);

struct bed {
    sd_event *event;
    struct net *net;
    struct raw_server *server;
};

struct bed_exchange {
    struct bed *bed;
    struct transfer *transfer;
    struct exchange_request request;
    struct transfer_connection *connection;
    char url[256];
    char origin[64];
    /* The body gives at most `step` bytes a call (0 = what is asked for), none beyond `available`, then `error`. */
    size_t step;
    uint64_t available;
    int error;
    unsigned reads, stalls;
    const struct transfer_access *access;
    bool lower_effort;
    int sink_error; /* what the sink of a reply answers */
    /* What came of it. */
    char received[64 * 1024]; /* by the sink */
    size_t received_bytes;
    uint64_t progress;
    unsigned done;
    bool inside_start;
    struct exchange_outcome outcome;
};

void bed_begin(struct bed *bed, const struct raw_step *const *scripts, size_t count);
void bed_end(struct bed *bed);

struct transfer_connection *bed_connection(struct bed *bed);
void bed_drop(struct bed *bed, struct transfer_connection *connection);

/* A request with BODY_BYTES of body, generous time limits, to the bed's server. */
void bed_prepare(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                 uint64_t body_bytes);
/* Makes it a GET of RANGE_BYTES of the reply from RANGE_FIRST on; the body goes to `received`. */
void bed_prepare_reply(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                       const char *reply_url, uint64_t range_first, uint64_t range_bytes);
void bed_start(struct bed_exchange *exchange);
/* Turns the loop until *FLAG is not 0, CONDITION holds, or a bound that no healthy run meets, which fails the test. */
void bed_run(struct bed *bed, const unsigned *flag);
void bed_run_until(struct bed *bed, bool (*condition)(void *userdata), void *userdata);
/* Turns the loop for USEC: only to see that nothing happens. */
void bed_idle(struct bed *bed, uint64_t usec);
/* All of it: prepare, start, run. */
void bed_exchange(struct bed *bed, struct bed_exchange *exchange, struct transfer_connection *connection,
                  uint64_t body_bytes);
