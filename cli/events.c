/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* events: the journal of what happened in the queue, and what happens on. */
#include "cli/args.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/row.h"

#include "base/moment.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

enum {
    OPTION_SINCE = OPTION_LONG,
};

const struct option_spec events_options[] = {
    {OPTION_SINCE, "since", "SEQ", "only what came after this number; default: all that is kept"},
    {'f', "follow", NULL, "go on with what happens, until Ctrl-C"},
    {0},
};

struct events {
    struct cli *cli;
    bitsq_journal *journal;
    struct json_object *array; /* of one JSON object; else NULL */
    uint64_t since;
    bool has_since, follows, has_gap;
};

static struct json_object *event_json(const struct events *events, const char *schema)
{
    const bitsq_journal *journal = events->journal;
    struct json_object *object = json_start(schema);

    json_set_number(object, "sequence", bitsq_journal_get_sequence(journal));
    json_set_time(object, "time", bitsq_journal_get_time(journal));
    json_set_text(object, "event", bitsq_journal_get_type(journal));
    if (bitsq_journal_get_id(journal) != 0)
        json_set_number(object, "id", bitsq_journal_get_id(journal));
    else
        (void)json_object_object_add(object, "id", NULL);
    json_set_number(object, "count", bitsq_journal_get_count(journal));
    json_set_text(object, "name", bitsq_journal_get_name(journal));
    json_set_time(object, "next_attempt", bitsq_journal_get_next_attempt(journal));
    if (*bitsq_journal_get_error_message(journal) != '\0') {
        struct json_object *error = json_start(NULL);
        json_set_text(error, "name", bitsq_journal_get_error_name(journal));
        json_set_text(error, "message", bitsq_journal_get_error_message(journal));
        (void)json_object_object_add(object, "error", error);
    } else {
        (void)json_object_object_add(object, "error", NULL);
    }
    json_set_boolean(object, "gap", bitsq_journal_has_gap(journal));
    return object;
}

static int print_line(const struct events *events)
{
    const bitsq_journal *journal = events->journal;
    char message[NOTE_MAX];

    remedy_text(bitsq_journal_get_error_message(journal), bitsq_journal_get_id(journal), NULL, message);
    _cleanup_free_ char *name = safe_text(bitsq_journal_get_name(journal));
    _cleanup_free_ char *error = safe_text(message);
    uint64_t now = moment_now().realtime_usec, next = bitsq_journal_get_next_attempt(journal);
    char clock[CLOCK_TEXT_MAX], next_clock[CLOCK_TEXT_MAX];

    if (!name || !error)
        return cli_fail_memory(events->cli);
    (void)printf("%" PRIu64 "  %s  ", bitsq_journal_get_sequence(journal),
                 clock_text(bitsq_journal_get_time(journal), now, clock));
    if (bitsq_journal_get_id(journal) == 0)
        (void)printf("%" PRIu64 " jobs: %s", bitsq_journal_get_count(journal), bitsq_journal_get_type(journal));
    else
        (void)printf("%" PRIu64 " %s: %s", bitsq_journal_get_id(journal), name, bitsq_journal_get_type(journal));
    if (*error != '\0')
        (void)printf("; %s", error);
    if (next != 0)
        (void)printf(", next %s", clock_text(next, now, next_clock));
    (void)printf("\n");
    return 0;
}

static void note_gap(struct events *events)
{
    events->has_gap = true;
    if (events->since >= bitsq_journal_get_sequence(events->journal)) {
        cli_note(events->cli,
                 "there is no event %" PRIu64 " yet, so that the number is of another queue; all that this one keeps "
                 "follows",
                 events->since);
        return;
    }
    cli_note(events->cli,
             "events before %" PRIu64 " are not kept any more, and what they told is missing here; "
             "bitsq list shows how things stand",
             bitsq_journal_get_sequence(events->journal));
}

static int print_event(struct events *events)
{
    /* Without --since nobody was promised what went before. */
    if (bitsq_journal_has_gap(events->journal) && events->has_since)
        note_gap(events);
    events->since = bitsq_journal_get_sequence(events->journal);
    if (events->cli->json == JSON_OFF)
        return print_line(events);
    if (events->array)
        (void)json_object_array_add(events->array, event_json(events, NULL));
    else
        json_print(event_json(events, "bitsq.event/1"));
    return 0;
}

/* 0; -ENOTCONN: the daemon went; a positive exit code: said already. */
static int print_new(struct events *events)
{
    int r = 0, code = 0;

    while (code == 0 && (r = bitsq_journal_next(events->journal)) > 0)
        code = print_event(events);
    (void)fflush(stdout);
    if (code != 0 || r >= 0)
        return code;
    return r == -ENOTCONN && events->follows ? r : cli_fail_client(events->cli, "cannot read the events");
}

