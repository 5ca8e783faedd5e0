/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/args.h"
#include "cli/json.h"
#include "cli/row.h"
#include "cli/select.h"

#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

static void print_text(const char *label, const char *text)
{
    _cleanup_free_ char *safe = safe_text(text);

    if (safe && *safe != '\0')
        (void)printf("%13s  %s\n", label, safe);
}

static void print_time(const char *label, uint64_t usec, uint64_t now)
{
    char clock[CLOCK_TEXT_MAX], duration[DURATION_TEXT_MAX];

    if (usec == 0)
        return;
    if (usec > now)
        (void)printf("%13s  %s (in %s)\n", label, clock_text(usec, now, clock), text_duration(usec - now, duration));
    else
        (void)printf("%13s  %s (%s ago)\n", label, clock_text(usec, now, clock), text_duration(now - usec, duration));
}

static void print_progress(const bitsq_job *job)
{
    uint64_t done = bitsq_job_get_acknowledged(job), size = bitsq_job_get_size(job);
    char done_text[SIZE_TEXT_MAX], size_text[SIZE_TEXT_MAX], rate[RATE_TEXT_MAX];
    bool finished = bitsq_job_get_state(job) == BITSQ_STATE_DONE;

    (void)printf("%13s  %u %%, %s of %s confirmed by the server", "progress", percent_of(done, size, finished),
                 text_size(done, done_text), text_size(size, size_text));
    if (size >= 1000)
        (void)printf(" (%" PRIu64 " of %" PRIu64 " bytes)", done, size);
    if (bitsq_job_get_rate(job) > 0 && bitsq_job_get_state(job) == BITSQ_STATE_TRANSFERRING)
        (void)printf(", %s", text_rate(bitsq_job_get_rate(job), rate));
    (void)putchar('\n');
    if (bitsq_job_get_resent(job) > 0)
        (void)printf("%13s  %s\n", "sent twice", text_size(bitsq_job_get_resent(job), done_text));
}

static void print_error(const bitsq_job *job)
{
    const char *phase = bitsq_job_get_error_phase(job), *host = bitsq_job_get_error_host(job);
    const char *address = bitsq_job_get_error_address(job);
    uint32_t status = bitsq_job_get_error_http_status(job);
    char text[NOTE_MAX];

    if (*bitsq_job_get_error_name(job) == '\0')
        return;
    job_error_text(job, text);
    print_text("error", text);
    (void)printf("%13s  %s, 0x%08" PRIX32, "", bitsq_job_get_error_name(job), bitsq_job_get_error_code(job));
    if (status > 0)
        (void)printf(", HTTP %" PRIu32, status);
    if (*phase != '\0')
        (void)printf(", during %s", phase);
    if (*host != '\0')
        (void)printf(", at %s", host);
    if (*host != '\0' && *address != '\0')
        (void)printf(" (%s)", address);
    (void)putchar('\n');
    print_text("where", bitsq_job_get_error_context(job));
}

static void print_reply(const bitsq_job *job)
{
    const char *path = bitsq_job_get_reply_path(job);
    char received[SIZE_TEXT_MAX], whole[SIZE_TEXT_MAX], text[96];
    uint64_t size, id = bitsq_job_get_id(job);

    if (strcmp(bitsq_job_get_type(job), "upload-reply") != 0)
        return;
    (void)text_size(bitsq_job_get_reply_received(job), received);
    bool known = bitsq_job_get_reply_size(job, &size) > 0;
    if (bitsq_job_get_reply_stored(job))
        (void)snprintf(text, sizeof(text), "%s, stored; bitsq reply %" PRIu64 " prints it",
                       known ? text_size(size, whole) : received, id);
    else if (known)
        (void)snprintf(text, sizeof(text), "%s of %s received", received, text_size(size, whole));
    else
        (void)snprintf(text, sizeof(text), "%s",
                       bitsq_job_get_state(job) == BITSQ_STATE_DONE ? "the server sent none" : "not there yet");
    print_text("reply", text);
    print_text("reply file", *path == '\0' ? "kept by the daemon" : path);
}

