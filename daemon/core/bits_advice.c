/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What to do about an answer that ends a job: the last half of its sentence. */
#include "core/bits.h"

static const struct {
    uint32_t code;
    enum failure_context context;
    const char *why;
    const char *advice;
} certificates[] = {
    [CERTIFICATE_OTHER] = {HR_SECURE_FAILURE, CONTEXT_TRANSPORT, "the server's certificate was not accepted",
                           "check the server's name, its certificate and this machine's clock, then: bitsq retry"},
    [CERTIFICATE_EXPIRED] = {HR_CERT_DATE_INVALID, CONTEXT_TRANSPORT,
                             "the server's certificate has expired, or is not valid yet",
                             "check this machine's clock, or ask the server's administrator to renew it, then: bitsq "
                             "retry"},
    [CERTIFICATE_WRONG_HOST] = {HR_CERT_CN_INVALID, CONTEXT_TRANSPORT,
                                "the server's certificate is for another host name",
                                "use the name that stands in it, or ask the server's administrator for one with this "
                                "name, then: bitsq retry"},
    [CERTIFICATE_UNKNOWN_ISSUER] = {HR_INVALID_CA, CONTEXT_TRANSPORT,
                                    "the server's certificate is from an issuer that this machine does not trust",
                                    "name the issuer's certificate with: bitsq set ID cacert=FILE, then: bitsq retry "
                                    "ID"},
    [CERTIFICATE_REVOKED] = {HR_CERT_REVOKED, CONTEXT_TRANSPORT, "the server's certificate has been revoked",
                             "ask the server's administrator for a new one, then: bitsq retry"},
    [CERTIFICATE_PINNED_KEY] = {HR_INVALID_CERT, CONTEXT_TRANSPORT,
                                "the server's public key is not the one that was pinned",
                                "somebody else may be answering; if the server's key was changed on purpose: bitsq set "
                                "ID pinned_key=KEY, bitsq retry ID"},
    [CERTIFICATE_OWN] = {HR_CLIENT_CERT_NEEDED, CONTEXT_TRANSPORT,
                         "the certificate of this side, or its key, is missing, cannot be used, or was refused",
                         "set them with: bitsq set ID cert=FILE key_file=FILE, then: bitsq retry ID"},
    [CERTIFICATE_OWN_AUTHORITY] = {HR_SECURE_FAILURE, CONTEXT_LOCAL_FILE,
                                   "the file or folder of trusted issuers holds none that can be used",
                                   "set it with: bitsq set ID cacert=PATH, then: bitsq retry ID"},
};

uint32_t bits_certificate_words(enum certificate_fault fault, enum failure_context *ret_context, const char **ret_why)
{
    *ret_context = certificates[fault].context;
    *ret_why = certificates[fault].why;
    return certificates[fault].code;
}

/* Where the error header says more than the status. */
static const char *advice_for_code(const struct ack *ack)
{
    if (!bits_has_code(ack))
        return NULL;
    switch (ack->error_code) {
    case HR_TOO_LARGE:
        return "the file is larger than the server takes: ask its administrator to raise the limit, then: bitsq retry";
    case HR_SERVER_EXECUTE_ENABLED:
        return "the folder at the server allows scripts or programs to run, which rules uploads out: ask its "
               "administrator, then: bitsq retry";
    case HR_ACCESS_DENIED:
        return ack->status == 501 ? "uploads are not enabled for this URL: ask the server's administrator, then: bitsq "
                                    "retry"
                                  : NULL;
    default:
        return NULL;
    }
}

static const char *advice_for_status(int status)
{
    switch (status) {
    case 400:
        return "check that the URL names a file and not a folder, and that the server speaks BITS, then: bitsq retry";
    case 401:
        return "give it a user that it accepts: bitsq credential set NAME, bitsq set ID credential=NAME, bitsq retry "
               "ID";
    case 407:
        return "give it a user that it accepts: bitsq credential set NAME, bitsq set ID proxy_credential=NAME, bitsq "
               "retry ID";
    case 403:
        return "check the rights at the server, and whether the file exists there already, then: bitsq retry";
    case 404:
        return "check the URL; IIS answers so too where BITS uploads are not enabled for the folder, or where its "
               "request filter refuses more than 30,000,000 bytes; then: bitsq retry";
    case 405:
    case 501:
        return "uploads are not enabled for this URL, or something on the way blocks the verb BITS_POST: ask the "
               "server's administrator, or try bitsq set ID method_override=post, then: bitsq retry ID";
    case 409:
        return "the file exists at the server, or another upload of it is under way: check, then: bitsq retry";
    case 413:
    case 416:
        return "ask the server's administrator for its limits, then: bitsq retry";
    default:
        return "ask the server's administrator, then: bitsq retry";
    }
}

const char *bits_advice_for(const struct step *step)
{
    const struct exchange_outcome *outcome = step->in->outcome;
    const struct ack *ack = &outcome->ack;

    if (outcome->transport == TRANSPORT_CERTIFICATE)
        return certificates[outcome->certificate].advice;
    const char *advice = advice_for_code(ack);
    if (advice)
        return advice;
    if (ack->status >= 300 && ack->status < 400)
        return "redirects are not followed: add the job again with the URL of the server itself";
    if (outcome->proxy_answered && ack->status != 407)
        return "ask the proxy's administrator, or go past it with: bitsq set ID noproxy=HOST, then: bitsq retry ID";
    return advice_for_status(ack->status);
}
