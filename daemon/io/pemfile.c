/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/pemfile.h"

#include "core/limits.h"
#include "io/secretfile.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BEGIN_PEM "-----BEGIN "

/* Returns ERROR. */
static int say(char **ret_fault, int error, const char *what, const char *path, const char *why)
{
    _cleanup_free_ char *escaped = text_escape(path);

    if (!escaped || asprintf(ret_fault, "%s %s %s", what, escaped, why) < 0)
        *ret_fault = NULL;
    return error;
}

/* One file; *ret is PEM and ends with a NUL. */
static int read_pem(const struct secret_file *file, char **ret, char **ret_fault)
{
    struct secret_text text;

    int r = secret_file_read(file, &text, ret_fault);
    if (r < 0)
        return r;
    if (memchr(text.text, '\0', text.length) || !strstr(text.text, BEGIN_PEM)) {
        secret_text_done(&text);
        return say(ret_fault, -EINVAL, file->what, file->path,
                   "is not in PEM form (it has no line -----BEGIN ...); convert it with openssl");
    }
    *ret = text.text; /* taken over */
    return 0;
}

/* ---- a folder of issuers ---- */

struct bundle {
    char *text;
    size_t length;
};

static int append(struct bundle *bundle, const char *text, size_t length)
{
    /* Whatever ends without a line break must not run into the next one's first line. */
    if (bundle->length + length + 2 > PEM_ISSUERS_BYTES)
        return -EFBIG;
    char *grown = realloc(bundle->text, bundle->length + length + 2);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + bundle->length, text, length);
    bundle->text = grown;
    bundle->length += length;
    bundle->text[bundle->length++] = '\n';
    bundle->text[bundle->length] = '\0';
    return 0;
}

/* What is no certificate, or cannot be read, is passed over: such folders hold links, lists and other things, too. */
static int append_entry(struct bundle *bundle, const char *folder, const char *name)
{
    _cleanup_free_ char *path = NULL, *fault = NULL;
    struct secret_text text;

    if (name[0] == '.')
        return 0;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    const struct secret_file file = {
        .path = path, .what = "", .max = PEM_FILE_BYTES, .may_be_link = true, .is_public = true};
    if (secret_file_read(&file, &text, &fault) < 0)
        return 0;
    int r = strstr(text.text, BEGIN_PEM "CERTIFICATE") ? append(bundle, text.text, strlen(text.text)) : 0;
    secret_text_done(&text);
    return r;
}

static int append_folder(struct bundle *bundle, const char *path)
{
    struct dirent *entry;
    DIR *folder = opendir(path);
    int r = 0;

    if (!folder)
        return -errno;
    while (r >= 0 && (entry = readdir(folder)) != NULL)
        r = append_entry(bundle, path, entry->d_name);
    (void)closedir(folder);
    return r >= 0 && !bundle->text ? -EINVAL : r;
}

static int read_folder(const char *path, char **ret, char **ret_fault)
{
    struct bundle bundle = {0};

    int r = append_folder(&bundle, path);
    if (r >= 0) {
        *ret = bundle.text;
        return 0;
    }
    free(bundle.text);
    return say(ret_fault, r, "the folder of issuers", path,
               r == -EINVAL  ? "holds no certificate in PEM form; put some there, or name another one with cacert="
               : r == -EFBIG ? "holds more than is sensible; name a file with the issuers that matter"
                             : "cannot be read; check it, and the folders above it");
}

/* ---- the three ---- */

static int load_issuers(const char *path, char **ret, char **ret_fault)
{
    const struct secret_file file = {
        .path = path,
        .what = "the file of issuers",
        .remedy = "create it, or name another one with cacert=",
        .max = PEM_ISSUERS_BYTES,
        .may_be_link = true,
        .is_public = true,
    };
    struct stat st;

    if (!path)
        return 0;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return read_folder(path, ret, ret_fault);
    return read_pem(&file, ret, ret_fault);
}

static int load_own(const struct access *choices, struct transfer_access *access, char **ret_fault)
{
    const char *key = choices->texts[ACCESS_KEY_FILE];
    struct secret_file file = {
        .path = choices->texts[ACCESS_CERT],
        .what = "the certificate",
        .remedy = "create it, or name another one with cert=",
        .max = PEM_FILE_BYTES,
        .may_be_link = true,
        .is_public = key != NULL,
    };

    if (!file.path)
        return 0;
    int r = read_pem(&file, &access->cert, ret_fault);
    if (r < 0 || !key)
        return r;
    file.path = key;
    file.what = "the key of the certificate";
    file.remedy = "create it, or name another one with key_file=";
    file.is_public = false;
    return read_pem(&file, &access->key, ret_fault);
}

int pem_files_load(const struct access *choices, struct transfer_access *access, char **ret_fault)
{
    int r = load_issuers(choices->texts[ACCESS_CACERT], &access->cacert, ret_fault);

    return r < 0 ? r : load_own(choices, access, ret_fault);
}