/* A table of the last errors: when, what, HTTP status, during, acknowledged then, with whom. */
static void print_attempts(const bitsq_job *job, uint64_t now)
{
    const char *name, *phase;
    uint64_t time, acknowledged;
    int name_columns = 0, phase_columns = 0;
    int32_t status;

    if (bitsq_job_get_attempts(job) > 0)
        (void)printf("%13s  %" PRIu32 "\n", "errors", bitsq_job_get_attempts(job));
    for (size_t i = 0; bitsq_job_get_attempt(job, i, NULL, &name, NULL, &phase, NULL); i++) {
        name_columns = (int)strlen(name) > name_columns ? (int)strlen(name) : name_columns;
        phase_columns = (int)strlen(phase) > phase_columns ? (int)strlen(phase) : phase_columns;
    }
    for (size_t i = 0; bitsq_job_get_attempt(job, i, &time, &name, &status, &phase, &acknowledged); i++) {
        char clock[CLOCK_TEXT_MAX], size[SIZE_TEXT_MAX], http[16] = "-";
        if (status > 0)
            (void)snprintf(http, sizeof(http), "%" PRId32, status);
        const char *address = bitsq_job_get_attempt_address(job, i);
        (void)printf("%13s  %s  %-*s  %3s  %-*s  at %s%s%s\n", i == 0 ? "attempts" : "", clock_text(time, now, clock),
                     name_columns, name, http, phase_columns, phase, text_size(acknowledged, size),
                     *address == '\0' ? "" : ", ", address);
    }
}

/* Those with a unit have a line of their own. */
static void print_measured(const bitsq_job_options *options, uint64_t now)
{
    char rate[RATE_TEXT_MAX], text[DURATION_TEXT_MAX], least_text[SIZE_TEXT_MAX], most_text[SIZE_TEXT_MAX];
    uint64_t value, most;

    if (bitsq_job_options_get_range(options, "fragment_size", &value, &most))
        (void)printf("%13s  %s to %s\n", "fragment size", text_size(value, least_text), text_size(most, most_text));
    if (bitsq_job_options_get_uint64(options, "retry_delay", &value))
        (void)printf("%13s  %s\n", "retry delay", text_duration(value, text));
    if (bitsq_job_options_get_uint64(options, "no_progress_timeout", &value))
        (void)printf("%13s  %s\n", "no progress", value == 0 ? "every error is final" : text_duration(value, text));
    if (bitsq_job_options_get_uint64(options, "rate", &value))
        (void)printf("%13s  at most %s\n", "rate", text_rate(value, rate));
    if (bitsq_job_options_get_uint64(options, "not_before", &value))
        print_time("not before", value, now);
    if (bitsq_job_options_get_uint64(options, "deadline", &value))
        print_time("deadline", value, now);
}

/* The others as `bitsq set` takes them. */
static void print_options(const bitsq_job *job, uint64_t now)
{
    const bitsq_job_options *options = bitsq_job_get_options(job);
    const char *key, *label = "options", *text;
    int truth;

    print_measured(options, now);
    for (size_t i = 0; (key = bitsq_job_options_get_key(options, i)); i++) {
        if (bitsq_job_options_get_string(options, key, &text) <= 0) {
            if (bitsq_job_options_get_boolean(options, key, &truth) <= 0)
                continue;
            text = truth ? "yes" : "no";
        }
        if (strcmp(key, "proxy") == 0 && *text == '\0')
            text = "none";
        _cleanup_free_ char *safe = safe_text(text);
        (void)printf("%13s  ", label);
        for (; *key != '\0'; key++)
            (void)putchar(*key == '_' ? '-' : *key);
        (void)printf("=%s\n", safe ? safe : "");
        label = "";
    }
}

