/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"
#include "config_access.h"

#include "base/parse.h"
#include "base/path.h"

#include <assert.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ini_configobj.h>
#include <ini_valueobj.h>

#define SECTION      "bitsqd"
#define TEST_SECTION "Test" /* for the project's own tests: bounds that nobody should lower */

enum kind {
    KIND_COUNT,
    KIND_SIZE,
    KIND_DURATION,
    KIND_FLAG,
    KIND_RATE, /* nothing and "off" are no limit */
};

struct key {
    const char *section;
    const char *name;
    enum kind kind;
    size_t offset; /* in struct settings */
    uint64_t min, max;
    const char *range; /* for people */
};

#define FIELD(field) offsetof(struct settings, field)

static const struct key keys[] = {
    {SECTION, "MaxActive", KIND_COUNT, FIELD(max_active), 1, ACTIVE_JOBS_MAX, "1 to 64"},
    {SECTION, "MaxActivePerHost", KIND_COUNT, FIELD(max_active_per_host), 1, ACTIVE_JOBS_MAX, "1 to 64"},
    {SECTION, "MaxActivePerUser", KIND_COUNT, FIELD(max_active_per_user), 0, ACTIVE_JOBS_MAX, "0 to 64, 0 = no limit"},
    {SECTION, "RetryDelay", KIND_DURATION, FIELD(retry_delay_usec), 10 * USEC_PER_MSEC, USEC_PER_DAY, "10ms to 1d"},
    {SECTION, "RetryDelayMax", KIND_DURATION, FIELD(retry_delay_max_usec), 10 * USEC_PER_MSEC, USEC_PER_DAY,
     "10ms to 1d"},
    {SECTION, "NoProgressTimeout", KIND_DURATION, FIELD(no_progress_timeout_usec), 0, 3650 * USEC_PER_DAY,
     "0 to 3650d"},
    {SECTION, "FragmentMin", KIND_SIZE, FIELD(fragment_min_bytes), FRAGMENT_FLOOR_BYTES, FRAGMENT_CEILING_BYTES,
     "5KiB to 1GiB"},
    {SECTION, "FragmentMax", KIND_SIZE, FIELD(fragment_max_bytes), FRAGMENT_FLOOR_BYTES, FRAGMENT_CEILING_BYTES,
     "5KiB to 1GiB"},
    {SECTION, "TimeSlice", KIND_DURATION, FIELD(time_slice_usec), USEC_PER_SEC, USEC_PER_DAY, "1s to 1d"},
    {SECTION, "ResponseTimeout", KIND_DURATION, FIELD(response_timeout_usec), 100 * USEC_PER_MSEC, USEC_PER_DAY,
     "100ms to 1d"},
    {SECTION, "MaxJobs", KIND_COUNT, FIELD(max_jobs), 1, STORE_JOBS_MAX, "1 to 2000000"},
    {SECTION, "MaxJobsPerUser", KIND_COUNT, FIELD(max_jobs_per_user), 1, STORE_JOBS_MAX, "1 to 2000000"},
    {SECTION, "KeepAwake", KIND_FLAG, FIELD(keep_awake), 0, 1, "yes or no"},
    {SECTION, "RetainDays", KIND_COUNT, FIELD(retain_days), 0, RETAIN_DAYS_MAX, "0 to 3650, 0 = for ever"},
    {SECTION, "RetainJobs", KIND_COUNT, FIELD(retain_jobs), 0, STORE_JOBS_MAX, "0 to 2000000, 0 = any number"},
    {SECTION, "RateLimit", KIND_RATE, FIELD(rate_limit), 0, RATE_LIMIT_MAX,
     "a rate as 200K, 2M or 8Mbit (a second), or off"},
    {TEST_SECTION, "FragmentFloor", KIND_SIZE, FIELD(fragment_floor_bytes), 1, FRAGMENT_FLOOR_BYTES, "1 to 5KiB"},
    {TEST_SECTION, "BatchTimeout", KIND_DURATION, FIELD(batch_timeout_usec), USEC_PER_MSEC, USEC_PER_DAY, "1ms to 1d"},
    {TEST_SECTION, "HookRetryDelay", KIND_DURATION, FIELD(hook_retry_usec), USEC_PER_MSEC, USEC_PER_DAY, "1ms to 1d"},
    {TEST_SECTION, "LookTimeout", KIND_DURATION, FIELD(look_timeout_usec), USEC_PER_MSEC, USEC_PER_DAY, "1ms to 1d"},
    {TEST_SECTION, "IdleExit", KIND_DURATION, FIELD(idle_exit_usec), USEC_PER_MSEC, USEC_PER_DAY, "1ms to 1d"},
};

