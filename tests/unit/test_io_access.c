/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loading the access of a job from the user's files. Real files, real threads; every fault is read as a person would.
 */
#include "core/limits.h"
#include "io/access.h"
#include "io_fixture.h"
#include "support/folder.h"
#include "support/unit.h"

#include "base/credential.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HOST "up.example.org:8080"

struct fixture {
    struct io_fixture io;
    struct access choices;
    unsigned done;
    int result;
    struct transfer_access *access;
    char *fault;
    bool may_heal;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){0};
    io_fixture_begin(&f->io);
    assert_int_equal(setenv("HOME", f->io.folder, 1), 0);
}

static void forget(struct fixture *f)
{
    f->access = transfer_access_free(f->access);
    free(f->fault);
    f->fault = NULL;
}

static void finish(struct fixture *f)
{
    forget(f);
    access_done(&f->choices);
    io_fixture_finish(&f->io);
}

static void on_access(void *userdata, int result, struct transfer_access *access, const char *fault, bool may_heal)
{
    struct fixture *f = userdata;

    forget(f);
    f->done++;
    f->result = result;
    f->access = access;
    f->fault = fault ? strdup(fault) : NULL;
    f->may_heal = may_heal;
    assert_true((result == 0) == (access != NULL));
    assert_true((result == 0) == (fault == NULL));
}

static void choose(struct fixture *f, const char *option, const char *value)
{
    const struct access_key *key = access_find_option(option);
    const char *reason = NULL;

    assert_non_null(key);
    if (key->is_flag)
        access_set_flag(&f->choices, key, true);
    else
        assert_int_equal(access_set_text(&f->choices, key, value, &reason), 0);
}

/* A file of that name with TEXT, closed to others, as the value. */
static void choose_new(struct fixture *f, const char *option, const char *text)
{
    _cleanup_free_ char *path = io_fixture_file(&f->io, option, text, 0600);

    choose(f, option, path);
}

static int load(struct fixture *f)
{
    struct io_request *request = NULL;

    assert_int_equal(io_load_access(f->io.io, &f->choices, HOST, f->io.folder, false, on_access, f, &request), 0);
    io_fixture_run(&f->io, &f->done);
    return f->result;
}

static void put(struct fixture *f, const char *name, const char *text, mode_t mode)
{
    free(io_fixture_file(&f->io, name, text, mode));
}

static void assert_fault_says(const struct fixture *f, const char *part)
{
    assert_non_null(f->fault);
    if (!strstr(f->fault, part))
        fail_msg("\"%s\" does not say \"%s\"", f->fault, part);
    assert_null(strchr(f->fault, '\n'));
}

static void without_choices_there_is_nothing_to_load(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_NONE);
    assert_int_equal(f.access->proxy.scheme, AUTH_NONE);
    assert_null(f.access->proxy_url);
    assert_null(f.access->headers);
    assert_false(f.access->over_http);
    finish(&f);
}

static void a_credential_gives_user_and_password(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    put(&f, "alice", "# bitsq credential\nuser=alice\npassword= correct = \"horse\" # \nhosts=*.Example.org\n", 0600);
    choose(&f, "credential", "alice");
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_ANY);
    assert_string_equal(f.access->server.user, "alice");
    assert_string_equal(f.access->server.password, " correct = \"horse\" # ");
    assert_string_equal(f.access->server.hosts, "*.example.org");
    choose(&f, "auth", "digest");
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_DIGEST);
    finish(&f);
}

static void every_choice_finds_its_place(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    put(&f, "gate", "user=g\npassword=\nscheme=ntlm\n", 0400);
    choose(&f, "proxy", "http://proxy:3128");
    choose(&f, "proxy_credential", "gate");
    choose(&f, "noproxy", "localhost");
    choose_new(&f, "cert", "-----BEGIN CERTIFICATE-----\nc");
    choose_new(&f, "key_file", "-----BEGIN PRIVATE KEY-----\nk");
    choose_new(&f, "cacert", "-----BEGIN CERTIFICATE-----\nca");
    choose(&f, "pinned_key", "sha256//x");
    choose(&f, "user_agent", "probe/1");
    choose(&f, "credentials_over_http", NULL);
    choose(&f, "reply_other_host", NULL);
    assert_int_equal(load(&f), 0);
    assert_string_equal(f.access->proxy_url, "http://proxy:3128");
    assert_int_equal(f.access->proxy.scheme, AUTH_NTLM);
    assert_string_equal(f.access->proxy.user, "g");
    assert_string_equal(f.access->proxy.password, "");
    assert_string_equal(f.access->noproxy, "localhost");
    assert_string_equal(f.access->cert, "-----BEGIN CERTIFICATE-----\nc");
    assert_string_equal(f.access->key, "-----BEGIN PRIVATE KEY-----\nk");
    assert_string_equal(f.access->cacert, "-----BEGIN CERTIFICATE-----\nca");
    assert_string_equal(f.access->pinned_key, "sha256//x");
    assert_string_equal(f.access->user_agent, "probe/1");
    assert_true(f.access->over_http);
    assert_true(f.access->reply_other_host);
    assert_int_equal(f.access->server.scheme, AUTH_NONE);
    finish(&f);
}

