/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: the checks one after the other, and what is said of them. */
#include "cli/doctor.h"

#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/row.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <string.h>

#define OPTION_DROP (OPTION_LONG + 0)

const struct option_spec doctor_options[] = {
    {OPTION_DROP, "drop-quarantine", NULL, "drop the records that could not be read, after saving them in a file"},
    {'y', "yes", NULL, "do not ask before that"},
    {0},
};

/* In the order in which they are shown; the first two find what later ones look at. */
static void (*const checks[])(struct doctor *doctor) = {
    doctor_check_daemon,  doctor_check_configuration, doctor_check_queue,  doctor_check_disk,
    doctor_check_network, doctor_check_bus,           doctor_check_start,  doctor_check_linger,
    doctor_check_clock,   doctor_check_proxy,         doctor_check_locale, doctor_check_timezone,
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

/* ---- --drop-quarantine ---- */

static int ask(const struct cli *cli, uint64_t count)
{
    (void)fprintf(stderr,
                  "drop %" PRIu64 " record%s that could not be read? A copy is kept, but what %s to upload has to be "
                  "added again. [y/N] ",
                  count, count == 1 ? "" : "s", count == 1 ? "it was" : "they were");
    (void)fflush(stderr);
    int answer = getchar();
    if (answer == 'y' || answer == 'Y')
        return 0;
    return cli_fail(cli, EXIT_OTHER, "Refused", "nothing was done, as the answer was not yes");
}

static int confirm(struct cli *cli, bool yes)
{
    _cleanup_(bitsq_daemon_free_p) bitsq_daemon *daemon = NULL;

    int code = cli_connect(cli, 0, false);
    if (code != 0 || yes)
        return code;
    if (bitsq_client_get_daemon(cli->client, &daemon) < 0)
        return cli_fail_client(cli, "cannot ask the daemon");
    uint64_t count = bitsq_daemon_get_quarantined(daemon);
    return count == 0 ? 0 : ask(cli, count);
}

static void report_drop(const struct cli *cli, uint64_t dropped, const char *saved)
{
    struct json_object *answer;

    if (cli->json == JSON_OFF && dropped == 0)
        cli_note(cli, "nothing lies in quarantine");
    else if (cli->json == JSON_OFF)
        cli_note(cli,
                 "dropped %" PRIu64 " record%s, after saving %s in %s (mdb_load reads it); the uploads are lost: add "
                 "them again, if they are still wanted",
                 dropped, dropped == 1 ? "" : "s", dropped == 1 ? "it" : "them", saved ? saved : "");
    if (cli->json == JSON_OFF)
        return;
    answer = json_start("bitsq.drop-quarantine/1");
    json_set_number(answer, "dropped", dropped);
    if (saved)
        json_set_text(answer, "saved", saved);
    else
        (void)json_object_object_add(answer, "saved", NULL);
    json_print(answer);
}

static int drop_quarantine(struct cli *cli, bool yes)
{
    _cleanup_free_ char *saved = NULL;
    uint64_t dropped = 0;

    if (!yes && (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "cannot ask whether to drop the records, as this is no terminal; add --yes if you mean it");
    int code = confirm(cli, yes);
    if (code != 0)
        return code;
    if (bitsq_client_drop_quarantine(cli->client, &dropped, &saved) < 0)
        return cli_fail_client(cli, "cannot drop the records");
    report_drop(cli, dropped, saved);
    return EXIT_OK;
}

int verb_doctor(struct cli *cli, int argc, char **argv)
{
    bool drop = false, yes = false;
    struct args args;
    const char *value;
    int id, code = 0;

    args_init(&args, cli, argc, argv);
    while ((id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            return code;
        drop = drop || id == OPTION_DROP;
        yes = yes || id == 'y';
    }
    if (optind != argc)
        return args_fail_usage(&args, "nothing may follow");
    if (yes && !drop)
        return args_fail_usage(&args, "--yes goes with --drop-quarantine");
    return drop ? drop_quarantine(cli, yes) : examine(cli);
}
