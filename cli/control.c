/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pause, resume, cancel, retry, remove. */
#include "cli/control.h"

#include "cli/args.h"
#include "cli/json.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

const struct option_spec select_options[] = {SELECT_OPTIONS, {0}};

const struct option_spec bulk_options[] = {
    SELECT_OPTIONS,
    {'y', "yes", NULL, "do not ask, also not for many jobs"},
    {0},
};

static const struct control pause_control = {
    .verb = BITSQ_PAUSE,
    .done = "paused",
    .states = {BITSQ_STATE_QUEUED, BITSQ_STATE_BLOCKED, BITSQ_STATE_CONNECTING, BITSQ_STATE_TRANSFERRING,
               BITSQ_STATE_REPLYING, BITSQ_STATE_RETRYING},
};
static const struct control resume_control = {.verb = BITSQ_RESUME, .done = "resumed", .states = {BITSQ_STATE_PAUSED}};
static const struct control cancel_control = {
    .verb = BITSQ_CANCEL,
    .done = "cancelled",
    .asks = true,
    .states = {BITSQ_STATE_QUEUED, BITSQ_STATE_BLOCKED, BITSQ_STATE_CONNECTING, BITSQ_STATE_TRANSFERRING,
               BITSQ_STATE_REPLYING, BITSQ_STATE_RETRYING, BITSQ_STATE_PAUSED, BITSQ_STATE_FAILED},
};
/* not the cancelled ones: `retry --all` is no way to bring back what was given up */
static const struct control retry_control = {
    .verb = BITSQ_RETRY, .done = "queued again", .states = {BITSQ_STATE_FAILED, BITSQ_STATE_RETRYING}};
static const struct control remove_control = {
    .verb = BITSQ_REMOVE,
    .done = "removed",
    .asks = true,
    .states = {BITSQ_STATE_DONE, BITSQ_STATE_FAILED, BITSQ_STATE_CANCELLED},
};

static bool is_bulk(const struct selection *selection)
{
    return selection->ids == 0 || selection->ranges > 0;
}

/* Without states of its own, a bulk selection means the jobs that the verb can do something to. */
static void narrow(const struct control *control, struct selection *selection)
{
    if (selection->ids == 0 && selection->ranges == 0)
        (void)bitsq_filter_set_all(selection->filter);
    if (selection->ids > 0 || selection->states)
        return;
    for (size_t i = 0; i < ELEMENTS(control->states) && control->states[i] != BITSQ_STATE_UNKNOWN; i++)
        (void)bitsq_filter_add_state(selection->filter, control->states[i]);
}

/* How many jobs match, counted up to a page: enough for a question. */
static int count_matches(struct cli *cli, const struct selection *selection, size_t *ret)
{
    _cleanup_(bitsq_query_free_p) bitsq_query *query = NULL;
    size_t count = 0;
    bitsq_job *job;

    int r = bitsq_client_query(cli->client, selection->filter, &query);
    while (r >= 0 && count < 1000 && (r = bitsq_query_next(query, &job)) > 0) {
        (void)bitsq_job_free(job);
        count++;
    }
    if (r < 0)
        return cli_fail_client(cli, "cannot count the jobs");
    *ret = count;
    return 0;
}

/* 0 where the person agrees; an exit code else. */
static int ask(struct cli *cli, const char *verb, const struct selection *selection)
{
    size_t count = 0;

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "cannot ask whether to %s many jobs, as this is no terminal; add --yes if you mean it", verb);
    int code = count_matches(cli, selection, &count);
    if (code != 0)
        return code;
    if (count == 0)
        return cli_fail(cli, EXIT_NO_JOB, "NoSuchJob", "no job to %s matches; bitsq list shows those there are", verb);
    (void)fprintf(stderr, "%s %zu%s job%s? [y/N] ", verb, count, count == 1000 ? " or more" : "",
                  count == 1 ? "" : "s");
    (void)fflush(stderr);
    int answer = getchar();
    if (answer == 'y' || answer == 'Y')
        return 0;
    return cli_fail(cli, EXIT_OTHER, "Refused", "nothing was done, as the answer was not yes");
}

static void print_json(const struct cli *cli, const char *verb, uint64_t matched, uint64_t failed)
{
    struct json_object *answer = json_start("bitsq.control/1"), *failures = json_object_new_array();
    const char *name, *message;
    uint64_t id;

    json_set_text(answer, "verb", verb);
    json_set_number(answer, "matched", matched);
    json_set_number(answer, "failed", failed);
    for (size_t i = 0; bitsq_client_get_failure(cli->client, i, &id, &name, &message); i++) {
        struct json_object *failure = json_start(NULL);
        json_set_number(failure, "id", id);
        json_set_text(failure, "error", name);
        json_set_text(failure, "message", message);
        (void)json_object_array_add(failures, failure);
    }
    (void)json_object_object_add(answer, "failures", failures);
    json_print(answer);
}

