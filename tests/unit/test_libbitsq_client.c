/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library against a daemon that says what the test wants: a child process at the other end of a private socket. */
#include "internal.h"

#include "support/unit.h"

#include <errno.h>
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
    return sd_bus_message_append(reply, "a{sv}", 7, "Id", "t", id, "Name", "s", "report.iso", "State", "s", "retrying",
                                 "Error", "(sus)", "BG_E_HTTP_ERROR_503", 0x801901f7u, "busy", "Later", "s", "unknown",
                                 "ErrorDetails", "a{sv}", 2, "http_status", "u", 503u, "phase", "s", "Fragment",
                                 "AttemptLog", "a(tsists)", 1, UINT64_C(5), "E", 503, "Fragment", UINT64_C(9),
                                 "192.0.2.1:80");
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
        r = sd_bus_message_append(reply, "tta(tss)", UINT64_C(1), UINT64_C(1), 1, UINT64_C(12),
                                  BITSQ_ERROR_INVALID_STATE, "it is done");
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

static const struct CMUnitTest tests[] = {
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
