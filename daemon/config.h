/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration file as plain data: ~/.config/bitsq/bitsqd.conf, then bitsqd.conf.d/NAME.conf beside it in the
 * order of their names, each of which may overrule what came before. A file that is not there is an empty one.
 *
 *   [bitsqd]
 *   MaxActive=4
 *   RetryDelay=5s
 *   Proxy=http://proxy.example.org:3128
 *
 *   [Host *.example.com]
 *   MethodOverride=post
 *
 * Of the [Host PATTERN] sections that match a host, the first that chooses something decides it, in the order of the
 * files; then comes [bitsqd].
 */
#pragma once

#include "core/access.h"
#include "core/settings.h"

#include "base/cleanup.h"

struct config {
    struct settings settings;
    char *state_directory;            /* absolute; never NULL after config_load() */
    char *credential_directory;       /* absolute; NULL = the default */
    char *hook_command;               /* absolute; NULL = none */
    char *systemctl;                  /* absolute, in tests only: systemd is there, with this program; NULL */
    struct access_rules access_rules; /* those of [bitsqd] last, as the pattern "*" */
};

void config_done(struct config *config);

/*
 * PATH NULL: the user's own. An unknown key is told to WARN with file and line and otherwise ignored; a bad value is
 * -EINVAL with a sentence in *ret_message (malloc'ed), *ret is untouched then.
 */
int config_load(const char *path, void (*warn)(const char *text), struct config *ret, char **ret_message);

/*
 * As config_load(), but reads StateDirectory= alone: a bad value elsewhere must not hide the daemon that runs with the
 * configuration of before from those who look for it.
 */
int config_load_state_directory(const char *path, struct config *ret, char **ret_message);
