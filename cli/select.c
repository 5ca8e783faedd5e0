/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/select.h"

#include "base/parse.h"

#include <errno.h>
#include <string.h>

int selection_init(const struct cli *cli, struct selection *selection)
{
    *selection = (struct selection){0};
    return bitsq_filter_new(&selection->filter) < 0 ? cli_fail_memory(cli) : 0;
}

void selection_done(struct selection *selection)
{
    selection->filter = bitsq_filter_free(selection->filter);
}

int parse_job_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    const char *dash = strchr(text, '-');
    uint64_t first, last;

    if (!dash) {
        int r = parse_u64(text, &first);
        if (r < 0)
            return r;
        if (first == 0)
            return -EINVAL;
        *ret_first = *ret_last = first;
        return 0;
    }
    int r = parse_u64_n(text, (size_t)(dash - text), &first);
    if (r >= 0)
        r = parse_u64(dash + 1, &last);
    if (r < 0)
        return r;
    if (first == 0 || first > last)
        return -EINVAL;
    *ret_first = first;
    *ret_last = last;
    return 0;
}

int parse_job_id(const struct cli *cli, const char *text, uint64_t *ret)
{
    uint64_t first, last;

    if (parse_job_range(text, &first, &last) < 0 || strchr(text, '-'))
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s is no job ID; bitsq list shows those there are", text);
    *ret = first;
    return 0;
}

int selection_add_operand(const struct cli *cli, struct selection *selection, const char *text)
{
    uint64_t first, last;

    if (parse_job_range(text, &first, &last) < 0)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "%s is neither a job ID nor a range like 12-20; bitsq list shows the IDs", text);
    if (strchr(text, '-')) {
        selection->ranges++;
        return bitsq_filter_add_range(selection->filter, first, last) < 0 ? cli_fail_memory(cli) : 0;
    }
    if (++selection->ids > SELECT_IDS_MAX)
        return cli_fail(cli, EXIT_LIMIT, "LimitReached",
                        "more than %d IDs in one command; name ranges instead, as 12-20", SELECT_IDS_MAX);
    return bitsq_filter_add_id(selection->filter, first) < 0 ? cli_fail_memory(cli) : 0;
}

int selection_add_states(const struct cli *cli, struct selection *selection, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        char name[32];
        (void)snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : sizeof(name) - 1), text);
        bitsq_state state = bitsq_state_from_name(name);
        if (state == BITSQ_STATE_UNKNOWN)
            return cli_fail(
                cli, EXIT_USAGE, "Usage",
                "%s is no state; use queued, blocked, connecting, transferring, replying, retrying, paused, "
                "cancelling, done, failed or cancelled",
                name);
        (void)bitsq_filter_add_state(selection->filter, state);
        selection->states = true;
        text += length;
        if (*text == ',')
            text++;
    }
    return 0;
}

int selection_set_group(const struct cli *cli, struct selection *selection, const char *group)
{
    int r = bitsq_filter_set_group(selection->filter, group);

    if (r == -EINVAL)
        return cli_fail(cli, EXIT_USAGE, "Usage", "the name of the group is not UTF-8; see bitsq list --json");
    if (r < 0)
        return cli_fail_memory(cli);
    selection->group = group;
    return 0;
}

bool selection_is_empty(const struct selection *selection)
{
    return selection->ids == 0 && selection->ranges == 0 && !selection->group && !selection->states && !selection->all;
}
