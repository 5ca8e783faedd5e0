/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library against a daemon that says what the test wants: a child process at the other end of a private socket. */
#include "internal.h"

#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- the other end ---- */

struct fake {
    const char *version;
    int pages; /* of QueryJobs, one job each; -1: a cursor that does not move */
};

static char folder[] = "/tmp/bitsq-client-XXXXXX";
static pid_t child;

static int reply_job(sd_bus_message *reply, uint64_t id)
{
    return sd_bus_message_append(reply, "a{sv}", 9, "Id", "t", id, "Name", "s", "report.iso", "State", "s", "retrying",
                                 "Error", "(sus)", "BG_E_HTTP_ERROR_503", 0x801901f7u, "busy", "Later", "s", "unknown",
                                 "ErrorDetails", "a{sv}", 2, "http_status", "u", 503u, "phase", "s", "Fragment",
                                 "AttemptLog", "a(tsists)", 1, UINT64_C(5), "E", 503, "Fragment", UINT64_C(9),
                                 "192.0.2.1:80", "Type", "s", "upload-reply", "Reply", "a{sv}", 4, "path", "ay", 3, '/',
                                 0xe9, 'r', "received", "t", UINT64_C(7), "size", "t", UINT64_MAX, "stored", "b", 0);
}

static int answer_query(const struct fake *fake, sd_bus_message *m, sd_bus_message *reply)
{
    uint64_t after;
    uint32_t limit;

    int r = sd_bus_message_skip(m, "a{sv}");
    if (r >= 0)
        r = sd_bus_message_read(m, "tu", &after, &limit);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    if (r >= 0)
        r = reply_job(reply, after + 1);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    uint64_t next = fake->pages < 0 ? 1 : after + 1 < (uint64_t)fake->pages ? after + 1 : 0;
    return r < 0 ? r : sd_bus_message_append(reply, "tt", next, UINT64_C(0));
}

/* Of "set": how many keys came is told as matched, how many of them are taken back as failed. */
static int answer_set(sd_bus_message *m, sd_bus_message *reply)
{
    uint64_t keys = 0, resets = 0;
    const char *key, *name;

    int r = sd_bus_message_skip(m, "a{sv}");
    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        keys++;
        if ((r = sd_bus_message_read(m, "s", &key)) < 0)
            break;
        if (strcmp(key, "reset") != 0) {
            r = sd_bus_message_skip(m, "v");
        } else {
            r = sd_bus_message_enter_container(m, 'v', "as");
            if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
            while (r >= 0 && (r = sd_bus_message_read(m, "s", &name)) > 0)
                resets++;
            if (r >= 0 && (r = sd_bus_message_exit_container(m)) >= 0)
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : sd_bus_message_append(reply, "tta(tss)", keys, resets, 0);
}

static int answer_control(sd_bus_message *m, sd_bus_message *reply)
{
    const char *verb;

    int r = sd_bus_message_read(m, "s", &verb);
    if (r >= 0 && strcmp(verb, "set") == 0)
        return answer_set(m, reply);
    return r < 0 ? r
                 : sd_bus_message_append(reply, "tta(tss)", UINT64_C(1), UINT64_C(1), 1, UINT64_C(12),
                                         BITSQ_ERROR_INVALID_STATE, "it is done");
}

static int answer_probe(sd_bus_message *m, sd_bus_message *reply)
{
    const char *url;

    int r = sd_bus_message_read(m, "s", &url);
    if (r >= 0 && strcmp(url, "http://slow/x") == 0)
        return 0; /* no answer */
    if (r >= 0)
        r = sd_bus_message_append(reply, "a{sv}", 5, "findings", "a(ssss)", 2, "verb", "problem", "it is blocked",
                                  "use POST", "ping", "ok", "answered", "", "usable", "b", 1, "latency", "t",
                                  UINT64_C(1500), "address", "s", "192.0.2.1", "later", "as", 1, "x");
    return r;
}

/* A descriptor of a file that says "hi". */
static int answer_reply(sd_bus_message *reply)
{
    char path[] = "/tmp/bitsq-reply-XXXXXX";
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0 || unlink(path) < 0 || write(fd, "hi", 2) != 2 || lseek(fd, 0, SEEK_SET) < 0)
        return -EIO;
    return sd_bus_message_append(reply, "h", fd);
}

