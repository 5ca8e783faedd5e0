/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/hooks.h"

#include "io/spawner.h"
#include "manager/internal.h"
#include "manager/log.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define TIMER_ACCURACY_USEC USEC_PER_MSEC
#define UNSAVED_RETRY_USEC  (5 * USEC_PER_SEC)
#define ARGUMENTS_MAX       8
#define NUMBER_TEXT_MAX     21

enum hook_step {
    STEP_START,   /* systemctl start UNIT */
    STEP_ASK,     /* that failed: is there a manager at all that could have started it? */
    STEP_COMMAND, /* HookCommand= */
};

struct pending_hook {
    TAILQ_ENTRY(pending_hook) entry;
    struct pending_hooks *list;
    struct manager *manager;
    struct hook hook;
    bool is_readable;
    bool is_delivered; /* the store is still to be told */
    unsigned tries;    /* that failed */
    uint64_t due_usec; /* CLOCK_MONOTONIC, of one that waits */
    enum hook_step step;
    struct spawner_run *run;
    char *fault; /* of systemctl, while it is asked whether there is a manager */
};

static uint64_t now_usec(const struct manager *manager)
{
    uint64_t now;

    (void)sd_event_now(manager->event, CLOCK_MONOTONIC, &now);
    return now;
}

static void move(struct pending_hook *hook, struct pending_hooks *list)
{
    if (hook->list)
        TAILQ_REMOVE(hook->list, hook, entry);
    hook->list = list;
    if (list)
        TAILQ_INSERT_TAIL(list, hook, entry);
}

static void hook_free(struct pending_hook *hook)
{
    move(hook, NULL);
    if (hook->run) {
        spawner_run_cancel(hook->run);
        hook->manager->hooks.running--;
    }
    free(hook->fault);
    free(hook);
}

__attribute__((format(printf, 3, 4))) static void say(const struct pending_hook *hook, int priority, const char *format,
                                                      ...)
{
    _cleanup_free_ char *text = NULL;
    char unit[HOOK_UNIT_MAX + 1];
    va_list list;

    va_start(list, format);
    if (vasprintf(&text, format, list) < 0)
        text = NULL;
    va_end(list);
    hook_unit_start(&hook->hook, unit);
    log_message(priority, MESSAGE_HOOK, hook->hook.job_id, "hook %s (%s, event %" PRIu64 ") %s", unit,
                hook_outcome_name(hook->hook.outcome), hook->hook.sequence, text ? text : "");
}

/* ---- waiting ---- */

static void arm(struct manager *manager)
{
    const struct pending_hook *hook;
    uint64_t first = USEC_INFINITY;

    TAILQ_FOREACH (hook, &manager->hooks.waiting, entry)
        first = hook->due_usec < first ? hook->due_usec : first;
    if (first == USEC_INFINITY)
        return;
    (void)sd_event_source_set_time(manager->hooks.timer, first);
    (void)sd_event_source_set_enabled(manager->hooks.timer, SD_EVENT_ONESHOT);
}

static void wait_for(struct pending_hook *hook, uint64_t delay_usec)
{
    hook->due_usec = usec_add(now_usec(hook->manager), delay_usec);
    move(hook, &hook->manager->hooks.waiting);
    arm(hook->manager);
}

static void start_ready(struct manager *manager);

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct manager *manager = userdata;
    struct pending_hook *hook, *next;

    (void)source;
    for (hook = TAILQ_FIRST(&manager->hooks.waiting); hook; hook = next) {
        next = TAILQ_NEXT(hook, entry);
        if (hook->due_usec <= usec)
            move(hook, &manager->hooks.ready);
    }
    arm(manager);
    start_ready(manager);
    return 0;
}

/* ---- delivered ---- */

static void on_removed(struct command *command, void *userdata)
{
    struct pending_hook *hook = userdata;
    struct manager *manager = hook->manager;

    manager_note_commit(manager, command->result);
    if (command->result < 0)
        wait_for(hook, UNSAVED_RETRY_USEC); /* a daemon that ends meanwhile delivers it once more */
    else
        hook_free(hook);
}

/* Nobody has to do with it any more, whether it was run or not. */
static void deliver(struct pending_hook *hook)
{
    struct command *command = command_new(COMMAND_HOOK_DONE, 0);

    hook->is_delivered = true;
    if (!command) {
        wait_for(hook, UNSAVED_RETRY_USEC);
        return;
    }
    move(hook, &hook->manager->hooks.busy);
    command->at = manager_now(hook->manager);
    command->hook_sequence = hook->hook.sequence;
    command->done = on_removed;
    command->userdata = hook;
    manager_submit(hook->manager, command);
}