static int open_journal(struct events *events)
{
    events->journal = bitsq_journal_free(events->journal);
    /* Signals only wake: what happened is read from the journal, where nothing is missing. */
    if (events->follows && bitsq_client_subscribe(events->cli->client) < 0)
        return cli_fail_client(events->cli, "cannot follow the events");
    if (bitsq_client_open_journal(events->cli->client, events->since, &events->journal) < 0)
        return cli_fail_memory(events->cli);
    return print_new(events);
}

static int connect_again(struct events *events)
{
    cli_note(events->cli, "the daemon went away; connecting again");
    if (bitsq_client_connect(events->cli->client, 0) < 0)
        return cli_fail_client(events->cli, "cannot follow the events");
    events->has_since = true;
    return open_journal(events);
}

/* Takes the signals that have come. 1 where there was any, -ENOTCONN where the daemon went. */
static int drain(struct events *events)
{
    int woken = 0;

    for (;;) {
        bitsq_event *event = NULL;
        int r = bitsq_client_dispatch(events->cli->client, &event);
        if (r <= 0)
            return r < 0 ? cli_fail_client(events->cli, "cannot follow the events") : woken;
        bool gone = bitsq_event_get_type(event) == BITSQ_EVENT_DISCONNECTED;
        (void)bitsq_event_free(event);
        if (gone)
            return -ENOTCONN;
        woken = 1;
    }
}

static int wait_for_news(struct events *events, int signals, bool *ret_interrupted)
{
    struct pollfd fds[] = {
        {.fd = bitsq_client_get_fd(events->cli->client), .events = (short)bitsq_client_get_events(events->cli->client)},
        {.fd = signals, .events = POLLIN},
    };
    struct signalfd_siginfo info;
    uint64_t until = USEC_INFINITY, now = moment_now().monotonic_usec;

    (void)bitsq_client_get_timeout(events->cli->client, &until);
    uint64_t msec = until == USEC_INFINITY ? INT_MAX : (usec_sub(until, now) + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    if (poll(fds, ELEMENTS(fds), msec >= INT_MAX ? -1 : (int)msec) < 0 && errno != EINTR)
        return cli_fail(events->cli, EXIT_OTHER, "Failed", "cannot wait: %s", strerror(errno));
    /* Taken, or it would end this process once it is let through again. */
    *ret_interrupted = fds[1].revents && read(signals, &info, sizeof(info)) == sizeof(info);
    return 0;
}

static int follow(struct events *events, int signals)
{
    int code = open_journal(events);
    bool interrupted = false;

    while (code <= 0 && !interrupted) {
        if (code == -ENOTCONN) {
            code = connect_again(events);
            continue;
        }
        code = wait_for_news(events, signals, &interrupted);
        if (code == 0 && !interrupted)
            code = drain(events);
        if (code == 1)
            code = print_new(events);
    }
    if (!interrupted)
        return code;
    cli_note(events->cli, "to go on from here: bitsq events --follow --since %" PRIu64, events->since);
    return EXIT_DETACHED;
}

static int run_follow(struct events *events)
{
    sigset_t caught, before;

    (void)sigemptyset(&caught);
    (void)sigaddset(&caught, SIGINT);
    (void)sigaddset(&caught, SIGTERM);
    (void)sigaddset(&caught, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &caught, &before);
    _cleanup_close_ int signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    int code = follow(events, signals);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}

static int run_once(struct events *events)
{
    bool one_object = events->cli->json == JSON_OBJECT;

    if (one_object)
        events->array = json_object_new_array();
    int code = open_journal(events);
    if (one_object && code == 0) {
        struct json_object *answer = json_start("bitsq.events/1");
        (void)json_object_object_add(answer, "events", events->array);
        json_set_number(answer, "next", events->since);
        json_set_boolean(answer, "gap", events->has_gap);
        json_print(answer);
    } else if (one_object) {
        (void)json_object_put(events->array);
    }
    return code;
}

int verb_events(struct cli *cli, int argc, char **argv)
{
    struct events events = {.cli = cli};
    const char *value;
    struct args args;
    int id, code = 0;

    args_init(&args, cli, argc, argv);
    while ((id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            return code;
        if (id == 'f') {
            events.follows = true;
            continue;
        }
        events.has_since = true;
        if (parse_u64(value, &events.since) < 0)
            return cli_fail(cli, EXIT_USAGE, "Usage", "--since takes the number of an event, not %s", value);
    }
    if (optind != argc)
        return args_fail_usage(&args, "events takes no names");
    code = cli_connect(cli, 0, true);
    if (code == 0)
        code = events.follows ? run_follow(&events) : run_once(&events);
    (void)bitsq_journal_free(events.journal);
    return code;
}
