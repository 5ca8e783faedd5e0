/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/setting.h"

#include "cli/upload.h"

#include "base/moment.h"
#include "base/parse.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int setting_text(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value)
{
    int r = bitsq_job_options_set_string(options, key, value);

    if (r == -EINVAL)
        return cli_fail(cli, EXIT_USAGE, "Usage", "the value of %s is not UTF-8; use other characters", label);
    return r < 0 ? cli_fail_memory(cli) : 0;
}

/* "|a|b|c|" as "a, b or c". */
static void list_values(const char *values, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (const char *at = values + 1; *at != '\0' && used < size;) {
        size_t length = strcspn(at, "|");
        const char *next = at + length + 1;
        int n = snprintf(text + used, size - used, "%s%.*s",
                         at == values + 1 ? ""
                         : *next != '\0'  ? ", "
                                          : " or ",
                         (int)length, at);
        used += n > 0 ? (size_t)n : 0;
        at = next;
    }
}

int setting_choice(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                   const char *value, const char *values)
{
    size_t length = strlen(value);
    char all[128];

    for (const char *at = values + 1; *at != '\0'; at += strcspn(at, "|") + 1)
        if (strcspn(at, "|") == length && strncmp(at, value, length) == 0)
            return setting_text(cli, options, label, key, value);
    list_values(values, all, sizeof(all));
    return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s is not known; use %s", label, value, all);
}

int setting_duration(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                     const char *value)
{
    uint64_t usec;

    if (parse_duration(value, &usec) < 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s is no time; write it as 90s, 15m, 2h or 3d", label, value);
    return bitsq_job_options_set_uint64(options, key, usec) < 0 ? cli_fail_memory(cli) : 0;
}

int setting_rate(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value)
{
    uint64_t rate;

    if (parse_rate(value, &rate) < 0 || rate == 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s is no rate; write it as 200K, 2M or 8Mbit", label, value);
    return bitsq_job_options_set_uint64(options, key, rate) < 0 ? cli_fail_memory(cli) : 0;
}

/* VALUE as FORMAT, all of it; what FORMAT does not name stays in *tm. */
static bool reads_as(const char *value, const char *format, struct tm *tm)
{
    const char *end = strptime(value, format, tm);

    return end && *end == '\0';
}

static int parse_time(const char *value, uint64_t *ret_usec)
{
    uint64_t now = moment_now().realtime_usec, span;
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    struct tm today, tm;

    if (parse_duration(value, &span) >= 0) {
        *ret_usec = usec_add(now, span);
        return 0;
    }
    if (!localtime_r(&seconds, &today))
        return -EINVAL;
    today.tm_sec = 0;
    today.tm_isdst = -1;
    tm = today;
    if (reads_as(value, "%H:%M", &tm)) {
        struct tm that_day = tm;
        seconds = mktime(&that_day);
        /* Of today where that is still to come, else of tomorrow. */
        if ((uint64_t)seconds * USEC_PER_SEC <= now) {
            tm.tm_mday++;
            seconds = mktime(&tm);
        }
    } else {
        static const char *const formats[] = {"%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S",
                                              "%Y-%m-%dT%H:%M:%S"};
        size_t i = 0;
        for (; i < ELEMENTS(formats); i++) {
            tm = today;
            if (reads_as(value, formats[i], &tm))
                break;
        }
        if (i == ELEMENTS(formats))
            return -EINVAL;
        seconds = mktime(&tm);
    }
    if (seconds < 0)
        return -EINVAL;
    *ret_usec = (uint64_t)seconds * USEC_PER_SEC;
    return 0;
}

int setting_time(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value)
{
    uint64_t usec;

    if (parse_time(value, &usec) < 0)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "%s %s is no time; write it as 22:00, 2h (from now on) or \"2027-01-31 22:00\"", label, value);
    return bitsq_job_options_set_uint64(options, key, usec) < 0 ? cli_fail_memory(cli) : 0;
}

int setting_power(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                  const char *value)
{
    size_t digits = strspn(value, "0123456789");
    uint64_t percent = 0;
    bool is_charge = digits > 0 && strcmp(value + digits, "%") == 0 && parse_u64_n(value, digits, &percent) >= 0 &&
                     percent >= 1 && percent <= 100;

    if (!is_charge && strcmp(value, "any") != 0 && strcmp(value, "ac") != 0)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "%s %s is not known; use any, ac, or the charge of the battery that will do, as 30%%", label,
                        value);
    return setting_text(cli, options, label, key, value);
}

int setting_sizes(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                  const char *value)
{
    const char *colon = strchr(value, ':');
    char least_text[32];
    uint64_t least, most;

    if (!colon || (size_t)(colon - value) >= sizeof(least_text))
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s is no pair; write it as 64Ki:8Mi", label, value);
    (void)snprintf(least_text, sizeof(least_text), "%.*s", (int)(colon - value), value);
    if (parse_size(least_text, &least) < 0 || parse_size(colon + 1, &most) < 0 || least == 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s has no good size; write it as 64Ki:8Mi", label, value);
    if (least > most)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s has the larger size first; write it as MIN:MAX", label, value);
    return bitsq_job_options_set_range(options, key, least, most) < 0 ? cli_fail_memory(cli) : 0;
}

int setting_flag(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value)
{
    bool on = true;

    if (value && parse_bool(value, &on) < 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s is neither yes nor no; use one of them", label, value);
    return bitsq_job_options_set_boolean(options, key, on) < 0 ? cli_fail_memory(cli) : 0;
}

static int set_priority(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                        const char *value)
{
    return setting_choice(cli, options, label, key, value, "|foreground|high|normal|low|");
}

int setting_network(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                    const char *value)
{
    return setting_choice(cli, options, label, key, value, "|any|unmetered|");
}

static int set_source_changed(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                              const char *value)
{
    return setting_choice(cli, options, label, key, value, "|fail|restart|");
}

int setting_url(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                const char *value)
{
    const char *complaint = url_complaint(value);

    if (!complaint && url_keeps_names(value))
        complaint = "it ends in /; name the file on the server, as no name is added to it here";
    if (complaint)
        return cli_fail(cli, EXIT_USAGE, "InvalidArgument", "the URL cannot be used: %s", complaint);
    return setting_text(cli, options, label, key, value);
}

/* ---- the settings ---- */

const struct job_setting job_settings[] = {
    {"priority", set_priority, "normal"},  {"url", setting_url, NULL},
    {"group", setting_text, "default"},    {"name", setting_text, NULL},
    {"retry_delay", setting_duration, ""}, {"no_progress_timeout", setting_duration, ""},
    {"fragment_size", setting_sizes, ""},  {"rate", setting_rate, ""},
    {"not_before", setting_time, ""},      {"deadline", setting_time, ""},
    {"window", setting_text, ""},          {"network", setting_network, ""},
    {"power", setting_power, ""},          {"source_changed", set_source_changed, ""},
    {"on_success", setting_text, ""},      {"on_failure", setting_text, ""},
};

const size_t job_settings_count = ELEMENTS(job_settings);

const struct job_setting *job_setting_find(const char *key)
{
    for (size_t i = 0; i < ELEMENTS(job_settings); i++)
        if (strcmp(job_settings[i].key, key) == 0)
            return &job_settings[i];
    return NULL;
}

const char *setting_key(const char *name, char key[static SETTING_KEY_MAX])
{
    (void)snprintf(key, SETTING_KEY_MAX, "%s", name);
    for (char *at = key; *at != '\0'; at++)
        if (*at == '-')
            *at = '_';
    return key;
}
