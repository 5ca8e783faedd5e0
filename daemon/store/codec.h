/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A job as bytes: a record (record.h) of the magic "BQ" and format 1. Pure. */
#pragma once

#include "core/job.h"
#include "store/record.h"

#include <assert.h>
#include <stddef.h>

/* How a server is reached, within a record of TYPE: tags BASE to BASE + 31. */
#define RECORD_ACCESS_MEMBERS(type, base, member)                                       \
    RECORD_MEMBER(type, (base) + 0, STRING, member.texts[ACCESS_AUTH]),                 \
        RECORD_MEMBER(type, (base) + 1, STRING, member.texts[ACCESS_CREDENTIAL]),       \
        RECORD_MEMBER(type, (base) + 2, STRING, member.texts[ACCESS_CERT]),             \
        RECORD_MEMBER(type, (base) + 3, STRING, member.texts[ACCESS_KEY_FILE]),         \
        RECORD_MEMBER(type, (base) + 4, STRING, member.texts[ACCESS_CACERT]),           \
        RECORD_MEMBER(type, (base) + 5, STRING, member.texts[ACCESS_PINNED_KEY]),       \
        RECORD_MEMBER(type, (base) + 6, STRING, member.texts[ACCESS_PROXY]),            \
        RECORD_MEMBER(type, (base) + 7, STRING, member.texts[ACCESS_PROXY_CREDENTIAL]), \
        RECORD_MEMBER(type, (base) + 8, STRING, member.texts[ACCESS_NOPROXY]),          \
        RECORD_MEMBER(type, (base) + 9, STRING, member.texts[ACCESS_HEADER_FILE]),      \
        RECORD_MEMBER(type, (base) + 10, STRING, member.texts[ACCESS_USER_AGENT]),      \
        RECORD_MEMBER(type, (base) + 11, STRING, member.texts[ACCESS_METHOD_OVERRIDE]), \
        RECORD_MEMBER(type, (base) + 12, STRING, member.texts[ACCESS_PROTOCOL_GUID]),   \
        RECORD_MEMBER(type, (base) + 30, NUMBER, member.flags),                         \
        RECORD_MEMBER(type, (base) + 31, NUMBER, member.flags_chosen)
static_assert(ACCESS_TEXTS == 13, "each text of the access has its tag");

/* -E2BIG over STORE_RECORD_MAX. The caller frees *ret. */
int codec_encode_job(const struct job *job, void **ret, size_t *ret_size);

/* -EBADMSG for bytes that are no intact record, or that job_validate() refuses. */
int codec_decode_job(const void *bytes, size_t size, struct job **ret);
