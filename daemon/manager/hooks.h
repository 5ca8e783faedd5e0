/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks (core/hook.h) from the end of a job to the start of its unit.
 *
 *   store ──▶ ready ──▶ busy: systemctl start ──▶ delivered ──HOOK_DONE──▶ gone
 *               ▲         │ no systemd: HookCommand=; neither: said in the log, and delivered
 *            waiting ◀────┘ failed; after HOOK_TRIES_MAX it is given up, with an error in the log
 *
 * The store knows what is pending, memory how often it was tried: after a restart the tries begin anew. Each hook that
 * is pending takes some 400 bytes of memory, and there are at most HOOKS_PENDING_MAX.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct command;
struct manager;
struct pending_hook;
struct spawner;

TAILQ_HEAD(pending_hooks, pending_hook);

struct hooks {
    struct spawner *spawner; /* borrowed; NULL = no program can be run */
    char *command;           /* NULL = none */
    char *systemctl;         /* of a test; NULL = the machine's own */
    struct pending_hooks ready, waiting, busy;
    size_t running;         /* of those that are busy */
    uint64_t after;         /* those up to this sequence were taken from the store */
    bool is_cut_off;        /* the process that runs programs is gone: what is pending waits for the next start */
    sd_event_source *timer; /* the first of those that wait becomes ready */
};

void hooks_init(struct hooks *hooks);
int hooks_add_source(struct manager *manager);
void hooks_done(struct manager *manager);

/* Takes what is pending from the store, and starts what can be started. */
void hooks_begin(struct manager *manager);
/* COMMAND came back: it may have ended jobs that have hooks. */
void hooks_after(struct manager *manager, const struct command *command);
/* The daemon ends: what is pending is for the next start. */
void hooks_stop(struct manager *manager);

bool hooks_are_pending(const struct manager *manager);
