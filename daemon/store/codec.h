/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A job as bytes: a record (record.h) of the magic "BQ" and format 1. Pure. */
#pragma once

#include "core/job.h"

#include <stddef.h>

/* -E2BIG over STORE_RECORD_MAX. The caller frees *ret. */
int codec_encode_job(const struct job *job, void **ret, size_t *ret_size);

/* -EBADMSG for bytes that are no intact record, or that job_validate() refuses. */
int codec_decode_job(const void *bytes, size_t size, struct job **ret);
