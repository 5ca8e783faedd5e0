/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bits-server: a BITS upload server for tests. README.md describes its options, fault rules and log. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http.h"
#include "server.h"
#include "text.h"

#define SESSION_TIMEOUT_USEC (UINT64_C(1209600) * USEC_PER_SEC) /* 14 days, as IIS */

static const char help[] =
    "Usage: bits-server --root DIR [OPTION]...\n"
    "Take BITS uploads (and plain PUTs) into a folder, for tests.\n"
    "\n"
    "  --bind ADDRESS             IPv4 address to listen on (127.0.0.1)\n"
    "  --port N                   port, 0 for any free one (0); the first line of output says which\n"
    "  --root DIR                 folder that the URLs name\n"
    "  --mode msdn|spec           which of the two documented servers to be (msdn)\n"
    "  --overwrite yes|no         may an upload replace a file (no)\n"
    "  --uploads on|off           off: refuse every BITS packet with 501 (on)\n"
    "  --make-parents             make the folders above a target\n"
    "  --max-upload-size BYTES    largest file: 500 and 0x80200020 above it\n"
    "  --max-request-size BYTES   largest body of one request: 413 above it\n"
    "  --session-timeout TIME     a session without progress is forgotten after it (14 days)\n"
    "  --partial keep|discard     what arrived of a torn Fragment counts, or not (keep)\n"
    "  --bind-sessions            know a session only on the connection that created it\n"
    "  --max-connections N        serve so many connections at a time, reset others\n"
    "  --error-header code|error|both|none\n"
    "                             BITS-Error-Code, BITS-Error (code with msdn, error with spec)\n"
    "  --log FILE                 append a JSON object for each request (\"-\": standard error)\n"
    "  --fault 'RULE'             misbehave; may be repeated\n"
    "  --fault-file FILE          one rule a line\n"
    "  --help\n"
    "\n"
    "SIZES are bytes, or 64Ki, 24Mi, 1G; TIMES are seconds, or 500ms, 2s, 1m. See README.md for fault rules.\n";

