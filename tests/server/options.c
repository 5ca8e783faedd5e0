/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "text.h"

#define CONNECTIONS_MAX 100000

static const char help[] =
    "Usage: bits-server --root DIR [OPTION]...\n"
    "Take BITS uploads (and plain PUTs) into a folder, for tests.\n"
    "\n"
    "  --bind ADDRESS             IPv4 or IPv6 address to listen on (127.0.0.1)\n"
    "  --port N                   port, 0 for any free one (0); the first line of output says which\n"
    "  --listen ADDRESS:PORT      both at once, as 127.0.0.1:8080 or [::1]:0\n"
    "  --tls-cert FILE            speak TLS 1.2 or later with this certificate (PEM, the issuers behind it)\n"
    "  --tls-key FILE             and this key\n"
    "  --tls-client-ca FILE       and only with clients that have a certificate of this issuer\n"
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
    "  --host-id HOST[:PORT]      answer Create-Session with this BITS-Host-Id\n"
    "  --host-id-timeout SECONDS  and with this BITS-Host-Id-Fallback-Timeout\n"
    "  --auth basic|digest|digest-sha256\n"
    "                             answer 401 to who does not show\n"
    "  --user NAME                this name\n"
    "  --password TEXT            and this password\n"
    "  --bearer TOKEN             answer 401 to who does not show this token\n"
    "  --auth-status N            N instead of 401\n"
    "  --notify-type 0|1|2        tell an application of each upload: not, by reference, by value (0)\n"
    "  --notify-url URL           where it is; a relative one replaces the last part of the upload's URL\n"
    "  --notify-timeout TIME      408 if it takes longer (5m)\n"
    "  --reply-url backslash|slash|absolute\n"
    "                             how BITS-Reply-URL is written (backslash)\n"
    "  --closed-ranges            answer 400 to a Range without an end\n"
    "  --log FILE                 append a JSON object for each request (\"-\": standard error)\n"
    "  --fault 'RULE'             misbehave; may be repeated\n"
    "  --fault-file FILE          one rule a line\n"
    "  --random-faults SEED[:PERCENT[:MAX]]\n"
    "                             of so many requests draw a fault at random, MAX in all (20:30); files are replaced\n"
    "  --help\n"
    "\n"
    "SIZES are bytes, or 64Ki, 24Mi, 1G; TIMES are seconds, or 500ms, 2s, 1m. See README.md for fault rules.\n";

