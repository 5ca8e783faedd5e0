/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a job reaches its server: the options of add, probe and set that say so. */
#include "cli/credential.h"
#include "cli/setting.h"

#include "base/path.h"

#include <errno.h>
#include <string.h>

#define ROW(name_, argument_, kind_, values_, help_) \
    {.name = (name_), .argument = (argument_), .kind = (kind_), .values = (values_), .help = (help_)},

const struct access_option access_options[] = {ACCESS_LIST(ROW)};
const size_t access_options_count = ELEMENTS(access_options);

const struct access_option *access_option_find(const char *key)
{
    char other[SETTING_KEY_MAX];

    for (size_t i = 0; i < ELEMENTS(access_options); i++)
        if (strcmp(setting_key(access_options[i].name, other), key) == 0)
            return &access_options[i];
    return NULL;
}

bool access_id_is_valid(int id)
{
    return id >= ACCESS_IDS_FIRST && (size_t)(id - ACCESS_IDS_FIRST) < ELEMENTS(access_options);
}

int access_id_set(const struct cli *cli, bitsq_job_options *options, int id, const char *value)
{
    const struct access_option *option = &access_options[id - ACCESS_IDS_FIRST];
    char label[SETTING_KEY_MAX + 2];

    (void)snprintf(label, sizeof(label), "--%s", option->name);
    return access_option_set(cli, options, option, label, value);
}

/* The daemon reads the file later, in another folder; a name that is wrong now is told now. */
static int set_path(const struct cli *cli, bitsq_job_options *options, const struct access_option *option,
                    const char *label, const char *key, const char *value)
{
    _cleanup_free_ char *path = NULL;

    int r = path_make_absolute(value, &path);
    if (r == -EINVAL && *value != '\0' && option->kind == ACCESS_FILE_OR_FOLDER) {
        path = realpath(value, NULL);
        r = path ? 0 : -errno;
    }
    if (r == -ENOMEM)
        return cli_fail_memory(cli);
    if (r == -EINVAL)
        return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s names no file; name one", label, value);
    if (r >= 0 && path && access(path, R_OK) < 0)
        r = -errno;
    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot read %s %s: %s; check its name and its mode", label, value,
                        strerror(-r));
    return setting_text(cli, options, label, key, path);
}

static int set_proxy(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                     const char *value)
{
    if (strchr(value, '@'))
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "%s may not hold a user or password, which other users could read in the process list and the "
                        "queue; store them with bitsq credential set NAME and add proxy-credential NAME",
                        label);
    if (strcmp(value, "none") == 0)
        value = "";
    if (*value != '\0' && strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "%s %s is no proxy; write it as http://HOST:PORT, https://HOST:PORT or none", label, value);
    return setting_text(cli, options, label, key, value);
}

int access_option_set(const struct cli *cli, bitsq_job_options *options, const struct access_option *option,
                      const char *label, const char *value)
{
    char key[SETTING_KEY_MAX];

    (void)setting_key(option->name, key);
    switch (option->kind) {
    case ACCESS_TEXT:
        if (*value == '\0')
            return cli_fail(cli, EXIT_USAGE, "Usage", "%s may not be empty; leave it out instead", label);
        return setting_text(cli, options, label, key, value);
    case ACCESS_EMPTY_TEXT:
        return setting_text(cli, options, label, key, value);
    case ACCESS_CHOICE:
        return setting_choice(cli, options, label, key, value, option->values);
    case ACCESS_NAME:
        if (!credential_name_is_valid(value))
            return cli_fail(cli, EXIT_USAGE, "Usage", "%s %s names no credential; " CREDENTIAL_NAME_RULE, label, value);
        credential_note_missing(cli, value);
        return setting_text(cli, options, label, key, value);
    case ACCESS_PIN:
        if (strncmp(value, "sha256//", strlen("sha256//")) != 0)
            return cli_fail(cli, EXIT_USAGE, "Usage",
                            "%s %s is no hash of a public key; write it as sha256//BASE64, as bitsq(1) shows", label,
                            value);
        return setting_text(cli, options, label, key, value);
    case ACCESS_FILE:
    case ACCESS_FILE_OR_FOLDER:
        return set_path(cli, options, option, label, key, value);
    case ACCESS_PROXY:
        return set_proxy(cli, options, label, key, value);
    case ACCESS_FLAG:
        return setting_flag(cli, options, label, key, value);
    }
    return 0;
}