static void print_job(const bitsq_job *job)
{
    uint64_t now = moment_now().realtime_usec;
    struct job_row job_row;

    (void)printf("%13s  %" PRIu64 "\n", "job", bitsq_job_get_id(job));
    print_text("name", bitsq_job_get_name(job));
    print_text("type", bitsq_job_get_type(job));
    print_text("state", bitsq_job_get_state_name(job));
    bool waits = bitsq_job_get_state(job) == BITSQ_STATE_QUEUED || bitsq_job_get_state(job) == BITSQ_STATE_BLOCKED;
    if (waits && bitsq_job_get_gate(job, 0) &&
        job_row_init(&job_row, job, bitsq_job_get_acknowledged(job), bitsq_job_get_rate(job), now) == 0) {
        print_text("because", job_row.row.note);
        job_row_done(&job_row);
    }
    print_progress(job);
    print_error(job);
    print_time("next attempt", bitsq_job_get_next_attempt(job), now);
    print_text("source", bitsq_job_get_source(job));
    print_text("url", bitsq_job_get_url(job));
    print_text("key", bitsq_job_get_key(job));
    print_text("priority", bitsq_job_get_priority(job));
    print_text("group", bitsq_job_get_group(job));
    print_time("created", bitsq_job_get_created(job), now);
    print_time("started", bitsq_job_get_started(job), now);
    print_time("finished", bitsq_job_get_finished(job), now);
    if (bitsq_job_get_state(job) == BITSQ_STATE_DONE)
        print_text("confirmed", bitsq_job_get_confirmed(job) ? "yes, by the server"
                                                             : "no: the server had closed the session already");
    print_text("server", bitsq_job_get_server_name(job));
    print_text("address", bitsq_job_get_server_address(job));
    print_text("sent on to", bitsq_job_get_server_host(job));
    print_text("session", bitsq_job_get_session(job));
    print_reply(job);
    print_options(job, now);
    print_attempts(job, now);
}

/* One job of several: with a blank line or a comma before it. */
static void show_job(const struct cli *cli, const bitsq_job *job, struct json_object *all, bool first)
{
    switch (cli->json) {
    case JSON_OFF:
        if (!first)
            (void)putchar('\n');
        print_job(job);
        return;
    case JSON_LINES:
        json_print(json_job("bitsq.job/1", job));
        return;
    case JSON_OBJECT:
        (void)json_object_array_add(all, json_job(NULL, job));
        return;
    }
}

static int show(struct cli *cli, char **ids)
{
    struct json_object *all = json_object_new_array();
    size_t shown = 0, missing = 0;
    int code = EXIT_OK;

    for (; *ids; ids++) {
        _cleanup_(bitsq_job_free_p) bitsq_job *job = NULL;
        uint64_t id;
        code = parse_job_id(cli, *ids, &id);
        if (code != 0)
            break;
        if (bitsq_client_get_job(cli->client, id, &job) < 0) {
            code = cli_fail_client(cli, "cannot show job %" PRIu64, id);
            if (code != EXIT_NO_JOB)
                break;
            missing++;
            continue;
        }
        show_job(cli, job, all, shown++ == 0);
    }
    if (cli->json == JSON_OBJECT && (shown > 0 || code == EXIT_OK)) {
        struct json_object *answer = json_start("bitsq.jobs/1");
        (void)json_object_object_add(answer, "jobs", all);
        json_print(answer);
    } else {
        (void)json_object_put(all);
    }
    if (missing > 0 && (code == EXIT_OK || code == EXIT_NO_JOB))
        return shown > 0 ? EXIT_SOME_FAILED : EXIT_NO_JOB;
    return code;
}

int verb_show(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind == argc)
        return args_fail_usage(&args, "no job is named");
    code = cli_connect(cli, 0, true);
    return code != 0 ? code : show(cli, argv + optind);
}
