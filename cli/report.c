/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"

#include "base/text.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <string.h>

#define MESSAGE_MAX 4096 /* bytes of one line to people */

static const struct {
    const char *name;
    enum exit_code code;
} error_codes[] = {
    {"NoSuchJob", EXIT_NO_JOB},           {"InvalidArgument", EXIT_USAGE}, {"InvalidState", EXIT_OTHER},
    {"NotPermitted", EXIT_NOT_PERMITTED}, {"LimitReached", EXIT_LIMIT},    {"SourceUnreadable", EXIT_SOURCE},
    {"SourceChanged", EXIT_SOURCE},       {"AlreadyExists", EXIT_OTHER},   {"Degraded", EXIT_OTHER},
    {"NoDaemon", EXIT_NO_DAEMON},         {"VersionMismatch", EXIT_OTHER}, {"Disconnected", EXIT_OTHER},
};

enum exit_code exit_code_of_error(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(error_codes); i++)
        if (strcmp(error_codes[i].name, name) == 0)
            return error_codes[i].code;
    return EXIT_OTHER;
}

char *safe_text(const char *text)
{
    bool harmless = text_is_utf8(text, strlen(text));

    for (const unsigned char *at = (const unsigned char *)text; harmless && *at; at++)
        harmless = *at >= 0x20 && *at != 0x7f && !(at[0] == 0xc2 && at[1] < 0xa0);
    /* a backslash alone is left as it is: the daemon has escaped some names already */
    return harmless ? strdup(text) : text_escape(text);
}

/* The line goes out in one write, so that it stays whole among those of other programs. */
static void say(const char *label, const char *message)
{
    _cleanup_free_ char *safe = safe_text(message);
    char line[MESSAGE_MAX + 64];

    (void)snprintf(line, sizeof(line), "bitsq: %s%s\n", label, safe ? safe : "no memory is left");
    (void)fflush(stdout);
    (void)fputs(line, stderr);
}

static void say_json(enum exit_code code, const char *name, const char *message)
{
    _cleanup_free_ char *safe = safe_text(message);
    struct json_object *object = json_object_new_object();

    json_object_object_add(object, "schema", json_object_new_string("bitsq.error/1"));
    json_object_object_add(object, "error", json_object_new_string(name));
    json_object_object_add(object, "message", json_object_new_string(safe ? safe : ""));
    json_object_object_add(object, "exit", json_object_new_int((int)code));
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s\n",
                  json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    (void)json_object_put(object);
}

static void fail_text(const struct cli *cli, enum exit_code code, const char *name, const char *message)
{
    if (cli->json != JSON_OFF)
        say_json(code, name, message);
    else
        say("", message);
}

int cli_fail(const struct cli *cli, enum exit_code code, const char *name, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    fail_text(cli, code, name, message);
    return (int)code;
}

int cli_fail_client(const struct cli *cli, const char *what, ...)
{
    const char *name = bitsq_client_get_error_name(cli->client);
    char message[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, what);
    int length = vsnprintf(message, sizeof(message), what, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < sizeof(message))
        (void)snprintf(message + length, sizeof(message) - (size_t)length, ": %s",
                       bitsq_client_get_error_message(cli->client));
    enum exit_code code = exit_code_of_error(name);
    fail_text(cli, code, name, message);
    return (int)code;
}

int cli_fail_memory(const struct cli *cli)
{
    return cli_fail(cli, EXIT_OTHER, "NoMemory", "no memory is left; end other programs and try again");
}

void cli_warn(const struct cli *cli, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;

    (void)cli;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    say("warning: ", message);
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;

    if (cli->quiet || cli->json != JSON_OFF)
        return;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    say("", message);
}

int cli_connect(struct cli *cli, unsigned flags, bool warn)
{
    _cleanup_(bitsq_daemon_free_p) bitsq_daemon *daemon = NULL;

    if (!cli->client && bitsq_client_new(&cli->client) < 0)
        return cli_fail_memory(cli);
    if (bitsq_client_connect(cli->client, flags) < 0)
        return cli_fail_client(cli, "cannot reach the daemon");
    if (!warn)
        return 0;
    if (bitsq_client_get_daemon(cli->client, &daemon) < 0)
        return cli_fail_client(cli, "cannot ask the daemon how it is");
    for (size_t i = 0; bitsq_daemon_get_degraded(daemon, i); i++)
        cli_warn(cli, "%s", bitsq_daemon_get_degraded(daemon, i));
    return 0;
}

int cli_finish(const struct cli *cli, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return cli_fail(cli, EXIT_OTHER, "Failed", "the answer cannot be written: %s", strerror(errno));
}