static int send_signals(sd_bus *bus)
{
    int r = sd_bus_emit_signal(bus, BITSQ_DBUS_PATH, MANAGER_INTERFACE, "JobStateChanged", "tosa{sv}", UINT64_C(7),
                               "/org/bitsq1/jobs/7", "retrying", 2, "error", "(sus)", "E", 1u, "busy", "next_attempt",
                               "t", UINT64_C(99));
    if (r >= 0)
        r = sd_bus_emit_signal(bus, BITSQ_DBUS_PATH, MANAGER_INTERFACE, "OfALaterVersion", "s", "x");
    if (r >= 0)
        r = sd_bus_emit_signal(bus, BITSQ_DBUS_PATH, MANAGER_INTERFACE, "Progress", "a(tttt)", 2, UINT64_C(7),
                               UINT64_C(1), UINT64_C(2), UINT64_C(3), UINT64_C(8), UINT64_C(4), UINT64_C(5),
                               UINT64_C(6));
    return r;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;
    const struct fake *fake = userdata;
    const char *member = sd_bus_message_get_member(m), *text;

    (void)error;
    if (sd_bus_message_is_signal(m, NULL, NULL) > 0)
        return 0;
    int r = sd_bus_message_new_method_return(m, &reply);
    if (r < 0)
        return r;
    if (strcmp(member, "Get") == 0) {
        r = sd_bus_message_append(reply, "v", "s", fake->version);
    } else if (strcmp(member, "QueryJobs") == 0) {
        r = answer_query(fake, m, reply);
    } else if (strcmp(member, "Subscribe") == 0) {
        r = send_signals(sd_bus_message_get_bus(m)); /* before the answer: as when they crossed it */
        if (r >= 0)
            r = sd_bus_message_append(reply, "t", UINT64_C(0));
    } else if (strcmp(member, "FindJob") == 0) {
        r = sd_bus_message_read(m, "s", &text);
        if (r >= 0 && strcmp(text, "mine") != 0)
            return sd_bus_reply_method_errorf(m, BITSQ_ERROR_NO_SUCH_JOB, "no job has the key %s", text);
        r = sd_bus_message_append(reply, "o", "/org/bitsq1/jobs/18446744073709551615");
    } else if (strcmp(member, "ControlJobs") == 0) {
        r = answer_control(m, reply);
    } else if (strcmp(member, "OpenReply") == 0) {
        r = answer_reply(reply);
    } else if (strcmp(member, "Probe") == 0) {
        r = answer_probe(m, reply);
        if (r == 0)
            return 1;
    } else if (strcmp(member, "Unsubscribe") == 0) {
        return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_METHOD, "an older daemon");
    } else if (strcmp(member, "Reload") == 0) {
        _exit(0);
    } else {
        return 0; /* sd-bus says that there is no such object */
    }
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL) < 0 ? -EIO : 1;
}

static int serve(struct fake *fake, int listener)
{
    static const sd_id128_t id = SD_ID128_MAKE(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f);
    sd_bus *bus;

    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 || sd_bus_set_server(bus, 1, id) < 0 ||
        sd_bus_start(bus) < 0 || sd_bus_add_filter(bus, NULL, on_call, fake) < 0)
        return 1;
    for (;;) {
        int r = sd_bus_process(bus, NULL);
        if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
            return 0;
    }
}

/* ---- this end ---- */

static bitsq_client *connect_to(struct fake fake, unsigned flags, int expected)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bitsq_client *client;
    char program[64];

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    (void)unlink(address.sun_path);
    _cleanup_close_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(serve(&fake, listener));

    (void)snprintf(program, sizeof(program), "%s/bitsqd", folder);
    FILE *script = fopen(program, "we");
    assert_non_null(script);
    (void)fprintf(script, "#!/bin/sh\necho unix:path=%s\n", address.sun_path);
    assert_int_equal(fclose(script), 0);
    assert_int_equal(chmod(program, 0700), 0);
    assert_int_equal(setenv("BITSQ_DAEMON", program, 1), 0);
    assert_int_equal(bitsq_client_new(&client), 0);
    assert_int_equal(bitsq_client_connect(client, flags), expected);
    return client;
}

