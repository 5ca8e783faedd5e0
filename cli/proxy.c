/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/proxy.h"

#include "cli/setting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The first that is set, also where it is empty. */
static const char *first_set(char *(*get)(const char *name), const char *const *names, const char **ret_name)
{
    for (; *names; names++) {
        const char *value = get(*names);
        if (value) {
            *ret_name = *names;
            return value;
        }
    }
    return NULL;
}

/* SCHEME "" becomes http; what stands before the last @ of the authority is left out, and the path behind it. */
static int normalise(const char *value, struct proxy_choice *choice)
{
    const char *separator = strstr(value, "://");
    const char *authority = separator ? separator + 3 : value;
    size_t length = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', length);

    if (at) {
        choice->had_secret = true;
        length -= (size_t)(at + 1 - authority);
        authority = at + 1;
    }
    bool plain = !separator || strncasecmp(value, "http://", 7) == 0;
    if (!plain && strncasecmp(value, "https://", 8) != 0) {
        choice->kind = PROXY_UNSUPPORTED;
        return 0;
    }
    if (asprintf(&choice->proxy, "%s%.*s", plain ? "http://" : "https://", (int)length, authority) < 0) {
        choice->proxy = NULL;
        return -ENOMEM;
    }
    choice->kind = PROXY_USED;
    return 0;
}

int proxy_choose(const char *url, char *(*get)(const char *name), struct proxy_choice *ret)
{
    static const char *const of_http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const of_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    static const char *const bypass[] = {"no_proxy", "NO_PROXY", NULL};
    struct proxy_choice choice = {.kind = PROXY_NONE, .noproxy = ""};
    const char *ignored;

    bool tls = strncasecmp(url, "https:", 6) == 0;
    const char *value = first_set(get, tls ? of_https : of_http, &choice.variable);
    if (value && *value != '\0') {
        int r = normalise(value, &choice);
        if (r < 0)
            return r;
        const char *noproxy = first_set(get, bypass, &ignored);
        choice.noproxy = noproxy ? noproxy : "";
    }
    *ret = choice;
    return 0;
}

void proxy_choice_done(struct proxy_choice *choice)
{
    free(choice->proxy);
    choice->proxy = NULL;
}

static void tell(const struct cli *cli, struct proxy_taker *taker, const struct proxy_choice *choice,
                 bool has_credential)
{
    if (taker->told)
        return;
    if (choice->kind == PROXY_UNSUPPORTED)
        cli_warn(
            cli,
            "the proxy in %s is of a kind that is not supported, so it is not used; name an http:// or https:// one "
            "with --proxy",
            choice->variable);
    else if (choice->had_secret && !has_credential)
        cli_warn(
            cli,
            "the user and password of the proxy in %s were left out, as the queue keeps no secrets; store them with "
            "`bitsq credential set NAME --user USER` and add --proxy-credential NAME",
            choice->variable);
    taker->told = choice->kind == PROXY_UNSUPPORTED || choice->had_secret;
}

int proxy_take(const struct cli *cli, struct proxy_taker *taker, bitsq_job_options *options, const char *url)
{
    struct proxy_choice choice;
    const char *value;
    int code = 0;

    if (!taker->began) {
        taker->has_proxy = bitsq_job_options_get_string(options, "proxy", &value) > 0;
        taker->has_noproxy = bitsq_job_options_get_string(options, "noproxy", &value) > 0;
        taker->began = true;
    }
    if (taker->has_proxy)
        return 0;
    if (proxy_choose(url, getenv, &choice) < 0)
        return cli_fail_memory(cli);
    bitsq_job_options_unset(options, "proxy");
    if (!taker->has_noproxy)
        bitsq_job_options_unset(options, "noproxy");
    if (choice.kind == PROXY_USED)
        code = setting_text(cli, options, choice.variable, "proxy", choice.proxy);
    if (code == 0 && *choice.noproxy != '\0' && !taker->has_noproxy)
        code = setting_text(cli, options, "no_proxy", "noproxy", choice.noproxy);
    if (code == 0)
        tell(cli, taker, &choice, bitsq_job_options_get_string(options, "proxy_credential", &value) > 0);
    proxy_choice_done(&choice);
    return code;
}
