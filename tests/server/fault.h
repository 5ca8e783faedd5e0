/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scripted misbehaviour: rules that are matched against each request's head and say what is to be done differently.
 *
 *     PACKET[#N|#N-M|#N-] [if CONDITION [and CONDITION]...] : ACTION [ARGUMENT] [; ACTION [ARGUMENT]]...
 *
 * All rules that match a request apply, in the order given; of two that contradict each other the later one wins.
 * README.md lists the conditions and actions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet {
    PACKET_CREATE,
    PACKET_PING,
    PACKET_FRAGMENT,
    PACKET_CLOSE,
    PACKET_CANCEL,
    PACKET_UNKNOWN, /* BITS_POST with another packet type, or none */
    PACKET_PUT,
    PACKET_GET, /* and HEAD */
    PACKET_OTHER,
    PACKET_COUNT_,
};

const char *packet_name(enum packet packet);

enum fault_drop {
    DROP_NO,
    DROP_HEAD,      /* with the head read, the body not */
    DROP_BODY,      /* with the whole body read, or drop_bytes of it */
    DROP_AFTER_ACK, /* the answer is sent whole, then the connection ends without announcement */
};

enum fault_case {
    CASE_AS_IS,
    CASE_LOWER,
    CASE_UPPER,
    CASE_MIXED,
};

#define FAULT_HEADERS_MAX 16
#define FAULT_NONE        UINT64_MAX

struct fault_header {
    const char *name;
    const char *value; /* NULL removes the header */
    bool add;          /* beside one of the same name */
};

/* What the matching rules want of one request. Texts belong to the rules, which live as long as the server. */
struct fault_plan {
    unsigned status; /* 0: as it comes out */
    bool process;    /* do what a healthy server does, whatever is answered */
    bool early;      /* answer before the body is read */
    enum fault_drop drop;
    uint64_t drop_bytes;  /* FAULT_NONE: the whole body */
    bool stall;           /* never answer */
    uint64_t stall_bytes; /* stop reading there; FAULT_NONE: after the whole body */
    uint64_t store_bytes; /* keep only so many of the body; FAULT_NONE: all */
    uint64_t full_bytes;  /* the disk is full there; FAULT_NONE: it is not */
    uint64_t seek;        /* the session's offset becomes this; FAULT_NONE: stays */
    uint64_t ack_delay_usec;
    uint64_t rate; /* bytes of body read a second; 0: no limit */
    uint64_t wrap_bits;
    bool forget_session;
    bool vanish;
    bool misspell;    /* the name of the header with the offset, as one server does */
    uint64_t next_by; /* what the Ack says of the offset is more or, negative, less by this */
    bool next_by_negative;
    bool chunked;
    bool no_length;
    bool portal;
    bool redate;              /* GET: Last-Modified moves on */
    bool no_range;            /* GET: the whole, whatever Range says */
    bool stale;               /* the nonces of Digest so far no longer count */
    const char *secret;       /* the password or token from now on, or NULL */
    const char *replace;      /* GET: what the entity becomes, or NULL */
    const char *session_form; /* or NULL */
    const char *error;        /* HRESULT as text, or NULL */
    const char *error_context;
    const char *body;
    uint64_t body_bytes;
    enum fault_case header_case;
    struct fault_header headers[FAULT_HEADERS_MAX];
    size_t header_count;
    char *text; /* the rules that matched, for the log; owned by the plan; NULL if none did */
};

/* What a rule can look at. */
struct fault_facts {
    enum packet packet;
    uint64_t connection;
    const char *target;
    uint64_t body_bytes;  /* Content-Length */
    bool final;           /* the range ends with the file */
    uint64_t range_first; /* FAULT_NONE without a valid Content-Range */
    const char *(*header)(void *context, const char *name);
    void *context;
};

struct fault_set;

struct fault_set *fault_set_new(void);
struct fault_set *fault_set_free(struct fault_set *set);

/* On -EINVAL *ret_why says what is wrong with the rule. */
int fault_set_add(struct fault_set *set, const char *rule, const char **ret_why);

/* Faults drawn at random besides, see fault_random.h. -ENOMEM. */
int fault_set_random(struct fault_set *set, uint64_t seed, unsigned percent, uint64_t max);

/* Counts the request (*ret_n: its number over all) and collects what the rules want of it. */
void fault_set_match(struct fault_set *set, const struct fault_facts *facts, struct fault_plan *ret_plan,
                     uint64_t *ret_n);
void fault_plan_done(struct fault_plan *plan);
