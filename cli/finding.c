/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/finding.h"

#include "cli/cli.h"
#include "cli/format.h"
#include "cli/json.h"

#include <string.h>

static const char *verdict_color(const char *verdict)
{
    if (strcmp(verdict, VERDICT_OK) == 0)
        return "\033[32m";
    return strcmp(verdict, VERDICT_NOTE) == 0 ? "\033[33m" : "\033[31m";
}

void finding_print(const struct table *table, const char *name, const char *verdict, const char *text,
                   const char *remedy)
{
    _cleanup_free_ char *safe_name = safe_text(name), *safe = safe_text(text), *safe_remedy = safe_text(remedy);

    if (!safe_name || !safe || !safe_remedy)
        return;
    (void)printf("%s%-7s%s  %-14s  %s\n", table->color ? verdict_color(verdict) : "", verdict,
                 table->color ? "\033[0m" : "", safe_name, safe);
    if (*safe_remedy != '\0')
        (void)printf("%25sto do: %s\n", "", safe_remedy);
}

struct json_object *finding_json(const char *name, const char *verdict, const char *text, const char *remedy)
{
    struct json_object *finding = json_start(NULL);

    json_set_text(finding, "name", name);
    json_set_text(finding, "verdict", verdict);
    json_set_text(finding, "text", text);
    json_set_text(finding, "remedy", remedy);
    return finding;
}
