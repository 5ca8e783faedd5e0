/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's side: runs that wait for their turn, and those that the process has been told of. */
#include "io/spawner.h"

#include "io/spawner_message.h"
#include "io/spawner_process.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define WORDS_SHOWN_MAX 200 /* bytes of a program's last words */

struct spawner_run {
    TAILQ_ENTRY(spawner_run) entry;
    struct spawner *spawner;
    uint64_t id;
    void *message; /* while it waits */
    size_t size;
    bool cancelled;        /* nobody is told; its turn is over with the answer */
    bool is_cancel_unsent; /* the socket was full */
    void (*done)(void *userdata, const struct spawner_result *result);
    void *userdata;
};

TAILQ_HEAD(spawner_run_list, spawner_run);

struct spawner {
    pid_t pid;
    int socket; /* -1 = it has died */
    sd_event_source *source;
    void (*died)(void *userdata);
    void *userdata;
    uint64_t last_id;
    struct spawner_run_list waiting, running;
    size_t waiting_count, running_count;
    char answer[SPAWNER_ANSWER_MAX];
};

static void forget_message(struct spawner_run *run)
{
    if (run->message)
        explicit_bzero(run->message, run->size);
    free(TAKE_PTR(run->message));
}

static void run_free(struct spawner_run *run)
{
    forget_message(run);
    free(run);
}

/* ---- the process ---- */

int spawner_start(struct spawner **ret)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pair[0]);
        spawner_process(pair[1]);
    }
    int r = pid < 0 ? -errno : 0;
    (void)close(pair[1]);
    struct spawner *spawner = r < 0 ? NULL : calloc(1, sizeof(*spawner));
    if (!spawner) {
        (void)close(pair[0]); /* which ends it */
        return r < 0 ? r : -ENOMEM;
    }
    spawner->pid = pid;
    spawner->socket = pair[0];
    TAILQ_INIT(&spawner->waiting);
    TAILQ_INIT(&spawner->running);
    *ret = spawner;
    return 0;
}

pid_t spawner_pid(const struct spawner *spawner)
{
    return spawner->socket >= 0 ? spawner->pid : 0;
}

