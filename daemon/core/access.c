/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/access.h"

#include "base/cleanup.h"
#include "base/credential.h"

#include <errno.h>
#include <string.h>

#define PATH(option_, config_, text_)                                                                      \
    {                                                                                                      \
        .option = (option_), .config = (config_), .text = (text_), .max = ACCESS_TEXT_MAX, .is_path = true \
    }
#define WORD(option_, config_, text_, values_)                                                                   \
    {                                                                                                            \
        .option = (option_), .config = (config_), .text = (text_), .max = ACCESS_HEADER_MAX, .values = (values_) \
    }
#define FLAG(option_, config_, flag_)                                            \
    {                                                                            \
        .option = (option_), .config = (config_), .is_flag = true, .flag = flag_ \
    }

const struct access_key access_keys[] = {
    WORD("auth", "Auth", ACCESS_AUTH, "|basic|digest|ntlm|negotiate|bearer|"),
    WORD("credential", "Credential", ACCESS_CREDENTIAL, NULL),
    PATH("cert", "ClientCertificate", ACCESS_CERT),
    PATH("key_file", "ClientKey", ACCESS_KEY_FILE),
    PATH("cacert", "CACertificate", ACCESS_CACERT),
    {.option = "pinned_key", .config = "PinnedKey", .text = ACCESS_PINNED_KEY, .max = ACCESS_TEXT_MAX},
    {.option = "proxy", .config = "Proxy", .text = ACCESS_PROXY, .max = ACCESS_TEXT_MAX},
    WORD("proxy_credential", "ProxyCredential", ACCESS_PROXY_CREDENTIAL, NULL),
    {.option = "noproxy", .config = "NoProxy", .text = ACCESS_NOPROXY, .max = ACCESS_TEXT_MAX},
    PATH("header_file", "HeaderFile", ACCESS_HEADER_FILE),
    WORD("user_agent", "UserAgent", ACCESS_USER_AGENT, NULL),
    WORD("method_override", "MethodOverride", ACCESS_METHOD_OVERRIDE, "|bits_post|post|post-only|"),
    WORD("protocol_guid", "ProtocolGuid", ACCESS_PROTOCOL_GUID, NULL),
    FLAG("netrc", "Netrc", ACCESS_NETRC),
    FLAG("lenient_ack", "LenientAck", ACCESS_LENIENT_ACK),
    FLAG("restart_on_ambiguous", "RestartOnAmbiguous", ACCESS_RESTART_ON_AMBIGUOUS),
    FLAG("reply_strict", "ReplyStrict", ACCESS_REPLY_STRICT),
    FLAG("reply_other_host", "ReplyOtherHost", ACCESS_REPLY_OTHER_HOST),
    FLAG("at_most_once", "AtMostOnce", ACCESS_AT_MOST_ONCE),
    FLAG("credentials_over_http", "CredentialsOverHttp", ACCESS_CREDENTIALS_OVER_HTTP),
};
const size_t access_keys_count = ELEMENTS(access_keys);

const struct access_key *access_find_option(const char *option)
{
    for (size_t i = 0; i < ELEMENTS(access_keys); i++)
        if (strcmp(access_keys[i].option, option) == 0)
            return &access_keys[i];
    return NULL;
}

const struct access_key *access_find_config(const char *config)
{
    for (size_t i = 0; i < ELEMENTS(access_keys); i++)
        if (strcmp(access_keys[i].config, config) == 0)
            return &access_keys[i];
    return NULL;
}