static void finish(bitsq_client *client)
{
    (void)bitsq_client_free(client);
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static void a_daemon_of_another_version_is_refused_with_the_remedy(void **state)
{
    (void)state;
    bitsq_client *client = connect_to((struct fake){.version = "7.3.0"}, 0, -EPROTO);
    assert_string_equal(bitsq_client_get_error_name(client), "VersionMismatch");
    assert_non_null(strstr(bitsq_client_get_error_message(client), "7.3.0"));
    assert_non_null(strstr(bitsq_client_get_error_message(client), "bitsq daemon restart"));
    finish(client);
}

static void it_is_accepted_by_who_wants_to_replace_it(void **state)
{
    (void)state;
    finish(connect_to((struct fake){.version = "7.3.0"}, BITSQ_CONNECT_ANY_VERSION, 0));
}

static void a_correction_release_is_no_other_version(void **state)
{
    (void)state;
    finish(connect_to((struct fake){.version = "0.1.99"}, 0, 0));
}

static void a_query_walks_over_all_pages(void **state)
{
    _cleanup_(bitsq_filter_free_p) bitsq_filter *filter = NULL;
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION, .pages = 3}, 0, 0);
    const char *name, *phase;
    bitsq_query *query;
    bitsq_job *job;

    (void)state;
    assert_int_equal(bitsq_filter_new(&filter), 0);
    assert_int_equal(bitsq_filter_set_all(filter), 0);
    assert_int_equal(bitsq_client_query(client, filter, &query), 0);
    for (uint64_t id = 1; id <= 3; id++) {
        uint64_t acknowledged;
        assert_int_equal(bitsq_query_next(query, &job), 1);
        assert_int_equal(bitsq_job_get_id(job), id);
        assert_string_equal(bitsq_job_get_name(job), "report.iso");
        assert_string_equal(bitsq_job_get_url(job), "");
        assert_int_equal(bitsq_job_get_state(job), BITSQ_STATE_RETRYING);
        assert_int_equal(bitsq_job_get_error_code(job), 0x801901f7u);
        assert_int_equal(bitsq_job_get_error_http_status(job), 503);
        assert_string_equal(bitsq_job_get_error_phase(job), "Fragment");
        assert_int_equal(bitsq_job_get_attempt(job, 0, NULL, &name, NULL, &phase, &acknowledged), 1);
        assert_string_equal(name, "E");
        assert_int_equal(acknowledged, 9);
        assert_int_equal(bitsq_job_get_attempt(job, 1, NULL, NULL, NULL, NULL, NULL), 0);
        assert_null(bitsq_job_get_gate(job, 0));
        assert_string_equal(bitsq_job_get_type(job), "upload-reply");
        assert_string_equal(bitsq_job_get_reply_path(job), "/\xe9r");
        assert_int_equal(bitsq_job_get_reply_received(job), 7);
        assert_int_equal(bitsq_job_get_reply_size(job, &acknowledged), 0);
        assert_false(bitsq_job_get_reply_stored(job));
        assert_string_equal(bitsq_job_get_server_host(job), "");
        assert_string_equal(bitsq_job_get_attempt_address(job, 0), "192.0.2.1:80");
        assert_string_equal(bitsq_job_get_attempt_address(job, 1), "");
        (void)bitsq_job_free(job);
    }
    assert_int_equal(bitsq_query_next(query, &job), 0);
    (void)bitsq_query_free(query);
    finish(client);
}

static void a_cursor_that_does_not_move_ends_the_walk(void **state)
{
    _cleanup_(bitsq_filter_free_p) bitsq_filter *filter = NULL;
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION, .pages = -1}, 0, 0);
    bitsq_query *query;
    bitsq_job *job;
    int r, jobs = 0;

    (void)state;
    assert_int_equal(bitsq_filter_new(&filter), 0);
    assert_int_equal(bitsq_client_query(client, filter, &query), 0);
    while ((r = bitsq_query_next(query, &job)) > 0) {
        (void)bitsq_job_free(job);
        assert_true(++jobs < 3);
    }
    assert_int_equal(r, -EPROTO);
    (void)bitsq_query_free(query);
    finish(client);
}

/* In a loop of the caller's own: poll() on what the client says, then dispatch. */
static bitsq_event *next_event(bitsq_client *client)
{
    for (;;) {
        bitsq_event *event;
        int r = bitsq_client_dispatch(client, &event);
        if (r > 0)
            return event;
        assert_int_equal(r, 0);
        struct pollfd fd = {.fd = bitsq_client_get_fd(client), .events = (short)bitsq_client_get_events(client)};
        uint64_t due;
        assert_int_equal(bitsq_client_get_timeout(client, &due), 0);
        assert_true(poll(&fd, 1, due == 0 ? 0 : 10000) >= 0);
    }
}

