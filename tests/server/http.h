/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmicrohttpd's side: a thread for each connection, requests taken apart, faults in reading, waiting and dropping. */
#pragma once

#include <stdint.h>

struct server;
struct http;

/* Starts to listen. -errno if that fails. */
int http_start(struct server *server, struct http **ret, uint16_t *ret_port);

/* Ends all connections and waits for their threads. server->stop_fd must be readable by then. */
struct http *http_stop(struct http *http);
