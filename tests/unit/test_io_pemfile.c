/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The certificates and keys of a job, from real files; every fault is read as a person would. */
#include "core/limits.h"
#include "io/pemfile.h"
#include "support/folder.h"
#include "support/unit.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CERTIFICATE(body) "-----BEGIN CERTIFICATE-----\n" body "\n-----END CERTIFICATE-----"
#define KEY               "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n"

struct fixture {
    char *folder;
    struct access choices;
    struct transfer_access *access;
    char *fault;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.folder = folder_new()};
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
    folder_remove(f->folder);
}

static char *put_n(const struct fixture *f, const char *name, const char *text, size_t length, mode_t mode)
{
    char *path = folder_path(f->folder, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void choose(struct fixture *f, const char *option, const char *path)
{
    const char *reason = NULL;

    assert_int_equal(access_set_text(&f->choices, access_find_option(option), path, &reason), 0);
}

static void choose_new(struct fixture *f, const char *option, const char *text, mode_t mode)
{
    _cleanup_free_ char *path = put_n(f, option, text, strlen(text), mode);

    choose(f, option, path);
}

static int load(struct fixture *f)
{
    forget(f);
    f->access = calloc(1, sizeof(*f->access));
    assert_non_null(f->access);
    return pem_files_load(&f->choices, f->access, &f->fault);
}

static void assert_refused(struct fixture *f, int error, const char *part)
{
    assert_int_equal(load(f), error);
    assert_non_null(f->fault);
    if (!strstr(f->fault, part) || !strstr(f->fault, f->folder))
        fail_msg("\"%s\" does not say \"%s\" and the path", f->fault, part);
}

static void what_is_not_chosen_is_not_read(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(load(&f), 0);
    assert_null(f.access->cacert);
    assert_null(f.access->cert);
    assert_null(f.access->key);
    finish(&f);
}

static void certificates_may_be_read_by_all_and_a_key_by_its_owner(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose_new(&f, "cacert", CERTIFICATE("i"), 0644);
    choose_new(&f, "cert", CERTIFICATE("c"), 0644);
    choose_new(&f, "key_file", KEY, 0600);
    assert_int_equal(load(&f), 0);
    assert_string_equal(f.access->cacert, CERTIFICATE("i"));
    assert_string_equal(f.access->cert, CERTIFICATE("c"));
    assert_string_equal(f.access->key, KEY);
    finish(&f);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose_new(&f, "cert", CERTIFICATE("c"), 0644);
    choose_new(&f, "key_file", KEY, 0640);
    assert_refused(&f, -EPERM, "the key of the certificate ");
    assert_refused(&f, -EPERM, "is open to others (mode 0640); run: chmod 600 ");
    finish(&f);
}

static void a_certificate_that_holds_its_key_must_be_closed_too(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    choose_new(&f, "cert", CERTIFICATE("c") "\n" KEY, 0644);
    assert_refused(&f, -EPERM, "is open to others (mode 0644)");
    choose_new(&f, "cert", CERTIFICATE("c") "\n" KEY, 0600);
    assert_int_equal(load(&f), 0);
    assert_null(f.access->key);
    finish(&f);
}

static void a_file_that_is_not_there_is_named_with_the_option(void **state)
{
    static const char *const options[] = {"cacert", "cert", "key_file"};
    struct fixture f;
    char part[64];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(options); i++) {
        begin(&f);
        _cleanup_free_ char *path = folder_path(f.folder, "nothing.pem");
        if (strcmp(options[i], "key_file") == 0)
            choose_new(&f, "cert", CERTIFICATE("c"), 0644);
        choose(&f, options[i], path);
        (void)snprintf(part, sizeof(part), "does not exist; create it, or name another one with %s=", options[i]);
        assert_refused(&f, -ENOENT, part);
        finish(&f);
    }
}

static void what_is_no_pem_says_so(void **state)
{
    static const char with_nul[] = "-----BEGIN CERTIFICATE-----\0";
    struct fixture f;

    (void)state;
    begin(&f);
    choose_new(&f, "cacert", "\x30\x82\x01", 0644);
    assert_refused(&f, -EINVAL, "the file of issuers ");
    assert_refused(&f, -EINVAL, "is not in PEM form");
    choose_new(&f, "cacert", "", 0644);
    assert_refused(&f, -EINVAL, "is not in PEM form");
    free(put_n(&f, "cacert", with_nul, sizeof(with_nul) - 1, 0644));
    assert_refused(&f, -EINVAL, "is not in PEM form");
    finish(&f);
}

static void a_file_has_a_bound(void **state)
{
    _cleanup_free_ char *text = malloc(PEM_ISSUERS_BYTES + 2);
    struct fixture f;

    (void)state;
    begin(&f);
    assert_non_null(text);
    memset(text, '#', PEM_ISSUERS_BYTES + 1);
    text[PEM_ISSUERS_BYTES + 1] = '\0';
    memcpy(text, CERTIFICATE("c") "\n", strlen(CERTIFICATE("c") "\n"));
    _cleanup_free_ char *issuers = put_n(&f, "issuers", text, PEM_ISSUERS_BYTES, 0644);
    _cleanup_free_ char *certificate = put_n(&f, "certificate", text, PEM_FILE_BYTES, 0600);
    choose(&f, "cacert", issuers);
    choose(&f, "cert", certificate);
    assert_int_equal(load(&f), 0);
    assert_int_equal(strlen(f.access->cacert), PEM_ISSUERS_BYTES);
    free(put_n(&f, "certificate", text, PEM_FILE_BYTES + 1, 0600));
    assert_refused(&f, -EFBIG, "the certificate ");
    free(put_n(&f, "issuers", text, PEM_ISSUERS_BYTES + 1, 0644));
    assert_refused(&f, -EFBIG, "the file of issuers ");
    finish(&f);
}

/* As /etc/ssl/certs is: links by hash, hidden files, things that are no certificates, a folder, a link to nothing. */
static void a_folder_stands_for_all_certificates_in_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    _cleanup_free_ char *first = put_n(&f, "a.pem", CERTIFICATE("first"), strlen(CERTIFICATE("first")), 0644);
    _cleanup_free_ char *second = put_n(&f, "b.0", CERTIFICATE("second"), strlen(CERTIFICATE("second")), 0644);
    _cleanup_free_ char *link_path = folder_path(f.folder, "0123abcd.0");
    _cleanup_free_ char *dangling = folder_path(f.folder, "dangling.pem");
    _cleanup_free_ char *below = folder_path(f.folder, "java");
    free(put_n(&f, ".hidden", CERTIFICATE("hidden"), strlen(CERTIFICATE("hidden")), 0644));
    free(put_n(&f, "README", "no certificate", 14, 0644));
    free(put_n(&f, "key.pem", KEY, strlen(KEY), 0600));
    assert_int_equal(symlink("/nonexistent", dangling), 0);
    assert_int_equal(mkdir(below, 0700), 0);
    choose(&f, "cacert", f.folder);
    assert_int_equal(load(&f), 0);
    assert_non_null(strstr(f.access->cacert, CERTIFICATE("first") "\n"));
    assert_non_null(strstr(f.access->cacert, CERTIFICATE("second") "\n"));
    assert_null(strstr(f.access->cacert, "hidden"));
    assert_null(strstr(f.access->cacert, "PRIVATE"));
    assert_int_equal(symlink("a.pem", link_path), 0);
    assert_int_equal(unlink(second), 0);
    assert_int_equal(load(&f), 0); /* as it is now */
    assert_null(strstr(f.access->cacert, "second"));
    assert_non_null(strstr(strstr(f.access->cacert, "first") + 1, "first"));
    finish(&f);
}

