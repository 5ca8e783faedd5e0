/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/token.h"

#include "core/limits.h"
#include "io/internal.h"
#include "io/spawner.h"

#include "base/cleanup.h"
#include "base/credential.h"
#include "base/moment.h"
#include "base/parse.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#define EXPIRES_KEY "expires="

/* What came of a run. */
struct token_answer {
    int result;
    char *text, *fault;
    bool may_heal;
    uint64_t expires_usec;
};

/* It goes on while the machine sleeps, as the server's does. */
static uint64_t boottime_usec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

static void forget_text(struct token *token)
{
    if (token->text)
        explicit_bzero(token->text, strlen(token->text));
    free(TAKE_PTR(token->text));
}

static void token_free(struct token *token)
{
    assert(!token->run);
    TAILQ_REMOVE(&token->io->tokens, token, entry);
    token->io->tokens_count--;
    forget_text(token);
    free(token->key);
    free(token->name);
    free(token->program);
    free(token);
}

/* ---- what a run came to ---- */

__attribute__((format(printf, 3, 4))) static void say(struct token_answer *answer, int result, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    answer->result = result;
    if (vasprintf(&answer->fault, format, list) < 0)
        answer->fault = NULL;
    va_end(list);
}

static void read_failure(const struct token *token, const struct spawner_result *result, struct token_answer *answer)
{
    _cleanup_free_ char *words = spawner_last_words(result);
    const char *said = words ? words : "", *colon = said[0] != '\0' ? ": " : "";

    if (result->error == -ECONNRESET)
        say(answer, result->error,
            "the helper of the credential \"%s\" cannot be run: the process that runs helpers has died; restart bitsqd",
            token->name);
    else if (result->error < 0)
        say(answer, result->error,
            "the helper of the credential \"%s\" (%s) cannot be started: %s; correct token_command= there", token->name,
            token->program, strerror(-result->error));
    else if (result->timed_out)
        say(answer, -ETIMEDOUT,
            "the helper of the credential \"%s\" (%s) did not end within %" PRIu64 " s and was killed%s%s", token->name,
            token->program, token->io->token_timeout_usec / USEC_PER_SEC, colon, said);
    else if (result->output_cut)
        say(answer, -E2BIG,
            "the helper of the credential \"%s\" (%s) printed more than %" PRIu64 " bytes and was killed", token->name,
            token->program, SPAWNER_OUTPUT_BYTES);
    else if (result->signal != 0)
        say(answer, -EIO, "the helper of the credential \"%s\" (%s) was killed by signal %d%s%s", token->name,
            token->program, result->signal, colon, said);
    else
        say(answer, -EIO, "the helper of the credential \"%s\" (%s) failed with exit status %d%s%s", token->name,
            token->program, result->exit_status, colon, said);
    answer->may_heal =
        result->timed_out || result->exit_status == EX_TEMPFAIL || result->error == -EAGAIN || result->error == -ENOMEM;
}

/* The token's end, from "expires=SECONDS"; USEC_INFINITY where the line says nothing of it. */
static int read_expiry(const char *line, size_t length, uint64_t *ret_usec)
{
    uint64_t seconds = 0;

    if (length < strlen(EXPIRES_KEY) || memcmp(line, EXPIRES_KEY, strlen(EXPIRES_KEY)) != 0) {
        *ret_usec = USEC_INFINITY;
        return 0;
    }
    int r = parse_u64_n(line + strlen(EXPIRES_KEY), length - strlen(EXPIRES_KEY), &seconds);
    if (r == -ERANGE || seconds > USEC_INFINITY / USEC_PER_SEC)
        *ret_usec = USEC_INFINITY;
    else if (r < 0)
        return r;
    else
        *ret_usec = usec_add(boottime_usec(), seconds * USEC_PER_SEC);
    return 0;
}

static size_t line_length(const char *line)
{
    size_t length = strcspn(line, "\n");

    while (length > 0 && strchr(" \t\r", line[length - 1]))
        length--;
    return length;
}

static void read_output(const struct token *token, const struct spawner_result *result, struct token_answer *answer)
{
    size_t length = line_length(result->output);
    const char *newline = strchr(result->output, '\n'), *second = newline ? newline + 1 : "";

    answer->text = text_duplicate(result->output, length);
    if (!answer->text) {
        answer->result = -ENOMEM;
    } else if (!credential_token_is_valid(answer->text) || strlen(result->output) < result->output_bytes) {
        say(answer, -EINVAL,
            "the helper of the credential \"%s\" (%s) printed no token in its first line, or one that is too long or "
            "has blanks or characters that are not ASCII",
            token->name, token->program);
    } else if (read_expiry(second, line_length(second), &answer->expires_usec) < 0) {
        say(answer, -EINVAL,
            "the helper of the credential \"%s\" (%s) printed a second line that begins with expires= and goes on with "
            "something else than a number of seconds",
            token->name, token->program);
    }
}

static void tell(struct token *token, const struct token_answer *answer)
{
    struct io *io = token->io;
    struct token_wait *wait;

    /* Whoever is told may ask anew, leave, or push this token out. */
    TAILQ_FOREACH (wait, &token->waits, entry)
        wait->token = NULL;
    TAILQ_CONCAT(&io->told, &token->waits, entry);
    token->waits_count = 0;
    while ((wait = TAILQ_FIRST(&io->told)) != NULL) {
        TAILQ_REMOVE(&io->told, wait, entry);
        wait->expires_usec = answer->expires_usec;
        wait->done(wait, answer->result, answer->result < 0 ? NULL : answer->text,
                   answer->result < 0 ? (answer->fault ? answer->fault : strerror(-answer->result)) : NULL,
                   answer->may_heal);
    }
}

