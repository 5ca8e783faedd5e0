/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A verb over more jobs than one transaction may touch. What is durable first is the intent: verb, selection, and the
 * newest job that it may concern. It is then carried out in steps, in the order of the ids, each one transaction that
 * moves the cursor as well: a kill between two steps loses nothing and does nothing twice.
 *
 *   control ──BULK_BEGIN──▶ intent ──▶ reply
 *                             │ BULK_STEP … BULK_STEP ──▶ intent gone
 *
 * To everybody the verb counts from the reply on. So a command that comes for a job which the cursor has not reached
 * finds the job as the verb would have left it; the job is noted as touched, and the steps pass it by.
 */
#pragma once

#include "core/command.h"
#include "core/ids.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bulk_retrying { /* which of the retrying jobs */
                     BULK_RETRYING_ALL = 0,
                     BULK_RETRYING_WAITING = 1, /* their next attempt lay ahead at `at_usec` */
                     BULK_RETRYING_DUE = 2,
};

struct bulk {
    uint64_t id; /* bulks are carried out in the order of their ids */
    uid_t caller;
    bool any_owner;
    enum job_verb verb;
    struct job_change change; /* with SET */
    char *group;              /* NULL = any */
    uint32_t states;          /* stored ones: bit 1 << enum job_state; 0 = any */
    enum bulk_retrying retrying;
    uint64_t at_usec;        /* of the intent */
    uint64_t last_id;        /* jobs that came later are not meant */
    struct id_range *ranges; /* sorted, apart; none = all */
    size_t ranges_count;

    uint64_t after;    /* done up to this id */
    uint64_t *touched; /* sorted: jobs beyond `after` that the steps pass by */
    size_t touched_count;
};

struct bulk *bulk_free(struct bulk *bulk);
DEFINE_CLEANUP(struct bulk *, bulk_free);

/* Whether JOB, as it is, is one that the verb still has to reach. */
bool bulk_covers(const struct bulk *bulk, const struct job *job);

/* -ENOMEM; -EDQUOT above BULK_TOUCHED_MAX. */
int bulk_touch(struct bulk *bulk, uint64_t id);
/* Forgets the touched jobs that the cursor has passed. */
void bulk_advance(struct bulk *bulk, uint64_t after);

/* The verb does not mean the ids of HOLES, which are sorted and apart. -ENOMEM. */
int bulk_exclude(struct bulk *bulk, const struct id_range *holes, size_t count);
