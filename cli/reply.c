/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reply: what the server's application answered. */
#include "cli/args.h"
#include "cli/json.h"
#include "cli/row.h"
#include "cli/select.h"

#include "base/path.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_BYTES ((size_t)64 * 1024)

const struct option_spec reply_options[] = {
    {'o', "output", "FILE", "write it to FILE (-: standard output, also where that is a terminal)"},
    {'q', "quiet", NULL, "no hints"},
    {0},
};

/* Why there is none, from what the job says of itself. */
static int fail_none(const struct cli *cli, const bitsq_job *job)
{
    uint64_t id = bitsq_job_get_id(job);
    char text[NOTE_MAX];

    job_error_text(job, text);
    if (strcmp(bitsq_job_get_type(job), "upload-reply") != 0)
        return cli_fail(cli, EXIT_OTHER, "InvalidState",
                        "job %" PRIu64 " has no reply, as it was added without --reply; add it again with that", id);
    switch (bitsq_job_get_state(job)) {
    case BITSQ_STATE_FAILED:
        return cli_fail(cli, EXIT_JOB_FAILED, "InvalidState", "job %" PRIu64 " failed before its reply was there: %s",
                        id, text);
    case BITSQ_STATE_CANCELLED:
    case BITSQ_STATE_CANCELLING:
        return cli_fail(cli, EXIT_JOB_CANCELLED, "InvalidState",
                        "job %" PRIu64 " was cancelled before its reply was there; bitsq retry %" PRIu64
                        " uploads it again",
                        id, id);
    case BITSQ_STATE_DONE:
        return cli_fail(cli, EXIT_OTHER, "InvalidState", "job %" PRIu64 " is done, but the server sent no reply", id);
    case BITSQ_STATE_PAUSED:
        return cli_fail(cli, EXIT_OTHER, "InvalidState",
                        "job %" PRIu64 " has no reply yet: it is paused; bitsq resume %" PRIu64 " lets it go on", id,
                        id);
    case BITSQ_STATE_QUEUED:
    case BITSQ_STATE_BLOCKED:
    case BITSQ_STATE_CONNECTING:
    case BITSQ_STATE_TRANSFERRING:
    case BITSQ_STATE_REPLYING:
    case BITSQ_STATE_RETRYING:
    case BITSQ_STATE_UNKNOWN:
        break;
    }
    return cli_fail(cli, EXIT_OTHER, "InvalidState",
                    "job %" PRIu64 " has no reply yet: it is %s; bitsq wait %" PRIu64 " returns when it is there", id,
                    bitsq_job_get_state_name(job), id);
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

/* To the end, from where FROM is. REFUSES_BINARY: -EILSEQ where the first bytes are none for a terminal. */
static int copy(int from, int to, bool refuses_binary, uint64_t *ret_bytes)
{
    _cleanup_free_ char *bytes = malloc(COPY_BYTES);
    uint64_t total = 0;

    if (!bytes)
        return -ENOMEM;
    for (;;) {
        ssize_t n = read(from, bytes, COPY_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        if (refuses_binary && memchr(bytes, '\0', (size_t)n))
            return -EILSEQ;
        int r = write_all(to, bytes, (size_t)n);
        if (r < 0)
            return r;
        total += (uint64_t)n;
    }
    *ret_bytes = total;
    return 0;
}

/* All of it or nothing: a temporary file beside PATH takes its place. */
static int copy_to_file(int from, const char *path, uint64_t *ret_bytes)
{
    _cleanup_free_ char *temporary = NULL;
    struct stat status;

    const char *slash = strrchr(path, '/');
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        /* a device or a pipe stays what it is */
        _cleanup_close_ int to = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return to < 0 ? -errno : copy(from, to, false, ret_bytes);
    }
    if (asprintf(&temporary, "%.*s/.bitsq-reply.XXXXXX", (int)(slash - path), path) < 0)
        return -ENOMEM;
    mode_t mask = umask(0);
    (void)umask(mask);
    _cleanup_close_ int to = mkostemp(temporary, O_CLOEXEC);
    if (to < 0)
        return -errno;
    int r = copy(from, to, false, ret_bytes);
    if (r >= 0 && (fchmod(to, 0666 & ~mask) < 0 || fsync(to) < 0 || rename(temporary, path) < 0))
        r = -errno;
    if (r < 0)
        (void)unlink(temporary);
    return r;
}

static void print_json(const bitsq_job *job, const char *output, uint64_t bytes)
{
    struct json_object *answer = json_start("bitsq.reply/1");
    uint64_t size;

    json_set_number(answer, "id", bitsq_job_get_id(job));
    json_set_text(answer, "path", bitsq_job_get_reply_path(job));
    json_set_boolean(answer, "stored", bitsq_job_get_reply_stored(job));
    json_set_number(answer, "received", bitsq_job_get_reply_received(job));
    if (bitsq_job_get_reply_size(job, &size) > 0)
        json_set_number(answer, "size", size);
    else
        (void)json_object_object_add(answer, "size", NULL);
    if (output) {
        json_set_text(answer, "output", output);
        json_set_number(answer, "written", bytes);
    }
    json_print(answer);
}

static int write_reply(struct cli *cli, const bitsq_job *job, const char *output)
{
    bool to_stdout = !output || strcmp(output, "-") == 0;
    _cleanup_free_ char *path = NULL;
    _cleanup_close_ int fd = -1;
    uint64_t bytes = 0;

    if (!to_stdout && path_make_absolute(output, &path) < 0)
        return cli_fail(cli, EXIT_OTHER, "Failed", "%s names no file in a folder that is there; check its name",
                        output);
    if (bitsq_client_open_reply(cli->client, bitsq_job_get_id(job), &fd) < 0)
        return cli_fail_client(cli, "cannot read the reply of job %" PRIu64, bitsq_job_get_id(job));
    int r = path ? copy_to_file(fd, path, &bytes) : copy(fd, STDOUT_FILENO, !output && isatty(STDOUT_FILENO), &bytes);
    if (r == -EILSEQ)
        return cli_fail(cli, EXIT_OTHER, "Refused",
                        "the reply is binary and may mess up your terminal; write it to a file with -o FILE, or say "
                        "-o - if you mean it");
    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "Failed",
                        "the reply cannot be written to %s: %s; check the place and the disk",
                        path ? path : "standard output", strerror(-r));
    char size[SIZE_TEXT_MAX];
    if (cli->json != JSON_OFF && path)
        print_json(job, path, bytes);
    else if (path)
        cli_note(cli, "%s written to %s", text_size(bytes, size), path);
    return EXIT_OK;
}

