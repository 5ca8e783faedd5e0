/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* group list, set, remove, pause, resume. */
#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/setting.h"

#include "base/parse.h"
#include "base/text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

DEFINE_CLEANUP(bitsq_groups *, bitsq_groups_free);

/* ---- list ---- */

/* What a line of the table shows. */
struct group_row {
    char *name, *window;
    char parallel[24], rate[RATE_TEXT_MAX];
    const char *network, *power, *state;
};

static void group_row_done(struct group_row *row)
{
    free(row->name);
    free(row->window);
}

static int group_row_init(struct group_row *row, const char *name, const bitsq_job_options *settings)
{
    const char *window = "-";
    uint64_t number;
    int paused = 0;

    *row = (struct group_row){.parallel = "-", .rate = "-", .network = "-", .power = "-"};
    if (bitsq_job_options_get_uint64(settings, "max_active", &number) > 0)
        (void)snprintf(row->parallel, sizeof(row->parallel), "%" PRIu64, number);
    if (bitsq_job_options_get_uint64(settings, "rate", &number) > 0)
        (void)text_rate(number, row->rate);
    (void)bitsq_job_options_get_string(settings, "network", &row->network);
    (void)bitsq_job_options_get_string(settings, "power", &row->power);
    (void)bitsq_job_options_get_string(settings, "window", &window);
    (void)bitsq_job_options_get_boolean(settings, "paused", &paused);
    row->state = paused ? "paused" : "-";
    row->name = safe_text(name);
    row->window = safe_text(window);
    return row->name && row->window ? 0 : -1;
}

static int print_table(const struct cli *cli, const bitsq_groups *groups)
{
    int columns = (int)strlen("NAME");
    const char *name;

    for (size_t i = 0; (name = bitsq_groups_get_name(groups, i)); i++) {
        _cleanup_free_ char *safe = safe_text(name);
        if (safe && (int)text_columns(safe) > columns)
            columns = (int)text_columns(safe);
    }
    (void)printf("%-*s  STATE   PARALLEL  %9s  NETWORK    POWER  WINDOW\n", columns, "NAME", "RATE");
    for (size_t i = 0; (name = bitsq_groups_get_name(groups, i)); i++) {
        _cleanup_(group_row_done) struct group_row row;
        if (group_row_init(&row, name, bitsq_groups_get_settings(groups, i)) < 0)
            return cli_fail_memory(cli);
        (void)printf("%s%*s  %-6s  %8s  %9s  %-9s  %-5s  %s\n", row.name, columns - (int)text_columns(row.name), "",
                     row.state, row.parallel, row.rate, row.network, row.power, row.window);
    }
    return EXIT_OK;
}

static struct json_object *group_json(const char *schema, const char *name, const bitsq_job_options *settings)
{
    static const char *const numbers[] = {"max_active", "rate"}, *const texts[] = {"window", "network", "power"};
    struct json_object *object = json_start(schema);
    const char *text;
    uint64_t number;
    int paused = 0;

    json_set_text(object, "name", name);
    (void)bitsq_job_options_get_boolean(settings, "paused", &paused);
    json_set_boolean(object, "paused", paused);
    for (size_t i = 0; i < ELEMENTS(numbers); i++) {
        if (bitsq_job_options_get_uint64(settings, numbers[i], &number) > 0)
            json_set_number(object, numbers[i], number);
        else
            (void)json_object_object_add(object, numbers[i], NULL);
    }
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        if (bitsq_job_options_get_string(settings, texts[i], &text) > 0)
            json_set_text(object, texts[i], text);
        else
            (void)json_object_object_add(object, texts[i], NULL);
    }
    return object;
}

static void print_json(const struct cli *cli, const bitsq_groups *groups)
{
    struct json_object *answer = json_start("bitsq.group-list/1"), *all = json_object_new_array();
    const char *name;

    for (size_t i = 0; (name = bitsq_groups_get_name(groups, i)); i++) {
        const bitsq_job_options *settings = bitsq_groups_get_settings(groups, i);
        if (cli->json == JSON_LINES)
            json_print(group_json("bitsq.group/1", name, settings));
        else
            (void)json_object_array_add(all, group_json(NULL, name, settings));
    }
    (void)json_object_object_add(answer, "groups", all);
    if (cli->json == JSON_OBJECT)
        json_print(answer);
    else
        (void)json_object_put(answer);
}