enum option_code {
    OPTION_BIND = 256,
    OPTION_PORT,
    OPTION_ROOT,
    OPTION_MODE,
    OPTION_OVERWRITE,
    OPTION_UPLOADS,
    OPTION_MAKE_PARENTS,
    OPTION_MAX_UPLOAD_SIZE,
    OPTION_MAX_REQUEST_SIZE,
    OPTION_SESSION_TIMEOUT,
    OPTION_PARTIAL,
    OPTION_BIND_SESSIONS,
    OPTION_MAX_CONNECTIONS,
    OPTION_ERROR_HEADER,
    OPTION_LOG,
    OPTION_FAULT,
    OPTION_FAULT_FILE,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"bind", required_argument, NULL, OPTION_BIND},
    {"port", required_argument, NULL, OPTION_PORT},
    {"root", required_argument, NULL, OPTION_ROOT},
    {"mode", required_argument, NULL, OPTION_MODE},
    {"overwrite", required_argument, NULL, OPTION_OVERWRITE},
    {"uploads", required_argument, NULL, OPTION_UPLOADS},
    {"make-parents", no_argument, NULL, OPTION_MAKE_PARENTS},
    {"max-upload-size", required_argument, NULL, OPTION_MAX_UPLOAD_SIZE},
    {"max-request-size", required_argument, NULL, OPTION_MAX_REQUEST_SIZE},
    {"session-timeout", required_argument, NULL, OPTION_SESSION_TIMEOUT},
    {"partial", required_argument, NULL, OPTION_PARTIAL},
    {"bind-sessions", no_argument, NULL, OPTION_BIND_SESSIONS},
    {"max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS},
    {"error-header", required_argument, NULL, OPTION_ERROR_HEADER},
    {"log", required_argument, NULL, OPTION_LOG},
    {"fault", required_argument, NULL, OPTION_FAULT},
    {"fault-file", required_argument, NULL, OPTION_FAULT_FILE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* The place of WORD in a list that ends with NULL, or -1. */
static int choose(const char *word, const char *const *list)
{
    for (int i = 0; list[i] != NULL; i++)
        if (strcmp(word, list[i]) == 0)
            return i;
    return -1;
}

static int choose_into(const char *word, const char *const *list, int *ret)
{
    int i = choose(word, list);

    if (i < 0)
        return -EINVAL;
    *ret = i;
    return 0;
}

static int choose_bool(const char *word, const char *yes, const char *no, bool *ret)
{
    const char *const list[] = {no, yes, NULL};
    int i = choose(word, list);

    if (i < 0)
        return -EINVAL;
    *ret = i == 1;
    return 0;
}

static int parse_limited(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value;
    int r = text_parse_u64(text, &value);

    if (r < 0 || value > max)
        return -EINVAL;
    *ret = value;
    return 0;
}

static int add_fault(struct fault_set *faults, const char *rule)
{
    const char *why;
    int r = fault_set_add(faults, rule, &why);

    if (r < 0)
        fprintf(stderr, "bits-server: cannot use the fault rule \"%s\": %s.\n", rule, why);
    return r;
}

static int read_fault_file(struct fault_set *faults, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    int r = 0;

    if (file == NULL)
        return -errno;
    while (r == 0 && (length = getline(&line, &size, file)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            line[length - 1] = '\0';
        if (line[0] != '\0' && line[0] != '#')
            r = add_fault(faults, line);
    }
    free(line);
    fclose(file);
    return r;
}

/* One option of those that only set a value. */
static int set_option(struct options *options, int code, const char *argument, int *mode, int *error_header)
{
    static const char *const modes[] = {"msdn", "spec", NULL};
    static const char *const error_headers[] = {"code", "error", "both", "none", NULL};
    uint64_t number = 0;
    int r = 0;

    switch (code) {
    case OPTION_BIND:
        options->bind = argument;
        break;
    case OPTION_PORT:
        r = parse_limited(argument, UINT16_MAX, &number);
        options->port = (uint16_t)number;
        break;
    case OPTION_ROOT:
        options->root = argument;
        break;
    case OPTION_MODE:
        return choose_into(argument, modes, mode);
    case OPTION_OVERWRITE:
        return choose_bool(argument, "yes", "no", &options->overwrite);
    case OPTION_UPLOADS:
        return choose_bool(argument, "on", "off", &options->uploads);
    case OPTION_MAKE_PARENTS:
        options->make_parents = true;
        break;
    case OPTION_MAX_UPLOAD_SIZE:
        return text_parse_size(argument, &options->max_upload_bytes);
    case OPTION_MAX_REQUEST_SIZE:
        return text_parse_size(argument, &options->max_request_bytes);
    case OPTION_SESSION_TIMEOUT:
        return text_parse_duration(argument, &options->session_timeout_usec);
    case OPTION_PARTIAL:
        return choose_bool(argument, "keep", "discard", &options->keep_partial);
    case OPTION_BIND_SESSIONS:
        options->bind_sessions = true;
        break;
    case OPTION_MAX_CONNECTIONS:
        r = parse_limited(argument, 100000, &number);
        options->max_connections = (unsigned)number;
        break;
    case OPTION_ERROR_HEADER:
        return choose_into(argument, error_headers, error_header);
    case OPTION_LOG:
        options->log = argument;
        break;
    default:
        return -EINVAL;
    }
    return r;
}

/* 0: go on; 1: all is said; -EINVAL: said what is wrong. */
static int parse_options(int argc, char **argv, struct options *options, struct fault_set *faults)
{
    int mode = MODE_MSDN, error_header = -1, code, index = 0, r;

    while ((code = getopt_long(argc, argv, "", long_options, &index)) >= 0) {
        if (code == OPTION_HELP) {
            fputs(help, stdout);
            return 1;
        }
        if (code == '?')
            return -EINVAL;
        if (code == OPTION_FAULT)
            r = add_fault(faults, optarg);
        else if (code == OPTION_FAULT_FILE)
            r = read_fault_file(faults, optarg);
        else
            r = set_option(options, code, optarg, &mode, &error_header);
        if (r < 0) {
            fprintf(stderr, "bits-server: cannot use --%s %s: %s. See --help.\n", long_options[index].name, optarg,
                    strerror(-r));
            return -EINVAL;
        }
    }
    if (optind < argc || options->root == NULL) {
        fprintf(stderr, "bits-server: give --root DIR and options only. See --help.\n");
        return -EINVAL;
    }
    options->mode = (enum mode)mode;
    options->error_header = error_header >= 0   ? (enum error_header)error_header
                            : mode == MODE_SPEC ? ERROR_HEADER_ERROR
                                                : ERROR_HEADER_CODE;
    return 0;
}

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
    server->sessions = session_table_new(server->root_fd, server->options.session_timeout_usec);
    if (server->stop_fd < 0 || server->sessions == NULL) {
        r = -errno;
        fprintf(stderr, "bits-server: cannot make %s/" PATH_SESSIONS ": %s.\n", server->options.root, strerror(-r));
        return r;
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
    printf("listening on http://%s:%u/\n", server->options.bind, port);
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
                    .session_timeout_usec = SESSION_TIMEOUT_USEC},
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
    server.faults = fault_set_new();
    if (server.faults == NULL)
        return EXIT_FAILURE;
    r = parse_options(argc, argv, &server.options, server.faults);
    if (r == 0) {
        r = server_open(&server);
        if (r == 0)
            r = server_run(&server, &signals);
    }
    server_close(&server);
    return r >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
