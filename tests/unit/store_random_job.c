/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store_random_job.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* splitmix64: the same jobs on every machine. */
static uint64_t draw(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t draw_below(uint64_t *seed, uint64_t bound)
{
    return draw(seed) % bound;
}

static bool draw_flag(uint64_t *seed)
{
    return draw(seed) >> 63;
}

/* 1 to MAX characters, often the most that is allowed. */
static char *draw_string(uint64_t *seed, size_t max, const char *prefix)
{
    size_t length = draw_below(seed, 4) == 0 ? max : 1 + draw_below(seed, max);
    size_t prefix_length = strlen(prefix);
    char *text = calloc(1, max + 1);

    assert(text);
    for (size_t i = 0; i < length; i++)
        text[i] = i < prefix_length ? prefix[i] : (char)('!' + draw_below(seed, 94));
    return text;
}

static void draw_text(uint64_t *seed, char *buffer, size_t size)
{
    size_t length = draw_below(seed, size);

    for (size_t i = 0; i < length; i++)
        buffer[i] = (char)(1 + draw_below(seed, 255));
    buffer[length] = '\0';
}

static void draw_session(uint64_t *seed, struct session_record *session)
{
    session->phase = (enum session_phase)draw_below(seed, SESSION_CANCEL + 1);
    draw_text(seed, session->session_id, sizeof(session->session_id));
    session->offset = draw(seed);
    session->high_offset = draw(seed);
    session->session_high_offset = draw(seed);
    session->fragment_bytes = draw(seed);
    session->fragment_ceiling_bytes = draw(seed);
    session->fragment_acked_bytes = draw(seed);
    session->no_progress_usec = draw(seed);
    session->cancel_requested_usec = draw(seed);
    session->resent_bytes = draw(seed);
    session->sent_bytes = draw(seed);
    session->sent_high_offset = draw(seed);
    session->restarts = (uint32_t)draw(seed);
    session->looping_sessions = (uint32_t)draw(seed);
    session->invalid_responses = (uint32_t)draw(seed);
    session->create_conflicts = (uint32_t)draw(seed);
    session->stalled_acks = (uint32_t)draw(seed);
    session->lost_session_tried = draw_flag(seed);
    session->close_attempted = draw_flag(seed);
    session->source_error_tried = draw_flag(seed);
    draw_text(seed, session->host_id, sizeof(session->host_id));
    session->host_fallback_usec = draw(seed);
    session->host_down_usec = draw(seed);
    session->host_down = draw_flag(seed);
    draw_text(seed, session->reply_url, sizeof(session->reply_url));
    session->reply_from_origin = draw_flag(seed);
    session->reply_tail_sent = draw_flag(seed);
    session->reply_stored = draw_flag(seed);
    session->has_reply_total = draw_flag(seed);
    session->reply_total = draw(seed);
    session->reply_offset = draw(seed);
    draw_text(seed, session->reply_validator, sizeof(session->reply_validator));
    session->reply_restarts = (uint32_t)draw(seed);
    session->fragment_is_ambiguous = draw(seed) % 2 == 0;
    session->source_restarts = (uint32_t)draw(seed);
}

/* Each text is a value that its key accepts: a record with another one is refused. */
static void draw_access(uint64_t *seed, struct access *access)
{
    static const char *const words[ACCESS_TEXTS] = {
        [ACCESS_AUTH] = "negotiate",
        [ACCESS_CREDENTIAL] = "work",
        [ACCESS_CERT] = "/etc/client.pem",
        [ACCESS_KEY_FILE] = "/etc/client.key",
        [ACCESS_CACERT] = "/etc/ca.pem",
        [ACCESS_PINNED_KEY] = "sha256//abc=",
        [ACCESS_PROXY] = "http://proxy:3128",
        [ACCESS_PROXY_CREDENTIAL] = "proxy",
        [ACCESS_NOPROXY] = "localhost,.lan",
        [ACCESS_HEADER_FILE] = "/etc/headers",
        [ACCESS_USER_AGENT] = "Microsoft BITS/7.8",
        [ACCESS_METHOD_OVERRIDE] = "post-only",
        [ACCESS_PROTOCOL_GUID] = "{7DF0354D-249B-430F-820D-3D2A9BEF4931}",
    };
    const char *reason;

    for (size_t i = 0; i < access_keys_count; i++) {
        const struct access_key *key = &access_keys[i];
        if (!draw_flag(seed))
            continue;
        if (key->is_flag)
            access_set_flag(access, key, draw_flag(seed));
        else
            assert(access_set_text(access, key, words[key->text], &reason) == 0);
    }
}

static void draw_identity(uint64_t *seed, struct source_identity *identity)
{
    identity->size_bytes = draw(seed);
    identity->mtime_sec = (int64_t)draw(seed);
    identity->mtime_nsec = (uint32_t)draw(seed);
    identity->has_btime = draw_flag(seed);
    identity->btime_sec = (int64_t)draw(seed);
    identity->btime_nsec = (uint32_t)draw(seed);
    identity->inode = draw(seed);
    identity->inode_is_stable = draw_flag(seed);
    identity->device = draw(seed);
    for (size_t i = 0; i < sizeof(identity->boot_id); i++)
        identity->boot_id[i] = (uint8_t)draw(seed);
    identity->racy = draw_flag(seed);
}

static void draw_errors(uint64_t *seed, struct job *job)
{
    draw_text(seed, job->failure.name, sizeof(job->failure.name));
    job->failure.code = (uint32_t)draw(seed);
    job->failure.context = (uint32_t)draw(seed);
    job->failure.phase = (uint32_t)draw(seed);
    job->failure.http_status = (int32_t)draw(seed);
    draw_text(seed, job->failure.text, sizeof(job->failure.text));
    job->attempts = (uint32_t)draw(seed);
    job->attempts_total = (uint32_t)draw(seed);
    job->attempt_count = (uint32_t)draw_below(seed, JOB_ATTEMPTS_KEPT + 1);
    for (uint32_t i = 0; i < job->attempt_count; i++) {
        job->attempt_log[i] = (struct job_attempt){
            .at_usec = draw(seed),
            .code = (uint32_t)draw(seed),
            .http_status = (int32_t)draw(seed),
            .phase = (uint32_t)draw(seed),
            .offset = draw(seed),
        };
        draw_text(seed, job->attempt_log[i].address, sizeof(job->attempt_log[i].address));
    }
}

static void draw_strings(uint64_t *seed, struct job *job)
{
    if (draw_flag(seed))
        job->key = draw_string(seed, JOB_KEY_MAX, "");
    job->name = draw_string(seed, JOB_NAME_MAX, "");
    job->group = draw_string(seed, JOB_GROUP_MAX, "");
    job->url = draw_string(seed, JOB_URL_MAX, "https://");
    job->host = draw_string(seed, JOB_HOST_MAX, "");
    job->source = draw_string(seed, JOB_SOURCE_MAX, "/");
    if (draw_flag(seed))
        job->source_mount = draw_string(seed, SOURCE_MOUNT_MAX, "/");
    if (draw_flag(seed))
        job->reply_path = draw_string(seed, JOB_SOURCE_MAX, "/");
    for (size_t i = 0; i < HOOK_OUTCOMES; i++)
        if (draw_flag(seed))
            assert((job->hooks[i] = strdup(i == HOOK_DONE ? "done@.service" : "told.target")));
    draw_text(seed, job->server, sizeof(job->server));
    draw_text(seed, job->address, sizeof(job->address));
}

struct job *random_job(uint64_t *seed)
{
    struct job *job = job_new();

    assert(job);
    job->id = draw(seed);
    job->owner = (uid_t)draw(seed);
    job->type = (enum job_type)draw_below(seed, JOB_UPLOAD_REPLY + 1);
    job->priority = (enum job_priority)draw_below(seed, PRIORITY_LOW + 1);
    job->state = (enum job_state)(JOB_READY + draw_below(seed, JOB_CANCELLED));
    job->remove_when_cancelled = draw_flag(seed);
    job->identity_wanted = draw_flag(seed);
    job->options.fragment_min_bytes = draw_below(seed, FRAGMENT_CEILING_BYTES + 1);
    job->options.fragment_max_bytes = draw_flag(seed) ? 0 : FRAGMENT_CEILING_BYTES;
    job->options.retry_delay_usec = draw(seed);
    job->options.no_progress_timeout_usec = draw(seed);
    job->options.has_no_progress_timeout = draw_flag(seed);
    job->options.rate_bytes = RATE_MIN_BYTES + draw_below(seed, 1 << 30);
    job->options.not_before_usec = draw(seed);
    job->options.deadline_usec = draw(seed);
    job->options.source_restart = draw_flag(seed);
    job->options.policy.network = (enum policy_network)draw_below(seed, NETWORK_UNMETERED + 1);
    job->options.policy.power = (uint32_t)draw_below(seed, POWER_AC + 1);
    if (draw_flag(seed))
        memcpy(job->options.policy.window, "Mon..Fri 22:00-06:00; Sat,Sun 00:00-24:00", 42);
    job->confirmed = draw_flag(seed);
    job->retry_delay_usec = draw(seed);
    job->next_attempt_usec = draw(seed);
    job->created_usec = draw(seed);
    job->queued_usec = draw(seed);
    job->started_usec = draw(seed);
    job->finished_usec = draw(seed);
    job->revision = draw(seed);
    job->run = draw(seed);
    job->counted_uploaded_bytes = draw(seed);
    job->counted_resent_bytes = draw(seed);
    draw_strings(seed, job);
    draw_session(seed, &job->session);
    draw_access(seed, &job->access);
    draw_identity(seed, &job->identity);
    draw_errors(seed, job);
    return job;
}
