/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every bound of the daemon, with its unit and its reason. Each is tested at the bound and one past it. */
#pragma once

#include <stdint.h>

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)

/* What a job may carry. */
#define JOB_URL_MAX       2200 /* characters; the BITS client API limit ([MC-BUP] servers apply it too) */
#define JOB_HOST_MAX      303  /* bytes of "host:port"; a DNS name has 253 */
#define JOB_SOURCE_MAX    4095 /* bytes; PATH_MAX less its terminator */
#define JOB_NAME_MAX      256  /* characters; the BITS limit for a display name, counted in bytes here */
#define JOB_KEY_MAX       255  /* bytes; with the owner before it, below LMDB's 511 bytes a key */
#define JOB_GROUP_MAX     64   /* bytes */
#define SOURCE_MOUNT_MAX  1023 /* bytes; where a file system is mounted any deeper, it is not waited for */
#define RATE_MIN_BYTES    64   /* bytes a second: less would not finish a fragment within the patience of a server */
#define JOB_ATTEMPTS_KEPT 8    /* attempts that a record remembers, so that a record stays bounded */

/* What a server may send. */
#define SESSION_ID_MAX       255        /* bytes; documented are 100, some servers use more */
#define HEADER_VALUE_MAX     4096       /* bytes; [MC-BUP] 2.2.1 */
#define HEADER_COUNT_MAX     128        /* lines of one response */
#define HEADER_BYTES_MAX     (64 * KIB) /* of one response */
#define ACK_BODY_MAX         (64 * KIB) /* bytes read and discarded; an Ack has no body, a portal's page may be large */
#define RETRY_AFTER_MAX_USEC (24 * UINT64_C(3600000000))

#define VALIDATOR_MAX 127 /* bytes of an ETag or Last-Modified that is compared; longer ones are none */

/* Replies of upload-reply jobs. */
#define REPLY_RANGE_BYTES  (1 * MIB)    /* one GET asks for at most so much, and it is held in memory */
#define REPLY_MAX_BYTES    (1024 * MIB) /* a longer reply is refused: an answer, not a download */
#define REPLY_RESTARTS_MAX 5            /* times that a reply may change while it is fetched */
#define REPLY_SWEEP_BATCH  1000         /* names that the sweep at start reads, and asks the loop for, at a time */

/* What the user's files say of access to servers. */
#define PEM_FILE_BYTES        (256 * KIB) /* a certificate with its chain, and its key */
#define PEM_ISSUERS_BYTES     (4 * MIB)   /* the system's own bundle has 220 KB */
#define HEADER_FILE_BYTES     (16 * KIB)  /* they go with each request */
#define HEADER_FILE_LINES_MAX 64          /* headers */
#define NETRC_BYTES           (256 * KIB)

/* Helpers and hooks. */
#define SPAWNER_PARALLEL      8          /* programs that run at a time: a login storm shall not take the machine */
#define SPAWNER_SLOTS         64         /* with those that were killed and hang in a file system */
#define SPAWNER_QUEUED        256        /* that wait for their turn */
#define SPAWNER_REQUEST_BYTES (64 * KIB) /* of argv and environment; a socket takes it as one message */
#define SPAWNER_STRINGS_MAX   256        /* of argv and environment */
#define SPAWNER_OUTPUT_BYTES  (16 * KIB) /* of standard output: a token fits */
#define SPAWNER_ERROR_BYTES   (4 * KIB)  /* of standard error, its end */
#define TOKENS_MAX            256        /* tokens of helpers in memory; more than jobs that can wait for one */
#define TOKEN_COMMAND_USEC    UINT64_C(30000000)
#define TOKEN_MARGIN_USEC     UINT64_C(30000000) /* before its end a token is had anew: a request takes time */
#define HOOK_UNIT_MAX         255                /* bytes; systemd's bound for the name of a unit */
#define HOOK_INSTANCE_MAX     41                 /* bytes of ID-SEQUENCE, both at their longest */
#define HOOKS_PENDING_MAX                                                                                          \
    10000                     /* ends of jobs whose unit is not started yet; beyond it a job ends without its hook \
                               */
#define HOOKS_PAGE        500 /* of them that are read at a time */
#define HOOKS_PARALLEL    4   /* that run at a time: the other half of the spawner's is for tokens */
#define HOOK_TRIES_MAX    5   /* then it is given up */
#define HOOK_RETRY_USEC   UINT64_C(5000000)  /* before the second try; each pause is three times the one before */
#define HOOK_TIMEOUT_USEC UINT64_C(60000000) /* of one run: it starts something, and does not wait for it */

/* Fragments. */
#define FRAGMENT_FLOOR_BYTES     (5 * KIB) /* the smallest that Windows sends; below it overhead is all there is */
#define FRAGMENT_START_BYTES     (256 * KIB)
#define FRAGMENT_MAX_BYTES       (24 * MIB)        /* default; IIS accepts 30,000,000 bytes in one request */
#define FRAGMENT_CEILING_BYTES   (1024 * MIB)      /* the largest that may be configured */
#define FRAGMENT_QUICK_USEC      UINT64_C(5000000) /* an Ack within this lets the fragment grow twofold, */
#define FRAGMENT_VERY_QUICK_USEC UINT64_C(1000000) /* within this fourfold */
#define FRAGMENT_ACKS_AFTER_LOSS 6                 /* Acks in a row before a length that followed a loss grows again */

