/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/credential.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define KEY_SHOWN_MAX 24 /* bytes of an unknown key that the reason repeats */

struct parser {
    struct credential credential;
    unsigned line;
    char *reason;
};

/* Returns -EINVAL. Whatever is said holds no value: a line without "=" may be a password. */
__attribute__((format(printf, 2, 3))) static int say(char reason[static CREDENTIAL_REASON_MAX], const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(reason, CREDENTIAL_REASON_MAX, format, list);
    va_end(list);
    return -EINVAL;
}

/* ---- values ---- */

bool credential_name_is_valid(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strlen(name) <= CREDENTIAL_NAME_MAX &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-")] == '\0';
}

static bool is_printable(const char *value, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return false;
    return true;
}

bool credential_token_is_valid(const char *token)
{
    for (const char *c = token; *c != '\0'; c++)
        if (*c <= 0x20 || *c > 0x7e)
            return false;
    return token[0] != '\0' && strlen(token) <= CREDENTIAL_TOKEN_MAX;
}

/* Host patterns are compared with hosts in lower case; whatever no host has (the "/" of a URL) would never match. */
static bool lower_hosts(char *hosts)
{
    for (char *c = hosts; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && !strchr(" .*:[]_-", *c))
            return false;
        *c = (char)tolower((unsigned char)*c);
    }
    return hosts[strspn(hosts, " ")] != '\0';
}

static bool hosts_are_short(const char *hosts)
{
    while (*(hosts += strspn(hosts, " ")) != '\0') {
        size_t length = strcspn(hosts, " ");
        if (length > CREDENTIAL_HOST_MAX)
            return false;
        hosts += length;
    }
    return true;
}

int credential_split_command(const char *command, char ***ret)
{
    size_t length = strlen(command), words = 0, head = (CREDENTIAL_COMMAND_WORDS + 1) * sizeof(char *);
    char **argv = malloc(head + length + 1);
    char *rest = NULL;

    if (!argv)
        return -ENOMEM;
    char *text = memcpy((char *)argv + head, command, length + 1);
    for (char *word = strtok_r(text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (words == CREDENTIAL_COMMAND_WORDS) {
            free(argv);
            return -E2BIG;
        }
        argv[words++] = word;
    }
    argv[words] = NULL;
    if (words == 0 || argv[0][0] != '/') {
        free(argv);
        return -EINVAL;
    }
    *ret = argv;
    return 0;
}

/* ---- lines ---- */

static char **find_field(struct parser *parser, const char *key, size_t length)
{
    const struct {
        const char *key;
        char **field;
    } fields[] = {
        {"user", &parser->credential.user},
        {"password", &parser->credential.password},
        {"token", &parser->credential.token},
        {"token_file", &parser->credential.token_file},
        {"token_command", &parser->credential.token_command},
        {"hosts", &parser->credential.hosts},
        {"scheme", &parser->credential.scheme},
    };

    for (size_t i = 0; i < ELEMENTS(fields); i++)
        if (strlen(fields[i].key) == length && memcmp(fields[i].key, key, length) == 0)
            return fields[i].field;
    return NULL;
}

static int refuse_key(struct parser *parser, const char *key, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!islower((unsigned char)key[i]) && key[i] != '_')
            return say(parser->reason, "line %u is not of the form KEY=VALUE (without blanks around the =)",
                       parser->line);
    return say(parser->reason,
               "line %u: the key \"%.*s\" is unknown; there are user, password, token, token_file, token_command, "
               "scheme and hosts",
               parser->line, (int)(length > KEY_SHOWN_MAX ? KEY_SHOWN_MAX : length), key);
}

static int parse_line(struct parser *parser, const char *line, size_t length)
{
    const char *equals = memchr(line, '=', length);

    if (!equals || equals == line)
        return say(parser->reason, "line %u is not of the form KEY=VALUE (without blanks around the =)", parser->line);
    size_t key_length = (size_t)(equals - line);
    char **field = find_field(parser, line, key_length);
    if (!field)
        return refuse_key(parser, line, key_length);
    if (*field)
        return say(parser->reason, "line %u: %.*s= stands there twice", parser->line, (int)key_length, line);
    size_t value_length = length - key_length - 1;
    if (!is_printable(equals + 1, value_length))
        return say(parser->reason, "line %u: %.*s= holds a control character", parser->line, (int)key_length, line);
    if (value_length == 0 && field != &parser->credential.password)
        return say(parser->reason, "line %u: %.*s= is empty", parser->line, (int)key_length, line);
    *field = text_duplicate(equals + 1, value_length);
    return *field ? 0 : -ENOMEM;
}

