/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells the server application of an upload: an ordinary POST, as IIS sends it, in the thread of the last Fragment. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct reply;
struct request;

/* How the file gets to the application. */
enum notify_type {
    NOTIFY_NONE,
    NOTIFY_BY_REFERENCE, /* two headers name the file and the place for the reply */
    NOTIFY_BY_VALUE,     /* the bodies of request and response are the file and the reply */
};

struct notify_result {
    unsigned status;  /* for the client: 200, or the application's, or 408 if it did not answer in time */
    uint32_t hresult; /* if it is not 200 */
    bool copy;        /* BITS-Copy-File-To-Destination */
    char *static_url; /* BITS-Static-Response-URL or NULL; the caller frees */
};

void notify_application(const struct request *request, const struct reply *reply, struct notify_result *ret);