static void a_folder_without_certificates_says_so(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    free(put_n(&f, "README", "no certificate", 14, 0644));
    choose(&f, "cacert", f.folder);
    assert_refused(&f, -EINVAL, "holds no certificate in PEM form; put some there");
    finish(&f);
}

static void a_folder_has_a_bound(void **state)
{
    _cleanup_free_ char *text = malloc(PEM_FILE_BYTES);
    struct fixture f;
    char name[16];

    (void)state;
    begin(&f);
    assert_non_null(text);
    memset(text, '#', PEM_FILE_BYTES);
    memcpy(text, CERTIFICATE("c") "\n", strlen(CERTIFICATE("c") "\n"));
    choose(&f, "cacert", f.folder);
    /* Each takes a line break more, and all of them a NUL. */
    for (size_t i = 0; i < PEM_ISSUERS_BYTES / PEM_FILE_BYTES; i++) {
        (void)snprintf(name, sizeof(name), "%zu.pem", i);
        free(put_n(&f, name, text, PEM_FILE_BYTES - 2, 0644));
    }
    assert_int_equal(load(&f), 0);
    for (size_t i = 0; i < PEM_ISSUERS_BYTES / PEM_FILE_BYTES; i++) {
        (void)snprintf(name, sizeof(name), "%zu.pem", i);
        free(put_n(&f, name, text, PEM_FILE_BYTES, 0644));
    }
    assert_refused(&f, -EFBIG, "name a file with the issuers that matter");
    finish(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_not_chosen_is_not_read),
    cmocka_unit_test(certificates_may_be_read_by_all_and_a_key_by_its_owner),
    cmocka_unit_test(a_key_that_others_can_read_is_refused),
    cmocka_unit_test(a_certificate_that_holds_its_key_must_be_closed_too),
    cmocka_unit_test(a_file_that_is_not_there_is_named_with_the_option),
    cmocka_unit_test(what_is_no_pem_says_so),
    cmocka_unit_test(a_file_has_a_bound),
    cmocka_unit_test(a_folder_stands_for_all_certificates_in_it),
    cmocka_unit_test(a_folder_without_certificates_says_so),
    cmocka_unit_test(a_folder_has_a_bound),
};
UNIT_MAIN(tests);
