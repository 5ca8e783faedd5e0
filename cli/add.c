/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* add: what is asked for. */
#include "cli/add.h"

#include "cli/args.h"
#include "cli/setting.h"

#include "base/path.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    OPTION_HOLD = OPTION_LONG,
    OPTION_FROM_FILE,
    OPTION_KEY,
    OPTION_IF_EXISTS,
    OPTION_FRAGMENT_SIZE,
    OPTION_RETRY_DELAY,
    OPTION_NO_PROGRESS,
    OPTION_URL_FILE,
    OPTION_REPLY,
    OPTION_EMPTY,
    OPTION_DRY_RUN,
    OPTION_RATE,
    OPTION_NOT_BEFORE,
    OPTION_DEADLINE,
    OPTION_WINDOW,
    OPTION_NETWORK,
    OPTION_POWER,
    OPTION_SOURCE_CHANGED,
    OPTION_ON_SUCCESS,
    OPTION_ON_FAILURE,
};

const struct option_spec add_options[] = {
    {'n', "name", "NAME", "what lists call the job; default: the file's name"},
    {'g', "group", "GROUP", "the group that the job belongs to; default: default"},
    {'p', "priority", "PRIORITY", "foreground, high, normal (default) or low"},
    {OPTION_REPLY, "reply", "[=FILE]", "fetch the reply of the server's application, into FILE: see bitsq reply"},
    {OPTION_HOLD, "hold", NULL, "queue it paused; bitsq resume lets it go"},
    {'w', "wait", NULL, "show the progress and return when all is done"},
    {'q', "quiet", NULL, "no progress and no hints"},
    {OPTION_FROM_FILE, "from-file", "LIST", "files from LIST (- = standard input), FILE<TAB>URL a line"},
    {'0', "null", NULL, "entries of the list end with NUL, as find -print0 writes them"},
    {OPTION_KEY, "key", "STRING", "a name of your own: adding the same again is safe"},
    {OPTION_IF_EXISTS, "if-exists", "HOW", "what if the key is there: keep (default), replace or fail"},
    {OPTION_RATE, "rate", "RATE", "at most RATE bytes a second for this job, as 200K, 2M or 8Mbit"},
    {OPTION_NOT_BEFORE, "not-before", "TIME", "wait until TIME: 22:00, 2h, or \"2027-01-31 22:00\""},
    {OPTION_DEADLINE, "deadline", "TIME", "what is not uploaded by TIME has failed"},
    {OPTION_WINDOW, "window", "HOURS",
     "only in these hours: 22:00-06:00, or Mon..Fri 18:00-24:00; Sat,Sun 00:00-24:00"},
    {OPTION_NETWORK, "network", "WHICH", "any, or unmetered: wait for a network that costs nothing"},
    {OPTION_POWER, "power", "WHICH", "any, ac, or a charge of the battery that will do, as 30%"},
    {OPTION_SOURCE_CHANGED, "source-changed", "HOW", "a file that changes meanwhile: fail (default) or restart"},
    {OPTION_ON_SUCCESS, "on-success", "UNIT", "start this unit of systemd when it is done; NAME@ gets the job's ID"},
    {OPTION_ON_FAILURE, "on-failure", "UNIT", "the same when it has failed"},
    {OPTION_FRAGMENT_SIZE, "fragment-size", "MIN:MAX", "bytes of one request, as 64Ki:8Mi"},
    {OPTION_RETRY_DELAY, "retry-delay", "TIME", "first pause after an error, as 5s"},
    {OPTION_NO_PROGRESS, "no-progress-timeout", "TIME", "give up after TIME without progress, as 14d"},
    {OPTION_URL_FILE, "url-file", "FILE",
     "read the URL from FILE (-: standard input): keeps a signed link out of the process list"},
    {OPTION_EMPTY, "empty", "HOW", "an empty file: send (default) or refuse"},
    {OPTION_DRY_RUN, "dry-run", NULL, "check the files and URLs, print what would be queued"},
    {0},
};

/* What `set` changes as well, and its key. */
static int set_setting(const struct cli *cli, bitsq_job_options *options, int id, const char *value)
{
    const struct option_spec *spec = add_options;
    char key[SETTING_KEY_MAX], label[SETTING_KEY_MAX + 2];

    while (spec->id != id)
        spec++;
    (void)snprintf(label, sizeof(label), "--%s", spec->name);
    const struct job_setting *setting = job_setting_find(setting_key(spec->name, key));
    assert(setting);
    return setting->set(cli, options, label, key, value);
}

static int set_option(struct cli *cli, struct add *add, int id, const char *value)
{
    if (access_id_is_valid(id))
        return access_id_set(cli, add->options, id, value);
    switch (id) {
    case OPTION_FROM_FILE:
        add->list = value;
        return 0;
    case OPTION_URL_FILE:
        add->url_file = value;
        return 0;
    case '0':
        add->separator = '\0';
        return 0;
    case 'w':
        add->wait = true;
        return 0;
    case 'q':
        cli->quiet = true;
        return 0;
    case OPTION_EMPTY:
        add->refuses_empty = strcmp(value, "refuse") == 0;
        return setting_choice(cli, add->options, "--empty", "empty", value, "|send|refuse|");
    case OPTION_DRY_RUN:
        add->dry_run = true;
        return 0;
    case OPTION_REPLY:
        add->reply = value ? value : "";
        return 0;
    case OPTION_HOLD:
        return setting_flag(cli, add->options, "--hold", "hold", NULL);
    case OPTION_KEY:
        add->has_key = true;
        return setting_text(cli, add->options, "--key", "key", value);
    case OPTION_IF_EXISTS:
        add->has_if_exists = true;
        return setting_choice(cli, add->options, "--if-exists", "if_exists", value, "|keep|replace|fail|");
    case 'n':
        add->has_name = true;
        break;
    }
    return set_setting(cli, add->options, id, value);
}

