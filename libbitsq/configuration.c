/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of the daemon, as the daemon itself would read it at its next start. */
#include "internal.h"

#include "base/moment.h"

#include <errno.h>
#include <string.h>

#define CHECK_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define WARNINGS_MAX       16 /* the rest is met once these are corrected */
#define EXIT_BAD           1

struct bitsq_configuration {
    char *state_directory;
    char *error;
    char *warnings[WARNINGS_MAX];
    size_t warnings_count;
};

DEFINE_CLEANUP(bitsq_configuration *, bitsq_configuration_free);

_public_ bitsq_configuration *bitsq_configuration_free(bitsq_configuration *configuration)
{
    if (!configuration)
        return NULL;
    for (size_t i = 0; i < configuration->warnings_count; i++)
        free(configuration->warnings[i]);
    free(configuration->state_directory);
    free(configuration->error);
    free(configuration);
    return NULL;
}

/* One sentence a line, behind the program's name; lines of others, as of a sanitizer, are left out. */
static int take_sentences(bitsq_configuration *configuration, const char *lines)
{
    static const char prefix[] = "bitsqd: ";

    while (*lines != '\0' && configuration->warnings_count < WARNINGS_MAX) {
        size_t length = strcspn(lines, "\n");
        if (strncmp(lines, prefix, strlen(prefix)) == 0) {
            char *sentence = strndup(lines + strlen(prefix), length - strlen(prefix));
            if (!sentence)
                return -ENOMEM;
            configuration->warnings[configuration->warnings_count++] = sentence;
        }
        lines += length + (lines[length] != '\0');
    }
    return 0;
}

static int read_result(const struct launch_result *result, bitsq_configuration *configuration)
{
    configuration->state_directory = strdup(result->output);
    if (!configuration->state_directory || take_sentences(configuration, result->errors) < 0)
        return -ENOMEM;
    /* What made it fail comes last. */
    if (result->status == EXIT_BAD && configuration->warnings_count > 0)
        configuration->error = configuration->warnings[--configuration->warnings_count];
    return 0;
}

_public_ int bitsq_client_check_configuration(bitsq_client *client, bitsq_configuration **ret_configuration)
{
    _cleanup_(bitsq_configuration_free_p) bitsq_configuration *configuration = calloc(1, sizeof(*configuration));
    struct launch_result result;

    if (!configuration)
        return client_fail_memory(client);
    int r = launch_daemon("--check", CHECK_TIMEOUT_USEC, &result);
    if (r < 0)
        return client_fail_launch(client, r);
    if (read_result(&result, configuration) < 0)
        return client_fail_memory(client);
    if (result.status > EXIT_BAD || result.timed_out || (result.status == EXIT_BAD && !configuration->error))
        return client_fail(client, -EIO, "Failed",
                           "%s does not say whether its configuration is right; run it with "
                           "--check to see why",
                           launch_program());
    *ret_configuration = TAKE_PTR(configuration);
    return 0;
}

_public_ const char *bitsq_configuration_get_error(const bitsq_configuration *configuration)
{
    return configuration->error ? configuration->error : "";
}

_public_ const char *bitsq_configuration_get_warning(const bitsq_configuration *configuration, size_t index)
{
    return index < configuration->warnings_count ? configuration->warnings[index] : NULL;
}

_public_ const char *bitsq_configuration_get_state_directory(const bitsq_configuration *configuration)
{
    return configuration->state_directory;
}
