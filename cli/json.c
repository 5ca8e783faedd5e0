/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/json.h"

#include "base/cleanup.h"
#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct json_object *json_start(const char *schema)
{
    struct json_object *object = json_object_new_object();

    if (schema)
        (void)json_object_object_add(object, "schema", json_object_new_string(schema));
    return object;
}

void json_set_number(struct json_object *object, const char *name, uint64_t value)
{
    (void)json_object_object_add(object, name, json_object_new_uint64(value));
}

void json_set_boolean(struct json_object *object, const char *name, bool value)
{
    (void)json_object_object_add(object, name, json_object_new_boolean(value));
}

void json_set_text(struct json_object *object, const char *name, const char *text)
{
    size_t length = strlen(text);

    if (text_is_utf8(text, length)) {
        (void)json_object_object_add(object, name, json_object_new_string(text));
        return;
    }
    _cleanup_free_ char *escaped = text_escape(text), *encoded = text_base64(text, length);
    char bytes_name[64];
    (void)snprintf(bytes_name, sizeof(bytes_name), "%s_bytes", name);
    (void)json_object_object_add(object, name, json_object_new_string(escaped ? escaped : ""));
    (void)json_object_object_add(object, bytes_name, json_object_new_string(encoded ? encoded : ""));
}

void json_set_time(struct json_object *object, const char *name, uint64_t usec)
{
    char date[32], text[48];
    struct tm utc;

    time_t seconds = (time_t)(usec / USEC_PER_SEC);
    if (usec == 0 || !gmtime_r(&seconds, &utc) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        (void)json_object_object_add(object, name, NULL);
        return;
    }
    (void)snprintf(text, sizeof(text), "%s.%06" PRIu64 "Z", date, usec % USEC_PER_SEC);
    (void)json_object_object_add(object, name, json_object_new_string(text));
}

static void set_text_or_null(struct json_object *object, const char *name, const char *text)
{
    if (*text == '\0')
        (void)json_object_object_add(object, name, NULL);
    else
        json_set_text(object, name, text);
}

static void add_error(struct json_object *object, const bitsq_job *job)
{
    const char *name = bitsq_job_get_error_name(job);

    if (*name == '\0') {
        (void)json_object_object_add(object, "error", NULL);
        return;
    }
    struct json_object *error = json_start(NULL);
    json_set_text(error, "name", name);
    json_set_number(error, "code", bitsq_job_get_error_code(job));
    json_set_text(error, "message", bitsq_job_get_error_message(job));
    json_set_number(error, "http_status", bitsq_job_get_error_http_status(job));
    set_text_or_null(error, "context", bitsq_job_get_error_context(job));
    set_text_or_null(error, "phase", bitsq_job_get_error_phase(job));
    set_text_or_null(error, "host", bitsq_job_get_error_host(job));
    set_text_or_null(error, "address", bitsq_job_get_error_address(job));
    (void)json_object_object_add(object, "error", error);
}

void json_set_options(struct json_object *object, const char *name, const bitsq_job_options *options)
{
    struct json_object *set = json_start(NULL);
    const char *key, *text;
    uint64_t number, most;
    int truth;

    for (size_t i = 0; (key = bitsq_job_options_get_key(options, i)); i++) {
        if (bitsq_job_options_get_uint64(options, key, &number)) {
            json_set_number(set, key, number);
        } else if (bitsq_job_options_get_boolean(options, key, &truth)) {
            json_set_boolean(set, key, truth);
        } else if (bitsq_job_options_get_string(options, key, &text) ||
                   bitsq_job_options_get_path(options, key, &text)) {
            json_set_text(set, key, text);
        } else if (bitsq_job_options_get_range(options, key, &number, &most)) {
            struct json_object *range = json_object_new_array();
            (void)json_object_array_add(range, json_object_new_uint64(number));
            (void)json_object_array_add(range, json_object_new_uint64(most));
            (void)json_object_object_add(set, key, range);
        }
    }
    (void)json_object_object_add(object, name, set);
}