/* Loop guards of the session, each without progress in between. */
#define SESSION_RESTARTS_BEFORE_WAIT 2 /* fresh sessions at once; the next ones wait */
#define SESSION_RESTARTS_MAX         10
#define SESSION_INVALID_MAX          20 /* invalid server responses */
#define SESSION_STALLED_ACKS_MAX     5  /* Acks in a row that do not exceed the session's highest offset */
#define SESSION_LOOPS_MAX            3  /* sessions that ended by the guard above */
#define SESSION_CREATE_CONFLICTS_MAX 3  /* 409 to Create-Session */
#define SOURCE_RESTARTS_MAX          3  /* changes of its file that a job puts up with until a person retries it */
#define CANCEL_RETRY_MAX_USEC        (24 * UINT64_C(3600000000))

/* The store. */
#define STORE_MAP_BYTES  (64 * (1024 * MIB)) /* address space, not disk */
#define STORE_BATCH_MAX  1000                /* records one transaction may touch: dirty pages are kept in memory */
#define STORE_RECORD_MAX (24 * KIB)          /* bytes of one encoded job: all its texts at their longest fit */
#define STORE_JOBS_MAX   UINT64_C(2000000)
/* Of the map, kept free so that deletes and final states always fit, and the journal at its longest, too. */
#define STORE_RESERVE_BYTES (256 * MIB)
/* At start a file of this size, at least half of which is free pages, is copied without them: below it is not worth it,
 */
#define STORE_COMPACT_MIN_BYTES (64 * MIB)
/* and with more to copy the start would take over a second on a slow disk. */
#define STORE_COMPACT_LIVE_MAX_BYTES (256 * MIB)
#define STORE_COMPACT_SPARE_BYTES    (16 * MIB) /* of the disk that the copy must leave free for others */
#define RETAIN_DAYS_MAX              3650
#define STORE_ID_BLOCK               1000 /* job ids that the marker file reserves at a time */
#define EVENTS_MAX                   100000 /* events that the journal keeps: 12 MiB of usual ones, 100 MiB at their longest */
#define EVENTS_OF_COMMAND_MAX        100 /* jobs of one command that are told one by one, beyond that by their number */
#define BULKS_MAX                    64  /* commands over many jobs that are under way */
#define BULK_RANGES_MAX              65536 /* of ids that such a command may name: 1 MiB in the store */
#define DEADLINE_STEP_MAX            64 /* jobs whose deadline passed that one transaction fails: an event for each */
#define BULK_TOUCHED_MAX             10000 /* jobs that had a command of their own meanwhile */
#define STORE_PAGE_ROWS_MAX          1000  /* rows of one query page */
#define STORE_SCAN_ROWS_MAX          4000 /* records one query may look at before it returns a short page: 6 ms of the loop */
#define COUNT_ROWS_MAX               1000 /* matches that a command over many jobs counts in one turn: 3 ms of the loop */

/* The bus. */
#define BUS_PEERS_MAX   256   /* connections on the private socket */
#define BUS_QUEUE_DROP  64    /* queued messages of a peer above which Progress is dropped */
#define BUS_QUEUE_CLOSE 1024  /* queued messages of a peer above which it is disconnected */
#define BUS_CALLERS_MAX 32    /* on a message bus, of which is remembered who they are */
#define BUS_HELD_MAX    256   /* calls that wait until a message bus has said who calls */
#define BUS_PENDING_MAX 1024  /* calls of one peer that wait for the disk */
#define BATCH_JOBS_MAX  1000  /* jobs of one AddJobs call: one transaction */
#define BATCH_TOKEN_MAX 64    /* bytes of the name of a batch in parts */
#define BATCHES_MAX     16    /* batches in parts that are being added, or taken back */
#define ADDING_JOBS_MAX 4000  /* jobs that are on their way into the queue: each takes some 6 KiB meanwhile, */
#define WAITING_ADD_MAX 32000 /* and so many more that wait for that: less than 1 KiB each */

/* Settings of groups: all of them are kept in memory, some 250 bytes each. */
#define GROUPS_MAX_PER_USER 1000
#define GROUPS_MAX          20000
#define GROUP_ACTIVE_MAX    ACTIVE_JOBS_MAX
#define GROUP_RATE_MAX      UINT64_C(1000000000000) /* bytes a second; times microseconds it fits for 18 seconds */

/* Rates. */
#define RATE_LIMIT_MAX (UINT64_C(1) << 40) /* bytes a second, 1 TiB; the arithmetic of token buckets bears no more */

/* Work in parallel. */
#define PROBES_MAX       4                  /* of servers, for people who wait for them */
#define ACTIVE_JOBS_MAX  64                 /* the largest MaxActive */
#define DESTINATIONS_MAX 256                /* hosts of which the manager knows how they were reached */
#define AWAY_MOUNTS_MAX  32                 /* file systems that jobs wait for, and are told of at once */
#define AWAY_HEADS       1000               /* jobs of a lane that are looked at when one is back */
#define FORCED_JOBS_MAX  ACTIVE_JOBS_MAX    /* that `run` wants to start */
#define RAMP_STEP_USEC   UINT64_C(500000)   /* between the first jobs after the network returned */
#define RAMP_USEC        UINT64_C(30000000) /* after that it has been back for long */
#define LOOK_TIMEOUT_USEC \
    UINT64_C(30000000) /* that a look at a file may take before its file system counts as one that hangs */

/* tests/bench/sizes tries other values of these three; what it found is in the README beside it. */
#ifndef IO_THREADS
#define IO_THREADS 4 /* that read files */
#endif
#ifndef IO_CHUNK_BYTES
#define IO_CHUNK_BYTES (512 * KIB) /* one read */
#endif
#ifndef IO_CHUNKS_AHEAD
#define IO_CHUNKS_AHEAD 2 /* chunks that one transfer may have read ahead */
#endif
#define IO_THREADS_MAX (IO_THREADS + ACTIVE_JOBS_MAX) /* with those that are stuck in a file system that hangs */
