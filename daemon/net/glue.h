/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libcurl's multi_socket interface on sd-event: one I/O source a socket, one timer.
 *
 *   sd-event ──socket ready, timer──▶ curl_multi_socket_action() ──▶ curl's callbacks (read, header, ...)
 *                                            │ returned
 *                                            ▼
 *                              completed() for each finished easy handle
 *
 * Nothing calls into curl from within one of its callbacks.
 */
#pragma once

#include "base/cleanup.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

struct glue;

struct glue_events {
    /* EASY has been removed from the multi handle; it may be used again or freed at once. */
    void (*completed)(void *userdata, CURL *easy, CURLcode code);
    /* The state of every transfer is undefined: remove them all, then call glue_renew(). */
    void (*broken)(void *userdata);
    void *userdata;
};

int glue_new(sd_event *event, const struct glue_events *events, struct glue **ret);
struct glue *glue_free(struct glue *glue); /* every easy handle must have been removed */
DEFINE_CLEANUP(struct glue *, glue_free);

int glue_add(struct glue *glue, CURL *easy);
void glue_remove(struct glue *glue, CURL *easy);

/* Replaces a broken multi handle by a new one. */
int glue_renew(struct glue *glue);

/* Whether curl is running its callbacks right now. */
bool glue_is_inside(const struct glue *glue);
