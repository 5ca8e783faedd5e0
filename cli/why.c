/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* why: each gate of a job, open or closed, since when, until when, and how it is lifted. */
#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/row.h"
#include "cli/select.h"

#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

static const char *time_or_dash(uint64_t usec, uint64_t now, char clock[static CLOCK_TEXT_MAX])
{
    return usec == 0 ? "-" : clock_text(usec, now, clock);
}

static void print_gate(const bitsq_gates *gates, size_t index, uint64_t id, uint64_t now)
{
    char since_text[CLOCK_TEXT_MAX], until_text[CLOCK_TEXT_MAX], remedy[NOTE_MAX];
    const char *name;
    uint64_t since, until;
    int is_open;

    (void)bitsq_gates_get(gates, index, &name, &is_open, &since, &until);
    _cleanup_free_ char *why = safe_text(bitsq_gates_get_text(gates, index));
    (void)printf("%-10s  %-6s  %-15s  %-15s  %s\n", name, is_open ? "open" : "closed",
                 time_or_dash(since, now, since_text), time_or_dash(until, now, until_text), why ? why : "");
    if (is_open || *bitsq_gates_get_remedy(gates, index) == '\0')
        return;
    remedy_text(bitsq_gates_get_remedy(gates, index), id, NULL, remedy);
    _cleanup_free_ char *safe = safe_text(remedy);
    (void)printf("%-10s  to lift it: %s\n", "", safe ? safe : "");
}

static void print_gates(const bitsq_job *job, const bitsq_gates *gates, bool first)
{
    uint64_t now = moment_now().realtime_usec, id = bitsq_job_get_id(job);
    _cleanup_free_ char *name = safe_text(bitsq_job_get_name(job));
    size_t closed = 0;
    int is_open;

    for (size_t i = 0; bitsq_gates_get(gates, i, NULL, &is_open, NULL, NULL); i++)
        closed += !is_open;
    (void)printf("%sjob %" PRIu64 " (%s) is %s; %zu of its gates %s closed\n", first ? "" : "\n", id, name ? name : "",
                 bitsq_job_get_state_name(job), closed, closed == 1 ? "is" : "are");
    (void)printf("%-10s  %-6s  %-15s  %-15s  %s\n", "GATE", "STATE", "SINCE", "UNTIL", "WHY");
    for (size_t i = 0; bitsq_gates_get(gates, i, NULL, NULL, NULL, NULL); i++)
        print_gate(gates, i, id, now);
}

static struct json_object *json_gates(const char *schema, const bitsq_job *job, const bitsq_gates *gates)
{
    struct json_object *object = json_start(schema), *array = json_object_new_array();
    const char *name;
    uint64_t since, until;
    char remedy[NOTE_MAX];
    int is_open;

    json_set_number(object, "id", bitsq_job_get_id(job));
    json_set_text(object, "state", bitsq_job_get_state_name(job));
    for (size_t i = 0; bitsq_gates_get(gates, i, &name, &is_open, &since, &until); i++) {
        struct json_object *gate = json_object_new_object();
        json_set_text(gate, "gate", name);
        json_set_boolean(gate, "open", is_open != 0);
        json_set_time(gate, "since", since);
        json_set_time(gate, "until", until);
        json_set_text(gate, "why", bitsq_gates_get_text(gates, i));
        remedy_text(bitsq_gates_get_remedy(gates, i), bitsq_job_get_id(job), NULL, remedy);
        json_set_text(gate, "remedy", remedy);
        (void)json_object_array_add(array, gate);
    }
    (void)json_object_object_add(object, "gates", array);
    return object;
}

static int why_one(struct cli *cli, uint64_t id, struct json_object *all, bool first)
{
    _cleanup_(bitsq_gates_free_p) bitsq_gates *gates = NULL;
    _cleanup_(bitsq_job_free_p) bitsq_job *job = NULL;

    int r = bitsq_client_explain(cli->client, id, &gates);
    if (r >= 0)
        r = bitsq_client_get_job(cli->client, id, &job);
    if (r < 0)
        return cli_fail_client(cli, "cannot explain job %" PRIu64, id);
    switch (cli->json) {
    case JSON_OFF:
        print_gates(job, gates, first);
        break;
    case JSON_LINES:
        json_print(json_gates("bitsq.why/1", job, gates));
        break;
    case JSON_OBJECT:
        (void)json_object_array_add(all, json_gates(NULL, job, gates));
        break;
    }
    return 0;
}

static int why(struct cli *cli, char **ids)
{
    struct json_object *all = json_object_new_array();
    size_t explained = 0, failed = 0;
    int code = EXIT_OK, failure = EXIT_OK;

    for (; *ids && code != EXIT_USAGE; ids++) {
        uint64_t id;
        code = parse_job_id(cli, *ids, &id);
        if (code == 0)
            code = why_one(cli, id, all, explained == 0);
        explained += code == 0;
        if (code != 0) {
            failed++;
            failure = code;
        }
    }
    if (cli->json == JSON_OBJECT && explained > 0) {
        struct json_object *answer = json_start("bitsq.why/1");
        (void)json_object_object_add(answer, "jobs", all);
        json_print(answer);
    } else {
        (void)json_object_put(all);
    }
    return failed == 0 ? EXIT_OK : explained > 0 ? EXIT_SOME_FAILED : failure;
}

int verb_why(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind == argc)
        return args_fail_usage(&args, "no job is named");
    code = cli_connect(cli, 0, false);
    return code != 0 ? code : why(cli, argv + optind);
}
