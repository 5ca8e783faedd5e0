/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/help.h"

#include "cli/args.h"
#include "cli/json.h"
#include "cli/setting.h"

#include <string.h>

#define SELECTION_HELP                                                                              \
    "SELECTION is one or more IDs and ranges (12 15 20-30), or --group, --state or --all; several " \
    "conditions\nmust all hold.\n"

static const char set_help[] =
    "Keys are priority, url, group, name, rate, not-before, deadline, window, network, power, retry-delay,\n"
    "no-progress-timeout, source-changed, fragment-size, on-success, on-failure, and the options that\n"
    "bitsq help add shows under \"How the server is reached\", flags with yes or no. KEY= takes a choice "
    "back.\n" SELECTION_HELP "\n"
    "  bitsq set 12 credential=work priority=high\n"
    "  bitsq set --state failed proxy=http://proxy.example.org:3128 && bitsq retry --state failed\n";

static const char probe_help[] =
    "Sends a few small messages, and leaves nothing at the server: each finding is ok, a note or a problem, with what\n"
    "to do. 0: uploads can work; 4: they cannot as it is.\n";

static const char group_help[] =
    "A group is a named set of jobs (bitsq add --group NAME) with limits of its own. default has the jobs that name\n"
    "none. Keys are parallel (jobs that run at a time), rate (bytes a second of all together), window (hours of the\n"
    "week), network (any or unmetered) and power (any, ac, or a charge as 50%). KEY= takes a choice back. What is\n"
    "removed are the settings: the jobs stay.\n"
    "\n"
    "  bitsq group set photos parallel=1 rate=500K window='Mon..Fri 22:00-06:00; Sat,Sun 00:00-24:00'\n"
    "  bitsq group pause photos\n";

static const char doctor_help[] =
    "Looks at the daemon, its configuration and its queue, at what starts it and keeps it alive, at the disk, the "
    "clock\n"
    "and the environment; starts and changes nothing. Each finding is ok, a note or a problem, with what to do.\n"
    "0: nothing stops jobs; 1: there is a problem.\n";

static const char stats_help[] = "The totals begin with the queue, outlive restarts, and are not lowered by removing "
                                 "jobs. A job counts when it ends;\n"
                                 "one that is tried again ends again, but each of its bytes counts once.\n";

static const char credential_help[] =
    "The secret is read from standard input (on a terminal without echo), never from the arguments, and kept in a\n"
    "file of yours that nobody else can read. Jobs name it: bitsq add --credential NAME ...\n"
    "\n"
    "  bitsq credential set work --user alice\n"
    "  pass show uploads | bitsq credential set ci --token\n"
    "  bitsq credential set cloud --token-command '/usr/local/bin/get-token upload'\n";

static const char limit_help[] =
    "RATE is bytes a second for all jobs together, as 200K, 2M or 8Mbit. What is chosen here counts, also over\n"
    "restarts, until schedule gives the choice back to RateSchedule= and RateLimit= of the configuration.\n"
    "\n"
    "  bitsq limit 500K\n"
    "  bitsq limit schedule\n";

