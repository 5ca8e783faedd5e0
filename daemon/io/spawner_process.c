/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread, one poll(2): the socket, SIGCHLD, and two pipes for each program that runs.
 *
 * It lives as long as the daemon's end of the socket is open, which the kernel closes however the daemon ends. (A
 * PR_SET_PDEATHSIG would come too early: it would kill the spawner before that has killed what it runs.)
 */
#include "io/spawner_process.h"

#include "io/spawner_message.h"

#include "base/cleanup.h"
#include "base/moment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define SOCKET_FD 3
#define FILES_OF_HELPER                                                                          \
    1024 /* the usual soft limit; the daemon has raised its own, select(2) cannot cope with that \
          */

struct slot {
    pid_t pid; /* 0 = free */
    uint64_t id;
    uint64_t deadline_usec;
    bool answered; /* killed, but it does not die: it hangs in a file system */
    int output_fd, error_fd;
    int exec_fd; /* an errno comes out of it where the program could not be started */
    struct spawner_answer answer;
    char output[SPAWNER_OUTPUT_BYTES + 1]; /* one more than is let through: it tells that there was more */
    char error[SPAWNER_ERROR_BYTES];
};

/* The state of the process: there is one, and it does nothing else. */
struct spawner_state {
    int signal_fd;
    char *argv[SPAWNER_STRINGS_MAX + 1], *environment[SPAWNER_STRINGS_MAX + 1]; /* into message */
    struct slot slots[SPAWNER_SLOTS];
    char message[SPAWNER_REQUEST_MAX > SPAWNER_ANSWER_MAX ? SPAWNER_REQUEST_MAX : SPAWNER_ANSWER_MAX];
};

static uint64_t now_usec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* ---- answers ---- */

