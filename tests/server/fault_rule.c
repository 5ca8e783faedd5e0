/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault_rule.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum argument {
    ARGUMENT_NONE,
    ARGUMENT_NUMBER,
    ARGUMENT_STATUS,
    ARGUMENT_SIZE,
    ARGUMENT_SIZE_OR_ZERO, /* none means 0 */
    ARGUMENT_DURATION,
    ARGUMENT_TEXT,
    ARGUMENT_NAME,
    ARGUMENT_NAME_AND_TEXT,
    ARGUMENT_CODE_AND_CONTEXT,
    ARGUMENT_DROP,
    ARGUMENT_STALL,
    ARGUMENT_CASE,
    ARGUMENT_SIGNED, /* "-1000": the sign is left to who takes the number */
};

struct word {
    const char *name;
    enum fault_word word;
    enum argument argument;
    size_t offset;      /* in struct fault_plan, for the words that only set a member of it */
    const char *header; /* the name, for the words that stand for a header */
};

#define FLAG(word, member)                                                         \
    {                                                                              \
        word, FAULT_FLAG, ARGUMENT_NONE, offsetof(struct fault_plan, member), NULL \
    }
#define NUMBER(word, argument, member)                                          \
    {                                                                           \
        word, FAULT_NUMBER, argument, offsetof(struct fault_plan, member), NULL \
    }
#define TEXT(word, member)                                                         \
    {                                                                              \
        word, FAULT_TEXT, ARGUMENT_TEXT, offsetof(struct fault_plan, member), NULL \
    }

static const struct word words[] = {
    FLAG("process", process),
    FLAG("early", early),
    FLAG("forget-session", forget_session),
    FLAG("vanish", vanish),
    FLAG("chunked", chunked),
    FLAG("no-length", no_length),
    FLAG("portal", portal),
    FLAG("misspell", misspell),
    FLAG("redate", redate),
    FLAG("no-range", no_range),
    TEXT("replace", replace),
    FLAG("stale", stale),
    TEXT("secret", secret),
    NUMBER("store", ARGUMENT_SIZE, store_bytes),
    NUMBER("disk-full", ARGUMENT_SIZE_OR_ZERO, full_bytes),
    NUMBER("seek", ARGUMENT_SIZE, seek),
    NUMBER("ack-delay", ARGUMENT_DURATION, ack_delay_usec),
    NUMBER("rate", ARGUMENT_SIZE, rate),
    NUMBER("wrap", ARGUMENT_NUMBER, wrap_bits),
    NUMBER("body-bytes", ARGUMENT_SIZE, body_bytes),
    TEXT("session-id", session_form),
    TEXT("body", body),
    {"status", FAULT_STATUS, ARGUMENT_STATUS, 0, NULL},
    {"drop", FAULT_DROP, ARGUMENT_DROP, 0, NULL},
    {"stall", FAULT_STALL, ARGUMENT_STALL, 0, NULL},
    {"error", FAULT_ERROR, ARGUMENT_CODE_AND_CONTEXT, 0, NULL},
    {"header-case", FAULT_HEADER_CASE, ARGUMENT_CASE, 0, NULL},
    {"header", FAULT_HEADER, ARGUMENT_NAME_AND_TEXT, 0, NULL},
    {"no-header", FAULT_HEADER, ARGUMENT_NAME, 0, NULL},
    {"add-header", FAULT_HEADER_ADDED, ARGUMENT_NAME_AND_TEXT, 0, NULL},
    {"next-by", FAULT_NEXT_BY, ARGUMENT_SIGNED, offsetof(struct fault_plan, next_by), NULL},
    {"next", FAULT_HEADER, ARGUMENT_TEXT, 0, "BITS-Received-Content-Range"},
    {"retry-after", FAULT_HEADER, ARGUMENT_TEXT, 0, "Retry-After"},
};

static char *trim(char *text)
{
    size_t length;

    text += strspn(text, " \t");
    length = strlen(text);
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        text[--length] = '\0';
    return text;
}

/* Cuts the first word off; returns what follows it, trimmed. */
static char *cut_word(char *text)
{
    size_t length = strcspn(text, " \t");
    char *rest = text + length;

    if (*rest != '\0')
        *rest++ = '\0';
    return trim(rest);
}

static int parse_drop(const char *argument, struct fault_action *action)
{
    action->drop = DROP_BODY;
    if (strcmp(argument, "head") == 0)
        action->drop = DROP_HEAD;
    else if (strcmp(argument, "after-store") == 0)
        action->process = true;
    else if (strcmp(argument, "after-ack") == 0)
        action->drop = DROP_AFTER_ACK;
    else if (*argument != '\0' && strcmp(argument, "before-store") != 0)
        return text_parse_size(argument, &action->number);
    return 0;
}

