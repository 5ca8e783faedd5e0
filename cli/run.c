/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run: a job is tried now, once, past its gates. */
#include "cli/args.h"
#include "cli/json.h"
#include "cli/select.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#define OPTION_IGNORE OPTION_LONG
#define IGNORED_MAX   16
#define IGNORABLE     "|time|window|network|metered|power|group|retry|source|credential|"

const struct option_spec run_options[] = {
    {OPTION_IGNORE, "ignore", "GATE,...", "past these gates alone: time, window, network, metered, power, group, ..."},
    {0},
};

static bool is_ignorable(const char *name)
{
    char word[32];

    int n = snprintf(word, sizeof(word), "|%s|", name);
    return n > 0 && (size_t)n < sizeof(word) && strstr(IGNORABLE, word);
}

/* "a,b" into NAMES, which point into LIST. */
static int split(const struct cli *cli, char *list, const char *names[static IGNORED_MAX + 1])
{
    size_t count = 0;
    char *rest = NULL;

    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (!is_ignorable(name) || count == IGNORED_MAX)
            return cli_fail(cli, EXIT_USAGE, "Usage",
                            "--ignore %s is no gate that can be ignored; name some of time, window, network, metered, "
                            "power, group, retry, source, credential",
                            name);
        names[count++] = name;
    }
    names[count] = NULL;
    return count > 0 ? 0 : cli_fail(cli, EXIT_USAGE, "Usage", "--ignore names no gate; leave it out to pass them all");
}

/*
 * What still holds it back though some gates were passed: whoever wanted it to run now should hear. That it has no slot
 * yet is no news, as it has been there for a moment only.
 */
static void warn_of_others(struct cli *cli, uint64_t id)
{
    _cleanup_(bitsq_gates_free_p) bitsq_gates *gates = NULL;
    const char *name;
    int is_open;

    if (bitsq_client_explain(cli->client, id, &gates) < 0)
        return;
    for (size_t i = 0; bitsq_gates_get(gates, i, &name, &is_open, NULL, NULL); i++)
        if (!is_open && strcmp(name, "slot") != 0)
            cli_note(cli, "job %" PRIu64 " still waits: %s", id, bitsq_gates_get_text(gates, i));
}

int verb_run(struct cli *cli, int argc, char **argv)
{
    _cleanup_free_ char *list = NULL;
    const char *ignored[IGNORED_MAX + 1] = {NULL}, *value;
    struct args args;
    uint64_t id;
    int option, code = 0;

    args_init(&args, cli, argc, argv);
    while (code == 0 && (option = args_next(&args, &value, &code)) != ARGS_END) {
        if (option == ARGS_EXIT)
            return code;
        free(list);
        list = strdup(value);
        code = list ? split(cli, list, ignored) : cli_fail_memory(cli);
    }
    if (code == 0 && optind + 1 != argc)
        code = args_fail_usage(&args, optind == argc ? "no job is named" : "more than one job is named");
    if (code == 0)
        code = parse_job_id(cli, argv[optind], &id);
    if (code == 0)
        code = cli_connect(cli, 0, true);
    if (code != 0)
        return code;
    if (bitsq_client_run(cli->client, id, ignored) < 0)
        return cli_fail_client(cli, "cannot run job %" PRIu64, id);
    if (cli->json != JSON_OFF) {
        struct json_object *answer = json_start("bitsq.run/1");
        json_set_number(answer, "id", id);
        json_print(answer);
    }
    if (list)
        warn_of_others(cli, id);
    return EXIT_OK;
}
