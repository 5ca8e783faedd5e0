/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/args.h"
#include "cli/json.h"
#include "cli/upload.h"
#include "cli/wait.h"

#include "base/moment.h"
#include "base/parse.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
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
    OPTION_DRY_RUN,
};

const struct option_spec add_options[] = {
    {'n', "name", "NAME", "what lists call the job; default: the file's name"},
    {'p', "priority", "PRIORITY", "foreground, high, normal (default) or low"},
    {OPTION_HOLD, "hold", NULL, "queue it paused; bitsq resume lets it go"},
    {'w', "wait", NULL, "show the progress and return when all is done"},
    {'q', "quiet", NULL, "no progress and no hints"},
    {OPTION_FROM_FILE, "from-file", "LIST", "files from LIST (- = standard input), FILE<TAB>URL a line"},
    {'0', "null", NULL, "entries of the list end with NUL, as find -print0 writes them"},
    {OPTION_KEY, "key", "STRING", "a name of your own: adding the same again is safe"},
    {OPTION_IF_EXISTS, "if-exists", "HOW", "what if the key is there: keep (default), replace or fail"},
    {OPTION_FRAGMENT_SIZE, "fragment-size", "MIN:MAX", "bytes of one request, as 64Ki:8Mi"},
    {OPTION_RETRY_DELAY, "retry-delay", "TIME", "first pause after an error, as 5s"},
    {OPTION_NO_PROGRESS, "no-progress-timeout", "TIME", "give up after TIME without progress, as 14d"},
    {OPTION_URL_FILE, "url-file", "FILE", "read the URL from FILE: keeps a signed link out of the process list"},
    {OPTION_DRY_RUN, "dry-run", NULL, "check the files and URLs, print what would be queued"},
    {0},
};

#define URL_FILE_MAX 8192 /* bytes read of a --url-file */

struct add {
    bitsq_job_options *options;
    const char *list, *url_file;
    char separator;
    bool has_name, has_key, has_if_exists, wait, dry_run;
    char url[URL_FILE_MAX]; /* of --url-file */
    struct uploads uploads;
};

static int set_string(const struct cli *cli, struct add *add, const char *option, const char *key, const char *value)
{
    int r = bitsq_job_options_set_string(add->options, key, value);

    if (r == -EINVAL)
        return cli_fail(cli, EXIT_USAGE, "Usage", "the value of --%s is not UTF-8; use other characters", option);
    return r < 0 ? cli_fail_memory(cli) : 0;
}

static int set_choice(const struct cli *cli, struct add *add, const char *option, const char *key, const char *value,
                      const char *const *choices)
{
    char all[128] = "";

    for (size_t i = 0; choices[i]; i++) {
        if (strcmp(choices[i], value) == 0)
            return set_string(cli, add, option, key, value);
        size_t used = strlen(all);
        (void)snprintf(all + used, sizeof(all) - used, "%s%s",
                       i == 0           ? ""
                       : choices[i + 1] ? ", "
                                        : " or ",
                       choices[i]);
    }
    return cli_fail(cli, EXIT_USAGE, "Usage", "--%s %s is not known; use %s", option, value, all);
}

static int set_duration(const struct cli *cli, struct add *add, const char *option, const char *key, const char *value)
{
    uint64_t usec;

    if (parse_duration(value, &usec) < 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "--%s %s is no time; write it as 90s, 15m, 2h or 3d", option, value);
    return bitsq_job_options_set_uint64(add->options, key, usec) < 0 ? cli_fail_memory(cli) : 0;
}

