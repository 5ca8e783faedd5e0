/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"

/* A valid job whose every member is drawn from SEED, which moves on. The caller frees it. */
struct job *random_job(uint64_t *seed);
