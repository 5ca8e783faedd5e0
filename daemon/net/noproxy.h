/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which hosts are asked directly although there is a proxy. Decided here, so that it is known which of the two failed.
 */
#pragma once

#include <stdbool.h>

/*
 * HOST is "host:port" in lower case, IPv6 in brackets. LIST: names, which stand for all below them too, with or without
 * a dot before them; addresses; networks ("10.0.0.0/8", "fd00::/8"); "*" = all. Separated by commas or blanks.
 */
bool noproxy_matches(const char *list, const char *host);
