/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One HTTP exchange as values: what a session wants to be sent, and what came of it. The session fills a request,
 * net/transfer carries it out and fills an outcome; neither knows the other.
 */
#pragma once

#include "core/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum exchange_kind {
    EXCHANGE_NONE = 0,
    EXCHANGE_PING,
    EXCHANGE_CREATE,
    EXCHANGE_FRAGMENT,
    EXCHANGE_CLOSE,
    EXCHANGE_CANCEL,
    EXCHANGE_REPLY, /* GET of a part of the reply: its body goes to the sink of the transfer */
};

/* Where a request goes. */
enum exchange_target {
    TARGET_ORIGIN = 0, /* the job's URL */
    TARGET_HOST,       /* the job's URL with `host` in place of its host (BITS-Host-Id) */
    TARGET_REPLY, /* reply_url, resolved against the folder of what TARGET_HOST, or without host TARGET_ORIGIN, names */
};

#define HOST_ID_MAX 303 /* bytes; IIS allows 300 characters */

#define EXCHANGE_HEADERS_MAX 2048

/* The verb of a BITS message. */
enum session_method {
    METHOD_BITS_POST = 0,
    METHOD_POST_OVERRIDE, /* POST with X-HTTP-Method-Override: BITS_POST */
    METHOD_POST,
};

#define GUID_TEXT_MAX 256 /* bytes of BITS-Supported-Protocols */

struct exchange_request {
    enum exchange_kind kind;
    char method[24];                    /* "BITS_POST" */
    char headers[EXCHANGE_HEADERS_MAX]; /* "Name: value" lines, each with its NUL, an empty one last */
    uint64_t body_offset;               /* of the body's first byte in the source file */
    uint64_t body_bytes;                /* sent as Content-Length, 0 included; never chunked */
    uint64_t connect_timeout_usec;      /* resolving, connecting and TLS together; 0 = none, as for those below */
    uint64_t send_timeout_usec;         /* no byte of the request moved for so long */
    uint64_t response_timeout_usec;     /* from the request's last byte to the complete response */
    bool fresh_connection;              /* never on a connection that was used before */
    bool check_source;                  /* compare the source file's identity first; always with a body */
    enum exchange_target target;
    char host[HOST_ID_MAX + 1];      /* a checked host id: name, IPv4 or [IPv6], with or without a port */
    char reply_url[JOB_URL_MAX + 1]; /* as the server sent it */
    uint64_t range_first;            /* of a REPLY: what the sink takes begins here, */
    uint64_t range_bytes;            /* and is never longer */
};

/* How the exchange ended below HTTP. */
enum transport_result {
    TRANSPORT_OK = 0,  /* a complete response arrived: see ack */
    TRANSPORT_RESOLVE, /* the host's name has no address, or no name server answered */
    TRANSPORT_CONNECT, /* refused, unreachable */
    TRANSPORT_CONNECT_TIMEOUT,
    TRANSPORT_TLS,             /* the handshake failed on the way */
    TRANSPORT_CERTIFICATE,     /* the peer's certificate was not accepted */
    TRANSPORT_CONNECTION_LOST, /* reset or closed before the response was complete */
    TRANSPORT_SEND_TIMEOUT,
    TRANSPORT_RESPONSE_TIMEOUT,
    TRANSPORT_MALFORMED, /* no HTTP/1.x response, or one over a bound of limits.h */
    TRANSPORT_SOURCE,    /* the body could not be read: source_error says why */
    TRANSPORT_LOCAL,     /* no descriptor, no memory */
    TRANSPORT_URL,       /* the host id or reply URL that the server gave is none that may be asked: see text */
    /*
     * Not sent: the connection is new, the scheme binds to it, and a body would go out only to be refused. To be
     * authenticated by a message without one first.
     */
    TRANSPORT_UNAUTHENTICATED,
    TRANSPORT_PROXY, /* the proxy cannot be reached, or does not connect; its 407 comes as a status */
};

