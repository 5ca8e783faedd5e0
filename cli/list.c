/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/args.h"
#include "cli/json.h"
#include "cli/row.h"
#include "cli/select.h"

#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <json-c/json.h>

#define MEASURED_ROWS \
    1000 /* the widths of the columns follow from the first rows; a long queue is not kept in memory */

const struct option_spec list_options[] = {
    {OPTION_LONG, "state", "STATE[,...]", "only jobs in these states"},
    {OPTION_LONG + 1, "group", "GROUP", "only jobs of this group"},
    {OPTION_LONG + 2, "all", NULL, "every job (default)"},
    {0},
};

/* A job that is kept until the widths are known. */
struct measured {
    bitsq_job *job;
};

struct totals {
    size_t jobs, active;
    uint64_t rate;
};

static void count_job(struct totals *totals, const bitsq_job *job)
{
    bitsq_state state = bitsq_job_get_state(job);

    totals->jobs++;
    if (state == BITSQ_STATE_CONNECTING || state == BITSQ_STATE_TRANSFERRING || state == BITSQ_STATE_REPLYING) {
        totals->active++;
        totals->rate += bitsq_job_get_rate(job);
    }
}

static void print_job(const struct table *table, const bitsq_job *job, uint64_t now)
{
    struct job_row job_row;

    if (job_row_init(&job_row, job, bitsq_job_get_acknowledged(job), bitsq_job_get_rate(job), now) < 0)
        return;
    table_print_row(stdout, table, &job_row.row);
    job_row_done(&job_row);
}

static void measure_job(struct table *table, const bitsq_job *job, uint64_t now)
{
    struct job_row job_row;

    if (job_row_init(&job_row, job, 0, 0, now) < 0)
        return;
    table_measure(table, &job_row.row);
    job_row_done(&job_row);
}

/* "5 jobs, 1 active, 1.9 MB/s of 2.0 MB/s (schedule until 18:00:00)" */
static void print_totals(struct cli *cli, const struct totals *totals)
{
    _cleanup_(bitsq_daemon_free_p) bitsq_daemon *daemon = NULL;
    char rate[RATE_TEXT_MAX], clock[CLOCK_TEXT_MAX];

    /* The table is there: that the daemon goes meanwhile spoils nothing. */
    uint64_t limit =
        bitsq_client_get_daemon(cli->client, &daemon) >= 0 ? bitsq_daemon_get_effective_rate_limit(daemon) : 0;
    (void)printf("%zu job%s, %zu active", totals->jobs, totals->jobs == 1 ? "" : "s", totals->active);
    if (totals->rate > 0 || limit > 0)
        (void)printf(", %s", text_rate(totals->rate, rate));
    if (limit > 0) {
        uint64_t until = bitsq_daemon_get_rate_limit_until(daemon);
        (void)printf(" of %s (%s", text_rate(limit, rate), bitsq_daemon_get_rate_limit_source(daemon));
        (void)printf("%s%s)", until > 0 ? " until " : "",
                     until > 0 ? clock_text(until, moment_now().realtime_usec, clock) : "");
    }
    (void)putchar('\n');
}

static int list_table(struct cli *cli, bitsq_query *query, struct totals *totals)
{
    struct measured *first = calloc(MEASURED_ROWS, sizeof(*first));
    uint64_t now = moment_now().realtime_usec;
    struct table table;
    size_t count = 0;
    bitsq_job *job;
    int r = 0;

    if (!first)
        return cli_fail_memory(cli);
    table_init(&table, cli, stdout);
    while (count < MEASURED_ROWS && (r = bitsq_query_next(query, &first[count].job)) > 0)
        measure_job(&table, first[count++].job, now);
    if (count > 0)
        table_print_head(stdout, &table);
    for (size_t i = 0; i < count; i++) {
        print_job(&table, first[i].job, now);
        count_job(totals, first[i].job);
        (void)bitsq_job_free(first[i].job);
    }
    free(first);
    while (r > 0 && (r = bitsq_query_next(query, &job)) > 0) {
        print_job(&table, job, now);
        count_job(totals, job);
        (void)bitsq_job_free(job);
    }
    if (r < 0)
        return cli_fail_client(cli, "cannot list the jobs");
    if (totals->jobs > 0)
        print_totals(cli, totals);
    return 0;
}

/* Written piece by piece: a long queue is not kept in memory. */
static int list_json(struct cli *cli, bitsq_query *query, struct totals *totals)
{
    bool lines = cli->json == JSON_LINES;
    bitsq_job *job;
    int r;

    if (!lines)
        (void)fputs("{\"schema\":\"bitsq.jobs/1\",\"jobs\":[", stdout);
    while ((r = bitsq_query_next(query, &job)) > 0) {
        struct json_object *object = json_job(lines ? "bitsq.job/1" : NULL, job);
        (void)printf("%s%s%s", !lines && totals->jobs > 0 ? "," : "", json_text(object), lines ? "\n" : "");
        count_job(totals, job);
        (void)json_object_put(object);
        (void)bitsq_job_free(job);
    }
    if (!lines)
        (void)fputs("]}\n", stdout);
    return r < 0 ? cli_fail_client(cli, "cannot list the jobs") : 0;
}

static int list(struct cli *cli, const struct selection *selection)
{
    _cleanup_(bitsq_query_free_p) bitsq_query *query = NULL;
    struct totals totals = {0};

    int code = cli_connect(cli, 0, true);
    if (code != 0)
        return code;
    if (bitsq_client_query(cli->client, selection->filter, &query) < 0)
        return cli_fail_client(cli, "cannot list the jobs");
    code = cli->json == JSON_OFF ? list_table(cli, query, &totals) : list_json(cli, query, &totals);
    if (code != 0)
        return code;
    if (totals.jobs < selection->ids && !selection->states && !selection->group)
        return cli_fail(cli, EXIT_NO_JOB, "NoSuchJob", "%zu of the %zu jobs are not there; bitsq list shows all",
                        selection->ids - totals.jobs, selection->ids);
    if (totals.jobs == 0)
        cli_note(cli, selection->all ? "the queue is empty; bitsq add FILE URL queues an upload"
                                     : "no job matches; bitsq list shows all");
    return EXIT_OK;
}

int verb_list(struct cli *cli, int argc, char **argv)
{
    struct selection selection;
    struct args args;
    const char *value;
    int id;

    int code = selection_init(cli, &selection);
    args_init(&args, cli, argc, argv);
    while (code == 0 && (id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            goto finish;
        if (id == OPTION_LONG)
            code = selection_add_states(cli, &selection, value);
        else if (id == OPTION_LONG + 1)
            code = selection_set_group(cli, &selection, value);
    }
    for (int i = optind; code == 0 && i < argc; i++)
        code = selection_add_operand(cli, &selection, argv[i]);
    if (code != 0)
        goto finish;
    if (selection.ids == 0 && selection.ranges == 0)
        (void)bitsq_filter_set_all(selection.filter);
    if (selection_is_empty(&selection))
        selection.all = true;
    code = list(cli, &selection);
finish:
    selection_done(&selection);
    return code;
}