static void add_reply(struct json_object *object, const bitsq_job *job)
{
    uint64_t size;

    if (strcmp(bitsq_job_get_type(job), "upload-reply") != 0) {
        (void)json_object_object_add(object, "reply", NULL);
        return;
    }
    struct json_object *reply = json_start(NULL);
    set_text_or_null(reply, "path", bitsq_job_get_reply_path(job));
    json_set_number(reply, "received", bitsq_job_get_reply_received(job));
    if (bitsq_job_get_reply_size(job, &size) > 0)
        json_set_number(reply, "size", size);
    else
        (void)json_object_object_add(reply, "size", NULL);
    json_set_boolean(reply, "stored", bitsq_job_get_reply_stored(job));
    (void)json_object_object_add(object, "reply", reply);
}

static void add_attempts(struct json_object *object, const bitsq_job *job)
{
    struct json_object *log = json_object_new_array();
    const char *name, *phase;
    uint64_t time, acknowledged;
    int32_t http_status;

    for (size_t i = 0; bitsq_job_get_attempt(job, i, &time, &name, &http_status, &phase, &acknowledged); i++) {
        struct json_object *attempt = json_start(NULL);
        json_set_time(attempt, "time", time);
        json_set_text(attempt, "error", name);
        json_set_number(attempt, "http_status", http_status > 0 ? (uint64_t)http_status : 0);
        json_set_text(attempt, "phase", phase);
        json_set_number(attempt, "acknowledged", acknowledged);
        set_text_or_null(attempt, "address", bitsq_job_get_attempt_address(job, i));
        (void)json_object_array_add(log, attempt);
    }
    (void)json_object_object_add(object, "attempt_log", log);
}

static void add_texts(struct json_object *object, const bitsq_job *job)
{
    set_text_or_null(object, "key", bitsq_job_get_key(job));
    json_set_text(object, "name", bitsq_job_get_name(job));
    json_set_number(object, "owner", bitsq_job_get_owner(job));
    json_set_text(object, "type", bitsq_job_get_type(job));
    json_set_text(object, "state", bitsq_job_get_state_name(job));
    struct json_object *gates = json_object_new_array();
    for (size_t i = 0; bitsq_job_get_gate(job, i); i++)
        (void)json_object_array_add(gates, json_object_new_string(bitsq_job_get_gate(job, i)));
    (void)json_object_object_add(object, "gates", gates);
    json_set_text(object, "because", bitsq_job_get_because(job));
    json_set_time(object, "blocked_until", bitsq_job_get_blocked_until(job));
    json_set_text(object, "priority", bitsq_job_get_priority(job));
    json_set_text(object, "group", bitsq_job_get_group(job));
    json_set_text(object, "source", bitsq_job_get_source(job));
    json_set_text(object, "url", bitsq_job_get_url(job));
}

struct json_object *json_job(const char *schema, const bitsq_job *job)
{
    struct json_object *object = json_start(schema);

    json_set_number(object, "id", bitsq_job_get_id(job));
    add_texts(object, job);
    json_set_number(object, "size", bitsq_job_get_size(job));
    json_set_number(object, "acknowledged", bitsq_job_get_acknowledged(job));
    json_set_number(object, "resent", bitsq_job_get_resent(job));
    json_set_number(object, "rate", bitsq_job_get_rate(job));
    json_set_number(object, "attempts", bitsq_job_get_attempts(job));
    json_set_time(object, "next_attempt", bitsq_job_get_next_attempt(job));
    add_error(object, job);
    json_set_time(object, "created", bitsq_job_get_created(job));
    json_set_time(object, "started", bitsq_job_get_started(job));
    json_set_time(object, "finished", bitsq_job_get_finished(job));
    json_set_text(object, "host", bitsq_job_get_host(job));
    struct json_object *server = json_start(NULL);
    set_text_or_null(server, "name", bitsq_job_get_server_name(job));
    set_text_or_null(server, "address", bitsq_job_get_server_address(job));
    set_text_or_null(server, "host", bitsq_job_get_server_host(job));
    (void)json_object_object_add(object, "server", server);
    json_set_boolean(object, "confirmed", bitsq_job_get_confirmed(job));
    add_reply(object, job);
    /* a page of the queue comes without these three; with options a job is told in full */
    if (bitsq_job_get_options(job)) {
        set_text_or_null(object, "session", bitsq_job_get_session(job));
        add_attempts(object, job);
        json_set_options(object, "options", bitsq_job_get_options(job));
    }
    return object;
}

const char *json_text(struct json_object *object)
{
    return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

void json_print(struct json_object *object)
{
    (void)printf("%s\n", json_text(object));
    (void)json_object_put(object);
}