static void a_credential_that_is_not_there_says_how_to_make_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose(&f, "credential", "alice");
    assert_int_equal(load(&f), -ENOENT);
    assert_fault_says(&f, "the credential \"alice\" in ");
    assert_fault_says(&f, f.io.folder);
    assert_fault_says(&f, "/alice does not exist; create it with: bitsq credential set alice");
    assert_false(f.may_heal);
    finish(&f);
}

static void a_credential_that_others_can_read_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0601, 0644};
    struct fixture f;
    char part[64];

    (void)state;
    begin(&f);
    choose(&f, "credential", "alice");
    for (size_t i = 0; i < ELEMENTS(modes); i++) {
        put(&f, "alice", "user=alice\npassword=geheim\n", modes[i]);
        assert_int_equal(load(&f), -EPERM);
        (void)snprintf(part, sizeof(part), "is open to others (mode %04o); run: chmod 600 ", (unsigned)modes[i]);
        assert_fault_says(&f, part);
        assert_null(strstr(f.fault, "geheim"));
    }
    finish(&f);
}

static void a_credential_is_a_plain_file_of_ones_own(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = folder_path(f.io.folder, "alice");
    choose(&f, "credential", "alice");
    put(&f, "other", "user=alice\npassword=x\n", 0600);
    assert_int_equal(symlink("other", path), 0);
    assert_int_equal(load(&f), -ELOOP);
    assert_fault_says(&f, "is a symbolic link; put the file itself in its place");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load(&f), -EMEDIUMTYPE);
    assert_fault_says(&f, "is no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(load(&f), -EMEDIUMTYPE);
    assert_int_equal(rmdir(path), 0);
    if (geteuid() == 0) {
        put(&f, "alice", "user=alice\npassword=x\n", 0600);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(load(&f), -EPERM);
        assert_fault_says(&f, "belongs to another user (uid 65534)");
    }
    free(path);
    finish(&f);
}

static void a_credential_has_a_longest_size(void **state)
{
    struct fixture f;
    char *text = malloc(CREDENTIAL_BYTES_MAX + 2);

    (void)state;
    begin(&f);
    assert_non_null(text);
    memset(text, '\n', CREDENTIAL_BYTES_MAX + 1);
    memcpy(text, "user=a\npassword=b", 17);
    text[CREDENTIAL_BYTES_MAX] = '\0';
    put(&f, "alice", text, 0600);
    choose(&f, "credential", "alice");
    assert_int_equal(load(&f), 0);
    text[CREDENTIAL_BYTES_MAX] = '\n';
    text[CREDENTIAL_BYTES_MAX + 1] = '\0';
    put(&f, "alice", text, 0600);
    assert_int_equal(load(&f), -EFBIG);
    assert_fault_says(&f, "has more than 32768 bytes");
    free(text);
    finish(&f);
}

static void a_fault_in_a_credential_names_the_line_and_never_the_value(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    put(&f, "alice", "user=alice\npasword=geheim\n", 0600);
    choose(&f, "credential", "alice");
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "cannot be used: line 2: the key \"pasword\" is unknown");
    assert_fault_says(&f, "bitsq credential set alice");
    assert_null(strstr(f.fault, "geheim"));
    finish(&f);
}

static void a_token_is_bearer_and_may_stand_in_a_file_of_its_own(void **state)
{
    struct fixture f;
    char text[256];

    (void)state;
    begin(&f);
    put(&f, "t", "token=abc.DEF-_~+/=\n", 0600);
    choose(&f, "credential", "t");
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_BEARER);
    assert_string_equal(f.access->server.token, "abc.DEF-_~+/=");
    assert_null(f.access->server.user);
    put(&f, "secret", "  xyz \t\r\nsecond\n", 0600);
    (void)snprintf(text, sizeof(text), "token_file=%s/secret\n", f.io.folder);
    put(&f, "t", text, 0600);
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_BEARER);
    assert_string_equal(f.access->server.token, "xyz");
    put(&f, "secret", "x y\n", 0600);
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "holds no token in its first line");
    put(&f, "secret", "xyz\n", 0644);
    assert_int_equal(load(&f), -EPERM);
    assert_fault_says(&f, "the token file ");
    assert_fault_says(&f, "is open to others (mode 0644)");
    finish(&f);
}

