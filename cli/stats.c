/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stats: the queue by state, the rate now, and what was done since the queue was made. */
#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"

#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <json-c/json.h>

#define STATES (BITSQ_STATE_REPLYING + 1)

struct stats {
    bitsq_daemon *daemon;
    bitsq_totals *totals;
    uint64_t counts[STATES];
    uint64_t jobs;
};

static void stats_done(struct stats *stats)
{
    (void)bitsq_daemon_free(stats->daemon);
    (void)bitsq_totals_free(stats->totals);
}

static int ask(struct cli *cli, struct stats *stats)
{
    if (bitsq_client_get_daemon(cli->client, &stats->daemon) < 0 ||
        bitsq_client_count(cli->client, stats->counts, STATES) < 0 ||
        bitsq_client_get_totals(cli->client, &stats->totals) < 0)
        return cli_fail_client(cli, "cannot ask the daemon");
    for (size_t state = 0; state < STATES; state++)
        stats->jobs += stats->counts[state];
    return 0;
}

static void print_queue(const struct stats *stats)
{
    const char *before = ": ";

    (void)printf("queue     %" PRIu64 " job%s", stats->jobs, stats->jobs == 1 ? "" : "s");
    for (size_t state = 0; state < STATES; state++) {
        if (stats->counts[state] == 0)
            continue;
        (void)printf("%s%" PRIu64 " %s", before, stats->counts[state], bitsq_state_to_name((bitsq_state)state));
        before = ", ";
    }
    (void)puts("");
}

static void print_text(const struct stats *stats)
{
    const bitsq_totals *totals = stats->totals;
    uint64_t now = moment_now().realtime_usec, next = bitsq_daemon_get_next_wakeup(stats->daemon);
    char rate[RATE_TEXT_MAX], clock[CLOCK_TEXT_MAX], uploaded[SIZE_TEXT_MAX], resent[SIZE_TEXT_MAX];

    print_queue(stats);
    (void)printf("active    %" PRIu32 "\n", bitsq_daemon_get_active_jobs(stats->daemon));
    (void)printf("rate      %s\n", text_rate(bitsq_daemon_get_rate(stats->daemon), rate));
    if (next > now)
        (void)printf("next      %s\n", clock_text(next, now, clock));
    (void)printf("ended     %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " cancelled", bitsq_totals_get_done(totals),
                 bitsq_totals_get_failed(totals), bitsq_totals_get_cancelled(totals));
    if (bitsq_totals_get_since(totals) != 0)
        (void)printf(" since %s", clock_text(bitsq_totals_get_since(totals), now, clock));
    (void)printf("\nuploaded  %s, and %s sent again\n", text_size(bitsq_totals_get_uploaded(totals), uploaded),
                 text_size(bitsq_totals_get_resent(totals), resent));
}

static void print_json(const struct stats *stats)
{
    struct json_object *answer = json_start("bitsq.stats/1"), *jobs = json_start(NULL), *totals = json_start(NULL);

    for (size_t state = BITSQ_STATE_UNKNOWN + 1; state < STATES; state++)
        json_set_number(jobs, bitsq_state_to_name((bitsq_state)state), stats->counts[state]);
    (void)json_object_object_add(answer, "jobs", jobs);
    json_set_number(answer, "active_jobs", bitsq_daemon_get_active_jobs(stats->daemon));
    json_set_number(answer, "rate", bitsq_daemon_get_rate(stats->daemon));
    json_set_time(answer, "next_wakeup", bitsq_daemon_get_next_wakeup(stats->daemon));
    json_set_time(totals, "since", bitsq_totals_get_since(stats->totals));
    json_set_number(totals, "done", bitsq_totals_get_done(stats->totals));
    json_set_number(totals, "failed", bitsq_totals_get_failed(stats->totals));
    json_set_number(totals, "cancelled", bitsq_totals_get_cancelled(stats->totals));
    json_set_number(totals, "uploaded", bitsq_totals_get_uploaded(stats->totals));
    json_set_number(totals, "resent", bitsq_totals_get_resent(stats->totals));
    (void)json_object_object_add(answer, "totals", totals);
    json_print(answer);
}

int verb_stats(struct cli *cli, int argc, char **argv)
{
    _cleanup_(stats_done) struct stats stats = {.daemon = NULL};
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind != argc)
        return args_fail_usage(&args, "nothing may follow");
    code = cli_connect(cli, 0, false);
    if (code == 0)
        code = ask(cli, &stats);
    if (code != 0)
        return code;
    if (cli->json == JSON_OFF)
        print_text(&stats);
    else
        print_json(&stats);
    return EXIT_OK;
}
