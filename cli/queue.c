/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* add: how it is queued. */
#include "cli/add.h"
#include "cli/json.h"
#include "cli/wait.h"

#include "base/moment.h"
#include "base/text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

int add_print_plan(const struct cli *cli, struct add *add)
{
    struct json_object *answer = json_start("bitsq.plan/1"), *jobs = json_object_new_array();

    for (size_t i = 0; i < add->uploads.count; i++) {
        const struct upload *upload = &add->uploads.uploads[i];
        _cleanup_free_ char *url = text_redact_url(upload->url), *source = safe_text(upload->source);
        char size[SIZE_TEXT_MAX];
        if (!url || !source)
            return cli_fail_memory(cli);
        int code = proxy_take(cli, &add->proxy, add->options, upload->url);
        if (code != 0)
            return code;
        struct json_object *job = json_start(cli->json == JSON_LINES ? "bitsq.plan/1" : NULL);
        json_set_text(job, "source", upload->source);
        json_set_text(job, "url", url);
        json_set_number(job, "size", upload->size);
        json_set_options(job, "options", add->options);
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

static int queue(struct cli *cli, struct add *add, uint64_t *ids)
{
    _cleanup_(bitsq_batch_free_p) bitsq_batch *batch = NULL;
    const struct upload *uploads = add->uploads.uploads;

    if (add->uploads.count == 1) {
        int code = proxy_take(cli, &add->proxy, add->options, uploads->url);
        if (code != 0)
            return code;
        if (bitsq_client_add(cli->client, uploads->source, uploads->url, add->options, ids) < 0)
            return cli_fail_client(cli, is_unknown(cli) ? "it is unknown whether %s was queued" : "cannot queue %s",
                                   uploads->source);
        return 0;
    }
    int r = bitsq_batch_new(&batch);
    for (size_t i = 0; r >= 0 && i < add->uploads.count; i++) {
        int code = proxy_take(cli, &add->proxy, add->options, uploads[i].url);
        if (code != 0)
            return code;
        r = bitsq_batch_append(batch, uploads[i].source, uploads[i].url, add->options);
    }
    if (r < 0)
        return cli_fail_memory(cli);
    if (bitsq_client_add_batch(cli->client, batch, ids) < 0)
        return cli_fail_client(cli,
                               is_unknown(cli) ? "it is unknown whether the %zu files were queued (all or none of them)"
                                               : "cannot queue the %zu files, so none was",
                               add->uploads.count);
    return 0;
}

int add_submit(struct cli *cli, struct add *add)
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
