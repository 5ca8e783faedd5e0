/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault_random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault_rule.h"

/*
 * None of these loses what was acknowledged, none is to be taken for final, and none needs a timer of minutes. A server
 * that replaces files is taken for granted: a session that is lost after the file was published is uploaded again.
 */
static const char *const rules[] = {
    "create: drop head",
    "create: drop after-store",
    "create: drop after-ack",
    "create: status 500",
    "create: status 503; retry-after 0",
    "create: portal",
    "create: status 201",
    "create: no-header BITS-Protocol; no-header Accept-encoding",
    "create: session-id negative",
    "create: session-id long",
    "create: header-case lower",
    "create: ack-delay 300ms",
    "ping: drop head",
    "ping: status 404",
    "ping: status 503; retry-after 0",
    "ping: header-case upper",
    "fragment: drop head",
    "fragment: drop before-store",
    "fragment: drop after-store",
    "fragment: drop after-ack",
    "fragment: drop 1",
    "fragment: drop 3000",
    "fragment: store 1; drop",
    "fragment: store 1000; drop",
    "fragment: store 1000",
    "fragment: status 416",
    "fragment: process; status 416",
    "fragment: status 416; next-by -1000",
    "fragment: status 416; next-by 1000",
    "fragment: status 416; misspell",
    "fragment: status 416; no-header BITS-Received-Content-Range",
    "fragment: next-by -1000",
    "fragment: next-by 1000",
    "fragment if body > 6000: status 413",
    "fragment if body > 20000: status 413",
    "fragment: status 500",
    "fragment: process; status 500",
    "fragment: status 502",
    "fragment: status 503; retry-after 0",
    "fragment: status 429; retry-after 0",
    "fragment: early; status 503; retry-after 0",
    "fragment: disk-full 1000",
    "fragment: forget-session",
    "fragment: portal",
    "fragment: no-header BITS-Packet-Type",
    "fragment: no-header BITS-Received-Content-Range",
    "fragment: add-header bits-packet-type Ack; add-header X-Other 1; add-header x-other 2",
    "fragment: header-case mixed",
    "fragment: header BITS-Packet-Type aCK",
    "fragment: ack-delay 300ms",
    "fragment: ack-delay 300ms; drop after-store",
    "fragment: body unasked for",
    "fragment: chunked",
    "fragment: no-length",
    "fragment: stale",
    "close: drop head",
    "close: drop after-store",
    "close: status 500",
    "close: status 503; retry-after 0",
    "close: status 201",
    "close: ack-delay 300ms",
    "cancel: drop after-store",
    "cancel: status 500",
    "get: drop head",
    "get: status 503; retry-after 0",
    "get: redate",
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

struct fault_random {
    uint64_t seed;
    unsigned percent;
    uint64_t left;
    bool faulted[PACKET_COUNT_]; /* the last packet of this kind */
    struct fault_rule *rules[RULES];
    char *texts[RULES];
};

struct fault_random *fault_random_new(uint64_t seed, unsigned percent, uint64_t max)
{
    struct fault_random *random = calloc(1, sizeof(*random));

    if (random == NULL)
        return NULL;
    random->seed = seed;
    random->percent = percent;
    random->left = max;
    for (size_t i = 0; i < RULES; i++) {
        const char *why;
        int r = fault_rule_parse(rules[i], &random->rules[i], &why);

        assert(r == 0);
        r = asprintf(&random->texts[i], "random %" PRIu64 ": %s", seed, rules[i]);
        assert(r >= 0);
    }
    return random;
}

struct fault_random *fault_random_free(struct fault_random *random)
{
    if (random == NULL)
        return NULL;
    for (size_t i = 0; i < RULES; i++) {
        fault_rule_free(random->rules[i]);
        free(random->texts[i]);
    }
    free(random);
    return NULL;
}

/* SplitMix64: neighbouring numbers give bits that have nothing to do with each other. */
static uint64_t mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

const struct fault_rule *fault_random_draw(struct fault_random *random, const struct fault_facts *facts, uint64_t n,
                                           const char **ret_text)
{
    uint64_t bits = mix(random->seed ^ mix(n)), fitting = 0, chosen;
    bool *faulted = &random->faulted[facts->packet];

    if (*faulted || random->left == 0 || bits % 100 >= random->percent) {
        *faulted = false;
        return NULL;
    }
    for (size_t i = 0; i < RULES; i++)
        fitting += fault_rule_matches(random->rules[i], facts, n);
    if (fitting == 0)
        return NULL;
    chosen = mix(bits) % fitting;
    for (size_t i = 0; i < RULES; i++) {
        if (!fault_rule_matches(random->rules[i], facts, n) || chosen-- > 0)
            continue;
        *faulted = true;
        random->left--;
        *ret_text = random->texts[i];
        return random->rules[i];
    }
    abort();
}