static int set_fragment_size(const struct cli *cli, struct add *add, const char *value)
{
    const char *colon = strchr(value, ':');
    char least_text[32];
    uint64_t least, most;

    if (!colon || (size_t)(colon - value) >= sizeof(least_text))
        return cli_fail(cli, EXIT_USAGE, "Usage", "--fragment-size %s is no pair; write it as 64Ki:8Mi", value);
    (void)snprintf(least_text, sizeof(least_text), "%.*s", (int)(colon - value), value);
    if (parse_size(least_text, &least) < 0 || parse_size(colon + 1, &most) < 0 || least == 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "--fragment-size %s has no good size; write it as 64Ki:8Mi", value);
    if (least > most)
        return cli_fail(cli, EXIT_USAGE, "Usage", "--fragment-size %s has the larger size first; write it as MIN:MAX",
                        value);
    return bitsq_job_options_set_range(add->options, "fragment_size", least, most) < 0 ? cli_fail_memory(cli) : 0;
}

static int set_option(struct cli *cli, struct add *add, int id, const char *value)
{
    static const char *const priorities[] = {"foreground", "high", "normal", "low", NULL};
    static const char *const ways[] = {"keep", "replace", "fail", NULL};

    switch (id) {
    case 'n':
        add->has_name = true;
        return set_string(cli, add, "name", "name", value);
    case 'p':
        return set_choice(cli, add, "priority", "priority", value, priorities);
    case OPTION_HOLD:
        return bitsq_job_options_set_boolean(add->options, "hold", 1) < 0 ? cli_fail_memory(cli) : 0;
    case OPTION_KEY:
        add->has_key = true;
        return set_string(cli, add, "key", "key", value);
    case OPTION_IF_EXISTS:
        add->has_if_exists = true;
        return set_choice(cli, add, "if-exists", "if_exists", value, ways);
    case OPTION_FRAGMENT_SIZE:
        return set_fragment_size(cli, add, value);
    case OPTION_RETRY_DELAY:
        return set_duration(cli, add, "retry-delay", "retry_delay", value);
    case OPTION_NO_PROGRESS:
        return set_duration(cli, add, "no-progress-timeout", "no_progress_timeout", value);
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
    case OPTION_DRY_RUN:
        add->dry_run = true;
        return 0;
    }
    return 0;
}

/* The first line of the file. */
static int read_url_file(const struct cli *cli, struct add *add)
{
    bool standard_input = strcmp(add->url_file, "-") == 0;
    FILE *in = standard_input ? stdin : fopen(add->url_file, "re");

    if (!in)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot read the URL from %s: %s; check its name", add->url_file,
                        strerror(errno));
    if (!fgets(add->url, sizeof(add->url), in))
        add->url[0] = '\0';
    if (!standard_input)
        (void)fclose(in);
    add->url[strcspn(add->url, "\r\n")] = '\0';
    if (add->url[0] == '\0')
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s has no URL in its first line; write it there", add->url_file);
    return 0;
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
        code = read_url_file(cli, add);
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
    return uploads_check_distinct(cli, &add->uploads);
}

static int print_plan(const struct cli *cli, const struct add *add)
{
    struct json_object *answer = json_start("bitsq.plan/1"), *jobs = json_object_new_array();

    for (size_t i = 0; i < add->uploads.count; i++) {
        const struct upload *upload = &add->uploads.uploads[i];
        _cleanup_free_ char *url = text_redact_url(upload->url), *source = safe_text(upload->source);
        char size[SIZE_TEXT_MAX];
        if (!url || !source)
            return cli_fail_memory(cli);
        struct json_object *job = json_start(cli->json == JSON_LINES ? "bitsq.plan/1" : NULL);
        json_set_text(job, "source", upload->source);
        json_set_text(job, "url", url);
        json_set_number(job, "size", upload->size);
        if (cli->json == JSON_OFF)
            (void)printf("%s -> %s (%s)\n", source, url, text_size(upload->size, size));
        if (cli->json == JSON_LINES)
            (void)printf("%s\n", json_text(job));
        (void)json_object_array_add(jobs, job);
    }
    (void)json_object_object_add(answer, "jobs", jobs);
    if (cli->json == JSON_OBJECT)
        (void)printf("%s\n", json_text(answer));
    (void)json_object_put(answer);
    cli_note(cli, "nothing was queued, as --dry-run asked");
    return EXIT_OK;
}

