/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Upload sessions: an id, a temporary file, and how far it is filled.
 *
 * A session is shared by the table and by the requests that use it at the moment; all its functions may be called from
 * any thread. One request at a time writes to it: a Fragment that arrives while an older one still reads its body (its
 * client was killed, say) takes the session over, and what the older one reads afterwards is not stored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "path.h"

#define SESSION_ID_MAX 100 /* characters */

struct session_table;
struct session;

/* What a request sees of a session, taken at one moment. */
struct session_view {
    uint64_t next;
    uint64_t total;
    bool total_known; /* a Fragment has named it */
    bool published;
};

/* REPLIES: each upload gets a struct reply. */
struct session_table *session_table_new(int root_fd, uint64_t timeout_usec, bool replies);
/* Removes what is unfinished. No request may be running. */
struct session_table *session_table_free(struct session_table *table);

/*
 * ID_FORM: "upper", "lower", "bare", "decimal", "negative", "long", or the literal id. CONNECTION is kept for
 * session_connection(). The caller gets a reference. -errno if the temporary file cannot be made.
 */
int session_create(struct session_table *table, const char *target, const char *id_form, uint64_t connection,
                   struct session **ret);

/* The session with this id for this target, or NULL; one that timed out is gone. The caller gets a reference. */
struct session *session_find(struct session_table *table, const char *id, const char *target);
struct session *session_unref(struct session *session);

/* Opens the reply that a client knows as PATH below the root. -ENOENT if there is none. */
int session_open_reply(struct session_table *table, const char *path, int flags);

/* NULL where no application is called. It lives as long as the session. */
struct reply *session_reply(const struct session *session);

/* The data's file below the root, until it is published. */
const char *session_data(const struct session *session);

const char *session_id(const struct session *session);
uint64_t session_connection(const struct session *session);
struct session_view session_look(struct session *session);

/* Takes the session out of the table and drops its data. */
void session_delete(struct session_table *table, struct session *session);

/* Starts a Fragment of a file of TOTAL bytes. *ret_turn names this writer in the calls below. */
void session_turn(struct session *session, uint64_t total, uint64_t *ret_turn);

/*
 * Stores DATA at POSITION; bytes below the session's offset are never written again. With ADVANCE the offset follows
 * at once, so that a torn Fragment leaves what arrived. -ESTALE: the session was taken over or deleted.
 */
int session_write(struct session *session, uint64_t turn, uint64_t position, const void *data, size_t length,
                  bool advance);

/* The Fragment is whole: the offset is now at least NEXT. -ESTALE as above. */
int session_advance(struct session *session, uint64_t turn, uint64_t next);

/* Sets the offset, forwards or backwards. Only fault rules do that. */
void session_seek(struct session *session, uint64_t next);

/* Removes the temporary file behind the session's back. Only fault rules do that. */
void session_vanish(struct session_table *table, struct session *session);

/* Moves the data to the target. -EEXIST without OVERWRITE, -ENOENT if the data is no longer there. */
int session_publish(struct session_table *table, struct session *session, bool overwrite);

/* As above, for a file that no session describes. */
int publish_rename(int root_fd, const char *from, const char *to, bool overwrite);