static int parse_lines(struct parser *parser, const char *text, size_t length)
{
    const char *end = text + length;
    int r = 0;

    for (const char *line = text; line < end && r >= 0;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *stop = next ? next : end;
        parser->line++;
        if (stop > line && stop[-1] == '\r')
            stop--;
        if (stop > line && line[0] != '#')
            r = parse_line(parser, line, (size_t)(stop - line));
        line = next ? next + 1 : end;
    }
    return r;
}

/* ---- the whole ---- */

static int check_token(struct parser *parser)
{
    const struct credential *credential = &parser->credential;
    _cleanup_free_ char **words = NULL;

    if (credential->token && !credential_token_is_valid(credential->token))
        return say(parser->reason, "token= holds a blank, or a character that is not ASCII, or is too long");
    if (credential->token_file && credential->token_file[0] != '/')
        return say(parser->reason, "token_file= needs an absolute path");
    if (!credential->token_command)
        return 0;
    int r = credential_split_command(credential->token_command, &words);
    if (r == -EINVAL)
        return say(parser->reason, "token_command= needs the whole path of a program first, as no shell looks for it");
    if (r == -E2BIG)
        return say(parser->reason, "token_command= has more than %d words", CREDENTIAL_COMMAND_WORDS);
    return r;
}

static bool scheme_is(const struct credential *credential, const char *name)
{
    return credential->scheme && strcmp(credential->scheme, name) == 0;
}

static bool scheme_is_known(const struct credential *credential)
{
    static const char *const schemes[] = {"basic", "digest", "ntlm", "negotiate", "bearer"};

    for (size_t i = 0; i < ELEMENTS(schemes); i++)
        if (scheme_is(credential, schemes[i]))
            return true;
    return !credential->scheme;
}

static int check_scheme(struct parser *parser)
{
    struct credential *credential = &parser->credential;
    bool has_token = credential->token || credential->token_file || credential->token_command;
    bool is_bearer = scheme_is(credential, "bearer");

    if (!scheme_is_known(credential))
        return say(parser->reason, "scheme= takes basic, digest, ntlm, negotiate or bearer");
    if (has_token && credential->scheme && !is_bearer)
        return say(parser->reason, "a token goes with scheme=bearer only");
    if (is_bearer && !has_token)
        return say(parser->reason, "scheme=bearer needs token=, token_file= or token_command=");
    if (!has_token && !credential->user && !scheme_is(credential, "negotiate"))
        return say(parser->reason,
                   "it holds neither user= and password=, nor token=, token_file= or token_command=, nor "
                   "scheme=negotiate");
    if (has_token && !credential->scheme)
        credential->scheme = strdup("bearer");
    return has_token && !credential->scheme ? -ENOMEM : 0;
}

static int check(struct parser *parser)
{
    struct credential *credential = &parser->credential;
    int tokens = !!credential->token + !!credential->token_file + !!credential->token_command;

    if (credential->user && !credential->password)
        return say(parser->reason, "user= is there, but password= is missing");
    if (credential->password && !credential->user)
        return say(parser->reason, "password= is there, but user= is missing");
    if (tokens + (credential->user != NULL) > 1)
        return say(parser->reason,
                   "only one of user=, token=, token_file= and token_command= may be there: which is meant?");
    if (credential->hosts && !lower_hosts(credential->hosts))
        return say(parser->reason, "hosts= takes host names and patterns such as *.example.com, no URLs");
    if (credential->hosts && !hosts_are_short(credential->hosts))
        return say(parser->reason, "hosts= holds a pattern of more than %d bytes", CREDENTIAL_HOST_MAX);
    int r = check_token(parser);
    return r < 0 ? r : check_scheme(parser);
}

int credential_parse(const char *text, size_t length, struct credential *ret, char reason[static CREDENTIAL_REASON_MAX])
{
    struct parser parser = {.reason = reason};

    int r = parse_lines(&parser, text, length);
    if (r >= 0)
        r = check(&parser);
    if (r < 0) {
        credential_done(&parser.credential);
        return r;
    }
    *ret = parser.credential;
    return 0;
}

void credential_done(struct credential *credential)
{
    free_secret(credential->user);
    free_secret(credential->password);
    free_secret(credential->token);
    free(credential->token_file);
    free(credential->token_command);
    free(credential->hosts);
    free(credential->scheme);
    *credential = (struct credential){0};
}
