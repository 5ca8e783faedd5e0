/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/args.h"
#include "cli/follow.h"
#include "cli/row.h"
#include "cli/select.h"

#include "base/moment.h"

#include <inttypes.h>

static bool all_final(const struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++)
        if (follow->jobs[i].job && !bitsq_state_is_final(bitsq_job_get_state(follow->jobs[i].job)))
            return false;
    return true;
}

static enum view_mode mode_of(const struct cli *cli)
{
    if (cli->json != JSON_OFF)
        return VIEW_JSON;
    return stream_is_live(stdout) && isatty(STDIN_FILENO) ? VIEW_SCREEN : VIEW_LINES;
}

static int watch(struct cli *cli, const uint64_t *ids, size_t count)
{
    struct view view = {.mode = mode_of(cli), .stream = stdout};
    struct follow follow;
    int code = EXIT_OK;

    if (follow_init(&follow, cli, ids, count) < 0)
        return cli_fail_memory(cli);
    follow.view = &view;
    follow.everything = count == 0;
    /* named jobs end the watch with them, where nobody looks at a screen that would go away */
    follow.finished = count > 0 && view.mode != VIEW_SCREEN ? all_final : NULL;
    switch (follow_run(&follow)) {
    case FOLLOW_FINISHED:
    case FOLLOW_QUIT:
    case FOLLOW_TIMEOUT:
    case FOLLOW_GOES_ON:
        break;
    case FOLLOW_INTERRUPTED:
        cli_note(cli, "detached; the jobs go on in the background");
        code = EXIT_DETACHED;
        break;
    case FOLLOW_ERROR:
        code = follow.code;
        break;
    }
    for (size_t i = 0; count > 0 && code == EXIT_OK && i < follow.count; i++)
        if (!follow.jobs[i].job)
            code = cli_fail(cli, EXIT_NO_JOB, "NoSuchJob",
                            "there is no job %" PRIu64 "; bitsq list shows those there are", follow.jobs[i].id);
    follow_done(&follow);
    return code;
}

int verb_watch(struct cli *cli, int argc, char **argv)
{
    uint64_t ids[FOLLOW_ROWS_MAX];
    size_t count = 0;
    struct args args;
    const char *value;
    int code;

    args_init(&args, cli, argc, argv);
    if (args_next(&args, &value, &code) == ARGS_EXIT)
        return code;
    for (int i = optind; i < argc; i++) {
        if (count == FOLLOW_ROWS_MAX)
            return cli_fail(cli, EXIT_LIMIT, "LimitReached", "more than %zu jobs do not fit on a screen; name fewer",
                            FOLLOW_ROWS_MAX);
        code = parse_job_id(cli, argv[i], &ids[count++]);
        if (code != 0)
            return code;
    }
    code = cli_connect(cli, 0, true);
    return code != 0 ? code : watch(cli, ids, count);
}
