/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bitsq: which verb, and what holds for all of them. */
#include "cli/args.h"
#include "cli/help.h"

#include <locale.h>
#include <string.h>

static int fail_verb(const struct cli *cli, const char *word)
{
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (word_is_near(word, verb->name))
            return cli_fail(cli, EXIT_USAGE, "Usage", "there is no command %s; did you mean %s?", word, verb->name);
    return cli_fail(cli, EXIT_USAGE, "Usage", "there is no command %s; bitsq help shows those there are", word);
}

/* The options that may stand before the verb. 0 and the index of the verb, or ARGS_EXIT. */
static int parse_front(struct cli *cli, int argc, char **argv, int *ret_index, int *ret_exit)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int r = 0;

        if (word[0] != '-') {
            *ret_index = i;
            return 0;
        }
        if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            help_overview(stdout);
            *ret_exit = EXIT_OK;
            return ARGS_EXIT;
        }
        if (strcmp(word, "--version") == 0) {
            (void)printf("bitsq %s\n", bitsq_version());
            *ret_exit = EXIT_OK;
            return ARGS_EXIT;
        }
        if (strcmp(word, "--json") == 0)
            r = args_set_json(cli, NULL);
        else if (strncmp(word, "--json=", 7) == 0)
            r = args_set_json(cli, word + 7);
        else if (strncmp(word, "--color=", 8) == 0)
            r = args_set_color(cli, word + 8);
        else
            r = cli_fail(cli, EXIT_USAGE, "Usage", "there is no option %s before a command; see bitsq help", word);
        if (r != 0) {
            *ret_exit = r;
            return ARGS_EXIT;
        }
    }
    help_overview(stderr);
    *ret_exit = EXIT_USAGE;
    return ARGS_EXIT;
}

int main(int argc, char **argv)
{
    struct cli cli = {0};
    int index, code;

    (void)setlocale(LC_ALL, "");
    if (parse_front(&cli, argc, argv, &index, &code) == ARGS_EXIT)
        return cli_finish(&cli, code);
    const struct verb *verb = verb_find(argv[index]);
    if (!verb)
        return fail_verb(&cli, argv[index]);
    argv[index] = (char *)verb->name;
    code = verb->run(&cli, argc - index, argv + index);
    (void)bitsq_client_free(cli.client);
    return cli_finish(&cli, code);
}
