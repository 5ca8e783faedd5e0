/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* credential set, list, remove. */
#include "cli/credential.h"

#include "cli/args.h"
#include "cli/json.h"

#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#define NAMES_MAX 10000 /* credentials that are listed */

enum {
    OPTION_USER = OPTION_LONG,
    OPTION_AUTH,
    OPTION_HOSTS,
    OPTION_TOKEN,
    OPTION_TOKEN_FILE,
    OPTION_TOKEN_COMMAND,
};

const struct option_spec credential_options[] = {
    {OPTION_USER, "user", "USER", "set: the user; the password comes from standard input"},
    {OPTION_TOKEN, "token", NULL, "set: a bearer token comes from standard input"},
    {OPTION_TOKEN_FILE, "token-file", "FILE", "set: the token is the first line of FILE, read when it is needed"},
    {OPTION_TOKEN_COMMAND, "token-command", "COMMAND", "set: COMMAND (no shell) prints the token when it is needed"},
    {OPTION_AUTH, "auth", "SCHEME", "set: basic, digest, ntlm, negotiate or bearer; default: what the server asks for"},
    {OPTION_HOSTS, "hosts", "HOSTS", "set: which hosts may get it, as \"up.example.org *.example.com\""},
    {'q', "quiet", NULL, "no hints"},
    {0},
};

struct wish {
    const char *user, *auth, *hosts, *token_file, *token_command;
    bool token;
};

static int fail_name(const struct cli *cli, const char *name)
{
    return cli_fail(cli, EXIT_USAGE, "Usage", "%s names no credential; " CREDENTIAL_NAME_RULE, name);
}

static bool is_one_line(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int check_texts(const struct cli *cli, const struct wish *wish)
{
    const char *const texts[] = {wish->user, wish->auth, wish->hosts, wish->token_file, wish->token_command};

    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (texts[i] && (!is_one_line(texts[i]) || *texts[i] == '\0'))
            return cli_fail(cli, EXIT_USAGE, "Usage", "a value is empty or has a control character; write it anew");
    return 0;
}

/* Which kind of secret, and whether the rest goes with it. */
static int check_wish(const struct cli *cli, const struct wish *wish)
{
    int tokens = wish->token + !!wish->token_file + !!wish->token_command;
    bool bearer = wish->auth && strcmp(wish->auth, "bearer") == 0;
    bool negotiate = wish->auth && strcmp(wish->auth, "negotiate") == 0;

    if (tokens + !!wish->user > 1)
        return cli_fail(
            cli, EXIT_USAGE, "Usage",
            "only one of --user, --token, --token-file and --token-command goes into a credential; choose one");
    if (tokens > 0 && wish->auth && !bearer)
        return cli_fail(cli, EXIT_USAGE, "Usage", "a token goes with --auth bearer only; leave --auth out");
    if (wish->user && bearer)
        return cli_fail(cli, EXIT_USAGE, "Usage", "--auth bearer takes a token; say --token in place of --user");
    if (tokens == 0 && !wish->user && !negotiate)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "what is it: a password (--user USER), a token (--token, --token-file FILE, --token-command "
                        "COMMAND), or your Kerberos ticket (--auth negotiate)?");
    return check_texts(cli, wish);
}

static int read_secret(const struct cli *cli, const char *name, const struct wish *wish, struct secret *ret)
{
    char prompt[320];

    (void)snprintf(prompt, sizeof(prompt), "%s for %s (not shown): ", wish->token ? "Token" : "Password", name);
    return secret_read(cli, prompt, CREDENTIAL_TOKEN_MAX, ret);
}

/* One line of the file; a NULL value is none. */
static void append_line(char *text, size_t *length, const char *key, const char *value)
{
    if (!value || *length >= CREDENTIAL_BYTES_MAX)
        return;
    int n = snprintf(text + *length, CREDENTIAL_BYTES_MAX - *length, "%s=%s\n", key, value);
    *length += n > 0 ? (size_t)n : 0;
}

/* What the daemon could not use is not stored. */
static int check_text(const struct cli *cli, const char *text, size_t length)
{
    char reason[CREDENTIAL_REASON_MAX] = "";
    struct credential credential = {0};

    if (length >= CREDENTIAL_BYTES_MAX)
        return cli_fail(cli, EXIT_USAGE, "InvalidArgument",
                        "the credential has more than 32 KiB, so nothing was stored; shorten its values");
    int r = credential_parse(text, length, &credential, reason);
    credential_done(&credential);
    if (r == -EINVAL)
        return cli_fail(cli, EXIT_USAGE, "InvalidArgument", "nothing was stored, as the daemon could not use it: %s",
                        reason);
    return r < 0 ? cli_fail_memory(cli) : 0;
}

