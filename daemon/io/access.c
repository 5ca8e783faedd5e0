/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/access.h"

#include "core/limits.h"
#include "io/headerfile.h"
#include "io/internal.h"
#include "io/netrc.h"
#include "io/pemfile.h"
#include "io/secretfile.h"

#include "base/credential.h"
#include "base/moment.h"
#include "base/path.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct access_load {
    struct io_request request;
    struct access choices;
    char *host, *folder;
    bool fresh_token;
    void (*done)(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal);
    void *userdata;

    struct transfer_access *access;
    int result;
    char *fault;

    char *token_command; /* whose token the server is to get, */
    char *token_path;    /* and the credential that names it */
    struct io *io;       /* on the loop only */
    struct token_wait wait;
};

_Static_assert(offsetof(struct access_load, request) == 0, "a request is what its load begins with");

/* Returns ERROR. */
__attribute__((format(printf, 3, 4))) static int say(struct access_load *load, int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    if (vasprintf(&load->fault, format, list) < 0)
        load->fault = NULL;
    va_end(list);
    return error;
}

/* ---- on a pool thread: one credential ---- */

static char *credential_path(const struct access_load *load, const char *name)
{
    _cleanup_free_ char *folder = load->folder ? NULL : path_xdg("XDG_CONFIG_HOME", ".config");
    char *path = NULL;
    int r = -1;

    if (load->folder)
        r = asprintf(&path, "%s/%s", load->folder, name);
    else if (folder)
        r = asprintf(&path, "%s/credentials/%s", folder, name);
    return r < 0 ? NULL : path;
}

/* Its file, parsed. NAME is one that struct access takes: letters, digits and . _ - @, so that it leads nowhere else.
 */
static int read_credential(struct access_load *load, const char *name, struct credential *ret)
{
    _cleanup_free_ char *path = credential_path(load, name), *what = NULL, *remedy = NULL;
    char reason[CREDENTIAL_REASON_MAX] = "";
    struct secret_text text;

    if (!path || asprintf(&what, "the credential \"%s\" in", name) < 0 ||
        asprintf(&remedy, "create it with: bitsq credential set %s", name) < 0)
        return -ENOMEM;
    struct secret_file file = {.path = path, .what = what, .remedy = remedy, .max = CREDENTIAL_BYTES_MAX};
    int r = secret_file_read(&file, &text, &load->fault);
    if (r < 0)
        return r;
    r = credential_parse(text.text, text.length, ret, reason);
    secret_text_done(&text);
    if (r == -EINVAL)
        return say(load, r, "%s %s cannot be used: %s; correct it, or run: bitsq credential set %s", what, path, reason,
                   name);
    return r;
}

/* The first line, without blanks at its ends. */
static char *first_word_of_line(char *text)
{
    char *line = text + strspn(text, " \t");
    size_t length = strcspn(line, "\r\n");

    while (length > 0 && strchr(" \t", line[length - 1]))
        length--;
    line[length] = '\0';
    return line;
}

static int read_token_file(struct access_load *load, const char *path, char **ret)
{
    struct secret_file file = {
        .path = path,
        .what = "the token file",
        .remedy = "create it, or name another one with token_file=",
        .max = CREDENTIAL_BYTES_MAX,
        .may_be_link = true,
    };
    struct secret_text text;

    int r = secret_file_read(&file, &text, &load->fault);
    if (r < 0)
        return r;
    const char *token = first_word_of_line(text.text);
    if (!credential_token_is_valid(token))
        r = say(load, -EINVAL,
                "the token file %s holds no token in its first line, or one with blanks or characters that are not "
                "ASCII; write it anew",
                path);
    else if (!(*ret = strdup(token)))
        r = -ENOMEM;
    secret_text_done(&text);
    return r;
}

static int take_secret(struct access_load *load, struct credential *credential, struct transfer_secret *secret)
{
    int r = auth_scheme_parse(credential->scheme, &secret->scheme);
    if (r < 0)
        return r;
    if (credential->token_file) {
        r = read_token_file(load, credential->token_file, &credential->token);
        if (r < 0)
            return r;
    }
    secret->user = TAKE_PTR(credential->user);
    secret->password = TAKE_PTR(credential->password);
    secret->token = TAKE_PTR(credential->token);
    secret->hosts = TAKE_PTR(credential->hosts);
    return 0;
}

static int load_credential(struct access_load *load, const char *name, struct transfer_secret *secret)
{
    struct credential credential = {0};

    int r = read_credential(load, name, &credential);
    if (r < 0)
        return r;
    r = take_secret(load, &credential, secret);
    if (r >= 0 && credential.token_command && secret == &load->access->server) {
        load->token_command = TAKE_PTR(credential.token_command);
        load->token_path = credential_path(load, name);
        r = load->token_path ? 0 : -ENOMEM;
    }
    credential_done(&credential);
    return r;
}

