/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server may name as the host of its session (BITS-Host-Id): a plain host and nothing else, since it takes the
 * place of the host in the job's URL and the bytes of the file go there.
 *
 *   FRANKCAO8    up7.example.org:8080    192.0.2.7    2001:db8::7 → [2001:db8::7]    [2001:db8::7]:8080
 */
#pragma once

#include "core/exchange.h"

/*
 * Takes the host that the first LENGTH bytes of TEXT name, with brackets around IPv6. -EINVAL for a scheme, a path, a
 * user, blanks, control characters, a port that is none, or more than HOST_ID_MAX bytes; RET is untouched then.
 */
int host_id_read(const char *text, size_t length, char ret[static HOST_ID_MAX + 1]);
