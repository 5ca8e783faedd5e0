/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a job reaches its server and speaks with it: whom it says it is, through which proxy, whose certificates it
 * trusts, and in which dialect of the protocol. Choices only, as names and paths: a secret never stands here.
 *
 *   the job's own choice  >  the [Host PATTERN] sections that match, in order  >  [bitsqd]  >  the built-in default
 *
 * One table (access_keys) names them all: D-Bus options, long options of `bitsq add`, and keys of the configuration
 * follow it, and so does the record in the store.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum access_text {                          /* the numbers stand in the store: append only */
                   ACCESS_AUTH = 0,         /* "basic", "digest", "ntlm", "negotiate", "bearer" */
                   ACCESS_CREDENTIAL,       /* a name: see bitsq(1), CREDENTIALS */
                   ACCESS_CERT,             /* the client's certificate, PEM */
                   ACCESS_KEY_FILE,         /* and its key */
                   ACCESS_CACERT,           /* file or folder of the issuers that are trusted instead of the system's */
                   ACCESS_PINNED_KEY,       /* "sha256//BASE64;…" of the server's public key */
                   ACCESS_PROXY,            /* "http://host:port", "https://host:port"; "" = none, whatever else says */
                   ACCESS_PROXY_CREDENTIAL, /* a name */
                   ACCESS_NOPROXY,          /* "host,.domain,10.0.0.0/8"; "*" = all */
                   ACCESS_HEADER_FILE,      /* "Name: value" lines that go with every request */
                   ACCESS_USER_AGENT,
                   ACCESS_METHOD_OVERRIDE, /* "bits_post", "post" (with X-HTTP-Method-Override), "post-only" */
                   ACCESS_PROTOCOL_GUID,   /* the text of BITS-Supported-Protocols */
};
#define ACCESS_TEXTS 13

enum access_flag {                                        /* bits; they stand in the store */
                   ACCESS_NETRC = 1 << 0,                 /* user and password from ~/.netrc */
                   ACCESS_LENIENT_ACK = 1 << 1,           /* a 2xx without BITS-Packet-Type counts as an Ack */
                   ACCESS_RESTART_ON_AMBIGUOUS = 1 << 2,  /* a Fragment of unknown fate: new session, no overlap */
                   ACCESS_REPLY_STRICT = 1 << 3,          /* upload-reply without a reply URL is an error */
                   ACCESS_REPLY_OTHER_HOST = 1 << 4,      /* the reply may lie on another host */
                   ACCESS_AT_MOST_ONCE = 1 << 5,          /* a lost session at Close-Session is not uploaded again */
                   ACCESS_CREDENTIALS_OVER_HTTP = 1 << 6, /* bearer tokens without TLS; secrets to further hosts too */
};
#define ACCESS_FLAGS_ALL 0x7fu

#define ACCESS_TEXT_MAX   4095 /* bytes of any text; PATH_MAX less its terminator */
#define ACCESS_TEXTS_MAX  4096 /* bytes of all texts together, so that a job's record stays bounded */
#define ACCESS_HEADER_MAX 256  /* bytes of what becomes a header's value, or a name */

struct access {
    char *texts[ACCESS_TEXTS]; /* NULL = not chosen */
    uint32_t flags;            /* enum access_flag */
    uint32_t flags_chosen;     /* which of them were chosen, on or off */
};

struct access_key {
    const char *option; /* "method_override": of AddJob, and with - for _ of `bitsq add` */
    const char *config; /* "MethodOverride" */
    bool is_flag;
    enum access_text text;
    enum access_flag flag;
    size_t max;         /* bytes of a text */
    bool is_path;       /* absolute */
    const char *values; /* "|basic|digest|": the only ones allowed; NULL = any */
};
extern const struct access_key access_keys[];
extern const size_t access_keys_count;

const struct access_key *access_find_option(const char *option);
const struct access_key *access_find_config(const char *config);

/*
 * Takes a copy of VALUE; NULL takes the choice back. -ENOMEM; or -EINVAL with a literal in *ret_reason that says what
 * the key takes.
 */
int access_set_text(struct access *access, const struct access_key *key, const char *value, const char **ret_reason);
void access_set_flag(struct access *access, const struct access_key *key, bool on);

/* NULL, or a literal that says what is wrong with it. */
const char *access_fault(const struct access *access);

int access_copy(const struct access *access, struct access *ret);
void access_done(struct access *access);
bool access_equal(const struct access *a, const struct access *b);

/* Fills from LOWER what ACCESS leaves open. */
int access_merge(struct access *access, const struct access *lower);

/* [Host PATTERN] sections of the configuration, in order, and [bitsqd] behind them. */
struct access_section {
    char *pattern; /* "up.example.org", "*.example.org", "host:8080", "*": of hosts in lower case */
    struct access access;
};
struct access_rules {
    struct access_section *sections;
    size_t count;
};
void access_rules_done(struct access_rules *rules);

/* HOST is "host:port" as in struct job. A pattern without a port matches any. */
bool access_pattern_matches(const char *pattern, const char *host);
int access_resolve(const struct access *of_job, const struct access_rules *rules, const char *host, struct access *ret);
