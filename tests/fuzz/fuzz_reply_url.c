/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a hostile server may lead a job with BITS-Host-Id and BITS-Reply-URL. The input is four lines: flags, the job's
 * URL, a host id, a reply URL. Bit 0 of the flags is the reply's leave to lie elsewhere, bit 1 asks for the host alone.
 *
 *     0
 *     https://up.example.org/in/a.bin
 *     node7
 *     BITS-Sessions\Replies\{6F}\response.bin
 */
#include "fuzz.h"

#include "net/target.h"
#include "net/url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHECK(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

/* The next line, terminated; control characters are dropped, as they are when a header is read. */
static char *next_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
    size_t length = end ? (size_t)(end - *data) : *size, used = 0;
    char *line = malloc(length + 1);

    CHECK(line);
    for (size_t i = 0; i < length; i++)
        if ((*data)[i] >= 0x20 && (*data)[i] != 0x7f)
            line[used++] = (char)(*data)[i];
    line[used] = '\0';
    *data += length + (end != NULL);
    *size -= length + (end != NULL);
    return line;
}

static char *host_of(const char *url)
{
    _cleanup_free_ char *name = NULL;
    char *host = NULL;
    enum url_fault fault;

    return url_check(url, &host, &name, &fault) == 0 ? host : NULL;
}

static void check_target(const struct target_question *question, const struct target *target)
{
    _cleanup_free_ char *origin = host_of(question->url), *asked = host_of(target->url);

    CHECK(origin && asked && strcmp(asked, target->host) == 0);
    CHECK(strlen(target->url) <= JOB_URL_MAX);
    CHECK(target->over_tls == (strncasecmp(target->url, "https:", 6) == 0));
    for (const char *at = target->url; *at != '\0'; at++)
        CHECK((unsigned char)*at > 0x20 && *at != 0x7f);
    if (question->target != TARGET_REPLY)
        return;
    CHECK(target->over_tls || strncasecmp(question->url, "https:", 6) != 0);
    if (!question->other_host && question->host[0] == '\0')
        CHECK(strcmp(target->host, origin) == 0);
}

static void ask(const struct target_question *question)
{
    struct target target;
    const char *fault = NULL;

    int r = target_resolve(question, &target, &fault);
    CHECK(r == 0 || r == -EINVAL);
    if (r < 0) {
        CHECK(fault && fault[0] != '\0');
        return;
    }
    check_target(question, &target);
    target_done(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *flags = next_line(&data, &size), *url = next_line(&data, &size);
    _cleanup_free_ char *host = next_line(&data, &size), *reply = next_line(&data, &size);
    _cleanup_free_ char *origin = host_of(url);

    /* The job's URL was checked when the job was added, and has no character that a URL may not have. */
    for (const char *at = url; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f)
            return 0;
    if (!origin || strlen(host) > HOST_ID_MAX || strlen(reply) > JOB_URL_MAX)
        return 0;
    struct target_question question = {
        .url = url,
        .target = (flags[0] & 2) != 0 ? TARGET_HOST : TARGET_REPLY,
        .host = host,
        .reply_url = reply,
        .other_host = (flags[0] & 1) != 0,
    };
    ask(&question);
    question.host = "";
    ask(&question);
    return 0;
}
