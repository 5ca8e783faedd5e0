/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/credential.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>

void secret_done(struct secret *secret)
{
    if (secret->text)
        explicit_bzero(secret->text, secret->length);
    free(secret->text);
    *secret = (struct secret){0};
}

/* 1: there is something to read; 0: a signal came, which is raised again once the terminal is as it was. */
static int await_input(int signals, int *ret_signal)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo info;

    for (;;) {
        if (poll(fds, ELEMENTS(fds), -1) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (fds[1].revents & POLLIN && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            *ret_signal = (int)info.ssi_signo;
            return 0;
        }
        if (fds[0].revents != 0)
            return 1;
    }
}

/* Reads until the end of the line (on a terminal) or of the input; *length ends up above MAX where there is more. */
static int read_bytes(int signals, bool line, size_t max, struct secret *secret, int *ret_signal)
{
    while (secret->length <= max) {
        if (signals >= 0) {
            int r = await_input(signals, ret_signal);
            if (r <= 0)
                return r;
        }
        ssize_t n = read(STDIN_FILENO, secret->text + secret->length, max + 1 - secret->length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        secret->length += (size_t)n;
        if (n == 0 || (line && memchr(secret->text, '\n', secret->length)))
            return 0;
    }
    return 0;
}

static int read_unseen(const char *prompt, size_t max, struct secret *secret, int *ret_signal)
{
    struct termios cooked, unseen;
    sigset_t mask, before;

    (void)sigemptyset(&mask);
    for (size_t i = 0; i < 4; i++)
        (void)sigaddset(&mask, (int[]){SIGINT, SIGTERM, SIGHUP, SIGQUIT}[i]);
    (void)sigprocmask(SIG_BLOCK, &mask, &before);
    _cleanup_close_ int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    int r = signals < 0 || tcgetattr(STDIN_FILENO, &cooked) < 0 ? -errno : 0;
    if (r == 0) {
        unseen = cooked;
        unseen.c_lflag &= ~(tcflag_t)ECHO;
        r = tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) < 0 ? -errno : 0;
    }
    if (r == 0) {
        (void)fputs(prompt, stderr);
        (void)fflush(stderr);
        r = read_bytes(signals, true, max, secret, ret_signal);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &cooked);
        (void)fputs("\n", stderr);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

static int check(const struct cli *cli, size_t max, struct secret *secret)
{
    char *text = secret->text;

    if (secret->length > max)
        return cli_fail(cli, EXIT_USAGE, "InvalidArgument",
                        "the secret has more than %zu bytes, so nothing was stored; use a shorter one", max);
    if (secret->length > 0 && text[secret->length - 1] == '\n')
        text[--secret->length] = '\0';
    if (secret->length > 0 && text[secret->length - 1] == '\r')
        text[--secret->length] = '\0';
    if (secret->length == 0)
        return cli_fail(cli, EXIT_USAGE, "InvalidArgument",
                        "standard input held no secret, so nothing was stored; type it, or pipe it in");
    if (memchr(text, '\0', secret->length))
        return cli_fail(cli, EXIT_USAGE, "InvalidArgument",
                        "the secret holds a NUL, which no server takes, so nothing was stored; was it a binary file?");
    if (strpbrk(text, "\r\n"))
        return cli_fail(cli, EXIT_USAGE, "InvalidArgument",
                        "the secret has more than one line, so nothing was stored: it stands on one line of its file; "
                        "pipe in the one line that it is");
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return cli_fail(cli, EXIT_USAGE, "InvalidArgument",
                            "the secret holds a control character, so nothing was stored; type it anew");
    return 0;
}

int secret_read(const struct cli *cli, const char *prompt, size_t max, struct secret *ret)
{
    bool terminal = isatty(STDIN_FILENO);
    struct secret secret = {.text = calloc(1, max + 2)};
    int caught = 0;

    if (!secret.text)
        return cli_fail_memory(cli);
    int r = terminal ? read_unseen(prompt, max + 1, &secret, &caught) : read_bytes(-1, false, max + 1, &secret, NULL);
    int code = 0;
    if (caught != 0)
        code = cli_fail(cli, EXIT_DETACHED, "Interrupted", "nothing was stored, as you interrupted");
    else if (r < 0)
        code =
            cli_fail(cli, EXIT_OTHER, "Failed", "standard input cannot be read: %s; nothing was stored", strerror(-r));
    else
        code = check(cli, max, &secret);
    if (code != 0) {
        secret_done(&secret);
        return code;
    }
    *ret = secret;
    return 0;
}