/* Waits while the socket is full: the daemon always reads, and never waits for this side. */
static void send_answer(struct spawner_state *state, const struct spawner_answer *answer, const char *output,
                        const char *error)
{
    char *at = state->message;
    size_t size = sizeof(*answer) + answer->output_bytes + answer->error_bytes;

    memcpy(at, answer, sizeof(*answer));
    memcpy(at + sizeof(*answer), output, answer->output_bytes);
    memcpy(at + sizeof(*answer) + answer->output_bytes, error, answer->error_bytes);
    while (send(SOCKET_FD, at, size, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
    explicit_bzero(at, size);
}

static void refuse(struct spawner_state *state, uint64_t id, int error)
{
    struct spawner_answer answer = {.id = id, .error = error, .exit_status = -1};

    send_answer(state, &answer, "", "");
}

static void close_pipe(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* ---- a program's pipes ---- */

static void kill_group(const struct slot *slot)
{
    (void)kill(-slot->pid, SIGKILL);
    (void)kill(slot->pid, SIGKILL); /* it may not have got as far as to have a group */
}

static void read_output(struct slot *slot)
{
    ssize_t n;

    while (slot->output_fd >= 0) {
        size_t have = slot->answer.output_bytes;
        n = read(slot->output_fd, slot->output + have, sizeof(slot->output) - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n > 0)
            slot->answer.output_bytes += (uint32_t)n;
        if (slot->answer.output_bytes > SPAWNER_OUTPUT_BYTES) {
            slot->answer.output_bytes = SPAWNER_OUTPUT_BYTES;
            slot->answer.output_cut = true;
            kill_group(slot);
        }
        if (n <= 0 || slot->answer.output_cut)
            close_pipe(&slot->output_fd);
    }
}

/* Of a full buffer the older half goes: what a program says last is why it failed. */
static void read_error(struct slot *slot)
{
    ssize_t n;

    while (slot->error_fd >= 0) {
        if (slot->answer.error_bytes == SPAWNER_ERROR_BYTES) {
            memmove(slot->error, slot->error + SPAWNER_ERROR_BYTES / 2, SPAWNER_ERROR_BYTES / 2);
            slot->answer.error_bytes = SPAWNER_ERROR_BYTES / 2;
        }
        size_t have = slot->answer.error_bytes;
        n = read(slot->error_fd, slot->error + have, SPAWNER_ERROR_BYTES - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n > 0)
            slot->answer.error_bytes += (uint32_t)n;
        else
            close_pipe(&slot->error_fd);
    }
}

static void answer_slot(struct spawner_state *state, struct slot *slot)
{
    if (slot->answered)
        return;
    read_output(slot);
    read_error(slot);
    close_pipe(&slot->output_fd);
    close_pipe(&slot->error_fd);
    slot->answered = true;
    send_answer(state, &slot->answer, slot->output, slot->error);
    explicit_bzero(slot->output, sizeof(slot->output));
    explicit_bzero(slot->error, sizeof(slot->error));
}

/* ---- starting ---- */

static void set_default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void limit_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max < FILES_OF_HELPER ? limit.rlim_max : FILES_OF_HELPER;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* In the child. Standard input is /dev/null already, the spawner's own. */
static _Noreturn void become(char **argv, char **environment, int output, int error, int exec_fd)
{
    int error_number = 0;

    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_default_signals();
    limit_files();
    if (dup2(output, STDOUT_FILENO) < 0 || dup2(error, STDERR_FILENO) < 0 || chdir("/") < 0)
        error_number = errno;
    /* All else closes itself: every descriptor here is O_CLOEXEC. */
    if (error_number == 0) {
        (void)execve(argv[0], argv, environment);
        error_number = errno;
    }
    (void)!write(exec_fd, &error_number, sizeof(error_number));
    _exit(127);
}

/* The pipes' ends for reading; those for writing stay with the child. */
static int start_in(struct slot *slot, char **argv, char **environment)
{
    int output[2] = {-1, -1}, error[2] = {-1, -1}, exec[2] = {-1, -1};
    pid_t pid = -1;

    if (pipe2(output, O_CLOEXEC) >= 0 && pipe2(error, O_CLOEXEC) >= 0 && pipe2(exec, O_CLOEXEC) >= 0)
        pid = fork();
    int r = pid < 0 ? -errno : 0;
    if (pid == 0)
        become(argv, environment, output[1], error[1], exec[1]);
    close_pipe(&output[1]);
    close_pipe(&error[1]);
    close_pipe(&exec[1]);
    slot->output_fd = output[0];
    slot->error_fd = error[0];
    slot->exec_fd = exec[0];
    if (r < 0) {
        close_pipe(&slot->output_fd);
        close_pipe(&slot->error_fd);
        close_pipe(&slot->exec_fd);
        return r;
    }
    /* Only this side: the program expects pipes as a shell makes them. */
    for (size_t i = 0; i < 3; i++)
        (void)fcntl(i == 0 ? slot->output_fd : i == 1 ? slot->error_fd : slot->exec_fd, F_SETFL, O_NONBLOCK);
    slot->pid = pid;
    return 0;
}

static struct slot *find_slot(struct spawner_state *state, uint64_t id)
{
    for (size_t i = 0; i < SPAWNER_SLOTS; i++)
        if (id == 0 ? state->slots[i].pid == 0 : state->slots[i].pid != 0 && state->slots[i].id == id)
            return &state->slots[i];
    return NULL;
}

static void start(struct spawner_state *state, const struct spawner_request *request)
{
    struct slot *slot = find_slot(state, 0);

    if (!slot) {
        refuse(state, request->id, -EAGAIN);
        return;
    }
    slot->id = request->id;
    slot->deadline_usec = usec_add(now_usec(), request->timeout_usec);
    slot->answered = false;
    slot->answer = (struct spawner_answer){.id = request->id, .exit_status = -1};
    int r = start_in(slot, state->argv, state->environment);
    if (r < 0)
        refuse(state, request->id, r);
}

/* ---- what happens ---- */

static void take_request(struct spawner_state *state)
{
    struct spawner_request request;
    struct slot *slot;

    ssize_t n = recv(SOCKET_FD, state->message, sizeof(state->message), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0 || !spawner_request_read(state->message, (size_t)n, &request, state->argv, state->environment)) {
        for (size_t i = 0; i < SPAWNER_SLOTS; i++)
            if (state->slots[i].pid != 0)
                kill_group(&state->slots[i]);
        _exit(0);
    }
    if (request.arguments > 0) {
        start(state, &request);
    } else if ((slot = find_slot(state, request.id)) != NULL && !slot->answered) {
        kill_group(slot);
        answer_slot(state, slot);
    }
}

/* The program has ended. What it left behind in its group is killed while its own entry still keeps the number taken.
 */
static void reap(struct spawner_state *state, struct slot *slot)
{
    siginfo_t info = {0};
    int error = 0;

    if (waitid(P_PID, (id_t)slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return;
    (void)kill(-slot->pid, SIGKILL);
    (void)waitpid(slot->pid, NULL, 0);
    if (read(slot->exec_fd, &error, sizeof(error)) == (ssize_t)sizeof(error))
        slot->answer.error = -error;
    else if (info.si_code == CLD_EXITED)
        slot->answer.exit_status = info.si_status;
    else
        slot->answer.signal = info.si_status;
    /* Whoever has the answer finds nothing of the program left. */
    close_pipe(&slot->exec_fd);
    slot->pid = 0;
    answer_slot(state, slot);
}

static void take_signals(struct spawner_state *state)
{
    struct signalfd_siginfo info;

    while (read(state->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        ;
    for (size_t i = 0; i < SPAWNER_SLOTS; i++)
        if (state->slots[i].pid != 0)
            reap(state, &state->slots[i]);
}

static void end_overdue(struct spawner_state *state)
{
    uint64_t now = now_usec();

    for (size_t i = 0; i < SPAWNER_SLOTS; i++) {
        struct slot *slot = &state->slots[i];
        if (slot->pid == 0 || slot->answered || now < slot->deadline_usec)
            continue;
        kill_group(slot);
        slot->answer.timed_out = true;
        answer_slot(state, slot);
    }
}

static int wait_msec(const struct spawner_state *state)
{
    uint64_t now = now_usec(), next = USEC_INFINITY;

    for (size_t i = 0; i < SPAWNER_SLOTS; i++) {
        const struct slot *slot = &state->slots[i];
        if (slot->pid != 0 && !slot->answered && slot->deadline_usec < next)
            next = slot->deadline_usec;
    }
    if (next == USEC_INFINITY)
        return -1;
    uint64_t msec = usec_sub(next, now) / USEC_PER_MSEC + 1;
    return msec > 3600000 ? 3600000 : (int)msec;
}

static void turn(struct spawner_state *state)
{
    struct pollfd fds[2 + 2 * SPAWNER_SLOTS] = {
        {.fd = SOCKET_FD, .events = POLLIN},
        {.fd = state->signal_fd, .events = POLLIN},
    };

    for (size_t i = 0; i < SPAWNER_SLOTS; i++) {
        bool runs = state->slots[i].pid != 0;
        fds[2 + 2 * i] = (struct pollfd){.fd = runs ? state->slots[i].output_fd : -1, .events = POLLIN};
        fds[3 + 2 * i] = (struct pollfd){.fd = runs ? state->slots[i].error_fd : -1, .events = POLLIN};
    }
    if (poll(fds, ELEMENTS(fds), wait_msec(state)) < 0)
        return;
    for (size_t i = 0; i < SPAWNER_SLOTS; i++) {
        if (fds[2 + 2 * i].revents)
            read_output(&state->slots[i]);
        if (fds[3 + 2 * i].revents)
            read_error(&state->slots[i]);
    }
    if (fds[1].revents)
        take_signals(state);
    end_overdue(state);
    if (fds[0].revents)
        take_request(state);
}

/* ---- the process ---- */

/* Only the socket and /dev/null: not the daemon's lock, log, nor whatever it was started with. */
static bool keep_only(int socket)
{
    int own = fcntl(socket, F_DUPFD_CLOEXEC, SOCKET_FD + 1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (own < 0 || null < 0)
        return false;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(null, fd) < 0)
            return false;
    if (dup3(own, SOCKET_FD, O_CLOEXEC) < 0)
        return false;
    return close_range(SOCKET_FD + 1, ~0u, 0) == 0;
}

/*
 * Signals that end the daemon, sent to all of its unit or terminal, do not end it: the daemon still has to say good-bye
 * to servers, and may need a token for that.
 */
static int prepare_signals(void)
{
    sigset_t all, child;

    set_default_signals();
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void spawner_process(int socket)
{
    struct spawner_state *state = calloc(1, sizeof(*state));

    (void)prctl(PR_SET_NAME, "bitsq-spawner");
    if (!state || !keep_only(socket) || chdir("/") < 0)
        _exit(1);
    state->signal_fd = prepare_signals();
    if (state->signal_fd < 0)
        _exit(1);
    for (;;)
        turn(state);
}