/* ---- the rest of it ---- */

static int load_netrc(struct access_load *load, struct transfer_secret *secret)
{
    _cleanup_free_ char *path = NULL;
    char reason[NETRC_REASON_MAX] = "";
    _cleanup_free_ char *home = path_home();
    struct secret_text text;

    if (!home || asprintf(&path, "%s/.netrc", home) < 0)
        return -ENOMEM;
    struct secret_file file = {
        .path = path, .what = "the file", .remedy = "create it", .max = NETRC_BYTES, .may_be_link = true};
    int r = secret_file_read(&file, &text, &load->fault);
    if (r == -ENOENT) {
        free(TAKE_PTR(load->fault));
        return 0;
    }
    if (r < 0)
        return r;
    r = netrc_find(text.text, text.length, load->host, &secret->user, &secret->password, reason);
    secret_text_done(&text);
    if (r == -EINVAL)
        return say(load, r, "the file %s cannot be used: %s; correct it", path, reason);
    if (r > 0)
        secret->scheme = AUTH_ANY;
    return r < 0 ? r : 0;
}

/* What the job's own choice of a scheme makes of what was found. */
static int apply_scheme(struct access_load *load, struct transfer_secret *secret)
{
    const char *text = load->choices.texts[ACCESS_AUTH];
    enum auth_scheme scheme;

    if (!text)
        return 0;
    if (auth_scheme_parse(text, &scheme) < 0)
        return say(load, -EINVAL, "auth=%s is unknown; it takes basic, digest, ntlm, negotiate or bearer", text);
    if (scheme == AUTH_BEARER && secret->scheme != AUTH_BEARER)
        return say(load, -EINVAL,
                   "auth=bearer needs a token; run: bitsq credential set NAME, and name it with credential=NAME");
    if (scheme != AUTH_BEARER && secret->scheme == AUTH_BEARER)
        return say(load, -EINVAL,
                   "auth=%s cannot use the token that the credential \"%s\" holds; name one with a user and password, "
                   "or choose auth=bearer",
                   text, load->choices.texts[ACCESS_CREDENTIAL]);
    if (scheme != AUTH_NEGOTIATE && scheme != AUTH_BEARER && !secret->user)
        return say(load, -EINVAL,
                   "auth=%s needs a user and password; run: bitsq credential set NAME, and name it with "
                   "credential=NAME",
                   text);
    secret->scheme = scheme;
    return 0;
}

static int load_server(struct access_load *load)
{
    struct transfer_secret *secret = &load->access->server;
    const char *name = load->choices.texts[ACCESS_CREDENTIAL];
    int r = 0;

    if (name)
        r = load_credential(load, name, secret);
    else if (load->choices.flags & ACCESS_NETRC)
        r = load_netrc(load, secret);
    return r < 0 ? r : apply_scheme(load, secret);
}

static int load_proxy(struct access_load *load)
{
    const char *name = load->choices.texts[ACCESS_PROXY_CREDENTIAL];

    if (!name)
        return 0;
    int r = load_credential(load, name, &load->access->proxy);
    if (r >= 0 && load->access->proxy.scheme == AUTH_BEARER)
        return say(load, -EINVAL,
                   "the proxy credential \"%s\" holds a token; a proxy takes a user and password, or "
                   "scheme=negotiate: run: bitsq credential set %s",
                   name, name);
    return r;
}

static int load_headers(struct access_load *load)
{
    const char *path = load->choices.texts[ACCESS_HEADER_FILE];
    char reason[HEADER_FILE_REASON_MAX] = "";
    struct secret_text text;

    if (!path)
        return 0;
    struct secret_file file = {
        .path = path,
        .what = "the header file",
        .remedy = "create it, or name another one with header_file=",
        .max = HEADER_FILE_BYTES,
        .may_be_link = true,
    };
    int r = secret_file_read(&file, &text, &load->fault);
    if (r < 0)
        return r;
    r = header_file_parse(text.text, text.length, &load->access->headers, reason);
    secret_text_done(&text);
    if (r == -EINVAL)
        return say(load, r, "the header file %s cannot be used: %s; correct it", path, reason);
    return r;
}

static int copy_choices(struct access_load *load)
{
    struct transfer_access *access = load->access;
    const struct {
        char **to;
        enum access_text text;
    } copies[] = {
        {&access->proxy_url, ACCESS_PROXY},
        {&access->noproxy, ACCESS_NOPROXY},
        {&access->pinned_key, ACCESS_PINNED_KEY},
        {&access->user_agent, ACCESS_USER_AGENT},
    };

    for (size_t i = 0; i < ELEMENTS(copies); i++) {
        const char *from = load->choices.texts[copies[i].text];
        *copies[i].to = from ? strdup(from) : NULL;
        if (from && !*copies[i].to)
            return -ENOMEM;
    }
    access->over_http = load->choices.flags & ACCESS_CREDENTIALS_OVER_HTTP;
    access->reply_other_host = load->choices.flags & ACCESS_REPLY_OTHER_HOST;
    return 0;
}