/* The text of its file, checked; the caller hands it to free_secret(). */
static int compose(const struct cli *cli, const struct wish *wish, const char *secret, const char *token_file,
                   char **ret)
{
    static const char head[] = "# bitsq credential\n";
    char *text = calloc(1, CREDENTIAL_BYTES_MAX);
    size_t length = strlen(head);

    if (!text)
        return cli_fail_memory(cli);
    memcpy(text, head, length);
    append_line(text, &length, "user", wish->user);
    append_line(text, &length, "password", wish->user ? secret : NULL);
    append_line(text, &length, "token", wish->token ? secret : NULL);
    append_line(text, &length, "token_file", token_file);
    append_line(text, &length, "token_command", wish->token_command);
    append_line(text, &length, "scheme", wish->auth);
    append_line(text, &length, "hosts", wish->hosts);
    int code = check_text(cli, text, length);
    if (code != 0)
        free_secret(text);
    else
        *ret = text;
    return code;
}

/* Whatever is wrong without the secret is said before anybody is asked for it. */
static int compose_with_secret(const struct cli *cli, const char *name, const struct wish *wish, const char *token_file,
                               char **ret)
{
    struct secret secret = {0};
    char *text = NULL;

    int code = compose(cli, wish, "x", token_file, &text);
    if (code != 0 || (!wish->user && !wish->token)) {
        *ret = text;
        return code;
    }
    free_secret(text);
    code = read_secret(cli, name, wish, &secret);
    if (code == 0)
        code = compose(cli, wish, secret.text, token_file, ret);
    secret_done(&secret);
    return code;
}

static int set(const struct cli *cli, const struct args *args, const char *folder, const struct wish *wish)
{
    const char *name = args->argv[optind + 1];
    _cleanup_free_ char *token_file = NULL;
    char *text = NULL;

    if (args->argc - optind > 2)
        return cli_fail(cli, EXIT_USAGE, "Usage",
                        "only the name follows set: a secret is read from standard input, as other users can read the "
                        "arguments of a command");
    if (!name)
        return args_fail_usage(args, "no credential is named");
    if (!credential_name_is_valid(name))
        return fail_name(cli, name);
    int code = check_wish(cli, wish);
    if (code != 0)
        return code;
    if (wish->token_file && path_make_absolute(wish->token_file, &token_file) < 0)
        return cli_fail(cli, EXIT_USAGE, "Usage", "--token-file %s names no file; check its name", wish->token_file);
    code = compose_with_secret(cli, name, wish, token_file, &text);
    if (text)
        code = credential_write(cli, folder, name, text, strlen(text));
    free_secret(text);
    if (code != 0)
        return code;
    if (cli->json != JSON_OFF) {
        struct json_object *answer = json_start("bitsq.credential/1");
        json_set_text(answer, "name", name);
        json_set_boolean(answer, "stored", true);
        json_print(answer);
    }
    cli_note(cli, "stored; name it with --credential %s, and bitsq retry lets jobs that failed for it go on", name);
    return EXIT_OK;
}

static int remove_one(const struct cli *cli, const char *folder, const char *name)
{
    _cleanup_free_ char *path = NULL;

    if (!credential_name_is_valid(name))
        return fail_name(cli, name);
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return cli_fail_memory(cli);
    if (unlink(path) == 0)
        return 0;
    if (errno == ENOENT || errno == ENOTDIR)
        return cli_fail(cli, EXIT_OTHER, "NoSuchCredential",
                        "there is no credential %s; bitsq credential list shows those there are", name);
    return cli_fail(cli, EXIT_OTHER, "Failed", "cannot remove %s: %s; remove it by hand", path, strerror(errno));
}

static int remove_all(const struct cli *cli, const struct args *args, const char *folder)
{
    struct json_object *names = json_object_new_array();
    size_t removed = 0;
    int code = EXIT_OK;

    if (args->argc - optind < 2) {
        (void)json_object_put(names);
        return args_fail_usage(args, "no credential is named");
    }
    for (char **name = args->argv + optind + 1; *name; name++) {
        int one = remove_one(cli, folder, *name);
        if (one == 0) {
            (void)json_object_array_add(names, json_object_new_string(*name));
            removed++;
        } else {
            code = one;
        }
    }
    struct json_object *answer = json_start("bitsq.credentials.removed/1");
    (void)json_object_object_add(answer, "names", names);
    if (cli->json != JSON_OFF)
        json_print(answer);
    else
        (void)json_object_put(answer);
    return code != EXIT_OK && removed > 0 ? EXIT_SOME_FAILED : code;
}

static void set_or_null(struct json_object *object, const char *name, const char *text)
{
    if (text && *text != '\0')
        json_set_text(object, name, text);
    else
        (void)json_object_object_add(object, name, NULL);
}

static const char *source_of(const struct credential_look *look)
{
    return look->credential.token_file ? look->credential.token_file : look->credential.token_command;
}

static struct json_object *look_json(const char *schema, const char *name, const struct credential_look *look)
{
    struct json_object *object = json_start(schema);

