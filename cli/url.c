/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/upload.h"

#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define URL_MAX 2200 /* characters; what servers of this protocol are documented to take */

/* The part behind "//", up to the path; its length in *ret_length. NULL where there is none. */
static const char *authority_of(const char *url, size_t *ret_length)
{
    const char *start = strstr(url, "://");

    if (!start)
        return NULL;
    start += 3;
    *ret_length = strcspn(start, "/?#");
    return start;
}

static bool port_is_good(const char *authority, size_t length)
{
    const char *colon = memrchr(authority, ':', length);
    const char *bracket = memrchr(authority, ']', length);
    uint64_t port;

    if (!colon || (bracket && bracket > colon))
        return true;
    size_t digits = length - (size_t)(colon + 1 - authority);
    return digits == 0 || (parse_u64_n(colon + 1, digits, &port) == 0 && port > 0 && port <= 65535);
}

const char *url_complaint(const char *url)
{
    size_t length;

    for (const char *at = url; *at; at++)
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f)
            return "it has a blank, a control character or a character that is not ASCII; write those as %XX";
    const char *authority = authority_of(url, &length);
    if (!authority)
        return "it is no URL; write it as https://HOST/PATH";
    size_t scheme = (size_t)(authority - url) - 3;
    if (!(scheme == 4 && strncasecmp(url, "http", 4) == 0) && !(scheme == 5 && strncasecmp(url, "https", 5) == 0))
        return "its scheme is not supported; use http:// or https://";
    if (memchr(authority, '@', length))
        return "it has a user name or password, which other users could read in the process list and the queue; store "
               "them with bitsq credential set NAME --user USER, leave them out here, and add --credential NAME";
    if (length == 0 || *authority == ':')
        return "it names no host; write it as https://HOST/PATH";
    if (!port_is_good(authority, length))
        return "its port is not a number from 1 to 65535; correct it";
    if (strchr(url, '#'))
        return "the part behind # never reaches a server; leave it out, or write # as %23";
    if (authority[length] != '/')
        return "it has no path; end it with / to keep the names of the files, or name the file on the server";
    if (strlen(url) > URL_MAX)
        return "it is longer than 2200 characters; use a shorter one";
    for (const char *percent = strchr(url, '%'); percent; percent = strchr(percent + 1, '%'))
        if (!isxdigit((unsigned char)percent[1]) || !isxdigit((unsigned char)percent[2]))
            return "a % is not followed by two hexadecimal digits; write a % itself as %25";
    return NULL;
}

bool url_keeps_names(const char *url)
{
    size_t path = strcspn(url, "?#");

    return path > 0 && url[path - 1] == '/';
}

char *url_append_name(const char *url, const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t path = strcspn(url, "?#");
    char *joined = malloc(strlen(url) + strlen(name) * 3 + 1);

    if (!joined)
        return NULL;
    memcpy(joined, url, path);
    char *out = joined + path;
    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        /* the unreserved characters of RFC 3986 */
        if ((*at < 0x80 && isalnum(*at)) || strchr("-._~", *at)) {
            *out++ = (char)*at;
            continue;
        }
        *out++ = '%';
        *out++ = digits[*at >> 4];
        *out++ = digits[*at & 15];
    }
    memcpy(out, url + path, strlen(url + path) + 1);
    return joined;
}

int url_read_file(const struct cli *cli, const char *file, char url[static URL_FILE_MAX])
{
    bool standard_input = strcmp(file, "-") == 0;
    FILE *in = standard_input ? stdin : fopen(file, "re");

    if (!in)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot read the URL from %s: %s; check its name", file,
                        strerror(errno));
    if (!fgets(url, URL_FILE_MAX, in))
        url[0] = '\0';
    if (!standard_input)
        (void)fclose(in);
    url[strcspn(url, "\r\n")] = '\0';
    if (url[0] == '\0')
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s has no URL in its first line; write it there", file);
    return 0;
}
