/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/args.h"

#include "cli/help.h"
#include "cli/setting.h"

#include <assert.h>
#include <string.h>

const struct option_spec common_options[] = {
    {OPTION_JSON, "json", "[=lines]", "print JSON; =lines: one object a line"},
    {OPTION_COLOR, "color", "WHEN", "auto (default), always or never"},
    {'h', "help", NULL, "show this help"},
    {0},
};

int args_set_json(struct cli *cli, const char *value)
{
    if (!value) {
        cli->json = JSON_OBJECT;
        return 0;
    }
    if (strcmp(value, "lines") == 0) {
        cli->json = JSON_LINES;
        return 0;
    }
    return cli_fail(cli, EXIT_USAGE, "Usage", "--json=%s is not known; use --json or --json=lines", value);
}

int args_set_color(struct cli *cli, const char *value)
{
    static const char *const modes[] = {[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};

    for (size_t i = 0; i < ELEMENTS(modes); i++) {
        if (strcmp(value, modes[i]) == 0) {
            cli->color = (enum color_mode)i;
            return 0;
        }
    }
    return cli_fail(cli, EXIT_USAGE, "Usage", "--color=%s is not known; use auto, always or never", value);
}

struct option_spec args_access_spec(size_t index)
{
    const struct access_option *option = &access_options[index];

    return (struct option_spec){ACCESS_IDS_FIRST + (int)index, option->name, option->argument, option->help};
}

static void args_add(struct args *args, size_t *longs, size_t *shorts, const struct option_spec *spec)
{
    bool optional = spec->argument && spec->argument[0] == '[';

    assert(*longs + 1 < ARGS_OPTIONS_MAX);
    args->longs[(*longs)++] = (struct option){
        .name = spec->name,
        .has_arg = optional         ? optional_argument
                   : spec->argument ? required_argument
                                    : no_argument,
        .val = spec->id,
    };
    if (spec->id < OPTION_LONG) {
        args->shorts[(*shorts)++] = (char)spec->id;
        if (spec->argument)
            args->shorts[(*shorts)++] = ':';
    }
}

void args_init(struct args *args, struct cli *cli, int argc, char **argv)
{
    size_t longs = 0, shorts = 0;

    *args = (struct args){.cli = cli, .verb = verb_find(argv[0]), .argc = argc, .argv = argv};
    assert(args->verb);
    args->shorts[shorts++] = ':'; /* tells a missing argument from an unknown option */
    for (const struct option_spec *spec = args->verb->options; spec && spec->name; spec++)
        args_add(args, &longs, &shorts, spec);
    for (size_t i = 0; args->verb->takes_access && i < access_options_count; i++) {
        struct option_spec spec = args_access_spec(i);
        args_add(args, &longs, &shorts, &spec);
    }
    for (const struct option_spec *spec = common_options; spec->name; spec++)
        args_add(args, &longs, &shorts, spec);
    opterr = 0;
    optind = 0; /* glibc: start anew, with the permutation of operands */
}

static const char *near_option(const struct args *args, const char *word)
{
    for (size_t i = 0; args->longs[i].name; i++)
        if (word_is_near(word, args->longs[i].name))
            return args->longs[i].name;
    return NULL;
}

static int fail_unknown(const struct args *args)
{
    const char *given = args->argv[optind - 1];
    char word[64] = "", letter[3] = {'-', (char)optopt, '\0'};

    /* optopt is the letter of a short option, the id of a long one that must not have an argument, or 0 */
    if (optopt > 0 && optopt < OPTION_LONG && strncmp(given, "--", 2) != 0)
        return cli_fail(args->cli, EXIT_USAGE, "Usage", "bitsq %s has no option %s; see bitsq help %s",
                        args->verb->name, letter, args->verb->name);
    if (strncmp(given, "--", 2) == 0)
        (void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(given + 2, "="), given + 2);
    if (optopt != 0)
        return cli_fail(args->cli, EXIT_USAGE, "Usage", "--%s takes no value; see bitsq help %s", word,
                        args->verb->name);
    const char *near = near_option(args, word);
    if (near)
        return cli_fail(args->cli, EXIT_USAGE, "Usage", "bitsq %s has no option --%s; did you mean --%s?",
                        args->verb->name, word, near);
    return cli_fail(args->cli, EXIT_USAGE, "Usage", "bitsq %s has no option --%s; see bitsq help %s", args->verb->name,
                    word, args->verb->name);
}

int args_next(struct args *args, const char **ret_value, int *ret_exit)
{
    for (;;) {
        int id = getopt_long(args->argc, args->argv, args->shorts, args->longs, NULL);
        int r = 0;

        switch (id) {
        case -1:
            return ARGS_END;
        case OPTION_JSON:
            r = args_set_json(args->cli, optarg);
            break;
        case OPTION_COLOR:
            r = args_set_color(args->cli, optarg);
            break;
        case 'h':
            help_verb(stdout, args->verb);
            *ret_exit = cli_finish(args->cli, EXIT_OK);
            return ARGS_EXIT;
        case ':':
            r = cli_fail(args->cli, EXIT_USAGE, "Usage", "%s needs a value; see bitsq help %s", args->argv[optind - 1],
                         args->verb->name);
            break;
        case '?':
            r = fail_unknown(args);
            break;
        default:
            *ret_value = optarg;
            return id;
        }
        if (r != 0) {
            *ret_exit = r;
            return ARGS_EXIT;
        }
    }
}

int args_fail_usage(const struct args *args, const char *problem)
{
    return cli_fail(args->cli, EXIT_USAGE, "Usage", "%s; usage: bitsq %s %s", problem, args->verb->name,
                    args->verb->usage);
}
