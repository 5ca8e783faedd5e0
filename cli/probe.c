/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* probe: can this server take uploads? */
#include "cli/args.h"
#include "cli/finding.h"
#include "cli/json.h"
#include "cli/proxy.h"
#include "cli/row.h"
#include "cli/setting.h"
#include "cli/upload.h"

#include "base/moment.h"
#include "base/parse.h"
#include "base/text.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#define OPTION_URL_FILE (OPTION_LONG + 0)
#define OPTION_TIMEOUT  (OPTION_LONG + 1)

#define PROBE_NAME   "bitsq-probe"                  /* what a file in a folder is called; none is made */
#define TIMEOUT_USEC (UINT64_C(600) * USEC_PER_SEC) /* a slow server has minutes for each of several requests */

const struct option_spec probe_options[] = {
    {OPTION_URL_FILE, "url-file", "FILE", "read the URL from FILE (-: standard input)"},
    {OPTION_TIMEOUT, "timeout", "TIME", "give up after TIME, as 30s; default: 10m"},
    {'q', "quiet", NULL, "no progress"},
    {0},
};

struct probe_wish {
    bitsq_job_options *options;
    const char *url_file;
    uint64_t timeout_usec;
    char url[URL_FILE_MAX];
};

static void print_findings(const struct cli *cli, const bitsq_probe *probe)
{
    const char *name, *verdict, *text, *remedy, *address = bitsq_probe_get_address(probe);
    struct table table;

    table_init(&table, cli, stdout);
    for (size_t i = 0; bitsq_probe_get_finding(probe, i, &name, &verdict, &text, &remedy); i++)
        finding_print(&table, name, verdict, text, remedy);
    if (*address != '\0')
        (void)printf("server %s", address);
    if (bitsq_probe_get_latency(probe) > 0)
        (void)printf("%sanswers within %.1f ms", *address != '\0' ? ", " : "",
                     (double)bitsq_probe_get_latency(probe) / 1000);
    if (*address != '\0' || bitsq_probe_get_latency(probe) > 0)
        (void)fputs(": ", stdout);
    (void)puts(bitsq_probe_is_usable(probe) ? "uploads can work" : "uploads cannot work as it is");
}

static void print_json(const bitsq_probe *probe, const char *url)
{
    struct json_object *answer = json_start("bitsq.probe/1"), *findings = json_object_new_array();
    const char *name, *verdict, *text, *remedy;

    json_set_text(answer, "url", url);
    json_set_boolean(answer, "usable", bitsq_probe_is_usable(probe));
    json_set_text(answer, "address", bitsq_probe_get_address(probe));
    json_set_number(answer, "latency", bitsq_probe_get_latency(probe));
    for (size_t i = 0; bitsq_probe_get_finding(probe, i, &name, &verdict, &text, &remedy); i++)
        (void)json_object_array_add(findings, finding_json(name, verdict, text, remedy));
    (void)json_object_object_add(answer, "findings", findings);
    json_print(answer);
}

static int probe(struct cli *cli, const struct probe_wish *wish, const char *url)
{
    _cleanup_(bitsq_probe_free_p) bitsq_probe *result = NULL;
    _cleanup_free_ char *shown = text_redact_url(url);
    bool live = stream_is_live(stderr) && !cli->quiet && cli->json == JSON_OFF;

    if (!shown)
        return cli_fail_memory(cli);
    struct proxy_taker taker = {0};
    int code = proxy_take(cli, &taker, wish->options, url);
    if (code == 0)
        code = cli_connect(cli, 0, true);
    if (code != 0)
        return code;
    if (live)
        (void)fprintf(stderr, "speaking with %s ...", shown);
    int r = bitsq_client_probe(cli->client, url, wish->options, wish->timeout_usec, &result);
    if (live)
        (void)fputs("\r\033[K", stderr);
    if (r == -ETIMEDOUT)
        return cli_fail(cli, EXIT_TIMEOUT, "TimedOut",
                        "the server did not answer everything in time; give it longer with --timeout");
    if (r < 0)
        return cli_fail_client(cli, "cannot probe %s", shown);
    if (cli->json == JSON_OFF)
        print_findings(cli, result);
    else
        print_json(result, shown);
    return bitsq_probe_is_usable(result) ? EXIT_OK : EXIT_JOB_FAILED;
}

static int take_option(struct cli *cli, struct probe_wish *wish, int id, const char *value)
{
    if (access_id_is_valid(id))
        return access_id_set(cli, wish->options, id, value);
    if (id == OPTION_URL_FILE)
        wish->url_file = value;
    else if (id == 'q')
        cli->quiet = true;
    else if (id == OPTION_TIMEOUT && (parse_duration(value, &wish->timeout_usec) < 0 || wish->timeout_usec == 0))
        return cli_fail(cli, EXIT_USAGE, "Usage", "--timeout %s is no time; write it as 90s, 15m or 2h", value);
    return 0;
}

static int check_url(const struct cli *cli, const char *url)
{
    const char *complaint = url_complaint(url);

    return complaint ? cli_fail(cli, EXIT_USAGE, "InvalidArgument", "the URL cannot be used: %s", complaint) : 0;
}

int verb_probe(struct cli *cli, int argc, char **argv)
{
    struct probe_wish wish = {.timeout_usec = TIMEOUT_USEC};
    _cleanup_free_ char *whole = NULL;
    struct args args;
    const char *value;
    int id, code = 0;

    if (bitsq_job_options_new(&wish.options) < 0)
        return cli_fail_memory(cli);
    args_init(&args, cli, argc, argv);
    while (code == 0 && (id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            goto finish;
        code = take_option(cli, &wish, id, value);
    }
    if (code == 0 && argc - optind != (wish.url_file ? 0 : 1))
        code = args_fail_usage(&args, optind == argc ? "no URL is named" : "one URL at a time");
    if (code == 0 && wish.url_file)
        code = url_read_file(cli, wish.url_file, wish.url);
    const char *url = wish.url_file ? wish.url : argv[optind];
    if (code == 0)
        code = check_url(cli, url);
    if (code == 0 && !(whole = url_keeps_names(url) ? url_append_name(url, PROBE_NAME) : strdup(url)))
        code = cli_fail_memory(cli);
    if (code == 0)
        code = probe(cli, &wish, whole);
finish:
    (void)bitsq_job_options_free(wish.options);
    return code;
}