static void load_run(struct io_request *request)
{
    struct access_load *load = (struct access_load *)request;

    load->access = transfer_access_new();
    int r = load->access ? copy_choices(load) : -ENOMEM;
    if (r >= 0)
        r = load_server(load);
    if (r >= 0)
        r = load_proxy(load);
    if (r >= 0)
        r = load_headers(load);
    if (r >= 0)
        r = pem_files_load(&load->choices, load->access, &load->fault);
    load->result = r;
}

/* ---- on the loop ---- */

static void load_free(struct io_request *request)
{
    struct access_load *load = (struct access_load *)request;

    access_done(&load->choices);
    free(load->host);
    free(load->folder);
    free(load->token_command);
    free(load->token_path);
    transfer_access_free(load->access);
    free(load->fault);
    free(load);
}

/* A path may have any bytes; the sentence goes where only UTF-8 may go. */
static void report_fault(struct access_load *load, int result, const char *fault, bool may_heal)
{
    _cleanup_free_ char *escaped = text_is_utf8(fault, strlen(fault)) ? NULL : text_escape(fault);

    load->done(load->userdata, result, NULL, escaped ? escaped : fault, may_heal);
}

static void conclude(struct access_load *load)
{
    if (load->result >= 0)
        load->done(load->userdata, 0, TAKE_PTR(load->access), NULL, false);
    else
        report_fault(load, load->result, load->fault ? load->fault : strerror(-load->result),
                     secret_error_may_heal(load->result));
    load_free(&load->request);
}

static struct access_load *load_of(struct token_wait *wait)
{
    return (struct access_load *)(void *)((char *)wait - offsetof(struct access_load, wait));
}

static void take_token(struct access_load *load, const char *token)
{
    load->access->server.token = strdup(token);
    load->access->server.token_expires_usec = load->wait.expires_usec == USEC_INFINITY ? 0 : load->wait.expires_usec;
    if (!load->access->server.token)
        load->result = -ENOMEM;
    conclude(load);
}

static void on_token(struct token_wait *wait, int result, const char *token, const char *fault, bool may_heal)
{
    struct access_load *load = load_of(wait);

    load->request.cancel = NULL;
    if (result >= 0) {
        take_token(load, token);
        return;
    }
    report_fault(load, result, fault, may_heal);
    load_free(&load->request);
}

static void drop_wait(struct token_wait *wait)
{
    load_free(&load_of(wait)->request);
}

static void leave_token(struct io_request *request)
{
    struct access_load *load = (struct access_load *)request;

    token_leave(load->io, &load->wait);
    load_free(request);
}

static void load_finish(struct io_request *request)
{
    struct access_load *load = (struct access_load *)request;
    const char *token = NULL;

    if (load->result < 0 || !load->token_command) {
        conclude(load);
        return;
    }
    struct token_query query = {
        .name = load->choices.texts[ACCESS_CREDENTIAL],
        .path = load->token_path,
        .command = load->token_command,
        .host = load->host,
        .fresh = load->fresh_token,
    };
    load->wait = (struct token_wait){.done = on_token, .drop = drop_wait};
    int r = token_get(load->io, &query, &load->wait, &token, &load->fault);
    if (r > 0) {
        take_token(load, token);
    } else if (r == 0) {
        request->cancel = leave_token;
    } else {
        load->result = r;
        conclude(load);
    }
}

void io_set_spawner(struct io *io, struct spawner *spawner)
{
    io->spawner = spawner;
}

static int load_init(struct access_load *load, const struct access *choices, const char *host, const char *folder)
{
    load->host = strdup(host);
    load->folder = folder ? strdup(folder) : NULL;
    if (!load->host || (folder && !load->folder))
        return -ENOMEM;
    return access_copy(choices, &load->choices);
}

int io_load_access(struct io *io, const struct access *choices, const char *host, const char *folder, bool fresh_token,
                   void (*done)(void *userdata, int result, struct transfer_access *access, const char *fault,
                                bool may_heal),
                   void *userdata, struct io_request **ret)
{
    struct access_load *load = calloc(1, sizeof(*load));

    if (!load)
        return -ENOMEM;
    io_request_init(&load->request, io);
    load->io = io;
    load->request.run = load_run;
    load->request.finish = load_finish;
    load->request.free = load_free;
    load->fresh_token = fresh_token;
    load->done = done;
    load->userdata = userdata;
    int r = load_init(load, choices, host, folder);
    if (r < 0) {
        load_free(&load->request);
        return r;
    }
    io_request_submit(&load->request);
    *ret = &load->request;
    return 0;
}
