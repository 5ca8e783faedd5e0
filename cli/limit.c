/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limit of rate for all jobs together: what is in force, and another one. */
#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"

#include "base/moment.h"
#include "base/parse.h"
#include "base/text.h"

#include <json-c/json.h>
#include <string.h>

static void set_rate_or_null(struct json_object *object, const char *name, uint64_t rate, uint64_t none)
{
    if (rate == none)
        (void)json_object_object_add(object, name, NULL);
    else
        json_set_number(object, name, rate);
}

static void print_json(const bitsq_daemon *daemon)
{
    struct json_object *answer = json_start("bitsq.limit/1");

    set_rate_or_null(answer, "rate", bitsq_daemon_get_effective_rate_limit(daemon), 0);
    json_set_text(answer, "source", bitsq_daemon_get_rate_limit_source(daemon));
    json_set_time(answer, "until", bitsq_daemon_get_rate_limit_until(daemon));
    set_rate_or_null(answer, "chosen", bitsq_daemon_get_rate_limit(daemon), BITSQ_RATE_LIMIT_UNCHOSEN);
    json_print(answer);
}

/* "2.0 MB/s by the schedule until 18:00:00", "no limit" */
static void print_text(const bitsq_daemon *daemon)
{
    uint64_t rate = bitsq_daemon_get_effective_rate_limit(daemon), until = bitsq_daemon_get_rate_limit_until(daemon);
    const char *source = bitsq_daemon_get_rate_limit_source(daemon);
    char text[RATE_TEXT_MAX], clock[CLOCK_TEXT_MAX];

    (void)fputs(rate > 0 ? text_rate(rate, text) : "no limit", stdout);
    if (rate > 0 || strcmp(source, "configuration") != 0)
        (void)printf(" by %s%s", strcmp(source, "command") == 0 ? "" : "the ", source);
    if (until > 0)
        (void)printf(" until %s", clock_text(until, moment_now().realtime_usec, clock));
    (void)putchar('\n');
}

static int show_limit(struct cli *cli)
{
    _cleanup_(bitsq_daemon_free_p) bitsq_daemon *daemon = NULL;

    if (bitsq_client_get_daemon(cli->client, &daemon) < 0)
        return cli_fail_client(cli, "cannot ask the daemon for the limit");
    if (cli->json == JSON_OFF)
        print_text(daemon);
    else
        print_json(daemon);
    return EXIT_OK;
}

static int parse_limit(struct cli *cli, const char *text, uint64_t *ret)
{
    if (strcmp(text, "off") == 0)
        *ret = 0;
    else if (strcmp(text, "schedule") == 0)
        *ret = BITSQ_RATE_LIMIT_UNCHOSEN;
    else if (parse_rate(text, ret) < 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s is no rate; write 200K, 2M or 8Mbit (a second), off, or schedule",
                        text);
    else if (*ret == 0)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "a limit of %s would stop all uploads; write off for no limit, or use bitsq pause --all", text);
    return EXIT_OK;
}

int verb_limit(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const char *value;
    uint64_t limit = 0;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind + 1 < argc)
        return args_fail_usage(&args, "one limit holds for all");
    bool sets = optind < argc;
    if (sets && (code = parse_limit(cli, argv[optind], &limit)) != EXIT_OK)
        return code;
    code = cli_connect(cli, 0, true);
    if (code != 0)
        return code;
    if (sets && bitsq_client_set_rate_limit(cli->client, limit) < 0)
        return cli_fail_client(cli, "cannot set the limit");
    return show_limit(cli);
}
