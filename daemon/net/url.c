/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/url.h"

#include "core/limits.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
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

#define _cleanup_curl_ _cleanup_(curl_text_p)

static int refuse(enum url_fault fault, enum url_fault *ret_fault)
{
    *ret_fault = fault;
    return -EINVAL;
}

static bool has_part(CURLU *url, CURLUPart part)
{
    _cleanup_curl_ char *value = NULL;

    return curl_url_get(url, part, &value, 0) == CURLUE_OK;
}

static enum url_fault fault_of_code(CURLUcode code)
{
    if (code == CURLUE_BAD_SCHEME)
        return URL_SCHEME;
    if (code == CURLUE_NO_HOST)
        return URL_NO_HOST;
    return URL_MALFORMED;
}

/* libcurl takes one, two or three slashes for the same, as browsers do; here that is a slip of whoever wrote it. */
static enum url_fault check_slashes(const char *text, const char *scheme)
{
    const char *rest = text + strlen(scheme);

    if (strncmp(rest, "://", 3) != 0)
        return URL_MALFORMED;
    return rest[3] == '/' ? URL_NO_HOST : URL_OK;
}

static enum url_fault check_parts(CURLU *url, const char *text)
{
    _cleanup_curl_ char *scheme = NULL;

    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
        return URL_SCHEME;
    enum url_fault fault = check_slashes(text, scheme);
    if (fault != URL_OK)
        return fault;
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        return URL_CREDENTIALS;
    if (strchr(text, '#'))
        return URL_FRAGMENT;
    if (!has_part(url, CURLUPART_HOST))
        return URL_NO_HOST;
    return URL_OK;
}

static int make_host(CURLU *url, char **ret_host, enum url_fault *ret_fault)
{
    _cleanup_curl_ char *host = NULL, *port = NULL;
    _cleanup_free_ char *text = NULL;

    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return -ENOMEM;
    if (strcmp(port, "0") == 0 || strlen(host) + 1 + strlen(port) > JOB_HOST_MAX)
        return refuse(URL_MALFORMED, ret_fault);
    if (asprintf(&text, "%s:%s", host, port) < 0) {
        text = NULL;
        return -ENOMEM;
    }
    for (char *c = text; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    *ret_host = TAKE_PTR(text);
    return 0;
}

static int make_name(CURLU *url, char **ret_name, enum url_fault *ret_fault)
{
    _cleanup_curl_ char *path = NULL, *decoded = NULL;
    int length = 0;

    if (curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK)
        return -ENOMEM;
    const char *slash = strrchr(path, '/');
    decoded = curl_easy_unescape(NULL, slash ? slash + 1 : path, 0, &length);
    if (!decoded)
        return -ENOMEM;
    if (strlen(decoded) != (size_t)length) /* %00 */
        return refuse(URL_MALFORMED, ret_fault);
    char *name = strdup(decoded);
    if (!name)
        return -ENOMEM;
    *ret_name = name;
    return 0;
}

int url_check(const char *text, char **ret_host, char **ret_name, enum url_fault *ret_fault)
{
    _cleanup_(curl_url_p) CURLU *url = NULL;
    _cleanup_free_ char *host = NULL, *name = NULL;

    if (strlen(text) > JOB_URL_MAX)
        return refuse(URL_TOO_LONG, ret_fault);
    url = curl_url();
    if (!url)
        return -ENOMEM;
    /* Any scheme at first, so that a wrong one is told from a wrong URL. */
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OUT_OF_MEMORY)
        return -ENOMEM;
    if (code != CURLUE_OK)
        return refuse(fault_of_code(code), ret_fault);
    enum url_fault fault = check_parts(url, text);
    if (fault != URL_OK)
        return refuse(fault, ret_fault);
    int r = make_host(url, &host, ret_fault);
    if (r < 0)
        return r;
    r = make_name(url, &name, ret_fault);
    if (r < 0)
        return r;
    *ret_host = TAKE_PTR(host);
    *ret_name = TAKE_PTR(name);
    return 0;
}

const char *url_fault_text(enum url_fault fault)
{
    switch (fault) {
    case URL_OK:
        return "the URL is fine";
    case URL_MALFORMED:
        return "the URL cannot be understood: write it as http://HOST[:PORT]/PATH, with %20 for a blank";
    case URL_SCHEME:
        return "the URL is neither http nor https: begin it with http:// or https://";
    case URL_CREDENTIALS:
        return "the URL contains a user name or a password: it would stand in the queue and in logs; leave it out";
    case URL_NO_HOST:
        return "the URL names no host: write it as http://HOST[:PORT]/PATH";
    case URL_FRAGMENT:
        return "the URL contains a #, and what follows it never reaches a server: leave it out, or write %23";
    case URL_TOO_LONG:
        return "the URL is longer than 2200 characters: shorten it";
    }
    return "the URL cannot be used";
}
