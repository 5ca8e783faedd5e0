/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job as bytes. Pure.
 *
 *   record  = magic "BQ" | format u8 = 1 | reserved u8 = 0 | crc32c u32 | fields
 *   field   = tag u16 | length u32 | value                all numbers little endian
 *
 * The checksum covers the fields. An unknown tag is skipped and kept out of the job: an older program may read what a
 * newer one wrote within one schema. A tag that appears twice, a wrong length, or bytes behind the last field make the
 * record undecodable; what is missing has the value 0.
 */
#pragma once

#include "core/job.h"

#include <stddef.h>

/* -E2BIG over STORE_RECORD_MAX. The caller frees *ret. */
int codec_encode_job(const struct job *job, void **ret, size_t *ret_size);

/* -EBADMSG for bytes that are no intact record, or that job_validate() refuses. */
int codec_decode_job(const void *bytes, size_t size, struct job **ret);
