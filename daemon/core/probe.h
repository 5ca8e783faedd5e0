/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine of `bitsq probe URL`: finds out, by a few messages without a file, whether a server takes uploads and in
 * which dialect. Like the session it has no I/O: it is told what came of the last exchange and says which comes next.
 *
 *   Ping ─▶ Create-Session ─▶ Fragment of one byte far beyond the start ─▶ Cancel-Session ─┐
 *              ▲  refused: another verb          416: right, nothing is stored             │ too large: once more,
 *              └───────────────────────────────────────────────────────────────────────────┘ with a smaller size
 *
 * Whoever drives it sends `body_bytes` zero bytes as the body of a Fragment, whatever its offset. What it created it
 * cancels, as long as it is asked to the end. Nothing is ever closed: no file appears at the server.
 */
#pragma once

#include "core/session.h"

#define PROBE_FINDINGS_MAX 16

enum probe_verdict {
    PROBE_OK,
    PROBE_NOTE,    /* works, but is worth knowing */
    PROBE_PROBLEM, /* an upload fails for it, or may */
};

/* One line each, in plain English; no URL and no credentials. */
struct probe_finding {
    char name[32]; /* "connection", "verb", "ping", "authentication", "session", "protocol", "host-id", … */
    enum probe_verdict verdict;
    char text[256];
    char remedy[256]; /* what to do; "" = nothing */
};

enum probe_action {
    PROBE_SEND, /* carry out the request, then step with its outcome */
    PROBE_DONE, /* the findings are complete */
};

enum probe_stage {
    PROBE_STAGE_START = 0,
    PROBE_STAGE_PING,
    PROBE_STAGE_CREATE,
    PROBE_STAGE_FRAGMENT,
    PROBE_STAGE_CANCEL,
    PROBE_STAGE_END,
};

struct probe {
    struct session_parameters parameters;
    struct probe_finding findings[PROBE_FINDINGS_MAX];
    size_t findings_count;

    enum probe_stage stage;
    enum session_method method; /* that is tried */
    unsigned methods_tried;     /* a bit each */
    bool ping_answered;         /* with an Ack */
    bool opened;                /* a session at least once */
    char session_id[SESSION_ID_MAX + 1];
    char host_id[HOST_ID_MAX + 1];
    unsigned size_index;    /* of the size that is tried */
    bool sizes_done;        /* no further one */
    uint64_t latency_usec;  /* of the quickest message without a body; 0 = none yet */
    struct failure refusal; /* of the first verb */
    int refusal_status;
};

/* Of PARAMETERS, the verb, the GUID, the leniency and the time-outs count. */
void probe_init(struct probe *probe, const struct session_parameters *parameters);

/* Something outside of the server stands in the way: the only finding, and nothing is sent. */
void probe_set_obstacle(struct probe *probe, const char *name, const char *text);

/* OUTCOME is NULL at first. */
enum probe_action probe_step(struct probe *probe, const struct exchange_outcome *outcome,
                             struct exchange_request *ret_request);

/*
 * Of a probe that is done: whether a file can be uploaded with the parameters as they are. How large it may be is
 * another question.
 */
bool probe_is_usable(const struct probe *probe);