void config_done(struct config *config)
{
    free(config->state_directory);
    free(config->credential_directory);
    free(config->hook_command);
    free(config->systemctl);
    access_rules_done(&config->access_rules);
    config->state_directory = config->credential_directory = config->hook_command = config->systemctl = NULL;
}

static int fail(char **ret_message, int result, const char *file, uint32_t line, const char *what)
{
    int n = line > 0 ? asprintf(ret_message, "%s:%" PRIu32 ": %s", file, line, what)
                     : asprintf(ret_message, "%s: %s", file, what);

    if (n < 0)
        *ret_message = NULL;
    return result;
}

static int parse_limit(const char *text, uint64_t *ret)
{
    if (*text == '\0' || strcmp(text, "off") == 0) {
        *ret = 0;
        return 0;
    }
    /* A zero is as likely meant to stop all uploads as to limit none. */
    int r = parse_rate(text, ret);
    return r >= 0 && *ret == 0 ? -EINVAL : r;
}

static int parse_value(const struct key *key, const char *text, uint64_t *ret)
{
    switch (key->kind) {
    case KIND_COUNT:
        return parse_u64(text, ret);
    case KIND_SIZE:
        return parse_size(text, ret);
    case KIND_DURATION:
        return parse_duration(text, ret);
    case KIND_FLAG: {
        bool on;
        int r = parse_bool(text, &on);
        if (r >= 0)
            *ret = on;
        return r;
    }
    case KIND_RATE:
        return parse_limit(text, ret);
    }
    return -EINVAL;
}

static int set_number(struct config *config, const struct key *key, const char *text, char **ret_reason)
{
    uint64_t value;
    uint64_t minimum = key->min;

    /* The tests may go below the floor of fragments; then the smallest fragment may follow. */
    if (minimum == FRAGMENT_FLOOR_BYTES && config->settings.fragment_floor_bytes < minimum)
        minimum = config->settings.fragment_floor_bytes;
    int r = parse_value(key, text, &value);
    if (r >= 0 && value >= minimum && value <= key->max) {
        memcpy((char *)&config->settings + key->offset, &value, sizeof(value));
        return 0;
    }
    if (asprintf(ret_reason, "%s=%s is not a valid value; it takes %s", key->name, text, key->range) < 0)
        *ret_reason = NULL;
    return -EINVAL;
}

static int set_path(char **to, const char *name, const char *text, char **ret_reason)
{
    char *path = config_expand_home(text);

    if (!path)
        return -ENOMEM;
    if (path[0] != '/') {
        free(path);
        if (asprintf(ret_reason, "%s= needs an absolute path, or one that begins with ~/", name) < 0)
            *ret_reason = NULL;
        return -EINVAL;
    }
    free(*to);
    *to = path;
    return 0;
}

/* Nothing takes back what another file said. */
static int set_program(char **program, const char *name, const char *text, char **ret_reason)
{
    if (text[0] != '\0')
        return set_path(program, name, text, ret_reason);
    free(*program);
    *program = NULL;
    return 0;
}

static int set_network(struct config *config, const char *text, char **ret_reason)
{
    if (policy_network_parse(text, &config->settings.policy.network) >= 0)
        return 0;
    if (asprintf(ret_reason, "Network=%s is not a valid value; it takes any or unmetered", text) < 0)
        *ret_reason = NULL;
    return -EINVAL;
}