static void schemes_and_credentials_that_do_not_fit_are_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose(&f, "auth", "basic");
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "auth=basic needs a user and password");
    choose(&f, "auth", "bearer");
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "auth=bearer needs a token");
    put(&f, "t", "token=abc\n", 0600);
    choose(&f, "credential", "t");
    assert_int_equal(load(&f), 0);
    choose(&f, "auth", "ntlm");
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "auth=ntlm cannot use the token that the credential \"t\" holds");
    choose(&f, "auth", "bearer");
    choose(&f, "proxy_credential", "t");
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "the proxy credential \"t\" holds a token");
    finish(&f);
}

static void negotiate_without_a_user_means_the_ticket(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose(&f, "auth", "negotiate");
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_NEGOTIATE);
    assert_null(f.access->server.user);
    put(&f, "ticket", "scheme=negotiate\nhosts=*.example.org\n", 0600);
    choose(&f, "auth", NULL);
    choose(&f, "credential", "ticket");
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_NEGOTIATE);
    assert_null(f.access->server.user);
    assert_string_equal(f.access->server.hosts, "*.example.org");
    finish(&f);
}

static void netrc_counts_where_it_is_chosen_and_no_credential_is(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    put(&f, ".netrc", "machine up.example.org login netty password net\n", 0600);
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_NONE);
    choose(&f, "netrc", NULL);
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_ANY);
    assert_string_equal(f.access->server.user, "netty");
    assert_string_equal(f.access->server.password, "net");
    assert_null(f.access->server.hosts);
    put(&f, "alice", "user=alice\npassword=x\n", 0600);
    choose(&f, "credential", "alice");
    assert_int_equal(load(&f), 0);
    assert_string_equal(f.access->server.user, "alice");
    finish(&f);
}

static void netrc_is_checked_and_may_be_missing(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose(&f, "netrc", NULL);
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.access->server.scheme, AUTH_NONE);
    put(&f, ".netrc", "machine up.example.org login netty password net\n", 0644);
    assert_int_equal(load(&f), -EPERM);
    assert_fault_says(&f, "/.netrc is open to others (mode 0644); run: chmod 600 ");
    put(&f, ".netrc", "machine up.example.org login \"netty\n", 0600);
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "/.netrc cannot be used: line 1: the quote that begins there does not end");
    finish(&f);
}

static void headers_come_from_a_file_that_others_cannot_read(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = io_fixture_file(&f.io, "headers", "X-Api-Key: geheim\nX-Two: 2\n", 0600);
    choose(&f, "header_file", path);
    assert_int_equal(load(&f), 0);
    assert_memory_equal(f.access->headers, "X-Api-Key: geheim\0X-Two: 2\0", 28);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(load(&f), -EPERM);
    assert_fault_says(&f, "the header file ");
    assert_fault_says(&f, "is open to others (mode 0644)");
    assert_int_equal(chmod(path, 0600), 0);
    put(&f, "headers", "X-Two: 2\nhost: geheim\n", 0600);
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "line 2: the header host cannot be set here: the transport sets it itself");
    assert_null(strstr(f.fault, "geheim"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(&f), -ENOENT);
    assert_fault_says(&f, "does not exist; create it, or name another one with header_file=");
    free(path);
    finish(&f);
}

/* A file of comments around one line that says something. */
static int load_with_bytes(struct fixture *f, const char *name, const char *line, size_t bytes)
{
    char *text = malloc(bytes + 1);

    assert_non_null(text);
    memset(text, '#', bytes);
    memcpy(text, line, strlen(line));
    text[bytes] = '\0';
    put(f, name, text, 0600);
    free(text);
    return load(f);
}

