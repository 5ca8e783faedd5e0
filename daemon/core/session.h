/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface that an upload protocol fills: a machine without I/O that is told what happened and says what to do.
 *
 *            START, OUTCOME, PERSISTED, SUSPEND, YIELD, CANCEL, SOURCE_*
 *   runner ─────────────────────────────────────────────────────────▶ session_step()
 *          ◀───────────────────────────────────────────────────────── SEND, PERSIST, WAIT, DONE, FAIL, GONE, IDLE,
 *                                                                      AWAY, RETAKE, NONE
 *
 * Session state is plain data: tests copy it, compare it and replay it. Time comes in as an argument. Every input is
 * legal in every state; a late or duplicate one answers NONE.
 *
 * Order of durability. What must be on disk before its consequence is asked for by PERSIST, and the session goes on
 * with the PERSISTED event: the session id before the first Fragment, "close attempted" before Close-Session. An offset
 * is only a hint that bounds what is sent again: it comes as `checkpoint` beside the next SEND, and the runner saves it
 * in the background.
 *
 * The reply of an upload-reply job: SEND with kind REPLY asks for a range; the runner writes what came into a temporary
 * file at the answer's offset, and only then tells the OUTCOME; when all is there, STORE_REPLY, and Close-Session after
 * REPLY_STORED.
 */
#pragma once

#include "core/exchange.h"
#include "core/failure.h"
#include "core/limits.h"

#include "base/moment.h"

#include <stdbool.h>
#include <stdint.h>

enum session_phase {
    SESSION_CREATE = 0, /* no session at the server */
    SESSION_FRAGMENT,
    SESSION_COMPLETE, /* all bytes acknowledged: Close-Session is due */
    SESSION_CANCEL,   /* Cancel-Session is due */
    SESSION_REPLY,    /* all bytes acknowledged: the reply is being fetched; Close-Session would throw it away */
};

/* What survives a crash: part of the job's record. Offsets are bytes of the source file. */
struct session_record {
    enum session_phase phase;
    char session_id[SESSION_ID_MAX + 1]; /* "" = none */
    uint64_t offset;                     /* the next byte that the server wants, as it last said */
    uint64_t high_offset; /* the highest ever acknowledged since the source's identity or the URL last changed */
    uint64_t session_high_offset;    /* the highest acknowledged in this session */
    uint64_t fragment_bytes;         /* length in force; 0 = not yet chosen */
    uint64_t fragment_ceiling_bytes; /* the longest that drew a 413 or the like in this session, 0 = none */
    uint64_t fragment_acked_bytes;   /* the longest that was acknowledged in this session */
    uint64_t no_progress_usec;       /* awake and free to run since the last progress */
    uint64_t cancel_requested_usec;  /* CLOCK_REALTIME; 0 = not */
    uint64_t resent_bytes;           /* bytes handed to the transport beyond the first time */
    uint64_t sent_bytes;
    uint64_t sent_high_offset; /* the end of what was ever handed to the transport, counted as high_offset is */
    uint32_t restarts;         /* these count since the last progress */
    uint32_t looping_sessions;
    uint32_t invalid_responses;
    uint32_t create_conflicts;
    uint32_t stalled_acks; /* in this session, in a row */
    bool
        lost_session_tried; /* once a job: a 4xx or 500 without a code after a reconnect was taken for a lost session */
    bool close_attempted;   /* a Close-Session whose fate is unknown may have reached the server */
    bool source_error_tried; /* since the last progress: the source could not be read, and that was waited out once */

    char host_id[HOST_ID_MAX + 1]; /* BITS-Host-Id: where this session lives; "" = the host of the URL */
    uint64_t host_fallback_usec;   /* how long that host may be out of reach; USEC_INFINITY = for ever */
    uint64_t host_down_usec;       /* how long it has been, a sum of times that the job was free to run */
    bool host_down;                /* and is: the sum grows */

