/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was looked at, as probe and doctor tell it: a name that stays the same, a verdict, a sentence, and what to do.
 *
 *   note   linger          uploads end when you log out
 *                            to do: loginctl enable-linger
 */
#pragma once

#include <stddef.h>

struct table;
struct json_object;

#define VERDICT_OK      "ok"
#define VERDICT_NOTE    "note"
#define VERDICT_PROBLEM "problem"

void finding_print(const struct table *table, const char *name, const char *verdict, const char *text,
                   const char *remedy);
struct json_object *finding_json(const char *name, const char *verdict, const char *text, const char *remedy);