/* Sorts the operands into files and the URL, and checks them all. */
static int collect(const struct args *args, struct add *add)
{
    const struct cli *cli = args->cli;
    char **files = args->argv + optind;
    size_t count = (size_t)(args->argc - optind);
    const char *url = NULL;
    int code = 0;

    if (add->url_file) {
        if (add->list && strcmp(add->list, "-") == 0 && strcmp(add->url_file, "-") == 0)
            return cli_fail(cli, EXIT_USAGE, "Usage",
                            "standard input cannot be both the list and the URL; put one of them into a file");
        code = url_read_file(cli, add->url_file, add->url);
        url = add->url;
    } else if (count >= (add->list ? 1 : 2)) {
        url = files[--count];
    }
    if (code != 0)
        return code;
    if (add->list && count > 0)
        return args_fail_usage(args, "files stand in the list or behind the options, not both");
    if (!add->list && (count == 0 || !url))
        return args_fail_usage(args, count == 0 && !add->url_file ? "no file and no URL are named"
                                                                  : "a file or its URL is missing");
    if (count > BITSQ_BATCH_MAX)
        return cli_fail(cli, EXIT_LIMIT, "LimitReached",
                        "more than %d files cannot be queued all or none; add them in several commands",
                        BITSQ_BATCH_MAX);
    if (url && (count > 1 || add->list) && !url_complaint(url) && !url_keeps_names(url))
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "several files need a URL that ends in /, behind which their names go; end it so");
    if (add->list)
        return uploads_read_list(cli, &add->uploads, add->list, add->separator, url);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = uploads_add(cli, &add->uploads, files[i], url);
    return code;
}

static int check_combination(const struct cli *cli, const struct add *add)
{
    if (add->uploads.count == 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "the list names no file; nothing was queued");
    if (add->has_if_exists && !add->has_key)
        return cli_fail(cli, EXIT_USAGE, "Usage", "--if-exists says what to do about a key; add --key STRING");
    if (add->uploads.count > 1 && (add->has_key || add->has_name))
        return cli_fail(cli, EXIT_USAGE, "Usage", "--%s goes with one file; add the files one by one",
                        add->has_key ? "key" : "name");
    for (size_t i = 0; add->refuses_empty && i < add->uploads.count; i++)
        if (add->uploads.uploads[i].size == 0)
            return cli_fail(cli, EXIT_SOURCE, "SourceUnreadable",
                            "cannot queue %s: it is empty, and --empty refuse was said; fill it, or leave that out",
                            add->uploads.uploads[i].source);
    return uploads_check_distinct(cli, &add->uploads);
}

/* The reply's place is the caller's folder's, not the daemon's. */
static int set_reply(const struct cli *cli, const struct add *add)
{
    _cleanup_free_ char *path = NULL;

    if (!add->reply)
        return 0;
    if (*add->reply != '\0') {
        if (add->uploads.count > 1)
            return cli_fail(cli, EXIT_USAGE, "Usage",
                            "--reply=FILE goes with one file; add the files one by one, or say --reply alone and read "
                            "each with bitsq reply");
        int r = path_make_absolute(add->reply, &path);
        if (r < 0)
            return r == -ENOMEM ? cli_fail_memory(cli)
                                : cli_fail(cli, EXIT_OTHER, "InvalidArgument",
                                           "the reply cannot be put into %s: %s; name a file in a folder that is there",
                                           add->reply, r == -EINVAL ? "it is a folder" : strerror(-r));
        if (strcmp(path, add->uploads.uploads[0].source) == 0)
            return cli_fail(cli, EXIT_USAGE, "Usage",
                            "the reply would take the place of the file that is uploaded; name another one");
    }
    return bitsq_job_options_set_path(add->options, "reply", path ? path : "") < 0 ? cli_fail_memory(cli) : 0;
}

int verb_add(struct cli *cli, int argc, char **argv)
{
    struct add add = {.separator = '\n'};
    struct args args;
    const char *value;
    int id, code = 0;

    if (bitsq_job_options_new(&add.options) < 0)
        return cli_fail_memory(cli);
    args_init(&args, cli, argc, argv);
    while (code == 0 && (id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            goto finish;
        code = set_option(cli, &add, id, value);
    }
    if (code == 0)
        code = collect(&args, &add);
    if (code == 0)
        code = check_combination(cli, &add);
    if (code == 0)
        code = set_reply(cli, &add);
    if (code == 0)
        code = add.dry_run ? add_print_plan(cli, &add) : add_submit(cli, &add);
finish:
    uploads_done(&add.uploads);
    (void)bitsq_job_options_free(add.options);
    return code;
}
