/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The proxy that the environment names for a URL, by the rules of curl: http_proxy (in lower case only, as a web server
 * hands a header "Proxy:" to its programs in HTTP_PROXY) or https_proxy, HTTPS_PROXY by the URL's scheme, else
 * all_proxy, ALL_PROXY; an empty one means none. no_proxy, NO_PROXY name the hosts that are spoken to directly.
 */
#pragma once

#include "cli/cli.h"

enum proxy_kind {
    PROXY_NONE,
    PROXY_USED,
    PROXY_UNSUPPORTED, /* as socks5:// */
};

struct proxy_choice {
    enum proxy_kind kind;
    const char *variable; /* that named it */
    char *proxy;          /* "http://host:port", without user, password and path */
    const char *noproxy;  /* "" = none */
    bool had_secret;      /* user or password were left out */
};

/* Pure but for GET, which is getenv() or a double of it. 0 or -ENOMEM. */
int proxy_choose(const char *url, char *(*get)(const char *name), struct proxy_choice *ret);
void proxy_choice_done(struct proxy_choice *choice);

/* For URLs one after the other, with the same options. */
struct proxy_taker {
    bool began, has_proxy, has_noproxy; /* whether they were said on the command line */
    bool told;                          /* what is wrong with that of the environment */
};

/*
 * Sets proxy and noproxy of OPTIONS as the caller's environment has them for URL, unless the command line says a proxy:
 * the daemon has another environment. 0 or an exit code; says what had to be left out.
 */
int proxy_take(const struct cli *cli, struct proxy_taker *taker, bitsq_job_options *options, const char *url);