static int parse_case(const char *argument, enum fault_case *ret)
{
    if (strcmp(argument, "lower") == 0)
        *ret = CASE_LOWER;
    else if (strcmp(argument, "upper") == 0)
        *ret = CASE_UPPER;
    else if (strcmp(argument, "mixed") == 0)
        *ret = CASE_MIXED;
    else
        return -EINVAL;
    return 0;
}

static int parse_argument(enum argument kind, char *argument, struct fault_action *action)
{
    action->number = FAULT_NONE;
    action->name = argument;
    action->text = argument;
    switch (kind) {
    case ARGUMENT_NONE:
        return *argument == '\0' ? 0 : -EINVAL;
    case ARGUMENT_NUMBER:
        return text_parse_u64(argument, &action->number);
    case ARGUMENT_STATUS:
        /* libmicrohttpd ends the connection for others */
        if (text_parse_u64(argument, &action->number) < 0 || action->number < 200 || action->number > 999)
            return -EINVAL;
        return 0;
    case ARGUMENT_SIZE_OR_ZERO:
        action->number = 0;
        return *argument == '\0' ? 0 : text_parse_size(argument, &action->number);
    case ARGUMENT_SIZE:
        return text_parse_size(argument, &action->number);
    case ARGUMENT_DURATION:
        return text_parse_duration(argument, &action->number);
    case ARGUMENT_TEXT:
        return *argument != '\0' ? 0 : -EINVAL;
    case ARGUMENT_NAME:
        action->text = NULL;
        return *argument != '\0' && *cut_word(argument) == '\0' ? 0 : -EINVAL;
    case ARGUMENT_NAME_AND_TEXT:
        action->text = cut_word(argument);
        return *argument != '\0' ? 0 : -EINVAL;
    case ARGUMENT_CODE_AND_CONTEXT:
        action->text = cut_word(argument);
        if (*action->text == '\0')
            action->text = "0x5";
        return *argument != '\0' ? 0 : -EINVAL;
    case ARGUMENT_DROP:
        return parse_drop(argument, action);
    case ARGUMENT_STALL:
        if (strcmp(argument, "head") == 0)
            action->number = 0;
        else if (*argument != '\0')
            return text_parse_size(argument, &action->number);
        return 0;
    case ARGUMENT_SIGNED:
        return text_parse_size(argument + (*argument == '-'), &action->number);
    case ARGUMENT_CASE:
        return parse_case(argument, &action->header_case);
    }
    abort();
}

static int parse_action(char *text, struct fault_action *action, const char **ret_why)
{
    char *argument = cut_word(text);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, text) != 0)
            continue;
        action->word = words[i].word;
        action->offset = words[i].offset;
        if (parse_argument(words[i].argument, argument, action) < 0) {
            *ret_why = "an action's argument is wrong or missing";
            return -EINVAL;
        }
        if (words[i].header != NULL)
            action->name = words[i].header;
        return 0;
    }
    *ret_why = "there is no such action";
    return -EINVAL;
}

static int parse_actions(char *text, struct fault_rule *rule, const char **ret_why)
{
    while (text != NULL) {
        char *action = strsep(&text, ";");

        if (rule->action_count == RULE_ACTIONS_MAX) {
            *ret_why = "a rule has at most 16 actions";
            return -EINVAL;
        }
        if (parse_action(trim(action), &rule->actions[rule->action_count], ret_why) < 0)
            return -EINVAL;
        rule->action_count++;
    }
    return 0;
}

static int parse_condition(char *text, struct fault_condition *condition)
{
    char *argument = cut_word(text);

    condition->text = argument;
    if (strcmp(text, "final") == 0) {
        condition->kind = CONDITION_FINAL;
        return *argument == '\0' ? 0 : -EINVAL;
    }
    if (strcmp(text, "body") == 0 && *argument == '>') {
        condition->kind = CONDITION_BODY_OVER;
        return text_parse_size(trim(argument + 1), &condition->number);
    }
    if (strcmp(text, "offset") == 0 && strncmp(argument, ">=", 2) == 0) {
        condition->kind = CONDITION_OFFSET_FROM;
        return text_parse_size(trim(argument + 2), &condition->number);
    }
    if (strcmp(text, "connection") == 0) {
        condition->kind = CONDITION_CONNECTION;
        return text_parse_u64(argument, &condition->number);
    }
    if (strcmp(text, "target") == 0)
        condition->kind = CONDITION_TARGET;
    else if (strcmp(text, "header") == 0)
        condition->kind = CONDITION_HEADER;
    else if (strcmp(text, "no-header") == 0)
        condition->kind = CONDITION_NO_HEADER;
    else
        return -EINVAL;
    return *argument != '\0' ? 0 : -EINVAL;
}

