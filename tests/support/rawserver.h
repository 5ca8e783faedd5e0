/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server on 127.0.0.1 that does what a script says, byte for byte: for responses that no HTTP library would write.
 *
 *     static const struct raw_step steps[] = {STEP_READ, STEP_SEND("HTTP/1.1 200 OK\r\n...\r\n\r\n"), STEP_AGAIN};
 *
 * The first connection plays the first script, the second the second; those beyond play the last. At the end of its
 * script a connection stays open until the server is freed.
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum raw_action {
    RAW_END = 0,
    RAW_READ,   /* a whole request: head and Content-Length bytes of body */
    RAW_HEAD,   /* only the head */
    RAW_BODY,   /* `count` bytes of the body of the last head */
    RAW_SEND,   /* `text`, `count` times */
    RAW_CLOSE,  /* orderly */
    RAW_RESET,  /* with a RST, whatever is unsent or unread */
    RAW_WAIT,   /* for raw_server_release() */
    RAW_SECURE, /* what follows goes through the channel of raw_server_secure(); nothing where it does already */
    RAW_AGAIN,  /* from the first step on */
};

struct raw_step {
    enum raw_action action;
    const char *text;
    size_t count;
};

/* clang-format off */
#define STEP_READ               {RAW_READ, NULL, 0}
#define STEP_HEAD               {RAW_HEAD, NULL, 0}
#define STEP_BODY(bytes)        {RAW_BODY, NULL, (bytes)}
#define STEP_SEND(text)         {RAW_SEND, (text), 1}
#define STEP_FLOOD(text, times) {RAW_SEND, (text), (times)}
#define STEP_CLOSE              {RAW_CLOSE, NULL, 0}
#define STEP_RESET              {RAW_RESET, NULL, 0}
#define STEP_WAIT               {RAW_WAIT, NULL, 0}
#define STEP_SECURE             {RAW_SECURE, NULL, 0}
#define STEP_AGAIN              {RAW_AGAIN, NULL, 0}
#define STEP_END                {RAW_END, NULL, 0}
/* clang-format on */

/* What lies between a script and the socket, as TLS does. Each is called on the connection's own thread. */
struct raw_channel {
    void *(*open)(void *userdata, int fd); /* NULL ends the connection */
    ssize_t (*receive)(void *stream, void *buffer, size_t size);
    ssize_t (*send)(void *stream, const void *data, size_t size);
    void (*close)(void *stream); /* the socket stays */
    void *userdata;
};

struct raw_server;

int raw_server_new(const struct raw_step *const *scripts, size_t scripts_count, struct raw_server **ret);
struct raw_server *raw_server_free(struct raw_server *server);
DEFINE_CLEANUP(struct raw_server *, raw_server_free);

/* Before the first connection; CHANNEL lives as long as the server. */
void raw_server_secure(struct raw_server *server, const struct raw_channel *channel);

uint16_t raw_server_port(const struct raw_server *server);
/* Lets one RAW_WAIT go on, now or when it comes. */
void raw_server_release(struct raw_server *server);

/* What has come so far, in the order of the heads. */
size_t raw_server_connections(struct raw_server *server);
size_t raw_server_closed(struct raw_server *server); /* connections that a script closed */
size_t raw_server_requests(struct raw_server *server);
const char *raw_server_head(struct raw_server *server, size_t request);
unsigned raw_server_connection_of(struct raw_server *server, size_t request);
uint64_t raw_server_body_bytes(struct raw_server *server, size_t request);
uint32_t raw_server_body_crc32c(struct raw_server *server, size_t request); /* of bodies up to 1 MiB */
