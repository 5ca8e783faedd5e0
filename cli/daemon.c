/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"

#include "base/moment.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#define STOP_TIMEOUT_USEC (60 * USEC_PER_SEC) /* requests are ended and the queue is written first */

static void print_json(const bitsq_daemon *daemon, const uint64_t *counts, size_t size)
{
    struct json_object *answer = json_start("bitsq.daemon/1"), *jobs = json_start(NULL);
    struct json_object *degraded = json_object_new_array();

    json_set_boolean(answer, "running", true);
    json_set_text(answer, "version", bitsq_daemon_get_version(daemon));
    json_set_number(answer, "pid", (uint64_t)bitsq_daemon_get_pid(daemon));
    json_set_text(answer, "state_directory", bitsq_daemon_get_state_directory(daemon));
    json_set_text(answer, "started_by", bitsq_daemon_get_started_by(daemon));
    json_set_number(answer, "active_jobs", bitsq_daemon_get_active_jobs(daemon));
    json_set_number(answer, "rate", bitsq_daemon_get_rate(daemon));
    json_set_time(answer, "next_wakeup", bitsq_daemon_get_next_wakeup(daemon));
    for (size_t state = BITSQ_STATE_UNKNOWN + 1; state < size; state++)
        json_set_number(jobs, bitsq_state_to_name((bitsq_state)state), counts[state]);
    (void)json_object_object_add(answer, "jobs", jobs);
    for (size_t i = 0; bitsq_daemon_get_degraded(daemon, i); i++)
        (void)json_object_array_add(degraded, json_object_new_string(bitsq_daemon_get_degraded(daemon, i)));
    (void)json_object_object_add(answer, "degraded", degraded);
    json_print(answer);
}

static void print_text(const bitsq_daemon *daemon, const uint64_t *counts, size_t size)
{
    _cleanup_free_ char *directory = safe_text(bitsq_daemon_get_state_directory(daemon));
    uint64_t now = moment_now().realtime_usec;
    char rate[RATE_TEXT_MAX], clock[CLOCK_TEXT_MAX];
    bool any = false;

    (void)printf("daemon   running, version %s, process %d, started by %s\n", bitsq_daemon_get_version(daemon),
                 bitsq_daemon_get_pid(daemon), bitsq_daemon_get_started_by(daemon));
    (void)printf("queue    %s\n", directory ? directory : "");
    (void)printf("active   %" PRIu32, bitsq_daemon_get_active_jobs(daemon));
    if (bitsq_daemon_get_rate(daemon) > 0)
        (void)printf(", %s", text_rate(bitsq_daemon_get_rate(daemon), rate));
    (void)fputs("\njobs     ", stdout);
    for (size_t state = 0; state < size; state++) {
        if (counts[state] == 0)
            continue;
        (void)printf("%s%" PRIu64 " %s", any ? ", " : "", counts[state], bitsq_state_to_name((bitsq_state)state));
        any = true;
    }
    (void)puts(any ? "" : "none");
    if (bitsq_daemon_get_next_wakeup(daemon) > now)
        (void)printf("next     %s\n", clock_text(bitsq_daemon_get_next_wakeup(daemon), now, clock));
    for (size_t i = 0; bitsq_daemon_get_degraded(daemon, i); i++) {
        _cleanup_free_ char *safe = safe_text(bitsq_daemon_get_degraded(daemon, i));
        (void)printf("problem  %s\n", safe ? safe : "");
    }
}

static int show_status(struct cli *cli)
{
    _cleanup_(bitsq_daemon_free_p) bitsq_daemon *daemon = NULL;
    uint64_t counts[BITSQ_STATE_REPLYING + 1];

    if (bitsq_client_get_daemon(cli->client, &daemon) < 0 ||
        bitsq_client_count(cli->client, counts, ELEMENTS(counts)) < 0)
        return cli_fail_client(cli, "cannot ask the daemon");
    if (cli->json == JSON_OFF)
        print_text(daemon, counts, ELEMENTS(counts));
    else
        print_json(daemon, counts, ELEMENTS(counts));
    return EXIT_OK;
}

/* 0 where one runs and is connected, EXIT_NO_DAEMON quietly where none does. */
static int connect_running(struct cli *cli)
{
    if (!cli->client && bitsq_client_new(&cli->client) < 0)
        return cli_fail_memory(cli);
    if (bitsq_client_connect(cli->client, BITSQ_CONNECT_NO_START | BITSQ_CONNECT_ANY_VERSION) >= 0)
        return 0;
    if (strcmp(bitsq_client_get_error_name(cli->client), "NoDaemon") == 0)
        return EXIT_NO_DAEMON;
    return cli_fail_client(cli, "cannot reach the daemon");
}

static int daemon_status(struct cli *cli)
{
    int code = connect_running(cli);

    if (code == 0)
        return show_status(cli);
    return code == EXIT_NO_DAEMON ? cli_fail_client(cli, "cannot tell the daemon's status") : code;
}

static int daemon_start(struct cli *cli)
{
    int code = cli_connect(cli, 0, false);

    return code != 0 ? code : show_status(cli);
}

static int daemon_reload(struct cli *cli)
{
    int code = connect_running(cli);

    if (code == EXIT_NO_DAEMON)
        return cli_fail_client(cli, "cannot reload the configuration");
    if (code == 0 && bitsq_client_reload(cli->client) < 0)
        code = cli_fail_client(cli, "cannot reload the configuration");
    return code;
}

static int stop(struct cli *cli, bool *ret_was_running)
{
    int code = connect_running(cli);

    *ret_was_running = code == 0;
    if (code == EXIT_NO_DAEMON)
        return 0;
    if (code == 0 && bitsq_client_stop_daemon(cli->client, STOP_TIMEOUT_USEC) < 0)
        code = cli_fail_client(cli, "cannot stop the daemon");
    return code;
}

static int daemon_stop(struct cli *cli)
{
    bool was_running;
    int code = stop(cli, &was_running);

    if (code == 0 && !was_running)
        cli_note(cli, "no daemon was running");
    return code;
}

/* A daemon that runs is worth more than one that would refuse its configuration: so that is looked at first. */
static int check_configuration(struct cli *cli)
{
    int code = connect_running(cli);

    if (code == 0 && bitsq_client_reload(cli->client) < 0 &&
        strcmp(bitsq_client_get_error_name(cli->client), "InvalidArgument") == 0)
        return cli_fail_client(cli, "the daemon goes on as it is, not restarted");
    return code == EXIT_NO_DAEMON ? 0 : code;
}

static int daemon_restart(struct cli *cli)
{
    bool was_running;
    int code = check_configuration(cli);

    if (code == 0)
        code = stop(cli, &was_running);
    return code != 0 ? code : daemon_start(cli);
}

int verb_daemon(struct cli *cli, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct cli *cli);
    } commands[] = {
        {"status", daemon_status},   {"start", daemon_start}, {"reload", daemon_reload},
        {"restart", daemon_restart}, {"stop", daemon_stop},
    };
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind + 1 != argc)
        return args_fail_usage(&args, "say what to do with the daemon");
    for (size_t i = 0; i < ELEMENTS(commands); i++)
        if (strcmp(commands[i].name, argv[optind]) == 0)
            return commands[i].run(cli);
    return args_fail_usage(&args, "there is no such daemon command");
}