/* ---- failed ---- */

static void fail(struct pending_hook *hook, const char *why)
{
    const struct manager *manager = hook->manager;
    char unit[HOOK_UNIT_MAX + 1], delay_text[DURATION_TEXT_MAX];
    uint64_t delay = hook_retry_delay(++hook->tries, manager->settings.hook_retry_usec);

    if (delay > 0) {
        say(hook, LOG_WARNING, "failed: %s; it is tried again in %s", why, text_duration(delay, delay_text));
        wait_for(hook, delay);
        return;
    }
    hook_unit_start(&hook->hook, unit);
    if (hook->step == STEP_COMMAND)
        say(hook, LOG_ERR,
            "failed %u times and is given up: %s; correct HookCommand= and run it by hand with %s %" PRIu64 " %" PRIu64
            " %s",
            hook->tries, why, unit, hook->hook.job_id, hook->hook.sequence, hook_outcome_name(hook->hook.outcome));
    else
        say(hook, LOG_ERR, "failed %u times and is given up: %s; start it by hand: systemctl %sstart %s", hook->tries,
            why, geteuid() == 0 ? "" : "--user ", unit);
    deliver(hook);
}

/* The process that runs programs never comes back: what is pending stands in the store until the next start. */
static void cut_off(struct manager *manager)
{
    struct hooks *hooks = &manager->hooks;
    struct pending_hook *hook, *next;

    if (!hooks->is_cut_off)
        log_message(LOG_ERR, MESSAGE_HOOK, 0,
                    "hooks cannot be run, as the process that runs programs is gone; they wait until bitsqd is started "
                    "again");
    hooks->is_cut_off = true;
    while ((hook = TAILQ_FIRST(&hooks->ready)) != NULL)
        hook_free(hook);
    for (hook = TAILQ_FIRST(&hooks->waiting); hook; hook = next) {
        next = TAILQ_NEXT(hook, entry);
        if (!hook->is_delivered)
            hook_free(hook);
    }
}

/* ---- running ---- */

