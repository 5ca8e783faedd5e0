/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the last decision found before the lanes, so that a gate that opens or closes is told once for all the jobs
 * behind it, not job by job. The store walks the lanes in the order of their numbers, and so do the notes: those of
 * this decision are compared with those of the one before as they come.
 */
#include "manager/gates.h"
#include "manager/internal.h"

#include <errno.h>

/* Jobs that are counted for one decision: some milliseconds of the loop. */
#define COUNTED_MAX 50000
#define CHANGES_MAX 16

void manager_begin_lanes(struct manager *manager)
{
    struct lane_notes swap = manager->lanes_before;

    manager->lanes_before = manager->lanes;
    manager->lanes = swap;
    manager->lanes.count = manager->lanes_compared = 0;
}

void manager_note_lane(struct manager *manager, const struct store_lane *lane, uint32_t closed)
{
    struct lane_notes *notes = &manager->lanes;
    const struct lane_notes *before = &manager->lanes_before;
    size_t *at = &manager->lanes_compared;

    if (notes->count == notes->size) {
        size_t size = notes->size * 2 + 16;
        struct lane_note *grown = reallocarray(notes->notes, size, sizeof(*grown));
        if (!grown)
            return; /* its changes are not told: who asks sees them all the same */
        notes->notes = grown;
        notes->size = size;
    }
    while (*at < before->count && before->notes[*at].lane < lane->lane)
        (*at)++;
    bool was_there = *at < before->count && before->notes[*at].lane == lane->lane;
    notes->notes[notes->count++] = (struct lane_note){
        .lane = lane->lane,
        .owner = lane->owner,
        .closed = closed,
        .changed = was_there ? closed ^ before->notes[*at].closed : 0,
    };
}

struct lanes_change {
    uint32_t changed, closed;
    uint64_t jobs;
};

/* Lanes that changed alike are told as one. */
static struct lanes_change *take_change(struct lanes_change *changes, size_t *count, const struct lane_note *note)
{
    for (size_t i = 0; i < *count; i++)
        if (changes[i].changed == note->changed && changes[i].closed == (note->closed & note->changed))
            return &changes[i];
    if (*count == CHANGES_MAX)
        return NULL;
    changes[*count] = (struct lanes_change){.changed = note->changed, .closed = note->closed & note->changed};
    return &changes[(*count)++];
}

void manager_tell_lanes(struct manager *manager)
{
    struct lanes_change changes[CHANGES_MAX];
    size_t count = 0;
    uint64_t left = COUNTED_MAX;

    for (size_t i = 0; i < manager->lanes.count; i++) {
        const struct lane_note *note = &manager->lanes.notes[i];
        struct lanes_change *change = note->changed != 0 ? take_change(changes, &count, note) : NULL;
        uint64_t jobs = change ? store_lane_jobs(manager->store, note->lane, left) : 0;
        if (change)
            change->jobs += jobs;
        left -= jobs;
    }
    if (count == 0)
        return;
    manager->revision++;
    for (size_t i = 0; i < count && manager->observer.gates_changed; i++)
        manager->observer.gates_changed(manager->observer.userdata, changes[i].changed, changes[i].closed,
                                        changes[i].jobs);
}

uint64_t manager_count_blocked(struct manager *manager, uid_t owner)
{
    uint64_t jobs = 0;

    for (size_t i = 0; i < manager->lanes.count && jobs < COUNTED_MAX; i++) {
        const struct lane_note *note = &manager->lanes.notes[i];
        if (note->owner == owner && (note->closed & ~GATES_OF_TURN) != 0)
            jobs += store_lane_jobs(manager->store, note->lane, COUNTED_MAX - jobs);
    }
    return jobs;
}

void manager_free_lanes(struct manager *manager)
{
    free(manager->lanes.notes);
    free(manager->lanes_before.notes);
}