/* Why a certificate was not accepted, with TRANSPORT_CERTIFICATE. */
enum certificate_fault {
    CERTIFICATE_OTHER = 0,
    CERTIFICATE_EXPIRED, /* or not valid yet */
    CERTIFICATE_WRONG_HOST,
    CERTIFICATE_UNKNOWN_ISSUER,
    CERTIFICATE_REVOKED,
    CERTIFICATE_PINNED_KEY,    /* another public key than the one that was pinned */
    CERTIFICATE_OWN,           /* the client's certificate or key cannot be read, or was refused or missed */
    CERTIFICATE_OWN_AUTHORITY, /* the file or folder of issuers cannot be read */
};

/* The headers of a response that a BITS client looks at. Plain data: tests copy, compare and replay it. */
struct ack {
    int status;  /* of the last status line; 0 = none yet */
    bool is_ack; /* BITS-Packet-Type: Ack, in any case */
    bool has_session_id;
    char session_id[SESSION_ID_MAX + 1]; /* raw, byte for byte */
    bool session_id_too_long;
    bool has_protocol;
    char protocol[64]; /* what the server chose; cut where it does not fit: a GUID has 38 bytes */
    bool has_next;
    uint64_t next_offset;  /* BITS-Received-Content-Range: the next byte that the server wants */
    bool has_bad_next;     /* the header was there but is no number */
    bool next_is_misspelt; /* it came as BITS-Recieved-Content-Range: the right spelling would take its place */
    bool has_error;        /* with a value that can be read */
    bool error_is_alias;   /* it came as BITS-Error: BITS-Error-Code would take its place */
    uint32_t error_code;   /* an HRESULT; 0 is possible */
    bool has_context;
    uint32_t error_context; /* BITS-Error-Context */
    bool has_host_id;
    char host_id[HOST_ID_MAX + 1];
    bool host_id_is_valid; /* a plain host: no scheme, path, user, blank or control character */
    bool has_host_fallback;
    uint64_t host_fallback_usec;
    bool has_reply_url;
    char reply_url[JOB_URL_MAX + 1];
    bool has_retry_after;
    uint64_t retry_after_usec;          /* as a delay, or */
    uint64_t retry_after_realtime_usec; /* as a date; exactly one of the two is not 0, unless the delay is 0 */
    bool has_location;
    char location[512];     /* for the log only: redirects are never followed */
    bool has_authenticate;  /* WWW-Authenticate or Proxy-Authenticate came */
    char schemes[64];       /* their schemes in lower case, "negotiate ntlm basic", for messages and the probe */
    bool has_content_range; /* Content-Range: bytes FIRST-LAST/TOTAL */
    bool has_range;         /* FIRST and LAST are known, not "*" */
    uint64_t range_first, range_last;
    bool has_range_total; /* TOTAL is known, not "*" */
    uint64_t range_total;
    bool has_content_length;
    uint64_t content_length;
    bool is_chunked;              /* Transfer-Encoding: chunked: a body whose end shows itself */
    char etag[VALIDATOR_MAX + 1]; /* "" = none */
    char last_modified[VALIDATOR_MAX + 1];
    bool has_server;
    char server[64]; /* Server:, for the receipt */
    unsigned header_count;
    size_t header_bytes;
    bool too_large; /* over HEADER_COUNT_MAX or HEADER_BYTES_MAX */
};

struct exchange_outcome {
    enum transport_result transport;
    struct ack ack;
    int source_error;         /* negative errno, with TRANSPORT_SOURCE; -ETIMEDOUT: no byte for send_timeout_usec */
    uint64_t body_sent_bytes; /* handed to the kernel; a hint, the server's offset is the truth */
    uint64_t elapsed_usec;    /* from the request's first byte to the end */
    unsigned heads_sent;      /* times that this request's head went out; 0 = the server cannot have seen it */
    uint64_t connection;      /* number of the TCP connection within this process, 0 = none */
    char address[64];         /* of the peer, "127.0.0.1:8080" or "[::1]:8080" */
    char local_address[48];   /* this end's, without a port; "" = no connection */
    char text[160];           /* the transport's own words, without URL or credentials */
    enum certificate_fault certificate;
    bool proxy_answered;     /* the status is the proxy's, not the server's */
    uint64_t received_bytes; /* of the body, given to the sink */
};