static int set_power(struct config *config, const char *text, char **ret_reason)
{
    if (policy_power_parse(text, &config->settings.policy.power) >= 0)
        return 0;
    if (asprintf(ret_reason,
                 "Power=%s is not a valid value; it takes any, ac, or the charge of the battery from which on jobs may "
                 "run, as 30%%",
                 text) < 0)
        *ret_reason = NULL;
    return -EINVAL;
}

static int set_schedule(struct window *schedule, const char *text, char **ret_reason)
{
    const char *reason = NULL;

    int r = window_parse(text, true, schedule, &reason);
    if (r < 0 && asprintf(ret_reason, "RateSchedule=%s cannot be read: %s", text, reason) < 0)
        *ret_reason = NULL;
    return r;
}

static int apply(struct config *config, const char *section, const char *name, const char *text, char **ret_reason)
{
    const char *pattern = config_access_pattern(section);
    bool is_general = strcmp(section, SECTION) == 0;

    if (is_general && strcmp(name, "StateDirectory") == 0)
        return set_path(&config->state_directory, name, text, ret_reason);
    if (is_general && strcmp(name, "Network") == 0)
        return set_network(config, text, ret_reason);
    if (is_general && strcmp(name, "Power") == 0)
        return set_power(config, text, ret_reason);
    if (is_general && strcmp(name, "CredentialDirectory") == 0)
        return set_path(&config->credential_directory, name, text, ret_reason);
    if (is_general && strcmp(name, "HookCommand") == 0)
        return set_program(&config->hook_command, name, text, ret_reason);
    if (strcmp(section, TEST_SECTION) == 0 && strcmp(name, "SystemctlPath") == 0)
        return set_path(&config->systemctl, name, text, ret_reason);
    if (is_general && strcmp(name, "RateSchedule") == 0)
        return set_schedule(&config->settings.rate_schedule, text, ret_reason);
    for (size_t i = 0; i < ELEMENTS(keys); i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return set_number(config, &keys[i], text, ret_reason);
    if (is_general || pattern)
        return config_access_set(&config->access_rules, pattern, name, text, ret_reason);
    return -ENXIO;
}

struct reading {
    const char *file;
    struct ini_cfgobj *ini;
    struct config *config;
    void (*warn)(const char *text); /* NULL: nothing but StateDirectory= is read */
    char **ret_message;
};

static void warn_unknown(const struct reading *reading, uint32_t line, const char *section, const char *name)
{
    _cleanup_free_ char *text = NULL;

    if (asprintf(&text, "%s:%" PRIu32 ": there is no key %s in [%s]; it is ignored (see bitsqd(8))", reading->file,
                 line, name, section) < 0)
        text = NULL;
    if (text)
        reading->warn(text);
}

static int read_key(const struct reading *reading, const char *section, const char *name)
{
    struct value_obj *value = NULL;
    _cleanup_free_ char *reason = NULL;
    uint32_t line = 0;

    if (!reading->warn && strcmp(name, "StateDirectory") != 0)
        return 0;
    int r = ini_get_config_valueobj(section, name, reading->ini, INI_GET_LAST_VALUE, &value);
    if (r != 0 || !value)
        return fail(reading->ret_message, -EIO, reading->file, 0, "cannot be read");
    (void)value_get_line(value, &line);
    const char *text = ini_get_const_string_config_value(value, &r);
    if (!text)
        return fail(reading->ret_message, -EINVAL, reading->file, line, "the value cannot be read");
    r = apply(reading->config, section, name, text, &reason);
    if (r == -ENXIO && !reading->warn)
        return 0;
    if (r == -ENXIO) {
        warn_unknown(reading, line, section, name);
        return 0;
    }
    return r < 0 ? fail(reading->ret_message, r, reading->file, line, reason ? reason : strerror(-r)) : 0;
}

static int read_section(const struct reading *reading, const char *section)
{
    int count = 0, error = 0, r = 0;
    char **names = ini_get_attribute_list(reading->ini, section, &count, &error);

    if (!names)
        return fail(reading->ret_message, -EIO, reading->file, 0, "cannot be read");
    for (int i = 0; i < count && r >= 0; i++)
        r = read_key(reading, section, names[i]);
    ini_free_attribute_list(names);
    return r;
}

static int read_sections(const struct reading *reading)
{
    static const char *const first[] = {TEST_SECTION, SECTION};
    int count = 0, error = 0, r = 0;
    char **sections = ini_get_section_list(reading->ini, &count, &error);

    /* What the tests loosen comes first; anything else is reported as unknown. */
    for (size_t i = 0; i < ELEMENTS(first) && r >= 0; i++)
        for (int j = 0; j < count && r >= 0; j++)
            if (strcmp(sections[j], first[i]) == 0)
                r = read_section(reading, sections[j]);
    for (int j = 0; j < count && r >= 0; j++)
        if (strcmp(sections[j], SECTION) != 0 && strcmp(sections[j], TEST_SECTION) != 0)
            r = read_section(reading, sections[j]);
    ini_free_section_list(sections);
    return r;
}

static int parse_failure(const struct reading *reading)
{
    char **errors = NULL;
    int r = -EINVAL;

    if (ini_config_error_count(reading->ini) > 0 && ini_config_get_errors(reading->ini, &errors) == 0 && errors &&
        errors[0])
        r = fail(reading->ret_message, -EINVAL, reading->file, 0, errors[0]);
    else
        r = fail(reading->ret_message, -EINVAL, reading->file, 0, "this is not a configuration file");
    ini_config_free_errors(errors);
    return r;
}

static int read_file(const char *path, struct config *config, void (*warn)(const char *text), char **ret_message)
{
    struct ini_cfgfile *file = NULL;
    struct reading reading = {.file = path, .config = config, .warn = warn, .ret_message = ret_message};

    int r = ini_config_create(&reading.ini);
    if (r != 0)
        return -r;
    r = ini_config_file_open(path, 0, &file);
    if (r == ENOENT) {
        ini_config_destroy(reading.ini);
        return 0;
    }
    if (r != 0)
        r = fail(ret_message, -r, path, 0, strerror(r));
    else if (ini_config_parse(file, INI_STOP_ON_ANY, INI_MV1S_OVERWRITE, INI_PARSE_NOWRAP, reading.ini) != 0)
        r = parse_failure(&reading);
    else
        r = read_sections(&reading);
    if (file)
        ini_config_file_destroy(file);
    ini_config_destroy(reading.ini);
    return r;
}

static int read_all(const char *path, struct config *config, void (*warn)(const char *text), char **ret_message)
{
    _cleanup_free_ char *pattern = NULL;
    glob_t found = {0};

    int r = read_file(path, config, warn, ret_message);
    if (r < 0)
        return r;
    if (asprintf(&pattern, "%s.d/*.conf", path) < 0)
        return -ENOMEM;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && r >= 0; i++)
            r = read_file(found.gl_pathv[i], config, warn, ret_message);
    globfree(&found);
    return r;
}

