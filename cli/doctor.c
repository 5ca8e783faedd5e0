/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: the checks one after the other, and what is said of them. */
#include "cli/doctor.h"

#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/row.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <string.h>

/* In the order in which they are shown; the first two find what later ones look at. */
static void (*const checks[])(struct doctor *doctor) = {
    doctor_check_daemon, doctor_check_configuration, doctor_check_queue,    doctor_check_disk,
    doctor_check_bus,    doctor_check_start,         doctor_check_linger,   doctor_check_clock,
    doctor_check_proxy,  doctor_check_locale,        doctor_check_timezone,
};

void doctor_add(struct doctor *doctor, const char *name, const char *verdict, const char *remedy, const char *format,
                ...)
{
    char text[DOCTOR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    doctor->problems += strcmp(verdict, VERDICT_PROBLEM) == 0;
    doctor->notes += strcmp(verdict, VERDICT_NOTE) == 0;
    if (doctor->count == ELEMENTS(doctor->findings))
        return;
    doctor->findings[doctor->count].name = name;
    doctor->findings[doctor->count].verdict = verdict;
    doctor->findings[doctor->count].remedy = remedy;
    doctor->findings[doctor->count].text = strdup(text);
    doctor->count += doctor->findings[doctor->count].text != NULL;
}

static void doctor_done(struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->count; i++)
        free(doctor->findings[i].text);
    (void)bitsq_daemon_free(doctor->daemon);
    (void)bitsq_configuration_free(doctor->configuration);
}

static void print_text(const struct doctor *doctor)
{
    struct table table;

    table_init(&table, doctor->cli, stdout);
    for (size_t i = 0; i < doctor->count; i++)
        finding_print(&table, doctor->findings[i].name, doctor->findings[i].verdict, doctor->findings[i].text,
                      doctor->findings[i].remedy);
    if (doctor->problems > 0)
        (void)printf("%zu problem%s: jobs can stop, or are out of sight\n", doctor->problems,
                     doctor->problems == 1 ? "" : "s");
    else
        (void)puts("nothing here stops jobs");
}

static void print_json(const struct doctor *doctor)
{
    struct json_object *answer = json_start("bitsq.doctor/1"), *findings = json_object_new_array();

    json_set_boolean(answer, "ok", doctor->problems == 0);
    json_set_number(answer, "problems", doctor->problems);
    json_set_number(answer, "notes", doctor->notes);
    for (size_t i = 0; i < doctor->count; i++)
        (void)json_object_array_add(findings, finding_json(doctor->findings[i].name, doctor->findings[i].verdict,
                                                           doctor->findings[i].text, doctor->findings[i].remedy));
    (void)json_object_object_add(answer, "findings", findings);
    json_print(answer);
}

static int examine(struct cli *cli)
{
    _cleanup_(doctor_done) struct doctor doctor = {.cli = cli};

    if (!cli->client && bitsq_client_new(&cli->client) < 0)
        return cli_fail_memory(cli);
    for (size_t i = 0; i < ELEMENTS(checks); i++)
        checks[i](&doctor);
    if (cli->json == JSON_OFF)
        print_text(&doctor);
    else
        print_json(&doctor);
    return doctor.problems == 0 ? EXIT_OK : EXIT_OTHER;
}

int verb_doctor(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind != argc)
        return args_fail_usage(&args, "nothing may follow");
    return examine(cli);
}
