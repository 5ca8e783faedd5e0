/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the manager needs of its verbs, beside manager_control(). */
#pragma once

#include "manager/internal.h"

/* Counts one page for one of the selections that are being counted; once a turn of the loop. */
void control_count_on(struct manager *manager);

/* The daemon ends: whoever waits for a count is told so. */
void control_refuse_all(struct manager *manager);
