/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/target.h"

#include "net/url.h"

#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static inline void curl_url_p(CURLU **url)
{
    curl_url_cleanup(*url);
}

static inline void curl_text_p(char **text)
{
    curl_free(*text);
}

void target_done(struct target *target)
{
    free(target->url);
    free(target->host);
    *target = (struct target){0};
}

static int refuse(const char *fault, const char **ret_fault)
{
    *ret_fault = fault;
    return -EINVAL;
}

static int fault_of_code(CURLUcode code, const char *fault, const char **ret_fault)
{
    return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : refuse(fault, ret_fault);
}

/* "host", "host:8080", "[::1]", "[::1]:8080" in place of the URL's host; its port only where the host id names one. */
static int replace_host(CURLU *url, const char *host, const char **ret_fault)
{
    static const char fault[] = "the host that the server named (BITS-Host-Id) is no host";
    const char *colon = strrchr(host, ':');
    bool has_port = colon && !strchr(colon, ']');
    _cleanup_free_ char *name = text_duplicate(host, has_port ? (size_t)(colon - host) : strlen(host));

    if (!name)
        return -ENOMEM;
    CURLUcode code = curl_url_set(url, CURLUPART_HOST, name, 0);
    if (code == CURLUE_OK && has_port)
        code = curl_url_set(url, CURLUPART_PORT, colon + 1, 0);
    return code == CURLUE_OK ? 0 : fault_of_code(code, fault, ret_fault);
}

/* Of the characters that no URL may have: those which Windows servers write, and those which would break a request. */
static bool must_be_escaped(unsigned char c)
{
    return c <= 0x20 || c >= 0x7f || strchr("{}|^`\"<>", c);
}

static char *normalise_reply(const char *reply_url)
{
    size_t length = strlen(reply_url);
    char *text = malloc(3 * length + 1), *to = text;

    if (!text)
        return NULL;
    for (const char *from = reply_url; *from != '\0'; from++) {
        if (*from == '\\')
            *to++ = '/';
        else if (must_be_escaped((unsigned char)*from))
            to += sprintf(to, "%%%02X", (unsigned char)*from);
        else
            *to++ = *from;
    }
    *to = '\0';
    return text;
}

/* The URL is that of the destination: a relative reply lies beside it, and has nothing of its query. */
static int resolve_reply(CURLU *url, const char *reply_url, const char **ret_fault)
{
    static const char fault[] = "the URL of the reply (BITS-Reply-URL) cannot be understood";
    _cleanup_free_ char *text = normalise_reply(reply_url);

    if (!text)
        return -ENOMEM;
    if (text[0] == '\0' || text[0] == '#')
        return refuse(fault, ret_fault);
    CURLUcode code = curl_url_set(url, CURLUPART_QUERY, NULL, 0);
    if (code == CURLUE_OK)
        code = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK)
        code = curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    return code == CURLUE_OK ? 0 : fault_of_code(code, fault, ret_fault);
}

static bool is_over_tls(const char *url)
{
    return strncasecmp(url, "https:", strlen("https:")) == 0;
}

static int host_of(const char *url, char **ret_host, const char **ret_fault)
{
    _cleanup_free_ char *name = NULL;
    enum url_fault fault = URL_OK;

    int r = url_check(url, ret_host, &name, &fault);
    if (r != -EINVAL)
        return r;
    switch (fault) {
    case URL_SCHEME:
        return refuse("the server named a URL that is neither http nor https", ret_fault);
    case URL_CREDENTIALS:
        return refuse("the server named a URL with a user or password", ret_fault);
    case URL_TOO_LONG:
        return refuse("the server named a URL of more than 2200 characters", ret_fault);
    case URL_OK:
    case URL_MALFORMED:
    case URL_NO_HOST:
    case URL_FRAGMENT:
        break;
    }
    return refuse("the server named a URL that cannot be understood", ret_fault);
}

/* What the server named may not lead the job, or what it says of itself, where nobody wanted it. */
static int check_reply(const struct target_question *question, const struct target *target, const char *base,
                       const char **ret_fault)
{
    _cleanup_free_ char *origin = NULL, *base_host = NULL;

    int r = host_of(question->url, &origin, ret_fault);
    if (r >= 0)
        r = host_of(base, &base_host, ret_fault);
    if (r < 0)
        return r;
    if (is_over_tls(question->url) && !target->over_tls)
        return refuse("the URL of the reply is http, while that of the upload is https", ret_fault);
    if (!question->other_host && strcmp(target->host, origin) != 0 && strcmp(target->host, base_host) != 0)
        return refuse("the reply lies on another host, which the job does not allow; allow it with "
                      "bitsq set ID reply-other-host=yes, then: bitsq retry",
                      ret_fault);
    return 0;
}

static int get_url(CURLU *url, char **ret)
{
    _cleanup_(curl_text_p) char *text = NULL;

    if (curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return -ENOMEM;
    *ret = strdup(text);
    return *ret ? 0 : -ENOMEM;
}

static int resolve(const struct target_question *question, struct target *target, const char **ret_fault)
{
    _cleanup_(curl_url_p) CURLU *url = curl_url();
    _cleanup_free_ char *base = NULL;

    if (!url || curl_url_set(url, CURLUPART_URL, question->url, 0) != CURLUE_OK)
        return -ENOMEM;
    int r = question->host[0] != '\0' ? replace_host(url, question->host, ret_fault) : 0;
    if (r >= 0)
        r = get_url(url, &base);
    if (r >= 0 && question->target == TARGET_REPLY)
        r = resolve_reply(url, question->reply_url, ret_fault);
    if (r >= 0)
        r = get_url(url, &target->url);
    if (r >= 0)
        r = host_of(target->url, &target->host, ret_fault);
    if (r < 0)
        return r;
    target->over_tls = is_over_tls(target->url);
    return question->target == TARGET_REPLY ? check_reply(question, target, base, ret_fault) : 0;
}

/* The job's own URL goes out as it was given: what libcurl makes of its parts need not be the same byte for byte. */
static int take_origin(const struct target_question *question, struct target *target, const char **ret_fault)
{
    target->url = strdup(question->url);
    if (!target->url)
        return -ENOMEM;
    target->over_tls = is_over_tls(target->url);
    return host_of(target->url, &target->host, ret_fault);
}

int target_resolve(const struct target_question *question, struct target *ret, const char **ret_fault)
{
    _cleanup_(target_done) struct target target = {0};

    int r = question->target == TARGET_ORIGIN ? take_origin(question, &target, ret_fault)
                                              : resolve(question, &target, ret_fault);
    if (r < 0)
        return r;
    *ret = target;
    target = (struct target){0};
    return 0;
}
