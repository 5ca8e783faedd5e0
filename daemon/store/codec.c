/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/codec.h"

#include "store/record.h"

#include <errno.h>

#define ATTEMPT_BYTES 28 /* without the address, which stands in a field of its own */

#define MEMBER(tag, kind, member) RECORD_MEMBER(job, tag, kind, member)

/* Every member of struct job but the log of attempts. */
static const struct record_field fields[] = {
    MEMBER(1, NUMBER, id),
    MEMBER(2, NUMBER, owner),
    MEMBER(3, NUMBER, type),
    MEMBER(4, NUMBER, priority),
    MEMBER(5, NUMBER, state),
    MEMBER(6, FLAG, remove_when_cancelled),
    MEMBER(7, STRING, key),
    MEMBER(8, STRING, name),
    MEMBER(9, STRING, group),
    MEMBER(10, STRING, url),
    MEMBER(11, STRING, host),
    MEMBER(12, STRING, source),
    MEMBER(13, FLAG, confirmed),
    MEMBER(14, NUMBER, attempts),
    MEMBER(15, NUMBER, attempts_total),
    MEMBER(16, NUMBER, retry_delay_usec),
    MEMBER(17, NUMBER, next_attempt_usec),
    MEMBER(18, NUMBER, created_usec),
    MEMBER(19, NUMBER, queued_usec),
    MEMBER(20, NUMBER, started_usec),
    MEMBER(21, NUMBER, finished_usec),
    MEMBER(22, NUMBER, revision),
    MEMBER(23, TEXT, server),
    MEMBER(24, TEXT, address),
    MEMBER(25, NUMBER, run),
    MEMBER(26, NUMBER, counted_uploaded_bytes),
    MEMBER(27, NUMBER, counted_resent_bytes),

    MEMBER(30, NUMBER, identity.size_bytes),
    MEMBER(31, NUMBER, identity.mtime_sec),
    MEMBER(32, NUMBER, identity.mtime_nsec),
    MEMBER(33, FLAG, identity.has_btime),
    MEMBER(34, NUMBER, identity.btime_sec),
    MEMBER(35, NUMBER, identity.btime_nsec),
    MEMBER(36, NUMBER, identity.inode),
    MEMBER(37, FLAG, identity.inode_is_stable),
    MEMBER(38, NUMBER, identity.device),
    MEMBER(39, RAW, identity.boot_id),
    MEMBER(40, FLAG, identity.racy),
    MEMBER(41, FLAG, identity_wanted),
    MEMBER(42, STRING, source_mount),

    MEMBER(45, NUMBER, options.fragment_min_bytes),
    MEMBER(46, NUMBER, options.fragment_max_bytes),
    MEMBER(47, NUMBER, options.retry_delay_usec),
    MEMBER(48, NUMBER, options.no_progress_timeout_usec),
    MEMBER(49, FLAG, options.has_no_progress_timeout),

    MEMBER(50, STRING, reply_path),

    MEMBER(51, NUMBER, options.rate_bytes),
    MEMBER(52, NUMBER, options.not_before_usec),
    MEMBER(53, NUMBER, options.deadline_usec),
    MEMBER(54, FLAG, options.source_restart),
    MEMBER(55, NUMBER, options.policy.network),
    MEMBER(56, NUMBER, options.policy.power),
    MEMBER(57, TEXT, options.policy.window),
    MEMBER(58, STRING, hooks[HOOK_DONE]),
    MEMBER(59, STRING, hooks[HOOK_FAILED]),

    MEMBER(60, NUMBER, session.phase),
    MEMBER(61, TEXT, session.session_id),
    MEMBER(62, NUMBER, session.offset),
    MEMBER(63, NUMBER, session.high_offset),
    MEMBER(64, NUMBER, session.session_high_offset),
    MEMBER(65, NUMBER, session.fragment_bytes),
    MEMBER(66, NUMBER, session.fragment_ceiling_bytes),
    MEMBER(67, NUMBER, session.fragment_acked_bytes),
    MEMBER(68, NUMBER, session.no_progress_usec),
    MEMBER(69, NUMBER, session.cancel_requested_usec),
    MEMBER(70, NUMBER, session.resent_bytes),
    MEMBER(71, NUMBER, session.sent_bytes),
    MEMBER(72, NUMBER, session.sent_high_offset),
    MEMBER(73, NUMBER, session.restarts),
    MEMBER(74, NUMBER, session.looping_sessions),
    MEMBER(75, NUMBER, session.invalid_responses),
    MEMBER(76, NUMBER, session.create_conflicts),
    MEMBER(77, NUMBER, session.stalled_acks),
    MEMBER(78, FLAG, session.lost_session_tried),
    MEMBER(79, FLAG, session.close_attempted),
    MEMBER(80, FLAG, session.source_error_tried),
    MEMBER(81, NUMBER, session.source_restarts),

    MEMBER(85, TEXT, failure.name),
    MEMBER(86, NUMBER, failure.code),
    MEMBER(87, NUMBER, failure.context),
    MEMBER(88, NUMBER, failure.phase),
    MEMBER(89, NUMBER, failure.http_status),
    MEMBER(90, TEXT, failure.text),

    MEMBER(100, TEXT, session.host_id),
    MEMBER(101, NUMBER, session.host_fallback_usec),
    MEMBER(102, NUMBER, session.host_down_usec),
    MEMBER(103, FLAG, session.host_down),
    MEMBER(104, TEXT, session.reply_url),
    MEMBER(105, FLAG, session.reply_from_origin),
    MEMBER(106, FLAG, session.reply_tail_sent),
    MEMBER(107, FLAG, session.reply_stored),
    MEMBER(108, FLAG, session.has_reply_total),
    MEMBER(109, NUMBER, session.reply_total),
    MEMBER(110, NUMBER, session.reply_offset),
    MEMBER(111, TEXT, session.reply_validator),
    MEMBER(112, NUMBER, session.reply_restarts),
    MEMBER(113, FLAG, session.fragment_is_ambiguous),

    RECORD_ACCESS_MEMBERS(job, 120, access),

    MEMBER(160, TEXT, attempt_log[0].address),
    MEMBER(161, TEXT, attempt_log[1].address),
    MEMBER(162, TEXT, attempt_log[2].address),
    MEMBER(163, TEXT, attempt_log[3].address),
    MEMBER(164, TEXT, attempt_log[4].address),
    MEMBER(165, TEXT, attempt_log[5].address),
    MEMBER(166, TEXT, attempt_log[6].address),
    MEMBER(167, TEXT, attempt_log[7].address),
};

