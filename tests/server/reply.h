/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reply to one upload: what the server application said when it was told of the file, and the file it wrote.
 *
 *   last Fragment -> POST to the application -> 200: kept, and every later Fragment is told the same
 *                                            -> 403: kept
 *                                            -> else: the next Fragment has the application called again
 *
 * The reply lies among the unfinished uploads; the URL under which a client finds it is resolved by reply_names().
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLY_URL_MAX 2200 /* characters */

struct reply {
    char file[96];      /* below the root; whether it exists says whether there is a reply */
    char relative[128]; /* "BITS-Sessions/Replies/{GUID}/responsefile.bin", below the folder of the target */
    char *path;         /* the same below the root */

    pthread_mutex_t lock; /* held while the application is called; what follows */
    unsigned status;      /* of the last call as the client is told it; 0: none yet */
    uint32_t hresult;     /* of a failure */
    bool copy;            /* the application wants the file at its destination */
    char *url;            /* BITS-Static-Response-URL, or NULL */
};

/* For an upload to TARGET whose data lies at TEMPORARY, both below the root. NULL if there is no memory. */
struct reply *reply_new(const char *target, const char *temporary, const char *guid);
/* Removes the reply's file, too. */
struct reply *reply_free(struct reply *reply, int root_fd);

bool reply_names(const struct reply *reply, const char *path);

struct request;

/* All bytes are here: calls the application if that is still to be done, and makes the answer of it. */
void reply_finish(struct request *request);

/* True if Close-Session has to put the file to its destination. */
bool reply_wants_copy(struct reply *reply);
