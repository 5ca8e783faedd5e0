/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom TLS trusts, whom it says we are, and in which words it says no. */
#include "net/internal.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* How OpenSSL, which libcurl is built with, numbers what it finds wrong (X509_V_ERR_*); libcurl hands them on. */
enum verify_result {
    VERIFY_UNSPECIFIED = 1, /* what libcurl begins with: the chain was fine, but it refused the names itself */
    VERIFY_NOT_YET_VALID = 9,
    VERIFY_HAS_EXPIRED = 10,
    VERIFY_SELF_SIGNED = 18,
    VERIFY_SELF_SIGNED_IN_CHAIN = 19,
    VERIFY_NO_ISSUER_LOCALLY = 20,
    VERIFY_NO_LEAF_SIGNATURE = 21,
    VERIFY_REVOKED = 23,
};

static const struct {
    long result;
    enum certificate_fault fault;
    const char *text;
} verify_words[] = {
    {0, CERTIFICATE_WRONG_HOST, "the certificate is not for the host that was asked"},
    {VERIFY_UNSPECIFIED, CERTIFICATE_WRONG_HOST, "the certificate is not for the host that was asked"},
    {VERIFY_NOT_YET_VALID, CERTIFICATE_EXPIRED, "the certificate is not valid yet, or this machine's clock is slow"},
    {VERIFY_HAS_EXPIRED, CERTIFICATE_EXPIRED, "the certificate has expired"},
    {VERIFY_SELF_SIGNED, CERTIFICATE_UNKNOWN_ISSUER, "the certificate is signed by itself, and not trusted here"},
    {VERIFY_SELF_SIGNED_IN_CHAIN, CERTIFICATE_UNKNOWN_ISSUER, "the certificate's issuer is not trusted here"},
    {VERIFY_NO_ISSUER_LOCALLY, CERTIFICATE_UNKNOWN_ISSUER, "the certificate's issuer is not trusted here"},
    {VERIFY_NO_LEAF_SIGNATURE, CERTIFICATE_UNKNOWN_ISSUER, "the certificate's issuer is not trusted here"},
    {VERIFY_REVOKED, CERTIFICATE_REVOKED, "the certificate was revoked by its issuer"},
};

/*
 * Of OpenSSL's words for the alerts that a server sends: those that are about the client's certificate. TLS 1.3 sends
 * them when the client holds the handshake for done, so that they come as a failure to read.
 */
static const char *const own_certificate_alerts[] = {
    "alert certificate required", "alert bad certificate",     "alert certificate expired",
    "alert certificate revoked",  "alert certificate unknown", "alert unsupported certificate",
    "alert unknown ca",           "alert access denied",
};

/* Nothing is copied: the access lives as long as the exchange, and each exchange sets it anew. */
static struct curl_blob blob_of(char *pem)
{
    return (struct curl_blob){.data = pem, .len = pem ? strlen(pem) : 0, .flags = CURL_BLOB_NOCOPY};
}

#define SET_BLOB(option, blob) SET(option, (blob).data ? &(blob) : NULL)

/* In place of the system's issuers; what the proxy shows is judged by the same. */
static int set_issuers(CURL *easy, const struct transfer_access *access)
{
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    struct curl_blob issuers = blob_of(access->cacert);

    SET_BLOB(CURLOPT_CAINFO_BLOB, issuers);
    SET_BLOB(CURLOPT_PROXY_CAINFO_BLOB, issuers);
    SET(CURLOPT_CAINFO, access->cacert ? NULL : version->cainfo);
    SET(CURLOPT_CAPATH, access->cacert ? NULL : version->capath);
    SET(CURLOPT_PROXY_CAINFO, access->cacert ? NULL : version->cainfo);
    SET(CURLOPT_PROXY_CAPATH, access->cacert ? NULL : version->capath);
    return 0;
}

static int set_identity(CURL *easy, const struct transfer_access *access)
{
    struct curl_blob cert = blob_of(access->cert), key = blob_of(access->key ? access->key : access->cert);

    SET_BLOB(CURLOPT_SSLCERT_BLOB, cert);
    SET(CURLOPT_SSLCERTTYPE, "PEM");
    SET_BLOB(CURLOPT_SSLKEY_BLOB, key);
    SET(CURLOPT_SSLKEYTYPE, "PEM");
    /* Of an encrypted key OpenSSL would ask the password at the terminal, and the daemon would wait for it. */
    SET(CURLOPT_KEYPASSWD, "");
    return 0;
}

int transfer_set_tls(struct transfer *transfer)
{
    static const struct transfer_access none = {0};
    const struct transfer_access *access = transfer->job.access ? transfer->job.access : &none;
    CURL *easy = transfer->connection->easy;

    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PINNEDPUBLICKEY, access->pinned_key);
    int r = set_issuers(easy, access);
    return r < 0 ? r : set_identity(easy, access);
}

static void refuse(struct exchange_outcome *outcome, enum certificate_fault fault, const char *text)
{
    outcome->transport = TRANSPORT_CERTIFICATE;
    outcome->certificate = fault;
    (void)text_copy(outcome->text, sizeof(outcome->text), text);
}

static void refuse_by_result(long result, struct exchange_outcome *ret)
{
    for (size_t i = 0; i < ELEMENTS(verify_words); i++) {
        if (verify_words[i].result == result) {
            refuse(ret, verify_words[i].fault, verify_words[i].text);
            return;
        }
    }
    refuse(ret, CERTIFICATE_OTHER, "");
    (void)snprintf(ret->text, sizeof(ret->text), "the certificate is not accepted (OpenSSL's reason %ld)", result);
}

static bool is_about_own_certificate(CURLcode code, const char *error)
{
    if (code == CURLE_SSL_CLIENTCERT)
        return true;
    if (code != CURLE_SSL_CONNECT_ERROR && code != CURLE_RECV_ERROR && code != CURLE_SEND_ERROR)
        return false;
    for (size_t i = 0; i < ELEMENTS(own_certificate_alerts); i++)
        if (strstr(error, own_certificate_alerts[i]))
            return true;
    return false;
}

static bool refuse_own(const struct transfer *transfer, CURLcode code, struct exchange_outcome *ret)
{
    bool has_own = transfer->job.access && transfer->job.access->cert;

    if (code == CURLE_SSL_CERTPROBLEM)
        refuse(ret, CERTIFICATE_OWN,
               "the job's own certificate or its key cannot be used, or they do not belong together");
    else if (is_about_own_certificate(code, transfer->error))
        refuse(ret, CERTIFICATE_OWN,
               has_own ? "the server does not accept the job's own certificate"
                       : "the server wants a certificate of its client, and the job has none");
    else
        return false;
    return true;
}

bool outcome_from_tls(const struct transfer *transfer, CURLcode code, struct exchange_outcome *ret)
{
    long result = 0;

    if (refuse_own(transfer, code, ret))
        return true;
    if (code == CURLE_SSL_CACERT_BADFILE) {
        refuse(ret, CERTIFICATE_OWN_AUTHORITY,
               "what the job names as trusted issuers holds no certificate that can be used");
    } else if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH) {
        refuse(ret, CERTIFICATE_PINNED_KEY, "the server has another key than the one that is pinned");
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        (void)curl_easy_getinfo(transfer->connection->easy, CURLINFO_SSL_VERIFYRESULT, &result);
        refuse_by_result(result, ret);
    } else {
        return false;
    }
    return true;
}
