/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gates in words. One sentence says why a gate is closed, without times, which stand beside it; another says how a
 * person lifts it. "ID" in it is the job's, which whoever shows it puts there.
 */
#include "manager/gates.h"
#include "manager/internal.h"
#include "manager/runner.h"
#include "sense/network.h"
#include "sense/power.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct words {
    struct manager *manager;
    const struct job *job;
    const struct gate_policy *policy;
    bool is_closed;
    char *text, *remedy; /* of GATE_TEXT_MAX bytes */
};

static void say(struct words *words, const char *text)
{
    (void)text_copy(words->text, GATE_TEXT_MAX, text);
}

static void advise(struct words *words, const char *remedy)
{
    if (words->is_closed)
        (void)text_copy(words->remedy, GATE_TEXT_MAX, remedy);
}

/* How a choice is taken back where it was made. */
static void advise_choice(struct words *words, enum gate gate, const char *setting, const char *value,
                          enum gate_chooser by)
{
    if (!words->is_closed)
        return;
    int n = snprintf(words->remedy, GATE_TEXT_MAX, "bitsq run ID --ignore %s, or ", gate_name(gate));
    char *rest = words->remedy + n;
    size_t size = GATE_TEXT_MAX - (size_t)n;
    switch (by) {
    case CHOSEN_BY_GROUP:
        (void)snprintf(rest, size, "bitsq group set %s %s=%s", words->job->group, setting, value);
        break;
    case CHOSEN_BY_CONFIGURATION:
    case CHOSEN_BY_JOB:
    case CHOSEN_BY_NOBODY:
        (void)snprintf(rest, size, "bitsq set ID %s=%s", setting, value);
        break;
    }
}

static const char *chosen_by(enum gate_chooser by)
{
    switch (by) {
    case CHOSEN_BY_JOB:
        return "chosen for this job";
    case CHOSEN_BY_GROUP:
        return "chosen by its group";
    case CHOSEN_BY_CONFIGURATION:
        return "chosen in the configuration";
    case CHOSEN_BY_NOBODY:
        break;
    }
    return "the default";
}

static void say_time(struct words *words)
{
    say(words, words->is_closed ? "it is to start later" : "no time to wait for");
    advise(words, "bitsq run ID --ignore time, or bitsq set ID not-before=");
}

static void say_window(struct words *words)
{
    const char *window = words->policy->policy.window;

    if (words->policy->window.count == 0) {
        say(words, "all hours of the week");
        return;
    }
    (void)snprintf(words->text, GATE_TEXT_MAX, "%s its hours: %s (%s)", words->is_closed ? "outside" : "within", window,
                   chosen_by(words->policy->window_by));
    advise_choice(words, GATE_WINDOW, "window", words->policy->window_by == CHOSEN_BY_JOB ? "" : "always",
                  words->policy->window_by);
}

static void say_network(struct words *words)
{
    struct gate_world world;
    struct network_path path;

    manager_look(words->manager, words->job->host, &world, &path);
    switch (world.network) {
    case NETWORK_THERE:
        (void)snprintf(words->text, GATE_TEXT_MAX, "%s",
                       path.is_local ? "the server is on this machine" : "there is a way to the server");
        if (!path.is_local && path.device[0] != '\0')
            (void)snprintf(words->text, GATE_TEXT_MAX, "there is a way to the server (%s)", path.device);
        return;
    case NETWORK_NO_ROUTE:
        (void)snprintf(words->text, GATE_TEXT_MAX, "there is no network to %s", words->job->host);
        advise(words, "connect this machine to a network, or a VPN where the server needs one; it goes on by itself");
        return;
    case NETWORK_PORTAL:
        (void)snprintf(words->text, GATE_TEXT_MAX, "the network (%s) asks for a sign-in first", path.device);
        advise(words, "sign in with a browser; it goes on by itself");
        return;
    case NETWORK_OFFLINE:
        (void)snprintf(words->text, GATE_TEXT_MAX, "the network (%s) leads nowhere", path.device);
        advise(words, "look at the router or its line; it goes on by itself, or: bitsq run ID --ignore network");
        return;
    }
}

static void say_metered(struct words *words)
{
    struct gate_world world;
    struct network_path path;

    manager_look(words->manager, words->job->host, &world, &path);
    if (!words->is_closed) {
        say(words, words->policy->policy.network == NETWORK_UNMETERED ? "the network is not metered"
                                                                      : "metered networks may be used");
        return;
    }
    (void)snprintf(words->text, GATE_TEXT_MAX, "metered network (%s)", path.device);
    advise_choice(words, GATE_METERED, "network", "any", words->policy->network_by);
}

static void say_power(struct words *words)
{
    struct gate_world world;
    char power[POWER_TEXT_MAX];

    manager_look(words->manager, words->job->host, &world, NULL);
    if (!words->is_closed) {
        say(words, world.on_battery ? "it may run on battery" : "on mains power");
        return;
    }
    (void)snprintf(words->text, GATE_TEXT_MAX, "on battery (%u %%), and it asks for %s",
                   (unsigned)world.battery_percent, policy_power_text(words->policy->policy.power, power));
    advise_choice(words, GATE_POWER, "power", "any", words->policy->power_by);
}