static int group_list(struct cli *cli, const struct args *args)
{
    _cleanup_(bitsq_groups_free_p) bitsq_groups *groups = NULL;

    if (args->argc - optind > 1)
        return args_fail_usage(args, "nothing follows list");
    int code = cli_connect(cli, 0, true);
    if (code != 0)
        return code;
    if (bitsq_client_list_groups(cli->client, &groups) < 0)
        return cli_fail_client(cli, "cannot list the groups");
    if (cli->json == JSON_OFF)
        return print_table(cli, groups);
    print_json(cli, groups);
    return EXIT_OK;
}

/* ---- set ---- */

static int set_parallel(const struct cli *cli, bitsq_job_options *settings, const char *label, const char *key,
                        const char *value)
{
    uint64_t count;

    if (parse_u64(value, &count) < 0 || count == 0)
        return cli_fail(
            cli, EXIT_USAGE, "Usage",
            "%s %s is no number of jobs from 1 on; %s= takes the limit back, and bitsq group pause lets no job "
            "start",
            label, value, label);
    return bitsq_job_options_set_uint64(settings, key, count) < 0 ? cli_fail_memory(cli) : 0;
}

/* What people write, and the key that the daemon has for it. */
static const struct {
    const char *label, *key;
    setting_set_t set;
} keys[] = {
    {"parallel", "max_active", set_parallel}, {"rate", "rate", setting_rate},    {"window", "window", setting_text},
    {"network", "network", setting_network},  {"power", "power", setting_power},
};

static int fail_key(const struct cli *cli, const char *label)
{
    for (size_t i = 0; i < ELEMENTS(keys); i++)
        if (word_is_near(label, keys[i].label) || word_is_near(label, keys[i].key))
            return cli_fail(cli, EXIT_USAGE, "Usage", "a group has no setting %s; did you mean %s?", label,
                            keys[i].label);
    if (word_is_near(label, "paused"))
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s is no setting here; use bitsq group pause, or resume", label);
    return cli_fail(cli, EXIT_USAGE, "Usage", "a group has no setting %s; use parallel, rate, window, network or power",
                    label);
}

/* KEY=VALUE; an empty VALUE takes the choice back. */
static int take_setting(const struct cli *cli, bitsq_job_options *settings, const char *word)
{
    size_t length = strcspn(word, "=");
    char label[SETTING_KEY_MAX];

    if (word[length] == '\0')
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s is no setting; write KEY=VALUE, or KEY= to take it back", word);
    (void)snprintf(label, sizeof(label), "%.*s", (int)(length < SETTING_KEY_MAX ? length : SETTING_KEY_MAX - 1), word);
    for (size_t i = 0; i < ELEMENTS(keys); i++) {
        if (strcmp(keys[i].label, label) != 0)
            continue;
        if (word[length + 1] == '\0')
            return bitsq_job_options_reset(settings, keys[i].key) < 0 ? cli_fail_memory(cli) : 0;
        return keys[i].set(cli, settings, label, keys[i].key, word + length + 1);
    }
    return fail_key(cli, label);
}

static void print_names(const struct cli *cli, const char *schema, struct json_object *names)
{
    struct json_object *answer = json_start(schema);

    (void)json_object_object_add(answer, "names", names);
    if (cli->json != JSON_OFF)
        json_print(answer);
    else
        (void)json_object_put(answer);
}

static int group_set(struct cli *cli, const struct args *args)
{
    _cleanup_(bitsq_job_options_free_p) bitsq_job_options *settings = NULL;
    const char *name = args->argv[optind + 1];
    int code = 0;

    if (!name)
        return args_fail_usage(args, "no group is named");
    if (args->argc - optind < 3)
        return args_fail_usage(args, "no setting is named");
    if (bitsq_job_options_new(&settings) < 0)
        return cli_fail_memory(cli);
    for (int i = optind + 2; code == 0 && i < args->argc; i++)
        code = take_setting(cli, settings, args->argv[i]);
    if (code == 0)
        code = cli_connect(cli, 0, true);
    if (code != 0)
        return code;
    if (bitsq_client_set_group(cli->client, name, settings) < 0)
        return cli_fail_client(cli, "cannot set the group %s", name);
    struct json_object *names = json_object_new_array();
    (void)json_object_array_add(names, json_object_new_string(name));
    print_names(cli, "bitsq.groups.changed/1", names);
    return EXIT_OK;
}

/* ---- remove, pause, resume ---- */

