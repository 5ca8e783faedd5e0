/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One fault rule as parsed. Private to fault.c and fault_rule.c. */
#pragma once

#include "fault.h"

enum fault_word {
    FAULT_FLAG,   /* sets a bool of the plan, */
    FAULT_NUMBER, /* a uint64_t, */
    FAULT_TEXT,   /* a const char *; each at the action's offset */
    FAULT_STATUS,
    FAULT_DROP,
    FAULT_STALL,
    FAULT_ERROR,
    FAULT_HEADER_CASE,
    FAULT_HEADER,
    FAULT_HEADER_ADDED,
    FAULT_NEXT_BY,
};

struct fault_action {
    enum fault_word word;
    size_t offset; /* of the member of struct fault_plan */
    uint64_t number;
    const char *name; /* a header's, or the first word of the argument */
    const char *text; /* the argument; NULL removes a header */
    enum fault_drop drop;
    enum fault_case header_case;
    bool process;
};

enum fault_condition_kind {
    CONDITION_BODY_OVER,
    CONDITION_OFFSET_FROM,
    CONDITION_CONNECTION,
    CONDITION_TARGET,
    CONDITION_HEADER,
    CONDITION_NO_HEADER,
    CONDITION_FINAL,
};

struct fault_condition {
    enum fault_condition_kind kind;
    uint64_t number;
    const char *text;
};

#define RULE_ACTIONS_MAX    16
#define RULE_CONDITIONS_MAX 4

struct fault_rule {
    struct fault_rule *next;
    char *text;           /* as given */
    char *words;          /* cut into the pieces that the actions and conditions point to */
    enum packet packet;   /* PACKET_COUNT_: any */
    uint64_t first, last; /* which requests of that packet, from 1 */
    struct fault_condition conditions[RULE_CONDITIONS_MAX];
    size_t condition_count;
    struct fault_action actions[RULE_ACTIONS_MAX];
    size_t action_count;
};

int fault_rule_parse(const char *text, struct fault_rule **ret, const char **ret_why);
/* N: the number of the request among those that the rule counts. */
bool fault_rule_matches(const struct fault_rule *rule, const struct fault_facts *facts, uint64_t n);
void fault_rule_free(struct fault_rule *rule);