static void events_that_cross_an_answer_are_not_lost(void **state)
{
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION}, 0, 0);
    uint64_t id, acknowledged, size, rate, due;

    (void)state;
    assert_int_equal(bitsq_client_subscribe(client), 0);
    assert_int_equal(bitsq_client_get_timeout(client, &due), 0);
    assert_int_equal(due, 0);
    bitsq_event *event = next_event(client);
    assert_int_equal(bitsq_event_get_type(event), BITSQ_EVENT_JOB_CHANGED);
    assert_int_equal(bitsq_event_get_id(event), 7);
    assert_int_equal(bitsq_event_get_state(event), BITSQ_STATE_RETRYING);
    assert_string_equal(bitsq_event_get_error_message(event), "busy");
    assert_int_equal(bitsq_event_get_next_attempt(event), 99);
    (void)bitsq_event_free(event);
    event = next_event(client);
    assert_int_equal(bitsq_event_get_type(event), BITSQ_EVENT_PROGRESS);
    assert_int_equal(bitsq_event_get_progress(event, 1, &id, &acknowledged, &size, &rate), 1);
    assert_int_equal(id, 8);
    assert_int_equal(rate, 6);
    assert_int_equal(bitsq_event_get_progress(event, 2, NULL, NULL, NULL, NULL), 0);
    (void)bitsq_event_free(event);
    finish(client);
}

static void the_end_of_the_daemon_is_told_once(void **state)
{
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION}, 0, 0);
    bitsq_event *event;

    (void)state;
    assert_int_equal(bitsq_client_reload(client), -ENOTCONN);
    assert_string_equal(bitsq_client_get_error_name(client), "Disconnected");
    event = next_event(client);
    assert_int_equal(bitsq_event_get_type(event), BITSQ_EVENT_DISCONNECTED);
    (void)bitsq_event_free(event);
    assert_int_equal(bitsq_client_dispatch(client, &event), -ENOTCONN);
    assert_int_equal(bitsq_client_get_fd(client), -ENOTCONN);
    assert_int_equal(bitsq_client_subscribe(client), -ENOTCONN);
    finish(client);
}

static void errors_have_names_and_sentences(void **state)
{
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION}, 0, 0);
    const char *name, *message;
    bitsq_job *job;
    uint64_t id;

    (void)state;
    assert_int_equal(bitsq_client_find_job(client, "mine", &id), 0);
    assert_int_equal(id, UINT64_MAX);
    assert_int_equal(bitsq_client_find_job(client, "other", &id), -ENOENT);
    assert_string_equal(bitsq_client_get_error_message(client), "no job has the key other");
    assert_int_equal(bitsq_client_find_job(client, "caf\xe9", &id), -EINVAL);
    assert_int_equal(bitsq_client_get_job(client, 5, &job), -ENOENT);
    assert_non_null(strstr(bitsq_client_get_error_message(client), "no job 5"));
    assert_int_equal(bitsq_client_control_job(client, BITSQ_PAUSE, 12), -EBUSY);
    assert_int_equal(bitsq_client_get_failure(client, 0, &id, &name, &message), 1);
    assert_string_equal(name, "InvalidState");
    assert_string_equal(message, "it is done");
    assert_int_equal(bitsq_client_get_failure(client, 1, NULL, NULL, NULL), 0);
    assert_int_equal(bitsq_client_unsubscribe(client), -EPROTO);
    finish(client);
}

static void options_keep_their_types_and_can_be_taken_out(void **state)
{
    _cleanup_(bitsq_job_options_free_p) bitsq_job_options *options = NULL;
    const char *text = "untouched";
    uint64_t number;
    int truth;

    (void)state;
    assert_int_equal(bitsq_job_options_new(&options), 0);
    assert_null(bitsq_job_options_get_key(NULL, 0));
    assert_int_equal(bitsq_job_options_set_path(options, "reply", "/caf\xe9"), 0);
    assert_int_equal(bitsq_job_options_set_string(options, "cert", "/caf\xe9"), -EINVAL);
    assert_int_equal(bitsq_job_options_set_boolean(options, "netrc", 1), 0);
    assert_int_equal(bitsq_job_options_set_string(options, "proxy", ""), 0);
    assert_int_equal(bitsq_job_options_get_string(options, "reply", &text), 0);
    assert_string_equal(text, "untouched");
    assert_int_equal(bitsq_job_options_get_path(options, "reply", &text), 1);
    assert_string_equal(text, "/caf\xe9");
    assert_int_equal(bitsq_job_options_get_path(options, "proxy", &text), 0);
    assert_string_equal(bitsq_job_options_get_key(options, 2), "proxy");
    assert_null(bitsq_job_options_get_key(options, 3));
    bitsq_job_options_unset(options, "reply");
    bitsq_job_options_unset(options, "never set");
    assert_null(bitsq_job_options_get_key(options, 2));
    assert_int_equal(bitsq_job_options_get_boolean(options, "netrc", &truth), 1);
    assert_int_equal(bitsq_job_options_get_string(options, "proxy", &text), 1);
    assert_int_equal(bitsq_job_options_get_uint64(options, "netrc", &number), 0);
}