static int load(const char *path, void (*warn)(const char *text), struct config *ret, char **ret_message)
{
    _cleanup_(config_done) struct config config = {.settings = SETTINGS_DEFAULT};
    _cleanup_free_ char *folder = NULL, *own = NULL;

    if (!path) {
        folder = path_xdg("XDG_CONFIG_HOME", ".config");
        if (!folder || asprintf(&own, "%s/bitsqd.conf", folder) < 0)
            return -ENOMEM;
        path = own;
    }
    int r = config_access_init(&config.access_rules);
    if (r >= 0)
        r = read_all(path, &config, warn, ret_message);
    if (r < 0)
        return r;
    if (config.settings.fragment_max_bytes < config.settings.fragment_min_bytes)
        return fail(ret_message, -EINVAL, path, 0, "FragmentMax= is smaller than FragmentMin=");
    if (!config.state_directory)
        config.state_directory = path_xdg("XDG_STATE_HOME", ".local/state");
    if (!config.state_directory)
        return -ENOMEM;
    *ret = config;
    config = (struct config){0};
    return 0;
}

int config_load(const char *path, void (*warn)(const char *text), struct config *ret, char **ret_message)
{
    assert(warn);
    return load(path, warn, ret, ret_message);
}

int config_load_state_directory(const char *path, struct config *ret, char **ret_message)
{
    return load(path, NULL, ret, ret_message);
}