const struct verb verbs[] = {
    {"add", verb_add, "[OPTIONS] FILE... URL", "queue uploads; prints one job ID a line",
     "A URL that ends in / keeps the names of the files; several files need one. The command returns when the\n"
     "jobs are safely on disk: the daemon goes on with them, whatever happens to this terminal.\n"
     "\n"
     "  bitsq add report.iso https://up.example.org/in/\n"
     "  find photos -type f -print0 | bitsq add --from-file - -0 https://up.example.org/in/\n",
     add_options, true},
    {"list", verb_list, "[OPTIONS] [ID|FIRST-LAST...]", "table of jobs", NULL, list_options, false},
    {"show", verb_show, "ID...", "everything about a job", NULL, NULL, false},
    {"why", verb_why, "ID...", "why a job waits: each gate, since when, until when, how to lift it", NULL, NULL, false},
    {"watch", verb_watch, "[ID...]", "live view; one line per change where the output is no terminal",
     "Keys: q quits. The jobs go on.\n", NULL, false},
    {"events", verb_events, "[OPTIONS]", "what happened in the queue, one line each",
     "Numbers grow, also over restarts: with --since a program misses nothing, and is told where the journal does not\n"
     "reach back so far.\n",
     events_options, false},
    {"wait", verb_wait, "[OPTIONS] ID...", "block until jobs are done; the exit code says how it went",
     "0 done, 4 failed, 5 cancelled, 6 timeout, 10 of several some failed. Ctrl-C detaches (130): the jobs go on.\n",
     wait_options, false},
    {"pause", verb_pause, "SELECTION", "stop jobs for now; what was sent is kept", SELECTION_HELP, select_options,
     false},
    {"resume", verb_resume, "SELECTION", "let paused jobs go on", SELECTION_HELP, select_options, false},
    {"cancel", verb_cancel, "SELECTION", "give uploads up for good", SELECTION_HELP, bulk_options, false},
    {"retry", verb_retry, "SELECTION", "try failed jobs again, and retrying ones at once", SELECTION_HELP,
     select_options, false},
    {"remove", verb_remove, "SELECTION", "take finished jobs off the list", SELECTION_HELP, bulk_options, false},
    {"run", verb_run, "[OPTIONS] ID", "try a job now, once, past what holds it back",
     "Without --ignore it passes every gate but a free slot, the rate and a full disk. bitsq why shows the gates.\n",
     run_options, false},
    {"set", verb_set, "SELECTION KEY=VALUE...", "change what jobs were added with", set_help, set_options, false},
    {"reply", verb_reply, "[OPTIONS] ID", "the reply of the server's application", NULL, reply_options, false},
    {"probe", verb_probe, "[OPTIONS] URL", "can this server take uploads, and how", probe_help, probe_options, true},
    {"group", verb_group, "list | set NAME KEY=VALUE... | remove|pause|resume NAME...", "limits for sets of jobs",
     group_help, NULL, false},
    {"doctor", verb_doctor, "[--drop-quarantine [--yes]]", "what on this machine would stop a job", doctor_help,
     doctor_options, false},
    {"stats", verb_stats, "", "the queue by state, the rate, and what was done so far", stats_help, NULL, false},
    {"credential", verb_credential, "set NAME [OPTIONS] | list | remove NAME...",
     "keep a password or a token for a server", credential_help, credential_options, false},
    {"limit", verb_limit, "[RATE | off | schedule]", "the rate of all jobs together: show it, or choose it", limit_help,
     NULL, false},
    {"daemon", verb_daemon, "status | start | reload | restart | stop", "look at the daemon, or steer it", NULL, NULL,
     false},
    {"version", verb_version, "", "print the version", NULL, NULL, false},
    {"help", verb_help, "[COMMAND]", "show help", NULL, NULL, false},
    {0},
};

const struct verb *verb_find(const char *name)
{
    if (strcmp(name, "ls") == 0)
        name = "list";
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

void help_overview(FILE *out)
{
    (void)fputs("Usage: bitsq COMMAND [OPTIONS] ...\n"
                "Upload files in the background: queued, resumed, retried until they are there.\n\n",
                out);
    for (const struct verb *verb = verbs; verb->name; verb++)
        (void)fprintf(out, "  %-10s %s\n", verb->name, verb->summary);
    (void)fputs("\nOptions of every command: --json[=lines], --color=WHEN, --help\n"
                "bitsq help COMMAND tells more; the manual is bitsq(1).\n",
                out);
}

static void help_option(FILE *out, const struct option_spec *spec)
{
    char left[48];
    const char *argument = spec->argument ? spec->argument : "";
    const char *space = *argument != '\0' && *argument != '[' ? " " : "";

    if (spec->id < OPTION_LONG)
        (void)snprintf(left, sizeof(left), "-%c, --%s%s%s", spec->id, spec->name, space, argument);
    else
        (void)snprintf(left, sizeof(left), "    --%s%s%s", spec->name, space, argument);
    (void)fprintf(out, "  %-30s %s\n", left, spec->help);
}

static void help_options(FILE *out, const struct option_spec *options)
{
    for (const struct option_spec *spec = options; spec && spec->name; spec++)
        help_option(out, spec);
}

static void help_access(FILE *out)
{
    (void)fputs("\nHow the server is reached:\n", out);
    for (size_t i = 0; i < access_options_count; i++) {
        struct option_spec spec = args_access_spec(i);
        help_option(out, &spec);
    }
}

void help_verb(FILE *out, const struct verb *verb)
{
    (void)fprintf(out, "Usage: bitsq %s %s\n%s.\n", verb->name, verb->usage, verb->summary);
    if (verb->details)
        (void)fprintf(out, "\n%s", verb->details);
    (void)fputs("\nOptions:\n", out);
    help_options(out, verb->options);
    help_options(out, common_options);
    if (verb->takes_access)
        help_access(out);
}

int verb_help(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind == argc) {
        help_overview(stdout);
        return EXIT_OK;
    }
    const struct verb *verb = verb_find(argv[optind]);
    if (!verb)
        return cli_fail(cli, EXIT_USAGE, "Usage", "there is no command %s; bitsq help shows those there are",
                        argv[optind]);
    help_verb(stdout, verb);
    return EXIT_OK;
}

int verb_version(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    if (optind != argc)
        return args_fail_usage(&args, "nothing may follow");
    if (cli->json == JSON_OFF) {
        (void)printf("bitsq %s\n", bitsq_version());
        return EXIT_OK;
    }
    struct json_object *object = json_start("bitsq.version/1");
    json_set_text(object, "version", bitsq_version());
    json_print(object);
    return EXIT_OK;
}