static int reply(struct cli *cli, uint64_t id, const char *output)
{
    _cleanup_(bitsq_job_free_p) bitsq_job *job = NULL;

    int code = cli_connect(cli, 0, true);
    if (code != 0)
        return code;
    if (bitsq_client_get_job(cli->client, id, &job) < 0)
        return cli_fail_client(cli, "cannot show the reply of job %" PRIu64, id);
    if (!bitsq_job_get_reply_stored(job))
        return fail_none(cli, job);
    if (cli->json != JSON_OFF && !output) {
        print_json(job, NULL, 0);
        return EXIT_OK;
    }
    return write_reply(cli, job, output);
}

int verb_reply(struct cli *cli, int argc, char **argv)
{
    const char *value, *output = NULL;
    struct args args;
    int id, code = 0;
    uint64_t job;

    args_init(&args, cli, argc, argv);
    while ((id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            return code;
        if (id == 'o')
            output = value;
        else
            cli->quiet = true;
    }
    if (argc - optind != 1)
        return args_fail_usage(&args, optind == argc ? "no job is named" : "one job at a time has its reply written");
    if (output && strcmp(output, "-") == 0 && cli->json != JSON_OFF)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "standard output cannot take both the reply and JSON; write the reply to a file with -o FILE");
    code = parse_job_id(cli, argv[optind], &job);
    return code != 0 ? code : reply(cli, job, output);
}
