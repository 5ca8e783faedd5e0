/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bits-server: a BITS upload server for tests. README.md describes its options, fault rules and log. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http.h"
#include "options.h"
#include "server.h"
#include "text.h"

#define SESSION_TIMEOUT_USEC (UINT64_C(1209600) * USEC_PER_SEC) /* 14 days, as IIS */
#define NOTIFY_TIMEOUT_USEC  (UINT64_C(300) * USEC_PER_SEC)     /* as IIS */

/* A session holds a file and a connection holds a socket: ask for as many as we may have. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int server_open(struct server *server)
{
    int r;

    server->root_fd = open(server->options.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server->root_fd < 0) {
        r = -errno;
        fprintf(stderr, "bits-server: cannot open the folder %s: %s.\n", server->options.root, strerror(-r));
        return r;
    }
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->sessions = session_table_new(server->root_fd, server->options.session_timeout_usec,
                                         server->options.notify_type != NOTIFY_NONE);
    if (server->stop_fd < 0 || server->sessions == NULL) {
        r = -errno;
        fprintf(stderr, "bits-server: cannot make %s/" PATH_SESSIONS ": %s.\n", server->options.root, strerror(-r));
        return r;
    }
    if (server->options.auth != AUTH_NONE) {
        bool bearer = server->options.auth == AUTH_BEARER;

        server->auth = auth_new(server->options.auth, bearer ? "" : server->options.user,
                                bearer ? server->options.bearer : server->options.password,
                                (unsigned)server->options.refusal_status);
        if (server->auth == NULL)
            return -ENOMEM;
    }
    r = log_open(server->options.log, &server->log);
    if (r < 0)
        fprintf(stderr, "bits-server: cannot open the log %s: %s.\n", server->options.log, strerror(-r));
    return r;
}

static void server_close(struct server *server)
{
    server->log = log_close(server->log);
    server->sessions = session_table_free(server->sessions);
    server->auth = auth_free(server->auth);
    server->faults = fault_set_free(server->faults);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    if (server->root_fd >= 0)
        close(server->root_fd);
}

/* Serves until SIGTERM or SIGINT, which are blocked by now. */
static int server_run(struct server *server, const sigset_t *signals)
{
    uint64_t one = 1;
    uint16_t port;
    struct http *http;
    int signal, r = http_start(server, &http, &port);

    if (r < 0) {
        fprintf(stderr, "bits-server: cannot listen on %s port %u: %s.\n", server->options.bind, server->options.port,
                strerror(-r));
        return r;
    }
    printf("listening on %s://%s%s%s:%u/\n", server->options.tls_cert != NULL ? "https" : "http",
           strchr(server->options.bind, ':') != NULL ? "[" : "", server->options.bind,
           strchr(server->options.bind, ':') != NULL ? "]" : "", port);
    fflush(stdout);
    while (sigwait(signals, &signal) != 0)
        ;
    if (write(server->stop_fd, &one, sizeof(one)) < 0)
        perror("bits-server: cannot wake the threads");
    http_stop(http);
    return 0;
}

int main(int argc, char **argv)
{
    struct server server = {
        .options = {.bind = "127.0.0.1",
                    .uploads = true,
                    .keep_partial = true,
                    .max_upload_bytes = UINT64_MAX,
                    .max_request_bytes = UINT64_MAX,
                    .session_timeout_usec = SESSION_TIMEOUT_USEC,
                    .refusal_status = 401,
                    .notify_timeout_usec = NOTIFY_TIMEOUT_USEC},
        .root_fd = -1,
        .stop_fd = -1,
    };
    sigset_t signals;
    int r;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    raise_file_limit();
    curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
    server.faults = fault_set_new();
    if (server.faults == NULL)
        return EXIT_FAILURE;
    r = options_parse(argc, argv, &server.options, server.faults);
    if (r == 0) {
        r = server_open(&server);
        if (r == 0)
            r = server_run(&server, &signals);
    }
    server_close(&server);
    curl_global_cleanup();
    return r >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