static bool has_control_characters(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* Of "|a|b|", whether VALUE is a or b. */
static bool is_one_of(const char *value, const char *values)
{
    size_t length = strlen(value);

    for (const char *at = values + 1; *at != '\0'; at = strchr(at, '|') + 1)
        if (strcspn(at, "|") == length && strncmp(at, value, length) == 0)
            return true;
    return false;
}

static const char *proxy_fault(const char *value)
{
    if (value[0] == '\0')
        return NULL;
    if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
        return "a proxy is given as http://HOST:PORT or https://HOST:PORT";
    if (strchr(value, '@'))
        return "a proxy's URL may not hold a user or password; store them with bitsq credential set NAME, and name "
               "them as proxy_credential";
    return NULL;
}

static const char *text_fault(const struct access_key *key, const char *value)
{
    bool may_be_empty = key->text == ACCESS_PROXY || key->text == ACCESS_NOPROXY;

    if (has_control_characters(value))
        return "control characters and line breaks are not allowed";
    if (value[0] == '\0' && !may_be_empty)
        return "it may not be empty";
    if (strlen(value) > key->max)
        return key->max == ACCESS_HEADER_MAX ? "it may have at most 256 bytes" : "it may have at most 4095 bytes";
    if (key->is_path && value[0] != '/')
        return "it needs an absolute path";
    if (key->values && !is_one_of(value, key->values))
        return key->text == ACCESS_AUTH ? "it takes basic, digest, ntlm, negotiate or bearer"
                                        : "it takes bits_post, post or post-only";
    if (key->text == ACCESS_CREDENTIAL || key->text == ACCESS_PROXY_CREDENTIAL)
        return credential_name_is_valid(value) ? NULL : CREDENTIAL_NAME_RULE;
    if (key->text == ACCESS_PINNED_KEY && strncmp(value, "sha256//", 8) != 0)
        return "it takes sha256//BASE64, the hash of the server's public key; several are separated by ;";
    return key->text == ACCESS_PROXY ? proxy_fault(value) : NULL;
}

int access_set_text(struct access *access, const struct access_key *key, const char *value, const char **ret_reason)
{
    char *copy = NULL;

    const char *fault = value ? text_fault(key, value) : NULL;
    if (fault) {
        *ret_reason = fault;
        return -EINVAL;
    }
    if (value && !(copy = strdup(value)))
        return -ENOMEM;
    free(access->texts[key->text]);
    access->texts[key->text] = copy;
    return 0;
}

void access_set_flag(struct access *access, const struct access_key *key, bool on)
{
    access->flags_chosen |= (uint32_t)key->flag;
    access->flags = on ? access->flags | (uint32_t)key->flag : access->flags & ~(uint32_t)key->flag;
}

const char *access_fault(const struct access *access)
{
    size_t total = 0;

    if ((access->flags_chosen & ~ACCESS_FLAGS_ALL) != 0 || (access->flags & ~access->flags_chosen) != 0)
        return "a choice of how the server is reached is unknown";
    for (size_t i = 0; i < ELEMENTS(access_keys); i++) {
        const struct access_key *key = &access_keys[i];
        const char *value = key->is_flag ? NULL : access->texts[key->text];
        const char *fault = value ? text_fault(key, value) : NULL;
        if (fault)
            return fault;
        total += value ? strlen(value) : 0;
    }
    return total > ACCESS_TEXTS_MAX ? "the paths and names of how the server is reached have more than 4096 bytes"
                                    : NULL;
}

void access_done(struct access *access)
{
    for (size_t i = 0; i < ACCESS_TEXTS; i++)
        free(access->texts[i]);
    *access = (struct access){0};
}

int access_merge(struct access *access, const struct access *lower)
{
    uint32_t open = lower->flags_chosen & ~access->flags_chosen;

    for (size_t i = 0; i < ACCESS_TEXTS; i++) {
        if (access->texts[i] || !lower->texts[i])
            continue;
        access->texts[i] = strdup(lower->texts[i]);
        if (!access->texts[i])
            return -ENOMEM;
    }
    access->flags |= lower->flags & open;
    access->flags_chosen |= open;
    return 0;
}

int access_copy(const struct access *access, struct access *ret)
{
    _cleanup_(access_done) struct access copy = {0};

    int r = access_merge(&copy, access);
    if (r < 0)
        return r;
    *ret = copy;
    copy = (struct access){0};
    return 0;
}

bool access_equal(const struct access *a, const struct access *b)
{
    if (a->flags != b->flags || a->flags_chosen != b->flags_chosen)
        return false;
    for (size_t i = 0; i < ACCESS_TEXTS; i++)
        if (!a->texts[i] != !b->texts[i] || (a->texts[i] && strcmp(a->texts[i], b->texts[i]) != 0))
            return false;
    return true;
}

void access_rules_done(struct access_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        free(rules->sections[i].pattern);
        access_done(&rules->sections[i].access);
    }
    free(rules->sections);
    *rules = (struct access_rules){0};
}

bool access_pattern_matches(const char *pattern, const char *host)
{
    /* The port stands behind the last colon; within [] colons belong to an IPv6 address. */
    const char *port = strrchr(host, ':');
    size_t name_length = port ? (size_t)(port - host) : strlen(host);
    const char *colon = strrchr(pattern, ':');
    bool names_port = colon && !strchr(colon, ']');
    size_t pattern_length = names_port ? (size_t)(colon - pattern) : strlen(pattern);

    if (names_port && (!port || strcmp(colon, port) != 0))
        return false;
    if (pattern_length > 0 && pattern[0] == '*') {
        size_t tail = pattern_length - 1;
        return tail <= name_length && memcmp(pattern + 1, host + name_length - tail, tail) == 0;
    }
    return pattern_length == name_length && memcmp(pattern, host, name_length) == 0;
}

int access_resolve(const struct access *of_job, const struct access_rules *rules, const char *host, struct access *ret)
{
    _cleanup_(access_done) struct access access = {0};

    int r = access_merge(&access, of_job);
    for (size_t i = 0; r >= 0 && rules && i < rules->count; i++)
        if (access_pattern_matches(rules->sections[i].pattern, host))
            r = access_merge(&access, &rules->sections[i].access);
    if (r < 0)
        return r;
    *ret = access;
    access = (struct access){0};
    return 0;
}