    char reply_url[JOB_URL_MAX + 1]; /* as the server sent it; "" = none yet */
    bool reply_from_origin;          /* the host that took the last fragment does not have it: ask that of the URL */
    bool reply_tail_sent;            /* the last byte was sent once more, to learn the reply's URL */
    bool reply_stored;               /* durable at its place */
    bool has_reply_total;
    uint64_t reply_total;
    uint64_t reply_offset;                   /* bytes of the reply that are in its temporary file */
    char reply_validator[VALIDATOR_MAX + 1]; /* ETag, else Last-Modified, of what they are a part of */
    uint32_t reply_restarts;

    bool fragment_is_ambiguous; /* restart_on_ambiguous: whether the server has the last Fragment is not known */

    uint32_t source_restarts; /* times that the file changed and was begun anew; `retry` counts from 0 again */
};

/* What does not change while an attempt lasts. The runner fills it from the job and the configuration. */
struct session_parameters {
    uint64_t size_bytes;
    bool wants_reply; /* an upload-reply job */
    uint64_t fragment_min_bytes;
    uint64_t fragment_max_bytes;
    uint64_t fragment_floor_bytes; /* FRAGMENT_FLOOR_BYTES, lower only in tests */
    uint64_t time_slice_usec;
    uint64_t connect_timeout_usec;
    uint64_t send_timeout_usec;
    uint64_t response_timeout_usec;
    uint64_t no_progress_timeout_usec;
    char content_name[261]; /* "" = leave it out */
    enum session_method method;
    char protocol_guid[GUID_TEXT_MAX + 1]; /* "" = BITS_PROTOCOL_GUID */
    bool lenient_ack;                      /* as the flags of core/access.h */
    bool restart_on_ambiguous;
    bool reply_strict;
    bool at_most_once;
    bool source_restart; /* a changed source is uploaded anew, SOURCE_RESTARTS_MAX times */
    bool ping_first;     /* credentials of a scheme that binds to the connection: authenticate before Create-Session */
};

struct session {
    struct session_parameters parameters;
    struct session_record record;

    /* In flight only; zero after a restart. */
    enum exchange_kind awaiting; /* the exchange that is under way */
    bool awaiting_commit;        /* a PERSIST that has not been answered yet */
    bool must_persist;           /* the record holds what must be durable before the next request */
    bool record_changed;         /* since it was last handed out to be saved */
    bool running;                /* between START and the action that ends the attempt */
    bool ended;                  /* DONE or GONE was said: nothing happens any more */
    bool progressed;             /* since the last error of this process */
    bool first_close;            /* the Close-Session that is due or under way has no predecessor of unknown fate */
    bool needs_ping;             /* resumed: Ping before anything else */
    bool yield_wanted;
    bool after_restart;             /* of the daemon: the first fragment is a small one */
    uint64_t connection;            /* that this session last used, 0 = unknown */
    uint64_t fragment_sent_bytes;   /* length of the Fragment under way, */
    uint64_t fragment_resent_bytes; /* how much of it had been sent before, */
    uint64_t sent_high_before;      /* and sent_high_offset before it */
    uint64_t fragment_lost_bytes;   /* the longest that was lost on the way, until one as long came through; 0 = none */
    uint32_t acks_before_growth;    /* while there is one */
    uint64_t started_usec;          /* CLOCK_MONOTONIC up to which no_progress_usec has been counted */
    bool awaiting_store;            /* STORE_REPLY has not been answered yet */
    uint64_t reply_range_bytes;     /* how much of the reply one GET asks for; 0 = REPLY_RANGE_BYTES */
    bool connection_moves;    /* the session got a host of its own: the next connection is no sign of a lost one */
    bool asked_again;         /* a challenge was answered by a new token since the last success */
    uint32_t unauthenticated; /* Fragments in a row that were held back for it */
    struct failure failure; /* why a best-effort Cancel-Session is under way, and when it is through, whatever came: */
    bool drop_then_fail;    /* the job ends */
    bool drop_then_create;  /* a new session begins */
    bool drop_then_retake;  /* the file is begun anew, as it is now */
};