static void a_header_file_and_netrc_have_a_longest_size(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose(&f, "netrc", NULL);
    assert_int_equal(load_with_bytes(&f, ".netrc", "default login a password b\n", NETRC_BYTES), 0);
    assert_string_equal(f.access->server.user, "a");
    assert_int_equal(load_with_bytes(&f, ".netrc", "default login a password b\n", NETRC_BYTES + 1), -EFBIG);
    assert_fault_says(&f, "/.netrc has more than 262144 bytes");
    put(&f, ".netrc", "", 0600);
    char *path = folder_path(f.io.folder, "headers");
    choose(&f, "header_file", path);
    assert_int_equal(load_with_bytes(&f, "headers", "a: b\n", HEADER_FILE_BYTES), 0);
    assert_string_equal(f.access->headers, "a: b");
    assert_int_equal(load_with_bytes(&f, "headers", "a: b\n", HEADER_FILE_BYTES + 1), -EFBIG);
    assert_fault_says(&f, "/headers has more than 16384 bytes");
    free(path);
    finish(&f);
}

static void a_fault_is_text_whatever_bytes_a_path_has(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    char *path = io_fixture_file(&f.io, "h\xe9\"", "none\n", 0600);
    choose(&f, "header_file", path);
    assert_int_equal(load(&f), -EINVAL);
    assert_fault_says(&f, "/h\\xe9\" cannot be used: line 1");
    put(&f, "h\xe9\"", "none\n", 0644);
    assert_int_equal(load(&f), -EPERM);
    assert_fault_says(&f, "/h\\xe9\" is open to others");
    free(path);
    finish(&f);
}

static void the_folder_of_credentials_is_that_of_the_configuration(void **state)
{
    struct fixture f;
    struct io_request *request = NULL;

    (void)state;
    begin(&f);
    char *config = folder_path(f.io.folder, ".config"), *bitsq = folder_path(config, "bitsq");
    char *folder = folder_path(bitsq, "credentials");
    assert_int_equal(mkdir(config, 0700) | mkdir(bitsq, 0700) | mkdir(folder, 0700), 0);
    put(&f, ".config/bitsq/credentials/a", "user=home\npassword=x\n", 0600);
    choose(&f, "credential", "a");
    assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
    assert_int_equal(io_load_access(f.io.io, &f.choices, HOST, NULL, false, on_access, &f, &request), 0);
    io_fixture_run(&f.io, &f.done);
    assert_string_equal(f.access->server.user, "home");
    assert_int_equal(setenv("XDG_CONFIG_HOME", config, 1), 0);
    assert_int_equal(io_load_access(f.io.io, &f.choices, HOST, NULL, false, on_access, &f, &request), 0);
    io_fixture_run(&f.io, &f.done);
    assert_string_equal(f.access->server.user, "home");
    free(folder);
    free(bitsq);
    free(config);
    finish(&f);
}

static void a_cancelled_load_is_never_heard_of(void **state)
{
    struct fixture f;
    struct io_request *request = NULL;

    (void)state;
    begin(&f);
    put(&f, "alice", "user=alice\npassword=x\n", 0600);
    choose(&f, "credential", "alice");
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(io_load_access(f.io.io, &f.choices, HOST, f.io.folder, false, on_access, &f, &request), 0);
        io_request_cancel(request);
    }
    assert_int_equal(load(&f), 0);
    assert_int_equal(f.done, 1);
    finish(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_choices_there_is_nothing_to_load),
    cmocka_unit_test(a_credential_gives_user_and_password),
    cmocka_unit_test(every_choice_finds_its_place),
    cmocka_unit_test(a_credential_that_is_not_there_says_how_to_make_it),
    cmocka_unit_test(a_credential_that_others_can_read_is_refused),
    cmocka_unit_test(a_credential_is_a_plain_file_of_ones_own),
    cmocka_unit_test(a_credential_has_a_longest_size),
    cmocka_unit_test(a_fault_in_a_credential_names_the_line_and_never_the_value),
    cmocka_unit_test(a_token_is_bearer_and_may_stand_in_a_file_of_its_own),
    cmocka_unit_test(schemes_and_credentials_that_do_not_fit_are_told),
    cmocka_unit_test(negotiate_without_a_user_means_the_ticket),
    cmocka_unit_test(netrc_counts_where_it_is_chosen_and_no_credential_is),
    cmocka_unit_test(netrc_is_checked_and_may_be_missing),
    cmocka_unit_test(headers_come_from_a_file_that_others_cannot_read),
    cmocka_unit_test(a_header_file_and_netrc_have_a_longest_size),
    cmocka_unit_test(a_fault_is_text_whatever_bytes_a_path_has),
    cmocka_unit_test(the_folder_of_credentials_is_that_of_the_configuration),
    cmocka_unit_test(a_cancelled_load_is_never_heard_of),
};
UNIT_MAIN(tests);
