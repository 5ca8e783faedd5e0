/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/certificates.h"

#include "support/folder.h"

#include "base/cleanup.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define DAY_SEC 86400L

struct certificate {
    EVP_PKEY *key;
    X509 *x509;
};

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert(extension && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void set_name(X509 *x509, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(x509);

    int r = X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    assert(r == 1);
}

struct certificate *certificate_new(const struct certificate_plan *plan, const struct certificate *issuer)
{
    static long serial = 1;
    struct certificate *made = calloc(1, sizeof(*made));

    assert(made);
    made->key = EVP_EC_gen("P-256");
    made->x509 = X509_new();
    assert(made->key && made->x509);
    X509 *signer = issuer ? issuer->x509 : made->x509;
    (void)X509_set_version(made->x509, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(made->x509), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(made->x509), plan->from_days * DAY_SEC);
    (void)X509_gmtime_adj(X509_getm_notAfter(made->x509), plan->to_days * DAY_SEC);
    (void)X509_set_pubkey(made->x509, made->key);
    set_name(made->x509, plan->name);
    (void)X509_set_issuer_name(made->x509, X509_get_subject_name(signer));
    add_extension(made->x509, signer, NID_basic_constraints, plan->is_issuer ? "critical,CA:TRUE" : "CA:FALSE");
    add_extension(made->x509, signer, NID_subject_key_identifier, "hash");
    if (plan->hosts)
        add_extension(made->x509, signer, NID_subject_alt_name, plan->hosts);
    int r = X509_sign(made->x509, issuer ? issuer->key : made->key, EVP_sha256());
    assert(r > 0);
    return made;
}

void certificate_free(struct certificate *certificate)
{
    if (!certificate)
        return;
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
    free(certificate);
}

char *certificate_pem(const struct certificate *certificate, const char *password)
{
    char *pem = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&pem, &length);

    assert(file);
    int r = PEM_write_X509(file, certificate->x509);
    assert(r == 1);
    r = PEM_write_PKCS8PrivateKey(file, certificate->key, password ? EVP_aes_256_cbc() : NULL, password,
                                  password ? (int)strlen(password) : 0, NULL, NULL);
    assert(r == 1);
    r = fclose(file);
    assert(r == 0);
    return pem;
}

char *certificate_write(const struct certificate *certificate, const char *folder, const char *name)
{
    _cleanup_free_ char *pem = certificate_pem(certificate, NULL);
    char *path = folder_path(folder, name);
    FILE *file = fopen(path, "we");

    assert(file);
    int r = fputs(pem, file);
    assert(r >= 0);
    r = fclose(file);
    assert(r == 0);
    return path;
}

char *certificate_pin(const struct certificate *certificate)
{
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    char *pin = NULL;

    int length = i2d_PUBKEY(certificate->key, &der);
    assert(length > 0);
    int r = EVP_Digest(der, (size_t)length, digest, &digest_bytes, EVP_sha256(), NULL);
    assert(r == 1);
    OPENSSL_free(der);
    (void)EVP_EncodeBlock(text, digest, (int)digest_bytes);
    r = asprintf(&pin, "sha256//%s", text);
    assert(r > 0);
    return pin;
}