static void print_ids(const struct cli *cli, const uint64_t *ids, size_t count)
{
    struct json_object *answer = json_start("bitsq.added/1"), *array = json_object_new_array();

    for (size_t i = 0; i < count; i++) {
        struct json_object *line = json_start("bitsq.added/1");
        json_set_number(line, "id", ids[i]);
        (void)json_object_array_add(array, json_object_new_uint64(ids[i]));
        if (cli->json == JSON_OFF)
            (void)printf("%" PRIu64 "\n", ids[i]);
        if (cli->json == JSON_LINES)
            (void)printf("%s\n", json_text(line));
        (void)json_object_put(line);
    }
    (void)json_object_object_add(answer, "ids", array);
    if (cli->json == JSON_OBJECT)
        (void)printf("%s\n", json_text(answer));
    (void)json_object_put(answer);
    (void)fflush(stdout);
}

/* Said where this command had to start the daemon: then nothing else is there to do so. */
static void note_lifetime(const struct cli *cli)
{
    if (!bitsq_client_started_daemon(cli->client))
        return;
    if (access("/run/systemd/system", F_OK) == 0)
        cli_note(cli,
                 "started the daemon; it may end when you log out (`loginctl enable-linger` keeps it) and does not "
                 "start with the machine (`systemctl --user enable bitsqd` makes it so)");
    else
        cli_note(cli, "started the daemon; nothing starts it again after a reboot but the next bitsq command, or "
                      "`bitsq daemon start`");
}

/* The answer was lost, not refused: what was asked for may be durable all the same. */
static bool is_unknown(const struct cli *cli)
{
    const char *name = bitsq_client_get_error_name(cli->client);

    return name && (strcmp(name, "Disconnected") == 0 || strcmp(name, "TimedOut") == 0);
}

static int queue(struct cli *cli, const struct add *add, uint64_t *ids)
{
    _cleanup_(bitsq_batch_free_p) bitsq_batch *batch = NULL;
    const struct upload *uploads = add->uploads.uploads;

    if (add->uploads.count == 1) {
        if (bitsq_client_add(cli->client, uploads->source, uploads->url, add->options, ids) < 0)
            return cli_fail_client(cli, is_unknown(cli) ? "it is unknown whether %s was queued" : "cannot queue %s",
                                   uploads->source);
        return 0;
    }
    int r = bitsq_batch_new(&batch);
    for (size_t i = 0; r >= 0 && i < add->uploads.count; i++)
        r = bitsq_batch_append(batch, uploads[i].source, uploads[i].url, add->options);
    if (r < 0)
        return cli_fail_memory(cli);
    if (bitsq_client_add_batch(cli->client, batch, ids) < 0)
        return cli_fail_client(cli,
                               is_unknown(cli) ? "it is unknown whether the %zu files were queued (all or none of them)"
                                               : "cannot queue the %zu files, so none was",
                               add->uploads.count);
    return 0;
}

static int submit(struct cli *cli, const struct add *add)
{
    _cleanup_free_ uint64_t *ids = calloc(add->uploads.count, sizeof(*ids));
    struct wait_options options = {.what = WAIT_DONE, .timeout_usec = USEC_INFINITY};

    if (!ids)
        return cli_fail_memory(cli);
    int code = cli_connect(cli, 0, true);
    if (code != 0 || (code = queue(cli, add, ids)) != 0)
        return code;
    print_ids(cli, ids, add->uploads.count);
    note_lifetime(cli);
    return add->wait ? wait_for_jobs(cli, ids, add->uploads.count, &options) : EXIT_OK;
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
        code = add.dry_run ? print_plan(cli, &add) : submit(cli, &add);
finish:
    uploads_done(&add.uploads);
    (void)bitsq_job_options_free(add.options);
    return code;
}