/* Never by way of PATH: what stands there is the user's, and this is the system's. */
static const char *find_systemctl(const struct hooks *hooks)
{
    static const char *const places[] = {"/usr/bin/systemctl", "/bin/systemctl",
                                         "/run/current-system/sw/bin/systemctl"};

    if (hooks->systemctl)
        return access(hooks->systemctl, X_OK) == 0 ? hooks->systemctl : NULL;
    for (size_t i = 0; sd_booted() > 0 && i < ELEMENTS(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static void begin(struct pending_hook *hook, enum hook_step step);

static void on_failed(struct pending_hook *hook, const char *why)
{
    switch (hook->step) {
    case STEP_START:
        hook->fault = hook->manager->hooks.command ? strdup(why) : NULL;
        if (hook->fault)
            begin(hook, STEP_ASK);
        else
            fail(hook, why);
        return;
    case STEP_ASK:
        free(TAKE_PTR(hook->fault));
        begin(hook, STEP_COMMAND);
        return;
    case STEP_COMMAND:
        fail(hook, why);
        return;
    }
}

static void on_succeeded(struct pending_hook *hook)
{
    _cleanup_free_ char *fault = TAKE_PTR(hook->fault);

    if (hook->step == STEP_ASK) {
        fail(hook, fault ? fault : "systemctl failed");
        return;
    }
    say(hook, LOG_INFO, hook->step == STEP_START ? "was started" : "was handed to HookCommand=");
    deliver(hook);
}

static void describe(const struct spawner_result *result, const char *program, char *text, size_t size)
{
    _cleanup_free_ char *words = spawner_last_words(result);
    const char *said = words ? words : "", *colon = said[0] != '\0' ? ": " : "";

    if (result->error < 0)
        (void)snprintf(text, size, "%s cannot be started: %s", program, strerror(-result->error));
    else if (result->timed_out)
        (void)snprintf(text, size, "%s did not end within %" PRIu64 " s and was killed%s%s", program,
                       HOOK_TIMEOUT_USEC / USEC_PER_SEC, colon, said);
    else if (result->output_cut)
        (void)snprintf(text, size, "%s printed more than %" PRIu64 " bytes and was killed", program,
                       SPAWNER_OUTPUT_BYTES);
    else if (result->signal != 0)
        (void)snprintf(text, size, "%s was killed by signal %d%s%s", program, result->signal, colon, said);
    else
        (void)snprintf(text, size, "%s failed with exit status %d%s%s", program, result->exit_status, colon, said);
}

static void on_run(void *userdata, const struct spawner_result *result)
{
    struct pending_hook *hook = userdata;
    struct manager *manager = hook->manager;
    char why[FAILURE_TEXT_MAX];

    hook->run = NULL;
    manager->hooks.running--;
    if (result->error == -ECONNRESET) {
        hook_free(hook);
        cut_off(manager);
        return;
    }
    if (result->error == 0 && !result->timed_out && !result->output_cut && result->signal == 0 &&
        result->exit_status == 0) {
        on_succeeded(hook);
    } else {
        describe(result, hook->step == STEP_COMMAND ? "HookCommand=" : "systemctl", why, sizeof(why));
        on_failed(hook, why);
    }
    start_ready(manager);
}

struct arguments {
    const char *words[ARGUMENTS_MAX + 1];
    size_t count;
    char unit[HOOK_UNIT_MAX + 1], job_id[NUMBER_TEXT_MAX], sequence[NUMBER_TEXT_MAX];
};

static void add_words(struct arguments *arguments, const char *const *words)
{
    for (; *words; words++) {
        assert(arguments->count < ARGUMENTS_MAX);
        arguments->words[arguments->count++] = *words;
    }
}

static void fill_arguments(const struct pending_hook *hook, const char *program, struct arguments *ret)
{
    *ret = (struct arguments){.words = {program}, .count = 1};
    hook_unit_start(&hook->hook, ret->unit);
    (void)snprintf(ret->job_id, sizeof(ret->job_id), "%" PRIu64, hook->hook.job_id);
    (void)snprintf(ret->sequence, sizeof(ret->sequence), "%" PRIu64, hook->hook.sequence);
    if (hook->step != STEP_COMMAND && geteuid() != 0)
        add_words(ret, (const char *const[]){"--user", NULL});
    switch (hook->step) {
    case STEP_START:
        add_words(ret, (const char *const[]){"start", "--no-block", "--no-ask-password", "--", ret->unit, NULL});
        break;
    case STEP_ASK:
        add_words(ret, (const char *const[]){"show", "--property=Version", NULL});
        break;
    case STEP_COMMAND:
        add_words(ret, (const char *const[]){ret->unit, ret->job_id, ret->sequence,
                                             hook_outcome_name(hook->hook.outcome), NULL});
        break;
    }
}

static int run(struct pending_hook *hook, const char *program)
{
    char *environment[SPAWNER_ENVIRONMENT_MAX + 1] = {0};
    struct arguments arguments;

    fill_arguments(hook, program, &arguments);
    int r = spawner_environment(environment);
    if (r >= 0)
        r = spawner_run(hook->manager->hooks.spawner, arguments.words, (const char *const *)environment,
                        HOOK_TIMEOUT_USEC, on_run, hook, &hook->run);
    for (size_t i = 0; i < ELEMENTS(environment); i++)
        free(environment[i]);
    return r;
}

static void begin(struct pending_hook *hook, enum hook_step step)
{
    struct manager *manager = hook->manager;
    const char *program = step == STEP_COMMAND ? manager->hooks.command : find_systemctl(&manager->hooks);

    if (!program && step != STEP_COMMAND) {
        step = STEP_COMMAND;
        program = manager->hooks.command;
    }
    if (!program) {
        say(hook, LOG_WARNING,
            "was not run, and will not be: there is no systemd on this machine; to have a program run instead, set "
            "HookCommand= in bitsqd.conf");
        deliver(hook);
        return;
    }
    hook->step = step;
    move(hook, &manager->hooks.busy);
    int r = manager->hooks.spawner ? run(hook, program) : -ECONNRESET;
    if (r == -ECONNRESET) {
        hook_free(hook);
        cut_off(manager);
    } else if (r < 0) {
        fail(hook, strerror(-r));
    } else {
        manager->hooks.running++;
    }
}

/* ---- what is pending ---- */

static int take(const struct hook *stored, bool is_known, void *userdata)
{
    struct manager *manager = userdata;
    struct pending_hook *hook = calloc(1, sizeof(*hook));

    if (!hook)
        return -ENOMEM;
    hook->manager = manager;
    hook->hook = *stored;
    hook->is_readable = is_known;
    move(hook, &manager->hooks.ready);
    manager->hooks.after = stored->sequence;
    return 0;
}

static void take_all(struct manager *manager)
{
    int r;

    do {
        r = store_hooks(manager->store, manager->hooks.after, HOOKS_PAGE, take, manager);
    } while (r == HOOKS_PAGE);
    /* The next end of a job, or the next start, reads on. */
    if (r < 0)
        log_message(LOG_ERR, MESSAGE_HOOK, 0, "cannot read which hooks are pending: %s", strerror(-r));
}

static void take_up(struct pending_hook *hook)
{
    if (hook->is_delivered) {
        deliver(hook);
    } else if (!hook->is_readable) {
        log_message(LOG_ERR, MESSAGE_HOOK, 0,
                    "the hook of event %" PRIu64 " cannot be read and is given up; \"bitsq events\" shows which job it "
                    "was: start its unit by hand",
                    hook->hook.sequence);
        deliver(hook);
    } else {
        begin(hook, STEP_START);
    }
}

static void start_ready(struct manager *manager)
{
    struct hooks *hooks = &manager->hooks;
    struct pending_hook *hook;

    if (manager->stopping)
        return;
    while (hooks->running < HOOKS_PARALLEL && (hook = TAILQ_FIRST(&hooks->ready)) != NULL)
        take_up(hook);
}

void hooks_begin(struct manager *manager)
{
    if (manager->hooks.is_cut_off)
        return;
    take_all(manager);
    start_ready(manager);
}

void hooks_after(struct manager *manager, const struct command *command)
{
    bool has_new = false;

    for (size_t i = 0; i < command->items_count; i++) {
        const struct command_item *item = &command->items[i];
        has_new |= item->hook > 0;
        if (item->hook == -EDQUOT)
            log_message(LOG_ERR, MESSAGE_HOOK, item->id,
                        "the hook of the job's end is lost, as %d others are pending already; start its unit by hand",
                        HOOKS_PENDING_MAX);
    }
    if (has_new && command->result >= 0)
        hooks_begin(manager);
}

bool hooks_are_pending(const struct manager *manager)
{
    const struct hooks *hooks = &manager->hooks;

    return !TAILQ_EMPTY(&hooks->ready) || !TAILQ_EMPTY(&hooks->waiting) || !TAILQ_EMPTY(&hooks->busy);
}

/* ---- beginning and end ---- */

static int replace(char **to, const char *from)
{
    char *copy = from ? strdup(from) : NULL;

    if (from && !copy)
        return -ENOMEM;
    free(*to);
    *to = copy;
    return 0;
}

int manager_set_hook_programs(struct manager *manager, const char *command, const char *systemctl)
{
    int r = replace(&manager->hooks.command, command);

    return r < 0 ? r : replace(&manager->hooks.systemctl, systemctl);
}

void hooks_init(struct hooks *hooks)
{
    TAILQ_INIT(&hooks->ready);
    TAILQ_INIT(&hooks->waiting);
    TAILQ_INIT(&hooks->busy);
}

int hooks_add_source(struct manager *manager)
{
    int r = sd_event_add_time(manager->event, &manager->hooks.timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_due,
                              manager);

    return r < 0 ? r : sd_event_source_set_enabled(manager->hooks.timer, SD_EVENT_OFF);
}

/* Those whose deletion is with the writer come back; the others stand in the store. */
void hooks_stop(struct manager *manager)
{
    struct pending_hook *hook, *next;

    for (hook = TAILQ_FIRST(&manager->hooks.busy); hook; hook = next) {
        next = TAILQ_NEXT(hook, entry);
        if (hook->run)
            hook_free(hook);
    }
}

void hooks_done(struct manager *manager)
{
    struct hooks *hooks = &manager->hooks;
    struct pending_hooks *const lists[] = {&hooks->ready, &hooks->waiting, &hooks->busy};
    struct pending_hook *hook;

    for (size_t i = 0; i < ELEMENTS(lists); i++)
        while ((hook = TAILQ_FIRST(lists[i])) != NULL)
            hook_free(hook);
    sd_event_source_disable_unref(hooks->timer);
    free(hooks->command);
    free(hooks->systemctl);
}
