/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a record of the store: refused, or a job, or a group, that can be written and read again without change.
 */
#include "fuzz.h"

#include "store/codec.h"
#include "store/group.h"

#include "base/crc32c.h"

#include <assert.h>
#include <string.h>

#define CHECKSUM_AT  4
#define HEADER_BYTES 8

static void *encode(const struct job *job, size_t *ret_size)
{
    void *bytes = NULL;
    int r = codec_encode_job(job, &bytes, ret_size);

    assert(r == 0);
    return bytes;
}

static void judge_group(const uint8_t *data, size_t size)
{
    _cleanup_free_ void *once = NULL, *twice = NULL;
    size_t once_size = 0, twice_size = 0;
    struct group group, again;
    uid_t owner, same;

    if (group_decode(data, size, &owner, &group) < 0)
        return;
    int r = group_encode(owner, &group, &once, &once_size);
    assert(r == 0);
    r = group_decode(once, once_size, &same, &again);
    assert(r == 0);
    r = group_encode(same, &again, &twice, &twice_size);
    assert(r == 0 && once_size == twice_size && memcmp(once, twice, once_size) == 0);
}

static void judge(const uint8_t *data, size_t size)
{
    _cleanup_(job_free_p) struct job *job = NULL, *again = NULL;
    size_t once_size = 0, twice_size = 0;

    judge_group(data, size);
    if (codec_decode_job(data, size, &job) < 0) {
        assert(!job);
        return;
    }
    assert(job_validate(job, NULL) == 0);
    _cleanup_free_ void *once = encode(job, &once_size);
    int r = codec_decode_job(once, once_size, &again);
    assert(r == 0);
    _cleanup_free_ void *twice = encode(again, &twice_size);
    assert(once_size == twice_size && memcmp(once, twice, once_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    judge(data, size);
    if (size < HEADER_BYTES)
        return 0;
    /* Once more with the checksum made right, or hardly any input would come past it. */
    _cleanup_free_ uint8_t *repaired = malloc(size);
    assert(repaired);
    memcpy(repaired, data, size);
    uint32_t checksum = crc32c(data + HEADER_BYTES, size - HEADER_BYTES);
    for (int i = 0; i < 4; i++)
        repaired[CHECKSUM_AT + i] = (uint8_t)(checksum >> 8 * i);
    judge(repaired, size);
    return 0;
}
