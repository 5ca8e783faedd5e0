/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The world of a random life: what goes wrong in it, a model of a BITS server, and a model of the daemon's disk. */
#pragma once

#include "support/player.h"

#include "base/moment.h"

/* What goes wrong, in chances of 1,000 for each request or step. */
struct faults {
    uint32_t lose_request;
    uint32_t lose_ack;
    uint32_t refuse_connection;
    uint32_t busy;   /* 503, before anything is looked at */
    uint32_t forget; /* the session is gone */
    uint32_t part;   /* only a part of the fragment is kept, and the connection breaks */
    uint32_t rewind; /* the tail of what was stored is lost */
    uint32_t portal; /* 200 without an Ack */
    uint32_t kill;   /* the daemon */
    uint32_t pause;
    uint32_t preempt;
    uint32_t node_dies;     /* the host that the session lives on, for good or until it comes back */
    uint32_t expire;        /* the token runs out */
    uint32_t change;        /* the reply is written anew */
    uint32_t disk;          /* the reply cannot be written */
    uint64_t largest_bytes; /* 0 = any */
    int too_large_status;
    bool strict; /* overlapping fragments are 416, else trimmed and 200 */
    bool named;  /* a session that is not known is named by its code, else 404 */

    /* What kind of life it is. */
    bool wants_reply;
    bool mute;         /* the server names no reply */
    bool whole;        /* and sends it only as a whole */
    bool has_node;     /* sessions live on a host of their own */
    bool has_fallback; /* which is given up at some time */
    bool silent;       /* no packet type in its answers */
    bool appends;      /* overlapping fragments corrupt the file; the job restarts where that may happen */
};

struct world {
    uint64_t random;
    struct faults faults;
    uint64_t size;

    /* the server */
    uint64_t session; /* number of the one that is open, 0 = none */
    uint64_t sessions;
    uint64_t stored;
    bool corrupt; /* it appended what it had */
    bool published;
    bool published_corrupt;
    uint64_t published_bytes;
    bool node_is_down;
    bool token_is_old;
    uint32_t reply_version;
    uint64_t reply_size;

    /* the daemon */
    struct player player;
    struct session_record durable;
    struct session_record saving; /* handed to the disk, not there yet */
    bool in_flight;
    struct exchange_request request; /* the one in flight */
    bool cancelled;
    uint32_t waits;

    /* its draft of the reply, and what became of it */
    uint64_t draft_bytes;
    uint32_t draft_version;
    bool draft_is_mixed;
    bool reply_is_stored;
    uint64_t stored_reply_bytes;
};

uint64_t world_draw(struct world *world);
bool world_chance(struct world *world, uint32_t of_1000);

/* Draws the faults and the file of the life SEED. */
void world_begin(struct world *world, uint64_t seed);

/* Initializes the session for the faults that are set. */
void world_open(struct world *world);

/* Carries out the request that the session asked for: fills the player's outcome, and lets time pass. */
void world_exchange(struct world *world);