    json_set_text(object, "name", name);
    json_set_text(object, "kind", look->kind);
    set_or_null(object, "user", look->credential.user);
    set_or_null(object, "scheme", look->credential.scheme);
    set_or_null(object, "hosts", look->credential.hosts);
    set_or_null(object, "source", source_of(look));
    set_or_null(object, "problem", look->problem);
    return object;
}

static void print_look(const char *name, const struct credential_look *look, int columns)
{
    const char *texts[] = {look->credential.user, source_of(look), look->credential.hosts};
    static const char *const labels[] = {"user ", "from ", "for "};

    (void)printf("%-*s  %-13s", columns, name, look->kind);
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        _cleanup_free_ char *safe = texts[i] ? safe_text(texts[i]) : NULL;
        if (safe)
            (void)printf("  %s%s", labels[i], safe);
    }
    (void)putchar('\n');
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_credential(const struct dirent *entry)
{
    return credential_name_is_valid(entry->d_name);
}

static int list_entries(const struct cli *cli, const char *folder, struct dirent **entries, int count)
{
    struct json_object *answer = json_start("bitsq.credentials/1"), *all = json_object_new_array();
    int columns = 0, r = 0;

    for (int i = 0; i < count; i++)
        columns = (int)strlen(entries[i]->d_name) > columns ? (int)strlen(entries[i]->d_name) : columns;
    for (int i = 0; i < count && r >= 0; i++) {
        const char *name = entries[i]->d_name;
        struct credential_look look;
        r = credential_look(folder, name, &look);
        if (r < 0)
            break;
        if (cli->json == JSON_OBJECT)
            (void)json_object_array_add(all, look_json(NULL, name, &look));
        else if (cli->json == JSON_LINES)
            json_print(look_json("bitsq.credential/1", name, &look));
        else
            print_look(name, &look, columns);
        if (look.problem[0] != '\0')
            cli_warn(cli, "the credential %s/%s cannot be used: %s", folder, name, look.problem);
        credential_look_done(&look);
    }
    (void)json_object_object_add(answer, "credentials", all);
    if (cli->json == JSON_OBJECT && r >= 0)
        json_print(answer);
    else
        (void)json_object_put(answer);
    return r < 0 ? cli_fail_memory(cli) : EXIT_OK;
}

static int list(const struct cli *cli, const struct args *args, const char *folder)
{
    struct dirent **entries = NULL;

    if (args->argc - optind > 1)
        return args_fail_usage(args, "nothing follows list");
    int count = scandir(folder, &entries, is_credential, by_name);
    if (count < 0 && errno != ENOENT)
        return cli_fail(cli, EXIT_OTHER, "Failed", "cannot read the folder %s: %s; check it", folder, strerror(errno));
    if (count < 0)
        count = 0;
    int code = list_entries(cli, folder, entries, count < NAMES_MAX ? count : NAMES_MAX);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    if (code == EXIT_OK && count == 0)
        cli_note(cli, "there is no credential; bitsq credential set NAME --user USER stores one");
    return code;
}

static void take_option(struct cli *cli, struct wish *wish, int id, const char *value)
{
    switch (id) {
    case OPTION_USER:
        wish->user = value;
        return;
    case OPTION_AUTH:
        wish->auth = value;
        return;
    case OPTION_HOSTS:
        wish->hosts = value;
        return;
    case OPTION_TOKEN:
        wish->token = true;
        return;
    case OPTION_TOKEN_FILE:
        wish->token_file = value;
        return;
    case OPTION_TOKEN_COMMAND:
        wish->token_command = value;
        return;
    case 'q':
        cli->quiet = true;
        return;
    }
}

int verb_credential(struct cli *cli, int argc, char **argv)
{
    _cleanup_free_ char *folder = NULL;
    struct wish wish = {0};
    struct args args;
    const char *value;
    int id, code = 0;

    args_init(&args, cli, argc, argv);
    while ((id = args_next(&args, &value, &code)) != ARGS_END) {
        if (id == ARGS_EXIT)
            return code;
        take_option(cli, &wish, id, value);
    }
    const char *verb = optind < argc ? argv[optind] : "";
    bool is_set = strcmp(verb, "set") == 0;
    if (!is_set && (wish.user || wish.auth || wish.hosts || wish.token || wish.token_file || wish.token_command))
        return args_fail_usage(&args, "what a credential holds is said to set only");
    code = credential_folder(cli, &folder);
    if (code != 0)
        return code;
    if (is_set)
        return set(cli, &args, folder, &wish);
    if (strcmp(verb, "list") == 0)
        return list(cli, &args, folder);
    if (strcmp(verb, "remove") == 0)
        return remove_all(cli, &args, folder);
    return args_fail_usage(&args, *verb == '\0' ? "set, list or remove is missing" : "there is no such command");
}
