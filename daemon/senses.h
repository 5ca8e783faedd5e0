/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the machine says of itself, on its way to the manager. */
#pragma once

#include <systemd/sd-event.h>

struct manager;
struct mounts;
struct network;
struct power;

struct senses {
    struct manager *const *manager; /* made after them: they need it from the first turn of the loop on */
    struct network *network;        /* NULL = not known; as the next ones */
    struct power *power;
    struct mounts *mounts;
};

/* A help: without them jobs run as if there were a network, and mains power. What is missing is logged. */
void senses_build(struct senses *senses, sd_event *event, struct manager *const *manager);
void senses_done(struct senses *senses);
