/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of a verb: one table that the parser, the help and the hints for typing errors read. */
#pragma once

#include "cli/cli.h"

#include <getopt.h>

#define ARGS_OPTIONS_MAX 64

/* id: the short option's letter, or from OPTION_LONG on for those without one. The table ends with a NULL name. */
struct option_spec {
    int id;
    const char *name;
    const char *argument; /* what it is called in the help; NULL = none */
    const char *help;
};

#define OPTION_LONG 256

/* Ids of the options that every verb has. */
enum {
    OPTION_JSON = 512,
    OPTION_COLOR,
    OPTION_HELP,
};

struct verb {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
    const char *usage;   /* behind "bitsq NAME " */
    const char *summary; /* one line */
    const char *details; /* further lines of the help, or NULL */
    const struct option_spec *options;
    bool takes_access; /* the options of how a server is reached, too */
};

extern const struct verb verbs[];
extern const struct option_spec common_options[];

extern const struct option_spec add_options[], list_options[], wait_options[], select_options[], bulk_options[],
    credential_options[], set_options[], reply_options[], probe_options[], events_options[], run_options[],
    doctor_options[];

/* The INDEX-th option of how a server is reached. */
struct option_spec args_access_spec(size_t index);

const struct verb *verb_find(const char *name);

struct args {
    struct cli *cli;
    const struct verb *verb;
    int argc;
    char **argv;
    struct option longs[ARGS_OPTIONS_MAX];
    char shorts[ARGS_OPTIONS_MAX * 2 + 2];
};

/* ARGV[0] is the verb's name. */
void args_init(struct args *args, struct cli *cli, int argc, char **argv);

#define ARGS_END  (-1)
#define ARGS_EXIT (-2) /* stop: *ret_exit says with which code */

/*
 * The id of the next option and its argument; those of every verb are handled here. Behind ARGS_END, the operands stand
 * from ARGV[optind] on.
 */
int args_next(struct args *args, const char **ret_value, int *ret_exit);

/* Which of the verb's operands is missing or superfluous; returns EXIT_USAGE. */
int args_fail_usage(const struct args *args, const char *problem);

/* Shared by --color and --json before a verb. 0 or an exit code. */
int args_set_json(struct cli *cli, const char *value);
int args_set_color(struct cli *cli, const char *value);

/* ---- near.c, pure ---- */

/* The edit distance of two words, where a swap of neighbours counts once; at most LIMIT + 1. */
unsigned word_distance(const char *a, const char *b, unsigned limit);

/* Whether GUESS is so like WORD that it was probably meant. */
bool word_is_near(const char *word, const char *guess);
