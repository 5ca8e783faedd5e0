/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/wait.h"

#include "cli/args.h"
#include "cli/follow.h"
#include "cli/json.h"
#include "cli/row.h"
#include "cli/select.h"

#include "base/moment.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

const struct option_spec wait_options[] = {
    {OPTION_LONG, "for", "EVENT", "done (default) or started"},
    {OPTION_LONG + 1, "any", NULL, "return when one of several is so"},
    {OPTION_LONG + 2, "timeout", "TIME", "give up after TIME, as 90s 15m 2h; exit code 6"},
    {'q', "quiet", NULL, "no progress and no hints"},
    {0},
};

enum exit_code wait_exit_code(const struct wait_tally *tally)
{
    size_t all = tally->well + tally->failed + tally->cancelled + tally->missing;

    if (tally->well == all)
        return EXIT_OK;
    if (tally->failed == all)
        return EXIT_JOB_FAILED;
    if (tally->cancelled == all)
        return EXIT_JOB_CANCELLED;
    if (tally->missing == all)
        return EXIT_NO_JOB;
    return EXIT_SOME_FAILED;
}

static bool is_done(const struct tracked *tracked)
{
    return !tracked->job || bitsq_state_is_final(bitsq_job_get_state(tracked->job));
}

static bool is_started(const struct tracked *tracked)
{
    return is_done(tracked) || bitsq_job_get_started(tracked->job) != 0 ||
           bitsq_job_get_state(tracked->job) == BITSQ_STATE_CONNECTING ||
           bitsq_job_get_state(tracked->job) == BITSQ_STATE_TRANSFERRING ||
           bitsq_job_get_state(tracked->job) == BITSQ_STATE_REPLYING;
}

static bool all_done(const struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++)
        if (!is_done(&follow->jobs[i]))
            return false;
    return true;
}

static bool any_done(const struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++)
        if (is_done(&follow->jobs[i]))
            return true;
    return false;
}

static bool all_started(const struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++)
        if (!is_started(&follow->jobs[i]))
            return false;
    return true;
}

static bool any_started(const struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++)
        if (is_started(&follow->jobs[i]))
            return true;
    return false;
}

/* Counts what became of the jobs, and says it of those that did not end well. */
static int conclude(struct follow *follow, const struct wait_options *options)
{
    struct wait_tally tally = {0};

    for (size_t i = 0; i < follow->count; i++) {
        const struct tracked *tracked = &follow->jobs[i];
        bool counts = options->what == WAIT_STARTED ? is_started(tracked) : is_done(tracked);
        if (!counts)
            continue; /* with --any the others go on */
        if (!tracked->job) {
            tally.missing++;
            (void)cli_fail(follow->cli, EXIT_NO_JOB, "NoSuchJob",
                           "there is no job %" PRIu64 "; bitsq list shows those there are", tracked->id);
            continue;
        }
        const char *name = bitsq_job_get_name(tracked->job);
        char error[NOTE_MAX];
        bitsq_state state = bitsq_job_get_state(tracked->job);
        if (state == BITSQ_STATE_FAILED) {
            tally.failed++;
            job_error_text(tracked->job, error);
            (void)cli_fail(follow->cli, EXIT_JOB_FAILED, bitsq_job_get_error_name(tracked->job),
                           "job %" PRIu64 " (%s) failed: %s", tracked->id, name, error);
        } else if (state == BITSQ_STATE_CANCELLED) {
            tally.cancelled++;
            (void)cli_fail(follow->cli, EXIT_JOB_CANCELLED, "Cancelled",
                           "job %" PRIu64 " (%s) was cancelled; bitsq retry %" PRIu64 " queues it again", tracked->id,
                           name, tracked->id);
        } else {
            tally.well++;
        }
    }
    return (int)wait_exit_code(&tally);
}

static void print_jobs(const struct follow *follow)
{
    struct json_object *answer, *jobs;

    if (follow->cli->json == JSON_OFF)
        return;
    if (follow->cli->json == JSON_LINES) {
        for (size_t i = 0; i < follow->count; i++)
            if (follow->jobs[i].job)
                json_print(json_job("bitsq.job/1", follow->jobs[i].job));
        return;
    }
    answer = json_start("bitsq.jobs/1");
    jobs = json_object_new_array();
    for (size_t i = 0; i < follow->count; i++)
        if (follow->jobs[i].job)
            (void)json_object_array_add(jobs, json_job(NULL, follow->jobs[i].job));
    (void)json_object_object_add(answer, "jobs", jobs);
    json_print(answer);
}