static void settings_and_those_to_take_back_reach_the_daemon(void **state)
{
    _cleanup_(bitsq_job_options_free_p) bitsq_job_options *options = NULL;
    _cleanup_(bitsq_filter_free_p) bitsq_filter *filter = NULL;
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION}, 0, 0);
    uint64_t keys, resets;

    (void)state;
    assert_int_equal(bitsq_filter_new(&filter), 0);
    assert_int_equal(bitsq_filter_add_id(filter, 12), 0);
    assert_int_equal(bitsq_job_options_new(&options), 0);
    assert_int_equal(bitsq_job_options_set_string(options, "priority", "high"), 0);
    assert_int_equal(bitsq_job_options_set_path(options, "path", "/x"), 0);
    assert_int_equal(bitsq_job_options_reset(options, "proxy"), 0);
    assert_int_equal(bitsq_job_options_reset(options, "netrc"), 0);
    assert_int_equal(bitsq_client_set(client, filter, options, &keys, &resets), 0);
    assert_int_equal(keys, 3);
    assert_int_equal(resets, 2);
    finish(client);
}

static void a_probe_tells_what_it_found(void **state)
{
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION}, 0, 0);
    const char *name, *verdict, *text, *remedy;
    bitsq_probe *probe;

    (void)state;
    assert_int_equal(bitsq_client_probe(client, "http://h/x", NULL, UINT64_C(60000000), &probe), 0);
    assert_true(bitsq_probe_is_usable(probe));
    assert_int_equal(bitsq_probe_get_latency(probe), 1500);
    assert_string_equal(bitsq_probe_get_address(probe), "192.0.2.1");
    assert_int_equal(bitsq_probe_get_finding(probe, 0, &name, &verdict, &text, &remedy), 1);
    assert_string_equal(name, "verb");
    assert_string_equal(verdict, "problem");
    assert_string_equal(text, "it is blocked");
    assert_string_equal(remedy, "use POST");
    assert_int_equal(bitsq_probe_get_finding(probe, 1, NULL, NULL, NULL, &remedy), 1);
    assert_string_equal(remedy, "");
    assert_int_equal(bitsq_probe_get_finding(probe, 2, &name, NULL, NULL, NULL), 0);
    assert_null(bitsq_probe_free(probe));
    assert_null(bitsq_probe_free(NULL));
    finish(client);
}

static void a_probe_ends_with_its_timeout(void **state)
{
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION}, 0, 0);
    bitsq_probe *probe;

    (void)state;
    assert_int_equal(bitsq_client_probe(client, "http://slow/x", NULL, 1000, &probe), -ETIMEDOUT);
    assert_string_equal(bitsq_client_get_error_name(client), "TimedOut");
    finish(client);
}

static void a_reply_is_the_caller_s_descriptor(void **state)
{
    bitsq_client *client = connect_to((struct fake){.version = BITSQ_VERSION}, 0, 0);
    char text[8] = "";
    int fd;

    (void)state;
    assert_int_equal(bitsq_client_open_reply(client, 7, &fd), 0);
    finish(client);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof(text)), 2);
    assert_string_equal(text, "hi");
    assert_int_equal(close(fd), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(options_keep_their_types_and_can_be_taken_out),
    cmocka_unit_test(settings_and_those_to_take_back_reach_the_daemon),
    cmocka_unit_test(a_probe_tells_what_it_found),
    cmocka_unit_test(a_probe_ends_with_its_timeout),
    cmocka_unit_test(a_reply_is_the_caller_s_descriptor),
    cmocka_unit_test(a_daemon_of_another_version_is_refused_with_the_remedy),
    cmocka_unit_test(it_is_accepted_by_who_wants_to_replace_it),
    cmocka_unit_test(a_correction_release_is_no_other_version),
    cmocka_unit_test(a_query_walks_over_all_pages),
    cmocka_unit_test(a_cursor_that_does_not_move_ends_the_walk),
    cmocka_unit_test(events_that_cross_an_answer_are_not_lost),
    cmocka_unit_test(the_end_of_the_daemon_is_told_once),
    cmocka_unit_test(errors_have_names_and_sentences),
};

int main(void)
{
    cmocka_set_test_filter(getenv("BITSQ_TEST"));
    return cmocka_run_group_tests(tests, setup, teardown);
}