enum session_event {
    SESSION_EVENT_START,     /* the job may run: begin, or go on where it stopped; waited_usec counts as no progress */
    SESSION_EVENT_OUTCOME,   /* the exchange ended */
    SESSION_EVENT_PERSISTED, /* the record of the last PERSIST is durable */
    SESSION_EVENT_SUSPEND,   /* pause, or a gate closed: stop at once */
    SESSION_EVENT_YIELD,     /* stop at the fragment's edge */
    SESSION_EVENT_CANCEL,
    SESSION_EVENT_SOURCE_CHANGED, /* the check before a request found another file */
    SESSION_EVENT_SOURCE_FAILED,  /* it could not be opened or read: source_error */
    SESSION_EVENT_ACCESS_FAILED,  /* a credential, header file or token cannot be had: access_fault says why */
    SESSION_EVENT_REPLY_STORED,   /* after STORE_REPLY: it is durable at its place */
    SESSION_EVENT_REPLY_FAILED,   /* the reply could not be written: source_error */
};

struct session_input {
    enum session_event event;
    struct moment now;
    const struct exchange_outcome *outcome; /* with OUTCOME */
    uint64_t waited_usec;                   /* with START */
    bool refreshed;                         /* with OUTCOME: a new token has been had since the request was sent */
    const char *access_fault;               /* with ACCESS_FAILED: a sentence without secrets */
    bool access_may_heal;                   /* with ACCESS_FAILED: time may help (a helper that timed out) */
    int source_error; /* negative errno, with SOURCE_FAILED and REPLY_FAILED; -ENOMEDIUM: its file system is not mounted
                       */
    const char *source_mount;  /* where that was, for people; NULL = not known */
    const char *source_change; /* "the size changed", with SOURCE_CHANGED */
};

enum session_action {
    SESSION_ACTION_NONE,    /* nothing new: what is under way goes on */
    SESSION_ACTION_SEND,    /* carry out `request` */
    SESSION_ACTION_PERSIST, /* make the record durable, then send PERSISTED */
    SESSION_ACTION_WAIT,    /* transient error: try again after a delay, which the back-off rule chooses */
    SESSION_ACTION_DONE,
    SESSION_ACTION_FAIL,
    SESSION_ACTION_GONE,   /* cancelled, as far as the server can be told */
    SESSION_ACTION_IDLE,   /* stopped by SUSPEND or YIELD */
    SESSION_ACTION_AWAY,   /* no error: `failure` says which file system of the source is not mounted; then again */
    SESSION_ACTION_RETAKE, /* `failure` says how the source changed: its next attempt begins with what the file is then
                            */
    SESSION_ACTION_STORE_REPLY, /* cut the temporary file to reply_total, make it durable, put it to its place */
};

struct session_output {
    enum session_action action;
    bool abort_exchange;       /* first stop the exchange that is under way: its outcome is of no interest any more */
    bool checkpoint;           /* the record changed: save it in the background */
    bool progress;             /* an Ack exceeded the job's highest offset */
    bool confirmed;            /* with DONE: the server itself said 200 or 201 to Close-Session */
    bool at_once;              /* with WAIT: the first error after progress of a kind where haste is right */
    uint64_t retry_after_usec; /* with WAIT: the server's wish, 0 = none */
    struct exchange_request request;
    struct failure failure; /* with WAIT, FAIL, AWAY and RETAKE; with DONE, a warning, or nothing */
};

void session_init(struct session *session, const struct session_parameters *parameters,
                  const struct session_record *record);

/* Never fails: what cannot be handled ends the job with a stated reason. *out is overwritten. */
void session_step(struct session *session, const struct session_input *in, struct session_output *out);