/* Its socket is closed: it kills what runs, and leaves; nothing that it does then takes time. */
static void end_process(struct spawner *spawner)
{
    spawner->source = sd_event_source_disable_unref(spawner->source);
    if (spawner->socket < 0)
        return;
    (void)close(TAKE_FD(spawner->socket));
    while (waitpid(spawner->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

struct spawner *spawner_free(struct spawner *spawner)
{
    struct spawner_run *run;

    if (!spawner)
        return NULL;
    end_process(spawner);
    TAILQ_CONCAT(&spawner->waiting, &spawner->running, entry);
    while ((run = TAILQ_FIRST(&spawner->waiting)) != NULL) {
        TAILQ_REMOVE(&spawner->waiting, run, entry);
        run_free(run);
    }
    free(spawner);
    return NULL;
}

/* ---- sending ---- */

/* 0 where it cannot be taken now, 1 where it was; a dead process shows in on_socket(). */
static int send_message(struct spawner *spawner, const void *message, size_t size)
{
    return send(spawner->socket, message, size, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static bool send_cancel(struct spawner *spawner, const struct spawner_run *run)
{
    struct spawner_request request = {.id = run->id};

    return send_message(spawner, &request, sizeof(request));
}

/* Sends what may be sent, and has the loop wait for room if there is none. */
static void pump(struct spawner *spawner)
{
    struct spawner_run *run;
    bool is_full = false;

    if (spawner->socket < 0)
        return;
    TAILQ_FOREACH (run, &spawner->running, entry)
        if (run->is_cancel_unsent && !is_full) {
            is_full = !send_cancel(spawner, run);
            run->is_cancel_unsent = is_full;
        }
    while (!is_full && spawner->running_count < SPAWNER_PARALLEL && (run = TAILQ_FIRST(&spawner->waiting)) != NULL) {
        is_full = !send_message(spawner, run->message, run->size);
        if (is_full)
            break;
        TAILQ_REMOVE(&spawner->waiting, run, entry);
        TAILQ_INSERT_TAIL(&spawner->running, run, entry);
        spawner->waiting_count--;
        spawner->running_count++;
        forget_message(run);
    }
    if (spawner->source)
        (void)sd_event_source_set_io_events(spawner->source, is_full ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- answers ---- */

static void finish_run(struct spawner_run *run, const struct spawner_result *result)
{
    if (!run->cancelled)
        run->done(run->userdata, result);
    run_free(run);
}

/* What is still to be told goes to nobody else: done() may ask for more, and is refused. */
static void process_died(struct spawner *spawner)
{
    static const struct spawner_result result = {
        .error = -ECONNRESET, .exit_status = -1, .output = "", .error_text = ""};
    struct spawner_run *run;

    (void)kill(spawner->pid, SIGKILL); /* where it only closed its socket */
    end_process(spawner);
    if (spawner->died)
        spawner->died(spawner->userdata);
    while ((run = TAILQ_FIRST(&spawner->running)) != NULL || (run = TAILQ_FIRST(&spawner->waiting)) != NULL) {
        struct spawner_run_list *list = TAILQ_FIRST(&spawner->running) == run ? &spawner->running : &spawner->waiting;
        TAILQ_REMOVE(list, run, entry);
        finish_run(run, &result);
    }
    spawner->running_count = spawner->waiting_count = 0;
}

static struct spawner_run *find_running(struct spawner *spawner, uint64_t id)
{
    struct spawner_run *run;

    TAILQ_FOREACH (run, &spawner->running, entry)
        if (run->id == id)
            return run;
    return NULL;
}

static void take_answer(struct spawner *spawner, const struct spawner_answer *answer)
{
    char output[SPAWNER_OUTPUT_BYTES + 1], error[SPAWNER_ERROR_BYTES + 1];
    struct spawner_run *run = find_running(spawner, answer->id);

    assert(run); /* one answer for each request, and none else */
    memcpy(output, spawner->answer + sizeof(*answer), answer->output_bytes);
    memcpy(error, spawner->answer + sizeof(*answer) + answer->output_bytes, answer->error_bytes);
    output[answer->output_bytes] = error[answer->error_bytes] = '\0';
    struct spawner_result result = {
        .error = answer->error,
        .timed_out = answer->timed_out,
        .exit_status = answer->exit_status,
        .signal = answer->signal,
        .output = output,
        .output_bytes = answer->output_bytes,
        .output_cut = answer->output_cut,
        .error_text = error,
        .error_bytes = answer->error_bytes,
    };
    TAILQ_REMOVE(&spawner->running, run, entry);
    spawner->running_count--;
    pump(spawner);
    finish_run(run, &result);
    explicit_bzero(output, sizeof(output));
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct spawner *spawner = userdata;
    struct spawner_answer answer;

    (void)source;
    ssize_t n = recv(fd, spawner->answer, sizeof(spawner->answer), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (events & EPOLLOUT)
            pump(spawner);
        return 0;
    }
    if (n > 0 && spawner_answer_read(spawner->answer, (size_t)n, &answer))
        take_answer(spawner, &answer);
    else
        process_died(spawner);
    explicit_bzero(spawner->answer, n > 0 ? (size_t)n : 0);
    return 0;
}

int spawner_attach(struct spawner *spawner, sd_event *event, void (*died)(void *userdata), void *userdata)
{
    spawner->died = died;
    spawner->userdata = userdata;
    int r = sd_event_add_io(event, &spawner->source, spawner->socket, EPOLLIN, on_socket, spawner);
    if (r < 0)
        return r;
    pump(spawner);
    return 0;
}

/* ---- runs ---- */

int spawner_run(struct spawner *spawner, const char *const *argv, const char *const *environment, uint64_t timeout_usec,
                void (*done)(void *userdata, const struct spawner_result *result), void *userdata,
                struct spawner_run **ret)
{
    if (spawner->socket < 0)
        return -ECONNRESET;
    if (spawner->waiting_count == SPAWNER_QUEUED)
        return -EAGAIN;
    struct spawner_run *run = calloc(1, sizeof(*run));
    if (!run)
        return -ENOMEM;
    run->spawner = spawner;
    run->id = ++spawner->last_id;
    run->done = done;
    run->userdata = userdata;
    int r = spawner_request_build(run->id, argv, environment, timeout_usec, &run->message, &run->size);
    if (r < 0) {
        run_free(run);
        return r;
    }
    TAILQ_INSERT_TAIL(&spawner->waiting, run, entry);
    spawner->waiting_count++;
    pump(spawner);
    *ret = run;
    return 0;
}

void spawner_run_cancel(struct spawner_run *run)
{
    struct spawner *spawner = run->spawner;

    if (run->message) {
        TAILQ_REMOVE(&spawner->waiting, run, entry);
        spawner->waiting_count--;
        run_free(run);
        return;
    }
    run->cancelled = true;
    run->is_cancel_unsent = true;
    pump(spawner);
}

/* ---- what callers share ---- */

char *spawner_last_words(const struct spawner_result *result)
{
    const char *text = result->error_text;
    size_t length = result->error_bytes;

    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r' || text[length - 1] == ' '))
        length--;
    size_t begin = length;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    if (length - begin > WORDS_SHOWN_MAX)
        begin = length - WORDS_SHOWN_MAX;
    _cleanup_free_ char *line = text_duplicate(text + begin, length - begin);
    return line ? text_escape(line) : NULL;
}

int spawner_environment(char *ret[static SPAWNER_ENVIRONMENT_MAX])
{
    static const char *const names[] = {"PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"};
    static_assert(ELEMENTS(names) == SPAWNER_ENVIRONMENT_MAX, "there is room for all");
    int count = 0;

    for (size_t i = 0; i < ELEMENTS(names); i++) {
        const char *value = getenv(names[i]);
        if (!value)
            continue;
        if (asprintf(&ret[count], "%s=%s", names[i], value) < 0) {
            ret[count] = NULL;
            return -ENOMEM;
        }
        count++;
    }
    return count;
}