static size_t attempts_size(const void *object)
{
    const struct job *job = object;

    return job->attempt_count * (size_t)ATTEMPT_BYTES;
}

static void pack_attempts(const void *object, uint8_t *at)
{
    const struct job *job = object;

    for (uint32_t i = 0; i < job->attempt_count; i++, at += ATTEMPT_BYTES) {
        const struct job_attempt *attempt = &job->attempt_log[i];
        record_put_number(at, attempt->at_usec, 8);
        record_put_number(at + 8, attempt->code, 4);
        record_put_number(at + 12, (uint32_t)attempt->http_status, 4);
        record_put_number(at + 16, attempt->phase, 4);
        record_put_number(at + 20, attempt->offset, 8);
    }
}

static int unpack_attempts(void *object, const uint8_t *value, size_t length)
{
    struct job *job = object;

    if (length % ATTEMPT_BYTES != 0 || length / ATTEMPT_BYTES > JOB_ATTEMPTS_KEPT)
        return -EBADMSG;
    job->attempt_count = (uint32_t)(length / ATTEMPT_BYTES);
    for (uint32_t i = 0; i < job->attempt_count; i++, value += ATTEMPT_BYTES) {
        struct job_attempt *attempt = &job->attempt_log[i];
        attempt->at_usec = record_get_number(value, 8);
        attempt->code = (uint32_t)record_get_number(value + 8, 4);
        attempt->http_status = (int32_t)(uint32_t)record_get_number(value + 12, 4);
        attempt->phase = (uint32_t)record_get_number(value + 16, 4);
        attempt->offset = record_get_number(value + 20, 8);
    }
    return 0;
}

static const struct record_type job_record = {
    .magic = {'B', 'Q'},
    .format = 1,
    .bytes_max = STORE_RECORD_MAX,
    .fields = fields,
    .fields_count = ELEMENTS(fields),
    .packed_tag = 95,
    .packed_size = attempts_size,
    .pack = pack_attempts,
    .unpack = unpack_attempts,
};

int codec_encode_job(const struct job *job, void **ret, size_t *ret_size)
{
    if (job_validate(job, NULL) < 0)
        return -EINVAL;
    return record_encode(&job_record, job, ret, ret_size);
}

int codec_decode_job(const void *bytes, size_t size, struct job **ret)
{
    _cleanup_(job_free_p) struct job *job = job_new();

    if (!job)
        return -ENOMEM;
    int r = record_decode(&job_record, bytes, size, job);
    if (r < 0)
        return r;
    if (job_validate(job, NULL) < 0)
        return -EBADMSG;
    *ret = TAKE_PTR(job);
    return 0;
}
