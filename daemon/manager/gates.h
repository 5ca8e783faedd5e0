/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why jobs wait: the gates of core/gates.h, fed with what the manager knows of the world, and put into words.
 *
 *   sense ──▶ manager_look() ──▶ struct gate_world ┐
 *   configuration, group, job ──▶ gate_policy ─────┴─▶ gates_of_lane() ──▶ scheduler, `why`, lists
 */
#pragma once

#include "core/gates.h"
#include "manager/manager.h"
#include "store/store.h"

struct runner;

/* The states of the gates of a lane. */
void manager_lane_gates(struct manager *manager, const struct store_lane *lane, struct gate_states *ret);

/* Of a job, with those of its own. RUNNER is NULL where nothing of it is under way. */
void manager_job_gates(struct manager *manager, const struct job *job, const struct runner *runner,
                       struct gate_policy *ret_policy, struct gate_states *ret);

struct network_path;
/* The world as jobs for HOST meet it, but for their group. PATH may be NULL. */
void manager_look(struct manager *manager, const char *host, struct gate_world *ret, struct network_path *ret_path);

/* Why a gate is as it is, in one sentence without times; and how it is lifted, "" where it is open. */
void manager_gate_text(struct manager *manager, const struct job *job, const struct gate_policy *policy,
                       const struct gate_states *states, enum gate gate, char text[static GATE_TEXT_MAX],
                       char remedy[static GATE_TEXT_MAX]);

/* The zone of the machine, for core/window. */
extern const struct window_zone manager_zone;

/* ---- destinations: what is known of a host ---- */

/* The address under which HOST ("host:port") was last reached; "" = not known. */
const char *destination_address(const struct manager *manager, const char *host);
void destination_note_address(struct manager *manager, const char *host, const char *address);

/* An attempt failed because the server could not be reached, or said that it cannot: nobody else shall find that out.
 */
void destination_failed(struct manager *manager, const char *host, uint64_t delay_usec, uint64_t next_usec);
/* It answers. */
void destination_answered(struct manager *manager, const char *host);
/* Somebody wants it tried at once. */
void destination_forgive(struct manager *manager, const char *host);
/* The network is another one: what was not to be reached may be now. */
void destinations_forgive(struct manager *manager);
/* The last delay of the back-off of HOST; 0 = it is not known to be down. */
uint64_t destination_delay_usec(const struct manager *manager, const char *host);
/* Whether one job at a time goes there: since when, and until when at least. */
bool destination_is_down(struct manager *manager, const char *host, uint64_t *ret_since_usec, uint64_t *ret_until_usec);
void destinations_free(struct manager *manager);
