/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_random.h"
#include "fault_rule.h"

struct fault_set {
    pthread_mutex_t lock;
    uint64_t total;
    uint64_t counts[PACKET_COUNT_];
    struct fault_rule *first;
    struct fault_rule **last;
    struct fault_random *random; /* or NULL */
};

const char *packet_name(enum packet packet)
{
    static const char *const names[PACKET_COUNT_] = {
        [PACKET_CREATE] = "create", [PACKET_PING] = "ping",     [PACKET_FRAGMENT] = "fragment",
        [PACKET_CLOSE] = "close",   [PACKET_CANCEL] = "cancel", [PACKET_UNKNOWN] = "unknown",
        [PACKET_PUT] = "put",       [PACKET_GET] = "get",       [PACKET_OTHER] = "other",
    };

    return names[packet];
}

struct fault_set *fault_set_new(void)
{
    struct fault_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    pthread_mutex_init(&set->lock, NULL);
    set->last = &set->first;
    return set;
}

struct fault_set *fault_set_free(struct fault_set *set)
{
    if (set == NULL)
        return NULL;
    while (set->first != NULL) {
        struct fault_rule *rule = set->first;

        set->first = rule->next;
        fault_rule_free(rule);
    }
    fault_random_free(set->random);
    pthread_mutex_destroy(&set->lock);
    free(set);
    return NULL;
}

int fault_set_add(struct fault_set *set, const char *text, const char **ret_why)
{
    struct fault_rule *rule;
    int r = fault_rule_parse(text, &rule, ret_why);

    if (r < 0)
        return r;
    *set->last = rule;
    set->last = &rule->next;
    return 0;
}

int fault_set_random(struct fault_set *set, uint64_t seed, unsigned percent, uint64_t max)
{
    fault_random_free(set->random);
    set->random = fault_random_new(seed, percent, max);
    return set->random != NULL ? 0 : -ENOMEM;
}

static void plan_note(struct fault_plan *plan, const char *text)
{
    char *joined;

    if (asprintf(&joined, "%s%s%s", plan->text != NULL ? plan->text : "", plan->text != NULL ? " | " : "", text) < 0)
        return;
    free(plan->text);
    plan->text = joined;
}

static void plan_apply(struct fault_plan *plan, const struct fault_action *action)
{
    void *member = (char *)plan + action->offset;

    switch (action->word) {
    case FAULT_FLAG:
        *(bool *)member = true;
        break;
    case FAULT_NUMBER:
        *(uint64_t *)member = action->number;
        break;
    case FAULT_TEXT:
        *(const char **)member = action->text;
        break;
    case FAULT_STATUS:
        plan->status = (unsigned)action->number;
        break;
    case FAULT_DROP:
        plan->drop = action->drop;
        plan->drop_bytes = action->number;
        plan->process = plan->process || action->process;
        break;
    case FAULT_STALL:
        plan->stall = true;
        plan->stall_bytes = action->number;
        break;
    case FAULT_ERROR:
        plan->error = action->name;
        plan->error_context = action->text;
        break;
    case FAULT_HEADER_CASE:
        plan->header_case = action->header_case;
        break;
    case FAULT_NEXT_BY:
        plan->next_by_negative = action->text[0] == '-';
        *(uint64_t *)member = action->number;
        break;
    case FAULT_HEADER:
    case FAULT_HEADER_ADDED:
        if (plan->header_count < FAULT_HEADERS_MAX)
            plan->headers[plan->header_count++] = (struct fault_header){
                .name = action->name, .value = action->text, .add = action->word == FAULT_HEADER_ADDED};
        break;
    }
}

void fault_set_match(struct fault_set *set, const struct fault_facts *facts, struct fault_plan *ret_plan,
                     uint64_t *ret_n)
{
    struct fault_plan plan = {
        .drop_bytes = FAULT_NONE,
        .stall_bytes = FAULT_NONE,
        .store_bytes = FAULT_NONE,
        .full_bytes = FAULT_NONE,
        .seek = FAULT_NONE,
    };
    const struct fault_rule *drawn = NULL;
    const char *drawn_text = NULL;
    uint64_t total, n;

    pthread_mutex_lock(&set->lock);
    total = ++set->total;
    n = ++set->counts[facts->packet];
    if (set->random != NULL)
        drawn = fault_random_draw(set->random, facts, total, &drawn_text);
    pthread_mutex_unlock(&set->lock);
    for (const struct fault_rule *rule = set->first; rule != NULL; rule = rule->next) {
        if (!fault_rule_matches(rule, facts, rule->packet == PACKET_COUNT_ ? total : n))
            continue;
        plan_note(&plan, rule->text);
        for (size_t i = 0; i < rule->action_count; i++)
            plan_apply(&plan, &rule->actions[i]);
    }
    if (drawn != NULL) {
        plan_note(&plan, drawn_text);
        for (size_t i = 0; i < drawn->action_count; i++)
            plan_apply(&plan, &drawn->actions[i]);
    }
    *ret_plan = plan;
    *ret_n = total;
}

void fault_plan_done(struct fault_plan *plan)
{
    free(plan->text);
    plan->text = NULL;
}
