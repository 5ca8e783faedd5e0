/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values as people write them, checked and put into options: of long options of add and probe, and of KEY=VALUE of set.
 * LABEL is what the person wrote, "--retry-delay" or "retry-delay". Each returns 0, or an exit code with its message.
 */
#pragma once

#include "cli/cli.h"

typedef int (*setting_set_t)(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                             const char *value);

int setting_text(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value);

/* VALUES as "|keep|replace|fail|". */
int setting_choice(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                   const char *value, const char *values);

int setting_duration(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                     const char *value);
int setting_sizes(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                  const char *value);

/* Bytes a second. */
int setting_rate(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value);

/* A time to come: a time from now on as 2h, a time of day as 22:00, or a date with it as 2027-01-31 22:00. */
int setting_time(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value);

/* any, ac, or a charge as 30%. */
int setting_power(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                  const char *value);

/* yes or no; VALUE may be NULL: yes. */
int setting_flag(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                 const char *value);

int setting_network(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                    const char *value);
/* Of one file. */
int setting_url(const struct cli *cli, bitsq_job_options *options, const char *label, const char *key,
                const char *value);

/* The key of NAME, which has - where keys have _. */
#define SETTING_KEY_MAX 32
const char *setting_key(const char *name, char key[static SETTING_KEY_MAX]);

/* ---- what a job is queued with: long options of add, keys of set ---- */

struct job_setting {
    const char *key;
    setting_set_t set;
    const char *fallback; /* what KEY= means; "" = taken back; NULL = not possible */
};
extern const struct job_setting job_settings[];
extern const size_t job_settings_count;

/* NULL where there is none. */
const struct job_setting *job_setting_find(const char *key);

/* ---- how a job reaches its server: the same names in add, probe, set, D-Bus and the configuration ---- */

enum access_kind {
    ACCESS_TEXT,
    ACCESS_EMPTY_TEXT, /* may be empty */
    ACCESS_CHOICE,
    ACCESS_NAME, /* of a credential */
    ACCESS_FILE,
    ACCESS_FILE_OR_FOLDER,
    ACCESS_PIN, /* "sha256//..." */
    ACCESS_PROXY,
    ACCESS_FLAG,
};

/* X(long option, argument, kind, values, help) */
#define ACCESS_LIST(X)                                                                                       \
    X("auth", "SCHEME", ACCESS_CHOICE, "|basic|digest|ntlm|negotiate|bearer|",                               \
      "basic, digest, ntlm, negotiate or bearer")                                                            \
    X("credential", "NAME", ACCESS_NAME, NULL, "user and password, or token: see bitsq credential")          \
    X("netrc", "[=no]", ACCESS_FLAG, NULL, "user and password from ~/.netrc")                                \
    X("cert", "FILE", ACCESS_FILE, NULL, "the client's certificate, PEM")                                    \
    X("key-file", "FILE", ACCESS_FILE, NULL, "the key of the client's certificate, PEM")                     \
    X("cacert", "PATH", ACCESS_FILE_OR_FOLDER, NULL, "trust these issuers instead of the system's")          \
    X("pinned-key", "KEY", ACCESS_PIN, NULL, "the server's public key: sha256//BASE64")                      \
    X("proxy", "URL", ACCESS_PROXY, NULL, "http://HOST:PORT, https://HOST:PORT, or none")                    \
    X("proxy-credential", "NAME", ACCESS_NAME, NULL, "user and password for the proxy")                      \
    X("noproxy", "HOSTS", ACCESS_EMPTY_TEXT, NULL, "go to these directly: host,.domain,10.0.0.0/8; * = all") \
    X("header-file", "FILE", ACCESS_FILE, NULL, "send the headers in FILE with every request")               \
    X("user-agent", "TEXT", ACCESS_TEXT, NULL, "what the client calls itself")                               \
    X("method-override", "HOW", ACCESS_CHOICE, "|bits_post|post|post-only|", "bits_post, post or post-only") \
    X("protocol-guid", "TEXT", ACCESS_TEXT, NULL, "what BITS-Supported-Protocols says")                      \
    X("lenient-ack", "[=no]", ACCESS_FLAG, NULL, "a success without BITS-Packet-Type is an Ack")             \
    X("restart-on-ambiguous", "[=no]", ACCESS_FLAG, NULL, "after a fragment of unknown fate, begin anew")    \
    X("reply-strict", "[=no]", ACCESS_FLAG, NULL, "a missing reply is an error")                             \
    X("reply-other-host", "[=no]", ACCESS_FLAG, NULL, "the reply may lie on another host")                   \
    X("at-most-once", "[=no]", ACCESS_FLAG, NULL, "never upload twice, also where the end is unclear")       \
    X("credentials-over-http", "[=no]", ACCESS_FLAG, NULL, "send tokens also without TLS")

#define ACCESS_IDS_FIRST 320 /* ids of these options; the n-th has n more */

struct access_option {
    const char *name; /* "key-file": with - as a long option, with _ as a key */
    const char *argument;
    enum access_kind kind;
    const char *values;
    const char *help;
};
extern const struct access_option access_options[];
extern const size_t access_options_count;

/* By the id that the parser of arguments gives it. */
bool access_id_is_valid(int id);
int access_id_set(const struct cli *cli, bitsq_job_options *options, int id, const char *value);

/* NULL where there is none. */
const struct access_option *access_option_find(const char *key);

/* VALUE is NULL for a flag that is just there. Relative paths become absolute. */
int access_option_set(const struct cli *cli, bitsq_job_options *options, const struct access_option *option,
                      const char *label, const char *value);
