/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URLs as values, through curl_url(3). */
#pragma once

#include "base/cleanup.h"

enum url_fault {
    URL_OK = 0,
    URL_MALFORMED,
    URL_SCHEME,      /* neither http nor https */
    URL_CREDENTIALS, /* user:password@ */
    URL_NO_HOST,
    URL_FRAGMENT, /* #… never reaches a server */
    URL_TOO_LONG, /* over JOB_URL_MAX */
};

/*
 * Checks TEXT and takes from it "host:port" in lower case, the port always named, IPv6 in brackets; and the last
 * component of the path, percent-decoded ("" where the path ends in /). The caller frees both. -EINVAL with *ret_fault,
 * -ENOMEM.
 */
int url_check(const char *text, char **ret_host, char **ret_name, enum url_fault *ret_fault);

/* What failed, why, what to do: one sentence for people. */
const char *url_fault_text(enum url_fault fault);