static int parse_conditions(char *text, struct fault_rule *rule)
{
    while (text != NULL) {
        char *rest = strstr(text, " and ");

        if (rest != NULL) {
            *rest = '\0';
            rest += strlen(" and ");
        }
        if (rule->condition_count == RULE_CONDITIONS_MAX)
            return -EINVAL;
        if (parse_condition(trim(text), &rule->conditions[rule->condition_count]) < 0)
            return -EINVAL;
        rule->condition_count++;
        text = rest;
    }
    return 0;
}

/* "fragment", "fragment*", "fragment#2", "fragment#2-4", "fragment#2-", "*". */
static int parse_packet(char *text, struct fault_rule *rule)
{
    char *numbers = strchr(text, '#'), *dash;
    size_t length;

    rule->first = 1;
    rule->last = UINT64_MAX;
    if (numbers != NULL) {
        *numbers++ = '\0';
        dash = strchr(numbers, '-');
        if (dash != NULL)
            *dash++ = '\0';
        if (text_parse_u64(numbers, &rule->first) < 0 || rule->first == 0)
            return -EINVAL;
        if (dash == NULL)
            rule->last = rule->first;
        else if (*dash != '\0' && (text_parse_u64(dash, &rule->last) < 0 || rule->last < rule->first))
            return -EINVAL;
    }
    rule->packet = PACKET_COUNT_;
    length = strlen(text);
    if (strcmp(text, "*") == 0)
        return 0;
    if (length > 0 && text[length - 1] == '*')
        text[length - 1] = '\0';
    for (enum packet packet = 0; packet < PACKET_COUNT_; packet++)
        if (strcmp(text, packet_name(packet)) == 0)
            rule->packet = packet;
    return rule->packet != PACKET_COUNT_ ? 0 : -EINVAL;
}

static bool condition_holds(const struct fault_condition *condition, const struct fault_facts *facts)
{
    switch (condition->kind) {
    case CONDITION_BODY_OVER:
        return facts->body_bytes > condition->number;
    case CONDITION_OFFSET_FROM:
        return facts->range_first != FAULT_NONE && facts->range_first >= condition->number;
    case CONDITION_CONNECTION:
        return facts->connection == condition->number;
    case CONDITION_TARGET:
        return strstr(facts->target, condition->text) != NULL;
    case CONDITION_HEADER:
        return facts->header(facts->context, condition->text) != NULL;
    case CONDITION_NO_HEADER:
        return facts->header(facts->context, condition->text) == NULL;
    case CONDITION_FINAL:
        return facts->final;
    }
    abort();
}

bool fault_rule_matches(const struct fault_rule *rule, const struct fault_facts *facts, uint64_t n)
{
    if (rule->packet != PACKET_COUNT_ && rule->packet != facts->packet)
        return false;
    if (n < rule->first || n > rule->last)
        return false;
    for (size_t i = 0; i < rule->condition_count; i++)
        if (!condition_holds(&rule->conditions[i], facts))
            return false;
    return true;
}

void fault_rule_free(struct fault_rule *rule)
{
    if (rule == NULL)
        return;
    free(rule->text);
    free(rule->words);
    free(rule);
}

static int parse_rule(struct fault_rule *rule, const char **ret_why)
{
    char *colon = strchr(rule->words, ':');
    char *head = trim(rule->words), *condition;

    *ret_why = "a colon must stand between the packet and the actions";
    if (colon == NULL)
        return -EINVAL;
    *colon = '\0';
    head = trim(head);
    condition = cut_word(head);
    *ret_why =
        "the packet must be create, ping, fragment, close, cancel, unknown, put, get, other or *, with #N or #N-M";
    if (parse_packet(head, rule) < 0)
        return -EINVAL;
    *ret_why =
        "a condition must be body > N, offset >= N, final, connection N, target TEXT, header NAME or no-header NAME";
    if (*condition != '\0') {
        char *first = cut_word(condition);

        if (strcmp(condition, "if") != 0 || parse_conditions(first, rule) < 0)
            return -EINVAL;
    }
    return parse_actions(colon + 1, rule, ret_why);
}

int fault_rule_parse(const char *text, struct fault_rule **ret, const char **ret_why)
{
    struct fault_rule *rule = calloc(1, sizeof(*rule));
    int r;

    *ret_why = "out of memory";
    if (rule == NULL)
        return -ENOMEM;
    rule->text = strdup(text);
    rule->words = strdup(text);
    r = rule->text == NULL || rule->words == NULL ? -ENOMEM : parse_rule(rule, ret_why);
    if (r < 0) {
        fault_rule_free(rule);
        return r;
    }
    *ret = rule;
    return 0;
}