static void say_group(struct words *words)
{
    (void)snprintf(words->text, GATE_TEXT_MAX, "the group %s is %s", words->job->group,
                   words->is_closed ? "paused" : "not paused");
    if (words->is_closed)
        (void)snprintf(words->remedy, GATE_TEXT_MAX, "bitsq group resume %s", words->job->group);
}

/* Which of the limits is reached; the first that is. */
static void say_slot(struct words *words)
{
    const struct manager *manager = words->manager;
    const struct job *job = words->job;
    const struct group *group = manager_find_group(manager, job->owner, job->group);
    uint64_t total = manager->settings.max_active, of_host = manager->settings.max_active_per_host, host = 0,
             members = 0;
    const struct runner *runner;

    if (!words->is_closed) {
        say(words, "nothing in use that it needs");
        return;
    }
    TAILQ_FOREACH (runner, &manager->runners, entry) {
        host += strcmp(runner->job->host, job->host) == 0;
        members += runner->job->owner == job->owner && strcmp(runner->job->group, job->group) == 0;
    }
    advise(words, "it is a matter of time; sooner: bitsq set ID priority=high");
    if (manager->runners_count >= total)
        (void)snprintf(words->text, GATE_TEXT_MAX, "%zu of %" PRIu64 " slots in use", manager->runners_count, total);
    else if (host >= of_host)
        (void)snprintf(words->text, GATE_TEXT_MAX, "%" PRIu64 " of %" PRIu64 " slots in use for %s", host, of_host,
                       job->host);
    else if (group && group->max_active != 0 && members >= group->max_active)
        (void)snprintf(words->text, GATE_TEXT_MAX, "%" PRIu64 " of %" PRIu64 " slots in use for the group %s", members,
                       group->max_active, job->group);
    else
        say(words, "its turn comes");
}

static void say_rate(struct words *words)
{
    const struct group *group = manager_find_group(words->manager, words->job->owner, words->job->group);
    const struct {
        uint64_t rate;
        const char *whom;
    } limits[] = {{words->job->options.rate_bytes, "for this job"},
                  {group ? group->rate_bytes : 0, "for its group"},
                  {words->manager->limit.rate, "for all jobs"}};
    size_t used = 0;

    for (size_t i = 0; i < ELEMENTS(limits); i++) {
        char rate[RATE_TEXT_MAX];
        if (limits[i].rate == 0)
            continue;
        int n = snprintf(words->text + used, GATE_TEXT_MAX - used, "%sat most %s %s", used > 0 ? ", " : "",
                         text_rate(limits[i].rate, rate), limits[i].whom);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used == 0)
        say(words, "no limit");
}

static void say_retry(struct words *words, enum gate gate)
{
    const struct job *job = words->job;
    uint64_t since, probe;

    if (!words->is_closed) {
        say(words, gate == GATE_RETRY    ? "no error to wait after"
                   : gate == GATE_SOURCE ? "nothing known against its file"
                                         : "nothing known against its credentials");
        return;
    }
    if (job->state == JOB_RETRYING && job->failure.text[0] != '\0') {
        (void)snprintf(words->text, GATE_TEXT_MAX, "%.*s", (int)strcspn(job->failure.text, ";"), job->failure.text);
        advise(words, job_is_away(job) ? "mount it, and it goes on by itself" : "bitsq retry ID tries at once");
    } else if (destination_is_down(words->manager, job->host, &since, &probe)) {
        (void)snprintf(words->text, GATE_TEXT_MAX,
                       "%s did not answer; one job at a time finds out whether it does again", job->host);
        advise(words, "bitsq run ID tries at once");
    }
}

static void say_disk(struct words *words)
{
    if (words->is_closed)
        (void)snprintf(words->text, GATE_TEXT_MAX, "the queue cannot be written: %s",
                       strerror(-words->manager->write_error));
    else
        say(words, "the queue can be written");
    advise(words, "see bitsq daemon status");
}

void manager_gate_text(struct manager *manager, const struct job *job, const struct gate_policy *policy,
                       const struct gate_states *states, enum gate gate, char text[static GATE_TEXT_MAX],
                       char remedy[static GATE_TEXT_MAX])
{
    struct words words = {.manager = manager,
                          .job = job,
                          .policy = policy,
                          .is_closed = (states->closed & GATE_BIT(gate)) != 0,
                          .text = text,
                          .remedy = remedy};

    text[0] = remedy[0] = '\0';
    if (states->passed & GATE_BIT(gate)) {
        say(&words, "closed, but bitsq run sends it past");
        return;
    }
    switch (gate) {
    case GATE_TIME:
        say_time(&words);
        break;
    case GATE_WINDOW:
        say_window(&words);
        break;
    case GATE_NETWORK:
        say_network(&words);
        break;
    case GATE_METERED:
        say_metered(&words);
        break;
    case GATE_POWER:
        say_power(&words);
        break;
    case GATE_GROUP:
        say_group(&words);
        break;
    case GATE_SLOT:
        say_slot(&words);
        break;
    case GATE_RATE:
        say_rate(&words);
        break;
    case GATE_RETRY:
    case GATE_SOURCE:
    case GATE_CREDENTIAL:
        say_retry(&words, gate);
        break;
    case GATE_DISK:
        say_disk(&words);
        break;
    case GATES:
        break;
    }
}