static void note_detached(const struct follow *follow)
{
    uint64_t id = follow->count > 0 ? follow->jobs[0].id : 0;

    if (follow->count == 1)
        cli_note(follow->cli,
                 "detached; job %" PRIu64 " goes on in the background: bitsq wait %" PRIu64 " waits for it again", id,
                 id);
    else
        cli_note(follow->cli, "detached; the %zu jobs go on in the background: bitsq watch shows them", follow->count);
}

int wait_for_jobs(struct cli *cli, const uint64_t *ids, size_t count, const struct wait_options *options)
{
    struct view view = {.mode = VIEW_SILENT, .stream = stderr};
    struct follow follow;
    int code = EXIT_OTHER;

    if (follow_init(&follow, cli, ids, count) < 0)
        return cli_fail_memory(cli);
    if (!cli->quiet && cli->json == JSON_OFF)
        view.mode = stream_is_live(stderr) ? VIEW_BARS : VIEW_LINES;
    follow.view = &view;
    follow.deadline_usec = usec_add(moment_now().monotonic_usec, options->timeout_usec);
    if (options->what == WAIT_STARTED)
        follow.finished = options->any ? any_started : all_started;
    else
        follow.finished = options->any ? any_done : all_done;

    switch (follow_run(&follow)) {
    case FOLLOW_FINISHED:
        print_jobs(&follow);
        code = conclude(&follow, options);
        break;
    case FOLLOW_TIMEOUT:
        print_jobs(&follow);
        code = cli_fail(cli, EXIT_TIMEOUT, "TimedOut",
                        "the time is over and the jobs go on in the background; bitsq wait waits for them again");
        break;
    case FOLLOW_INTERRUPTED:
    case FOLLOW_QUIT:
        note_detached(&follow);
        code = EXIT_DETACHED;
        break;
    case FOLLOW_ERROR:
    case FOLLOW_GOES_ON:
        code = follow.code;
        break;
    }
    follow_done(&follow);
    return code;
}

/* The operands as ids; ranges are written out. */
static int read_ids(struct args *args, uint64_t **ret_ids, size_t *ret_count)
{
    _cleanup_free_ uint64_t *ids = calloc(SELECT_IDS_MAX, sizeof(*ids));
    size_t count = 0;

    if (!ids)
        return cli_fail_memory(args->cli);
    if (optind == args->argc)
        return args_fail_usage(args, "no job is named");
    for (int i = optind; i < args->argc; i++) {
        uint64_t first, last;
        if (parse_job_range(args->argv[i], &first, &last) < 0)
            return parse_job_id(args->cli, args->argv[i], &first);
        if (last - first >= SELECT_IDS_MAX - count)
            return cli_fail(args->cli, EXIT_LIMIT, "LimitReached",
                            "more than %d jobs in one command; wait for fewer at a time", SELECT_IDS_MAX);
        for (uint64_t id = first; id <= last; id++)
            ids[count++] = id;
    }
    *ret_ids = TAKE_PTR(ids);
    *ret_count = count;
    return 0;
}

int verb_wait(struct cli *cli, int argc, char **argv)
{
    struct wait_options options = {.what = WAIT_DONE, .timeout_usec = USEC_INFINITY};
    _cleanup_free_ uint64_t *ids = NULL;
    size_t count = 0;
    struct args args;
    const char *value;
    int id, code;

    args_init(&args, cli, argc, argv);
    while ((id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            return code;
        if (id == 'q')
            cli->quiet = true;
        else if (id == OPTION_LONG + 1)
            options.any = true;
        else if (id == OPTION_LONG && strcmp(value, "started") == 0)
            options.what = WAIT_STARTED;
        else if (id == OPTION_LONG && strcmp(value, "done") == 0)
            options.what = WAIT_DONE;
        else if (id == OPTION_LONG)
            return cli_fail(cli, EXIT_USAGE, "Usage", "--for %s is not known; use done or started", value);
        else if (parse_duration(value, &options.timeout_usec) < 0)
            return cli_fail(cli, EXIT_USAGE, "Usage", "--timeout %s is no time; write it as 90s, 15m, 2h or 3d", value);
    }
    code = read_ids(&args, &ids, &count);
    if (code != 0)
        return code;
    code = cli_connect(cli, 0, false);
    return code != 0 ? code : wait_for_jobs(cli, ids, count, &options);
}
