/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

struct verb;

void help_overview(FILE *out);
void help_verb(FILE *out, const struct verb *verb);
