/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a program of the system and reads its answer. */
#pragma once

#include <stdint.h>

#define PROGRAM_LINE_MAX 256

/*
 * The first line that ARGUMENTS[0], looked for in PATH, prints on its standard output; "" where it prints none. What it
 * says on standard error is dropped. -ENOENT and others: it cannot be run; -ETIMEDOUT: it was ended.
 */
int program_first_line(const char *const *arguments, uint64_t timeout_usec, char line[static PROGRAM_LINE_MAX]);
