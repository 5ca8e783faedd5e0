/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* set: change what jobs were added with. */
#include "cli/args.h"
#include "cli/control.h"
#include "cli/setting.h"
#include "cli/upload.h"

#include <string.h>

#define OPTION_URL_FILE (OPTION_LONG + 8)

const struct option_spec set_options[] = {
    SELECT_OPTIONS,
    {'y', "yes", NULL, "do not ask, also not for many jobs"},
    {OPTION_URL_FILE, "url-file", "FILE", "set the URL that stands in FILE (-: standard input)"},
    {0},
};

static int fail_key(const struct cli *cli, const char *key)
{
    for (size_t i = 0; i < job_settings_count; i++)
        if (word_is_near(key, job_settings[i].key))
            return cli_fail(cli, EXIT_USAGE, "Usage", "there is no setting %s; did you mean %s?", key,
                            job_settings[i].key);
    for (size_t i = 0; i < access_options_count; i++)
        if (word_is_near(key, access_options[i].name))
            return cli_fail(cli, EXIT_USAGE, "Usage", "there is no setting %s; did you mean %s?", key,
                            access_options[i].name);
    return cli_fail(
        cli, EXIT_USAGE, "Usage",
        "there is no setting %s; use priority, url, group, name, rate, not-before, deadline, window, network, "
        "power, retry-delay, no-progress-timeout, source-changed, fragment-size, on-success, on-failure, or one of "
        "those "
        "that bitsq help add shows under \"How the server is reached\"",
        key);
}

/* KEY=VALUE; an empty VALUE takes the choice back. */
static int take_setting(const struct cli *cli, bitsq_job_options *options, const char *word)
{
    size_t length = strcspn(word, "=");
    const char *value = word + length + 1;
    char label[SETTING_KEY_MAX], key[SETTING_KEY_MAX];

    (void)snprintf(label, sizeof(label), "%.*s", (int)(length < sizeof(label) ? length : sizeof(label) - 1), word);
    (void)setting_key(label, key);
    const struct job_setting *setting = job_setting_find(key);
    if (setting && *value == '\0' && !setting->fallback)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s cannot be taken back; write %s=VALUE", label, label);
    if (setting && (*value != '\0' || *setting->fallback != '\0'))
        return setting->set(cli, options, label, key, *value == '\0' ? setting->fallback : value);
    const struct access_option *option = access_option_find(key);
    if (!setting && !option)
        return fail_key(cli, label);
    if (*value == '\0')
        return bitsq_job_options_reset(options, key) < 0 ? cli_fail_memory(cli) : 0;
    return access_option_set(cli, options, option, label, value);
}

static int check(const struct args *args, const bitsq_job_options *options, const struct selection *selection)
{
    const char *url;

    if (!bitsq_job_options_get_key(options, 0))
        return args_fail_usage(args, "no setting is named");
    if (selection_is_empty(selection))
        return args_fail_usage(args, "no job is named");
    if (bitsq_job_options_get_string(options, "url", &url) > 0 && (selection->ids != 1 || selection->ranges > 0))
        return cli_fail(args->cli, EXIT_USAGE, "Usage",
                        "url goes with one job, as two files at one URL would overwrite each other; name its ID");
    return 0;
}

static int take_operands(const struct args *args, bitsq_job_options *options, struct selection *selection)
{
    const struct cli *cli = args->cli;
    int code = 0;

    for (int i = optind; code == 0 && i < args->argc; i++)
        code = strchr(args->argv[i], '=') ? take_setting(cli, options, args->argv[i])
                                          : selection_add_operand(cli, selection, args->argv[i]);
    return code == 0 ? check(args, options, selection) : code;
}

int verb_set(struct cli *cli, int argc, char **argv)
{
    _cleanup_(bitsq_job_options_free_p) bitsq_job_options *options = NULL;
    struct selection selection = {0};
    char url[URL_FILE_MAX];
    struct args args;
    const char *value;
    bool yes = false;
    int id;

    int code = bitsq_job_options_new(&options) < 0 ? cli_fail_memory(cli) : selection_init(cli, &selection);
    if (code != 0)
        return code;
    args_init(&args, cli, argc, argv);
    while (code == 0 && (id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            goto finish;
        if (id != OPTION_URL_FILE)
            code = control_option(cli, &selection, id, value, &yes);
        else if ((code = url_read_file(cli, value, url)) == 0)
            code = setting_url(cli, options, "--url-file", "url", url);
    }
    const struct control control = {
        .done = "changed",
        .asks = true,
        .states = {BITSQ_STATE_QUEUED, BITSQ_STATE_BLOCKED, BITSQ_STATE_CONNECTING, BITSQ_STATE_TRANSFERRING,
                   BITSQ_STATE_REPLYING, BITSQ_STATE_RETRYING, BITSQ_STATE_PAUSED, BITSQ_STATE_FAILED},
        .settings = options,
    };
    if (code == 0)
        code = take_operands(&args, options, &selection);
    if (code == 0)
        code = control_run(cli, argv[0], &control, &selection, yes);
finish:
    selection_done(&selection);
    return code;
}