static void on_run(void *userdata, const struct spawner_result *result)
{
    struct token *token = userdata;
    struct token_answer answer = {0};

    token->run = NULL;
    forget_text(token);
    if (result->error < 0 || result->timed_out || result->output_cut || result->signal != 0 || result->exit_status != 0)
        read_failure(token, result, &answer);
    else
        read_output(token, result, &answer);
    if (answer.result >= 0) {
        token->text = strdup(answer.text);
        token->expires_usec = answer.expires_usec;
    }
    tell(token, &answer);
    if (answer.text)
        explicit_bzero(answer.text, strlen(answer.text));
    free(answer.text);
    free(answer.fault);
}

/* ---- running a helper ---- */

static int run_helper(struct token *token, const struct token_query *query)
{
    char *environment[SPAWNER_ENVIRONMENT_MAX + 2] = {0};
    _cleanup_free_ char **argv = NULL;

    if (!token->io->spawner)
        return -ENOSYS;
    int r = credential_split_command(query->command, &argv);
    if (r >= 0)
        r = spawner_environment(environment);
    if (r >= 0 && asprintf(&environment[r], "BITSQ_HOST=%s", query->host) < 0)
        r = -ENOMEM;
    if (r >= 0)
        r = spawner_run(token->io->spawner, (const char *const *)argv, (const char *const *)environment,
                        token->io->token_timeout_usec, on_run, token, &token->run);
    for (size_t i = 0; i < ELEMENTS(environment); i++)
        free(environment[i]);
    return r;
}

/* ---- the tokens that are known ---- */

static struct token *find_token(struct io *io, const char *key)
{
    struct token *token;

    TAILQ_FOREACH (token, &io->tokens, entry)
        if (strcmp(token->key, key) == 0)
            return token;
    return NULL;
}

static void make_room(struct io *io)
{
    struct token *token;

    TAILQ_FOREACH (token, &io->tokens, entry) {
        if (io->tokens_count < TOKENS_MAX)
            return;
        if (!token->run) {
            token_free(token);
            return;
        }
    }
}

static struct token *add_token(struct io *io, const struct token_query *query, const char *key)
{
    make_room(io);
    struct token *token = io->tokens_count < TOKENS_MAX ? calloc(1, sizeof(*token)) : NULL;
    if (!token)
        return NULL;
    token->io = io;
    TAILQ_INIT(&token->waits);
    TAILQ_INSERT_TAIL(&io->tokens, token, entry);
    io->tokens_count++;
    token->key = strdup(key);
    token->name = strdup(query->name);
    token->program = strndup(query->command, strcspn(query->command, " \t"));
    if (token->key && token->name && token->program)
        return token;
    token_free(token);
    return NULL;
}

static int begin_run(struct token *token, const struct token_query *query, char **ret_fault)
{
    struct token_answer answer = {0};

    int r = run_helper(token, query);
    if (r >= 0)
        return r;
    if (r == -ENOSYS) {
        say(&answer, r, "the credential \"%s\" has a token_command=, and this bitsqd cannot run helpers; restart it",
            query->name);
    } else {
        struct spawner_result result = {.error = r, .exit_status = -1, .output = "", .error_text = ""};
        read_failure(token, &result, &answer);
    }
    *ret_fault = answer.fault;
    token_free(token);
    return r;
}

int token_get(struct io *io, const struct token_query *query, struct token_wait *wait, const char **ret_token,
              char **ret_fault)
{
    _cleanup_free_ char *key = NULL;

    *ret_fault = NULL;
    if (asprintf(&key, "%s\n%s\n%s", query->path, query->command, query->host) < 0)
        return -ENOMEM;
    struct token *token = find_token(io, key);
    if (!token)
        token = add_token(io, query, key);
    if (!token)
        return -ENOMEM;
    TAILQ_REMOVE(&io->tokens, token, entry);
    TAILQ_INSERT_TAIL(&io->tokens, token, entry);
    if (!token->run && token->text && !query->fresh &&
        usec_add(boottime_usec(), TOKEN_MARGIN_USEC) < token->expires_usec) {
        *ret_token = token->text;
        wait->expires_usec = token->expires_usec;
        return 1;
    }
    int r = token->run ? 0 : begin_run(token, query, ret_fault);
    if (r < 0)
        return r;
    wait->token = token;
    TAILQ_INSERT_TAIL(&token->waits, wait, entry);
    token->waits_count++;
    return 0;
}

void token_leave(struct io *io, struct token_wait *wait)
{
    struct token *token = wait->token;

    if (!token) {
        TAILQ_REMOVE(&io->told, wait, entry);
        return;
    }
    TAILQ_REMOVE(&token->waits, wait, entry);
    if (--token->waits_count == 0 && token->run)
        spawner_run_cancel(TAKE_PTR(token->run));
}

void tokens_drop(struct io *io)
{
    struct token *token;
    struct token_wait *wait;

    while ((token = TAILQ_FIRST(&io->tokens)) != NULL) {
        while ((wait = TAILQ_FIRST(&token->waits)) != NULL) {
            TAILQ_REMOVE(&token->waits, wait, entry);
            wait->drop(wait);
        }
        if (token->run)
            spawner_run_cancel(TAKE_PTR(token->run));
        token_free(token);
    }
}
