/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/netrc.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\f\v"

/* What the next word is. */
enum netrc_expects {
    NETRC_KEY,
    NETRC_MACHINE,
    NETRC_LOGIN,
    NETRC_PASSWORD,
    NETRC_IGNORED, /* of "account" */
    NETRC_MACRO,   /* its name; its lines follow */
};

struct netrc {
    char name[256];          /* of the host, without [] and port */
    enum netrc_expects next; /* line ends do not count: a value may stand in the next line */
    bool in_macro;
    bool fits;     /* the entry that is being read is ours */
    bool is_found; /* and it is complete: another one has begun */
    char *login, *password;
};

/* ---- words ---- */

static void begin_entry(struct netrc *netrc, bool fits)
{
    netrc->is_found = netrc->fits;
    netrc->fits = netrc->fits || fits;
}

static void take_key(struct netrc *netrc, const char *word)
{
    static const struct {
        const char *key;
        enum netrc_expects next;
    } keys[] = {
        {"machine", NETRC_MACHINE}, {"login", NETRC_LOGIN},  {"password", NETRC_PASSWORD},
        {"account", NETRC_IGNORED}, {"macdef", NETRC_MACRO},
    };

    /* A word of no meaning here is skipped, as ftp(1) and curl(1) do. */
    netrc->next = NETRC_KEY;
    for (size_t i = 0; i < ELEMENTS(keys); i++)
        if (strcasecmp(word, keys[i].key) == 0)
            netrc->next = keys[i].next;
    if (netrc->next == NETRC_MACHINE)
        begin_entry(netrc, false);
    else if (strcasecmp(word, "default") == 0)
        begin_entry(netrc, true);
}

static int keep(struct netrc *netrc, char **field, const char *word)
{
    if (!netrc->fits)
        return 0;
    free_secret(*field);
    *field = strdup(word);
    return *field ? 0 : -ENOMEM;
}

static int take_word(struct netrc *netrc, const char *word)
{
    enum netrc_expects expects = netrc->next;

    netrc->next = NETRC_KEY;
    switch (expects) {
    case NETRC_KEY:
        take_key(netrc, word);
        return 0;
    case NETRC_MACHINE:
        netrc->fits = strcasecmp(word, netrc->name) == 0;
        return 0;
    case NETRC_LOGIN:
        return keep(netrc, &netrc->login, word);
    case NETRC_PASSWORD:
        return keep(netrc, &netrc->password, word);
    case NETRC_IGNORED:
        return 0;
    case NETRC_MACRO:
        netrc->in_macro = true;
        return 0;
    }
    return 0;
}

/* ---- lines ---- */

static char unescape(char c)
{
    return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

/* The word between quotes at *AT, unescaped in place. NULL where the second one is missing. */
static char *quoted_word(char **at)
{
    char *word = *at + 1, *to = word, *from = word;

    while (*from != '\0' && *from != '"') {
        bool escapes = *from == '\\' && from[1] != '\0';
        *to++ = escapes ? unescape(from[1]) : *from;
        from += escapes ? 2 : 1;
    }
    if (*from == '\0')
        return NULL;
    *to = '\0';
    *at = from + 1;
    return word;
}

static char *plain_word(char **at)
{
    char *word = *at;

    *at += strcspn(word, BLANKS);
    if (**at != '\0')
        *(*at)++ = '\0';
    return word;
}

static int take_line(struct netrc *netrc, char *line)
{
    int r = 0;

    if (netrc->in_macro) {
        netrc->in_macro = line[strspn(line, BLANKS)] != '\0';
        return 0;
    }
    for (char *at = line + strspn(line, BLANKS); *at != '\0' && r >= 0 && !netrc->is_found; at += strspn(at, BLANKS)) {
        /* Within a line it may begin a password. */
        if (*at == '#' && at == line + strspn(line, BLANKS))
            return 0;
        char *word = *at == '"' ? quoted_word(&at) : plain_word(&at);
        r = word ? take_word(netrc, word) : -EINVAL;
    }
    return r;
}

static int read_lines(struct netrc *netrc, char *text, char reason[static NETRC_REASON_MAX])
{
    unsigned number = 0;
    char *rest = text;

    for (char *line = strsep(&rest, "\n"); line && !netrc->is_found; line = strsep(&rest, "\n")) {
        number++;
        int r = take_line(netrc, line);
        if (r == -EINVAL)
            (void)snprintf(reason, NETRC_REASON_MAX, "line %u: the quote that begins there does not end", number);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the whole ---- */

static void set_name(struct netrc *netrc, const char *host)
{
    const char *colon = strrchr(host, ':');
    size_t length = colon ? (size_t)(colon - host) : strlen(host);

    if (length > 2 && host[0] == '[') {
        host++;
        length -= 2;
    }
    (void)snprintf(netrc->name, sizeof(netrc->name), "%.*s", (int)length, host);
}

static int conclude(struct netrc *netrc, char **ret_user, char **ret_password, char reason[static NETRC_REASON_MAX])
{
    if (!netrc->fits)
        return 0;
    if (!netrc->login || !netrc->password) {
        (void)snprintf(reason, NETRC_REASON_MAX, "the entry for %.60s has no %s", netrc->name,
                       netrc->login ? "password" : "login");
        return -EINVAL;
    }
    *ret_user = TAKE_PTR(netrc->login);
    *ret_password = TAKE_PTR(netrc->password);
    return 1;
}

int netrc_find(const char *text, size_t length, const char *host, char **ret_user, char **ret_password,
               char reason[static NETRC_REASON_MAX])
{
    struct netrc netrc = {.next = NETRC_KEY};
    char *copy = text_duplicate(text, length);

    if (!copy)
        return -ENOMEM;
    set_name(&netrc, host);
    int r = read_lines(&netrc, copy, reason);
    if (r >= 0)
        r = conclude(&netrc, ret_user, ret_password, reason);
    explicit_bzero(copy, length);
    free(copy);
    free_secret(netrc.login);
    free_secret(netrc.password);
    return r;
}
