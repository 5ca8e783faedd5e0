/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a request goes: the URL of the job, the same at the host that a server named (BITS-Host-Id), or the URL of a
 * reply, which servers write in several ways.
 *
 *   http://up.example.org/in/a.bin  +  BITS-Sessions\Replies\{6F}\response.bin
 *     = http://up.example.org/in/BITS-Sessions/Replies/%7B6F%7D/response.bin
 */
#pragma once

#include "core/exchange.h"

#include "base/cleanup.h"

#include <stdbool.h>

struct target_question {
    const char *url; /* of the job: checked by url_check() */
    enum exchange_target target;
    const char *host;      /* of the request: "" = that of the URL */
    const char *reply_url; /* as the server sent it */
    bool other_host;       /* a reply may lie on any host */
};

struct target {
    char *url;
    char *host; /* "host:port" in lower case */
    bool over_tls;
};

/*
 * 0; -ENOMEM; or -EINVAL with a literal in *ret_fault that says what is wrong with what the server sent: another scheme
 * than http and https, http where the job's URL is https, a user or password, another host than the job's and the host
 * id's although other_host is not set, no URL at all, or one that is too long.
 */
int target_resolve(const struct target_question *question, struct target *ret, const char **ret_fault);
void target_done(struct target *target);