static int has_job(struct cli *cli, const char *name, bool *ret)
{
    _cleanup_(bitsq_filter_free_p) bitsq_filter *filter = NULL;
    _cleanup_(bitsq_query_free_p) bitsq_query *query = NULL;
    _cleanup_(bitsq_job_free_p) bitsq_job *job = NULL;

    if (bitsq_filter_new(&filter) < 0 || bitsq_filter_set_group(filter, name) < 0)
        return cli_fail_memory(cli);
    if (bitsq_client_query(cli->client, filter, &query) < 0)
        return cli_fail_client(cli, "cannot look for jobs of the group %s", name);
    int r = bitsq_query_next(query, &job);
    *ret = r > 0;
    return r < 0 ? cli_fail_client(cli, "cannot look for jobs of the group %s", name) : 0;
}

static int has_settings(struct cli *cli, const char *name, bool *ret)
{
    _cleanup_(bitsq_groups_free_p) bitsq_groups *groups = NULL;
    const char *other;

    if (bitsq_client_list_groups(cli->client, &groups) < 0)
        return cli_fail_client(cli, "cannot list the groups");
    *ret = false;
    for (size_t i = 0; !*ret && (other = bitsq_groups_get_name(groups, i)); i++)
        *ret = strcmp(other, name) == 0;
    return 0;
}

/* A misspelt name would be one more group, and the one that was meant would go on. */
static int set_paused(struct cli *cli, const char *name, bool paused)
{
    _cleanup_(bitsq_job_options_free_p) bitsq_job_options *settings = NULL;
    const char *verb = paused ? "pause" : "resume";
    bool is_set = false, is_used = false;

    int code = has_settings(cli, name, &is_set);
    if (code == 0 && !is_set)
        code = has_job(cli, name, &is_used);
    if (code != 0)
        return code;
    if (!is_set && !is_used)
        return cli_fail(
            cli, EXIT_USAGE, "InvalidArgument",
            "cannot %s the group %s: it has neither settings nor jobs; bitsq group list shows those that have "
            "settings",
            verb, name);
    if (!is_set && !paused)
        return 0; /* it is not paused, and needs no settings to say so */
    if (bitsq_job_options_new(&settings) < 0 || bitsq_job_options_set_boolean(settings, "paused", paused) < 0)
        return cli_fail_memory(cli);
    return bitsq_client_set_group(cli->client, name, settings) < 0
               ? cli_fail_client(cli, "cannot %s the group %s", verb, name)
               : 0;
}

static int pause_one(struct cli *cli, const char *name)
{
    return set_paused(cli, name, true);
}

static int resume_one(struct cli *cli, const char *name)
{
    return set_paused(cli, name, false);
}

static int remove_one(struct cli *cli, const char *name)
{
    return bitsq_client_remove_group(cli->client, name) < 0 ? cli_fail_client(cli, "cannot remove the group %s", name)
                                                            : 0;
}

static int for_each(struct cli *cli, const struct args *args, const char *schema,
                    int (*one)(struct cli *cli, const char *name))
{
    struct json_object *names;
    size_t done = 0;
    int code = EXIT_OK;

    if (args->argc - optind < 2)
        return args_fail_usage(args, "no group is named");
    int r = cli_connect(cli, 0, true);
    if (r != 0)
        return r;
    names = json_object_new_array();
    for (char **name = args->argv + optind + 1; *name; name++) {
        r = one(cli, *name);
        if (r != 0) {
            code = r;
            continue;
        }
        (void)json_object_array_add(names, json_object_new_string(*name));
        done++;
    }
    print_names(cli, schema, names);
    return code != EXIT_OK && done > 0 ? EXIT_SOME_FAILED : code;
}

int verb_group(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const char *value;
    int code = 0;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    const char *verb = optind < argc ? argv[optind] : "";
    if (strcmp(verb, "list") == 0)
        return group_list(cli, &args);
    if (strcmp(verb, "set") == 0)
        return group_set(cli, &args);
    if (strcmp(verb, "remove") == 0)
        return for_each(cli, &args, "bitsq.groups.removed/1", remove_one);
    if (strcmp(verb, "pause") == 0)
        return for_each(cli, &args, "bitsq.groups.changed/1", pause_one);
    if (strcmp(verb, "resume") == 0)
        return for_each(cli, &args, "bitsq.groups.changed/1", resume_one);
    return args_fail_usage(&args, *verb == '\0' ? "list, set, remove, pause or resume is missing"
                                                : "there is no such group command");
}