enum option_code {
    OPTION_BIND = 256,
    OPTION_PORT,
    OPTION_LISTEN,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_TLS_CLIENT_CA,
    OPTION_HOST_ID,
    OPTION_HOST_ID_TIMEOUT,
    OPTION_AUTH,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_BEARER,
    OPTION_AUTH_STATUS,
    OPTION_NOTIFY_TYPE,
    OPTION_NOTIFY_URL,
    OPTION_NOTIFY_TIMEOUT,
    OPTION_REPLY_URL,
    OPTION_CLOSED_RANGES,
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
    OPTION_RANDOM_FAULTS,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"bind", required_argument, NULL, OPTION_BIND},
    {"port", required_argument, NULL, OPTION_PORT},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
    {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
    {"tls-client-ca", required_argument, NULL, OPTION_TLS_CLIENT_CA},
    {"host-id", required_argument, NULL, OPTION_HOST_ID},
    {"host-id-timeout", required_argument, NULL, OPTION_HOST_ID_TIMEOUT},
    {"auth", required_argument, NULL, OPTION_AUTH},
    {"user", required_argument, NULL, OPTION_USER},
    {"password", required_argument, NULL, OPTION_PASSWORD},
    {"bearer", required_argument, NULL, OPTION_BEARER},
    {"auth-status", required_argument, NULL, OPTION_AUTH_STATUS},
    {"notify-type", required_argument, NULL, OPTION_NOTIFY_TYPE},
    {"notify-url", required_argument, NULL, OPTION_NOTIFY_URL},
    {"notify-timeout", required_argument, NULL, OPTION_NOTIFY_TIMEOUT},
    {"reply-url", required_argument, NULL, OPTION_REPLY_URL},
    {"closed-ranges", no_argument, NULL, OPTION_CLOSED_RANGES},
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
    {"random-faults", required_argument, NULL, OPTION_RANDOM_FAULTS},
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

/* "127.0.0.1:8080", "[::1]:0" */
static int parse_listen(const char *text, struct options *options)
{
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[';
    uint64_t port;

    if (colon == NULL || parse_limited(colon + 1, UINT16_MAX, &port) < 0)
        return -EINVAL;
    if (brackets && (colon - text < 2 || colon[-1] != ']'))
        return -EINVAL;
    snprintf(options->bind, sizeof(options->bind), "%.*s", (int)(colon - text) - (brackets ? 2 : 0),
             text + (brackets ? 1 : 0));
    options->port = (uint16_t)port;
    return 0;
}

/* The options that are kept as they are written; NULL for others. */
static const char **text_option(struct options *options, int code)
{
    switch (code) {
    case OPTION_ROOT:
        return &options->root;
    case OPTION_LOG:
        return &options->log;
    case OPTION_TLS_CERT:
        return &options->tls_cert;
    case OPTION_TLS_KEY:
        return &options->tls_key;
    case OPTION_TLS_CLIENT_CA:
        return &options->tls_client_ca;
    case OPTION_USER:
        return &options->user;
    case OPTION_PASSWORD:
        return &options->password;
    case OPTION_BEARER:
        return &options->bearer;
    case OPTION_NOTIFY_URL:
        return &options->notify_url;
    case OPTION_HOST_ID:
        return &options->host_id;
    case OPTION_HOST_ID_TIMEOUT:
        return &options->host_id_timeout;
    default:
        return NULL;
    }
}

static int set_listener(struct options *options, int code, const char *argument)
{
    uint64_t number;

    switch (code) {
    case OPTION_BIND:
        snprintf(options->bind, sizeof(options->bind), "%s", argument);
        return 0;
    case OPTION_PORT:
        if (parse_limited(argument, UINT16_MAX, &number) < 0)
            return -EINVAL;
        options->port = (uint16_t)number;
        return 0;
    case OPTION_LISTEN:
        return parse_listen(argument, options);
    case OPTION_MAX_CONNECTIONS:
        if (parse_limited(argument, CONNECTIONS_MAX, &number) < 0)
            return -EINVAL;
        options->max_connections = (unsigned)number;
        return 0;
    default:
        return -EINVAL;
    }
}

static int set_service(struct options *options, int code, const char *argument)
{
    static const char *const auths[] = {"none", "basic", "digest", "digest-sha256", NULL};
    static const char *const types[] = {"0", "1", "2", NULL};
    static const char *const urls[] = {"backslash", "slash", "absolute", NULL};
    int chosen = 0, r;

    switch (code) {
    case OPTION_AUTH:
        r = choose_into(argument, auths, &chosen);
        options->auth = (enum auth_scheme)chosen;
        return r;
    case OPTION_AUTH_STATUS:
        return parse_limited(argument, 599, &options->refusal_status);
    case OPTION_NOTIFY_TYPE:
        r = choose_into(argument, types, &chosen);
        options->notify_type = (enum notify_type)chosen;
        return r;
    case OPTION_NOTIFY_TIMEOUT:
        return text_parse_duration(argument, &options->notify_timeout_usec);
    case OPTION_REPLY_URL:
        r = choose_into(argument, urls, &chosen);
        options->reply_url = (enum reply_url)chosen;
        return r;
    case OPTION_CLOSED_RANGES:
        options->closed_ranges = true;
        return 0;
    default:
        return set_listener(options, code, argument);
    }
}

/* "7", "7:50", "7:50:100" */
static int set_random(struct options *options, struct fault_set *faults, const char *argument)
{
    char seed_text[24] = "", percent_text[24] = "20", max_text[24] = "30", rest;
    uint64_t seed, percent, max;
    int n = sscanf(argument, "%23[0-9]:%23[0-9]:%23[0-9]%c", seed_text, percent_text, max_text, &rest);
    size_t length = strlen(argument);

    if (n < 1 || n > 3 || argument[length - 1] < '0' || argument[length - 1] > '9')
        return -EINVAL;
    if (strspn(argument, "0123456789:") != length || text_parse_u64(seed_text, &seed) < 0 ||
        parse_limited(percent_text, 100, &percent) < 0 || text_parse_u64(max_text, &max) < 0)
        return -EINVAL;
    options->overwrite = true;
    return fault_set_random(faults, seed, (unsigned)percent, max);
}

/* One option of those that only set a value. */
static int set_option(struct options *options, int code, const char *argument, int *mode, int *error_header)
{
    static const char *const modes[] = {"msdn", "spec", NULL};
    static const char *const error_headers[] = {"code", "error", "both", "none", NULL};
    const char **text = text_option(options, code);

    if (text != NULL) {
        *text = argument;
        return 0;
    }
    switch (code) {
    case OPTION_MODE:
        return choose_into(argument, modes, mode);
    case OPTION_OVERWRITE:
        return choose_bool(argument, "yes", "no", &options->overwrite);
    case OPTION_UPLOADS:
        return choose_bool(argument, "on", "off", &options->uploads);
    case OPTION_MAKE_PARENTS:
        options->make_parents = true;
        return 0;
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
        return 0;
    case OPTION_ERROR_HEADER:
        return choose_into(argument, error_headers, error_header);
    default:
        return set_service(options, code, argument);
    }
}

/* What is missing or does not go together, or NULL. */
static const char *what_contradicts(const struct options *options)
{
    if (options->root == NULL)
        return "give --root DIR";
    if ((options->tls_cert == NULL) != (options->tls_key == NULL) ||
        (options->tls_client_ca != NULL && options->tls_cert == NULL))
        return "TLS needs --tls-cert and --tls-key";
    if (options->notify_type != NOTIFY_NONE && options->notify_url == NULL)
        return "--notify-type needs --notify-url";
    if (options->notify_url != NULL && strncmp(options->notify_url, "https:", strlen("https:")) == 0)
        return "an application is called over http only, as IIS does";
    if (options->auth != AUTH_NONE && (options->user == NULL || options->password == NULL))
        return "--auth needs --user and --password";
    if (options->auth != AUTH_NONE && options->bearer != NULL)
        return "give --auth or --bearer, not both";
    if (options->refusal_status < 400)
        return "--auth-status must be from 400 to 599";
    return NULL;
}

int options_parse(int argc, char **argv, struct options *options, struct fault_set *faults)
{
    int mode = MODE_MSDN, error_header = -1, code, index = 0, r;
    const char *why;

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
        else if (code == OPTION_RANDOM_FAULTS)
            r = set_random(options, faults, optarg);
        else
            r = set_option(options, code, optarg, &mode, &error_header);
        if (r < 0) {
            fprintf(stderr, "bits-server: cannot use --%s %s: %s. See --help.\n", long_options[index].name, optarg,
                    strerror(-r));
            return -EINVAL;
        }
    }
    why = optind < argc ? "give options only" : what_contradicts(options);
    if (why != NULL) {
        fprintf(stderr, "bits-server: %s. See --help.\n", why);
        return -EINVAL;
    }
    if (options->bearer != NULL)
        options->auth = AUTH_BEARER;
    options->mode = (enum mode)mode;
    options->error_header = error_header >= 0   ? (enum error_header)error_header
                            : mode == MODE_SPEC ? ERROR_HEADER_ERROR
                                                : ERROR_HEADER_CODE;
    return 0;
}