/* The daemon's sentence may begin with what failed. */
static void fail_job(const struct cli *cli, const char *verb, uint64_t id, const char *name, const char *message)
{
    enum exit_code code = exit_code_of_error(name);

    if (strncmp(message, "cannot ", strlen("cannot ")) == 0)
        (void)cli_fail(cli, code, name, "%s", message);
    else
        (void)cli_fail(cli, code, name, "cannot %s job %" PRIu64 ": %s", verb, id, message);
}

/* Says what went wrong, job by job, and returns the exit code for all of it. */
static int conclude(const struct cli *cli, const char *verb, const struct control *control, uint64_t matched,
                    uint64_t failed)
{
    enum exit_code code = EXIT_OK;
    const char *name, *message;
    size_t i = 0;
    uint64_t id;

    for (; bitsq_client_get_failure(cli->client, i, &id, &name, &message); i++) {
        enum exit_code one = exit_code_of_error(name);
        code = i == 0 || code == one ? one : EXIT_OTHER;
        if (cli->json == JSON_OFF)
            fail_job(cli, verb, id, name, message);
    }
    if (failed > i && cli->json == JSON_OFF)
        (void)cli_fail(cli, EXIT_OTHER, "Failed", "cannot %s %" PRIu64 " more jobs; bitsq list shows their states",
                       verb, failed - i);
    if (matched == 0 && failed == 0)
        return cli_fail(cli, EXIT_NO_JOB, "NoSuchJob", "no job to %s matches; bitsq list shows those there are", verb);
    if (failed == 0) {
        if (matched > 1)
            cli_note(cli, "%" PRIu64 " jobs %s", matched, control->done);
        return EXIT_OK;
    }
    return failed < matched ? (int)EXIT_SOME_FAILED : (int)code;
}

int control_run(struct cli *cli, const char *verb, const struct control *control, struct selection *selection, bool yes)
{
    uint64_t matched, failed;

    bool bulk = is_bulk(selection);
    narrow(control, selection);
    if (control->asks && bulk && !yes && (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
        return ask(cli, verb, selection);
    int code = cli_connect(cli, 0, false);
    if (code == 0 && control->asks && bulk && !yes)
        code = ask(cli, verb, selection);
    if (code != 0)
        return code;
    int r = control->settings ? bitsq_client_set(cli->client, selection->filter, control->settings, &matched, &failed)
                              : bitsq_client_control(cli->client, control->verb, selection->filter, &matched, &failed);
    if (r < 0)
        return cli_fail_client(cli, "cannot %s", verb);
    if (cli->json != JSON_OFF)
        print_json(cli, verb, matched, failed);
    return conclude(cli, verb, control, matched, failed);
}

int control_option(struct cli *cli, struct selection *selection, int id, const char *value, bool *yes)
{
    if (id == OPTION_STATE)
        return selection_add_states(cli, selection, value);
    if (id == OPTION_GROUP)
        return selection_set_group(cli, selection, value);
    if (id == OPTION_ALL)
        selection->all = true;
    else if (id == 'q')
        cli->quiet = true;
    else if (id == 'y')
        *yes = true;
    return 0;
}

static int control_main(struct cli *cli, const struct control *control, int argc, char **argv)
{
    struct selection selection;
    struct args args;
    const char *value;
    bool yes = false;
    int id;

    int code = selection_init(cli, &selection);
    args_init(&args, cli, argc, argv);
    while (code == 0 && (id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            goto finish;
        code = control_option(cli, &selection, id, value, &yes);
    }
    for (int i = optind; code == 0 && i < argc; i++)
        code = selection_add_operand(cli, &selection, argv[i]);
    if (code == 0 && selection_is_empty(&selection))
        code = args_fail_usage(&args, "no job is named");
    if (code == 0)
        code = control_run(cli, argv[0], control, &selection, yes);
finish:
    selection_done(&selection);
    return code;
}

int verb_pause(struct cli *cli, int argc, char **argv)
{
    return control_main(cli, &pause_control, argc, argv);
}

int verb_resume(struct cli *cli, int argc, char **argv)
{
    return control_main(cli, &resume_control, argc, argv);
}

int verb_cancel(struct cli *cli, int argc, char **argv)
{
    return control_main(cli, &cancel_control, argc, argv);
}

int verb_retry(struct cli *cli, int argc, char **argv)
{
    return control_main(cli, &retry_control, argc, argv);
}

int verb_remove(struct cli *cli, int argc, char **argv)
{
    return control_main(cli, &remove_control, argc, argv);
}
